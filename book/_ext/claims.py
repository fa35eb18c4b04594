"""The ledger of claims: what the five notes say, a verdict on it, and the evidence.

``{claims}`` lists the claims that its chapter settles, ``{ledger}`` all of them with their evidence and their place in
the notes. Both read ``book/claims.yml``, whose head says how a claim is written down.
"""

import html
from collections import Counter
from dataclasses import dataclass, fields
from pathlib import Path
from typing import ClassVar

import yaml
from docutils import nodes
from results import FOLDER, SPACE, seeds_of
from sphinx import addnodes
from sphinx.util.docutils import SphinxDirective
from sphinx.util.nodes import make_refnode

from attention_src.experiments import ROOT
from attention_src.experiments.results import ResultsError, load

LEDGER = ROOT / "book" / "claims.yml"
PLAN = ROOT / "book" / "plan.yml"
VERDICTS = {
    "holds": "Holds",
    "condition": "Holds under a condition",
    "fails": "Does not hold",
    "naming": "A matter of naming",
}
KINDS = {"test", "rule", "cell", "cite"}
PLACE = "place of the book"
ABOVE = (
    "Sentences that one reads in notes on attention, and what this chapter found. "
    "{doc}`All of them, with their evidence </book/claims>`, stand on one page."
)


class ClaimsError(ValueError):
    """A ledger that cannot be read as one."""


@dataclass(frozen=True)
class Claim:
    """One claim, as the ledger has it."""

    id: str
    claim: str
    place: dict[str, str]  # a note's name -> words by which the claim is found in it
    chapter: str
    verdict: str
    why: str
    evidence: list[dict]


@dataclass(frozen=True)
class Ledger:
    """All claims, and the notes that make them."""

    notes: dict[str, dict[str, str]]
    claims: list[Claim]


def read(path: Path = LEDGER) -> Ledger:
    """The ledger in ``path``; a claim with a wrong field is refused by its id."""
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    return Ledger(content["notes"], [_claim(entry, content["notes"]) for entry in content["claims"]])


def _claim(entry, notes):
    name, wanted = entry.get("id", entry), {field.name for field in fields(Claim)}
    if set(entry) != wanted:
        raise ClaimsError(f"claim {name} must have the fields {sorted(wanted)}, but it has {sorted(entry)}")
    if entry["verdict"] not in VERDICTS:
        raise ClaimsError(f"the verdict of {name} must be one of {list(VERDICTS)}, but it is {entry['verdict']!r}")
    if unknown := sorted(set(entry["place"]) - set(notes)):
        raise ClaimsError(f"the place of {name} must name notes of {list(notes)}, but it names {unknown}")
    for piece in entry["evidence"]:
        if len(KINDS & set(piece)) != 1 or set(piece) - KINDS - {"held"} or ("rule" in piece) != ("held" in piece):
            raise ClaimsError(
                f"a piece of evidence for {name} must be a test, a rule with held: true or false, a cell or a cite, "
                f"but it is {piece}"
            )
    return Claim(**entry)


def outcome(piece: dict) -> tuple[str, str, dict]:
    """The stem, the name and the outcome of the rule that a piece of evidence names; it must be the one stated.

    :raises ClaimsError: if the rule came out otherwise
    """
    stem, name = piece["rule"].split(": ")
    rule = load(stem, FOLDER).rule(name)
    if rule["holds"] != piece["held"]:
        said, found = (("held" if held else "failed") for held in (piece["held"], rule["holds"]))
        raise ClaimsError(f"the rule {stem}: {name} must have {said}, as book/claims.yml says, but it {found}")
    return stem, name, rule


def titles() -> dict[str, str]:
    """The title of each chapter of the plan, by its stem."""
    return {chapter["stem"]: chapter["title"] for chapter in yaml.safe_load(PLAN.read_text(encoding="utf-8"))}


# --- directives ------------------------------------------------------------------------------------------------------


class ClaimsDirective(SphinxDirective):
    """A list of claims."""

    def run(self):
        """Return nodes; a ledger that is wrong is an error with page and line."""
        for path in (LEDGER, PLAN, __file__):
            self.env.note_dependency(str(path))
        try:
            return self.build(read())
        except (ClaimsError, ResultsError) as error:
            raise self.error(f"{self.name}: {error}") from None

    def paragraph(self, text: str, *before: nodes.Node, kind: str = "") -> nodes.paragraph:
        """A paragraph of Markdown behind some nodes."""
        parsed, messages = self.state.inline_text(text, self.lineno)
        return nodes.paragraph("", "", *before, *parsed, *messages, classes=[kind] if kind else [])

    def head(self, claim: Claim, **attributes) -> nodes.container:
        """The verdict, the claim and the reason."""
        verdict = nodes.strong(text=VERDICTS[claim.verdict])
        said = self.paragraph(claim.claim, verdict, nodes.Text(": "), kind="said")
        return nodes.container("", said, self.paragraph(claim.why), classes=["claim", claim.verdict], **attributes)

    def link(self, page: str, anchor: str, text: str) -> addnodes.pending_xref:
        """A link to a place of a page of the book, made when the page is written: each builder has its own address."""
        wanted = {"refdomain": "", "reftype": PLACE, "reftarget": page, "anchor": anchor, "refdoc": self.env.docname}
        wanted["refwarn"] = True
        return addnodes.pending_xref("", nodes.inline(text=text), **wanted)


