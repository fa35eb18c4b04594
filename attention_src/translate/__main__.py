"""The command line: ``python -m attention_src.translate``."""

import argparse
import dataclasses
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import partial
from itertools import islice
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import BinaryIO

import torch

from ..training import whole_file, write_whole
from .corpus import Counts, Files, lines, text_pairs
from .errors import BadInputError
from .measures import Report, agreement, read_gold
from .runs import SIDES, begin, load
from .settings import LARGE, MODELS, PRECISIONS, SMALL, Settings, parameters
from .speaking import Speaker, pharaoh
from .training import HELD_OUT, MOST_HELD_OUT, Pairs, Training, World

PROGRAM = "python -m attention_src.translate"  # also installed as weigh-translate
AT_ONCE = 1000  # lines that are sorted by length and translated together
FILES = """Sentences are read from UTF-8 text, or from such text packed by gzip, with any line ending.
A pair with an empty side, or with more tokens on a side than --longest, is left out and counted."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says; give 2 and one line of error where the input cannot be used."""
    asked = parser().parse_args(arguments)
    try:
        asked.run(asked)
        sys.stdout.flush()
    except BadInputError as error:
        return refuse(str(error))
    except BrokenPipeError:  # the reader of our output, such as head, has seen enough
        write_nowhere()
        return 141
    except OSError as error:
        path = error.filename2 or error.filename
        if not path:
            write_nowhere()
        return refuse(f"{path or 'a file'}: {error.strerror or error}; what was written before is whole")
    except KeyboardInterrupt:
        print("translate: stopped" + "; train --resume goes on" * (asked.run is run_train), file=sys.stderr)
        return 130
    return 0


