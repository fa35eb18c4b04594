"""The folder of a run: its settings, its vocabularies, what it has learned.

- ``settings.json``: every choice, and which corpus they belong to; written last, so a folder that has it is whole
- ``vocabulary.json``: the words of both languages in the order of their numbers
- ``source.pieces``, ``target.pieces``: sentencepiece's models, where words are cut into pieces
- ``last.safetensors``: the weights and the optimiser's state, from which training goes on
- ``best.safetensors``: the weights with the lowest loss on the held-out pairs
- ``history.csv``, ``history.png``: the losses of every epoch
"""

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from ..data.vocabulary import MARKS, Vocabulary
from ..recurrent import EncoderDecoder
from ..training import write_whole
from .corpus import Corpus, Counts, Files, Read, read, text_pairs
from .errors import BadInputError
from .settings import Settings
from .tokens import Cutter, Pieces, Spaces, Words

FORMAT = "weighing-attention run 1"
SIDES = ("source", "target")


@dataclass(frozen=True)
class Run:
    """A run that has begun: what its folder says of it, without what was learned."""

    folder: Path
    settings: Settings
    vocabularies: tuple[Vocabulary, Vocabulary]
    cutters: tuple[Cutter, Cutter]
    corpus: str  # the fingerprint of the corpus in numbers

    @property
    def identity(self) -> str:
        """A text that differs between runs."""
        told = [dataclasses.asdict(self.settings), self.corpus, *(words.words for words in self.vocabularies)]
        return hashlib.blake2b(json.dumps(told, sort_keys=True).encode(), digest_size=16).hexdigest()

    @property
    def training_files(self) -> Files:
        """Where the training pairs stand."""
        return Files(*(path and Path(path) for path in (getattr(self.settings, name) for name in Files._fields)))

    @property
    def valid_files(self) -> Files | None:
        """Where the pairs for validation stand, if they have files of their own."""
        paths = [path and Path(path) for path in (getattr(self.settings, f"valid_{name}") for name in Files._fields)]
        return Files(*paths) if any(paths) else None

    def build(self) -> EncoderDecoder:
        """The model with its first weights, the same at every call."""
        torch.manual_seed(self.settings.seed)
        model = self.settings.build(*map(len, self.vocabularies))
        return model.double() if self.settings.precision == "float64" else model

    def write(self, pairs: int) -> None:
        """Write the folder of a run that has so many sentence pairs."""
        for side, cutter in zip(SIDES, self.cutters, strict=True):
            if isinstance(cutter, Pieces):
                write_whole(self.folder / f"{side}.pieces", cutter.model)
        words = {side: known.words[len(MARKS) :] for side, known in zip(SIDES, self.vocabularies, strict=True)}
        write_whole(self.folder / "vocabulary.json", json.dumps(words, ensure_ascii=False).encode())
        told = {"format": FORMAT, "corpus": self.corpus, "pairs": pairs, "settings": dataclasses.asdict(self.settings)}
        write_whole(self.folder / "settings.json", (json.dumps(told, indent=1) + "\n").encode())

    def read(self, files: Files) -> Corpus:
        """Read sentence pairs in the numbers of this run."""
        settings = self.settings
        return read(files, self.cutters, settings.longest, lambda *_: self.vocabularies, settings.skip_bad).corpus

    def read_again(self) -> Corpus:
        """Read the training pairs, and make sure that they are still the same."""
        corpus = self.read(self.training_files)
        if corpus.fingerprint() != self.corpus:
            name = self.settings.pairs or f"{self.settings.source} or {self.settings.target}"
            raise BadInputError(f"{name} has changed since {self.folder} was begun: begin a new run in another folder")
        return corpus


