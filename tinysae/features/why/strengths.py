"""How strong is right? A feature's own default strength, found by trying.

At a strength that is right for one feature another one does nothing, or breaks the
text. So a few short texts are written at once, at a strength chosen by halving: the
strongest that the unsteered model still finds no more than `STRAINED` times as
surprising as its own texts.
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from tinysae.features.why.gradients import only_last
from tinysae.features.why.steering import (
    STRAINED,
    Steer,
    loss_ratio,
    scaled,
    steering,
)
from tinysae.model.forward import running
from tinysae.model.text.generate import Around

if TYPE_CHECKING:
    from torch import Tensor

    from tinysae.model.sources import LoadedModel
    from tinysae.sae.load import SAE

# In units of the feature's maximum; between them the range is halved so many times.
WEAKEST, STRONGEST, HALVINGS = 0.05, 2.5, 6
# Texts of so many tokens: enough for a loss that is known to a tenth.
N_TEXTS, N_TOKENS = 16, 24


class Found(NamedTuple):
    """strength: the strongest that keeps the loss within the bound. ratio: the loss
    there, in multiples of the usual one. usual: that, nats a token."""

    strength: float
    ratio: float
    usual: float


def usual_loss(model: "LoadedModel", prompt_ids: Sequence[int], seed: int = 0) -> float:
    """The model's mean loss on what it writes by itself after the prompt, in nats a
    token."""
    return _loss_of_texts(model, prompt_ids, None, seed)


def default_strength(
    model: "LoadedModel",
    prompt_ids: Sequence[int],
    sae: "SAE",
    steers: Sequence[Steer],
    seed: int = 0,
) -> Found:
    """The strongest that still gives texts the model could have written.

    Args:
        model: that writes.
        prompt_ids: after which; cut to what leaves room for the texts.
        sae: whose features are turned.
        steers: at strength 1 each, or in whatever proportion to each other.
        seed: of the texts.

    Raises:
        InputError: as `steering`.
    """
    usual = usual_loss(model, prompt_ids, seed)
    low, high = WEAKEST, STRONGEST
    found = Found(low, 1.0, usual)
    for _ in range(HALVINGS):
        tried = math.sqrt(low * high)
        around = steering(model, sae, scaled(steers, tried))
        loss = _loss_of_texts(model, prompt_ids, around, seed)
        ratio = loss_ratio(loss, usual)
        if ratio <= STRAINED:
            low, found = tried, Found(tried, ratio, usual)
        else:
            high = tried
    return found


def _loss_of_texts(
    model: "LoadedModel",
    prompt_ids: Sequence[int],
    around: Around | None,
    seed: int,
) -> float:
    """The unsteered model's loss on `N_TEXTS` texts written after the prompt."""
    import torch

    room = max(1, model.n_ctx - 1 - N_TOKENS)
    prompt = model.to_input(list(prompt_ids)[-room:])
    texts = _written(model, prompt.expand(N_TEXTS, -1), around, seed)
    n = texts.shape[1] - prompt.shape[1]
    with running(model, texts.numel()):
        logits = model.plain(texts[:, :-1], use_cache=False).logits[:, -n:]
    with torch.inference_mode():
        log_probs = logits.float().log_softmax(-1)
        return -float(log_probs.gather(2, texts[:, -n:, None]).mean())


def _written(
    model: "LoadedModel", prompts: "Tensor", around: Around | None, seed: int
) -> "Tensor":
    """`prompts` [n, pos] with up to `N_TOKENS` more tokens, drawn as they come."""
    from contextlib import nullcontext

    import torch
    from transformers import DynamicCache

    generator = torch.Generator().manual_seed(seed)
    cache = DynamicCache(config=model.plain.config)
    tokens, texts, n_read = prompts, prompts, 0
    for _ in range(min(N_TOKENS, model.n_ctx - prompts.shape[1])):
        changed = nullcontext() if around is None else around(n_read)
        with running(model, tokens.numel()), changed:
            logits = model.plain(
                tokens, past_key_values=cache, use_cache=True, **only_last(model)
            ).logits[:, -1]
        n_read += tokens.shape[1]
        probs = logits.float().softmax(-1).cpu()
        tokens = torch.multinomial(probs, 1, generator=generator).to(prompts.device)
        texts = torch.cat([texts, tokens], dim=1)
    return texts