def write_nowhere() -> None:
    """Let standard output go: else Python tries again at its end, complains, and gives a code of its own."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def refuse(message: str) -> int:
    """Say in one line what is wrong."""
    print("translate:", " ".join(message.split()), file=sys.stderr)
    return 2


def parser() -> argparse.ArgumentParser:
    """What the command line may say."""
    whole = argparse.ArgumentParser(prog=PROGRAM, description="The book's translators on sentences of your own.")
    commands = whole.add_subparsers(metavar="COMMAND", required=True)
    add_train(commands)
    add_translate(commands)
    add_evaluate(commands)
    add_align(commands)
    add_export(commands)
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
        run, pairs = None, None
        if not asked.resume and world.rank == 0:
            torch.set_num_threads(chosen.get("threads", Settings.threads))
            run, corpus = begin(asked.out, Settings(**chosen))
            pairs = Pairs.of(run, corpus)
            run.write(len(corpus))  # all files were read and are good
        world.wait()  # the others read what the first one has settled
        if run is None:
            run = load(asked.out)
            if asked.resume:
                same_choices(asked.out, run.settings, chosen)
            torch.set_num_threads(run.settings.threads)
            pairs = Pairs.of(run, run.read_again())
        training = Training(run, pairs, world, sys.stderr)
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


# --- with what was learned --------------------------------------------------------------------------------------------


def add_command(commands, name: str, run, text: str, more: str = "") -> argparse.ArgumentParser:
    """A command that uses a run."""
    description = f"{text[0].upper()}{text[1:]}. {more}"
    found = commands.add_parser(name, help=text, description=description)
    found.add_argument(
        "--run", dest="folder", type=Path, required=True, metavar="FOLDER", help="a run that was trained"
    )
    found.set_defaults(run=run)
    return found


def add_pairs(command: argparse.ArgumentParser) -> None:
    """The options that name sentence pairs."""
    command.add_argument("--pairs", type=Path, metavar="FILE", help="source, tab, target on each line")
    command.add_argument("--source", type=Path, metavar="FILE", help="one source sentence a line; needs --target")
    command.add_argument("--target", type=Path, metavar="FILE", help="its translation on the same line")


def add_beam(command: argparse.ArgumentParser) -> None:
    """The option that chooses the search."""
    text = "keep the N best beginnings; 1 takes the most probable word at each step (1)"
    command.add_argument("--beam", type=at_least(1), default=1, metavar="N", help=text)


def add_translate(commands) -> None:
    """The options of ``translate``."""
    text = "translate lines of text"
    more = "There is one line of output for each line of input, in the same order; an empty line stays empty."
    command = add_command(commands, "translate", run_translate, text, more)
    command.add_argument("--input", type=Path, metavar="FILE", help="what to translate (standard input)")
    command.add_argument("--output", type=Path, metavar="FILE", help="where to write (standard output)")
    add_beam(command)
    text = "write which source word each word looks at, as lines of 0-0 1-2: source word, word said, counted from 0"
    command.add_argument("--alignments", type=Path, metavar="FILE", help=text)
    text = "write a page that shows every sentence with its weights, for a browser; it needs no other file, and grows "
    text += "with each sentence, so give it some hundreds at most"
    command.add_argument("--html", type=Path, metavar="FILE", help=text)


def add_evaluate(commands) -> None:
    """The options of ``evaluate``."""
    text = "measure translations by BLEU and chrF"
    more = "With --gold, also measure the alignments of the given pairs by the alignment error rate."
    command = add_command(commands, "evaluate", run_evaluate, text, more)
    add_pairs(command)
    add_beam(command)
    text = "alignments by people: 0-0 (sure) and 0?0 (possible), a line for each pair; or NAACL's format"
    command.add_argument("--gold", type=Path, metavar="FILE", help=text)
    text = "the number of the first word in FILE (0; 1 in NAACL's format)"
    command.add_argument("--gold-from", type=int, choices=(0, 1), help=text)


def add_align(commands) -> None:
    """The options of ``align``."""
    text = "say which source word each word of given translations looks at"
    more = "There is one line of 0-0 1-2 for each pair: source word, target word, counted from 0."
    command = add_command(commands, "align", run_align, text, more)
    add_pairs(command)
    command.add_argument("--output", type=Path, metavar="FILE", help="where to write (standard output)")


def add_export(commands) -> None:
    """The options of ``export``."""
    text = "write the weights as the book's widgets read them"
    more = "They are rounded to float16. Only small models can travel: train with --width 16 --hidden 24, for example."
    command = add_command(commands, "export", run_export, text, more)
    command.add_argument("--out", type=Path, required=True, metavar="FILE", help="the JSON file to write")


def speaker(asked: argparse.Namespace) -> Speaker:
    """The best model of the run that was named."""
    run = load(asked.folder)
    torch.set_num_threads(run.settings.threads)
    return Speaker(run)


@contextmanager
def writer(path: Path | None) -> Iterator[Callable[[Iterable[str]], None]]:
    """A function that writes lines to standard output, or to a file that is there whole at the end or not at all."""
    with whole_or_standard(path) as file:
        yield lambda lines: file.write("".join(f"{line}\n" for line in lines).encode())
        file.flush()


def whole_or_standard(path: Path | None) -> AbstractContextManager[BinaryIO]:
    """Open what is written to; a device such as /dev/null cannot be replaced by a file."""
    if path is None:
        return nullcontext(sys.stdout.buffer)
    return open(path, "wb") if path.is_char_device() or path.is_fifo() else whole_file(path)


def warner(text: str, first: int = 1) -> Callable[[int], None]:
    """Say that a line is too long."""
    return lambda place: print(f"translate: line {first + place} {text}", file=sys.stderr)


def windows(things: Iterable) -> Iterator[tuple[int, list]]:
    """Cut things into lists of a thousand, each with the number of its first, counted from 1."""
    things, first = iter(things), 1
    while some := list(islice(things, AT_ONCE)):
        yield first, some
        first += len(some)


@contextmanager
def given_lines(path: Path | None) -> Iterator[Callable[[], Iterator[str]]]:
    """A function that reads the lines of a file, or of standard input, from their beginning; all were looked at."""
    with NamedTemporaryFile() as copy:
        name = path or "standard input"
        if path is None:
            shutil.copyfileobj(sys.stdin.buffer, copy)
            copy.flush()
        again = partial(readable, path or Path(copy.name), name)
        for _ in again():  # a bad line is named before anything is written
            pass
        yield again


def readable(path: Path, name: Path | str) -> Iterator[str]:
    """The lines of a file, or the error of the first bad one."""
    for _, line in lines(path, name):
        if isinstance(line, BadInputError):
            raise line
        yield line


def run_translate(asked: argparse.Namespace) -> None:
    """``translate``: a thousand lines at a time, so that any number of them can be translated."""
    who = speaker(asked)
    if asked.alignments or asked.html:
        who.looks_back()
    shown = []
    with given_lines(asked.input) as again, writer(asked.output) as say, ExitStack() as files:
        link = files.enter_context(writer(asked.alignments)) if asked.alignments else None
        for first, texts in windows(again()):
            warn = warner(f"is longer than {who.run.settings.longest} tokens; only its beginning is translated", first)
            said = who.translate(texts, asked.beam, warn)
            say(one.text for one in said)
            if link:
                link(pharaoh(one.links) for one in said)
            if asked.html:
                shown += zip(texts, said, strict=True)
        if asked.html:
            from .pages import page  # widgets are slow to import

            write_whole(asked.html, page([line for line, _ in shown], [one for _, one in shown]).encode())


def given_pairs(asked: argparse.Namespace) -> Callable[[], Iterator[tuple[str, str]]]:
    """A function that reads the sentence pairs of the files that were named; all were looked at."""
    files = Files(asked.pairs, asked.source, asked.target).check()
    again = partial(text_pairs, files, False, Counts(), hint="")
    for _ in again():  # a bad line is named before anything is written
        pass
    return again


def run_evaluate(asked: argparse.Namespace) -> None:
    """``evaluate``: translate the sources, and compare."""
    who, again = speaker(asked), given_pairs(asked)
    gold, links, found = None, [], Report()
    if asked.gold:
        who.looks_back()
        gold = read_gold(asked.gold, [tuple(len(line.split()) for line in pair) for pair in again()], asked.gold_from)
    longest = who.run.settings.longest
    for first, pairs in windows(again()):
        sources, wanted = map(list, zip(*pairs, strict=True))
        warn = warner(f"is longer than {longest} tokens; only its beginning is translated", first)
        found.add(sources, [one.text for one in who.translate(sources, asked.beam, warn)], wanted)
        if gold:
            warn = warner(f"is longer than {longest} tokens; it has no links", first)
            links += [one.links for one in who.align(pairs, warn)]
    print(found.text())
    if gold:
        found = agreement(links, gold)
        precision = f"precision {100 * found.precision:.1f} %, recall {100 * found.recall:.1f} %"
        print(f"AER\t{100 * found.error:.1f} %\t{precision}")


def run_align(asked: argparse.Namespace) -> None:
    """``align``: one line of links for each pair."""
    who, again = speaker(asked), given_pairs(asked)
    with writer(asked.output) as write:
        for first, pairs in windows(again()):
            warn = warner(f"is longer than {who.run.settings.longest} tokens; it has no links", first)
            write(pharaoh(one.links) for one in who.align(pairs, warn))


def run_export(asked: argparse.Namespace) -> None:
    """``export``: weights and words in one JSON file."""
    from ..widgets.base import pack  # not needed by the other commands, and slow to import

    who = speaker(asked)
    try:
        weights = pack({name: tensor.cpu() for name, tensor in who.model.state_dict().items()})
    except ValueError as error:
        raise BadInputError(str(error)) from error
    words = {f"{side}_words": list(known.words) for side, known in zip(SIDES, who.run.vocabularies, strict=True)}
    told = {"kind": type(who.model).__name__, **words, "weights": weights}
    write_whole(asked.out, json.dumps(told, ensure_ascii=False).encode())


if __name__ == "__main__":
    sys.exit(main())
