"""The search at the top of the features page: one field, and what to look for in it.

The address keeps the search (`by` and `q`, and `token` where a word means several), so
that it can be shared, and stands there again when one comes back from a feature. Only
a text needs the model and the SAE; they are loaded when one is searched for.
"""

from collections.abc import Sequence
from typing import Any, Literal, cast, get_args

import streamlit as st

from tinysae.features.index.search import (
    MAX_QUERY_CHARACTERS,
    MAX_TEXT_CHARACTERS,
    TextHit,
    by_words,
    concepts_of,
    find_tokens,
)
from tinysae.render.visible import visible
from tinysae.ui.features.explored import Explored, feature_columns, opening_dataframe
from tinysae.ui.features.overview import choose_concept, concept_table
from tinysae.ui.parts.tokens import StripToken, token_strip
from tinysae.ui.shell import cache
from tinysae.ui.shell.i18n import t
from tinysae.ui.shell.page import plain

Way = Literal["text", "raises", "fires_on", "words", "concept"]
WAYS: tuple[Way, ...] = get_args(Way)
_WAY, _QUERY, _CONCEPT, _TOKEN = (
    f"features.search_{name}" for name in ("by", "q", "concept_q", "token")
)
_TABLE = "features.found"


def linked_search() -> tuple[Way, str]:
    """What the address looks for; the first way and nothing when it names none."""
    by = st.query_params.get("by")
    query = st.query_params.get("q", "")[:MAX_TEXT_CHARACTERS]
    return (cast("Way", by) if by in WAYS else WAYS[0]), query


def _search(by: Way, query: str | None, token: int | None = None) -> None:
    """Puts the search into the address, at once; an empty one out of it.

    A field that comes back into the page may say what it already said: no news.
    """
    if token is None and (by, query or "") == linked_search():
        return
    parameters = st.query_params.to_dict()
    for name in ("by", "q", "token", "feature"):
        parameters.pop(name, None)
    parameters["by"] = by
    if query:
        parameters["q"] = query
    if token is not None:
        parameters["token"] = str(token)
    st.query_params.from_dict(parameters)


def show_search(explored: Explored) -> tuple[Way, str]:
    """The field; returns what is searched for, which may be nothing."""
    by, query = linked_search()
    concepts = concepts_of(explored.labels)
    if by == "concept" and not concepts:
        by, query = WAYS[0], ""
    st.session_state[_WAY] = by

    def way_chosen() -> None:
        chosen = st.session_state[_WAY]
        # What was typed goes along, except to a list to choose from and back.
        is_typed = "concept" not in (by, chosen)
        _search(chosen, query if is_typed else "")

    ways = WAYS if concepts else WAYS[:-1]
    names = {way: t(f"features.search_{way}") for way in ways}
    st.segmented_control(
        t("features.search"),
        ways,
        format_func=names.__getitem__,
        required=True,
        key=_WAY,
        on_change=way_chosen,
    )
    if by == "concept":
        st.session_state[_CONCEPT] = query if query in concepts else None
        choose_concept(
            concepts,
            key=_CONCEPT,
            on_change=lambda: _search(by, st.session_state[_CONCEPT]),
        )
        return by, query
    st.session_state[_QUERY] = query
    st.text_input(
        t(f"features.search_{by}"),
        key=_QUERY,
        placeholder=t(f"features.search_{by}_example"),
        label_visibility="collapsed",
        icon=":material/search:",
        max_chars=MAX_TEXT_CHARACTERS if by == "text" else MAX_QUERY_CHARACTERS,
        on_change=lambda: _search(by, st.session_state[_QUERY]),
    )
    return by, query


def show_found(explored: Explored, by: Way, query: str) -> None:
    """The features that the search finds, each a click away.

    Raises:
        InputError: there is nothing like it, or it does not fit the model.
        MissingError, DamagedError: what is searched cannot be read.
    """
    st.button(
        t("features.search_clear"),
        icon=":material/close:",
        on_click=lambda: _search(by, None),
    )
    if by == "text":
        _found_by_text(explored, query)
    elif by == "words":
        _found_by_words(explored, query)
    elif by == "concept":
        concept_table(explored, query, key=_TABLE)
    else:
        _found_by_token(explored, by, query)


