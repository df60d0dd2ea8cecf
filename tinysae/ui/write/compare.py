"""Two prompts, or one prompt in two models, token by token."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import streamlit as st

from tinysae.model.catalogue import CATALOGUE
from tinysae.model.sources import is_at_hand
from tinysae.model.text.compare import aligned
from tinysae.model.text.prompt import prepare_prompt
from tinysae.render.numbers import signed
from tinysae.ui.parts.model_chooser import option
from tinysae.ui.parts.tokens import StripToken, token_strip
from tinysae.ui.shell.cache import loaded_model
from tinysae.ui.shell.i18n import t
from tinysae.ui.shell.page import note
from tinysae.ui.write.controls import prompt_field, show_notices
from tinysae.ui.write.heatmap import SCALES, heatmap_tokens

if TYPE_CHECKING:
    from tinysae.model.sources import LoadedModel
    from tinysae.model.text.logprobs import TokenStats
    from tinysae.model.text.state import State

# Who reads the other text; the widget's key.
OTHER_MODEL = "_other_model"
# In nats: a token that one of the two found seven times as likely.
FULL_COLOUR = 2.0


def choose_texts(state: State) -> State:
    """Both prompts, side by side; `state` with what they say."""
    first, second = st.columns(2, gap="large")
    with first:
        prompt = prompt_field(state)
    with second:
        other = prompt_field(state, key="_other", label="other")
    return replace(state, prompt=prompt, other=other)


def models_at_hand(first: str) -> list[str]:
    """`first`, then those of the catalogue and of runs that are on this machine."""
    from tinysae.runs.store import list_runs

    named = [
        first,
        *(entry.source for entry in CATALOGUE),
        *(run.config.model_name for run in list_runs()),
    ]
    return [source for source in dict.fromkeys(named) if is_at_hand(source)]


def show_comparison(model: LoadedModel, state: State) -> None:
    """The first text's heatmap, and below it where the second one differs.

    An empty second prompt stands for the first one, so that one text is enough for two
    models.
    """
    from tinysae.model.text.logprobs import token_stats

    sources, other_model = models_at_hand(model.source), model
    if len(sources) > 1:
        chosen = st.selectbox(
            t("playground.other_model"), sources, format_func=option, key=OTHER_MODEL
        )
        other_model = loaded_model(chosen) if chosen in sources else model
    first, second = state.prompt, state.other or state.prompt
    sides: list[tuple[LoadedModel, TokenStats]] = []
    for reader, text in ((model, first), (other_model, second)):
        prompt = prepare_prompt(reader, text, 0, state.keep)
        show_notices(reader, prompt)
        if not prompt.ids:
            return
        sides.append((reader, token_stats(reader, prompt.ids)))
    (_, own), (_, other) = sides
    texts = [reader.token_texts(stats.ids.tolist()) for reader, stats in sides]
    pairs = aligned(*texts)

    low, high, _ = SCALES["log_prob"]
    st.subheader(t("playground.first_text"), anchor=False)
    token_strip(
        heatmap_tokens(model, own, -1),
        key="playground_first",
        scale="sequential",
        low=low,
        high=high,
        legend=t("playground.legend_log_prob"),
    )
    st.subheader(t("playground.second_text"), anchor=False)
    token_strip(
        difference_tokens(other_model, own, other, pairs),
        key="playground_second",
        scale="diverging",
        low=-FULL_COLOUR,
        high=FULL_COLOUR,
        legend=t("playground.legend_difference"),
    )
    note(
        t(
            "playground.compared",
            n=f"{len(pairs):,}",
            first=signed(own.mean_loss, 3),
            second=signed(other.mean_loss, 3),
        )
    )


def difference_tokens(
    model: LoadedModel,
    own: TokenStats,
    other: TokenStats,
    pairs: list[tuple[int, int]],
) -> list[StripToken]:
    """The second text's tokens, coloured by how much likelier they are than the same
    ones in the first; those that are only in the second have no colour."""
    partner = {second: first for first, second in pairs}
    tokens: list[StripToken] = []
    for place, token in enumerate(heatmap_tokens(model, other, -1)):
        if place not in partner:
            tokens.append(token._replace(value=None, highlighted=True))
            continue
        before = float(own.log_prob[partner[place]])
        change = float(other.log_prob[place]) - before
        rows = [
            (t("playground.difference"), signed(change)),
            (t("playground.first_text"), signed(before)),
        ]
        tokens.append(token._replace(value=change, details=(*rows, *token.details)))
    return tokens
