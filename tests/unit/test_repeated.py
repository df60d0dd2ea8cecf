"""How much of a text comes again is counted before anything is trained on it."""

from pathlib import Path
from typing import Any

import pytest

from tinysae.config import TextChoice
from tinysae.data.repeated import text_facts
from tinysae.data.texts.storybook import STORYBOOK
from tinysae.data.texts.text import is_held_out

LINES = [f"The cat saw dog number {n}. It ran home." for n in range(40)]


@pytest.fixture
def text(tmp_path: Path) -> TextChoice:
    file = tmp_path / "short.jsonl"
    file.write_text("".join(f'{{"text": "{line}"}}\n' for line in LINES))
    return TextChoice(path=str(file))


def test_a_short_text_is_counted_once_and_read_again(
    text: TextChoice, tiny_model: Any
) -> None:
    whole = sum(len(tiny_model.encode(line)) for line in LINES if not is_held_out(line))
    found = text_facts(tiny_model, text, seed=0, n_tokens=5 * whole)
    assert found["n_distinct"] == whole
    assert 5 * whole <= found["n_tokens"] < 5 * whole + 100


def test_of_a_long_one_no_more_is_read_than_the_training_does(
    text: TextChoice, tiny_model: Any
) -> None:
    found = text_facts(tiny_model, text, seed=0, n_tokens=100)
    assert found["n_tokens"] == found["n_distinct"] < 200


def test_what_stands_in_a_text_twice_comes_again(
    text: TextChoice, tiny_model: Any, tmp_path: Path
) -> None:
    twice = tmp_path / "twice.jsonl"
    twice.write_text(2 * Path(text.path).read_text())
    n_tokens = text_facts(tiny_model, text, seed=0, n_tokens=10**6)["n_distinct"]
    doubled = TextChoice(path=str(twice))
    found = text_facts(tiny_model, doubled, seed=0, n_tokens=2 * n_tokens)
    assert found["n_distinct"] == n_tokens


def test_a_text_without_an_end_is_not_read(tiny_model: Any) -> None:
    endless = TextChoice(path=STORYBOOK)
    found = text_facts(tiny_model, endless, seed=0, n_tokens=10**9)
    assert found["n_tokens"] == found["n_distinct"] == 10**6
