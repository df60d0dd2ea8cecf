"""The playground page, in both languages and with everything people may throw at it."""

import json
import math
import zlib
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from tests.builders import finished_run, write_model
from tests.conftest import PATIENCE_S
from tinysae.features.index.reader import open_index
from tinysae.features.index.search import active_features
from tinysae.jobs import launch
from tinysae.library.shipped import (
    STORYBOOK_FEATURES_DIR,
    STORYBOOK_SAE,
    STORYBOOK_SAE_DIR,
)
from tinysae.model.sources import STORYBOOK, load_model
from tinysae.model.text.generate import BOUNDS
from tinysae.model.text.state import State, View
from tinysae.render.visible import as_word, visible
from tinysae.sae.load import load_sae
from tinysae.ui.shell import cache
from tinysae.ui.shell.page import ROOT
from tinysae.ui.write import address, stories, word, write_view
from tinysae.ui.write.told import shipped
from tinysae.words import LANGUAGES, Language, text

pytestmark = pytest.mark.usefixtures("warm", "written_at_once")

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(1)>"


def opened(language: Language = "en", **state: Any) -> AppTest:
    page = AppTest.from_file(ROOT / "app.py", default_timeout=PATIENCE_S)
    page.session_state["language"] = language
    for key, value in state.items():
        page.session_state[key] = value
    page.switch_page("pages/playground.py")
    return checked(page.run())


def checked(page: AppTest) -> AppTest:
    assert not page.exception
    return page


# Long enough to differ, short enough for a test.
FEW_TOKENS = 12


def generate(page: AppTest, n_new: int | None = None) -> AppTest:
    """Stories of `n_new` tokens at most, or of as many as the page is set to."""
    if n_new is not None:
        page.number_input(key="_max_new_tokens").set_value(n_new)
    label = text("playground.generate", language_of(page))
    (button,) = [each for each in page.button if each.label == label]
    return until_written(checked(button.click().run()))


def until_written(page: AppTest) -> AppTest:
    """Here nothing makes the page go on by itself."""
    while any(each.reason is None for each in page.session_state[stories.SAMPLES]):
        checked(page.run())
    return page


def language_of(page: AppTest) -> Language:
    return page.session_state["language"]


def typed(page: AppTest, prompt: str) -> AppTest:
    return checked(page.text_area[0].set_value(prompt).run())


def strip(page: AppTest) -> dict[str, Any]:
    """What the first of the token strips was sent."""
    return strips(page)[0]


def bars(page: AppTest) -> list[list[Any]]:
    """The rows of the chart of next tokens: text, before, after, value, note."""
    (component,) = [
        node.proto
        for node in page.get("bidi_component")
        if node.proto.component_name == "tinysae_distribution"
    ]
    return json.loads(component.json)["rows"]


def strip_text(page: AppTest) -> str:
    return "".join(token[0] for token in strip(page)["tokens"])


def sentences(page: AppTest) -> str:
    """Everything the page says, without the backslashes that keep it literal."""
    nodes = [*page.info, *page.error, *page.caption, *page.markdown]
    return "\n".join(node.value for node in nodes).replace("\\", "")


def html(page: AppTest) -> str:
    """What the page draws itself, as HTML."""
    return "\n".join(node.proto.body for node in page.get("html"))


@pytest.mark.parametrize("language", LANGUAGES)
def test_page_speaks_the_chosen_language(language: Language) -> None:
    page = opened(language)
    assert page.title[0].value == text("playground.title", language)
    assert page.text_area[0].label == text("playground.prompt", language)
    assert text("playground.legend_surprise", language) in strip(page)["label"]
    assert text("playground.temperature_one", language) in sentences(page)


