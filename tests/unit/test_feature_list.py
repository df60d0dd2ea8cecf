"""In which order features are listed, and how what is typed into the search is
understood."""

from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from tinysae.features.index.reader import open_index
from tinysae.features.names.label_file import read_labels
from tinysae.features.names.labels import Label
from tinysae.features.names.rules import Clause, Condition
from tinysae.library.shipped import STORYBOOK_FEATURES_DIR
from tinysae.model.text.vocabulary import Vocabulary
from tinysae.ui.features.faces import said
from tinysae.ui.features.order import SORTS, Sort, in_order
from tinysae.ui.features.understand import by_name, readings

CONCEPTS = {"pet": "an animal that lives with people", "season": "a season"}
VOCABULARY = Vocabulary([b"<|endoftext|>", b" Lily", b" cat", b"cat", b"7", b"."])


def table(**columns: list) -> pd.DataFrame:
    n = len(columns["density"])
    given = {"max_act": [1.0] * n, "top_tokens": [[" word"]] * n, **columns}
    return pd.DataFrame(given)


def named(concept: str, f1: float) -> Label:
    return Label(concept, "fires_on", concept, f1, f1, f1)


TOKENS = Label(" word", "tokens")


def test_the_clearest_is_named_by_a_concept_and_neither_rare_nor_frequent() -> None:
    own = table(density=[0.01, 0.01, 0.4, 0.01, 0.0])
    labels = [TOKENS, named("pet", 0.9), named("toy", 0.9), named("cold", 0.6), TOKENS]
    assert in_order(own, labels, "clearest").tolist() == [1, 3, 2, 0, 4]


def test_punctuation_comes_last_of_those_with_a_name_and_of_those_without() -> None:
    own = table(density=[0.01] * 4, top_tokens=[["."], [' "'], [" a"], [" the", "."]])
    labels = [named("full_stop", 1.0), TOKENS, TOKENS, named("article", 0.5)]
    assert in_order(own, labels, "clearest").tolist() == [3, 0, 2, 1]


def test_another_concept_comes_before_a_second_feature_of_the_same() -> None:
    own = table(density=[0.01] * 3)
    labels = [named("pet", 0.95), named("pet", 0.94), named("toy", 0.9)]
    assert in_order(own, labels, "clearest").tolist() == [0, 2, 1]


def ruled(*what: str, kind: str = "fires_on", given: int = 0, f1: float = 1.0) -> Label:
    conditions = (Condition("after", ("so",), 1),) * given
    clause = Clause(kind, what, len(what), given=conditions)
    return Label("", "tokens", clauses=(clause,), detection=f1, firing_f1=f1)


def test_of_sure_names_things_come_first_and_the_shortest_of_these() -> None:
    own = table(density=[0.01] * 5)
    labels = [
        ruled(" about", " with", kind="token"),
        ruled("article"),
        ruled("colour", given=1),
        ruled("animal", f1=0.97),
        ruled("animal", f1=0.5),
    ]
    assert in_order(own, labels, "clearest").tolist() == [3, 2, 1, 0, 4]


def test_the_shipped_saes_first_screen_has_an_animal_a_colour_and_six_others() -> None:
    own = open_index(STORYBOOK_FEATURES_DIR).table()
    found = read_labels(STORYBOOK_FEATURES_DIR)
    first = in_order(own, found, "clearest")[:8].tolist()
    subjects = {found[feature].clauses[0].what[0] for feature in first}
    assert len(subjects) == 8
    assert {"pet", "colour"} <= subjects


@pytest.mark.parametrize("sort", SORTS)
def test_every_order_has_every_feature_once_and_needs_no_labels(sort: Sort) -> None:
    own = table(density=[0.3, 0.0, 0.001], max_act=[1.0, 0.0, 5.0])
    order = in_order(own, [], sort).tolist()
    assert sorted(order) == [0, 1, 2]
    wanted = {"strongest": [2, 0, 1], "frequent": [0, 2, 1], "rare": [2, 0, 1]}
    assert order == wanted.get(sort, order)


@pytest.mark.parametrize(
    ("typed", "wanted"),
    [
        ("", []),
        ("  ", []),
        ("Lily", ["fires_on", "raises", "text"]),
        ("␣Lily", ["fires_on", "raises", "text"]),
        # A number that is a token too, and one that no feature has.
        ("7", ["number", "fires_on", "raises", "text"]),
        ("999", ["text", "fires_on", "raises"]),
        # By what it is called in the reader's language, or its own name.
        ("A season", ["concept", "text"]),
        ("season", ["concept", "text", "fires_on", "raises"]),
        ("once upon a time", ["text"]),
        # The beginning of a token is one of the last things it is.
        ("Lil", ["text", "fires_on", "raises"]),
    ],
)
def test_what_is_typed_is_read_in_the_likeliest_way(
    typed: str, wanted: list[str]
) -> None:
    found = readings(
        typed, d_sae=40, vocabulary=VOCABULARY, concepts=CONCEPTS, is_name=False
    )
    assert found == wanted


def test_words_of_a_name_are_looked_for_there_first() -> None:
    found = readings(
        "lives with", d_sae=40, vocabulary=VOCABULARY, concepts=CONCEPTS, is_name=True
    )
    assert found == ["words", "text"]


def test_a_name_is_found_in_the_readers_language_too() -> None:
    labels = [named("pet", 0.9), TOKENS]
    names = ["사람과 함께 사는 동물에서 켜져요", "word에서 켜져요"]
    assert [hit.feature for hit in by_name(labels, names, {}, "동물")] == [0]
    assert [hit.feature for hit in by_name(labels, names, {}, "pet")] == [0]
    assert [hit.feature for hit in by_name(labels, names, {}, "켜져요")] == [0, 1]


@pytest.mark.parametrize(
    ("density", "told"),
    [(0.744, "on 74.4% of tokens"), (0.04, "on 1 in 25 tokens")],
)
def test_how_often_is_told_as_one_in_many_only_where_it_is_rare(
    density: float, told: str
) -> None:
    tokens = [SimpleNamespace(text="   "), SimpleNamespace(text=" cat")]
    record: Any = SimpleNamespace(density=density, is_dead=False, tokens=tokens)
    sentence = said(record, "a pet", ["so", ","])
    assert told in sentence
    assert "towards “so”, “,”." in sentence
    # A token of nothing but spaces is seen, too.
    assert "“␣␣␣”" in sentence
