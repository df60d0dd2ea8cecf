"""The home page: what it says, the model's state, the runs and the language."""

import json
import zlib
from html import escape
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from tests.conftest import OpenPage
from tinysae.config import TrainConfig
from tinysae.errors import MissingError
from tinysae.features.names.showcase import Showcase, read_showcases, write_showcases
from tinysae.jobs.status import JobStatus, write_status
from tinysae.library.shipped import ASSETS, STORYBOOK_FEATURES_DIR, STORYBOOK_SAE
from tinysae.runs.store import create_run
from tinysae.ui.home import showcase
from tinysae.ui.shell import cache
from tinysae.ui.shell.page import PAGES, ROOT, plain
from tinysae.words import LANGUAGES, Language, text


@pytest.fixture(autouse=True)
def model(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The home page's model without its seconds of imports: sizes are all it shows."""
    sizes = SimpleNamespace(n_layers=1, d_model=32, d_vocab=2048, n_ctx=64)
    monkeypatch.setattr(cache, "start_warm_up", lambda: None)
    monkeypatch.setattr(cache, "loaded_model", lambda _source: sizes)
    return sizes


def words(page: AppTest) -> str:
    return "\n".join(str(element.value) for element in page.markdown)


@pytest.mark.parametrize("language", LANGUAGES)
def test_it_says_what_this_is_and_what_to_do(open_page: OpenPage, language: Language):
    page = open_page(language=language)
    assert not page.exception
    assert not page.error
    assert page.title[0].value == text("home.title", language)
    shown = [heading.value for heading in page.subheader]
    for way in ("playground", "train", "features"):
        assert text(f"home.way_{way}", language) in shown
    links = [link.proto.page for link in page.get("page_link")]
    present = [path for path, _ in PAGES.values() if (ROOT / path).is_file()]
    assert len(links) >= len(present)


@pytest.mark.parametrize("language", LANGUAGES)
def test_without_runs_it_says_how_to_make_one(open_page: OpenPage, language: Language):
    page = open_page(language=language)
    assert plain(text("home.no_runs", language)) in words(page)


def test_a_run_is_listed_with_its_state_and_a_hostile_name_is_literal(
    open_page: OpenPage, tiny_home: Path
):
    name = "<img src=x onerror=alert(1)> **b**"
    run = create_run(TrainConfig(name=name))
    write_status(run.path, JobStatus("done"))
    assert run.path.is_relative_to(tiny_home)
    page = open_page()
    shown = words(page)
    assert plain(name) in shown
    assert name not in shown
    assert text("train.state_done", "en") in shown
    queries = [link.proto.query_string for link in page.get("page_link")]
    assert any(f"run={run.id}" in query for query in queries)


def strip(page: AppTest) -> dict[str, Any]:
    """What the token strip was sent."""
    (component,) = page.get("bidi_component")
    return json.loads(zlib.decompress(component.proto.bytes))


def feature_links(page: AppTest) -> list[str]:
    queries = [link.proto.query_string for link in page.get("page_link")]
    return [query for query in queries if "feature=" in query]


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_story_shows_one_feature_at_work(open_page: OpenPage, language: Language):
    shown = read_showcases(STORYBOOK_FEATURES_DIR)[0]
    page = open_page(language=language)
    assert not page.error
    assert text("home.showcase", language) in [h.value for h in page.subheader]
    drawn = strip(page)
    assert "".join(token[0] for token in drawn["tokens"]) == "".join(shown.texts)
    active = [token[1] is not None for token in drawn["tokens"]]
    assert active == [value > 0 for value in shown.activations]
    html = "\n".join(element.proto.body for element in page.get("html"))
    for word in (*shown.fires_on, *shown.promotes):
        assert escape(word.strip(" ").lower()) in html.lower()
    (link,) = feature_links(page)
    assert f"run={STORYBOOK_SAE}" in link
    assert f"feature={shown.feature}" in link


def test_a_word_is_shown_once_however_it_is_written(
    open_page: OpenPage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    forms = [" zebra", "zebra", " Zebra", " yak"]
    write_showcases(tmp_path, [Showcase(1, 0.01, forms, [" x"], ["A"], [1.0], 1.0)])
    monkeypatch.setattr(showcase, "STORYBOOK_FEATURES_DIR", tmp_path)
    html = "\n".join(element.proto.body for element in open_page().get("html"))
    assert (html.count("zebra"), html.count("Zebra"), html.count("yak")) == (1, 0, 1)


def test_another_feature_is_another_one_and_they_go_round(open_page: OpenPage):
    features = read_showcases(STORYBOOK_FEATURES_DIR)
    page = open_page()
    (first,) = feature_links(page)
    for shown in (*features[1:], features[0]):
        label = text("home.showcase_another", "en")
        next(b for b in page.button if b.label == label).click().run()
        (link,) = feature_links(page)
        assert f"feature={shown.feature}" in link
    assert feature_links(page) == [first]


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_missing_showcase_is_a_sentence_and_the_rest_is_there(
    open_page: OpenPage,
    language: Language,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(showcase, "STORYBOOK_FEATURES_DIR", tmp_path / "none")
    page = open_page(language=language)
    (error,) = page.error
    said = text("error.features_embedded", language, path=str(ASSETS))
    assert error.value == plain(said)
    assert not page.exception
    assert plain(text("home.no_runs", language)) in words(page)


@pytest.mark.parametrize("language", LANGUAGES)
def test_without_a_feature_worth_showing_there_is_no_box(
    open_page: OpenPage,
    language: Language,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    with_one = open_page(language=language)
    write_showcases(tmp_path, [])
    monkeypatch.setattr(showcase, "STORYBOOK_FEATURES_DIR", tmp_path)
    page = open_page(language=language)
    assert not page.error
    assert not page.exception
    assert not page.get("bidi_component")
    assert not feature_links(page)
    headings = [heading.value for heading in with_one.subheader]
    headings.remove(text("home.showcase", language))
    assert [heading.value for heading in page.subheader] == headings
    containers = page.get("flex_container")
    boxes = [each for each in containers if each.proto.flex_container.border]
    assert all(box.children for box in boxes)


def test_a_hostile_story_is_only_text(
    open_page: OpenPage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    hostile = "<img src=x onerror=alert(1)>"
    shown = Showcase(1, 0.01, [hostile], [hostile], [hostile], [1.0], 1.0)
    write_showcases(tmp_path, [shown])
    monkeypatch.setattr(showcase, "STORYBOOK_FEATURES_DIR", tmp_path)
    page = open_page()
    assert not page.error
    html = "\n".join(element.proto.body for element in page.get("html"))
    assert hostile not in html
    assert escape(hostile) in html
    assert strip(page)["tokens"][0][0] == hostile


def test_only_the_newest_runs_are_listed(open_page: OpenPage, tiny_home: Path):
    for index in range(7):
        run = create_run(TrainConfig(name=f"number{index}"))
        assert run.path.is_relative_to(tiny_home)
    assert words(open_page()).count("number") == 5


def test_the_model_is_shown_with_its_sizes(open_page: OpenPage):
    shown = words(open_page())
    assert text("home.model_ready", "en") in shown
    assert "2,048" in shown.replace("\\", "")


def test_a_model_that_is_missing_is_a_sentence(
    open_page: OpenPage, monkeypatch: pytest.MonkeyPatch
):
    def missing(_source: str) -> None:
        raise MissingError("unknown_run", run="x")

    monkeypatch.setattr(cache, "loaded_model", missing)
    page = open_page()
    assert page.error[0].value == plain(text("error.unknown_run", "en", run="x"))
    assert not page.exception
    # The rest of the page is there all the same.
    assert plain(text("home.no_runs", "en")) in words(page)


def test_the_language_is_chosen_in_the_sidebar_and_kept(open_page: OpenPage):
    page = open_page()
    page.segmented_control(key="_language_picker").set_value("ko").run()
    assert page.title[0].value == text("home.title", "ko")
    assert page.query_params["lang"] == "ko"
    queries = [link.proto.query_string for link in page.get("page_link")]
    assert all("lang=ko" in query for query in queries)
    page.run()
    assert page.title[0].value == text("home.title", "ko")


@pytest.mark.parametrize("forged", ["xx", "", "en'; drop", "<script>"])
def test_an_unknown_language_in_the_link_is_english(open_page: OpenPage, forged: str):
    page = open_page(language=forged)
    assert page.title[0].value == text("home.title", "en")
