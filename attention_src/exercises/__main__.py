"""Run the solutions that measure something, write ``book/results/exercises/<stem>.json``.

``python -m attention_src.exercises [stem …]`` takes the same options, and goes on where it was stopped, as
``python -m attention_src.experiments``.
"""

import sys

from attention_src.experiments import EXERCISES
from attention_src.experiments.__main__ import main

if __name__ == "__main__":
    sys.exit(main(places=EXERCISES))