@pytest.mark.parametrize("language", LANGUAGES)
def test_generated_text_follows_the_prompt_in_the_strip(
    language: Language, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Drawn many times before it is whole.
    monkeypatch.setattr(stories, "DRAW_EVERY_S", 0.05)
    page = opened(language)
    prompt = text("playground.prompt_default", language)
    generate(page)
    assert strip_text(page).startswith(prompt)
    assert len(strip_text(page)) > len(prompt)
    tokens = strip(page)["tokens"]
    model = load_model(STORYBOOK)
    n_given = len(model.encode(prompt))
    assert strip(page)["given"] == n_given
    assert [token[2] for token in tokens] == [
        int(place == n_given) for place in range(len(tokens))
    ]
    # Log-prob, probability, rank, a heading, five alternatives.
    assert all(len(token[3]) >= 9 for token in tokens)


def test_same_seed_writes_the_same_and_another_seed_something_else() -> None:
    page = generate(opened(), FEW_TOKENS)
    first = strip_text(page)
    assert strip_text(generate(page)) == first
    page.number_input(key="_seed").set_value(7)
    assert strip_text(generate(page)) != first


def test_a_worker_is_made_ready_once_something_was_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[int] = []
    monkeypatch.setattr(launch, "make_ready", lambda: asked.append(1))
    page = opened()
    assert not asked
    generate(page, FEW_TOKENS)
    assert asked


def test_temperature_zero_ignores_the_seed_and_says_so() -> None:
    page = opened()
    page.slider(key="_temperature").set_value(0.0)
    first = strip_text(generate(page, FEW_TOKENS))
    page.number_input(key="_seed").set_value(7)
    assert strip_text(generate(page)) == first
    assert "always the likeliest" in sentences(page)
    tokens = strip(page)["tokens"]
    written = tokens[[token[2] for token in tokens].index(1) :]
    assert all(dict(token[3])["Rank"].startswith("1st of ") for token in written)


def test_bars_reshape_with_temperature_and_grey_what_is_cut() -> None:
    page = opened()
    usual = bars(page)
    assert all(before == after for _, before, after, _, _ in usual)
    checked(page.slider(key="_temperature").set_value(0.5).run())
    sharper = bars(page)
    assert [row[:2] for row in sharper] == [row[:2] for row in usual]
    weights = [row[1] ** 2 for row in usual]
    assert sharper[1][2] / sharper[0][2] == pytest.approx(
        weights[1] / weights[0], abs=0.02
    )
    checked(page.number_input(key="_top_k").set_value(3).run())
    assert [row[2] > 0 for row in bars(page)] == [True] * 3 + [False] * 5
    assert sum(row[2] for row in bars(page)) == pytest.approx(1, abs=1e-4)
    assert bars(page)[5][3] == "cut"
    assert "3 of " in sentences(page)


@pytest.mark.parametrize(
    "prompt",
    [
        HOSTILE,
        "옛날에 릴리가 살았어요. 🎈👩\u200d👩\u200d👧",
        "\x07\x1b[31m tab\tnew\nline\u200b\u2028",
        "**bold** $x$ :red[x] [a](http://x) `code` {name}",
        " ",
    ],
)
def test_any_prompt_comes_back_to_the_letter(prompt: str) -> None:
    page = generate(typed(opened(), prompt), FEW_TOKENS)
    assert strip_text(page).startswith(prompt)
    assert not page.error
    assert "<script>alert" not in html(page)
    assert "<img" not in html(page)


def test_empty_prompt_is_no_error() -> None:
    page = generate(typed(opened(), ""), FEW_TOKENS)
    assert "starts a story from nothing" in sentences(page)
    assert strip_text(page)
    assert not page.error


def test_prompt_of_100_000_characters_is_cut_and_says_how() -> None:
    page = typed(opened(), "Once upon a time. " * 5556)
    assert "first" in page.info[0].value
    assert r"Left out\: the first" in page.info[0].value
    generate(page)
    assert not page.error
    assert len(strip(page)["tokens"]) <= 255


def test_prompt_beyond_all_bounds_is_refused_and_kept() -> None:
    page = typed(opened(), "a" * 200_001)
    assert "200,001" in page.error[0].value.replace("\\", "")
    assert page.text_area[0].value == "a" * 200_001


def test_special_token_typed_as_text_is_noted() -> None:
    page = typed(opened(), "The end.<|endoftext|>")
    assert "<|endoftext|> is a special token" in sentences(page)
    assert strip_text(page) == "The end.<|endoftext|>"


def test_full_context_ends_with_an_explanation() -> None:
    page = opened()
    page.number_input(key="_max_new_tokens").set_value(1000)
    page = typed(page, "Once upon a time. " * 40)
    generate(page)
    assert len(strip(page)["tokens"]) <= 255
    assert not page.error


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("_temperature", math.nan),
        ("_temperature", 99.0),
        ("_temperature", -1.0),
        ("_top_k", -5),
        ("_top_p", 0.0),
        ("_max_new_tokens", 10**7),
        ("_seed", -1),
    ],
)
def test_forged_value_never_reaches_the_model(key: str, value: float) -> None:
    page = opened()
    widget = page.slider if key == "_temperature" else page.number_input
    checked(widget(key=key).set_value(value).run())
    low, high = BOUNDS[key[1:]]
    assert (
        low <= getattr(page.session_state["playground.state"].settings, key[1:]) <= high
    )
    assert strip_text(page)


