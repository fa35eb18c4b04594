"""Printing the book: small pages in, a PDF out."""

import re

from tests.browser import chromium
from tools import pdf


def test_the_one_page_is_copied_to_the_top_with_its_links(tmp_path):
    (tmp_path / "index.html").write_text("to the book")
    (tmp_path / "book").mkdir()
    (tmp_path / "book/index.html").write_text('<a href="book/index.html#x">x</a><a href="_static/y">y</a>' + " " * 99)
    assert pdf.at_the_top(tmp_path) == "print.html"
    assert '<a href="#x">x</a><a href="_static/y">y</a>' in (tmp_path / "print.html").read_text()
    assert pdf.at_the_top(tmp_path) == "print.html"  # its own copy is not taken for the book


def test_each_chapter_begins_on_a_page_of_the_pdf(tmp_path):
    folder = tmp_path / "singlehtml"
    folder.mkdir()
    chapters = "".join(f'<span id="document-{i}"></span><section><h2>Chapter {i}</h2></section>' for i in range(2))
    (folder / "index.html").write_text(f"<!doctype html><html lang='en'><h1>A book</h1>{chapters}")
    pdf.print_pdf(folder, tmp_path / "book.pdf")
    content = (tmp_path / "book.pdf").read_bytes()
    assert content.startswith(b"%PDF")
    assert len(re.findall(rb"/Type /Page\b", content)) == 3
    assert b"/Title (A book)" in content


def test_a_picture_that_comes_late_is_waited_for(tmp_path):
    picture = "data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>"
    with chromium() as browser:
        page = browser.new_page()
        page.set_content(f'<div style="height: 9000px"></div><img loading="lazy" src="{picture}">')
        pdf.wait_for_everything(page)
        assert page.evaluate("document.images[0].naturalWidth") == 9


def test_the_pdf_has_bookmarks_names_for_pictures_and_links_that_work(tmp_path):
    folder = tmp_path / "singlehtml"
    folder.mkdir()
    picture = (
        '<svg role="img" aria-label="A red square" width="9" height="9"><rect width="9" height="9" fill="red"/></svg>'
    )
    body = f'<h2 id="one">First things</h2><p><a href="#two">on</a></p>{picture}<h2 id="two">Second things</h2>'
    (folder / "index.html").write_text(f"<!doctype html><html lang='en'><h1>A book</h1>{body}")
    pdf.print_pdf(folder, tmp_path / "book.pdf")
    content = (tmp_path / "book.pdf").read_bytes()
    for mark in (b"/Title (First things)", b"/Title (Second things)", b"/Alt (A red square)", b"/StructTreeRoot"):
        assert mark in content, mark
    assert re.search(rb"/Subtype /Link.{0,200}/Dest", content, re.DOTALL)
