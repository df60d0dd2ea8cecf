"""The playground page, in both languages and with everything people may throw at it."""

import base64
import json
import math
import zlib
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pandas as pd
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
from tinysae.model.text.logprobs import token_stats
from tinysae.model.text.ranks import answer_ranks
from tinysae.model.text.state import MAX_LINK_CHARACTERS, Colour, State, View, packed
from tinysae.model.text.suite import Row, SuiteRun, shipped_suite, summary
from tinysae.render.numbers import percent, signed
from tinysae.render.visible import as_word, visible
from tinysae.sae.load import load_sae
from tinysae.ui.shell import cache
from tinysae.ui.shell.choice import Choice, remember_path
from tinysae.ui.shell.page import ROOT
from tinysae.ui.write import address, stories, word, write_view
from tinysae.ui.write.heatmap import SCALES, colour_steps
from tinysae.ui.write.suite import rows_of
from tinysae.ui.write.told import shipped
from tinysae.words import LANGUAGES, Language, text

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(1)>"


@pytest.fixture(autouse=True, scope="module")
def warm() -> None:
    """The model is there: a page that came before it is looked at on purpose."""
    cache.start_warm_up()
    assert cache._warm_up_thread().finished.wait(PATIENCE_S)


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


def generate(page: AppTest) -> AppTest:
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
def test_generated_text_follows_the_prompt_in_the_strip(language: Language) -> None:
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
    page = generate(opened())
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
    generate(page)
    assert asked


def test_temperature_zero_ignores_the_seed_and_says_so() -> None:
    page = opened()
    page.slider(key="_temperature").set_value(0.0)
    first = strip_text(generate(page))
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
    page = generate(typed(opened(), prompt))
    assert strip_text(page).startswith(prompt)
    assert not page.error
    assert "<script>alert" not in html(page)
    assert "<img" not in html(page)


def test_empty_prompt_is_no_error() -> None:
    page = generate(typed(opened(), ""))
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


def test_five_samples_have_seeds_of_their_own_and_are_strips() -> None:
    page = generate(opened())
    samples = page.session_state["playground.samples"]
    assert len(samples) == 5
    assert len({sample.text for sample in samples}) == 5
    shown = ["".join(token[0] for token in each["tokens"]) for each in strips(page)]
    prompt = text("playground.prompt_default", "en")
    assert shown == [prompt + sample.text for sample in samples]
    again = generate(opened()).session_state["playground.samples"]
    assert [sample.text for sample in again] == [sample.text for sample in samples]


@pytest.mark.parametrize("colour", SCALES)
@pytest.mark.parametrize("language", LANGUAGES)
def test_heatmap_is_coloured_by_what_was_chosen(
    colour: Colour, language: Language
) -> None:
    page = in_view("write", language, colour=colour, prompt="Tom ate a zebra.")
    shown = strip(page)
    assert text(f"playground.legend_{colour}", language) in shown["label"]
    assert text(f"playground.low_{colour}", language) in html(page)
    model = load_model(STORYBOOK)
    stats = token_stats(model, model.encode(page.text_area[0].value or ""))
    assert [token[1] for token in shown["tokens"]] == colour_steps(stats, colour)
    assert all(
        token[3][0][0] == text(f"playground.{colour}", language)
        for token in shown["tokens"]
    )
    assert f"{stats.perplexity:,.2f}" in sentences(page)


def test_a_pinned_token_shows_its_ten_alternatives() -> None:
    page = clicked(9)
    model = load_model(STORYBOOK)
    stats = token_stats(model, model.encode(text("playground.prompt_default", "en")))
    for token_id in stats.top_ids[9].tolist():
        assert escape(as_word(model.token_text(token_id))) in html(page)


@pytest.mark.parametrize("drawing", ["circuitsvis", "attention"])
def test_circuitsvis_is_one_switch_away(drawing: str) -> None:
    page = typed(opened(), f"Once {HOSTILE}")
    switch = group(page, "_drawing")
    checked(switch.set_value(drawing).run())
    (frame,) = [
        node.proto
        for node in page.get("bidi_component")
        if node.proto.component_name == "tinysae_framed"
    ]
    document = zlib.decompress(
        base64.b64decode(json.loads(frame.json)["html"])
    ).decode()
    assert "default-src 'none'" in document
    # CircuitsVis's own and the one that says how tall it is: none that a token ended.
    assert document.count("</script>") == 2
    assert not page.error


