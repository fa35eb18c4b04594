"""Self-checks in a real browser: keyboard, phone, dark, no script, print."""

import pytest

from tests.browser import PHONE, check_access, opened

PAGE = "book/05_bahdanau.html"
CHECK, GUESS = ".check.choose", ".check.predict"


def test_an_option_opens_by_keyboard_and_closes_the_one_before(browser, site):
    with opened(browser, site + PAGE, None, quiet=False) as page:
        options = page.locator(CHECK).first.locator("details")
        options.nth(0).locator("summary").focus()
        page.keyboard.press("Enter")
        assert options.nth(0).get_by_text("Not right.").is_visible()
        page.keyboard.press("Tab")
        page.keyboard.press("Space")
        assert options.nth(1).get_by_text("✓ Right.").is_visible()
        assert not options.nth(0).get_by_text("Not right.").is_visible()


def test_a_guess_is_shown_beside_the_measurement(browser, site):
    with opened(browser, site + PAGE, None, quiet=False) as page:
        box = page.locator(GUESS).first
        slider = box.get_by_role("slider", name="Your guess")
        before = int(slider.input_value())
        slider.focus()
        page.keyboard.press("ArrowRight")
        said = f"{before + 1}\xa0%"
        assert slider.get_attribute("aria-valuetext") == said == box.locator("output").inner_text()
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        assert box.get_by_text(f"You said {said}. Measured, over 5\xa0seeds").is_visible()
        assert box.get_by_role("img").get_attribute("aria-label").endswith(f", you said {said}")
        places = [
            box.locator(part).evaluate("node => node.style.getPropertyValue('--at')") for part in (".mine", ".median")
        ]
        assert places[0] == f"{before + 1}%" != places[1]
        assert slider.is_disabled()  # what was guessed stays
        assert box.locator("b.mine").is_visible()


def test_a_slider_that_was_held_is_free_again_when_the_page_is_loaded_again(browser, site):
    def held(page):  # as Firefox hands it on
        def answer(route):
            route.fulfill(body=route.fetch().text().replace('<input type="range"', '<input type="range" disabled'))

        page.route(site + PAGE, answer)

    with opened(browser, site + PAGE, None, quiet=False, before=held) as page:
        assert page.locator(GUESS).first.get_by_role("slider").is_enabled()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_questions_fit_a_phone_and_axe_finds_nothing(browser, site, scheme):
    with opened(
        browser, site + PAGE, None, quiet=False, viewport=PHONE, color_scheme=scheme, reduced_motion="reduce"
    ) as page:
        page.locator(".check details").evaluate_all("all => all.forEach(one => { one.name = ''; one.open = true; })")
        for slider in page.locator(".guess input").all():
            slider.evaluate("node => { node.value = node.max; node.dispatchEvent(new Event('input')); }")
        check_access(page, ".check")
        wide = page.locator(".check, .check *").evaluate_all(
            "all => all.filter(node => node.getBoundingClientRect().right > innerWidth).map(node => node.outerHTML)"
        )
        assert [node for node in wide if "mjx" not in node] == []


def test_questions_work_without_a_script(browser, site):
    with opened(browser, site + PAGE, None, quiet=False, java_script_enabled=False) as page:
        option = page.locator(CHECK).first.locator("details").nth(1)
        option.locator("summary").click()
        assert option.get_by_text("✓ Right.").is_visible()
        box = page.locator(GUESS).first
        assert not box.locator("input").is_visible()
        box.get_by_text("See what was measured").click()
        assert box.get_by_text("Measured, over 5").is_visible()
        assert not box.get_by_text("You said").is_visible()


def test_print_shows_every_reason_and_no_slider(browser, site):
    with opened(browser, site + PAGE, None, quiet=False) as page:
        page.emulate_media(media="print")
        for check in page.locator(".check").all():
            for body in check.locator(".answer-body").all():
                assert (
                    body.evaluate("node => node.checkVisibility({ contentVisibilityAuto: true }) && node.offsetHeight")
                    > 0
                )
        assert not page.locator(".guess").first.is_visible()
