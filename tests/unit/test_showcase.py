"""The features shown first: chosen by rule, kept as JSON, shown in whole sentences."""

import json
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain, cycle
from pathlib import Path

import numpy as np
import pytest

from tinysae.errors import DamagedError, MissingError
from tinysae.features.index.reader import open_index
from tinysae.features.index.records import (
    Context,
    FeatureRecord,
    FiringToken,
    Histogram,
    TokenLogit,
)
from tinysae.features.names.showcase import (
    DENSITIES,
    N_TOKENS,
    SHOWCASE_NAME,
    Showcase,
    choose,
    clarity,
    excerpt,
    kept,
    read_showcases,
    showcases,
    write_showcases,
)
from tinysae.library.shipped import STORYBOOK_FEATURES_DIR

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


# Of the hand-made records; a token's number is its place here.
WORDS = [" her", " his", " my", " our", " mom", " dad", " ran", " sat", " big"]
VOCABULARY = ["", ".", "!", "my", " 7", " hone", "y", *WORDS]
FIRING = (" her", " his", " my", " our")


def record(
    feature: int = 0,
    *,
    fires_on: Sequence[str] = FIRING,
    promotes: Sequence[str] = (" mom", " dad"),
    followed_by: Sequence[str] = (" mom",),
    precision: float = 0.5,
) -> FeatureRecord:
    """It fires alike on each of `fires_on`, after which `followed_by` come in turn.

    It does so in its first context; in the second every word stands alone.
    """
    n = len(fires_on)
    spoken = chain.from_iterable(zip(fires_on, cycle(followed_by), strict=False))
    alone = chain.from_iterable((word, ".") for word in WORDS)
    return FeatureRecord(
        feature=feature,
        n_fired=n,
        density=0.01,
        mean_act=1.0,
        max_act=1.0,
        histogram=Histogram(np.array([0.0, 1.0]), np.array([n])),
        tokens=[
            FiringToken(VOCABULARY.index(text), text, 1 / n, precision, 1)
            for text in fires_on
        ],
        promoted={"raw": [TokenLogit(VOCABULARY.index(t), t, 1.0) for t in promotes]},
        suppressed={"raw": []},
        contexts=[
            context_of(2 * feature, [*spoken, ".", " hone", "y", " 7", "."], fires_on),
            context_of(2 * feature + 1, [*alone, "my", "!"], ()),
        ],
    )


def context_of(chunk: int, texts: list[str], fires_on: Sequence[str]) -> Context:
    tokens = np.array([VOCABULARY.index(text) for text in texts])
    activations = np.array([text in fires_on for text in texts], dtype=np.float32)
    return Context(chunk, 0, tokens, texts, activations)


def chosen(*records: FeatureRecord) -> list[int]:
    return [each.feature for each in choose(list(records), 12)]


def test_a_feature_of_whole_words_is_chosen() -> None:
    assert chosen(record(3)) == [3]


@pytest.mark.parametrize("other", ["my", " hone", "y", " 7", ".", "!"])
def test_a_feature_with_what_is_no_whole_word_is_refused(other: str) -> None:
    honey = (*[" mom"] * len(FIRING), "y")
    assert chosen(record(fires_on=(*FIRING, " big"), followed_by=honey)) == [0]
    assert chosen(record(fires_on=(*FIRING, other), followed_by=honey)) == []
    assert chosen(record(promotes=(" mom", other))) == []


def test_a_word_that_is_nowhere_read_on_its_own_is_refused() -> None:
    shown = record(promotes=(" mom", " dad"))
    assert chosen(shown) == [0]
    # " dad" is only in the context that goes.
    assert chosen(replace(shown, contexts=shown.contexts[:1])) == []


def test_only_the_tokens_that_are_shown_need_be_words() -> None:
    assert len(WORDS) > N_TOKENS
    assert chosen(record(promotes=[*WORDS[-N_TOKENS:], "!"])) == [0]
    assert chosen(record(promotes=[*WORDS[1 - N_TOKENS :], "!"])) == []


def test_a_feature_of_a_single_token_is_refused() -> None:
    assert chosen(record(fires_on=[" her"])) == []


def test_a_feature_whose_promoted_tokens_never_follow_is_refused() -> None:
    assert chosen(record(followed_by=(" ran",))) == []


def test_of_equally_clear_features_the_one_whose_promoted_tokens_follow_is_first():
    always = record(1, fires_on=FIRING[::-1])
    half = record(2, followed_by=(" mom", " ran"))
    assert clarity(always) == clarity(half)
    assert (kept(always), kept(half)) == (1.0, 0.5)
    assert chosen(half, always) == chosen(always, half) == [1, 2]


def test_of_features_whose_promoted_tokens_follow_alike_the_clearer_is_first() -> None:
    clear = record(1, fires_on=FIRING[::-1], precision=0.9)
    assert chosen(record(2), clear) == chosen(clear, record(2)) == [1, 2]


def test_of_features_that_fire_most_on_the_same_token_one_is_chosen() -> None:
    assert chosen(record(1), record(2, precision=0.9)) == [2]


def test_the_last_token_of_a_context_promises_nothing() -> None:
    shown = record(followed_by=(" mom", " ran"))
    spoken = shown.contexts[0]
    assert spoken.texts[2:3] == [" his"]
    cut = spoken._replace(
        tokens=spoken.tokens[:3],
        texts=spoken.texts[:3],
        activations=spoken.activations[:3],
    )
    assert kept(replace(shown, contexts=[cut])) == 1.0
    assert kept(replace(shown, contexts=[])) == 0.0


def test_the_embedded_index_is_shown_by_the_rule() -> None:
    index = open_index(STORYBOOK_FEATURES_DIR)
    shown = showcases(index, 5)
    records = [index.feature(each.feature) for each in shown]
    scores = [clarity(each) * kept(each) for each in records]
    assert scores == sorted(scores, reverse=True)
    assert all(DENSITIES[0] <= r.density <= DENSITIES[1] for r in records)
    assert len({each.fires_on[0] for each in shown}) == len(shown) == 5
    for each in shown:
        assert max(each.activations) == pytest.approx(each.max_act, rel=0.5)
        assert all(
            text[0] == " " and text[1:].isalpha()
            for text in (*each.fires_on, *each.promotes)
        )


def test_that_none_is_worth_showing_is_written_and_read(tmp_path: Path) -> None:
    write_showcases(tmp_path, [])
    assert read_showcases(tmp_path) == []


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
        '{"format": 1, "features": {}}',
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
