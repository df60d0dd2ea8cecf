"""What acts on a terminal, a spreadsheet or a page is seen and does nothing."""

import csv
import io

import pytest

from tests.builders import token_chunks, write_model, write_sae
from tinysae.cli.output import write
from tinysae.errors import InputError
from tinysae.features.index.build import build_index
from tinysae.features.names.labels import Label
from tinysae.features.names.notes import Note
from tinysae.jobs.files import shown_path
from tinysae.library.card import CardFacts, model_card
from tinysae.library.export import ExportOptions, export_html
from tinysae.model.sources import LoadedModel, load_model
from tinysae.model.text.generate import GenerateSettings
from tinysae.model.text.heatmap_file import stats_csv, stats_html
from tinysae.model.text.logprobs import token_stats
from tinysae.model.text.prompt import prepare_prompt
from tinysae.model.text.recipe import generate_code, heatmap_code, ranks_code
from tinysae.model.text.suite import Row, run_suite, to_csv
from tinysae.render.visible import (
    as_word,
    as_words,
    encodable,
    harmless,
    in_lines,
    in_place,
    shortened,
    visible,
)
from tinysae.sae.load import load_sae
from tinysae.ui.shell.page import plain

# NUL, a terminal's red, C1's next line and APC, and marks that turn or fence off the
# order of reading.
ACTING = "\x00\x1b[31m\x85\x9f\u200e\u200f\u061c\u202a\u202e\u2066\u2069"
ESCAPED = "\\x00\\x1b[31m\\x85\\x9f\\u200e\\u200f\\u061c\\u202a\\u202e\\u2066\\u2069"
TEXT = f"Tom{ACTING}said\n\tno"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (" Lily ", "␣Lily␣"),
        ("a b", "a b"),
        ("\n\t", "↵⇥"),
        ("a\x1bb", "a\\x1bb"),
        ("a\u202eb", "a\\u202eb"),
        ("\u200d", "◌"),
        ("👩\u200d👧", "👩\u200d👧"),
        ("مرحبا", "مرحبا"),
    ],
)
def test_a_token_is_shown_with_what_cannot_be_seen(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_words_of_a_list_have_their_space_marked_where_two_would_look_alike() -> None:
    assert as_words([" Lily", "Tom", " Tom", "!"]) == ["Lily", "Tom", "␣Tom", "!"]
    lines = [f"\n{' ' * n}" for n in (0, 2, 40, 41)]
    assert as_words(lines) == ["↵", "↵␣␣", "↵␣×40", "↵␣×41"]
    assert as_words([" " * 64]) == ["␣×64"]


@pytest.mark.parametrize(
    ("text", "columns", "shown"),
    [
        ("the name of a girl", 18, "the name of a girl"),
        ("the name of a girl", 17, "the name of a…"),
        ("“a”, “b” and so on", 8, "“a”…"),
        ("여자아이 이름", 12, "여자아이…"),
    ],
)
def test_a_name_without_room_is_cut_between_words(text, columns, shown) -> None:
    assert shortened(text, columns) == shown


@pytest.mark.parametrize(
    ("text", "columns", "lines"),
    [
        ("the name of a girl", 18, ["the name of a girl"]),
        ("the name of a girl", 8, ["the name", "of a", "girl"]),
        ("a wonderful x", 4, ["a", "wonderful", "x"]),
        ("여자아이 이름", 12, ["여자아이", "이름"]),
        ("", 5, [""]),
    ],
)
def test_a_name_is_parted_into_lines_between_words(text, columns, lines) -> None:
    assert in_lines(text, columns) == lines


def test_lines_tabs_and_letters_of_every_script_are_no_harm() -> None:
    kept = "a\n\tb é 한 مرحبا שלום 👩\u200d👧 e\u0301 \u00a0 \ufffd"
    assert harmless(kept) == kept
    assert harmless(ACTING) == ESCAPED
    assert harmless("a\r\nb\rc") == "a\r\nb\\x0dc"


def acting(file: str) -> set[str]:
    return set(file) & set(ACTING.replace("[31m", ""))


def test_saved_heatmaps_show_it(tiny_model: LoadedModel) -> None:
    stats = token_stats(tiny_model, tiny_model.encode(TEXT))
    table = stats_csv(tiny_model, stats)
    page = stats_html(tiny_model, stats, [0] * len(stats), ACTING, "en")
    assert not acting(table + page)
    tokens = [row["token"] for row in csv.DictReader(io.StringIO(table))]
    assert "".join(tokens) == f"Tom{ESCAPED}said\n\tno"
    assert ESCAPED in page


def test_a_saved_suite_shows_it(tiny_model: LoadedModel) -> None:
    results = run_suite(tiny_model, [Row(TEXT, ACTING)])
    saved = to_csv(tiny_model, results)
    assert not acting(saved)
    (row,) = csv.DictReader(io.StringIO(saved))
    assert (row["prompt"], row["answer"]) == (f"Tom{ESCAPED}said\n\tno", ESCAPED)


def test_copied_code_shows_it(tiny_model: LoadedModel) -> None:
    prompt = prepare_prompt(tiny_model, TEXT, 1)
    settings = GenerateSettings()
    code = (
        generate_code(tiny_model, prompt, TEXT, settings, 1)
        + heatmap_code(tiny_model, prompt, TEXT)
        + ranks_code(tiny_model, TEXT, [ACTING], True)
    )
    assert not acting(code)


def test_a_card_shows_it() -> None:
    hostile = {"architecture": ACTING, "metadata": {"hook_name": ACTING}}
    card = model_card(CardFacts(ACTING, hostile, made_with={"git": ACTING}))
    assert not acting(card)
    assert "\\u202e" in card


def test_a_saved_page_of_features_shows_it(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("acting")
    model = load_model(str(write_model(folder / "model")))
    sae, chunks = load_sae(write_sae(folder / "sae")), token_chunks(model, 20)
    index = build_index(sae, model, chunks, folder / "index", n_tokens=20 * 16)
    own = list(index.vocabulary.token_bytes)
    index.vocabulary.token_bytes = [ACTING.encode() for _ in own]
    options = ExportOptions(
        ACTING, "en", [Label(ACTING, "explained")] * 40, {5: Note(TEXT)}
    )
    page = export_html(index, [5], options)
    assert not acting(page)
    assert ESCAPED in page


HALVES = "a\ud83db\udc00"
SHOWN = "a\ufffdb\ufffd"


def test_half_of_a_character_is_the_replacement_mark_wherever_it_is_said(
    capsys: pytest.CaptureFixture[str],
):
    assert encodable(HALVES) == SHOWN
    assert SHOWN in str(InputError("suite_columns", columns=HALVES))
    assert shown_path(f"/home/{HALVES}") == f"/home/{SHOWN}"
    assert plain(HALVES) == plain(SHOWN)
    write(HALVES)
    assert capsys.readouterr().out == SHOWN


def test_two_halves_of_one_character_are_that_character():
    assert encodable("\ud83e\udd8b") == "🦋"


@pytest.mark.parametrize(
    ("text", "drawn", "word"),
    [
        (" Lily", " Lily", "Lily"),
        ("\n", "↵", "↵"),
        (" \n", " ↵", "↵"),
        # Models of the world have tokens of nothing but spaces.
        ("   ", "   ", "␣␣␣"),
    ],
)
def test_a_token_is_drawn_with_its_spaces_and_said_without(
    text: str, drawn: str, word: str
) -> None:
    assert in_place(text) == drawn
    assert as_word(text) == word