@pytest.mark.parametrize("language", LANGUAGES)
def test_ranks_are_shown_for_each_token_of_each_answer(language: Language) -> None:
    page = in_view("ranks", language, answers="she\nLily went")
    assert not page.error
    model = load_model(STORYBOOK)
    prompt = text("playground.prompt_default", language)
    for answer in ("she", "Lily went"):
        for token in answer_ranks(model, prompt, answer).tokens:
            wanted = text(
                "playground.answer_token",
                language,
                token=visible(model.token_text(token.token_id)),
                rank=f"{token.rank:,}",
                prob=percent(token.prob),
                logit=signed(token.logit),
            )
            assert wanted in sentences(page).replace("\u2060", "")


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_answer_that_would_change_the_prompts_tokens_says_so(
    language: Language,
) -> None:
    state = {"prompt": "Once upon a ti", "prepend_space": False}
    page = in_view("ranks", language, answers="me", **state)
    said = text("playground.answer_merges", language, answer="me")
    assert said in sentences(page)
    page.session_state["playground.suite_rows"] = [
        Row("Once upon a ti", "me"),
        Row("Once upon a time", ", there"),
    ]
    pressed(page, "playground.suite_run")
    assert text("playground.suite_merges", language, n=1) in sentences(page)
    page = in_view("ranks", language, answers="me", prompt="Once upon a ti")
    assert said not in sentences(page)


@pytest.mark.parametrize(
    "answers", ["", " \n ", "a\n" * 11, "word " * 300, "x" * 100_000]
)
@pytest.mark.parametrize("language", LANGUAGES)
def test_answers_that_are_none_are_a_plain_sentence(
    answers: str, language: Language
) -> None:
    page = in_view("ranks", language, answers=answers)
    # One for the ranks, one where their Python would stand.
    assert page.error
    assert page.text_area[1].value == answers


@pytest.mark.parametrize(
    "answer", ["\ufffd", "مرحبا بالعالم", "<|endoftext|>", HOSTILE]
)
def test_any_answer_has_its_ranks(answer: str) -> None:
    page = in_view("ranks", answers=answer, prompt="שלום <|endoftext|>")
    assert not page.error
    assert page.table
    assert "special token" in sentences(page)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_shipped_suite_runs_and_its_table_can_be_taken_along(
    language: Language,
) -> None:
    page = pressed(in_view("ranks", language), "playground.suite_run")
    assert not page.error
    run = page.session_state["playground.suite_run"]
    assert run.is_over
    figures = summary(run.results)
    assert figures is not None
    assert [metric.value for metric in page.metric] == [
        percent(figures.top_1),
        percent(figures.top_5),
        f"{figures.mean_rank:.2f}",
    ]


def test_a_pasted_suite_is_checked_and_what_was_there_stays() -> None:
    page = in_view("ranks")
    before = page.session_state["playground.suite_rows"]
    for pasted, said in (
        ("text,label\na,b", "prompt and answer"),
        ("prompt,answer\n" + "a,b\n" * 100_000, "100,000"),
        ("prompt,answer\na,b,c", "Line 2"),
    ):
        page.text_area(key="_suite_paste").set_value(pasted)
        pressed(page, "playground.suite_use")
        (error,) = page.error
        assert said in error.value.replace("\\", "")
        assert page.session_state["playground.suite_rows"] == before
    page.text_area(key="_suite_paste").set_value("prompt,answer\nOnce upon a,time\nx,")
    pressed(page, "playground.suite_use")
    assert page.session_state["playground.suite_rows"] == [
        Row("Once upon a", "time"),
        Row("x", ""),
    ]
    pressed(page, "playground.suite_run")
    results = page.session_state["playground.suite_run"].results
    assert [each.problem is None for each in results] == [True, False]
    pressed(page, "playground.suite_shipped")
    assert page.session_state["playground.suite_rows"] == shipped_suite()


def test_a_stopped_suite_keeps_its_results() -> None:
    run = SuiteRun(load_model(STORYBOOK), shipped_suite())
    run.step()
    run.stop()
    page = in_view("ranks")
    page.session_state["playground.suite_run"] = run
    checked(page.run())
    assert "rows run: 1 of 40" in sentences(page)
    assert len(run.results) == 1


def test_cells_that_nobody_filled_are_no_rows() -> None:
    table = pd.DataFrame(
        {"prompt": ["a", None, ""], "answer": [None, "b", float("nan")]}
    )
    assert rows_of(table) == [Row("a", ""), Row("", "b")]
    assert rows_of(table.drop(columns="answer")) == [Row("a", "")]


@pytest.mark.parametrize("language", LANGUAGES)
def test_two_texts_are_compared_token_by_token(language: Language) -> None:
    page = in_view(
        "compare", language, prompt="Tom was happy.", other="Lily was happy."
    )
    assert not page.error
    first, second = strips(page)
    assert first["scale"] == "s"
    assert second["scale"] == "d"
    model = load_model(STORYBOOK)
    own = token_stats(model, model.encode("Tom was happy."))
    other = token_stats(model, model.encode("Lily was happy."))
    # The names differ, the rest is compared.
    assert second["tokens"][0][1] is None
    change = float(other.log_prob[-1] - own.log_prob[-1])
    assert second["tokens"][-1][3][0][1] == signed(change)


def test_one_text_is_compared_in_two_models(tiny_home: Path) -> None:
    finished_run(write_model(tiny_home / "model"), name="other")
    page = in_view("compare", prompt="Once upon a time", other="")
    checked(
        page.selectbox(key="_other_model").set_value(str(tiny_home / "model")).run()
    )
    assert not page.error
    first, second = strips(page)
    for shown in (first, second):
        assert "".join(token[0] for token in shown["tokens"]) == "Once upon a time"


