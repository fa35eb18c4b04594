"""The page of all interview questions in a real browser."""

import re

import pytest

from tests.browser import PHONE, ROOT, SITE, check_access, opened

PAGE = "book/interview.html"


def test_every_question_of_the_chapters_is_there_once_with_a_link_to_its_box():
    page = (SITE / PAGE).read_text(encoding="utf-8")
    listed = page.partition('id="ten-in-a-minute"')[2].partition("</section>")[2]
    links = re.findall(r'<a class="reference internal" href="(\w+\.html#interview-[\w-]+)"', listed)
    boxes = [
        f"{path.name}#{anchor}"
        for path in sorted((SITE / "book").glob("[0-9]*.html"))
        for anchor in re.findall(r' id="(interview-[\w-]+)"', path.read_text(encoding="utf-8"))
    ]
    written = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "book").glob("[0-9]*.md"))
    assert len(boxes) == written.count("```{interview}")
    assert sorted(links) == sorted(boxes)


@pytest.mark.parametrize("script", [True, False])
def test_one_level_is_shown_alone_by_keyboard_with_and_without_a_script(browser, site, script):
    with opened(browser, site + PAGE, None, quiet=False, java_script_enabled=script) as page:
        first, hard = page.locator(".level.first").first, page.locator(".level.hard").first
        assert first.is_visible()
        page.get_by_label("All").focus()
        for _ in range(3):
            page.keyboard.press("ArrowDown")
        assert page.get_by_label("Hard").is_checked()
        assert not first.is_visible()
        assert hard.is_visible()
        hard.locator("summary").first.click()
        assert hard.locator(".answer-body").first.is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_fits_a_phone_and_axe_finds_nothing(browser, site, scheme):
    with opened(browser, site + PAGE, None, quiet=False, viewport=PHONE, color_scheme=scheme) as page:
        page.locator("details.asked").evaluate_all("all => all.forEach((one, i) => { one.open = i % 9 == 0; })")
        check_access(page, "section")
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def test_print_shows_the_answers(browser, site):
    with opened(browser, site + PAGE, None, quiet=False) as page:
        page.emulate_media(media="print")
        assert not page.get_by_label("Hard").is_visible()
        for body in page.locator("details.asked .answer-body").all()[:12]:
            assert (
                body.evaluate("node => node.checkVisibility({ contentVisibilityAuto: true }) && node.offsetHeight") > 0
            )
