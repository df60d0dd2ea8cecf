"""How good an SAE is, on text that nobody trained on.

The formulas are those of `sae_lens.evals.run_evals`, special tokens excluded as there:

    ce_loss_score      = (CE_zero - CE_sae) / (CE_zero - CE_clean)
    kl_div_score       = (KL_zero - KL_sae) / KL_zero
    explained_variance = 1 - E||x - x_hat||^2 / Var(x)
    l0                 = mean number of non-zero features a token
    mse                = E||x - x_hat||^2, summed over d_in

CE_clean is the model's own cross-entropy, CE_sae with x_hat in place of x at the hook,
CE_zero with zeros there. x stays in place at special tokens, as in SAELens. KL_sae and
KL_zero are KL(clean || changed) of the next token's distributions, mean over tokens (a
context's last included, which has no cross-entropy).

A feature that fires on no token is dead, one that fires on more than `DENSE_ABOVE` of
them is dense: it says little about any one of them.

    relative_reconstruction_bias = E||x_hat||^2 / E[x_hat . x]

as in `sae_lens.evals` (equation 10 of Rajamanoharan et al. 2024, arXiv:2404.16014):
below 1 where x_hat is shorter than what it stands for. Of all tokens together, where
SAELens takes the mean of its batches'.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from tinysae.errors import TinysaeError
from tinysae.sae.totals import Sums, exact

if TYPE_CHECKING:
    from torch import Tensor

    from tinysae.model.from_hook import FromHook
    from tinysae.model.sources import LoadedModel

DENSE_ABOVE = 0.1
# Logits of one kind computed at once, 64 MB; and softmaxes, which then stay in a cache.
LOGITS_AT_ONCE = 1 << 24
SOFTMAXES_AT_ONCE = 1 << 18


class Autoencoder(Protocol):
    """What can be evaluated: an SAE from a file, or one in training."""

    @property
    def d_in(self) -> int: ...
    @property
    def d_sae(self) -> int: ...
    @property
    def hook_name(self) -> str: ...
    def encode(self, x: "Tensor", /) -> "Tensor": ...
    def decode(self, acts: "Tensor", /) -> "Tensor": ...


@dataclass(frozen=True)
class Evaluation:
    """Held-out figures; `n_dead` features fired on none of `n_tokens` tokens.

    ce_error is the standard error of CE_sae - CE_clean, taken token by token. Norms are
    of raw activations [d_in]: the mean and the largest of tokens that count, and the
    mean at special tokens, which do not (0 where there is none).
    """

    ce_loss_score: float
    ce_loss_clean: float
    ce_loss_sae: float
    ce_loss_zero: float
    kl_div_score: float
    kl_div_sae: float
    kl_div_zero: float
    explained_variance: float
    mse: float
    l0: float
    n_dead: int
    n_dense: int
    d_sae: int
    n_tokens: int
    ce_error: float
    relative_reconstruction_bias: float
    d_in: int
    d_vocab: int
    mean_norm: float
    max_norm: float
    special_norm: float
    n_special: int

    @property
    def dead_share(self) -> float:
        return self.n_dead / self.d_sae

    @property
    def dense_share(self) -> float:
        return self.n_dense / self.d_sae

    def to_json(self) -> dict[str, Any]:
        shares = {"dead_share": self.dead_share, "dense_share": self.dense_share}
        return {**asdict(self), **shares, "dense_above": DENSE_ABOVE}


def evaluate(
    sae: Autoencoder,
    model: "LoadedModel",
    batches: Iterable[NDArray[np.int32]],
    *,
    n_ce_batches: int,
    progress: Callable[[int], object] | None = None,
) -> Evaluation:
    """Evaluates `sae` on `batches` of token ids, each [batch, pos], on the model's
    device, where the SAE has to be too.

    Cross-entropies and divergences, which need three whole forwards, are taken on the
    first `n_ce_batches` batches; everything else on all of them. `progress` hears how
    many tokens each batch had; what it raises ends the evaluation. Memory is bounded by
    a batch's feature activations and by one context's logits or `LOGITS_AT_ONCE`.

    Raises:
        TinysaeError: the hook's activations are all the same, or change nothing.
        ValueError: when there is no batch.
    """
    import torch

    from tinysae.model.forward import activations

    sums, effects = Sums(sae.d_in, sae.d_sae), _EffectSums()
    with torch.inference_mode():
        for index, batch in enumerate(batches):
            tokens = torch.from_numpy(batch).long().to(model.plain.device)
            if index < n_ce_batches:
                x, parts = with_parts(model, tokens, sae.hook_name)
            else:
                x, parts = activations(model, tokens, sae.hook_name), ()
            acts = sae.encode(x)
            x_hat = sae.decode(acts)
            kept = tokens != model.bos_id
            sums.add(x[kept], x_hat[kept], acts[kept])
            sums.add_special(x[~kept])
            for part in parts:
                rows = part.rows
                effects.add(_effects(model, tokens[rows], part, x[rows], x_hat[rows]))
            if progress is not None:
                progress(tokens.numel())
    return _evaluation(sums, effects, sae.hook_name, model.d_vocab)


def cross_entropies(
    model: "LoadedModel",
    tokens: "Tensor",
    part: "Part",
    replacement: "Tensor | None",
) -> "Tensor":
    """[n], of each *source* token of the part of `tokens` [batch, pos] that counts and
    has a next.

    `replacement` [batch, pos, d] stands in for what is at the hook, of all the batch.
    """
    import torch
    from torch.nn.functional import cross_entropy

    mine = tokens[part.rows]
    changed = None if replacement is None else replacement[part.rows]
    logits = part.from_hook.logits(changed)
    # All of them, those that do not count too: cheaper than to copy the others.
    following = torch.cat([mine[:, 1:], mine[:, -1:]], 1)
    losses = cross_entropy(
        logits.flatten(0, 1), following.flatten(), reduction="none"
    ).view_as(mine)
    return losses[:, :-1][(mine != model.bos_id)[:, :-1]]


def patched(x: "Tensor", x_hat: "Tensor", kept: "Tensor") -> "Tensor":
    """`x_hat` [batch, pos, d], and `x` where tokens do not count ([batch, pos])."""
    import torch

    return torch.where(kept[..., None], x_hat, x)


def ce_loss_score(clean: float, with_sae: float, zero: float) -> float:
    """The share of what zeros at the hook cost that the SAE saves."""
    return (zero - with_sae) / (zero - clean)


class Part(NamedTuple):
    """Contexts of a batch whose logits may be held at once, run as far as the hook."""

    rows: slice
    from_hook: "FromHook"


def with_parts(
    model: "LoadedModel", tokens: "Tensor", hook_name: str
) -> "tuple[Tensor, Iterable[Part]]":
    """What is at the hook [batch, pos, d] for a batch of `tokens` [batch, pos], and the
    batch in parts, made one by one."""
    from tinysae.model.forward import activations
    from tinysae.model.from_hook import FromHook

    n, n_at_once = len(tokens), LOGITS_AT_ONCE // (tokens.shape[1] * model.d_vocab)
    rows = max(1, n_at_once)
    if rows >= n:
        whole = FromHook(model, tokens, hook_name)
        return whole.x, [Part(slice(0, n), whole)]
    slices = (slice(first, first + rows) for first in range(0, n, rows))
    return activations(model, tokens, hook_name), (
        Part(part, FromHook(model, tokens[part], hook_name)) for part in slices
    )


class _Effects(NamedTuple):
    """What changes at the hook do to each token that counts, [n] each."""

    ce_clean: "Tensor"
    ce_sae: "Tensor"
    ce_zero: "Tensor"
    kl_sae: "Tensor"
    kl_zero: "Tensor"


def _effects(
    model: "LoadedModel", tokens: "Tensor", part: Part, x: "Tensor", x_hat: "Tensor"
) -> _Effects:
    """Cross-entropies and divergences, where the *source* token counts; the others are
    the part's."""
    import torch

    kept = tokens != model.bos_id

    def logits(replacement: "Tensor | None") -> "Tensor":
        return part.from_hook.logits(replacement)[kept]

    # The next token of each that counts; its last stands in where there is none.
    next_tokens = torch.cat([tokens[:, 1:], tokens[:, -1:]], 1)[kept, None]
    has_next = torch.ones_like(kept)
    has_next[:, -1] = False
    kinds = (logits(None), logits(patched(x, x_hat, kept)), logits(torch.zeros_like(x)))
    # A GPU has no such cache, and waits for whoever asks for little at a time.
    is_cpu = x.device.type == "cpu"
    rows = max(1, (SOFTMAXES_AT_ONCE if is_cpu else LOGITS_AT_ONCE) // model.d_vocab)
    parts: list[Tensor] = []
    for chosen, *some in zip(
        next_tokens.split(rows), *(kind.split(rows) for kind in kinds), strict=True
    ):
        log_probs = [one.log_softmax(-1) for one in some]
        clean, *changed = log_probs
        probs = clean.exp()
        losses = [-one.gather(-1, chosen)[:, 0] for one in log_probs]
        # KL(clean || changed) = sum over the vocabulary of p (log p - log p_changed)
        divergences = [(probs * (clean - one)).sum(-1) for one in changed]
        parts.append(torch.stack([*losses, *divergences]))
    ce_clean, ce_sae, ce_zero, kl_sae, kl_zero = torch.cat(parts, 1)
    with_next = has_next[kept]
    return _Effects(
        ce_clean[with_next], ce_sae[with_next], ce_zero[with_next], kl_sae, kl_zero
    )


class _EffectSums:
    """Sums of `_Effects`, in float64."""

    def __init__(self) -> None:
        self.parts: list[list[float]] = []
        self.n_ce = self.n_kl = 0
        self.difference_squared = 0.0

    def add(self, effects: _Effects) -> None:
        self.parts.append([exact(part).sum().item() for part in effects])
        self.n_ce += len(effects.ce_clean)
        self.n_kl += len(effects.kl_sae)
        difference = exact(effects.ce_sae) - exact(effects.ce_clean)
        self.difference_squared += difference.pow(2).sum().item()

    def means(self) -> list[float]:
        counts = (self.n_ce, self.n_ce, self.n_ce, self.n_kl, self.n_kl)
        columns = zip(*self.parts, strict=True)
        return [sum(c) / n for c, n in zip(columns, counts, strict=True)]

    def ce_error(self) -> float:
        """Of the mean of CE_sae - CE_clean over tokens, as if these were independent:
        the least that it can be."""
        clean, with_sae, *_ = self.means()
        variance = self.difference_squared / self.n_ce - (with_sae - clean) ** 2
        return math.sqrt(max(0.0, variance) / self.n_ce)


def _evaluation(
    sums: Sums, effects: _EffectSums, hook_name: str, d_vocab: int
) -> Evaluation:
    if not sums.n or not effects.n_ce:
        raise ValueError("nothing to evaluate on")
    clean, with_sae, zero, kl_sae, kl_zero = effects.means()
    if not (sums.variance > 0 and kl_zero > 0 and zero != clean):
        raise TinysaeError("activations_not_finite", hook=hook_name[:200])
    return Evaluation(
        ce_loss_score=ce_loss_score(clean, with_sae, zero),
        ce_loss_clean=clean,
        ce_loss_sae=with_sae,
        ce_loss_zero=zero,
        kl_div_score=(kl_zero - kl_sae) / kl_zero,
        kl_div_sae=kl_sae,
        kl_div_zero=kl_zero,
        explained_variance=sums.explained_variance,
        mse=sums.error / sums.n,
        l0=sums.l0,
        n_dead=int((sums.fired == 0).sum()),
        n_dense=int((sums.fired > DENSE_ABOVE * sums.n).sum()),
        d_sae=len(sums.fired),
        n_tokens=sums.n,
        ce_error=effects.ce_error(),
        relative_reconstruction_bias=sums.bias,
        d_in=len(sums.x),
        d_vocab=d_vocab,
        mean_norm=sums.norm / sums.n,
        max_norm=sums.max_norm,
        special_norm=sums.special_norm / max(1, sums.n_special),
        n_special=sums.n_special,
    )
