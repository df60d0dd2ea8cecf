"""The search at the top of the features page: one box that understands what is typed.

The address keeps the search (`q`; `by` where another reading than the likeliest was
chosen; `token` where a word means several) and the order (`sort`), so that they can be
shared. Only a text needs the model and the SAE; they are loaded when one is searched
for.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

import numpy as np
import streamlit as st

from tinysae.features.index.search import (
    MAX_TEXT_CHARACTERS,
    NameHit,
    by_concept,
    concepts_of,
    find_tokens,
)
from tinysae.features.names.labels import concept_name
from tinysae.render.numbers import percent, signed
from tinysae.render.visible import as_word, visible
from tinysae.ui.features.browse import Listing
from tinysae.ui.features.by_text import by_text
from tinysae.ui.features.explored import Explored, go
from tinysae.ui.features.order import SORTS, Sort, in_order
from tinysae.ui.features.theme_choice import choose_theme, is_sure, of_theme
from tinysae.ui.features.understand import (
    READINGS,
    Reading,
    by_name,
    concept_called,
    readings,
)
from tinysae.ui.parts.one_of import one_of
from tinysae.ui.shell.i18n import language, t
from tinysae.ui.shell.page import note, plain, shown_errors

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

_QUERY, _READING, _SORT, _TOKEN = (
    f"features.search_{name}" for name in ("q", "by", "sort", "token")
)
# The order in which a search finds its features.
MATCH = "match"


def linked_search() -> tuple[Reading | None, str]:
    """What the address looks for, and how it says to read that, if it does."""
    by = st.query_params.get("by")
    query = st.query_params.get("q", "")[:MAX_TEXT_CHARACTERS]
    return (cast("Reading", by) if by in READINGS else None), query


def show_search(explored: Explored, place: "DeltaGenerator") -> Listing:
    """The box and the order in `place`, and below how what was typed is understood.

    Returns what is listed: all features where nothing is looked for, or nothing found.
    """
    by, query = linked_search()
    concepts = {
        concept: concept_name(concept, language())
        for concept in concepts_of(explored.labels)
    }
    with place:
        _show_box(concepts.get(query, query) if by == "concept" else query)
        sort = _choose_sort(is_search=bool(query.strip()))
        _random_button(explored)
    everything = _everything(explored, sort)
    if not query.strip():
        listing = of_theme(explored, everything)
        first, second = _lines()
        note(listing.said, first)
        with second:
            choose_theme(explored)
        return listing
    with shown_errors():
        return _sorted(_found(explored, by, query, concepts), explored, sort)
    return everything


def _lines() -> "tuple[DeltaGenerator, DeltaGenerator]":
    """Two lines below the box, which keep their height, so that a search moves nothing:
    how it was understood, beside the other readings; then the themes, else the tokens
    that were meant, to be clicked."""
    with st.container(key="features_understood", gap=None):
        first = st.container(
            key="features_reading", horizontal=True, vertical_alignment="center"
        )
        return first, st.container(key="features_meant")


def _show_box(query: str) -> None:
    st.session_state[_QUERY] = query

    def typed() -> None:
        # What was typed is read afresh, and shows what it finds.
        new = (st.session_state[_QUERY] or "").strip()
        forget = dict.fromkeys(("by", "token", "feature", "sort", "theme"))
        go(q=new or None, **forget)

    st.text_input(
        t("features.search"),
        key=_QUERY,
        placeholder=t("features.search_example"),
        label_visibility="collapsed",
        icon=":material/search:",
        max_chars=MAX_TEXT_CHARACTERS,
        on_change=typed,
    )


def _choose_sort(*, is_search: bool) -> str:
    """The order: of a search, first how well a feature is what was looked for."""
    sorts: list[str] = [*([MATCH] if is_search else []), *SORTS]
    linked = st.query_params.get("sort")
    st.session_state[_SORT] = linked if linked in sorts else sorts[0]
    names = {sort: t(f"features.sort_{sort}") for sort in sorts}

    def chosen() -> None:
        sort = st.session_state[_SORT]
        go(sort=None if sort == sorts[0] else sort, feature=None)

    st.selectbox(
        t("features.sort"),
        sorts,
        format_func=names.__getitem__,
        key=_SORT,
        label_visibility="collapsed",
        help=t("features.sort_help"),
        width=190,
        on_change=chosen,
    )
    return st.session_state[_SORT]


def _random_button(explored: Explored) -> None:
    st.button(
        t("features.random"),
        icon=":material/casino:",
        help=t("features.random_help"),
        disabled=not explored.live,
        key="features_random",
        on_click=lambda: go(feature=int(np.random.default_rng().choice(explored.live))),
    )


def _everything(explored: Explored, sort: str) -> Listing:
    how = cast("Sort", sort) if sort in SORTS else SORTS[0]
    features = in_order(explored.table, explored.labels, how).tolist()
    n_sure = sum(map(is_sure, explored.labels))
    said = t(
        "features.listed_all",
        n=f"{len(features):,}",
        named=f"{n_sure:,}",
        dead=f"{len(features) - len(explored.live):,}",
    )
    return Listing(features, said=said)


def _sorted(found: Listing, explored: Explored, sort: str) -> Listing:
    if sort not in SORTS or found.opens is not None:
        return found
    ranks = np.argsort(in_order(explored.table, explored.labels, cast("Sort", sort)))
    order = sorted(range(len(found.features)), key=lambda at: ranks[found.features[at]])
    return Listing(
        [found.features[at] for at in order],
        [found.why[at] for at in order] if found.why else (),
        found.said,
    )


def _found(
    explored: Explored, by: Reading | None, query: str, concepts: dict[str, str]
) -> Listing:
    """What `query` finds, in the reading that is chosen; all where it finds nothing.

    Raises:
        InputError: it does not fit the model.
        MissingError, DamagedError: what is searched cannot be read.
    """
    hits = by_name(explored.labels, explored.label_texts, explored.kept, query)
    found: list[Reading] = readings(
        query,
        d_sae=explored.index.info.d_sae,
        vocabulary=explored.index.vocabulary,
        concepts=concepts,
        is_name=bool(hits),
    )
    if by is not None and by not in found:
        found.append(by)
    reading = by or found[0]
    first, second = _lines()
    with first:
        place = st.empty()
        _show_readings(found, reading)
    with second:
        listing = _listed(explored, reading, query, concepts, hits)
    if not listing.features:
        note(t("features.search_none"), place)
        return _everything(explored, SORTS[0])
    note(listing.said, place)
    return listing


def _listed(
    explored: Explored,
    reading: Reading,
    query: str,
    concepts: dict[str, str],
    hits: Sequence[NameHit],
) -> Listing:
    """What `query` finds in one reading; `hits` are those of its names.

    Raises:
        InputError, MissingError, DamagedError: from `_found`.
    """
    if reading == "fires_on" or reading == "raises":
        return _by_token(explored, reading, query)
    if reading == "number":
        return _by_number(explored, int(query) if query.strip().isdecimal() else -1)
    if reading == "concept":
        return _by_concept(explored, concept_called(query, concepts) or "", concepts)
    if reading == "words":
        return Listing(
            [hit.feature for hit in hits],
            [t(f"features.found_in_{hit.where}") for hit in hits],
            t("features.search_words_said", n=f"{len(hits):,}", query=query),
        )
    return by_text(explored, query)


def _show_readings(found: Sequence[Reading], reading: Reading) -> None:
    """The other ways to understand it, a click each."""
    if len(found) == 1:
        return
    names = {each: t(f"features.search_{each}") for each in found}
    st.session_state[_READING] = reading

    def chosen() -> None:
        go(by=st.session_state[_READING], token=None, feature=None)

    one_of(
        t("features.search_as"),
        names,
        key=_READING,
        on_change=chosen,
        label_visibility="collapsed",
        width="content",
    )


def _by_number(explored: Explored, feature: int) -> Listing:
    everything = _everything(explored, "number")
    if not explored.has(feature):
        return Listing([])
    said = t("features.search_number_said", feature=feature)
    return Listing(everything.features, said=said, opens=feature)


def _by_concept(explored: Explored, concept: str, concepts: dict[str, str]) -> Listing:
    features = by_concept(explored.labels, concept)
    labels = [explored.labels[feature] for feature in features]
    said = t(
        "features.search_concept_said",
        n=f"{len(features):,}",
        concept=concepts.get(concept, concept),
    )
    return Listing(features, [f"F1 {label.f1 or 0.0:.2f}" for label in labels], said)


def _chosen_token(explored: Explored, query: str) -> int:
    """The token that the query means; others it could mean are offered beside it."""
    vocabulary = explored.index.vocabulary
    found = find_tokens(vocabulary, query)
    every = [found.token, *found.others]
    linked = st.query_params.get("token", "")
    chosen = next((token for token in every if str(token) == linked), found.token)
    # A letter and the byte that is written like it are one choice: the letter, which
    # comes first, or the one that the link names.
    texts = {vocabulary.text(token): token for token in [chosen, *every][::-1]}
    choices = [token for token in every if token in texts.values()]
    if len(choices) > 1:
        st.session_state[_TOKEN] = chosen
        st.pills(
            t("features.search_which_token"),
            choices,
            format_func=lambda token: plain(visible(vocabulary.text(token))),
            required=True,
            key=_TOKEN,
            label_visibility="collapsed",
            on_change=lambda: go(token=st.session_state[_TOKEN], feature=None),
        )
    return chosen


def _by_token(explored: Explored, by: Reading, query: str) -> Listing:
    token = _chosen_token(explored, query)
    shown = as_word(explored.index.vocabulary.text(token))
    said = t(f"features.search_{by}_said", token=shown)
    if by == "raises":
        scores = explored.index.raised_by(token)
        why = [t("features.why_raises", logit=signed(each.value)) for each in scores]
        return Listing([each.feature for each in scores], why, said)
    firing = explored.index.firing_on(token)
    why = [t("features.why_fires_on", share=percent(each.precision)) for each in firing]
    return Listing([each.feature for each in firing], why, said)
