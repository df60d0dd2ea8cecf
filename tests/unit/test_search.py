"""Finding features: by a text, by a token, by words, by a concept."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from tests.builders import write_sae
from tinysae.data.storybook.words import CONCEPTS
from tinysae.errors import InputError
from tinysae.features.index.search import (
    MAX_TEXT_CHARACTERS,
    NameHit,
    active_features,
    by_concept,
    by_text,
    by_words,
    concepts_of,
    find_tokens,
)
from tinysae.features.names.labels import Label, concept_name, label_sentence
from tinysae.features.names.notes import Note
from tinysae.model.text.vocabulary import Vocabulary
from tinysae.sae.load import SAE, load_sae
from tinysae.words import LANGUAGES, Language, catalogue

if TYPE_CHECKING:
    from tinysae.model.sources import LoadedModel

HOOK = "blocks.0.hook_mlp_out"
TEXT = "Once upon a time, there was a red ball."
LABELS = [
    Label("animal", "fires_on", "animal", 0.9, 0.8, 0.85),
    Label("the, a", "tokens"),
    Label("girl_name", "about_to", "girl_name", 0.9, 0.9, 0.9),
    Label("animal", "about_to", "animal", 0.9, 0.9, 0.95),
]


@pytest.fixture
def sae(tiny_model: "LoadedModel", tmp_path: Path) -> SAE:
    metadata = {"hook_name": HOOK, "model_name": tiny_model.source}
    return load_sae(write_sae(tmp_path, metadata=metadata))


def test_a_text_finds_what_the_bridge_and_the_sae_say(
    tiny_model: "LoadedModel", sae: SAE
) -> None:
    found = by_text(sae, tiny_model, TEXT, n=1000)
    ids = tiny_model.encode(TEXT)
    with torch.no_grad():
        _, cache = tiny_model.bridge.run_with_cache(tiny_model.to_input(ids))
        acts = sae.encode(cache[HOOK])[0, 1:].numpy()
    assert "".join(found.tokens) == TEXT
    assert {hit.feature for hit in found.hits} == set(np.flatnonzero(acts.max(0) > 0))
    assert found.n_features == len(found.hits) > 3
    for hit in found.hits:
        own = acts[:, hit.feature]
        np.testing.assert_allclose(hit.activations, own, rtol=1e-3, atol=1e-4)
        assert hit.max_act == pytest.approx(float(own.max()), rel=1e-3)
        assert hit.position == own.argmax()
        assert hit.n_fired == (own > 0).sum()
    values = [hit.max_act for hit in found.hits]
    assert values == sorted(values, reverse=True)
    few = by_text(sae, tiny_model, TEXT, n=2)
    assert [hit.feature for hit in few.hits] == [h.feature for h in found.hits[:2]]
    assert few.n_features == found.n_features


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "Type something"),
        ("a " * 500, "tokens long"),
        ("a" * (MAX_TEXT_CHARACTERS + 1), "20,000"),
    ],
)
def test_a_text_that_cannot_be_read_is_a_sentence(
    tiny_model: "LoadedModel", sae: SAE, text: str, said: str
) -> None:
    with pytest.raises(InputError, match=said):
        by_text(sae, tiny_model, text)


def test_an_sae_that_does_not_fit_is_a_sentence(
    tiny_model: "LoadedModel", tmp_path: Path
) -> None:
    narrow = write_sae(tmp_path, d_in=8, metadata={"hook_name": HOOK})
    with pytest.raises(InputError, match="8 wide"):
        by_text(load_sae(narrow), tiny_model, TEXT)


VOCABULARY = Vocabulary(
    [
        b"Lily",
        b" Lily",
        b" lily",
        b"lil",
        b" L",
        b" Lilypad",
        b"<b>",
        b"",
        b" ",
        b"\xec",
    ]
)


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("Lily", " Lily"),
        (" Lily", " Lily"),
        ("␣Lily", " Lily"),
        ("lily", " lily"),
        ("LILY", "Lily"),
        ("Lilyp", " Lilypad"),
        ("lil", "lil"),
        ("<b>", "<b>"),
        (" <b>", "<b>"),
        (" ", " "),
        ("\\xec", "\\xec"),
    ],
)
def test_a_query_names_a_token(query: str, text: str) -> None:
    found = find_tokens(VOCABULARY, query)
    assert found.text == text
    assert VOCABULARY.text(found.token) == text
    assert found.token not in found.others


def test_what_else_a_query_could_mean_is_offered() -> None:
    found = find_tokens(VOCABULARY, "Lily")
    others = [VOCABULARY.text(token) for token in found.others]
    assert others == ["Lily", " lily", " Lilypad"]


@pytest.mark.parametrize("query", ["zebra", "릴리", "Lily pad", "\ud800"])
def test_no_such_token_is_a_sentence(query: str) -> None:
    with pytest.raises(InputError, match="No token"):
        find_tokens(VOCABULARY, query)


def test_nothing_to_look_for_is_a_sentence() -> None:
    with pytest.raises(InputError, match="Type something"):
        find_tokens(VOCABULARY, "")
    with pytest.raises(InputError, match="Type something"):
        by_words(LABELS, {}, "  ")


def test_words_find_labels_and_notes() -> None:
    notes = {1: Note("an ANIMAL, I think"), 0: Note("animal"), 2: Note("", True)}
    assert by_words(LABELS, notes, "Animal") == [
        NameHit(0, "note"),
        NameHit(1, "note"),
        NameHit(3, "label"),
    ]
    assert by_words(LABELS, {}, "name girl") == [NameHit(2, "label")]
    assert by_words(LABELS, notes, "nowhere") == []
    assert by_words([], {}, "animal") == []


def test_a_concepts_features_come_best_first() -> None:
    assert by_concept(LABELS, "animal") == [3, 0]
    assert by_concept(LABELS, "<b>") == []
    assert concepts_of(LABELS) == {"animal": 2, "girl_name": 1}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_concept_of_the_stories_has_a_name(language: Language) -> None:
    for concept in CONCEPTS:
        assert f"concepts.{concept}" in catalogue()
        name = concept_name(concept, language)
        said = label_sentence(Label(concept, "fires_on", concept), language)
        assert name in said
    # Somebody else's concept is called what it calls itself.
    assert concept_name("<b>_x", language) == "<b> x"


def sae_with(folder: Path, model: "LoadedModel", **metadata: str) -> SAE:
    own = {"hook_name": HOOK, "model_name": model.source}
    return load_sae(write_sae(folder, metadata={**own, **metadata}))


@pytest.mark.parametrize("position", [0, 3, -1])
def test_the_features_at_one_token_are_what_the_bridge_and_the_sae_say(
    tiny_model: "LoadedModel", tmp_path: Path, position: int
) -> None:
    sae = sae_with(tmp_path, tiny_model)
    ids = tiny_model.encode(TEXT)
    position %= len(ids)
    found = active_features(sae, tiny_model, ids, position)
    with torch.no_grad():
        _, cache = tiny_model.bridge.run_with_cache(tiny_model.to_input(ids))
        acts = sae.encode(cache[sae.hook_name])[0, position + 1]
    assert {each.feature for each in found} == set(acts.nonzero().flatten().tolist())
    for each in found:
        assert each.activation == pytest.approx(float(acts[each.feature]), rel=1e-3)
    values = [each.activation for each in found]
    assert values == sorted(values, reverse=True)
    assert found


def test_at_one_token_an_sae_of_another_model_is_refused(
    tiny_model: "LoadedModel", tmp_path: Path
) -> None:
    sae = sae_with(tmp_path, tiny_model, model_name="storybook")
    with pytest.raises(InputError, match="another model"):
        active_features(sae, tiny_model, [5], 0)


def test_at_one_token_an_sae_of_a_hook_that_is_not_there_is_refused(
    tiny_model: "LoadedModel", tmp_path: Path
) -> None:
    sae = sae_with(tmp_path, tiny_model, hook_name="blocks.9.hook_mlp_out")
    with pytest.raises(InputError, match=r"blocks\.9"):
        active_features(sae, tiny_model, [5], 0)