def test_the_other_text_is_read_by_the_same_model_at_first(tiny_home: Path) -> None:
    finished_run(write_model(tiny_home / "model"), name="other")
    write_model(tiny_home / "mine")
    page = in_view("compare", prompt="Once upon a time", other="")
    page.session_state["shell.choice"] = Choice(model=str(tiny_home / "mine"))
    checked(page.run())
    chosen = page.selectbox(key="_other_model")
    assert chosen.value == str(tiny_home / "mine")
    assert "mine" in chosen.options


def shared_link(page: AppTest) -> str:
    (link,) = [code.value for code in page.code if "?play=" in code.value]
    return parse_qs(link.partition("?")[2])["play"][0]


def with_link(link: str, language: Language = "en", **more: str) -> AppTest:
    page = AppTest.from_file(ROOT / "app.py", default_timeout=PATIENCE_S)
    page.switch_page("pages/playground.py")
    page.query_params["play"] = link
    page.query_params["lang"] = language
    for name, value in more.items():
        page.query_params[name] = value
    return checked(page.run())


def test_a_reload_finds_the_model_of_a_folder_and_what_it_wrote(
    tiny_home: Path,
) -> None:
    path = str(write_model(tiny_home / "mine"))
    state = State(prompt="Once", n_samples=1, model=path, is_written=True)
    page = until_written(with_link(packed(state), model=remember_path(path)))
    (sample,) = page.session_state["playground.samples"]
    assert list(sample.prompt.ids) == load_model(path).encode("Once")
    assert page.session_state["playground.state"].model == path
    assert not page.warning
    # Nobody has chosen it here: no other model writes in its place.
    page = with_link(packed(state), model="~0123456789abcdef")
    assert "playground.samples" not in page.session_state
    assert page.warning[0].value == text("models.path_unknown", "en")


def test_a_link_opens_the_same_page() -> None:
    page = opened()
    page.slider(key="_temperature").set_value(0.3)
    page.number_input(key="_top_k").set_value(11)
    page.number_input(key="_seed").set_value(7)
    page.slider(key="_n_samples").set_value(2)
    page.selectbox(key="_colour").set_value("rank")
    generate(typed(page, "One day, 한국어 🎈"))
    other = until_written(with_link(shared_link(page)))
    assert other.text_area[0].value == "One day, 한국어 🎈"
    assert strip(other) == strip(page)
    assert [sample.text for sample in other.session_state["playground.samples"]] == [
        sample.text for sample in page.session_state["playground.samples"]
    ]


@pytest.mark.parametrize(
    ("link", "key"),
    [("x" * 400_000, "link_too_long"), ("AAAA", "link_damaged")],
)
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_bad_link_is_a_plain_sentence_on_a_page_that_works(
    link: str, key: str, language: Language
) -> None:
    page = with_link(link, language)
    (warning,) = page.warning
    wanted = text(
        f"error.{key}", language, n=f"{len(link):,}", limit=f"{MAX_LINK_CHARACTERS:,}"
    )
    assert warning.value.replace("\\", "") == wanted
    assert strip_text(page).startswith(text("playground.prompt_default", language))


def test_a_link_of_a_megabyte_opens_the_page_without_it() -> None:
    # Streamlit itself drops a query of more than 512 KiB before a page sees it.
    page = with_link("x" * 1_000_000)
    assert strip_text(page).startswith(text("playground.prompt_default", "en"))
    assert not page.error


def test_a_link_with_halves_of_characters_opens_with_whole_ones() -> None:
    page = with_link(packed(State(prompt="Once\ud800 upon", answers="\udfff")))
    assert strip_text(page) == "Once\ufffd upon"
    assert not page.error


def test_a_prompt_too_long_for_a_link_can_still_be_taken_along() -> None:
    digits = "".join(f"{zlib.crc32(i.to_bytes(2)):x}" for i in range(5_000))
    page = typed(opened(), digits)
    (error,) = page.error
    assert "Shorten the text" in error.value
    assert [code for code in page.code if "TransformerBridge" in code.value]


def test_the_beginning_of_a_long_text_can_be_kept_instead() -> None:
    page = typed(opened(), "Tom was happy. " + "Once upon a time. " * 200)
    assert "first" in page.info[0].value
    keep = group(page, "_keep")
    checked(keep.set_value("start").run())
    assert strip_text(page).startswith("Tom was happy.")
    assert r"Left out\: the last" in page.info[0].value
    assert len(page.text_area[0].value or "") > 3000


def test_tokens_are_shown_as_they_are_typed_if_asked_for() -> None:
    page = typed(opened(), "Once, 한국어 🎈")
    checked(page.toggle(key="_typed").set_value(True).run())
    shown = next(each for each in strips(page) if each["spaces"])
    assert shown["spaces"]
    assert "".join(token[0] for token in shown["tokens"]) == "Once, 한국어 🎈"
    assert all(token[1] is None for token in shown["tokens"])
