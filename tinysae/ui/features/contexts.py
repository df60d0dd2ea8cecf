"""A feature in its contexts: where it fires, and what is said there without it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from tinysae.features.passages import others, varied
from tinysae.render.numbers import percent, signed
from tinysae.render.visible import visible
from tinysae.ui.features import cached
from tinysae.ui.features.explored import Explored
from tinysae.ui.parts.tokens import StripToken, token_strip
from tinysae.ui.shell import cache
from tinysae.ui.shell.i18n import t
from tinysae.ui.shell.page import plain, shown_errors

if TYPE_CHECKING:
    from tinysae.features.index.records import Context, FeatureRecord
    from tinysae.features.why.ablation import Ablation, ChangedToken

# Tokens shown on either side of the strongest.
RADIUS = 20
# What is read first; the others cost every reader time and few look at them.
N_FIRST = 10
# Each is two forwards of the model: more would keep a reader waiting.
N_ABLATED = 6
N_CHANGED = 3
# The diverging scale's ends at least: smaller changes of a log-prob look like none.
LEAST_CHANGE = 0.5
# Changes of a log-prob that get no colour, and of a probability that get no mention.
NO_CHANGE, NO_MOVE = 0.005, 0.001

# The feature whose contexts are all shown.
_ALL_OF = "features.all_of"


def show_contexts(record: "FeatureRecord", explored: Explored) -> None:
    """Passages in which the feature fires: strong ones, or those of a group of bins.

    On demand each is coloured by what its tokens lose when the feature is off.
    """
    st.subheader(t("features.contexts"), anchor=False)
    contexts, n_first = _chosen_group(record)
    with st.container(horizontal=True, vertical_alignment="center"):
        is_whole = st.toggle(
            t("features.whole"), key="features.whole", persist_state="page"
        )
        is_off = st.toggle(
            t("features.off"),
            key="features.off",
            help=plain(t("features.off_help")),
        )
    if is_off:
        contexts = contexts[:N_ABLATED]
        st.caption(t("features.off_how", n=len(contexts)))
        with shown_errors():
            _show_without(record, explored, contexts, is_whole=is_whole)
        return
    n_more = len(contexts) - n_first
    is_all = n_more <= 0 or st.session_state.get(_ALL_OF) == record.feature
    for rank, context in enumerate(contexts if is_all else contexts[:n_first]):
        part = context if is_whole else context.window(RADIUS)
        with st.container(gap="xxsmall"):
            st.caption(_strip_label(rank, part))
            token_strip(
                strip_tokens(
                    part.texts, part.activations, record.max_act, part.position
                ),
                key=f"features.context_{rank}",
                scale="sequential",
                low=0.0,
                high=record.max_act,
                legend=None,
            )
    if not is_all:
        st.button(
            t("features.more", n=n_more),
            icon=":material/expand_more:",
            on_click=lambda: st.session_state.update({_ALL_OF: record.feature}),
        )


def _chosen_group(record: "FeatureRecord") -> tuple[list["Context"], int]:
    """The strongest contexts, those first that differ, or those of the bins that the
    reader chooses; and how many are shown at first."""
    shown = varied(record, N_FIRST)
    contexts = [*shown, *others(record, shown)]
    chosen = -1
    if record.bin_contexts:
        names = {-1: t("features.strongest")}
        names |= {
            at: t(
                "features.bin",
                low=f"{group.low:.2f}",
                high=f"{group.high:.2f}",
                n=f"{group.n_fired:,}",
            )
            for at, group in enumerate(record.bin_contexts)
            if group.contexts
        }
        chosen = st.selectbox(
            t("features.which_contexts"),
            list(names),
            format_func=names.__getitem__,
            # Another feature has other bins.
            key=f"features.bin_{record.feature}",
        )
    if chosen < 0:
        st.caption(t("features.contexts_how"))
        return contexts, len(shown)
    contexts = record.bin_contexts[chosen].contexts
    st.caption(t("features.bin_how", n=len(contexts)))
    return contexts, N_FIRST


def _strip_label(rank: int, context: "Context") -> str:
    value = f"{context.activations[context.position]:.2f}"
    return t("features.strip", rank=rank + 1, value=value)


def strip_tokens(
    texts: Sequence[str],
    activations: NDArray[np.float32],
    max_act: float,
    position: int | None = None,
) -> list[StripToken]:
    """Tokens in the colour of the feature's activations; `position` is underlined."""
    strongest = t("features.of_strongest")
    label = t("features.activation")
    return [
        StripToken(
            text,
            value if value > 0 else None,
            ((label, f"{value:.2f}"), (strongest, f"{value / max_act:.1%}"))
            if value > 0 and max_act > 0
            else ((label, f"{value:.2f}" if value > 0 else "0"),),
            highlighted=place == position,
        )
        for place, (text, value) in enumerate(
            zip(texts, activations.tolist(), strict=True)
        )
    ]


