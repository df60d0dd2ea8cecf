"""How likely the model found each token of a text, and what it would have preferred."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tinysae.model.cores import cores_for
from tinysae.model.forward import logits

if TYPE_CHECKING:
    from torch import Tensor

    from tinysae.model.sources import LoadedModel


@dataclass(frozen=True)
class TokenStats:
    """Figures of the tokens of one text, each given everything before it.

    Attributes:
        ids: the tokens, [n].
        log_prob: natural logarithm of the probability of each, [n].
        prob: the probability, [n].
        rank: how many tokens were likelier, [n]; 0 is the model's first choice.
        entropy: of the whole distribution, in nats, [n].
        top_ids: the likeliest tokens instead, likeliest first, [n, top].
        top_log_probs: theirs, [n, top].
    """

    ids: NDArray[np.int64]
    log_prob: NDArray[np.float32]
    prob: NDArray[np.float32]
    rank: NDArray[np.int64]
    entropy: NDArray[np.float32]
    top_ids: NDArray[np.int64]
    top_log_probs: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def surprise(self) -> NDArray[np.float32]:
        """Minus the base-2 logarithm of each token's probability, in bits, [n]."""
        return -self.log_prob / np.float32(math.log(2))

    @property
    def mean_loss(self) -> float:
        """The cross-entropy of the text, in nats a token."""
        return float(-self.log_prob.mean(dtype=np.float64))

    @property
    def perplexity(self) -> float:
        """e to the mean loss."""
        return math.exp(min(self.mean_loss, 700.0))


def log_probs(model: "LoadedModel", tokens: "Tensor") -> "Tensor":
    """Log-probs [batch, pos, d_vocab] of what follows each of `tokens` [batch, pos]."""
    return logits(model, tokens).float().log_softmax(-1)


def next_logits(model: "LoadedModel", ids: Sequence[int]) -> "Tensor":
    """Logits [d_vocab] of the token after BOS and `ids`.

    Raises:
        InputError: `ids` do not fit the context.
    """
    return logits(model, model.to_input(ids))[0, -1].float()


def next_log_probs(model: "LoadedModel", ids: Sequence[int]) -> "Tensor":
    """Log-probs [d_vocab] of the token after BOS and `ids`.

    Raises:
        InputError: `ids` do not fit the context.
    """
    return log_probs(model, model.to_input(ids))[0, -1]


def token_stats(model: "LoadedModel", ids: Sequence[int], top: int = 10) -> TokenStats:
    """`TokenStats` of `ids`, read after BOS.

    Raises:
        InputError: `ids` do not fit the context.
    """
    import torch

    tokens = model.to_input(ids)
    # A handful of passes over every log-prob.
    with cores_for(10 * tokens.numel() * model.d_vocab):
        # Position i (BOS is 0) predicts token i: [n, d_vocab].
        predicted = log_probs(model, tokens)[0, :-1]
        actual = tokens[0, 1:]
        chosen = predicted.gather(1, actual[:, None])
        # Among equals the smaller id comes first, so that ranks are a true order.
        every = torch.arange(predicted.shape[1], device=actual.device)
        tied = (predicted == chosen) & (every < actual[:, None])
        rank = ((predicted > chosen) | tied).sum(-1)
        best = predicted.topk(min(top, predicted.shape[1]), dim=-1)
        entropy = torch.special.entr(predicted.exp()).sum(-1)
    return TokenStats(
        ids=actual.cpu().numpy(),
        log_prob=chosen[:, 0].cpu().numpy(),
        prob=chosen[:, 0].exp().cpu().numpy(),
        rank=rank.cpu().numpy(),
        entropy=entropy.cpu().numpy(),
        top_ids=best.indices.cpu().numpy(),
        top_log_probs=best.values.cpu().numpy(),
    )
