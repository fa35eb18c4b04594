"""What lets others find, share and run the book: on every page of the built site, and in small books."""

import json
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from xml.etree import ElementTree

import pytest
import yaml
from PIL import Image
from sphinx.util.inventory import InventoryFile

from tests.browser import ROOT, SITE, settle, watch
from tests.sphinx_pages import build, extension
from tools import previews

sharing = extension("sharing")
HOME = sharing.home(yaml.safe_load((ROOT / "_config.yml").read_text("utf-8")), {})


# --- every page of the book ------------------------------------------------------------------------------------------


class Head(HTMLParser):
    """The title of a page, its meta tags and links by name, and the addresses that it links to."""

    def __init__(self, text: str):
        super().__init__()
        self.meta: dict[str, str] = {}
        self.links: dict[str, str] = {}
        self.targets: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        """Note one tag."""
        given = dict(attributes)
        if tag == "meta" and (name := given.get("name") or given.get("property")):
            assert name not in self.meta, f"{name} stands twice"
            self.meta[name] = given["content"]
        elif tag == "link":
            self.links[given["rel"]] = given["href"]
        elif tag == "a" and "href" in given:
            self.targets.append(given["href"])


@pytest.fixture(scope="module")
def heads() -> dict[str, Head]:
    """The heads of all pages by their names."""
    names = [path.relative_to(SITE) for path in SITE.rglob("*.html") if "_static" not in path.parts]
    pages = {path.with_suffix("").as_posix(): Head((SITE / path).read_text("utf-8")) for path in names}
    del pages["index"]  # leads to the front page
    return pages


def test_every_page_has_a_description_of_its_own(heads):
    said = {name: head.meta["description"] for name, head in heads.items()}
    assert {name: text for name, text in said.items() if not 50 <= len(text) <= 160} == {}
    twice = [name for name, text in said.items() if list(said.values()).count(text) > 1]
    assert twice == []
    assert [name for name, text in said.items() if re.search(r"[\\{}`\0<>]|\$\w", text)] == []


def test_a_chapter_is_described_by_its_question(heads):
    question = "A translator may look back at the source at every step. With what does it ask, what does it compare"
    assert heads["book/05_bahdanau"].meta["description"].startswith(question)


def test_every_page_can_be_shared(heads):
    for name, head in heads.items():
        address = f"{HOME.site}{name}.html"
        assert head.links["canonical"] == head.meta["og:url"] == address
        assert head.meta["og:title"] == head.meta["twitter:title"] != ""
        assert head.meta["og:description"] == head.meta["twitter:description"] == head.meta["description"]
        assert head.meta["og:image"] == head.meta["twitter:image"]
        assert head.meta["og:image"].startswith(HOME.site)
        picture = SITE / head.meta["og:image"].removeprefix(HOME.site)
        size = int(head.meta["og:image:width"]), int(head.meta["og:image:height"])
        with Image.open(picture) as opened:
            assert opened.size == size == sharing.SIZE, name
        assert head.meta["twitter:card"] == "summary_large_image"


def test_a_chapter_and_its_notebook_show_the_chapters_picture(heads):
    for name in ("book/05_bahdanau", "notebooks/05_bahdanau"):
        assert heads[name].meta["og:image"].endswith("/previews/05_bahdanau.png")
    assert heads["book/notation"].meta["og:image"].endswith("/previews/book.png")


def test_every_page_asks_what_is_wrong_with_it(heads):
    for name, head in heads.items():
        (target,) = [target for target in head.targets if "/issues/new" in target]
        asked = parse_qs(urlsplit(target).query)
        assert asked["title"] == [f"{head.meta['og:title']}: "]
        assert asked["body"][0].endswith(f"Page: {HOME.site}{name}.html")


def test_search_engines_get_a_map_of_all_pages_but_the_search(heads):
    root = ElementTree.parse(SITE / "sitemap.xml").getroot()
    mapped = {place.text for place in root.iter("{http://www.sitemaps.org/schemas/sitemap/0.9}loc")}
    written = {f"{HOME.site}{name}.html" for name in heads if not name.startswith(("_modules", "genindex", "search"))}
    assert mapped == written
    assert f"Sitemap: {HOME.site}sitemap.xml" in (SITE / "robots.txt").read_text()
    assert [name for name, head in heads.items() if "noindex" in head.meta.get("robots", "")] == ["search"]


