"""The glossary: every term is whole, and each chapter links it once, in running text."""

import re
import unicodedata
from itertools import pairwise

import pytest
import yaml

from tests.chapters import ROOT, numbered
from tests.sphinx_pages import build, extension

glossary = extension("glossary")
TERMS = glossary.read()

LIST = """
- {term: key, zh: 键, pinyin: jiàn, chapter: 02_bottleneck, variants: [keys],
   but_not: [Tab key], means: "What is *asked*."}
- {term: key cache, zh: 键缓存, pinyin: jiàn huǎncún, chapter: 02_bottleneck, means: Kept keys.}
- {term: soft key, zh: 软键, pinyin: ruǎn jiàn, chapter: 03_attention, means: "About $\\\\sqrt d$."}
"""
PAGE = """# Keys

```{warning}
A `key` is no link in code. [A key](index) is one already, and $key$ is maths.
```

## The key

| key |
| --- |
| key |

The Tab key is none, a key-ring neither, nor monkeys. **Keys** open. A key, then a soft key, and a
key cache. The key again.

````
key
````
"""


@pytest.fixture
def terms(tmp_path, monkeypatch):
    """The book's extension sees three terms."""
    path = tmp_path / "glossary.yml"
    path.write_text(LIST, encoding="utf-8")
    monkeypatch.setattr(glossary, "TERMS", path)
    return path


def build_pages(terms, page=PAGE, builder="html", **more):
    """A chapter, another page and the glossary."""
    pages = {
        "02_bottleneck.md": page,
        "03_attention.md": "# Other\n\nA soft key.\n",
        "words.md": "# Words\n\n```{terms}\n```\n",
        "notes.md": "# Notes\n\nA key.\n",
        "index.md": "# Book\n\n```{toctree}\n02_bottleneck\n03_attention\nwords\nnotes\n```\n",
        **more,
    }
    settings = {"myst_enable_extensions": ["dollarmath"], "suppress_warnings": ["myst.xref_missing"]}
    return build(terms.parent / "book", pages, builder, extensions=("glossary",), **settings)


def links(built, page):
    """The terms that a page links, with the words of the links."""
    return re.findall(r'<a class="[^"]*\bterm\b[^"]*" href="([^"]*)"[^>]*>(.*?)</a>', built.html(page), re.S)


# --- the links -------------------------------------------------------------------------------------------------------


def test_the_first_use_of_each_term_is_linked_and_nothing_else(terms):
    built = build_pages(terms)
    assert built.warnings == []
    assert links(built, "02_bottleneck") == [
        ("words.html#term-key", "Keys"),
        ("words.html#term-soft-key", "soft key"),
        ("words.html#term-key-cache", "key cache"),
    ]
    assert "<strong><a class" in built.html("02_bottleneck")
    assert links(built, "03_attention") == [("words.html#term-soft-key", "soft key")]
    assert links(built, "notes") == links(built, "words") == []


def test_a_term_may_be_cut_by_the_end_of_a_line(terms):
    built = build_pages(terms, "# Page\n\nThe Tab\nkey is none.\nA soft\nkey, and a *key\ncache*.\n\nThe key.\n")
    assert links(built, "02_bottleneck") == [
        ("words.html#term-soft-key", "soft\nkey"),
        ("words.html#term-key-cache", "key\ncache"),
        ("words.html#term-key", "key"),
    ]


def test_a_chapter_in_which_the_word_means_something_else_has_no_link(terms):
    terms.write_text(LIST.replace("{term: soft key,", "{term: soft key, not_in: [03_attention],"), encoding="utf-8")
    built = build_pages(terms)
    assert links(built, "03_attention") == [("words.html#term-key", "key")]
    assert len(links(built, "02_bottleneck")) == 3


def test_a_link_says_what_the_term_means(terms):
    page = build_pages(terms).html("02_bottleneck")
    assert 'title="What is asked."' in page
    assert 'title="About √d."' in page


@pytest.mark.parametrize(
    "apart",
    [
        "## The key",
        "`key`",
        "$key$",
        "```\nkey\n```",
        "[the key](index)",
        "| a |\n| --- |\n| key |",
        "```{figure} none.png\n:alt: a\n\nThe key.\n```",
        "```{admonition} The key\nText.\n```",
        "```{admonition} A\n:class: interview\nThe key.\n```",
        "```{admonition} A\n:class: check\nThe key.\n```",
        "monkey keyed key-ring Tab key",
    ],
)
def test_what_is_no_running_text_holds_no_link(terms, apart):
    built = build_pages(terms, f"# Page\n\n{apart}\n\nText.\n")
    assert links(built, "02_bottleneck") == []
    assert links(build_pages(terms, f"# Page\n\n{apart}\n\nA key.\n"), "02_bottleneck") != []


def test_on_one_page_for_all_each_chapter_has_its_links(terms):
    built = build_pages(terms, builder="singlehtml")
    assert [href.rpartition("#")[2] for href, _ in links(built, "index")] == [
        *("term-key", "term-soft-key", "term-key-cache", "term-soft-key")
    ]
    assert 'id="term-key"' in built.html("index")


def test_chapters_follow_the_terms(terms):
    build_pages(terms)
    assert build_pages(terms).read == []
    terms.write_text(LIST.replace("variants: [keys]", "variants: [text]"), encoding="utf-8")
    again = build_pages(terms)
    assert set(again.read) == {"02_bottleneck", "03_attention", "words"}
    assert links(again, "02_bottleneck")[0] == ("words.html#term-key", "key")


