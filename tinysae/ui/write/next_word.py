"""What could come next after the prompt, and how the settings change its odds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from tinysae.model.text.generate import GenerateSettings
from tinysae.render.numbers import percent
from tinysae.render.visible import as_word
from tinysae.ui.parts.distribution import Candidate, Live, distribution_chart
from tinysae.ui.shell.i18n import t
from tinysae.ui.shell.page import note

if TYPE_CHECKING:
    from torch import Tensor

    from tinysae.library.shipped_stories import ShippedStories
    from tinysae.model.sources import LoadedModel
    from tinysae.model.text.prompt import Prompt

N_CANDIDATES = 8
USUAL = GenerateSettings()
# Of all other tokens' odds, while the slider is dragged.
N_BINS = 100


def sentence_place() -> DeltaGenerator:
    """Where the sentence above the bars comes, and before it why it is waited for; on a
    phone of one height, so that the bars stay where they are."""
    return st.container(key="write_next_said")


def show_shipped_next(shipped: ShippedStories, place: DeltaGenerator) -> None:
    """The likeliest tokens after the first prompt, with the settings that everybody
    begins with, as they came with tinysae; `place` is for the sentence."""
    best = [
        Candidate(text, prob, prob) for text, prob in shipped.next_tokens[:N_CANDIDATES]
    ]
    _show(best, shipped.d_vocab, shipped.d_vocab, place)


def show_next(
    model: LoadedModel,
    prompt: Prompt,
    settings: GenerateSettings,
    place: DeltaGenerator,
) -> None:
    """The likeliest tokens after the prompt, before and after the settings; `place` is
    for the sentence."""
    from tinysae.model.text.generate import next_token_probs
    from tinysae.model.text.logprobs import next_logits

    logits = next_logits(model, prompt.ids).cpu()
    probs = logits.softmax(-1)
    drawn = next_token_probs(logits, settings, [model.bos_id, *prompt.ids])
    ids = probs.topk(min(N_CANDIDATES, len(probs))).indices.tolist()
    best = [
        Candidate(model.token_text(i), float(probs[i]), float(drawn[i])) for i in ids
    ]
    live = _live(logits, ids, settings)
    _show(best, int((drawn > 0).sum()), model.d_vocab, place, live)


def _live(logits: Tensor, ids: list[int], settings: GenerateSettings) -> Live | None:
    """What moves the bars while the slider is dragged; None where more than the
    temperature has a say."""
    usual = replace(
        USUAL,
        temperature=settings.temperature,
        seed=settings.seed,
        max_new_tokens=settings.max_new_tokens,
    )
    if settings != usual:
        return None
    log_probs = logits.log_softmax(-1)
    others = log_probs.clone()
    others[ids] = -math.inf
    likeliest = others[others > -math.inf].sort().values
    # Of equal counts: where most of the rest's odds are, a bin is a token or few.
    bins = [part for part in likeliest.chunk(N_BINS) if len(part)]
    return Live(
        t("playground.temperature"),
        [round(float(value), 4) for value in log_probs[ids]],
        [
            (round(float(part.logsumexp(-1)) - math.log(len(part)), 4), len(part))
            for part in bins
        ],
    )


def _show(
    best: Sequence[Candidate],
    n_drawable: int,
    total: int,
    place: DeltaGenerator,
    live: Live | None = None,
) -> None:
    first, second = sorted(best, key=lambda each: -each.after)[:2]
    said = [
        t(
            "playground.next_said",
            first=as_word(first.text),
            first_odds=percent(first.after),
            second=as_word(second.text),
            second_odds=percent(second.after),
        )
    ]
    if n_drawable < total:
        n = f"{n_drawable:,}"
        said.append(t("playground.n_drawable", n=n, total=f"{total:,}"))
    with place:
        note(" ".join(said))
    distribution_chart(best, key="playground_next", is_short_on_phones=True, live=live)
