"""Rules over what a reader sees: learnt on one half, scored on the other, and told."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tinysae.errors import DamagedError
from tinysae.features.index.pair_store import Band
from tinysae.features.names import rules
from tinysae.features.names.label_file import read_labels, write_labels
from tinysae.features.names.labels import (
    Label,
    label_sentence,
    labels,
    sureness,
)
from tinysae.features.names.rules import Clause, Condition, Rule, learnt
from tinysae.features.names.surroundings import Surroundings, surroundings
from tinysae.model.text.vocabulary import Vocabulary
from tinysae.words import LANGUAGES

TEXTS = ["<bos>", " very", " old", " dog", " cat", ".", ' "', "?"]
VERY, OLD, DOG, CAT, STOP = range(1, 6)
CONTEXT = 64


def a_text() -> tuple[np.ndarray, Surroundings]:
    chunks = np.random.default_rng(0).integers(1, len(TEXTS), (200, CONTEXT))
    chunks[:, 0] = 0
    vocabulary = Vocabulary([text.encode() for text in TEXTS])
    return chunks.ravel(), surroundings(chunks.astype(np.int32), vocabulary, 0)


def fires_where(is_on: np.ndarray) -> Band:
    position = np.flatnonzero(is_on).astype(np.int32)
    first = np.asarray([0, len(position)])
    return Band(0, first, position, np.ones(len(position), np.float32))


def rule_of(is_on: np.ndarray, text: Surroundings) -> Rule:
    (rule,) = learnt([fires_where(is_on)], text)
    return rule


def test_a_feature_of_some_words_has_a_rule_of_these_words():
    tokens, text = a_text()
    rule = rule_of((tokens == DOG) | (tokens == CAT), text)
    assert set(rule.clauses[0].what) == {" dog", " cat"}
    assert rule.detection is None or rule.detection > 0.99
    assert rule.f1 == pytest.approx(1)
    assert rule.correlation == pytest.approx(1)


def test_what_fires_often_is_learnt_from_a_part_of_the_contexts(
    monkeypatch: pytest.MonkeyPatch,
):
    tokens, text = a_text()
    bands = [fires_where(tokens == DOG), fires_where(tokens == CAT)]
    often, seldom = (np.flatnonzero(tokens == token) for token in (DOG, CAT))
    both = Band(
        0,
        np.cumsum([0, len(often), len(seldom[:50])]),
        np.concatenate([often, seldom[:50]]).astype(np.int32),
        np.ones(len(often) + 50, np.float32),
    )
    whole = [rule for band in bands for rule in learnt([band], text)]
    monkeypatch.setattr(rules, "MANY_FIRINGS", 1000)
    part, few = learnt([both], text)
    # The scores are of the whole other half, whatever it was learnt from.
    assert part == whole[0]
    assert few.clauses[0].what == (" cat",)


def test_features_of_any_density_keep_their_order():
    tokens, text = a_text()
    of_tokens = np.random.default_rng(2).integers(1, len(TEXTS), 100).tolist()
    bands = [fires_where(tokens == token) for token in of_tokens]
    found = [rule.clauses[0].what for rule in learnt(bands, text)]
    assert [what[0].strip() for what in found] == [TEXTS[t].strip() for t in of_tokens]


def test_a_feature_of_what_comes_after_a_word_has_a_rule_of_that_word():
    tokens, text = a_text()
    is_on = np.append(False, tokens[:-1] == VERY) & (tokens != 0)
    rule = rule_of(is_on, text)
    assert rule.clauses[0] == Clause("after", ("very",), 1)
    assert rule.f1 == pytest.approx(1)


def test_a_clause_may_have_several_conditions():
    tokens, text = a_text()
    after = np.append(False, tokens[:-1] == VERY)
    rule = rule_of((tokens == DOG) & after, text)
    assert rule.f1 == pytest.approx(1)
    before_last = np.append([False, False], tokens[:-2] == OLD)
    # Less common than what the phrase alone would tell.
    rule = rule_of((tokens == CAT) & after & before_last, text)
    assert rule.f1 == pytest.approx(1)
    assert rule.clauses[0].given


def test_the_clause_that_has_most_of_the_strength_is_told_first():
    tokens, text = a_text()
    is_strong = (tokens == DOG) & np.append(False, tokens[:-1] == VERY)
    band = fires_where(is_strong | (tokens == CAT))
    value = np.where(is_strong[band.position], 100, 1).astype(np.float32)
    (rule,) = learnt([band._replace(value=value)], text)
    assert len(rule.clauses) == 2
    first = rule.clauses[0]
    assert any("dog" in word for word in first.what)


def test_what_fires_at_random_is_detected_no_better_than_by_chance():
    tokens, text = a_text()
    is_on = (np.random.default_rng(1).random(len(tokens)) < 0.01) & (tokens != 0)
    detection = rule_of(is_on, text).detection
    assert detection is None or abs(detection - 0.5) < 0.1


def test_no_token_is_both_learnt_from_and_scored_on():
    _, text = a_text()
    assert not ((text.learnt_in >= 0) & text.is_scored).any()
    halves = text.is_scored.reshape(-1, CONTEXT)[:, 1:]
    assert (halves.all(1) | ~halves.any(1)).all()


def named(clause: Clause) -> Label:
    rule = Rule((clause,), 0.9, 0.8, 0.7)
    return labels([[" dog"]], None, [rule], [[" cat"]])[0]


@pytest.mark.parametrize(
    ("clause", "name"),
    [
        (Clause("token", (" dog", " cat"), 2), "“dog”, “cat”"),
        (Clause("after", ("very",), 1), "After “very”"),
        (Clause("next", (" Lily",), 1), "About to say “Lily”"),
        (Clause("phrase", ("the end",), 1), "“end” after “the”"),
        (Clause("fires_on", ("animal",), 1, "said_again"), "An animal, said again"),
        (Clause("token", (",",), 1, "in_speech"), "A comma, inside speech"),
        (Clause("token", ("?",), 1), "The end of a question"),
        (Clause("token", (' "',), 1, "in_speech"), "Quotation marks that open"),
        (
            Clause(
                "word",
                ("said",),
                1,
                "outside_speech",
                (Condition("after", ("she",), 1), Condition("near", ("animal",), 1)),
            ),
            "“said” after “she”, outside speech",
        ),
        (Clause("near", ("animal",), 1), "A few words after an animal"),
    ],
)
def test_a_rule_is_told_in_words(clause: Clause, name: str):
    assert label_sentence(named(clause), "en") == name


@pytest.mark.parametrize(
    ("what", "concept", "en", "ko"),
    [
        # It read: before “a”, “an” and “the” and the like.
        (
            " by",
            "article",
            "“by” and the like before an article (“a”, “the”) or similar",
            "a와 the 같은 관사 등 앞의 “by” 같은 말",
        ),
        (
            ".",
            "full_stop",
            "The end of a sentence or similar before a full stop or similar",
            "마침표 등 앞의 문장의 끝 등",
        ),
    ],
)
def test_more_of_a_kind_is_told_otherwise_than_more_words(
    what: str, concept: str, en: str, ko: str
):
    given = (Condition("about_to", (concept,), 3),)
    label = named(Clause("token", (what,), 5, given=given))
    assert label_sentence(label, "en") == en
    assert label_sentence(label, "ko") == ko


@pytest.mark.parametrize(
    ("clause", "name"),
    [
        (Clause("next", (" Lily",), 1), "“Lily” 바로 앞에 오는 말"),
        (
            Clause("next", (" Bob", " Jane", " Ben", " Tom"), 9, "in_speech"),
            "따옴표 안의 “Bob”, “Jane”, “Ben” 같은 말 바로 앞에 오는 말",
        ),
    ],
)
def test_a_korean_name_is_one_phrase_without_a_colon(clause: Clause, name: str):
    assert label_sentence(named(clause), "ko") == name
    # Not sure, or one of two things: it goes on as a phrase.
    unsure = replace(named(clause), detection=0.6)
    assert label_sentence(unsure, "ko") == f"아마도 {name}"


def test_names_are_unique_in_both_languages():
    rule = Rule((Clause("token", (" dog",), 1),), 0.9, 0.8, 0.7)
    found = labels([[" dog"]] * 4, None, [rule] * 4, [[" a"], [" b"], [" b"], [" b"]])
    for language in LANGUAGES:
        assert len({label_sentence(label, language) for label in found}) == 4


def test_where_no_rule_is_good_the_name_says_so():
    label = labels([[" dog"]], None, [Rule()], [[]])[0]
    assert label_sentence(label, "en") == "No simple rule; strongest on “dog”"


@pytest.mark.parametrize(
    ("detection", "name"), [(0.74, "Perhaps “dog”"), (0.75, "“dog”")]
)
def test_a_name_that_is_hardly_sure_says_so(detection: float, name: str):
    label = replace(named(Clause("token", (" dog",), 1)), detection=detection)
    assert label_sentence(label, "en") == name


def test_labels_with_rules_are_read_as_written(tmp_path: Path):
    given = (Condition("recent", ("cat",), 1),)
    label = named(Clause("token", (" dog",), 1, "in_speech", given))
    write_labels(tmp_path, [label, Label("", "tokens")])
    assert read_labels(tmp_path) == [label, Label("", "tokens")]


def test_a_file_from_before_there_were_rules_is_read(tmp_path: Path):
    old = {"text": "animal", "kind": "fires_on", "concept": "animal"}
    old |= {"precision": 0.9, "recall": 0.8, "f1": 0.85}
    content = json.dumps({"format": 1, "labels": [old]})
    (tmp_path / "labels.json").write_text(content, encoding="utf-8")
    assert read_labels(tmp_path) == [
        Label("animal", "fires_on", "animal", 0.9, 0.8, 0.85)
    ]
    assert label_sentence(read_labels(tmp_path)[0], "en") == "Lights up on an animal"


@pytest.mark.parametrize(
    "clause",
    [
        ["evil", "anywhere", 1, "a"],
        ["token", "anywhere", 1],
        ["token", "anywhere", 1, "a" * 99],
        ["token", "evil", 1, "a"],
        ["token", "anywhere"],
        {},
    ],
)
def test_a_damaged_clause_is_told(clause: object, tmp_path: Path):
    columns = {"text": ["a"], "clauses": [[clause]]}
    content = json.dumps({"format": 2, "columns": columns})
    (tmp_path / "labels.json").write_text(content, encoding="utf-8")
    with pytest.raises(DamagedError):
        read_labels(tmp_path)


def test_only_english_names_begin_with_a_capital() -> None:
    animal, joining = (
        named(Clause("fires_on", (concept,), 1)) for concept in ("animal", "joining")
    )
    assert label_sentence(animal, "en").startswith("An animal")
    # “and”, as the model has it.
    assert label_sentence(joining, "ko").startswith("and ")


@pytest.mark.parametrize(("detection", "n"), [(0.5, 0), (0.6, 1), (0.75, 2), (0.9, 3)])
def test_a_name_is_as_sure_as_its_rule(detection: float, n: int):
    clause = Clause("token", (" dog",), 1)
    assert sureness(Label("dog", "tokens", clauses=(clause,), detection=detection)) == n


def test_a_name_without_a_rule_is_as_sure_as_its_concept():
    assert sureness(Label("animal", "fires_on", "animal", 0.9, 0.9, 0.9)) == 3
    assert sureness(Label("dog", "tokens")) == 0


@pytest.mark.parametrize(
    "clause",
    [
        Clause("shape", ("worc",), 1),
        Clause("token", (" dog",), 1, given=(Condition("token", (" a",), 1),)),
    ],
)
def test_a_file_whose_rule_nobody_can_say_is_damaged(clause: Clause, tmp_path: Path):
    write_labels(tmp_path, [Label("x", "tokens", clauses=(clause,), n_clauses=1)])
    with pytest.raises(DamagedError):
        read_labels(tmp_path)