def _table(
    explored: Explored, features: Sequence[int], columns: dict[str, Any], **data: Any
) -> None:
    if not features:
        st.info(t("features.search_none"))
        return
    st.caption(t("features.search_found", n=f"{len(features):,}"))
    opening_dataframe(
        explored.rows(features, **data),
        key=_TABLE,
        features=features,
        column_config=feature_columns(**columns),
    )


def _number(name: str, **options: Any) -> Any:
    return st.column_config.NumberColumn(
        t(f"features.column_{name}"),
        help=t(f"features.column_{name}_help"),
        width=95,
        **options,
    )


def _chosen_token(explored: Explored, by: Way, query: str) -> int:
    """The token that the query means; others it could mean are offered beside it."""
    vocabulary = explored.index.vocabulary
    found = find_tokens(vocabulary, query)
    choices = [found.token, *found.others]
    linked = st.query_params.get("token", "")
    chosen = next((token for token in choices if str(token) == linked), found.token)
    if len(choices) > 1:
        st.session_state[_TOKEN] = chosen
        st.pills(
            t("features.search_which_token"),
            choices,
            format_func=lambda token: plain(visible(vocabulary.text(token))),
            required=True,
            key=_TOKEN,
            on_change=lambda: _search(by, query, st.session_state[_TOKEN]),
        )
    return chosen


def _found_by_token(explored: Explored, by: Way, query: str) -> None:
    token = _chosen_token(explored, by, query)
    shown = visible(explored.index.vocabulary.text(token))
    st.markdown(plain(t(f"features.search_{by}_said", token=shown)))
    if by == "raises":
        scores = explored.index.raised_by(token)
        _table(
            explored,
            [score.feature for score in scores],
            {"logit": _number("logit", format="%.3f")},
            logit=[score.value for score in scores],
        )
        return
    firing = explored.index.firing_on(token)
    _table(
        explored,
        [each.feature for each in firing],
        {
            "mass": _number("mass", format="percent"),
            "how_often": _number("how_often", format="percent"),
        },
        mass=[each.mass_share for each in firing],
        how_often=[each.precision for each in firing],
    )


def _found_by_words(explored: Explored, query: str) -> None:
    found = by_words(explored.labels, explored.kept, query)
    where = st.column_config.TextColumn(t("features.column_where"), width=100)
    _table(
        explored,
        [hit.feature for hit in found],
        {"where": where},
        where=[t(f"features.found_in_{hit.where}") for hit in found],
    )


def _found_by_text(explored: Explored, query: str) -> None:
    model = cache.loaded_model(explored.index.info.model)
    found = cache.text_search(explored.source, model, query)
    st.caption(
        t(
            "features.search_text_said",
            n=f"{found.n_features:,}",
            shown=f"{len(found.hits):,}",
            n_tokens=f"{len(found.tokens):,}",
        )
    )
    at = token_strip(
        _searched_tokens(found.tokens, found.hits),
        key="features.searched",
        scale="sequential",
        low=0.0,
        high=round(max((hit.max_act for hit in found.hits), default=1.0), 1),
        legend=t("features.search_text_legend"),
        selectable=True,
    )
    hits = found.hits
    if at is not None:
        hits = [hit for hit in hits if hit.activations[at] > 0]
        hits.sort(key=lambda hit: -hit.activations[at])
    positions = [hit.position if at is None else at for hit in hits]
    _table(
        explored,
        [hit.feature for hit in hits],
        {
            "activation": _number("activation", format="%.2f"),
            "at": st.column_config.TextColumn(t("features.column_at"), width=110),
            "n_tokens": _number("n_tokens"),
        },
        activation=[
            float(hit.activations[place])
            for hit, place in zip(hits, positions, strict=True)
        ],
        at=[f"{visible(found.tokens[place])} · {place + 1}" for place in positions],
        n_tokens=[hit.n_fired for hit in hits],
    )


def _searched_tokens(
    tokens: Sequence[str], hits: Sequence[TextHit]
) -> list[StripToken]:
    """The text's tokens in the colour of what is strongest on each."""
    n_shown = 5
    strip = []
    for place, text in enumerate(tokens):
        here = sorted(
            (hit for hit in hits if hit.activations[place] > 0),
            key=lambda hit: -hit.activations[place],
        )
        details = [
            (t("features.one", feature=hit.feature), f"{hit.activations[place]:.2f}")
            for hit in here[:n_shown]
        ]
        value = float(here[0].activations[place]) if here else None
        strip.append(StripToken(text, value, details))
    return strip
