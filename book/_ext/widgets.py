"""Live widgets in the published pages: the ``{widget}`` directive for prose, and the widgets that notebooks stored.

Both become the same figure: a still picture, and beside it the names of the widget's script and state, which
``widget-host.js`` loads and mounts. Scripts and states are files under ``_static/widgets``, each once for the book.
"""

import hashlib
import html
import importlib
import json
import re
import sys
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.util.docutils import SphinxDirective

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [] if str(ROOT) in sys.path else [str(ROOT)]

from figures import inline_svg  # noqa: E402 (found through the line above)

from attention_src.widgets import parts  # noqa: E402

SCRIPTS = ROOT / "attention_src" / "widgets"
HOST = Path(__file__).with_name("widget-host.js")
PACKAGE = "attention_src.widgets."
VIEW = "application/vnd.jupyter.widget-view+json"
NOTE = "This is a still picture. The live figure needs JavaScript."
KERNEL_NOTE = "This control runs Python code: open the notebook in JupyterLab to use it."
NOT_STATE = {"layout", "tabbable", "tooltip"}


# --- one figure ------------------------------------------------------------------------------------------------------


def remember(env, docname: str, name: str, state: dict) -> str:
    """Keep a widget's state for the page ``docname``; return the name of the file it will be written to."""
    text = json.dumps(state, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    key = f"state-{hashlib.sha256(text.encode()).hexdigest()[:16]}"
    page = pages(env).setdefault(docname, {"widgets": [], "states": {}})
    page["widgets"].append(name)
    page["states"][key] = text
    files = [SCRIPTS / f"{part}.{kind}" for part in parts(name) for kind in ("js", "css")]
    for file in (*files, HOST):
        if file.exists():
            env.note_dependency(str(file))
    return key


def figure(env, docname: str, name: str, state: dict, still: list[nodes.Node], model: str = "") -> nodes.Element:
    """The figure of one widget: its still picture, to be replaced by the live one."""
    key = remember(env, docname, name, state)
    count = pages(env)[docname]["widgets"].count(name)
    identity = f"widget-{name}" + (f"-{count}" if count > 1 else "")
    shared = f' data-model="{html.escape(model)}"' if model else ""
    box = nodes.container(is_div=True, classes=["wa-figure"])
    data = f'data-widget="{name}" data-state="{key}"{shared}'
    box += raw(f'<figure class="wa-live" id="{identity}" {data}><div class="wa-still">')
    box += still
    box += raw(f'<p class="wa-note">{NOTE}</p></div></figure>')
    return box


def raw(text: str) -> nodes.raw:
    """Return HTML that goes to the page as it is."""
    return nodes.raw("", text, format="html")


# --- prose pages -----------------------------------------------------------------------------------------------------


class WidgetDirective(SphinxDirective):
    """``{widget} name`` with ``:state: package.module:function`` or a JSON file, which give the widget's arguments.

    ``:fallback:`` names an SVG or PNG to show instead of the picture that the widget draws of itself, and ``:alt:``
    says what it shows, instead of the widget's own summary.
    """

    required_arguments = 1
    option_spec = {  # noqa: RUF012 (docutils reads it from the class)
        "state": directives.unchanged_required,
        "fallback": directives.path,
        "alt": directives.unchanged_required,
    }

    def run(self):
        """Return the widget's figure."""
        name = self.arguments[0]
        try:
            widget = self.build(name)
            alt = self.options.get("alt") or widget.summary()
            return [figure(self.env, self.env.docname, name, widget.state(), self.still(widget, alt))]
        except Exception as error:  # whatever stops a widget must stop the build, with the page and line
            raise self.error(f"widget {name!r}: {type(error).__name__}: {error}") from error

    def build(self, name: str):
        """Make the widget whose state the page shall carry."""
        from attention_src.widgets import base

        kind = base.widget_class(name)
        self.note(sys.modules[kind.__module__].__file__)
        source = self.options.get("state", "")
        if source.endswith(".json"):
            _, path = self.env.relfn2path(source)
            self.note(path)
            return kind(**json.loads(Path(path).read_text("utf-8")))
        module, _, function = source.partition(":")
        if not function:
            raise ValueError(f"state must be 'package.module:function' or a file.json, but is {source!r}")
        found = importlib.import_module(module)
        for file in (found.__file__, *ROOT.glob("book/models/*")):
            self.note(file)
        arguments = getattr(found, function)()
        if not isinstance(arguments, dict):
            raise TypeError(f"{source} must give a dict of the widget's arguments, not a {type(arguments).__name__}")
        return kind(**arguments)

    def note(self, path) -> None:
        """Read this page again when the file at ``path`` has changed."""
        self.env.note_dependency(str(path))

    def still(self, widget, alt: str) -> list[nodes.Node]:
        """The picture to show without JavaScript, in print, and when the widget fails."""
        if "fallback" not in self.options:
            from attention_src import plots

            return [self.drawn(plots.to_svg(widget.still()), alt)]
        relative, path = self.env.relfn2path(self.options["fallback"])
        if path.endswith(".svg"):
            self.note(path)
            return [self.drawn(Path(path).read_text("utf-8"), alt)]
        return [nodes.image(uri="/" + relative, alt=alt)]

    def drawn(self, svg: str, alt: str) -> nodes.raw:
        """An SVG picture as part of the page, named for screen readers, in colours that follow the theme."""
        count = self.env.new_serialno("still")
        return raw(inline_svg(svg, nodes.make_id(f"still {self.env.docname} {count}"), alt, foreign=True))


# --- notebooks -------------------------------------------------------------------------------------------------------


def mount_stored(app, doctree) -> None:
    """Turn the widgets that a notebook stored into figures; drop what myst-nb would load to show them."""
    env, docname = app.env, app.env.docname
    scripts = getattr(env, "nb_metadata", {}).get(docname, {}).get("js_files", {})
    stored = scripts.get("ipywidgets_state")
    for key in [key for key in scripts if key.startswith("ipywidgets_")]:
        del scripts[key]
    models = json.loads(stored[1]["body"]) if stored else {"state": {}}
    for bundle in list(doctree.findall(nodes.container)):
        if bundle.get("nb_element") != "mime_bundle":
            continue
        parts = {part.get("mime_type"): part for part in bundle.children}
        if VIEW in parts:
            view = re.search(r'"model_id": "(\w+)"', parts[VIEW].astext())
            parts[VIEW].children = []
            parts[VIEW] += view_nodes(env, docname, view[1] if view else "", models["state"], parts)


def view_nodes(env, docname: str, identity: str, models: dict, parts: dict) -> list[nodes.Node]:
    """What stands where a notebook shows a widget: the book's live figure, or a picture or a sentence for others."""
    model = models.get(identity, {}).get("state", {})
    pictures = [picture.deepcopy() for part in parts.values() for picture in part.findall(nodes.image)]
    kind = model.get("_anywidget_id", "")
    if not kind.startswith(PACKAGE):
        return pictures or [raw(f'<p class="wa-note">{KERNEL_NOTE}</p>')]
    text = parts["text/plain"].astext() if "text/plain" in parts else ""
    for picture in pictures:
        picture["alt"] = text.partition(": ")[2] or text
    state = {key: value for key, value in model.items() if not key.startswith("_") and key not in NOT_STATE}
    return [figure(env, docname, kind.removeprefix(PACKAGE).partition(".")[0], state, pictures, identity)]


# --- files and pages -------------------------------------------------------------------------------------------------


def pages(env) -> dict:
    """The pages with widgets: ``{docname: {"widgets": [name, …], "states": {key: JSON text}}}``."""
    if not hasattr(env, "wa_widgets"):
        env.wa_widgets = {}
    return env.wa_widgets


def forget(app, env, docname: str) -> None:
    """Drop what is known of a page that will be read again, or is gone."""
    pages(env).pop(docname, None)


def merge(app, env, docnames, other) -> None:
    """Take over what another process read."""
    pages(env).update({name: page for name, page in pages(other).items() if name in docnames})


def link_files(app, pagename, templatename, context, doctree) -> None:
    """Load the host and the styles on pages that have widgets, and only there."""
    names = list(pages(app.env)) if app.builder.name == "singlehtml" else [pagename]
    widgets = sorted({name for page in names for name in pages(app.env).get(page, {"widgets": []})["widgets"]})
    if widgets and doctree is not None:
        app.add_js_file("widgets/host.js", loading_method="async")
        for name in dict.fromkeys(part for widget in widgets for part in parts(widget)):
            if (SCRIPTS / f"{name}.css").exists():
                app.add_css_file(f"widgets/{name}.css")


def write_files(app, error) -> None:
    """Write the host, the scripts and styles of the widgets in use, and their states."""
    if error or app.builder.format != "html" or not pages(app.env):
        return
    folder = Path(app.outdir) / "_static" / "widgets"
    folder.mkdir(parents=True, exist_ok=True)
    files = {"host.js": HOST.read_text("utf-8")}
    shown = {widget for page in pages(app.env).values() for widget in page["widgets"]}
    for name in {part for widget in shown for part in parts(widget)}:
        files[f"{name}.js"] = registered(name, json.dumps((SCRIPTS / f"{name}.js").read_text("utf-8")))
        if (SCRIPTS / f"{name}.css").exists():
            files[f"{name}.css"] = (SCRIPTS / f"{name}.css").read_text("utf-8")
    for page in pages(app.env).values():
        files |= {f"{key}.js": registered(key, text) for key, text in page["states"].items()}
    for name, text in files.items():
        if not (folder / name).exists() or (folder / name).read_text("utf-8") != text:
            (folder / name).write_text(text, "utf-8")
    for old in folder.glob("*"):
        if old.name not in files:
            old.unlink()


def registered(name: str, value: str) -> str:
    """A script that hands ``value`` to the host under ``name``; unlike JSON it loads from file:// too."""
    return f"weighing({json.dumps(name)}, {value});\n"


def setup(app):
    """Connect the extension."""
    app.add_directive("widget", WidgetDirective)
    app.connect("env-purge-doc", forget)
    app.connect("env-merge-info", merge)
    app.connect("doctree-read", mount_stored, priority=400)  # before Sphinx collects the pictures
    app.connect("html-page-context", link_files)
    app.connect("build-finished", write_files)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True, "env_version": 1}
