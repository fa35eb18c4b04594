"""What every widget of the book shares: its JavaScript and CSS, its state, and trained weights that travel.

A widget is one Python class and one ``.js`` file of the same name in this folder; ``core.js`` holds the maths and the
drawing helpers that they share. The same file runs in JupyterLab, where its traits sync with Python, and in the
published page, where no kernel exists.
"""

import base64
import copy
import importlib
import io
import json
from collections.abc import Mapping

import anywidget
import numpy as np
import torch
import traitlets
from torch import nn

from attention_src import plots
from attention_src.widgets import HERE, IMPORT, parts

MAX_PARAMETERS = 150_000
MAX_BYTES = 400 * 1024  # of base64 text, two bytes a parameter before encoding
_NOT_STATE = {"layout", "tabbable", "tooltip"}  # what ipywidgets adds to every widget


def script(name: str) -> str:
    """The whole text of widget ``name``: the files that it imports, then its own, without the imports.

    An anywidget module is loaded from a blob and cannot import its neighbours, so they are joined.
    """
    return "".join(IMPORT.sub("", (HERE / f"{part}.js").read_text("utf-8")) for part in parts(name))


def style(name: str) -> str:
    """The CSS of widget ``name``: that of each file that it joins, where there is one."""
    files = [HERE / f"{part}.css" for part in parts(name)]
    return "".join(file.read_text("utf-8") for file in files if file.exists())


def tokens() -> str:
    """CSS variables ``--wa-…`` for JupyterLab, light and dark, from the book's palette (the pages have their own)."""
    colours = plots.PALETTE

    def block(selector, theme):
        names = colours[theme] | {f"weight-{i}": colour for i, colour in enumerate(colours["weights"][theme])}
        return selector + " {" + "".join(f" --wa-{name}: {colour};" for name, colour in names.items()) + " }\n"

    return block(".wa-widget", "light") + block('[data-jp-theme-light="false"] .wa-widget', "dark")


def pack(tensors: Mapping[str, object]) -> dict:
    """Store named tensors (a ``state_dict``) as ``{"tensors": [[name, shape], …], "data": base64 of float16}``."""
    arrays = {name: np.asarray(tensor, dtype=np.float32) for name, tensor in tensors.items()}
    count = sum(array.size for array in arrays.values())
    if count > MAX_PARAMETERS:
        raise ValueError(
            f"a widget's model must have at most {MAX_PARAMETERS:,} parameters so that a page loads fast; "
            f"this one has {count:,}. Train a smaller one for the widget."
        )
    for name, array in arrays.items():
        if not (np.abs(array) < 65504).all():  # also finds NaN
            raise ValueError(f"tensor {name!r} must hold numbers that float16 can store, below 65504; it does not")
    flat = np.concatenate([array.astype("<f2").ravel() for array in arrays.values()]) if arrays else np.zeros(0, "<f2")
    data = base64.b64encode(flat.tobytes()).decode("ascii")
    if len(data) > MAX_BYTES:
        raise ValueError(f"a widget's weights must take at most {MAX_BYTES:,} bytes as text; these take {len(data):,}")
    return {"tensors": [[name, list(array.shape)] for name, array in arrays.items()], "data": data}


def unpack(weights: Mapping) -> dict[str, np.ndarray]:
    """The named float32 arrays in ``weights``, rounded to float16 as the page sees them."""
    flat = np.frombuffer(base64.b64decode(weights["data"]), "<f2").astype(np.float32)
    sizes = [int(np.prod(shape)) for _, shape in weights["tensors"]]
    if sum(sizes) != flat.size:
        raise ValueError(f"weights must hold {sum(sizes)} numbers for the shapes they name; they hold {flat.size}")
    pieces = np.split(flat, np.cumsum(sizes))[:-1]
    return {name: piece.reshape(shape) for (name, shape), piece in zip(weights["tensors"], pieces, strict=True)}


def rounded(model: nn.Module, weights: dict) -> nn.Module:
    """A copy of ``model`` with the weights that travel: float16 numbers, computed with in float32."""
    twin = copy.deepcopy(model).float().eval()
    twin.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in unpack(weights).items()})
    return twin


class Widget(anywidget.AnyWidget):
    """Base of the book's widgets: a subclass names its traits, and its ``.js`` and ``.css`` lie beside its module.

    A subclass checks its state in ``__init__`` with clear errors, draws its static picture in ``still`` and says in
    ``summary`` what that picture shows (it becomes the alt text).
    """

    _esm = traitlets.Unicode().tag(sync=True)
    _css = traitlets.Unicode().tag(sync=True)

    @traitlets.default("_esm")
    def _joined_script(self):
        return script(self.name())

    @traitlets.default("_css")
    def _joined_style(self):
        return tokens() + style(self.name())

    @classmethod
    def name(cls) -> str:
        """The widget's name: its module's, and that of its ``.js`` file."""
        return cls.__module__.rpartition(".")[2]

    def state(self) -> dict:
        """What the published page needs to mount the widget: its synced traits, as JSON."""
        names = [name for name in self.traits(sync=True) if not name.startswith("_") and name not in _NOT_STATE]
        return json.loads(json.dumps({name: getattr(self, name) for name in sorted(names)}))

    def still(self):
        """A matplotlib figure that shows the widget's state, for print and for pages without JavaScript."""
        raise NotImplementedError(f"{type(self).__name__} needs a still(): the picture for print")

    def summary(self) -> str:
        """One sentence that says what the still picture shows."""
        raise NotImplementedError(f"{type(self).__name__} needs a summary(): the alt text of its picture")

    def picture(self) -> bytes:
        """The still picture as a PNG, the same bytes for the same state."""
        file = io.BytesIO()
        self.still().savefig(file, format="png", dpi=144, bbox_inches="tight", metadata={"Software": None})
        return file.getvalue()

    def _repr_mimebundle_(self, **kwargs) -> tuple[dict, dict]:
        """The live widget, and its picture for viewers that cannot run it."""
        data, metadata = super()._repr_mimebundle_(**kwargs)
        return data | {"image/png": base64.b64encode(self.picture()).decode("ascii")}, metadata

    def __repr__(self) -> str:
        """No address: a notebook's text output stays the same from run to run."""
        return f"{type(self).__name__}: {self.summary()}"


def names() -> list[str]:
    """The names of all widgets: those of the ``.js`` files that have a module beside them."""
    return sorted(file.stem for file in HERE.glob("*.js") if file.with_suffix(".py").exists())


def widget_class(name: str) -> type[Widget]:
    """The class of widget ``name``, from the module of that name in this folder."""
    known = names()
    if name not in known:
        raise ValueError(f"there is no widget {name!r}; the book has: {', '.join(known)}")
    module = importlib.import_module(f"{__package__}.{name}")
    kinds = [thing for thing in vars(module).values() if isinstance(thing, type) and issubclass(thing, Widget)]
    found = [kind for kind in kinds if kind.__module__ == module.__name__]
    if len(found) != 1:
        raise TypeError(f"{module.__name__} must define exactly one widget class; it defines {len(found)}")
    return found[0]
