"""The playground's views: heatmaps, ranks, comparisons, and links to all of them."""

import base64
import json
import zlib
from html import escape
from pathlib import Path
from urllib.parse import parse_qs

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from tests.app.test_playground import (
    HOSTILE,
    checked,
    clicked,
    generate,
    group,
    html,
    in_view,
    opened,
    pressed,
    sentences,
    strip,
    strip_text,
    strips,
    typed,
    until_written,
)
from tests.builders import finished_run, write_model
from tests.conftest import PATIENCE_S
from tinysae.model.sources import STORYBOOK, load_model
from tinysae.model.text.logprobs import token_stats
from tinysae.model.text.ranks import answer_ranks
from tinysae.model.text.state import MAX_LINK_CHARACTERS, Colour, State, packed
from tinysae.model.text.suite import Row, SuiteRun, shipped_suite, summary
from tinysae.render.numbers import percent, signed
from tinysae.render.visible import as_word, visible
from tinysae.ui.shell.choice import Choice, remember_path
from tinysae.ui.shell.page import ROOT
from tinysae.ui.write.heatmap import SCALES, colour_steps
from tinysae.ui.write.suite import rows_of
from tinysae.words import LANGUAGES, Language, text

pytestmark = pytest.mark.usefixtures("warm", "written_at_once")


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