def test_each_lab_can_be_had_and_opened(heads):
    labs = {name: head for name, head in heads.items() if name.startswith("notebooks/")}
    assert len(labs) == len(list((ROOT / "notebooks").glob("*.ipynb")))
    for name, head in labs.items():
        file = f"{name}.ipynb"
        assert f"{Path(file).name}" in head.targets
        assert (SITE / file).read_bytes() == (ROOT / file).read_bytes()
        assert (
            f"https://mybinder.org/v2/gh/{HOME.owner_and_name}/main?labpath={file.replace('/', '%2F')}" in head.targets
        )
        assert f"https://colab.research.google.com/github/{HOME.owner_and_name}/blob/main/{file}" in head.targets
    assert "labpath" not in (SITE / "book/05_bahdanau.html").read_text("utf-8")


def test_the_download_works_where_the_site_lies(browser, site):
    page = browser.new_page()
    record = watch(page)
    page.goto(site + "notebooks/05_bahdanau.html")
    settle(page)
    with page.expect_download() as waiting:
        page.click("text=Download this notebook")
    assert json.loads(Path(waiting.value.path()).read_text("utf-8"))["nbformat"] == 4
    assert waiting.value.suggested_filename == "05_bahdanau.ipynb"
    assert record.problems(site) == []
    page.close()


def test_others_can_link_to_the_code():
    with (SITE / "objects.inv").open("rb") as file:
        names = InventoryFile.load(file, HOME.site, lambda *parts: "".join(parts))
    assert names["py:function"]["attention_src.attention.attend"][2].startswith(f"{HOME.site}book/api/shared.html#")
    page = (SITE / "book/api.html").read_text("utf-8")
    assert HOME.site in page[page.index("intersphinx_mapping") :]


# --- the pictures ----------------------------------------------------------------------------------------------------


def test_the_previews_show_the_pages_as_they_are():
    assert previews.stale() == [], f"run {sys.executable} -m tools.previews"
    assert [path.name for path in previews.PREVIEWS.iterdir() if path.stat().st_size > 60_000] == []


def test_a_preview_of_an_old_page_is_noticed(tmp_path, monkeypatch):
    for path in previews.PREVIEWS.glob("*.png"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    monkeypatch.setattr(previews, "PREVIEWS", tmp_path)
    (tmp_path / "05_bahdanau.png").write_bytes((tmp_path / "06_luong.png").read_bytes())
    (tmp_path / "99_gone.png").write_bytes((tmp_path / "book.png").read_bytes())
    (tmp_path / "book.png").unlink()
    assert previews.stale() == ["05_bahdanau", "99_gone", "book"]


# --- one setting -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "site"),
    [
        ("https://github.com/Ann/book", "https://ann.github.io/book/"),
        ("https://github.com/ann/book.git", "https://ann.github.io/book/"),
        ("https://github.com/ann/ann.github.io/", "https://ann.github.io/"),
        ("", ""),
        (None, ""),
    ],
)
def test_the_site_follows_from_the_repository(url, site):
    assert sharing.home({"repository": {"url": url}}, {}).site == site


def test_the_site_may_lie_elsewhere():
    found = sharing.home({"repository": {"url": "https://github.com/a/b"}, "html": {"baseurl": "https://a.org"}}, {})
    assert found == sharing.Home("https://github.com/a/b", "main", "https://a.org/")


def test_the_workflow_publishes_under_the_repositorys_own_address():
    given = {"BOOK_REPOSITORY": "https://github.com/bob/fork"}
    assert sharing.home({"repository": {"url": "https://github.com/a/b"}}, given).site == "https://bob.github.io/fork/"
    assert "BOOK_REPOSITORY" in (ROOT / ".github/workflows/publish.yml").read_text()


def test_an_address_of_another_kind_is_refused_with_words():
    with pytest.raises(ValueError, match=r"must be https://github.com/OWNER/NAME or empty, not 'ann/book'"):
        sharing.home({"repository": {"url": "ann/book"}}, {})


