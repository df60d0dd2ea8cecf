"""A suite of prompts and answers: its table, its figures, and tables that are none."""

import csv
import io
import os
from pathlib import Path

import pytest

from tinysae.errors import InputError, MissingError
from tinysae.model.sources import STORYBOOK, LoadedModel, load_model
from tinysae.model.text.ranks import answer_ranks
from tinysae.model.text.suite import (
    MAX_ROWS,
    Row,
    parse_csv,
    read_csv,
    run_suite,
    shipped_suite,
    summary,
    to_csv,
)


def test_columns_may_stand_in_any_order_and_others_are_left_out() -> None:
    text = '\ufeffanswer,note,Prompt\r\n Lily,x,"a, ""b""\nc"\r\n\r\nTom,,d\r\n'
    assert parse_csv(text) == [Row('a, "b"\nc', " Lily"), Row("d", "Tom")]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_spreadsheets_of_every_country_are_read(delimiter: str) -> None:
    assert parse_csv(f"prompt{delimiter}answer\na{delimiter}b") == [Row("a", "b")]


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("", "suite_columns"),
        ("text,label\na,b", "suite_columns"),
        ("prompt,answer,prompt\na,b,c", "suite_columns"),
        ("prompt,answer\n", "suite_empty"),
        ("prompt,answer\na,b\nc,d,e", "suite_row_cells"),
        ("prompt,answer\n" + "a,b\n" * 100_000, "suite_too_long"),
        ("prompt,answer\n" + "a" * 5_000_000, "suite_too_large"),
        ("prompt,answer\n" + "a" * 200_000 + ",b", "suite_not_csv"),
    ],
)
def test_a_table_that_is_none_is_refused_with_its_reason(text: str, key: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_csv(text)
    assert caught.value.key == f"error.{key}"


def test_a_refused_row_is_named() -> None:
    with pytest.raises(InputError) as caught:
        parse_csv("prompt,answer\na,b\nc,d,e")
    assert caught.value.values == {"row": "3", "n": 3, "expected": 2}


def test_rows_have_the_ranks_they_have_alone(tiny_model: LoadedModel) -> None:
    rows = [Row("Once upon a", "time"), Row("Tom was", ""), Row("a boy", "named Tom")]
    results = list(run_suite(tiny_model, rows))
    assert [each.row for each in results] == rows
    assert results[0].ranks == answer_ranks(tiny_model, *rows[0])
    assert results[2].ranks == answer_ranks(tiny_model, *rows[2])
    assert results[1].ranks is None
    assert results[1].problem is not None
    figures = summary(results)
    assert figures is not None
    ranks = [each.ranks.rank for each in results if each.ranks]
    assert (figures.n, figures.n_problems) == (2, 1)
    assert figures.mean_rank == sum(ranks) / 2
    assert figures.top_5 == (int(ranks[0] < 5) + int(ranks[1] < 5)) / 2
    assert summary([results[1]]) is None


def test_results_can_be_run_again(tiny_model: LoadedModel) -> None:
    rows = [Row('a "b", c\n', " d"), Row("=1+1", ""), Row("x" * 30_000, "y")]
    text = to_csv(tiny_model, run_suite(tiny_model, rows))
    assert parse_csv(text) == rows
    table = list(csv.DictReader(io.StringIO(text)))
    assert [bool(row["problem"]) for row in table] == [False, True, True]
    assert table[0]["rank"].isdigit()


def test_the_model_remembers_the_characters_name() -> None:
    model = load_model(STORYBOOK)
    rows = shipped_suite()
    assert 20 <= len(rows) <= MAX_ROWS
    # The name has to come from the prompt, where another one is, too.
    assert all(row.answer.strip() in row.prompt for row in rows)
    assert len({row.answer for row in rows}) > 10
    figures = summary(list(run_suite(model, rows)))
    assert figures is not None
    assert figures.n == len(rows)
    assert figures.top_1 > 0.9


def unreadable(path: Path, kind: str) -> Path:
    if kind == "a pipe":
        os.mkfifo(path)
    elif kind == "a device":
        path.symlink_to("/dev/zero")
    elif kind == "a folder":
        path.mkdir()
    return path


@pytest.mark.parametrize("kind", ["a pipe", "a device", "a folder", "nothing"])
def test_a_suite_is_read_from_nothing_but_a_file(tmp_path: Path, kind: str):
    with pytest.raises(MissingError) as caught:
        read_csv(unreadable(tmp_path / "suite.csv", kind))
    assert caught.value.key == "error.suite_missing"


def test_a_suite_is_read_no_further_than_any_suite_goes(tmp_path: Path):
    path = tmp_path / "suite.csv"
    with path.open("wb") as file:
        # Of no size on the disk.
        file.truncate(1 << 40)
    with pytest.raises(InputError) as caught:
        read_csv(path)
    assert caught.value.key == "error.suite_too_large"


def test_a_suite_in_utf_8_is_read_with_its_mark(tmp_path: Path):
    path = tmp_path / "suite.csv"
    path.write_bytes(b"\xef\xbb\xbfprompt,answer\nOnce,\xec\x98\x9b\n")
    assert read_csv(path) == [Row("Once", "옛")]
    path.write_bytes("prompt,answer\nOnce,옛\n".encode("utf-16"))
    with pytest.raises(InputError) as caught:
        read_csv(path)
    assert caught.value.key == "error.suite_not_utf8"
