"""Every lesson walked to its end in Chromium: both languages, a desk and a phone."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from playwright.sync_api import TimeoutError as PlaywrightTimeoutError

from benchmarks.accessibility import violations
from benchmarks.clicks import LOADED_MS, answered, button, expect_still
from benchmarks.tour import LOCALES
from tests.browser.conftest import Server, visit
from tinysae.config import TrainConfig
from tinysae.lessons.answers import claims
from tinysae.lessons.calls.registry import CALLS
from tinysae.lessons.lesson import Lesson
from tinysae.lessons.lesson_file import FIRST, load_lesson
from tinysae.runs.store import Run, start_run
from tinysae.words import LANGUAGES, Language, text

# Evaluation and index of a small SAE; generous, for a busy machine.
RUN_MS = 800_000
DESK, PHONE = 1280, 390
HEIGHT = 900
NAME = "<b>mine</b>"
# A page that has been drawn has its widths; this is for a busy machine.
FITS_MS = 60_000
# What scrolls sideways as a whole (a wide table may, within itself), and buttons that
# reach out of the window.
TOO_WIDE = """
    [
        ...["html", "[data-testid=stMain]", "[data-testid=stMainBlockContainer]"]
            .map(name => document.querySelector(name))
            .filter(node => node.scrollWidth > node.clientWidth),
        ...[...document.querySelectorAll("[data-testid=stMain] button")]
            .filter(node => {
                const { left, right } = node.getBoundingClientRect();
                return left < 0 || right > window.innerWidth;
            }),
    ].map(node => `${node.tagName} ${node.textContent.slice(0, 40)}`)