def test_the_glossary_shows_each_term_with_its_chapter(terms):
    built = build_pages(terms)
    page = built.html("words")
    assert '<span lang="zh">键</span> <span lang="zh-Latn">jiàn</span>' in page
    assert re.findall(r'<dt id="([^"]+)"', page) == ["term-key", "term-key-cache", "term-soft-key"]
    assert re.findall(r'href="#(term-[^"]+)">(.)</a>', page) == [("term-key", "K"), ("term-soft-key", "S")]
    assert "What is <em>asked</em>. <a" in page
    assert 'href="02_bottleneck.html"' in page
    assert "Chapter 2" in built.text("words")


# --- a wrong list ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("pinyin: jiàn,", "pinyin: '',", "'key' must have term, zh, pinyin, means, chapter; it lacks ['pinyin']"),
        ("zh: 键, ", "", "it lacks ['zh']"),
        ("chapter: 02", "colour: red, chapter: 02", "'key' must have"),
        ("term: soft key", "term: hard key", "must be sorted, but 'key' stands out of order"),
        ("variants: [keys]", "variants: [Key cache]", "'key cache' must belong to one term"),
        ("chapter: 03_attention", "chapter: 04_scores", "the chapter of 'soft key' is '04_scores'"),
    ],
)
def test_a_wrong_list_is_refused_by_the_term(terms, old, new, said):
    terms.write_text(LIST.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(glossary.GlossaryError) if "the chapter" not in said else pytest.MonkeyPatch.context() as raised:
        glossary.read(terms)
    if "the chapter" in said:
        assert any(said in line and "words.md:3" in line for line in build_pages(terms).warnings)
    else:
        assert said in str(raised.value)


# --- the book's list -------------------------------------------------------------------------------------------------


def forms():
    """Every form of every term, with the term."""
    return [(form, term) for term in TERMS for form in (term.term, *term.variants)]


def chapters():
    """The text of all chapters by their names."""
    names = [f"{number}_{stem}" for number, stem in numbered(ROOT)]
    return {name: (ROOT / "book" / f"{name}.md").read_text(encoding="utf-8") for name in names}


def test_the_terms_are_sorted_and_many():
    assert all(one.term.lower() < other.term.lower() for one, other in pairwise(TERMS))
    assert len(TERMS) > 70


def test_every_variant_is_used_in_a_chapter():
    text = " ".join(" ".join(chapters().values()).split())
    unused = [form for form, term in forms() if form != term.term and not re.search(_word(form), text)]
    assert unused == []


def _word(form):
    return rf"(?<![\w-])[{form[0].lower()}{form[0].upper()}]{re.escape(form[1:])}(?![\w-])"


def test_every_phrase_that_means_something_else_is_used_in_a_chapter():
    text = " ".join(" ".join(chapters().values()).split())
    phrases = [phrase for term in TERMS for phrase in term.but_not]
    assert [phrase for phrase in phrases if not re.search(_word(phrase), text)] == []


def test_every_chapter_in_which_a_word_means_something_else_has_the_word():
    pages = {name: " ".join(text.split()) for name, text in chapters().items()}
    absent = [
        (term.term, chapter)
        for term in TERMS
        for chapter in term.not_in
        if not any(re.search(_word(form), pages[chapter]) for form in (term.term, *term.variants))
    ]
    assert absent == []


def test_the_chapter_that_explains_a_term_uses_it():
    pages = {name: " ".join(text.split()) for name, text in chapters().items()}
    absent = [
        (term.term, term.chapter)
        for term in TERMS
        if not any(re.search(_word(form), pages[term.chapter]) for form in (term.term, *term.variants))
    ]
    assert absent == []


def test_a_term_has_chinese_letters_and_one_syllable_of_pinyin_for_each():
    wrong = []
    for term in TERMS:
        letters = re.findall(r"[\u4e00-\u9fff]", term.zh)
        latin = re.findall(r"[A-Za-z][\w-]*", term.zh)
        spoken = term.pinyin
        for word in latin:
            spoken = spoken.replace(word, "", 1)
        if not letters or syllables(spoken) != len(letters):
            wrong.append((term.term, term.zh, term.pinyin))
    assert wrong == []


def syllables(pinyin):
    """How many syllables: groups of vowels, where a second tone mark or an apostrophe begins another."""
    plain = unicodedata.normalize("NFD", pinyin.lower()).replace("u\u0308", "v")
    groups = re.findall(r"(?:[aeiouv][\u0300\u0301\u0304\u030c]?)+", plain)
    return len(groups)


def test_only_letters_and_tone_marks_stand_in_the_pinyin():
    marks = set("āáǎàēéěèīíǐìōóǒòūúǔùǖǘǚǜ")
    strange = {letter for term in TERMS for letter in term.pinyin if not letter.isascii()} - marks
    assert strange == set()
    assert [term.pinyin for term in TERMS if unicodedata.normalize("NFC", term.pinyin) != term.pinyin] == []


def test_definitions_are_one_sentence():
    wrong = [term.means for term in TERMS if not re.fullmatch(r"[^.]*(\.\d[^.]*)*\.", term.means)]
    assert wrong == []


def test_the_file_names_no_field_twice():
    text = (ROOT / "book" / "glossary.yml").read_text(encoding="utf-8")
    assert len(yaml.safe_load(text)) == text.count("term: ") - text.count("# term: ")