def _show_without(
    record: "FeatureRecord",
    explored: Explored,
    contexts: Sequence["Context"],
    *,
    is_whole: bool,
) -> None:
    """The contexts, coloured by the change in each token's log-prob."""
    from tinysae.features.why.ablation import ablate

    sae = cache.loaded_sae(explored.source)
    model = cache.loaded_model(explored.index.info.model)
    effects = [ablate(sae, model, c.tokens.tolist(), record.feature) for c in contexts]
    spans = [_span(context, is_whole=is_whole) for context in contexts]
    changes = [np.abs(e.change[span]) for e, span in zip(effects, spans, strict=True)]
    # One scale for all, so that passages can be held against each other.
    high = round(max([LEAST_CHANGE, *map(np.nanmax, changes)]), 1)
    for rank, (context, effect, span) in enumerate(
        zip(contexts, effects, spans, strict=True)
    ):
        with st.container(gap="xxsmall"):
            st.caption(_strip_label(rank, context))
            token_strip(
                _changed_tokens(context, effect)[span],
                key=f"features.without_{rank}",
                scale="diverging",
                low=-high,
                high=high,
                legend=t("features.off_legend") if rank == 0 else None,
            )
            _show_moved(effect, explored)


def _span(context: "Context", *, is_whole: bool) -> slice:
    """The tokens that are shown; more than one, so that one of them has a change."""
    if is_whole:
        return slice(None)
    first = max(0, context.position - RADIUS)
    return slice(first, context.position + RADIUS + 1)


def _changed_tokens(context: "Context", found: "Ablation") -> list[StripToken]:
    label, activation = t("features.off_change"), t("features.activation")
    tokens = []
    for place, text in enumerate(context.texts):
        change = float(found.change[place])
        # The first token has nothing before it that could change.
        is_known = change == change
        tokens.append(
            StripToken(
                text,
                change if is_known and abs(change) > NO_CHANGE else None,
                (
                    (activation, f"{context.activations[place]:.2f}"),
                    *([(label, signed(change, 3))] if is_known else []),
                ),
                highlighted=place == context.position,
            )
        )
    return tokens


def _show_moved(found: "Ablation", explored: Explored) -> None:
    """The next tokens that change the most at the feature's strongest token."""
    text = explored.index.vocabulary.text

    def said(tokens: Sequence["ChangedToken"]) -> str:
        return ", ".join(
            f"“{visible(text(each.token))}” {percent(each.prob)} → "
            f"{percent(each.prob_off)}"
            for each in tokens[:N_CHANGED]
            if abs(each.prob_off - each.prob) > NO_MOVE
        )

    for key, tokens in (("fallen", found.fallen), ("risen", found.risen)):
        if moved := said(tokens):
            sentence = t(f"features.off_{key}", tokens=moved)
            st.markdown(f":small[{plain(sentence)}]")


def show_own_text(record: "FeatureRecord", explored: Explored) -> None:
    """A field for the reader's own text, and where the feature fires in it."""
    st.subheader(t("features.own_text"), anchor=False)
    st.caption(t("features.own_text_how"))
    typed = st.text_input(
        t("features.own_text"),
        key="features.own_text",
        max_chars=2_000,
        placeholder=t("features.own_text_example"),
        label_visibility="collapsed",
        persist_state="page",
    )
    if not typed:
        return
    with shown_errors():
        model = cache.loaded_model(explored.index.info.model)
        found = cached.text_activations(explored.source, model, typed)
        own = found.activations[:, record.feature]
        if not own.any():
            st.info(t("features.own_text_none"))
        high = max(record.max_act, float(own.max()))
        token_strip(
            strip_tokens(found.tokens, own, high),
            key="features.own_strip",
            scale="sequential",
            low=0.0,
            high=round(high, 1),
            legend=t("features.own_text_legend", feature=record.feature),
        )
