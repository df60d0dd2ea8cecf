"""Themes: features grouped by what they mean and by who fires with whom."""

import json
from pathlib import Path

import numpy as np
import pytest

from tinysae.data.storybook.words import CONCEPTS, KINDS
from tinysae.errors import DamagedError
from tinysae.features.index.records import Partners
from tinysae.features.names.labels import Label
from tinysae.features.names.rules import Clause
from tinysae.features.names.theme_file import (
    MAX_FILE_BYTES,
    THEMES_NAME,
    Theme,
    Themes,
    read_themes,
    theme_name,
    write_themes,
)
from tinysae.features.names.themes import Shares, grouped, shares_of, word_topics
from tinysae.words import LANGUAGES, catalogue

ANIMALS, FOOD, TIME = Theme("animals"), Theme("food"), Theme("time")
KNOWN = [ANIMALS, FOOD, TIME]
N_EACH, N_ALONE = 40, 20
SAVED = {"format": 1, "themes": [["food", True], ["x", False]], "of": [0, -1, 1]}


def nobody(d_sae: int) -> Partners:
    return Partners(np.full((d_sae, 1), -1, np.int32), np.zeros((d_sae, 1), np.float32))


def some_topics() -> list[Shares]:
    """Forty features of each kind, and twenty that have nothing in common."""
    alone = [Shares({Theme(f"word{n}", is_kind=False): 1.0}) for n in range(N_ALONE)]
    kinds = [Shares({kind: 0.8, Theme(f"w{n}", False): 0.2}) for n in range(N_EACH)
             for kind in KNOWN]  # fmt: skip
    return [*kinds, *alone]


def test_features_of_one_kind_are_one_theme():
    topics = some_topics()
    themes = grouped(topics, nobody(len(topics)), 0)
    for kind in KNOWN:
        of_it = {at for at, own in enumerate(topics) if kind in own}
        assert set(themes.members[themes.themes.index(kind)]) == of_it


def test_what_has_nothing_in_common_has_no_theme():
    topics = some_topics()
    themes = grouped(topics, nobody(len(topics)), 0)
    assert set(themes.themes) == set(KNOWN)
    assert themes.of[-N_ALONE:] == (-1,) * N_ALONE


def test_a_feature_that_is_about_nothing_has_no_theme():
    topics = [*some_topics(), Shares()]
    assert grouped(topics, nobody(len(topics)), 0).of[-1] == -1


def test_the_same_features_have_the_same_themes():
    topics = some_topics()
    partners = nobody(len(topics))
    assert grouped(topics, partners, 3) == grouped(topics, partners, 3)


def test_who_fires_with_a_theme_leans_towards_it():
    """Two with the same meaning: one fires with animals, one with food."""
    both = Shares({ANIMALS: 0.5, FOOD: 0.5})
    topics = [*some_topics(), both, both]
    partners = nobody(len(topics))
    for feature, kind in ((-2, ANIMALS), (-1, FOOD)):
        partners.feature[feature] = next(
            at for at, own in enumerate(topics) if kind in own
        )
        partners.jaccard[feature] = 1.0
    themes = grouped(topics, partners, 0)
    assert themes.theme(len(topics) - 2) == ANIMALS
    assert themes.theme(len(topics) - 1) == FOOD


@pytest.mark.parametrize("topics", [[], [Shares()] * 3, [Shares({FOOD: 1.0})] * 2])
def test_too_few_features_have_no_themes(topics: list[Shares]):
    themes = grouped(topics, nobody(len(topics)), 0)
    assert themes.themes == ()
    assert len(themes.of) == len(topics)


def test_a_feature_is_about_what_its_rule_says_and_what_it_is_strongest_on():
    by_phrase = Clause("phrase", ("the cat",), 1)
    label = Label("x", "tokens", clauses=(by_phrase,), detection=0.9)
    shares = shares_of(label, [(" apple", 0.5)])
    assert shares == {ANIMALS: 0.5, FOOD: 0.5}


def test_a_rule_that_tells_nothing_is_no_meaning():
    by_phrase = Clause("phrase", ("the cat",), 1)
    label = Label("x", "tokens", clauses=(by_phrase,), detection=0.5)
    assert shares_of(label, [(" apple", 0.5)]) == {FOOD: 1.0}


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        (" cat", "animals"),
        ("Rain", "weather"),
        ('."', "dialogue"),
        ("?", "asking"),
        ("\n", "lines"),
        (" {", "signs"),
        ("12", "counting"),
    ],
)
def test_a_word_or_sign_is_of_a_kind(word: str, kind: str):
    assert Theme(kind) in word_topics(word)


def test_a_word_of_no_kind_is_its_own_topic():
    assert word_topics(" Function") == [Theme("function", is_kind=False)]


def test_every_concept_is_of_one_kind_that_has_a_name():
    concepts = [concept for own in KINDS.values() for concept in own]
    assert sorted(concepts) == sorted(CONCEPTS)
    assert all(f"themes.kind_{kind}" in catalogue() for kind in KINDS)


def test_themes_are_read_as_they_were_written(tmp_path: Path):
    themes = Themes((ANIMALS, Theme("function", is_kind=False)), (0, -1, 1, 0))
    write_themes(tmp_path, themes)
    assert read_themes(tmp_path) == themes
    assert themes.members == [[0, 3], [2]]
    assert themes.theme(1) is None
    assert theme_name(themes.themes[1], "en") == "“function”"
    assert len({theme_name(ANIMALS, language) for language in LANGUAGES}) == 2


def test_an_index_without_the_file_has_no_themes(tmp_path: Path):
    assert read_themes(tmp_path) == Themes()


@pytest.mark.parametrize(
    "wrong",
    [
        {"format": 2},
        {"themes": [["no kind", True]]},
        {"themes": [["food", True]] * 2},
        {"themes": [["food", 1]]},
        {"themes": [["x" * 41, False], ["y", False]]},
        {"themes": [["", False], ["y", False]]},
        {"themes": [[f"{n}", False] for n in range(65)]},
        {"themes": {"food": True}},
        {"of": [0, -1, 2]},
        {"of": [0, -2]},
        {"of": [True]},
        {"of": [float("nan")]},
        {"of": None},
        {"more": "x" * MAX_FILE_BYTES},
    ],
)
def test_a_file_that_is_wrong_is_said_to_be_damaged(wrong: dict, tmp_path: Path):
    (tmp_path / THEMES_NAME).write_text(json.dumps({**SAVED, **wrong}))
    with pytest.raises(DamagedError, match=THEMES_NAME):
        read_themes(tmp_path)


def test_the_file_that_the_wrong_ones_are_made_of_is_right(tmp_path: Path):
    (tmp_path / THEMES_NAME).write_text(json.dumps(SAVED))
    assert read_themes(tmp_path).of == (0, -1, 1)
