"""The heatmap: every token of a text coloured by what the model thought of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, get_args

import streamlit as st

from tinysae.model.text.state import Colour
from tinysae.render.numbers import ordinal, percent, signed
from tinysae.render.palette import SEQUENTIAL
from tinysae.render.visible import visible
from tinysae.ui.parts.chips import bar, chips
from tinysae.ui.parts.framed import framed
from tinysae.ui.parts.tokens import (
    StripToken,
    circuitsvis_attention,
    circuitsvis_log_probs,
    token_strip,
)
from tinysae.ui.shell.i18n import language, t
from tinysae.ui.shell.page import note, page_link, plain, shown_errors
from tinysae.ui.write.firing import show_features

if TYPE_CHECKING:
    from tinysae.model.sources import LoadedModel
    from tinysae.model.text.generate import Writing
    from tinysae.model.text.logprobs import TokenStats
    from tinysae.model.text.prompt import Prompt

# On a card; the token that is clicked shows all ten.
N_ON_CARD = 5
# CircuitsVis draws a square of elements for every head.
MAX_ATTENTION_TOKENS = 64
# Browsers and servers take an address of this length, and the Why page such a text.
MAX_LINKED_CHARACTERS = 1_500

DRAWINGS = ("strip", "circuitsvis", "attention")


class Scale(NamedTuple):
    """What the ends of the colour scale are, as values and as words."""

    low: float
    high: float
    ends: tuple[str, str] | None = None


# Log-prob: a token the model gave 1 chance in 55. Rank: from the 1,000th to the first,
# by its logarithm. Entropy: of a choice among 55. Surprise: of 1 chance in 1,024.
SCALES: dict[Colour, Scale] = {
    "log_prob": Scale(-4.0, 0.0),
    "prob": Scale(0.0, 1.0, ("0%", "100%")),
    "rank": Scale(-3.0, 0.0, ("1,000+", "1")),
    "entropy": Scale(0.0, 4.0),
    "surprise": Scale(0.0, 10.0),
}


def values(stats: TokenStats, colour: Colour) -> Sequence[float]:
    """What colours each token: a stronger colour for a larger value."""
    if colour == "rank":
        return [-math.log10(rank + 1) for rank in stats.rank.tolist()]
    return getattr(stats, colour).tolist()


def choose_colour(saved: Colour) -> Colour:
    """What colours the heatmap."""
    options: tuple[Colour, ...] = get_args(Colour)
    chosen = st.selectbox(
        t("playground.colour"),
        options,
        options.index(saved),
        format_func={name: t(f"playground.{name}") for name in options}.__getitem__,
        key="_colour",
        width=320,
    )
    return options[options.index(chosen)] if chosen in options else saved


def choose_text(
    prompt: Prompt, samples: Sequence[Writing], *, key: str = "_which"
) -> tuple[list[int], int]:
    """The ids of the text to look at, and how many of them the model was given."""
    if not samples:
        return list(prompt.ids), len(prompt.ids)
    names = [t("playground.prompt")]
    names += [t("playground.sample", n=place + 1) for place in range(len(samples))]
    chosen = st.pills(
        t("playground.which"),
        range(len(names)),
        default=1,
        required=True,
        format_func=names.__getitem__,
        key=key,
    )
    if chosen not in range(1, len(samples) + 1):
        return list(prompt.ids), len(prompt.ids)
    sample = samples[chosen - 1]
    given = sample.prompt.ids
    return [*given, *sample.ids], len(given)


@st.fragment
def show_heatmap(
    model: LoadedModel, prompt: Prompt, samples: Sequence[Writing], colour: Colour
) -> None:
    """The chosen text's strip, its figures, and what is known of the clicked token.

    A click runs only this again, and not the rest of the page.
    """
    from tinysae.model.text.logprobs import token_stats

    if not prompt.ids and not samples:
        return
    st.subheader(t("playground.heatmap"))
    ids, n_given = choose_text(prompt, samples)
    if not ids:
        note(t("playground.prompt_empty"))
        return
    drawings = {name: t(f"playground.drawing_{name}") for name in DRAWINGS}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        drawing = st.segmented_control(
            t("playground.drawing"),
            DRAWINGS,
            default="strip",
            required=True,
            format_func=drawings.__getitem__,
            wrap=True,
            key="_drawing",
        )
        spaces = st.toggle(t("playground.spaces"), key="_spaces")
    stats = token_stats(model, ids)
    note(
        t(
            "playground.figures",
            n=f"{len(stats):,}",
            loss=signed(stats.mean_loss, 3),
            perplexity=f"{stats.perplexity:,.2f}",
        )
    )
    with shown_errors():
        if drawing == "circuitsvis":
            show_circuitsvis(model, ids)
        elif drawing == "attention":
            show_attention(model, ids)
        else:
            show_strip(model, stats, n_given, colour, spaces)


def show_strip(
    model: LoadedModel, stats: TokenStats, n_given: int, colour: Colour, spaces: bool
) -> None:
    """The strip; below it what the clicked token has to say."""
    scale = SCALES[colour]
    position = token_strip(
        heatmap_tokens(model, stats, n_given, colour),
        key="playground_heatmap",
        scale="sequential",
        low=scale.low,
        high=scale.high,
        ends=scale.ends,
        legend=t(f"playground.legend_{colour}"),
        selectable=True,
        spaces=spaces,
    )
    note(t("playground.heatmap_note"))
    ids = stats.ids.tolist()
    if position is not None:
        show_pinned(model, stats, position)
    with shown_errors():
        show_features(model, ids, position)


def show_pinned(model: LoadedModel, stats: TokenStats, position: int) -> None:
    """The clicked token's figures, and the ten that the model found likeliest there."""
    texts = model.token_texts(stats.ids.tolist())
    token = visible(texts[position] or model.token_text(int(stats.ids[position])))
    st.subheader(plain(t("playground.pinned", token=token)))
    figures = _figures(model, stats, position)
    st.html(chips("", [f"{name}: {value}" for name, value in figures]))
    if position:
        before = model.decode(stats.ids[:position].tolist())
        if len(before) <= MAX_LINKED_CHARACTERS:
            page_link(
                "why",
                t("why.token_link"),
                text=before,
                target=model.token_text(int(stats.ids[position])),
            )
    note(t("playground.alternatives"))
    best = [math.exp(value) for value in stats.top_log_probs[position].tolist()]
    rows = zip(stats.top_ids[position].tolist(), best, strict=True)
    st.html(
        "".join(
            '<div style="display:grid;grid-template-columns:8rem 1fr;gap:.75rem;'
            f'align-items:center">{chips("", [visible(model.token_text(token_id))])}'
            f"{bar(prob / best[0], percent(prob))}</div>"
            for token_id, prob in rows
        )
    )


