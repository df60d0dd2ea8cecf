"""Features grouped by what they mean and by who fires with whom; each group named.

What a feature means are its *topics*: the kinds of words (`KINDS`: animals, time,
speaking ...) that its rule names and that it is strongest on, or the words themselves
where they are of no kind. Topics are weighed as words of texts are (TF-IDF), every
feature leans towards those that fire with it, and k-means makes the groups. A group is
called by the topic that its members share and others have less; one without is no
theme. Documents are grouped and named so by BERTopic (Grootendorst 2022,
arXiv:2203.05794), from other vectors.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from tinysae.data.storybook.words import KINDS, WORD_CONCEPTS
from tinysae.features.names.rule_words import sign_name
from tinysae.features.names.rules import MAX_WHAT, Condition
from tinysae.features.names.theme_file import MOST_THEMES, Theme, Themes

if TYPE_CHECKING:
    from tinysae.features.index.reader import FeatureIndex
    from tinysae.features.index.records import Partners
    from tinysae.features.names.labels import Label

N_TOKENS: Final = 10
"""Of the tokens on which a feature is strongest, those that say what it means."""
N_DIRECTIONS: Final = 48
"""That the topics are brought down to (as latent semantic analysis does)."""
LEANS: Final = 0.25
"""How far a feature is moved to those that fire with it."""
MOST_GROUPS: Final = 128
FEATURES_A_GROUP: Final = 16
"""Many small groups, so that the rare themes have some; those of one name are one
theme."""
LEAST_SHARE: Final = 0.25
"""Of its members' meaning, what a theme's topic is at least."""
LEAST_LIFT: Final = 1.5
"""How many times as much of it as of all features' meaning."""
LEAST_OWN: Final = 0.1
"""Of a member's own meaning and that of who fires with it, what it is at least."""
LEAST_MEMBERS: Final = 3

_CONCEPT_KIND: Final = {
    concept: kind for kind, concepts in KINDS.items() for concept in concepts
}
# By `rule_words.sign_name`; any other sign is just one.
_SIGN_KINDS: Final = {
    "stop": "ends",
    "comma": "commas",
    "question": "asking",
    "exclamation": "asking",
    "quote": "dialogue",
    "quote_opens": "dialogue",
    "quote_closes": "dialogue",
    "speech_stop": "dialogue",
    "speech_question": "dialogue",
    "speech_exclamation": "dialogue",
    "speech_comma": "dialogue",
    "line": "lines",
    "space": "lines",
}
_SHAPE_KINDS: Final = {
    "number": "counting",
    "punctuation": "signs",
    "capital": "capitals",
    "capital_first": "capitals",
}

Matrix = Any
"""scipy's csr_matrix, of which its own types say too little."""
Shares = dict[Theme, float]
"""What something is about: topics with their shares, 1 in all, or nothing."""


def themes_of(
    index: "FeatureIndex", labels: Sequence["Label"], seed: int = 0
) -> Themes:
    """The themes of the features of `index`, which are called as `labels` say.

    The same every time; none where there are too few features to group.

    Raises:
        DamagedError: the index cannot be read.
    """
    heads = index.heads(N_TOKENS, 1)
    words = [index.vocabulary.text(token) for token in range(index.info.d_vocab)]
    topics = [
        shares_of(label, [(words[t], s) for t, s in zip(own, share, strict=True) if s])
        for label, own, share in zip(
            labels, heads.tokens.tolist(), heads.mass_share.tolist(), strict=True
        )
    ]
    return grouped(topics, index.partners(), seed)


def shares_of(label: "Label", tokens: Iterable[tuple[str, float]]) -> Shares:
    """What a feature is about: one half from its rule, one from its tokens.

    Args:
        label: what it is called.
        tokens: those it is strongest on, with their shares of its activation.
    """
    fires: Shares = defaultdict(float)
    for token, share in tokens:
        topics = word_topics(token)
        for topic in topics:
            fires[topic] += share / len(topics)
    clauses = label.clauses if label.has_rule else ()
    parts = [_told(clause) for clause in clauses]
    return _mean([_mean([fires]), *([_mean(parts)] if any(parts) else [])])


def _mean(parts: Sequence[Shares]) -> Shares:
    """Each of the parts counts as much; 1 in all."""
    found: Shares = defaultdict(float)
    for part in parts:
        for topic, share in part.items():
            found[topic] += share / sum(part.values())
    total = sum(found.values())
    return {topic: share / total for topic, share in found.items()}


def _told(condition: Condition) -> Shares:
    """What a rule's condition names: of a phrase its last word."""
    found: Shares = defaultdict(float)
    for what in condition.what:
        if condition.kind in ("fires_on", "about_to", "near"):
            topics = _known(_CONCEPT_KIND.get(what))
        elif condition.kind == "shape":
            topics = _known(_SHAPE_KINDS.get(what))
        elif condition.kind == "place":
            topics = []
        else:
            is_phrase = condition.kind == "phrase"
            topics = word_topics(what.rpartition(" ")[2] if is_phrase else what)
        for topic in topics:
            found[topic] += 1 / len(topics)
    return found


