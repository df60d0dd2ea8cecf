"""How likely a token is, and what a change makes of it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from tinysae.features.why.intervene import AnyChange
    from tinysae.model.sources import LoadedModel
    from tinysae.sae.load import SAE


def probability(
    model: "LoadedModel",
    ids: Sequence[int],
    token: int,
    changes: "Sequence[AnyChange]",
    sae: "SAE | None" = None,
) -> tuple[float, float]:
    """The token's probability after the text, before the changes and after."""
    from tinysae.features.why.intervene import intervene

    effect = intervene(model, ids, changes, sae=sae)
    return float(effect.before[-1, token].exp()), float(effect.after[-1, token].exp())


def next_probs_moved(
    model: "LoadedModel", sae: "SAE", ids: Sequence[int], step: "Tensor"
) -> "Tensor":
    """Next-token probabilities [d_vocab] with `step` [d_in] added at the last token."""
    from tinysae.model.circuit import changing
    from tinysae.model.forward import running

    tokens = model.to_input(ids)

    def change(x: "Tensor") -> "Tensor":
        moved = x.clone()
        moved[:, -1] += step.to(x)
        return moved

    with running(model, tokens.numel()), changing(model, sae.hook_name, change):
        logits = model.plain(tokens, use_cache=False).logits[0, -1]
        return logits.float().softmax(-1).cpu()


def share(after: float, before: float) -> float:
    """What part of a probability is left."""
    return after / max(before, 1e-9)


def apart(one: float, other: float) -> str:
    """How far two probabilities are from each other, in percentage points: "12.3";
    "<0.1" where that would round to nothing."""
    between = 100 * abs(one - other)
    return "<0.1" if 0 < between < 0.05 else f"{between:.1f}"


def points(difference: float) -> str:
    """A difference of probabilities, in percentage points."""
    # Adding zero turns the minus zero of a small negative number into plain zero.
    rounded = round(100 * difference, 1) + 0.0
    return f"{rounded:+.1f}".replace("-", "\N{MINUS SIGN}")