LAB = json.dumps({"cells": [{"cell_type": "markdown", "id": "a", "metadata": {}, "source": "# A lab\n\nText of it."}],
                  "metadata": {}, "nbformat": 4, "nbformat_minor": 5})  # fmt: skip
SMALL = {
    "index.md": "# Book\n\nA book that holds {math}`x`. This sentence is what a search engine shows of it.\n\n"
    "```{addressed} sh\ngit clone REPOSITORY\n```\n\n```{toctree}\nnotebooks/01_lab\nbook/run\n```\n",
    "notebooks/01_lab.ipynb": LAB,
    "book/run.md": "# Run\n\nHow to run.\n",
    "templates/layout.html": (ROOT / "book/_templates/layout.html").read_text("utf-8"),
    "templates/wordmark.svg": "",
}


def small(folder: Path, url: str):
    """A book of three pages, with the frame of the real one, that lives at ``url``."""
    settings = f"repository: {{url: '{url}'}}\n"
    pages = {**SMALL, "_config.yml": settings, "conf.py": ""}
    return build(folder, pages, extensions=("sharing",), templates_path=["templates"], mathjax_path="x")


def test_a_book_without_an_address_names_none(tmp_path):
    built = small(tmp_path, "")
    text = built.html("index") + built.html("notebooks/01_lab")
    assert "http" not in text
    assert 'content="This sentence is what a search engine shows of it."' in text
    assert "git clone REPOSITORY" in built.text("index")
    assert 'href="01_lab.ipynb" download' in text
    assert not (built.folder / "sitemap.xml").exists()
    assert (built.folder / "robots.txt").read_text() == "User-agent: *\nAllow: /\n"
    assert built.warnings == []


def test_one_line_gives_a_book_its_addresses(tmp_path):
    small(tmp_path, "")
    built = small(tmp_path, "https://github.com/ann/book")
    assert 'rel="canonical" href="https://ann.github.io/book/index.html"' in built.html("index")
    assert "git clone https://github.com/ann/book" in built.text("index")
    assert "mybinder.org/v2/gh/ann/book/main" in built.html("notebooks/01_lab")
    assert "https://ann.github.io/book/notebooks/01_lab.html" in (built.folder / "sitemap.xml").read_text()


def test_descriptions_are_whole_sentences_if_they_can_be():
    short, long = "A short one.", "A long one that goes on and on, until it is long enough to stand alone in a list."
    assert sharing.shortened([long, long]) == long
    assert sharing.shortened([short, long, long]) == f"{short} {long}"
    cut = sharing.shortened([f"{'word ' * 50}end."])
    assert len(cut) <= 160
    assert cut.endswith("word …")


# --- elsewhere -------------------------------------------------------------------------------------------------------


def test_binder_installs_the_package_where_it_lies():
    lines = (ROOT / ".binder/requirements.txt").read_text().splitlines()
    assert {"-e .", "-c ../constraints.txt"} <= set(lines)
    assert re.fullmatch(r"python-3\.\d+\n", (ROOT / ".binder/runtime.txt").read_text())


def test_the_first_cell_for_colab_finds_the_code_beside_the_notebook(tmp_path):
    text = (ROOT / "book/run.md").read_text("utf-8")
    cell = re.search(r"\{addressed\} ipython3\n(.*?)```", text, re.DOTALL)[1]
    python = "\n".join(line for line in cell.splitlines() if not line.startswith("!")).replace("NAME", "clone")
    (tmp_path / "clone/book/models").mkdir(parents=True)  # what the first line of the cell makes
    shutil.copytree(ROOT / "attention_src", tmp_path / "clone/attention_src")
    program = f"{python}\nimport attention_src.experiments as e\nprint(e.Places().models.is_dir(), e.__file__)"
    said = subprocess.run(
        [sys.executable, "-m", "IPython", "--no-banner", "--quick", "-c", program],
        **{"cwd": tmp_path, "capture_output": True, "text": True},
        env={"PYTHONPATH": "", "HOME": str(tmp_path)},
    )
    assert f"True {tmp_path}/clone/attention_src" in said.stdout, said.stderr
