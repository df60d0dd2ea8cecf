"""A lesson's steps about the reader's own training: what they say of every state."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import parse_qs

import pytest
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Title

from tests.app.test_features import literal
from tests.builders import finished_run, working, write_model
from tests.conftest import OpenPage
from tinysae.config import TrainConfig
from tinysae.jobs.status import JobStatus, State, write_status
from tinysae.lessons.calls.results import Result
from tinysae.lessons.lesson_file import load_lesson
from tinysae.lessons.progress import keep_place
from tinysae.runs.store import Run, create_run
from tinysae.ui.lessons import asked
from tinysae.ui.shell import cache
from tinysae.words import LANGUAGES, Language, text

LESSONS, TRAIN = "pages/lessons.py", "pages/train.py"


@pytest.fixture(autouse=True)
def model(monkeypatch: pytest.MonkeyPatch) -> None:
    """No curve asks the model anything."""
    monkeypatch.setattr(cache, "start_warm_up", lambda: None)
    monkeypatch.setattr(cache, "speed", lambda *_: None)
    monkeypatch.setattr(
        cache, "loaded_model", lambda source: SimpleNamespace(source=source)
    )


@pytest.fixture
def run(open_page: OpenPage) -> Run:
    assert open_page
    return create_run(TrainConfig(name="<b>mine</b>"))


def said(page: AppTest) -> str:
    shown = [*page.markdown, *page.info, *page.warning, *page.error]
    return literal("\n".join(str(element.value) for element in shown))


def links(page: AppTest) -> Iterator[tuple[str, str]]:
    for link in page.get("page_link"):
        yield literal(link.proto.label), link.proto.query_string


@pytest.mark.parametrize("language", LANGUAGES)
def test_without_a_training_the_step_says_where_to_start_one(
    open_page: OpenPage, language: Language
):
    page = open_page(LESSONS, language=language, lesson="train", step="2")
    assert text("error.lesson_needs_run", language) in said(page)
    (way,) = [query for label, query in links(page) if "from=train.2" in query]
    assert way


@pytest.mark.parametrize("state", ["stopped", "interrupted", "failed"])
def test_how_a_training_ended_is_said(open_page: OpenPage, run: Run, state: State):
    error = "error.worker_failed" if state == "failed" else None
    write_status(run.path, JobStatus(state, error=error))
    page = open_page(LESSONS, lesson="train", step="2")
    assert not page.exception
    assert text(f"lessons.run_{state}", "en") in said(page)
    assert text("lessons.run_no_curve", "en") in said(page)


def test_a_training_that_waits_has_no_curve_yet(open_page: OpenPage, run: Run):
    with working(run, "queued"):
        page = open_page(LESSONS, lesson="train", step="2")
        assert text("error.lesson_run_empty", "en") in said(page)
        assert not page.error


def test_a_deleted_training_is_said_with_a_way_on(open_page: OpenPage):
    gone = "20260101-000000-abcdef"
    page = open_page(LESSONS, lesson="train", step="2", run=gone)
    assert gone in said(page)
    assert text("lessons.use_embedded", "en") in [each.label for each in page.button]


def test_the_training_page_leads_back_to_the_step(open_page: OpenPage, run: Run):
    page = open_page(TRAIN, run=run.id, **{"from": "train.2"})
    back = dict(links(page))[f":primary[{text('lessons.back', 'en', step=2)}]"]
    assert "lesson=train" in back
    assert "step=2" in back
    assert f"run={run.id}" in back


@pytest.mark.parametrize("way", ["train", "../x.2", "train.", "TRAIN.2", "train.2222"])
def test_a_forged_way_back_is_no_link(open_page: OpenPage, way: str):
    page = open_page(TRAIN, **{"from": way})
    assert not any("lesson=" in query for _, query in links(page))


def test_a_step_that_goes_wrong_is_said_and_leads_on(
    open_page: OpenPage, monkeypatch: pytest.MonkeyPatch
):
    def wrong(*_: object) -> None:
        raise TypeError("a bug")

    monkeypatch.setattr(asked, "lesson_result", wrong)
    page = open_page(LESSONS, lesson="names", step="2")
    assert not page.exception
    assert text("error.unexpected", "en") in said(page)
    labels = [button.label for button in page.button]
    assert text("lessons.previous", "en") in labels
    assert text("lessons.next", "en") in labels


@pytest.mark.parametrize("present", ["", "1"])
def test_titles_share_a_place_so_that_no_two_are_seen_at_once(
    open_page: OpenPage, present: str
):
    """What a page drew before stays until its next run has drawn over it, or ended."""

    def places(**query: str) -> list[int]:
        page = open_page(LESSONS, **query, present=present)
        children = page.main.children.items()
        return [place for place, child in children if isinstance(child, Title)]

    views = [places(), *(places(lesson="train", step=str(n)) for n in (1, 2, 99))]
    assert [len(each) for each in views] == [1] * len(views)
    assert len({place for each in views for place in each}) == 1


def test_a_finished_lesson_leads_to_its_summary_and_not_on(open_page: OpenPage):
    keep_place("names", 12)
    page = open_page(LESSONS)
    shown = dict(links(page))
    end = shown[f":primary[{text('lessons.see_summary', 'en')}]"]
    assert "step=12" in end
    assert f":primary[{text('lessons.read_again', 'en')}]" in shown
    assert not any(
        query.startswith("lesson=names") and "step=11" in query
        for query in shown.values()
    )


def test_an_own_sae_that_is_asked_already_is_not_said_to_be_on_its_way(
    open_page: OpenPage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    own = finished_run(write_model(tmp_path / "model"))
    monkeypatch.setattr(asked, "lesson_result", lambda *_: Result({}, {}))
    monkeypatch.setattr(asked, "kept_check", lambda *_: None)
    # What its features are by then can be asked.
    with working(own, "evaluating"):
        page = open_page(LESSONS, lesson="train", step="6", run=own.id)
    assert not page.exception
    assert text("lessons.own_asked", "en") in said(page)
    assert text("lessons.own_coming", "en") not in said(page)


def test_inside_is_asked_about_the_steps_own_story(
    open_page: OpenPage, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(asked, "lesson_result", lambda *_: Result({}, {}))
    number, step = next(
        (n, step)
        for n, step in enumerate(load_lesson("names").steps, 1)
        if step.page == "why"
    )
    page = open_page(LESSONS, lesson="names", step=str(number))
    page.selectbox(key=f"lessons.names.{number}.name").set_value("Molly").run()
    label = text("lessons.to_why", "en")
    (query,) = [query for shown, query in links(page) if label in shown]
    way = parse_qs(query)
    assert way["text"] == [step.args["template"].replace("{name}", "Molly")]
    assert (way["target"], way["other"]) == (["Molly"], [step.args["other"]])


def test_a_guess_shows_the_answer_and_says_whether_it_came_out(
    open_page: OpenPage, monkeypatch: pytest.MonkeyPatch
):
    """Of a model that does as the lesson claims."""
    step = load_lesson("names").steps[0]
    assert step.claim is not None
    found = Result(
        {step.claim.own.figure: 1.0},
        {"name": "Tina", "prob": "90%", "rank": "0", "other": "Emma", "stranger": "0%"},
    )
    monkeypatch.setattr(asked, "lesson_result", lambda *_: found)
    page = open_page(LESSONS, lesson="names", step="1")
    (pills,) = page.pills
    assert [literal(each) for each in pills.options] == [
        guess["en"] for guess in step.guesses
    ]
    assert text("lessons.show_answer", "en") in [each.label for each in page.button]
    assert step.right is not None
    right = step.guesses[step.right]["en"]
    pills.set_value(1).run()
    assert "Emma" in said(page)
    assert text("lessons.guess_other", "en", right=right) in said(page)
    page.pills[0].set_value(step.right).run()
    assert text("lessons.guess_right", "en", right=right) in said(page)