def show_circuitsvis(model: LoadedModel, ids: list[int]) -> None:
    """The tutorial's own view."""
    from tinysae.model.text.logprobs import log_probs

    tokens = model.to_input(ids)
    body = circuitsvis_log_probs(
        tokens[0].cpu(), log_probs(model, tokens)[0].cpu(), model.token_text
    )
    framed(body, t("playground.drawing_circuitsvis"), key="playground_circuitsvis")
    note(t("playground.circuitsvis_note"))


def show_attention(model: LoadedModel, ids: list[int]) -> None:
    """Where the heads of a layer look, by CircuitsVis."""
    from tinysae.model.attention import attention_pattern

    layer = 0
    if model.n_layers > 1:
        layer = int(
            st.number_input(
                t("playground.layer"), 0, model.n_layers - 1, 0, key="_layer"
            )
        )
    shown = ids[:MAX_ATTENTION_TOKENS]
    pattern = attention_pattern(model, shown, layer).cpu()
    texts = [model.token_text(token_id) for token_id in (model.bos_id, *shown)]
    framed(
        circuitsvis_attention(texts, pattern),
        t("playground.drawing_attention"),
        key="playground_attention",
    )
    note(t("playground.attention_note", n=len(shown), total=f"{len(ids):,}"))


def _figures(
    model: LoadedModel, stats: TokenStats, index: int
) -> list[tuple[str, str]]:
    """Everything that is known of one token: a name and a number each."""
    ranks = ordinal if language() == "en" else "{:,}".format
    rank = ranks(int(stats.rank[index]) + 1)
    return [
        (t("playground.log_prob"), signed(float(stats.log_prob[index]))),
        (t("playground.prob"), percent(float(stats.prob[index]))),
        (
            t("playground.rank"),
            t("playground.rank_of", rank=rank, total=f"{model.d_vocab:,}"),
        ),
        (t("playground.entropy"), signed(float(stats.entropy[index]))),
        (t("playground.surprise"), signed(float(stats.surprise[index]))),
    ]


def heatmap_tokens(
    model: LoadedModel, stats: TokenStats, n_given: int, colour: Colour = "log_prob"
) -> list[StripToken]:
    """A strip's tokens for `stats`; the first after `n_given` is highlighted."""
    texts = model.token_texts(stats.ids.tolist())
    likeliest = stats.top_ids[:, :N_ON_CARD]
    alone = {
        int(token_id): model.token_text(int(token_id))
        for token_id in set(likeliest.flat)
    }
    order = list(get_args(Colour))
    first = order.index(colour)
    tokens: list[StripToken] = []
    for index, (text, value) in enumerate(
        zip(texts, values(stats, colour), strict=True)
    ):
        figures = _figures(model, stats, index)
        # What colours the strip is what a screen reader says of a token.
        details = [figures[first], *figures[:first], *figures[first + 1 :]]
        own = model.vocabulary.token_bytes[int(stats.ids[index])]
        # What is empty may be the space that begins a text, too.
        if not text and not own.isascii():
            part = own.hex(" ").upper()
            details.append((t("playground.part_of_character"), part))
        details.append(("", t("playground.alternatives")))
        for token_id, log_prob in zip(
            likeliest[index], stats.top_log_probs[index, :N_ON_CARD], strict=True
        ):
            details.append((alone[int(token_id)], percent(math.exp(log_prob))))
        tokens.append(StripToken(text, value, details, index == n_given))
    return tokens


def colour_steps(stats: TokenStats, colour: Colour) -> list[int]:
    """The place of each token's colour in the sequential scale."""
    low, high, _ = SCALES[colour]
    return [SEQUENTIAL.step(value, low, high) for value in values(stats, colour)]