class ChapterClaims(ClaimsDirective):
    """The claims that a chapter settles, each with a link to its evidence."""

    def build(self, ledger: Ledger):
        """Return a sentence that leads to all of them, and one box a claim."""
        chapter = self.env.docname.rpartition("/")[2]
        here = [claim for claim in ledger.claims if claim.chapter == chapter]
        if not here:
            raise ClaimsError(f"no claim belongs to the chapter {chapter!r}")
        found = [self.paragraph(ABOVE)]
        for claim in here:
            box = self.head(claim)
            box[-1] += [nodes.Text(" "), self.link("book/claims", f"claim-{claim.id}".lower(), "The evidence")]
            found.append(box)
        return found


class WholeLedger(ClaimsDirective):
    """How many claims came out how, and all claims by chapter."""

    option_spec: ClassVar = {}

    def build(self, ledger: Ledger):
        """Return a list of counts, and one section a chapter."""
        counts = Counter(claim.verdict for claim in ledger.claims)
        found = nodes.bullet_list(classes=["verdicts"])
        for verdict, name in VERDICTS.items():
            words = nodes.strong(text=name), nodes.Text(f": {counts[verdict]} of {len(ledger.claims)}")
            found += nodes.list_item("", nodes.paragraph("", "", *words), classes=[verdict])
        names = titles()
        stems = sorted({claim.chapter for claim in ledger.claims})
        return [found, *(self.chapter(stem, names[stem], ledger) for stem in stems)]

    def chapter(self, stem: str, title: str, ledger: Ledger) -> nodes.section:
        """The claims of a chapter, with evidence and place."""
        section = nodes.section(ids=[f"claims-{stem}"], names=[f"claims {stem}"])
        section += nodes.title("", "", self.link(f"book/{stem}", "", title))
        for claim in ledger.claims:
            if claim.chapter == stem:
                box = self.head(claim, ids=[f"claim-{claim.id}".lower()])
                box += self.evidence(claim)
                box += self.place(claim, ledger)
                section += box
        return section

    def evidence(self, claim: Claim) -> nodes.paragraph:
        """What shows it."""
        line = nodes.paragraph("", "Evidence: ", classes=["shown"])
        for number, piece in enumerate(claim.evidence):
            line += [nodes.Text("; ")] * (number > 0)
            line += self.piece(piece, claim)
        line += nodes.Text(".")
        return line

    def piece(self, piece: dict, claim: Claim) -> list[nodes.Node]:
        """One piece of evidence as nodes."""
        if "test" in piece:
            stem, name = piece["test"].split(": ")
            return [nodes.Text("test "), nodes.literal(text=f"test_{stem}.py::{name}")]
        if "cell" in piece:
            notebook, heading = piece["cell"].split(": ", 1)
            return [nodes.Text("the lab, "), self.link(f"notebooks/{notebook}", nodes.make_id(heading), heading)]
        if "cite" in piece:
            return self.paragraph(f"{{cite:t}}`{piece['cite']}`").children
        stem, name, rule = outcome(piece)
        self.env.note_dependency(str(FOLDER / f"{stem}.json"))
        page = next(page for page in titles() if page.partition("_")[2] == stem)
        words = f"{'held' if rule['holds'] else 'failed'}, {seeds_of(rule)}"
        return [nodes.Text("rule "), self.link(f"book/{page}", f"rule-{stem}-{name}", name), nodes.Text(f" ({words})")]

    def place(self, claim: Claim, ledger: Ledger) -> nodes.paragraph:
        """Where the notes say it."""
        line = nodes.paragraph("", "Said in ", classes=["shown"])
        for number, (note, words) in enumerate(claim.place.items()):
            line += nodes.Text(" and " if number else "")
            within = words.replace("“", "‘").replace("”", "’")
            line += nodes.Text(f"note{SPACE}{ledger.notes[note]['file']}, ")
            line += nodes.raw("", f'<span lang="zh">“{html.escape(within)}”</span>', format="html")
        line += nodes.Text(".")
        return line


def link_place(app, env, node, content):
    """Make the link that a directive asked for; a page that is not there is a warning, as every missing target is."""
    if node["reftype"] == PLACE and node["reftarget"] in env.found_docs:
        return make_refnode(app.builder, node["refdoc"], node["reftarget"], node["anchor"], content)
    return None


def setup(app):
    """Register the directives, and make their links."""
    app.add_directive("claims", ChapterClaims)
    app.add_directive("ledger", WholeLedger)
    app.connect("missing-reference", link_place)
    return {"version": "1", "env_version": 1, "parallel_read_safe": True, "parallel_write_safe": True}
