"""What could come next after the prompt, and how the settings change its odds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tinysae.render.numbers import percent
from tinysae.render.visible import as_word
from tinysae.ui.parts.distribution import Candidate, distribution_chart
from tinysae.ui.shell.i18n import t
from tinysae.ui.shell.page import note

if TYPE_CHECKING:
    from tinysae.library.shipped_stories import ShippedStories
    from tinysae.model.sources import LoadedModel
    from tinysae.model.text.generate import GenerateSettings
    from tinysae.model.text.prompt import Prompt

N_CANDIDATES = 8


def show_shipped_next(shipped: ShippedStories) -> None:
    """The likeliest tokens after the first prompt, with the settings that everybody
    begins with, as they came with tinysae."""
    best = [
        Candidate(text, prob, prob) for text, prob in shipped.next_tokens[:N_CANDIDATES]
    ]
    _show(best, shipped.d_vocab, shipped.d_vocab)


def show_next(model: LoadedModel, prompt: Prompt, settings: GenerateSettings) -> None:
    """The likeliest tokens after the prompt, before and after the settings."""
    from tinysae.model.text.generate import next_token_probs
    from tinysae.model.text.logprobs import next_logits

    logits = next_logits(model, prompt.ids).cpu()
    probs = logits.softmax(-1)
    drawn = next_token_probs(logits, settings, [model.bos_id, *prompt.ids])
    ids = probs.topk(min(N_CANDIDATES, len(probs))).indices.tolist()
    best = [
        Candidate(model.token_text(i), float(probs[i]), float(drawn[i])) for i in ids
    ]
    _show(best, int((drawn > 0).sum()), model.d_vocab)


def _show(best: Sequence[Candidate], n_drawable: int, total: int) -> None:
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
    note(" ".join(said))
    distribution_chart(best, key="playground_next", is_short_on_phones=True)
