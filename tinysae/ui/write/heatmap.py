"""The heatmap: every token of a text coloured by what the model thought of it."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, get_args

import streamlit as st

from tinysae.model.text.state import Colour
from tinysae.render.numbers import ordinal, percent, signed
from tinysae.render.palette import SEQUENTIAL
from tinysae.ui.parts.tokens import StripToken
from tinysae.ui.shell.i18n import language, t
from tinysae.words import text

if TYPE_CHECKING:
    from tinysae.model.text.logprobs import TokenStats
    from tinysae.ui.write.told import Reader
    from tinysae.words import Language

# On a card; the token that is pointed at shows all ten.
N_ON_CARD = 5


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
    """What colours the stories; beside it, what the colours mean."""
    options: tuple[Colour, ...] = get_args(Colour)
    with st.container(horizontal=True, vertical_alignment="center", key="write_colour"):
        chosen = st.selectbox(
            t("playground.colour"),
            options,
            options.index(saved),
            format_func={name: t(f"playground.{name}") for name in options}.__getitem__,
            key="_colour",
            label_visibility="collapsed",
            width=190,
        )
        colour = options[options.index(chosen)] if chosen in options else saved
        st.html(legend(colour))
    return colour


def legend(colour: Colour) -> str:
    """The scale from end to end, as HTML; what it measures, on hover."""
    said = html.escape(t(f"playground.legend_{colour}"))
    low, high = (
        html.escape(t(f"playground.{end}_{colour}")) for end in ("low", "high")
    )
    steps = "".join(
        f'<i style="background:light-dark({light},{dark})"></i>'
        for light, dark in zip(SEQUENTIAL.light, SEQUENTIAL.dark, strict=True)
    )
    return (
        f'<div class="shades" title="{said}"><span>{low}</span>'
        f'<span aria-hidden="true">{steps}</span><span>{high}</span></div>'
    )


def figures(reader: Reader, stats: TokenStats, index: int) -> list[tuple[str, str]]:
    """Everything that is known of one token: a name and a number each."""
    return list(zip(_names(), _numbers(reader, stats, index, language()), strict=True))


def _names() -> list[str]:
    return [t(f"playground.{name}") for name in get_args(Colour)]


def _numbers(
    reader: Reader, stats: TokenStats, index: int, spoken: Language
) -> list[str]:
    """In the order of `Colour`. The language is asked for once for hundreds of them."""
    ranks = ordinal if spoken == "en" else "{:,}".format
    rank, total = ranks(int(stats.rank[index]) + 1), f"{reader.d_vocab:,}"
    numbers: dict[Colour, str] = {
        "log_prob": signed(float(stats.log_prob[index])),
        "prob": percent(float(stats.prob[index])),
        "rank": text("playground.rank_of", spoken, rank=rank, total=total),
        "entropy": signed(float(stats.entropy[index])),
        "surprise": signed(float(stats.surprise[index])),
    }
    return [numbers[name] for name in get_args(Colour)]


def heatmap_tokens(
    reader: Reader, stats: TokenStats, n_given: int, colour: Colour = "log_prob"
) -> list[StripToken]:
    """A strip's tokens for `stats`; the first after `n_given` is highlighted."""
    texts = reader.token_texts(stats.ids.tolist())
    likeliest = stats.top_ids[:, :N_ON_CARD]
    alone = {
        int(token_id): reader.token_text(int(token_id))
        for token_id in set(likeliest.flat)
    }
    first = get_args(Colour).index(colour)
    names, heading = _names(), t("playground.alternatives")
    part_of, spoken = t("playground.part_of_character"), language()
    tokens: list[StripToken] = []
    for index, (piece, value) in enumerate(
        zip(texts, values(stats, colour), strict=True)
    ):
        numbers = _numbers(reader, stats, index, spoken)
        known = list(zip(names, numbers, strict=True))
        # What colours the strip is what a screen reader says of a token.
        details = [known[first], *known[:first], *known[first + 1 :]]
        own = reader.vocabulary.token_bytes[int(stats.ids[index])]
        # What is empty may be the space that begins a text, too.
        if not piece and not own.isascii():
            details.append((part_of, own.hex(" ").upper()))
        details.append(("", heading))
        for token_id, log_prob in zip(
            likeliest[index], stats.top_log_probs[index, :N_ON_CARD], strict=True
        ):
            details.append((alone[int(token_id)], percent(math.exp(log_prob))))
        tokens.append(StripToken(piece, value, tuple(details), index == n_given))
    return tokens


def colour_steps(stats: TokenStats, colour: Colour) -> list[int]:
    """The place of each token's colour in the sequential scale."""
    low, high, _ = SCALES[colour]
    return [SEQUENTIAL.step(value, low, high) for value in values(stats, colour)]