"""
# The step in "The error went from ... to ... by step 1,234"; null before it is there.
STEP_NUMBER = "(document.body.innerText.match(/by step ([\\d,]+)/) || [])[1]"


def see_step(page: Page, lesson: Lesson, number: int, language: Language) -> None:
    """Wait until a step is there with its question, or with what it lacks."""
    step = lesson.steps[number - 1]
    heading = page.get_by_role("heading", level=1)
    expect(heading).to_have_text(step.title[language], timeout=LOADED_MS)
    question = page.get_by_text(step.question[language])
    missing = page.get_by_text(text("error.lesson_needs_run", language))
    expect(question.or_(missing).first).to_be_visible(timeout=LOADED_MS)
    expect_still(page)


def expect_fits(page: Page) -> None:
    """Nothing is wider than the window, and every button is in it as a whole."""
    # What is drawn may be moved about for a moment yet.
    try:
        page.wait_for_function(f"({TOO_WIDE}).length === 0", timeout=FITS_MS)
    except PlaywrightTimeoutError:
        assert page.evaluate(TOO_WIDE) == []


def expect_fits_everywhere(page: Page) -> None:
    """On a desk too; the phone that the page is on comes last."""
    for width in (DESK, PHONE):
        page.set_viewport_size({"width": width, "height": HEIGHT})
        expect_fits(page)
    # Charts are drawn for the new width a while after: a click would land beside.
    expect_still(page)


# In one language each, by turns; in the other with the long tests.
WALKS = [
    pytest.param(
        name,
        language,
        id=f"{language}-{name}",
        marks=[pytest.mark.slow] if (at + turn) % 2 else [],
    )
    for at, name in enumerate(FIRST)
    for turn, language in enumerate(LANGUAGES)
]


@pytest.mark.parametrize(("name", "language"), WALKS)
def test_a_lesson_is_walked_to_its_end(
    server: Server, browser: Browser, name: str, language: Language
):
    lesson = load_lesson(name)
    locale = LOCALES[language]
    with visit(browser, locale=locale, width=PHONE, height=HEIGHT) as reader:
        page = reader.page
        page.goto(f"{server.url}/lessons?lesson={name}")
        for number, step in enumerate(lesson.steps, 1):
            see_step(page, lesson, number, language)
            show = page.get_by_role(
                "button", name=text("lessons.show_answer", language)
            )
            is_answered = CALLS[step.call].needs != "run"
            expect(show).to_have_count(int(is_answered))
            if is_answered:
                show.click()
                expect(show).to_have_count(0, timeout=LOADED_MS)
                expect_still(page)
            expect_fits_everywhere(page)
            press_next(page, lesson, number, language)
        heading = page.get_by_role("heading", level=1)
        summary = text("lessons.summary", language)
        expect(heading).to_have_text(summary, timeout=LOADED_MS)
        expect_still(page)
        expect_fits_everywhere(page)
        reader.assert_clean()


def press_next(page: Page, lesson: Lesson, number: int, language: Language) -> None:
    last = number == len(lesson.steps)
    key = "lessons.to_summary" if last else "lessons.next"
    onward = page.get_by_role("button", name=text(key, language), exact=True)
    with answered(page):
        onward.click()


@pytest.fixture
def training(server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """A training of its own process that goes on until somebody stops it."""
    monkeypatch.setenv("TINYSAE_HOME", str(server.home))
    run = start_run(
        TrainConfig(
            name=NAME,
            training_tokens=10**9,
            d_sae=256,
            n_batches_in_buffer=4,
            n_batches_for_norm_estimate=2,
        )
    )
    yield run
    run.request_stop()


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_lesson_goes_along_with_a_training_that_works(
    server: Server, training: Run, browser: Browser
):
    """The figures move by themselves; the SAE that comes of it is asked at the end."""
    lesson = load_lesson("train")
    with visit(browser) as reader:
        page = reader.page
        page.goto(f"{server.url}/lessons?lesson=train&step=2")
        see_title(page, lesson, 2)
        page.get_by_role("button", name=text("lessons.show_answer", "en")).click(
            timeout=LOADED_MS
        )
        page.evaluate("window.isSame = true")
        first = step_number(page)
        page.wait_for_function(
            f"Number({STEP_NUMBER}.replaceAll(',', '')) > {first}", timeout=LOADED_MS
        )
        assert page.evaluate("window.isSame")

        # To the training page and back, as a reader who has had enough of it.
        page.get_by_role("link", name=text("lessons.to_train", "en")).click()
        button(page, "train.stop").click(timeout=LOADED_MS)
        expect(button(page, "train.resume")).to_be_visible(timeout=LOADED_MS)
        back = page.get_by_role("link", name=text("lessons.back", "en", step=2))
        back.click()
        see_title(page, lesson, 2)
        stopped = page.get_by_text(text("lessons.run_stopped", "en"))
        expect(stopped).to_be_visible(timeout=LOADED_MS)
        for number in (2, 3, 4):
            see_title(page, lesson, number)
            expect(
                page.get_by_text(lesson.steps[number - 1].question["en"])
            ).to_be_visible(timeout=LOADED_MS)
            expect_still(page)
            press_next(page, lesson, number, "en")

        # It has no features yet: the step says so, and asks it as soon as it has.
        see_title(page, lesson, 5)
        page.get_by_role("link", name=text("lessons.to_train", "en")).click()
        button(page, "train.index_now").click(timeout=LOADED_MS)
        expect(button(page, "train.stop")).to_be_visible(timeout=LOADED_MS)
        page.get_by_role("link", name=text("lessons.back", "en", step=5)).click()
        see_title(page, lesson, 5)
        own = page.get_by_text(text("lessons.own_asked", "en"))
        expect(own).to_be_visible(timeout=RUN_MS)
        see_step(page, lesson, 5, "en")
        # The other SAE, to compare with, and the reader's own again.
        choice = page.get_by_role("combobox", name=text("common.sae", "en"))
        choice.click()
        page.get_by_role("option", name=text("features.embedded", "en")).click()
        take = page.get_by_role(
            "button", name=text("lessons.take_own", "en", name=NAME)
        )
        take.click(timeout=LOADED_MS)
        expect(own).to_be_visible(timeout=LOADED_MS)
        assert f"run={training.id}" in page.evaluate("location.search")
        for number in (5, 6):
            see_step(page, lesson, number, "en")
            press_next(page, lesson, number, "en")
        heading = page.get_by_role("heading", level=1)
        expect(heading).to_have_text(text("lessons.summary", "en"), timeout=LOADED_MS)
        expect_still(page)
        page.get_by_role("button", name=text("lessons.measure", "en")).click()
        measured = page.get_by_text(re.compile(r"Cases: \d"))
        expect(measured).to_have_count(len(claims(lesson)), timeout=LOADED_MS)
        reader.assert_clean()


def see_title(page: Page, lesson: Lesson, number: int) -> None:
    heading = page.get_by_role("heading", level=1)
    title = lesson.steps[number - 1].title["en"]
    expect(heading).to_have_text(title, timeout=LOADED_MS)


def step_number(page: Page) -> int:
    """The step that the answer on the page is of."""
    page.wait_for_function(STEP_NUMBER, timeout=LOADED_MS)
    return int(page.evaluate(STEP_NUMBER).replace(",", ""))


def test_progress_is_kept_and_a_presenter_has_arrow_keys(
    server: Server, browser: Browser
):
    lesson = load_lesson("names")
    with visit(browser) as reader:
        page = reader.page
        page.goto(f"{server.url}/lessons?lesson=names&step=2&present=1")
        see_step(page, lesson, 2, "en")
        expect(page.get_by_test_id("stSidebar")).to_be_hidden()
        expect(page.locator("[data-arrow-keys]")).to_be_attached(timeout=LOADED_MS)
        page.keyboard.press("ArrowLeft")
        see_step(page, lesson, 1, "en")
        page.goto(f"{server.url}/lessons")
        go_on = page.get_by_text(text("lessons.go_on", "en", step=1), exact=True)
        expect(go_on).to_be_visible(timeout=LOADED_MS)
        assert (Path(server.home) / "lessons.json").is_file()
        page.goto(f"{server.url}/lessons?lesson=names&step=6")
        see_step(page, lesson, 6, "en")
        assert not violations(page)
        reader.assert_clean()


def test_a_deleted_run_is_said_with_a_way_on(server: Server, browser: Browser):
    lesson = load_lesson("names")
    with visit(browser) as reader:
        page = reader.page
        page.goto(
            f"{server.url}/lessons?lesson=names&step=6&run=20260101-000000-abcdef"
        )
        way_on = page.get_by_role("button", name=text("lessons.use_embedded", "en"))
        expect(way_on).to_be_visible(timeout=LOADED_MS)
        expect_still(page)
        way_on.click()
        see_step(page, lesson, 6, "en")
