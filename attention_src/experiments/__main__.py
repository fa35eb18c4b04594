"""Run the experiments and write ``book/results/<stem>.json``: ``python -m attention_src.experiments [stem …]``.

Each finished part of each seed is kept at once under ``.cache/experiments/<stem>/``, so that a run that was stopped,
by Ctrl-C or harder, goes on where it was. When all seeds are there, the results file is written whole and the kept
parts are removed. Seeds that a results file holds already are not run again, unless settings or versions changed or
``--again`` is given: use it after a change of the code that changes numbers.
"""

import argparse
import hashlib
import json
import multiprocessing
import platform
import re
import shutil
import sys
import time
from collections.abc import Mapping
from importlib.metadata import version
from multiprocessing.connection import wait

from attention_src.experiments import (
    Experiment,
    ExperimentError,
    Places,
    Run,
    judge,
    load,
    stems,
    tolerance_as_data,
)
from attention_src.experiments.results import ResultsError, read

EVERY = 10.0  # seconds between two lines of progress


def main(arguments: list[str] | None = None, places: Places | None = None) -> int:
    """Run what the command line asks for. 0: all done; 1: a seed failed; 2: the request cannot be met; 130: stopped."""
    places = places or Places()
    try:
        options = _options(arguments, places)
        experiments = [load(stem, places.package) for stem in options.stems]
        failed = False
        for experiment in experiments:
            failed |= not _run(experiment, options.seeds, options.jobs, options.again, places)
        return int(failed)
    except (ExperimentError, ResultsError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nstopped; the same command goes on from here", file=sys.stderr)
        return 130


def _options(arguments, places):
    parser = argparse.ArgumentParser(f"python -m {places.package}", description=__doc__.split("\n")[0])
    parser.add_argument("stems", nargs="*", metavar="stem", help="which experiments; without one, all")
    parser.add_argument("--seeds", type=int, default=5, help="how many seeds, from 0 on (5)")
    parser.add_argument("--jobs", type=int, default=1, help="how many seeds at once, each on one thread (1)")
    parser.add_argument("--again", action="store_true", help="measure again what is measured already")
    options = parser.parse_args(arguments)
    for name in ("seeds", "jobs"):
        if getattr(options, name) < 1:
            raise ExperimentError(f"--{name} must be at least 1; it is {getattr(options, name)}")
    known = stems(places.package)
    if unknown := [stem for stem in options.stems if stem not in known]:
        raise ExperimentError(f"no experiment is called {', '.join(unknown)}; there are: {', '.join(known) or 'none'}")
    options.stems = options.stems or known
    return options


def versions() -> dict[str, str]:
    """What the numbers were computed with; the same text for every build of the same version."""
    return {
        "python": ".".join(platform.python_version_tuple()[:2]),
        "torch": version("torch").split("+")[0],
        "numpy": version("numpy"),
    }


def _run(experiment: Experiment, seeds: int, jobs: int, again: bool, places: Places) -> bool:
    """Run the seeds that are missing and write the results file. False if a seed failed."""
    stem, kept = experiment.stem, places.kept / experiment.stem
    if again:
        shutil.rmtree(kept, ignore_errors=True)
    elif not kept.exists():
        _keep_stored(experiment, places)
    kept.mkdir(parents=True, exist_ok=True)  # from here on, what is kept counts, not the results file
    missing = [seed for seed in range(seeds) if _missing_parts(experiment, seed, places)]
    while not _missing_parts(experiment, seeds, places):
        seeds += 1  # a seed that is there already is not thrown away
    todo = f"to do: {', '.join(map(str, missing))}" if missing else "all done before; --again measures them again"
    print(f"{stem}: {seeds} seeds, {todo}", file=sys.stderr)
    if jobs == 1:
        failed = [seed for seed in missing if not run_seed(stem, seed, places)]
    else:
        failed = _in_processes(stem, missing, jobs, places)
    if failed:
        print(f"{stem}: seed {', '.join(map(str, failed))} failed; the others are kept", file=sys.stderr)
        return False
    records = {str(seed): _read_kept(experiment, seed, places) for seed in range(seeds)}
    _write_results(experiment, _joined(experiment, records), places)
    shutil.rmtree(kept)
    return True


def run_seed(stem: str, seed: int, places: Places) -> bool:
    """Run the missing parts of one seed; keep each at once. False if one of them failed."""
    experiment = load(stem, places.package)
    missing = _missing_parts(experiment, seed, places)
    names = list(experiment.parts)
    for part in missing:
        show = _Progress(f"{stem}  seed {seed}  {part} ({names.index(part) + 1} of {len(names)})")
        models = {}
        try:
            measures, seconds = experiment.run_part(part, Run(seed, show, _keeper(seed, models, places)))
        except Exception as error:
            if isinstance(error, ExperimentError):
                raise
            show.done(f"FAILED: {type(error).__name__}: {error}")
            sys.excepthook(*sys.exc_info())
            return False
        record = _read_kept(experiment, seed, places)
        record["parts"][part] = {"measures": measures, "seconds": round(seconds, 1), "models": models}
        _write(_kept_file(stem, seed, places), json.dumps(record))
        show.done("done")
    return True


def _in_processes(stem, seeds, jobs, places):
    """Run each seed in a process of its own, ``jobs`` at a time; the seeds that failed."""
    context = multiprocessing.get_context("spawn")
    waiting, running, failed = list(seeds), {}, []
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                seed = waiting.pop(0)
                process = context.Process(target=_process, args=(stem, seed, places), daemon=True)
                process.start()
                running[process.sentinel] = (seed, process)
            for sentinel in wait(list(running)):
                seed, process = running.pop(sentinel)
                process.join()
                if process.exitcode:
                    failed.append(seed)
    finally:
        for _, process in running.values():
            process.terminate()
    return sorted(failed)


def _process(stem, seed, places):
    try:
        sys.exit(0 if run_seed(stem, seed, places) else 1)
    except ExperimentError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit(130)


# ---- what is kept of an unfinished run: one file per seed


def _kept_file(stem, seed, places):
    return places.kept / stem / f"seed-{seed}.json"


def _read_kept(experiment, seed, places):
    """``{"settings", "versions", "parts"}`` of a seed; no parts if they were kept under other settings or versions."""
    empty = {"settings": experiment.settings, "versions": versions(), "parts": {}}
    try:
        record = json.loads(_kept_file(experiment.stem, seed, places).read_text())
        record["parts"] = {name: part for name, part in record["parts"].items() if name in experiment.parts}
    except FileNotFoundError:
        return empty
    except (ValueError, KeyError, AttributeError, TypeError):
        path = _kept_file(experiment.stem, seed, places)
        raise ExperimentError(f"{path} is damaged; remove it, and this seed is run again") from None
    same = all(record.get(name) == empty[name] for name in ("settings", "versions"))
    return record if same else empty


def _missing_parts(experiment, seed, places):
    """The parts that still have to be run: those without measures, and those whose model file is gone or another."""
    kept = _read_kept(experiment, seed, places)["parts"]

    def is_there(part):
        return part in kept and all(_digest(places, name) == digest for name, digest in kept[part]["models"].items())

    return [part for part in experiment.parts if not is_there(part)]


# ---- the results file


def _keep_stored(experiment, places):
    """Take the seeds of the results file into the run that is beginning, if settings and versions are the same."""
    try:
        stored = read(experiment.stem, places.results)
    except FileNotFoundError:
        return
    for seed, measures in stored["seeds"].items():
        parts = {
            part: {
                "measures": measures[part],
                "seconds": stored["seconds"][seed][part],
                "models": {n: m["sha256"] for n, m in stored["models"].items() if seed == "0" and m["part"] == part},
            }
            for part in measures
        }
        record = {"settings": stored["settings"], "versions": stored["versions"], "parts": parts}
        _write(_kept_file(experiment.stem, seed, places), json.dumps(record))


def _joined(experiment, records):
    parts = list(experiment.parts)
    return {
        "seeds": {s: {p: record["parts"][p]["measures"] for p in parts} for s, record in records.items()},
        "seconds": {s: {p: record["parts"][p]["seconds"] for p in parts} for s, record in records.items()},
        "models": {
            name: {"part": part, "sha256": digest}
            for part in parts
            for name, digest in records["0"]["parts"][part]["models"].items()
        },
    }


def _write_results(experiment, found, places):
    content = {
        "stem": experiment.stem,
        "command": f"python -m {places.package} {experiment.stem} --seeds {len(found['seeds'])}",
        "versions": versions(),
        "settings": experiment.settings,
        "tolerance": tolerance_as_data(experiment.tolerance),
        "rules": judge(experiment.rules, found["seeds"]),
        "models": found["models"],
        "seconds": found["seconds"],
        "seeds": found["seeds"],
    }
    text = json.dumps(content, indent=1, ensure_ascii=False)
    text = re.sub(r"\[[^\[\]{}\"]*\]", _on_one_line, text)
    path = places.results / f"{experiment.stem}.json"
    _write(path, text + "\n")
    for rule in content["rules"]:
        outcome = "holds" if rule["holds"] else "DOES NOT HOLD"
        print(f"  {outcome} in {rule['seeds_passing']} of {rule['seeds_total']} seeds: {rule['rule']}", file=sys.stderr)
    print(f"{experiment.stem}: wrote {path}", file=sys.stderr)


def _on_one_line(match):
    return f"[{' '.join(match[0][1:-1].split())}]"


def _write(path, text):
    from attention_src.training import write_whole  # here, because it brings torch: a wrong command is answered at once

    write_whole(path, text.encode())


# ---- trained models


def _digest(places, name):
    path = places.models / f"{name}.safetensors"
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else None


def _keeper(seed, models, places):
    """``keep`` for a part: seed 0 writes the model as float16 and notes its digest in ``models``."""

    def keep(name: str, model, settings: Mapping) -> None:
        if seed:
            return
        from attention_src.training import save_model

        save_model(places.models / f"{name}.safetensors", model, settings)
        models[name] = _digest(places, name)

    return keep


class _Progress:
    """Says how far a part is: on a terminal in one line that is written over, elsewhere every ten seconds."""

    def __init__(self, label):
        self.label, self.began, self.said = label, time.monotonic(), 0.0
        self.over = sys.stderr.isatty() and multiprocessing.parent_process() is None
        self.say("begun")

    def __call__(self, step: int, total: int, note: str = "") -> None:
        parent = multiprocessing.parent_process()
        if parent is not None and not parent.is_alive():
            sys.exit("the run was stopped")
        if time.monotonic() - self.said > (0.2 if self.over else EVERY):
            self.say(f"step {step} of {total}  {note}".rstrip())

    def say(self, text, end=None):
        self.said = time.monotonic()
        minutes, seconds = divmod(int(self.said - self.began), 60)
        line = f"{self.label}  {text}  {minutes}:{seconds:02}"
        print(
            f"\r\x1b[K{line}" if self.over else line,
            end=end or ("" if self.over else "\n"),
            file=sys.stderr,
            flush=True,
        )

    def done(self, text):
        self.say(text, end="\n")


if __name__ == "__main__":
    # The processes of --jobs look their function up by the module's own name, which is not "__main__".
    from attention_src.experiments.__main__ import main as main_by_name

    sys.exit(main_by_name())
