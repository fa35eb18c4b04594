"""The command line: ``python -m attention_src.translate``."""

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from .corpus import Files
from .errors import BadInputError
from .runs import begin, load
from .settings import LARGE, MODELS, PRECISIONS, SMALL, Settings, parameters
from .training import HELD_OUT, MOST_HELD_OUT, Training, World

FILES = """Sentences are read from UTF-8 text, or from such text packed by gzip, with any line ending.
A pair with an empty side, or with more tokens on a side than --longest, is left out and counted."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says; give 2 and one line of error where the input cannot be used."""
    asked = parser().parse_args(arguments)
    try:
        asked.run(asked)
    except BadInputError as error:
        return refuse(str(error))
    except OSError as error:
        return refuse(f"{error.filename or 'a file'}: {error.strerror or error}; what was written before is whole")
    except KeyboardInterrupt:
        print("translate: stopped; train --resume goes on", file=sys.stderr)
        return 130
    return 0


def refuse(message: str) -> int:
    """Say in one line what is wrong."""
    print("translate:", " ".join(message.split()), file=sys.stderr)
    return 2


def parser() -> argparse.ArgumentParser:
    """What the command line may say."""
    whole = argparse.ArgumentParser(
        prog="python -m attention_src.translate", description="The book's translators on sentences of your own."
    )
    commands = whole.add_subparsers(metavar="COMMAND", required=True)
    add_train(commands)
    return whole


def add_train(commands) -> None:
    """The options of ``train``; None stands for what was not asked."""
    train = commands.add_parser(
        "train",
        help="learn from sentence pairs",
        description="Learn from sentence pairs. What is learned, and everything about how, is kept in one folder.",
        epilog=FILES,
    )
    train.set_defaults(run=run_train)
    add = train.add_argument
    add("--out", type=Path, required=True, metavar="FOLDER", help="the folder of this run")
    add("--resume", action="store_true", help="go on with the run in FOLDER where it stopped; needs no other option")
    own = Settings()
    files = train.add_argument_group("sentences")
    add = files.add_argument
    add("--pairs", metavar="FILE", help="source, tab, target on each line; what follows a second tab is not read")
    add("--source", metavar="FILE", help="one source sentence a line; needs --target")
    add("--target", metavar="FILE", help="its translation on the same line")
    add("--valid-pairs", metavar="FILE", help="pairs to judge the run by, in one file")
    add("--valid-source", metavar="FILE", help="the same in two files")
    add("--valid-target", metavar="FILE")
    files.description = (
        f"Without files to judge by, {100 * HELD_OUT:g} % of the pairs are held out, at most {MOST_HELD_OUT:,}; "
        "pairs that share a sentence stay together, so that none of it is seen in training."
    )
    add("--skip-bad", action="store_true", default=None, help="leave bad lines out and count them, instead of stopping")
    add("--longest", type=at_least(1), metavar="N", help=f"tokens of the longest sentence ({own.longest})")
    add(
        "--tokens",
        choices=("words", "spaces", "pieces"),
        help="how lines are cut: words and punctuation; only at spaces; pieces learned by sentencepiece (words)",
    )
    add(
        "--vocabulary",
        type=at_least(1),
        metavar="N",
        help=f"most words of a vocabulary, or number of pieces ({own.vocabulary:,})",
    )
    add("--least", type=at_least(1), metavar="N", help="how often a word must be seen to be learned")
    model = train.add_argument_group(
        "the model", f"What is not chosen fits the size of the corpus: below {SMALL:,} pairs, below {LARGE:,}, or more."
    )
    add = model.add_argument
    add("--model", choices=MODELS, help=f"which of the book's translators ({own.model})")
    add("--width", type=at_least(1), metavar="N", help="numbers of a word's vector")
    add("--hidden", type=at_least(1), metavar="N", help="numbers of a state; for the transformer, of its inner layer")
    add("--layers", type=at_least(1), metavar="N", help="layers, for luong and transformer")
    how = train.add_argument_group("training")
    add = how.add_argument
    add("--epochs", type=at_least(1), metavar="N", help="how often every pair is seen")
    add("--batch", type=at_least(1), metavar="N", help="tokens of a batch")
    add("--rate", type=positive, metavar="X", help="the learning rate")
    add("--seed", type=int, metavar="N", help=f"begins the random numbers ({own.seed})")
    add(
        "--threads",
        type=at_least(1),
        metavar="N",
        help=f"threads of the processor; another number gives slightly other weights ({own.threads})",
    )
    add("--precision", choices=PRECISIONS, help=f"numbers to compute with ({own.precision})")
    add(
        "--save-every",
        type=at_least(1),
        metavar="N",
        help=f"steps between two checkpoints inside an epoch ({own.save_every})",
    )


def at_least(least: int):
    """A whole number that is not too small."""

    def number(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"must be a whole number of at least {least}, but is {text!r}")
        return int(text)

    return number


def positive(text: str) -> float:
    """A number above zero."""
    try:
        found = float(text)
    except ValueError:
        found = 0.0
    if not 0 < found < float("inf"):
        raise argparse.ArgumentTypeError(f"must be a number above 0, but is {text!r}")
    return found


def run_train(asked: argparse.Namespace) -> None:
    """``train``: begin a run, or go on with one."""
    world = World.join()
    try:
        chosen = {field.name: getattr(asked, field.name) for field in dataclasses.fields(Settings)}
        chosen = {name: value for name, value in chosen.items() if value is not None}
        for name in chosen.keys() & {f"{part}{side}" for part in ("", "valid_") for side in Files._fields}:
            chosen[name] = str(Path(chosen[name]).absolute())
        run, corpus = None, None
        if not asked.resume and world.rank == 0:
            torch.set_num_threads(chosen.get("threads", Settings.threads))
            run, corpus = begin(asked.out, Settings(**chosen))
        world.wait()  # the others read what the first one has settled
        if run is None:
            run = load(asked.out)
            if asked.resume:
                same_choices(asked.out, run.settings, chosen)
            torch.set_num_threads(run.settings.threads)
            corpus = run.read_again()
        valid = run.read(run.valid_files) if run.valid_files else None
        training = Training(run, corpus, valid, world, sys.stderr)
        if training.file:
            describe(training)
        training.train()
    finally:
        world.leave()


def same_choices(folder: Path, settings: Settings, chosen: dict) -> None:
    """Refuse to go on with other settings than those that a run was begun with."""
    for name, value in chosen.items():
        if value != getattr(settings, name):
            option = name.replace("_", "-")
            raise BadInputError(f"{folder} was begun with --{option} {getattr(settings, name)}, not {value}")


def describe(training: Training) -> None:
    """Say what is about to be trained."""
    run, corpus = training.run, training.corpus
    words = " and ".join(f"{len(vocabulary):,}" for vocabulary in run.vocabularies)
    print(corpus.counts.said(run.settings.longest), file=training.file)
    print(
        f"{run.settings.model}: {parameters(training.model):,} numbers to learn; vocabularies of {words} tokens; "
        f"{len(training.buckets):,} batches an epoch; {training.world.size} × {training.world.device}",
        file=training.file,
    )


if __name__ == "__main__":
    sys.exit(main())
