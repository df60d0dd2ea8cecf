"""How strong is right? A feature's own strength, found by trying.

A strength that is right for one feature does nothing with another, or breaks the text.
So short texts are written, the feature turned up and down by the same strength, which
is found by halving: the strongest at which the unsteered model still finds both no more
than `STRAINED` times as surprising as what it writes by itself.
"""

import math
from collections.abc import Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, NamedTuple

from tinysae.features.why.steering import (
    STRAINED,
    Steer,
    loss_ratio,
    scaled,
    steering,
)
from tinysae.model.forward import only_last, running
from tinysae.model.text.generate import Around

if TYPE_CHECKING:
    from torch import Tensor

    from tinysae.model.sources import LoadedModel
    from tinysae.sae.load import SAE

# In units of the features' maxima; the range between is halved so many times.
WEAKEST, STRONGEST, HALVINGS = 0.1, 5.0, 6
# Texts for each strength and direction; of more texts the usual loss is known better.
N_TEXTS, N_USUAL, N_TOKENS = 8, 32, 24
# Multiplications that may be spent without being asked for: a second or two.
COST = 3e10


class Tried(NamedTuple):
    """strength: the strongest that keeps both directions within the bound. ratio: the
    larger of their losses there, in multiples of `usual`: the model's own loss on what
    it writes by itself, nats a token."""

    strength: float
    ratio: float
    usual: float


def is_quick(model: "LoadedModel", n_prompt: int) -> bool:
    """Whether `right_strength` after so many tokens takes a second or two."""
    n_texts = N_USUAL + 2 * N_TEXTS * HALVINGS
    # Written a token at a time, and read once more as a whole.
    n_tokens = n_texts * (n_prompt + 2 * N_TOKENS)
    return model.n_parameters * n_tokens <= COST


def right_strength(
    model: "LoadedModel",
    prompt_ids: Sequence[int],
    sae: "SAE",
    steers: Sequence[Steer],
    seed: int = 0,
) -> Tried:
    """The strongest that leaves texts which the model could have written.

    Args:
        model: that writes.
        prompt_ids: after which; cut to what leaves room for the texts.
        sae: whose features are turned.
        steers: at strength 1, or in whatever proportion to each other.
        seed: of the texts.

    Raises:
        InputError: as `steering`.
    """

    def loss(around: Around | None, n: int) -> float:
        return _loss_of_texts(model, prompt_ids, around, n, seed)

    def ratio(strength: float) -> float:
        up, down = (
            loss(steering(model, sae, scaled(steers, each)), N_TEXTS)
            for each in (strength, -strength)
        )
        return loss_ratio(max(up, down), usual)

    usual = loss(None, N_USUAL)
    low, high = WEAKEST, STRONGEST
    best = Tried(low, 1.0, usual)
    for _ in range(HALVINGS):
        tried = math.sqrt(low * high)
        reached = ratio(tried)
        if reached <= STRAINED:
            low, best = tried, Tried(tried, reached, usual)
        else:
            high = tried
    return best


def _loss_of_texts(
    model: "LoadedModel",
    prompt_ids: Sequence[int],
    around: Around | None,
    n: int,
    seed: int,
) -> float:
    """The unsteered model's loss on `n` texts that are written after the prompt."""
    import torch

    room = max(1, model.n_ctx - 1 - N_TOKENS)
    prompt = model.to_input(list(prompt_ids)[-room:])
    texts = _written(model, prompt.expand(n, -1), around, seed)
    n_new = texts.shape[1] - prompt.shape[1]
    with running(model, texts.numel()):
        logits = model.plain(texts[:, :-1], use_cache=False).logits[:, -n_new:]
    with torch.inference_mode():
        log_probs = logits.float().log_softmax(-1)
        return -float(log_probs.gather(2, texts[:, -n_new:, None]).mean())


def _written(
    model: "LoadedModel", prompts: "Tensor", around: Around | None, seed: int
) -> "Tensor":
    """`prompts` [n, pos] and up to `N_TOKENS` more tokens, with the same dice."""
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
