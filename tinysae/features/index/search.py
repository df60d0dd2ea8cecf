"""Ways to find a feature: by a text, a token, its name or note, a concept.

Only `by_text` and `active_features` need the model and the SAE. Everything else is read
from the index.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tinysae.errors import InputError
from tinysae.features.fit import check_fit, check_same_model, read_at_hook
from tinysae.model.text.vocabulary import Vocabulary

if TYPE_CHECKING:
    from tinysae.features.names.labels import Label
    from tinysae.features.names.notes import Note
    from tinysae.model.sources import LoadedModel
    from tinysae.sae.load import SAE

N_RESULTS = 50
# What a person may type; the model's context bounds it again.
MAX_TEXT_CHARACTERS = 20_000
MAX_QUERY_CHARACTERS = 200
N_OTHER_TOKENS = 8
SPACE = "␣"


class TextHit(NamedTuple):
    """A feature that fires on a text.

    position: the token on which it is strongest, `max_act`. n_fired: on how many
    tokens it fires. activations [n_tokens].
    """

    feature: int
    max_act: float
    position: int
    n_fired: int
    activations: NDArray[np.float32]


class TextSearch(NamedTuple):
    """A text as the model reads it, and what fires on it, the strongest first.

    tokens [n_tokens], joined the text; words: what each is called, which of one that
    only begins a character is not what it adds to the text, nothing; n_features: how
    many fire, shown or not.
    """

    tokens: list[str]
    words: list[str]
    hits: list[TextHit]
    n_features: int


class NameHit(NamedTuple):
    """A feature found by its words: where they stood, in its label or its note."""

    feature: int
    where: str


class TextActivations(NamedTuple):
    """A text's tokens [n_tokens], which joined are the text, and every feature's
    activation on each [n_tokens, d_sae]."""

    tokens: list[str]
    activations: NDArray[np.float32]


def feature_activations(sae: "SAE", model: "LoadedModel", text: str) -> TextActivations:
    """What every feature does on `text`.

    BOS is read before them, as everywhere, and left out.

    Raises:
        InputError: no text, more than fits the model's context, or an SAE that does
            not fit the model.
    """
    import torch

    check_fit(sae, model)
    if len(text) > MAX_TEXT_CHARACTERS:
        raise InputError("search_text_long", limit=f"{MAX_TEXT_CHARACTERS:,}")
    ids = model.encode(text)
    if not ids:
        raise InputError("search_nothing")
    with torch.inference_mode():
        acts = sae.encode(read_at_hook(sae, model, ids)[1:]).numpy()
    return TextActivations(model.token_texts(ids), acts)


def by_text(
    sae: "SAE", model: "LoadedModel", text: str, n: int = N_RESULTS
) -> TextSearch:
    """The features that fire on `text`, at which token and how strongly.

    Raises:
        InputError: as `feature_activations`.
    """
    tokens, acts = feature_activations(sae, model, text)
    strongest = acts.max(axis=0)
    active = np.flatnonzero(strongest > 0)
    best = active[np.argsort(-strongest[active], kind="stable")][:n]
    hits = [
        TextHit(
            int(feature),
            float(strongest[feature]),
            int(acts[:, feature].argmax()),
            int((acts[:, feature] > 0).sum()),
            acts[:, feature].copy(),
        )
        for feature in best
    ]
    words = [
        token or model.token_text(token_id)
        for token, token_id in zip(tokens, model.encode(text), strict=True)
    ]
    return TextSearch(tokens, words, hits, len(active))


class ActiveFeature(NamedTuple):
    """A feature and its activation at the token."""

    feature: int
    activation: float


def active_features(
    sae: "SAE", model: "LoadedModel", ids: Sequence[int], position: int
) -> list[ActiveFeature]:
    """The features that are active at `ids[position]`, the strongest first.

    `ids` are a text's tokens without BOS, which the model reads before them.

    Raises:
        InputError: the SAE is of another model, or does not fit this one.
    """
    import torch

    check_same_model(sae, model)
    with torch.inference_mode():
        # Nothing after a token changes what the model thinks at it.
        acts = sae.encode(read_at_hook(sae, model, ids[: position + 1])[-1])
        active = acts.nonzero().flatten()
        order = acts[active].argsort(descending=True, stable=True)
    return [
        ActiveFeature(feature, float(acts[feature]))
        for feature in active[order].tolist()
    ]


class Tokens(NamedTuple):
    """The token a query means, and others it could have meant."""

    token: int
    text: str
    others: list[int]


def find_tokens(vocabulary: Vocabulary, query: str) -> Tokens:
    """The token that `query` names.

    Its exact text (`Vocabulary.find`); for a word without a space, first the token with
    a space before it, which is how a word stands inside a sentence. ␣ may be typed for
    a space. Otherwise the shortest token that differs only in capitals, else that
    begins with it.

    Raises:
        InputError: no token is like it.
    """
    wanted = query.replace(SPACE, " ")[:MAX_QUERY_CHARACTERS]
    if not wanted:
        raise InputError("search_nothing")
    texts = [vocabulary.text(token) for token in range(len(vocabulary))]
    word = wanted.strip(" ") or wanted
    readings = [f" {wanted}", wanted, word] if word == wanted else [wanted, word]
    exact = [vocabulary.find(reading) for reading in readings]
    low = word.lower()

    def rank(token: int) -> tuple[int, int] | None:
        text = texts[token]
        core = text.strip(" ")
        if token in exact:
            return 0, exact.index(token)
        if core.lower() == low:
            return 1, len(text)
        if low and core.lower().startswith(low):
            return 2, len(text)
        return None

    ranked = sorted(
        (place, vocabulary.preference(token), token)
        for token in range(len(texts))
        if (place := rank(token)) is not None
    )
    if not ranked:
        raise InputError("search_no_token", query=query[:80])
    token, *others = [token for *_, token in ranked]
    return Tokens(token, texts[token], others[:N_OTHER_TOKENS])


def by_words(
    labels: "Sequence[Label]", notes: "Mapping[int, Note]", query: str
) -> list[NameHit]:
    """The features whose label or note has every word of `query`, notes first.

    Raises:
        InputError: no word to look for.
    """
    words = query[:MAX_QUERY_CHARACTERS].casefold().split()
    if not words:
        raise InputError("search_nothing")

    def has_all(*texts: str | None) -> bool:
        text = " ".join(filter(None, texts)).replace("_", " ").casefold()
        return all(word.replace("_", " ") in text for word in words)

    noted = [f for f, note in sorted(notes.items()) if has_all(note.text)]
    named = [
        feature
        for feature in _best_first(labels)
        if has_all(labels[feature].text, labels[feature].concept)
        or (labels[feature].tokens and has_all(*labels[feature].names()))
    ]
    seen = set(noted)
    return [
        *(NameHit(feature, "note") for feature in noted),
        *(NameHit(feature, "label") for feature in named if feature not in seen),
    ]


def by_concept(labels: "Sequence[Label]", concept: str) -> list[int]:
    """The features labelled with `concept`, the best F1 first."""
    return [f for f in _best_first(labels) if labels[f].concept == concept]


def concepts_of(labels: "Iterable[Label]") -> dict[str, int]:
    """Every concept that names a feature, and how many it names; sorted by name."""
    counts: dict[str, int] = {}
    for label in labels:
        if label.concept is not None:
            counts[label.concept] = counts.get(label.concept, 0) + 1
    return dict(sorted(counts.items()))


def _best_first(labels: "Sequence[Label]") -> list[int]:
    return sorted(range(len(labels)), key=lambda f: -(labels[f].f1 or 0.0))
