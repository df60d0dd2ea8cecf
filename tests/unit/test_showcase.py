"""The features shown first: chosen by rule, kept as JSON, shown in whole sentences."""

import json
from pathlib import Path

import numpy as np
import pytest

from tinysae.errors import DamagedError, MissingError
from tinysae.features.assets import STORYBOOK_FEATURES_DIR
from tinysae.features.index import open_index
from tinysae.features.records import Context
from tinysae.features.showcase import (
    DENSITIES,
    SHOWCASE_NAME,
    Showcase,
    clarity,
    excerpt,
    read_showcases,
    showcases,
    write_showcases,
)

BOS = 0
SHOWN = Showcase(3, 0.01, [" red"], [" ball"], ["A", " red", " ball"], [0, 1.5, 0], 2.0)


def context(texts: list[str], position: int) -> Context:
    """`texts` with an activation at `position` alone; "" is BOS."""
    activations = np.zeros(len(texts), dtype=np.float32)
    activations[position] = 1.0
    tokens = np.array([BOS if text == "" else 7 for text in texts])
    return Context(0, position, tokens, texts, activations)


def shown_text(texts: list[str], position: int) -> str:
    found = excerpt(context(texts, position), BOS)
    assert found.activations[found.position] == 1.0
    assert len(found.texts) == len(found.tokens) == len(found.activations)
    return "".join(found.texts)


def test_an_excerpt_stays_in_its_story() -> None:
    texts = ["", "Old", ".", "", "A", " cat", ".", "", "New", "."]
    assert shown_text(texts, 5) == "A cat."


def test_an_excerpt_begins_and_ends_with_sentences() -> None:
    texts = [*[" x"] * 40, ".", " A", " cat", ".", ' "', "Hi", "!", '"', *[" y"] * 40]
    assert shown_text(texts, 42) == ' A cat. "Hi!"'


def test_an_excerpt_without_a_full_stop_is_cut_by_length() -> None:
    assert len(shown_text([" x"] * 200, 100)) < 200


def test_the_rule_prefers_what_a_token_alone_can_tell() -> None:
    index = open_index(STORYBOOK_FEATURES_DIR)
    chosen = showcases(index, 5)
    records = [index.feature(each.feature) for each in chosen]
    values = [clarity(record) for record in records]
    assert values == sorted(values, reverse=True)
    assert all(DENSITIES[0] <= r.density <= DENSITIES[1] for r in records)
    assert len({each.fires_on[0] for each in chosen}) == len(chosen) == 5
    for each in chosen:
        assert max(each.activations) == pytest.approx(each.max_act, rel=0.5)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    write_showcases(tmp_path, [SHOWN])
    assert read_showcases(tmp_path) == [SHOWN]


def test_none_there_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(MissingError):
        read_showcases(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"format": 2, "features": []}',
        '{"format": 1, "features": [{}]}',
        '{"format": 1, "features": []}',
        '{"format": 1, "features": [3]}',
    ],
)
def test_a_damaged_file_is_a_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / SHOWCASE_NAME).write_text(text)
    with pytest.raises(DamagedError):
        read_showcases(tmp_path)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("texts", []),
        ("texts", [1, 2, 3]),
        ("activations", [1.0]),
        ("activations", ["x", "y", "z"]),
        ("max_act", 0.0),
        ("max_act", "high"),
        ("fires_on", [1]),
        ("promotes", " ball"),
        ("feature", "<b>"),
        ("density", None),
    ],
)
def test_an_entry_of_the_wrong_kind_is_a_sentence(
    tmp_path: Path, name: str, value: object
) -> None:
    write_showcases(tmp_path, [SHOWN])
    path = tmp_path / SHOWCASE_NAME
    data = json.loads(path.read_text())
    data["features"][0][name] = value
    path.write_text(json.dumps(data))
    with pytest.raises(DamagedError):
        read_showcases(tmp_path)
