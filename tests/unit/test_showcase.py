"""The features shown first: chosen by rule, kept as JSON, shown in whole sentences."""

import json
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain, cycle
from pathlib import Path

import numpy as np
import pytest

from tinysae.errors import DamagedError, MissingError
from tinysae.features.index.records import (
    Context,
    FeatureRecord,
    FiringToken,
    Histogram,
    TokenLogit,
)
from tinysae.features.names.label_file import read_labels
from tinysae.features.names.labels import Label, LabelKind
from tinysae.features.names.showcase import (
    MIN_F1,
    MIN_LOST,
    MIN_SHARE,
    SHOWCASE_NAME,
    Showcase,
    excerpt,
    expected,
    fires_on,
    is_recognised,
    is_right,
    read_showcases,
    whole_words,
    write_showcases,
)
from tinysae.features.why.ablation import Absence
from tinysae.library.shipped import STORYBOOK_FEATURES_DIR
from tinysae.model.text.vocabulary import Vocabulary

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


def recognised(shown: FeatureRecord, *others: FeatureRecord) -> bool:
    return is_recognised(shown, whole_words([shown, *others]))


def test_a_feature_of_whole_words_is_recognised() -> None:
    assert recognised(record())
    assert [token.text for token in fires_on(record())] == list(FIRING)


@pytest.mark.parametrize("other", ["my", " hone", "y", " 7", ".", "!"])
def test_a_feature_with_what_is_no_whole_word_is_refused(other: str) -> None:
    honey = (*[" mom"] * len(FIRING), "y")
    assert recognised(record(fires_on=(*FIRING, " big"), followed_by=honey))
    assert not recognised(record(fires_on=(*FIRING, other), followed_by=honey))


def test_a_word_that_is_nowhere_read_on_its_own_is_refused() -> None:
    shown = record(fires_on=(" her", " dad"), followed_by=("y",))
    assert recognised(shown)
    # " dad" is only in the context that goes.
    assert not recognised(replace(shown, contexts=shown.contexts[:1]))


def test_a_token_with_next_to_nothing_of_the_activation_is_not_shown() -> None:
    many = record(fires_on=[*FIRING, "!"])
    rare = [t._replace(mass_share=MIN_SHARE / 2) for t in many.tokens[-1:]]
    assert not recognised(many)
    assert recognised(replace(many, tokens=[*many.tokens[:-1], *rare]))


def test_a_feature_of_a_single_token_is_refused() -> None:
    assert not recognised(record(fires_on=[" her"]))


@pytest.mark.parametrize(
    ("kind", "f1", "right"),
    [
        ("fires_on", MIN_F1, True),
        ("fires_on", 0.57, False),
        ("fires_on", None, False),
        ("about_to", 1.0, False),
        ("tokens", None, False),
    ],
)
def test_a_name_is_right_where_it_reads_its_concept_well(
    kind: LabelKind, f1: float | None, right: bool
) -> None:
    assert is_right(Label("time_span", kind, "time_span", f1, f1, f1)) == right


def test_what_is_expected_is_told_in_words() -> None:
    vocabulary = Vocabulary([text.encode() for text in VOCABULARY])
    fallen = [VOCABULARY.index(text) for text in (".", " dad", " 7", " mom", "y")]
    assert expected(Absence(1.0, fallen), vocabulary) == [" dad", " mom"]


def test_what_is_shown_first_is_named_right_and_its_absence_is_felt() -> None:
    labels = read_labels(STORYBOOK_FEATURES_DIR)
    shown = read_showcases(STORYBOOK_FEATURES_DIR)
    assert len(shown) >= 5
    assert len({labels[each.feature].text for each in shown}) == len(shown)
    for each in shown:
        assert is_right(labels[each.feature])
        assert each.lost is not None
        # That so much is lost is measured again in `test_embedded`.
        assert each.lost >= MIN_LOST
        assert max(each.activations) == pytest.approx(each.max_act, rel=0.5)


def test_a_file_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    write_showcases(tmp_path, [SHOWN])
    path = tmp_path / SHOWCASE_NAME
    data = json.loads(path.read_text())
    del data["features"][0]["lost"]
    path.write_text(json.dumps(data))
    assert read_showcases(tmp_path) == [SHOWN]


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
        ("lost", "much"),
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
