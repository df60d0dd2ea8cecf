"""What reads a concept: the search against trying everything, and what is kept."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tinysae.data.storybook.words import CONCEPTS
from tinysae.errors import DamagedError
from tinysae.features.names.concept_search import ConceptSearch, FeatureScores
from tinysae.features.names.concept_tokens import (
    MIN_EXAMPLES,
    ConceptTokens,
    concept_tokens,
    feature_pairs,
    target_name,
)
from tinysae.features.names.concepts import (
    ConceptReport,
    read_concepts,
    score,
    write_concepts,
)
from tinysae.features.names.f1_kernels import best_addition, best_singles
from tinysae.features.names.label_file import read_labels, write_labels
from tinysae.features.names.labels import Label, labels

N_CONCEPTS = len(CONCEPTS)
ANIMAL = list(CONCEPTS).index("animal")
PIECES = [b"<bos>", b" The", b" ", b"dog", b"gy", b" ran", b".", b" teddy", b" bear"]


def labelled(*pieces: int) -> ConceptTokens:
    return concept_tokens(np.asarray([[0, *pieces]], np.int32), PIECES, 0)


def names(tokens: ConceptTokens, row: int) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {"fires_on": set(), "about_to": set()}
    for target in np.flatnonzero(tokens.labels[row]):
        concept, reading = target_name(int(target))
        found[reading].add(concept)
    return found


def test_a_token_carries_its_words_concepts_and_the_one_before_is_about_to() -> None:
    # " The" " " "dog" " ran" ".": the space begins no word.
    tokens = labelled(1, 2, 3, 5, 6, 6)
    assert names(tokens, 0) == {"fires_on": {"article"}, "about_to": set()}
    assert names(tokens, 1)["fires_on"] == set()
    assert names(tokens, 1)["about_to"] == {"animal", "pet"}
    assert names(tokens, 2) == {
        "fires_on": {"animal", "pet"},
        "about_to": {"motion_verb"},
    }
    assert names(tokens, 3)["about_to"] == {"full_stop"}


def test_a_phrase_is_one_concept_and_bos_ends_what_is_about_to_come() -> None:
    tokens = labelled(1, 7, 8, 0, 3, 6)
    assert names(tokens, 1) == {"fires_on": {"toy"}, "about_to": {"toy"}}
    assert names(tokens, 2) == {"fires_on": {"toy"}, "about_to": set()}
    # BOS is left out, and so is the last token, whose next one nobody knows.
    assert tokens.tokens.tolist() == [1, 7, 8, 3]
    assert tokens.rows.tolist() == [1, 2, 3, 5]


def test_a_word_of_several_tokens_begins_once() -> None:
    # "doggy" is no word of the storybook; "dog" + "gy" overlap nothing.
    assert names(labelled(1, 2, 3, 4, 6, 6), 2)["fires_on"] == set()


def random_acts(seed: int, shape: tuple[int, int]) -> NDArray[np.float32]:
    """Sparse activations with many ties."""
    rng = np.random.default_rng(seed)
    acts = rng.integers(1, 6, shape) * (rng.random(shape) < 0.3)
    return acts.astype(np.float32)


def every_threshold(
    acts: NDArray[np.float32], positive: NDArray[np.bool_], covered: NDArray[np.bool_]
) -> float:
    return max(
        score(covered | (column >= value), positive).f1
        for column in acts.T
        for value in np.unique(column[column > 0])
    )


@pytest.mark.parametrize("seed", range(5))
def test_the_best_single_is_the_best_of_all_thresholds(seed: int) -> None:
    acts = random_acts(seed, (80, 7))
    positive = np.random.default_rng(seed + 100).random((80, 4)) < 0.2
    row, target = np.nonzero(positive)
    first = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=80))])
    best, threshold, hits = best_singles(
        *feature_pairs([acts[:30], acts[30:]], 7),
        *(first, target.astype(np.int32), positive.sum(0)),
    )
    assert (hits == (acts > 0).T.astype(int) @ positive.astype(int)).all()
    nothing = np.zeros(80, np.bool_)
    for feature in range(7):
        for number in range(4):
            wanted = every_threshold(acts[:, [feature]], positive[:, number], nothing)
            assert best[feature, number] == pytest.approx(wanted)
            if wanted:
                fires = acts[:, feature] >= threshold[feature, number]
                assert score(fires, positive[:, number]).f1 == pytest.approx(wanted)


@pytest.mark.parametrize("seed", range(20))
def test_the_best_addition_is_the_best_of_all_features_and_thresholds(
    seed: int,
) -> None:
    acts = random_acts(seed, (80, 7))
    rng = np.random.default_rng(seed + 100)
    positive, covered = rng.random(80) < 0.3, rng.random(80) < 0.1
    hits = ((acts > 0) & positive[:, None]).sum(0).astype(np.int32)
    feature, threshold, f1 = best_addition(
        *feature_pairs([acts], 7),
        *(np.argsort(-hits), hits, positive.astype(np.int8)),
        *(covered.astype(np.int8), int(positive.sum())),
    )
    without = score(covered, positive).f1
    wanted = max(without, every_threshold(acts, positive, covered))
    assert f1 == pytest.approx(wanted)
    if feature >= 0:
        fires = covered | (acts[:, feature] >= threshold)
        assert score(fires, positive).f1 == pytest.approx(f1)
    else:
        assert wanted == without


def split_in_three(seed: int) -> tuple[ConceptTokens, NDArray[np.float32]]:
    """Animals read by three features together, one part each; a fourth is noise."""
    rng = np.random.default_rng(seed)
    n = 1200
    part = rng.integers(0, 12, n)
    acts = (rng.random((n, 5)) * (rng.random((n, 5)) < 0.1)).astype(np.float32)
    for feature in range(3):
        acts[part == feature, feature] = 2 + rng.random((part == feature).sum())
    found = np.zeros((n, 2 * N_CONCEPTS), np.bool_)
    found[:, ANIMAL] = part < 3
    return ConceptTokens(np.zeros(n, np.int32), np.arange(n), found), acts


def test_features_that_split_a_concept_are_found_together() -> None:
    (choosing, a), (reporting, b) = split_in_three(0), split_in_three(1)
    search = ConceptSearch(
        choosing, feature_pairs([a], 5), reporting, feature_pairs([b], 5)
    )
    (result,) = search.results()
    assert result.concept == "animal"
    assert result.together.reading == "fires_on"
    assert {at.feature for at in result.together.features} == {0, 1, 2}
    assert result.together.score.f1 > 0.97
    # A third of the animals, all of them animals: 2 * 1 * 1/3 / (1 + 1/3).
    assert result.single.score.f1 == pytest.approx(0.5, abs=0.06)
    report = ConceptReport("abc", 2400, (result,))
    assert (report.found, report.found_single) == (1.0, 0.0)
    features = search.features()
    assert features.target[:3].tolist() == [ANIMAL] * 3
    assert (features.f1[:3] > 0.4).all()


def test_a_concept_with_few_examples_does_not_count() -> None:
    (choosing, a), (reporting, b) = split_in_three(0), split_in_three(1)
    few = reporting.labels.copy()
    few[np.flatnonzero(few[:, ANIMAL])[MIN_EXAMPLES - 1 :], ANIMAL] = False
    search = ConceptSearch(
        choosing,
        feature_pairs([a], 5),
        reporting._replace(labels=few),
        feature_pairs([b], 5),
    )
    assert search.results() == ()
    assert (search.features().target == -1).all()


def test_reports_and_labels_are_read_as_written(tmp_path: Path) -> None:
    (choosing, a), (reporting, b) = split_in_three(0), split_in_three(1)
    search = ConceptSearch(
        choosing, feature_pairs([a], 5), reporting, feature_pairs([b], 5)
    )
    assert read_concepts(tmp_path) is None
    assert read_labels(tmp_path) == []
    report = ConceptReport("abc", 2400, search.results())
    write_concepts(tmp_path, report)
    assert read_concepts(tmp_path) == report
    # Features 0 to 2 by themselves read a third each: 0.5 at most.
    found = labels([[" dog", " cat", " cow", " hen"], [], ["x"], [], []], None)
    write_labels(tmp_path, found)
    assert read_labels(tmp_path) == found
    assert found[0] == Label(" dog · cat · cow", "tokens")
    assert found[1] == Label("", "tokens")


def test_a_feature_that_reads_a_concept_is_called_by_it() -> None:
    scores = FeatureScores(
        np.asarray([N_CONCEPTS + ANIMAL, ANIMAL]),
        *(np.asarray([value, 0.4]) for value in (0.9, 0.8, 0.85)),
    )
    by_concept, by_tokens = labels([[" a"], [" dog"]], scores)
    assert by_concept == Label("animal", "about_to", "animal", 0.9, 0.8, 0.85)
    assert by_tokens == Label(" dog", "tokens")


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        '{"format": 3}',
        '{"format": 1, "labels": [{"text": 3, "kind": "tokens"}]}',
        '{"format": 1, "labels": [{"text": "a", "kind": "evil"}]}',
        '{"format": 1, "labels": [1]}',
    ],
)
def test_damaged_files_are_told(content: str, tmp_path: Path) -> None:
    (tmp_path / "labels.json").write_text(content, encoding="utf-8")
    (tmp_path / "concepts.json").write_text(content, encoding="utf-8")
    with pytest.raises(DamagedError, match=r"labels\.json"):
        read_labels(tmp_path)
    with pytest.raises(DamagedError, match=r"concepts\.json"):
        read_concepts(tmp_path)