def _known(kind: str | None) -> list[Theme]:
    return [] if kind is None else [Theme(kind)]


def word_topics(word: str) -> list[Theme]:
    """The kinds that a word or a sign is of; itself where it is of none."""
    own = word.strip(" ")
    if (sign := sign_name(word)) is not None:
        return [Theme(_SIGN_KINDS.get(sign, "signs"))]
    if own.isdigit():
        return [Theme("counting")]
    concepts = WORD_CONCEPTS.get(own) or WORD_CONCEPTS.get(own.lower())
    if concepts:
        return sorted({Theme(_CONCEPT_KIND[concept]) for concept in concepts})
    return [Theme(own.lower()[:MAX_WHAT], is_kind=False)]


def grouped(topics: Sequence[Shares], together: "Partners", seed: int) -> Themes:
    """Features [d_sae] with their topics, in themes.

    together: the features that fire with each; -1 for none.
    """
    share, known = _matrix(topics)
    live = np.flatnonzero(np.diff(share.indptr))
    if len(live) < LEAST_MEMBERS or not known:
        return Themes((), (-1,) * len(topics))
    partners = _partners(together)
    group = _groups(share, partners, live, seed)
    # What a feature and those that fire with it are about.
    near = (share + partners @ share).tocsr() / 2
    found: dict[Theme, list[int]] = {}
    overall = np.asarray(share[live].mean(axis=0)).ravel()
    for number in range(int(group.max()) + 1):
        members = live[group == number]
        own = np.asarray(share[members].mean(axis=0)).ravel()
        is_own = (own >= LEAST_SHARE) & (own >= LEAST_LIFT * overall)
        if not is_own.any():
            continue
        at = int(np.where(is_own, own, 0).argmax())
        has_it = near[members, at].toarray().ravel() >= LEAST_OWN
        found.setdefault(known[at], []).extend(members[has_it].tolist())
    kept = {topic: own for topic, own in found.items() if len(own) >= LEAST_MEMBERS}
    order = sorted(kept, key=lambda topic: (-len(kept[topic]), topic))[:MOST_THEMES]
    of = np.full(len(topics), -1)
    for place, topic in enumerate(order):
        of[kept[topic]] = place
    return Themes(tuple(order), tuple(of.tolist()))


def _matrix(topics: Sequence[Shares]) -> tuple[Matrix, list[Theme]]:
    """Shares [d_sae, n_topics], and which topic each column is."""
    from scipy.sparse import csr_matrix

    known = sorted({topic for own in topics for topic in own})
    column = {topic: at for at, topic in enumerate(known)}
    entries = [
        (feature, column[topic], share)
        for feature, own in enumerate(topics)
        for topic, share in own.items()
    ]
    row, at, value = np.array(entries, np.float64).reshape(-1, 3).T
    where = (row.astype(np.int64), at.astype(np.int64))
    return csr_matrix((value, where), shape=(len(topics), len(known))), known


def _partners(together: "Partners") -> Matrix:
    """How much each feature is of what fires with another [d_sae, d_sae], by Jaccard,
    1 in all."""
    from scipy.sparse import csr_matrix

    d_sae, n = together.feature.shape
    row = np.repeat(np.arange(d_sae), n)
    at, value = together.feature.ravel(), together.jaccard.ravel().astype(np.float64)
    is_one = at >= 0
    where = (row[is_one], at[is_one])
    found = csr_matrix((value[is_one], where), shape=(d_sae, d_sae))
    total = np.asarray(found.sum(axis=1)).ravel()
    scale = np.divide(1, total, out=np.zeros(d_sae), where=total > 0)
    return found.multiply(scale[:, None]).tocsr()


def _groups(
    share: Matrix,
    partners: Matrix,
    live: NDArray[np.int64],
    seed: int,
) -> NDArray[np.int32]:
    """The group of each live feature [n_live]."""
    from sklearn.cluster import KMeans
    from sklearn.decomposition import TruncatedSVD
    from sklearn.preprocessing import normalize
    from threadpoolctl import threadpool_limits

    frequency = np.bincount(share.indices, minlength=share.shape[1])
    weight = 1 + np.log(len(live) / np.maximum(frequency, 1))
    weighed: Matrix = normalize(share.multiply(weight).tocsr())
    n = min(N_DIRECTIONS, *weighed.shape)
    n_groups = min(MOST_GROUPS, max(1, len(live) // FEATURES_A_GROUP))
    once: dict[str, Any] = {"n_init": 1, "random_state": seed}
    # Several threads add up in any order.
    with threadpool_limits(1):
        seen = TruncatedSVD(n, random_state=seed).fit_transform(weighed)
        places = (1 - LEANS) * seen + LEANS * (partners @ seen)
        own = KMeans(n_groups, **once)
        return own.fit_predict(places[live])
