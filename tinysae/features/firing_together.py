"""Whether features of two SAEs fire on the same tokens of a text."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from tinysae.features.fit import check_fit

if TYPE_CHECKING:
    from tinysae.model.sources import LoadedModel
    from tinysae.sae.load import SAE

# Activations at once, of the wider SAE: 64 MB.
AT_ONCE: Final = 1 << 24
TOGETHER: Final = 0.5
"""Phi from which two features are said to fire together: of two that fire equally
often, half of the tokens of each are the other's too."""


@dataclass(frozen=True, eq=False)
class FiringTogether:
    """Of pairs of features, one SAE's and another's; arrays are `[pairs]`.

    n_one, n_other: tokens on which the one and the other fires. n_both: on which both
    do. n_tokens: that were read, without BOS.
    """

    n_one: NDArray[np.int64]
    n_other: NDArray[np.int64]
    n_both: NDArray[np.int64]
    n_tokens: int

    def phi(self) -> NDArray[np.float64]:
        """Pearson's correlation of "fires" and "fires" over the tokens, -1 to 1; NaN
        where one of the two fires on no token, or on all."""
        n = float(self.n_tokens)
        one, other, both = (
            each.astype(np.float64) for each in (self.n_one, self.n_other, self.n_both)
        )
        spread = one * (n - one) * other * (n - other)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(
                spread > 0, (n * both - one * other) / np.sqrt(spread), np.nan
            )


def firing_together(
    saes: "tuple[SAE, SAE]",
    model: "LoadedModel",
    chunks: Sequence[NDArray[np.int32]],
    pairs: NDArray[np.int64],
    progress: Callable[[float], object] | None = None,
) -> FiringTogether:
    """Counts for `pairs` how often they fire, alone and together.

    Args:
        saes: both read `model`, perhaps at different hooks.
        model: is run under its lock.
        chunks: contexts of token ids, `[context_size]` each.
        pairs: `[n, 2]`: a feature of the first, one of the second.
        progress: hears the share that is done.

    Raises:
        InputError: an SAE does not fit the model.
    """
    for sae in saes:
        check_fit(sae, model)
    counts = [np.zeros(len(pairs), np.int64) for _ in range(3)]
    n_tokens = 0
    widest = max(sae.d_sae for sae in saes)
    size = max(1, AT_ONCE // (widest * len(chunks[0]))) if chunks else 1
    for begin in range(0, len(chunks), size):
        tokens = np.stack(chunks[begin : begin + size])
        one, other = (_fires(sae, model, tokens) for sae in saes)
        first, second = one[:, pairs[:, 0]], other[:, pairs[:, 1]]
        for count, fires in zip(counts, (first, second, first & second), strict=True):
            count += fires.sum(0)
        n_tokens += len(one)
        if progress is not None:
            progress(min(1.0, (begin + size) / len(chunks)))
    one_fires, other_fires, both_fire = counts
    return FiringTogether(one_fires, other_fires, both_fire, n_tokens)


def _fires(
    sae: "SAE", model: "LoadedModel", tokens: NDArray[np.int32]
) -> NDArray[np.bool_]:
    """[tokens without BOS, d_sae]: where each feature is active."""
    import torch

    from tinysae.model.forward import activations

    ids = torch.from_numpy(tokens).long()
    with torch.no_grad():
        x = activations(model, ids, sae.hook_name).float().cpu()
        return (sae.encode(x[ids != model.bos_id]) > 0).numpy()
