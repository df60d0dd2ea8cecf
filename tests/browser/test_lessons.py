"""Every lesson walked to its end in Chromium: both languages, a desk and a phone."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Server, start_server, visit
from tests.browser.test_accessibility import violations
from tinysae.lessons.lesson import FIRST, Lesson, load_lesson
from tinysae.words import Language, text

LOADED_MS = 90_000
SIZES = {"en": 1280, "ko": 390}


@pytest.fixture(scope="module")
def lesson_server(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("lessons")
    running = start_server(folder / "home", folder / "server.log")
    yield running
    running.stop()


def see_step(page: Page, lesson: Lesson, number: int, language: Language) -> None:
    """Wait until a step is there with its question, or with what it lacks."""
    step = lesson.steps[number - 1]
    heading = page.get_by_role("heading", level=1)
    expect(heading).to_have_text(step.title[language], timeout=LOADED_MS)
    question = page.get_by_text(step.question[language])
    missing = page.get_by_text(text("error.lesson_needs_run", language))
    expect(question.or_(missing).first).to_be_visible(timeout=LOADED_MS)
    see_rest(page)


def see_rest(page: Page) -> None:
    """Wait until the page is drawn: what it still moves about cannot be clicked."""
    app = page.locator("[data-testid=stApp][data-test-script-state=notRunning]")
    expect(app).to_be_visible(timeout=LOADED_MS)
    expect(page.locator("[data-stale=true]")).to_have_count(0, timeout=LOADED_MS)


@pytest.mark.parametrize("name", FIRST)
@pytest.mark.parametrize("language", ["en", "ko"])
def test_a_lesson_is_walked_to_its_end(
    lesson_server: Server, browser: Browser, name: str, language: Language
):
    lesson = load_lesson(name)
    locale = {"en": "en-US", "ko": "ko-KR"}[language]
    with visit(browser, locale=locale, width=SIZES[language]) as reader:
        page = reader.page
        page.goto(f"{lesson_server.url}/lessons?lesson={name}")
        for number in range(1, len(lesson.steps) + 1):
            see_step(page, lesson, number, language)
            show = page.get_by_role(
                "button", name=text("lessons.show_answer", language)
            )
            if show.count():
                show.click()
                expect(show).to_have_count(0, timeout=LOADED_MS)
                see_rest(page)
            assert page.evaluate(
                "document.documentElement.scrollWidth <= window.innerWidth"
            )
            last = number == len(lesson.steps)
            key = "lessons.to_summary" if last else "lessons.next"
            page.get_by_role("button", name=text(key, language), exact=True).click()
        heading = page.get_by_role("heading", level=1)
        expect(heading).to_have_text(text("lessons.summary", language))
        reader.assert_clean()


def test_progress_is_kept_and_a_presenter_has_arrow_keys(
    lesson_server: Server, browser: Browser
):
    lesson = load_lesson("names")
    with visit(browser) as reader:
        page = reader.page
        page.goto(f"{lesson_server.url}/lessons?lesson=names&step=2&present=1")
        see_step(page, lesson, 2, "en")
        expect(page.get_by_test_id("stSidebar")).to_be_hidden()
        expect(page.locator("[data-arrow-keys]")).to_be_attached(timeout=LOADED_MS)
        page.keyboard.press("ArrowLeft")
        see_step(page, lesson, 1, "en")
        page.goto(f"{lesson_server.url}/lessons")
        go_on = page.get_by_text(text("lessons.go_on", "en", step=1), exact=True)
        expect(go_on).to_be_visible(timeout=LOADED_MS)
        assert (Path(lesson_server.home) / "lessons.json").is_file()
        page.goto(f"{lesson_server.url}/lessons?lesson=names&step=6")
        see_step(page, lesson, 6, "en")
        assert not violations(page)
        reader.assert_clean()


def test_a_deleted_run_is_said_with_a_way_on(lesson_server: Server, browser: Browser):
    lesson = load_lesson("names")
    with visit(browser) as reader:
        page = reader.page
        page.goto(
            f"{lesson_server.url}/lessons?lesson=names&step=6&run=20260101-000000-abcdef"
        )
        way_on = page.get_by_role("button", name=text("lessons.use_embedded", "en"))
        expect(way_on).to_be_visible(timeout=LOADED_MS)
        way_on.click()
        see_step(page, lesson, 6, "en")