@pytest.mark.parametrize("value", [math.nan, math.inf, -1.0, 99.0, None, "hot"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_value_that_no_widget_gives_is_a_plain_sentence(
    value: Any, language: Language, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(st, "slider", lambda *_, **__: value)
    (error,) = opened(language).error
    said = error.value.replace("\\", "")
    assert "temperature" in said
    assert str(value) in said


def test_settings_and_story_survive_language_and_page() -> None:
    page = opened()
    page.slider(key="_temperature").set_value(0.3)
    page.number_input(key="_top_k").set_value(11)
    page.text_area[0].set_value("One day, a boy named Tom")
    generate(page)
    before = strip_text(page)
    page.segmented_control(key="_language_picker").set_value("ko").run()
    kept = {
        key: page.session_state[key]
        for key in ("playground.state", "playground.samples")
    }
    # Leaving a page drops its widgets; what the page kept is all that comes back.
    page = opened("ko", **kept)
    assert page.slider(key="_temperature").value == 0.3
    assert page.number_input(key="_top_k").value == 11
    assert page.text_area[0].value == "One day, a boy named Tom"
    assert strip_text(page) == before


def test_stop_keeps_what_is_written() -> None:
    page = generate(opened())
    writing = page.session_state["playground.samples"][0]
    # As an interrupted run leaves it: some tokens there, no reason to have ended.
    n_before = len(writing.ids) - 5
    del writing.ids[n_before:]
    writing.reason = None
    writing.stop()
    checked(page.run())
    assert len(page.session_state["playground.samples"][0].ids) == n_before
    assert f"{n_before} tokens, then you pressed Stop" in sentences(page)


def clicked(position: int, language: Language = "en", name: str = "0") -> AppTest:
    """The page after a click on that token of a story: AppTest has no browser to click
    in."""
    return opened(language, **{stories.WORD: (name, position)})


def linked_features(page: AppTest) -> list[tuple[str, int]]:
    """The run and the feature of each link to a feature, from top to bottom."""
    links = [parse_qs(link.proto.query_string) for link in page.get("page_link")]
    return [
        (link["run"][0], int(link["feature"][0])) for link in links if "feature" in link
    ]


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_first_visit_waits_for_no_model(
    language: Language, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(_source: str) -> None:
        raise AssertionError("the model was asked for")

    early = cache.WarmUp("libraries", done=False)
    for module in (write_view, word):
        monkeypatch.setattr(module, "loaded_model", never)
    monkeypatch.setattr(write_view, "warm_up_state", lambda: early)
    page = opened(language)
    assert not page.error
    early_strips, early_bars = strips(page), bars(page)
    assert len(early_strips) == 5
    assert linked_features(page)
    monkeypatch.undo()
    # When the model is there, it says the same.
    warm = opened(language)
    assert [each["tokens"] for each in strips(warm)] == [
        each["tokens"] for each in early_strips
    ]
    assert [row[:1] for row in bars(warm)] == [row[:1] for row in early_bars]
    for row, other in zip(bars(warm), early_bars, strict=True):
        assert row[1:3] == pytest.approx(other[1:3], abs=1e-4)
    generate(warm)
    for each, early_one in zip(strips(warm), early_strips, strict=True):
        texts = [token[0] for token in each["tokens"]]
        assert texts == [token[0] for token in early_one["tokens"]]


def test_a_prompt_that_the_model_cannot_read_is_told_why() -> None:
    page = typed(opened(), "옛날 옛적에 릴리라는 아이가 살았어요.")
    assert "hardly read any text in this script" in sentences(page)
    assert "hardly read any text in this script" not in sentences(
        typed(page, "Once upon a time, Lily met 릴리.")
    )


@pytest.mark.parametrize("language", LANGUAGES)
def test_before_a_click_a_word_of_the_first_story_is_there(language: Language) -> None:
    page = opened(language)
    (_, (first, *_)) = shipped()
    wanted = first.features[first.begin_at] if first.features else []
    assert linked_features(page) == [
        (STORYBOOK_SAE, each.feature) for each in wanted[: word.N_FEATURES]
    ]
    assert strip(page)["selected"] == first.begin_at


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_click_lists_the_features_active_at_that_token(
    language: Language, tiny_home: Path
) -> None:
    assert tiny_home.is_dir()
    page = clicked(3, language)
    assert not page.error
    model = load_model(STORYBOOK)
    ids = model.encode(text("playground.prompt_default", language))
    active = active_features(load_sae(STORYBOOK_SAE_DIR), model, ids, 3)
    assert linked_features(page) == [
        (STORYBOOK_SAE, each.feature) for each in active[: word.N_FEATURES]
    ]
    table = open_index(STORYBOOK_FEATURES_DIR).table()
    for each in active[: word.N_FEATURES]:
        assert f"{each.activation:.2f}" in html(page)
        for token in table["top_tokens"][each.feature][:5]:
            assert escape(visible(token)) in html(page)
        for token in table["promoted"][each.feature][: word.N_PUSHED]:
            assert escape(as_word(token)) in html(page)


def test_a_click_in_a_story_that_was_written_lists_its_features() -> None:
    page = generate(opened())
    sample = page.session_state[stories.SAMPLES][2]
    ids = [*sample.prompt.ids, *sample.ids]
    page.session_state[stories.WORD] = ("2", 30)
    checked(page.run())
    model = load_model(STORYBOOK)
    active = active_features(load_sae(STORYBOOK_SAE_DIR), model, ids, 30)
    assert [feature for _, feature in linked_features(page)] == [
        each.feature for each in active[: word.N_FEATURES]
    ]
    assert [each["selected"] for each in strips(page)] == [None, None, 30, None, None]


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_features_are_those_of_the_sae_that_is_chosen(
    language: Language, tiny_home: Path
) -> None:
    run = finished_run(write_model(tiny_home / "model"), name="<b>other</b>")
    page = clicked(3, language, name=stories.TYPED)
    assert {run_id for run_id, _ in linked_features(page)} == {STORYBOOK_SAE}
    # An SAE of another model brings its model along: it reads the prompt, too.
    page.query_params["run"] = run.id
    checked(page.run())
    assert not page.error
    assert page.session_state[address.STATE].model == run.config.model_name
    prompt = text("playground.prompt_default", language)
    assert strip_text(page) == prompt
    page.query_params["run"] = STORYBOOK_SAE
    checked(page.run())
    assert not page.error
    assert {run_id for run_id, _ in linked_features(page)} == {STORYBOOK_SAE}


def in_view(view: View, language: Language = "en", **state: Any) -> AppTest:
    default = {"prompt": text("playground.prompt_default", language), "other": "Tom."}
    return opened(language, **{address.STATE: State(view=view, **{**default, **state})})


def group(page: AppTest, key: str) -> Any:
    """The segmented control or the pills of that key."""
    (found,) = [each for each in page.get("button_group") if each.key == key]
    return found


def strips(page: AppTest) -> list[dict[str, Any]]:
    return [
        json.loads(zlib.decompress(node.proto.bytes))
        for node in page.get("bidi_component")
        if node.proto.component_name == "tinysae_tokens"
    ]


def pressed(page: AppTest, key: str) -> AppTest:
    label = text(key, language_of(page))
    (button,) = [each for each in page.button if each.label == label]
    return checked(button.click().run())