def begin(folder: Path, settings: Settings) -> tuple[Run, Corpus]:
    """Read the corpus, and settle what was left open; nothing is written yet."""
    if folder.exists() and not folder.is_dir():
        raise BadInputError(f"{folder} is a file: name a folder for the run")
    if any((folder / name).exists() for name in ("settings.json", "last.safetensors", "best.safetensors")):
        raise BadInputError(f"{folder} holds a run already: go on with it by --resume, or name another folder")
    files = Files(*(path and Path(path) for path in (getattr(settings, name) for name in Files._fields))).check()
    cutters = cutters_for(settings, files)
    fitted = [settings]

    def choose(pairs, sides):
        fitted[0] = settings.fitted(pairs)
        return tuple(side.vocabulary(fitted[0].vocabulary, fitted[0].least) for side in sides)

    corpus, vocabularies = read(files, cutters, settings.longest, choose, settings.skip_bad)
    run = Run(folder, fitted[0], vocabularies, cutters, corpus.fingerprint())
    run.build()  # settings that build no model are refused
    return run, corpus


def cutters_for(settings: Settings, files: Files) -> tuple[Cutter, Cutter]:
    """How both sides are cut; pieces are learned from the files."""
    if settings.tokens != "pieces":
        kind = Spaces if settings.tokens == "spaces" else Words
        return kind(), kind()
    texts = [(pair[side] for pair in text_pairs(files, settings.skip_bad, Counts())) for side in (0, 1)]
    return tuple(Pieces.learn((line for line in lines if line.strip()), settings.vocabulary) for lines in texts)


def load(folder: Path) -> Run:
    """Read the folder of a run."""
    told = read_json(folder, "settings.json")
    if told.get("format") != FORMAT:
        raise BadInputError(f"{folder / 'settings.json'} was not written by this tool, or by another version of it")
    words = read_json(folder, "vocabulary.json")
    try:
        settings = Settings(**told["settings"])
        vocabularies = tuple(Vocabulary(words[side]) for side in SIDES)
        if settings.tokens == "pieces":
            cutters = tuple(Pieces((folder / f"{side}.pieces").read_bytes()) for side in SIDES)
        else:
            cutters = cutters_for(settings, Files())
        return Run(folder, settings, vocabularies, cutters, told["corpus"])
    except (TypeError, KeyError, ValueError, RuntimeError, FileNotFoundError) as error:
        raise BadInputError(f"{folder} holds no whole run ({error})") from error


def read_json(folder: Path, name: str) -> dict:
    """Read one of the run's files."""
    try:
        found = json.loads((folder / name).read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise BadInputError(f"{folder} holds no run: there is no {name} in it") from None
    except ValueError as error:
        raise BadInputError(f"{folder / name} is damaged ({error})") from error
    if not isinstance(found, dict):
        raise BadInputError(f"{folder / name} is damaged: it holds no settings")
    return found


# --- what was learned -------------------------------------------------------------------------------------------------


def write_tensors(path: Path, run: Run, tensors: dict[str, Tensor], **more: Any) -> None:
    """Write a checkpoint whole or not at all."""
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    metadata = {"format": FORMAT, "run": run.identity, "more": json.dumps(more)}
    write_whole(path, save(plain, metadata=metadata))


def read_tensors(path: Path, run: Run) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read a checkpoint of this run; one that is damaged, or another run's, is refused."""
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise BadInputError(f"{path} is damaged ({error}); nothing was changed") from error
    if metadata.get("format") != FORMAT or metadata.get("run") != run.identity:
        raise BadInputError(f"{path} belongs to another run than {run.folder / 'settings.json'}; nothing was changed")
    return tensors, json.loads(metadata["more"])


def learned(run: Run) -> EncoderDecoder:
    """The model with the best weights of the run."""
    path = run.folder / "best.safetensors"
    if not path.exists():
        raise BadInputError(f"{run.folder} has learned nothing yet: there is no {path.name}; go on with train --resume")
    model = run.build()
    model.load_state_dict(read_tensors(path, run)[0])
    return model.eval()


__all__ = ["Read", "Run", "begin", "learned", "load", "read_tensors", "write_tensors"]
