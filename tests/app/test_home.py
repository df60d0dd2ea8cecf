"""The home page: what it says, the model's state, the runs and the language."""

import json
import math
import zlib
from html import escape
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs

import pytest
from streamlit.testing.v1 import AppTest

from tests.conftest import OpenPage
from tinysae.config import TrainConfig
from tinysae.errors import MissingError
from tinysae.features.names.showcase import Showcase, read_showcases, write_showcases
from tinysae.jobs.status import JobStatus, write_status
from tinysae.library.shipped import ASSETS, STORYBOOK_FEATURES_DIR, STORYBOOK_SAE
from tinysae.library.shipped_stories import read_stories
from tinysae.render.palette import SEQUENTIAL
from tinysae.render.visible import as_word
from tinysae.runs.store import create_run
from tinysae.ui.home import showcase, story
from tinysae.ui.home.front import WAYS
from tinysae.ui.shell import cache
from tinysae.ui.shell.page import PAGES, ROOT, plain
from tinysae.words import LANGUAGES, Language, text


@pytest.fixture(autouse=True)
def model(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The home page's model without its seconds of imports: sizes are all it shows."""
    sizes = SimpleNamespace(n_layers=1, d_model=32, d_vocab=2048, n_ctx=64)
    monkeypatch.setattr(cache, "start_warm_up", lambda: None)
    monkeypatch.setattr(cache, "loaded_model", lambda _source: sizes)
    ready = cache.WarmUp("ready", done=True)
    monkeypatch.setattr(cache, "warm_up_state", lambda: ready)
    return sizes


def words(page: AppTest) -> str:
    return "\n".join(str(element.value) for element in page.markdown)


@pytest.mark.parametrize("language", LANGUAGES)
def test_it_says_what_this_is_and_what_to_do(open_page: OpenPage, language: Language):
    page = open_page(language=language)
    assert not page.exception
    assert not page.error
    assert page.title[0].value == text("home.title", language)
    labels = [link.proto.label for link in page.get("page_link")]
    for way in WAYS:
        assert f":primary[{plain(text(f'home.way_{way}', language))}]" in labels
        assert plain(text(f"home.way_{way}_what", language)) in words(page)
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


def strips(page: AppTest) -> list[dict[str, Any]]:
    """What the strips were sent: the story's, and the feature's if it is there."""
    components = page.get("bidi_component")
    return [json.loads(zlib.decompress(each.proto.bytes)) for each in components]


def strip(page: AppTest) -> dict[str, Any]:
    """What the feature's token strip was sent."""
    (_, feature) = strips(page)
    return feature


def linked_features(page: AppTest) -> list[tuple[int, str, bool]]:
    """Each link to a feature: its number, the link's query, and whether it is
    the feature at work's, rather than one of the story's word."""
    links: list[tuple[int, str, bool]] = []
    for link in page.get("page_link"):
        query = parse_qs(link.proto.query_string)
        if "feature" not in query:
            continue
        (number,) = query["feature"]
        shown = {text("home.showcase_link", to, feature=number) for to in LANGUAGES}
        is_own = any(plain(label) in link.proto.label for label in shown)
        links.append((int(number), link.proto.query_string, is_own))
    return links


def feature_links(page: AppTest) -> list[str]:
    return [query for _, query, is_own in linked_features(page) if is_own]


def word_links(page: AppTest) -> list[int]:
    return [number for number, _, is_own in linked_features(page) if not is_own]


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_story_is_there_with_what_is_at_work_in_a_word_of_it(
    open_page: OpenPage, language: Language
):
    stories = read_stories()
    (shown, *_) = stories.stories
    page = open_page(language=language)
    assert not page.error
    drawn = strips(page)[0]
    assert "".join(token[0] for token in drawn["tokens"]) == "".join(shown.texts)
    assert drawn["given"] == stories.n_given
    assert drawn["replay"]
    assert drawn["selected"] == shown.begin_at
    bits = [-log_prob / math.log(2) for log_prob in shown.log_prob]
    assert [token[1] for token in drawn["tokens"]] == [
        SEQUENTIAL.step(value, 0, 10) for value in bits
    ]
    wanted = shown.features[shown.begin_at][: story.N_FEATURES]
    assert word_links(page) == [feature for feature, _ in wanted]
    html = "\n".join(element.proto.body for element in page.get("html"))
    for feature, _ in wanted:
        for token in stories.promoted[str(int(feature))]:
            assert escape(as_word(token)) in html


def test_another_word_shows_other_features_and_another_story_its_own(
    open_page: OpenPage,
):
    stories = read_stories()
    page = open_page()
    page.session_state["home.word"] = 20
    page.run()
    assert word_links(page) == [
        feature for feature, _ in stories.stories[0].features[20][: story.N_FEATURES]
    ]
    label = text("home.story_another", "en")
    for shown in (*stories.stories[1:], stories.stories[0]):
        next(b for b in page.button if b.label == label).click().run()
        drawn = strips(page)[0]
        assert "".join(token[0] for token in drawn["tokens"]) == "".join(shown.texts)
        assert drawn["selected"] == shown.begin_at


def test_the_first_lesson_leads(open_page: OpenPage):
    page = open_page()
    (primary,) = [b for b in page.button if b.proto.type == "primary"]
    assert primary.label == text("home.lesson", "en")


def test_home_does_not_wait_for_the_model(
    open_page: OpenPage, monkeypatch: pytest.MonkeyPatch
):
    def never(_source: str) -> None:
        raise AssertionError("the model was asked for")

    monkeypatch.setattr(cache, "loaded_model", never)
    early = cache.WarmUp("libraries", done=False)
    monkeypatch.setattr(cache, "warm_up_state", lambda: early)
    page = open_page()
    assert not page.error
    assert strips(page)[0]["tokens"]
    assert plain(text("common.warm_up_libraries", "en")) in words(page)


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
    assert len(strips(page)) == 1
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
