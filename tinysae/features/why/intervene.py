"""What if features or heads were off, or set to a value? The model's answer, measured.

At the SAE's hook only the chosen features' parts of the activation change,

    x' = x + (value - a_f) d_f

and everything else, what the SAE does not explain included, stays (Marks et al. 2024,
"Sparse feature circuits", keep the error term likewise). A head is scaled before the
output projection: 0 is zero ablation. BOS is left as it is unless it is asked for.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tinysae.errors import InputError
from tinysae.features.fit import check_same_model
from tinysae.features.why.attribution import Attribution, Part
from tinysae.features.why.rows import rows_from
from tinysae.model.circuit import (
    Change,
    changing,
    changing_heads,
    head_place,
    head_slice,
)
from tinysae.model.forward import running

if TYPE_CHECKING:
    from torch import Tensor

    from tinysae.model.sources import LoadedModel
    from tinysae.sae.load import SAE

MAX_CHANGES = 64
# Activations of features reach a few hundred; far beyond them float32 has no room left
# for what is changed.
MAX_VALUE = 1e5
# Features that are measured without being asked for, and the multiplications that may
# cost: a second or two.
N_LEADING, LEADING_COST = 16, 3e10


@dataclass(frozen=True)
class FeatureChange:
    """A feature set to `value` (0: off) at `positions` of the input, where BOS is 0;
    None: everywhere but at BOS.

    Raises:
        InputError: a value that is not a number within `MAX_VALUE`.
    """

    feature: int
    value: float = 0.0
    positions: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.value) and abs(self.value) <= MAX_VALUE):
            raise InputError("why_value", value=str(self.value)[:40], limit=MAX_VALUE)


@dataclass(frozen=True)
class HeadChange:
    """A head's output times `scale` (0: off) at `positions`, as `FeatureChange`."""

    layer: int
    head: int
    scale: float = 0.0
    positions: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.scale) and abs(self.scale) <= MAX_VALUE):
            raise InputError("why_value", value=str(self.scale)[:40], limit=MAX_VALUE)


AnyChange = FeatureChange | HeadChange


class Intervention(NamedTuple):
    """Log-probs [1 + n_tokens, d_vocab] of what follows BOS and every token of a text,
    as the model is and with the changes made."""

    before: "Tensor"
    after: "Tensor"


class Effect(NamedTuple):
    """A part switched off by itself: what attribution says it adds to the logit (or
    difference), and what the logit lost."""

    part: Part
    predicted: float
    measured: float


def direction(sae: "SAE", feature: int) -> "Tensor":
    """What one unit of the feature adds to the reconstruction, [d_in].

    Raises:
        InputError: there is no such feature.
    """
    if not 0 <= feature < sae.d_sae:
        raise InputError("features_unknown", feature=feature, last=sae.d_sae - 1)
    row = sae.W_dec[feature]
    return row / row.norm() if sae.rescale_acts_by_decoder_norm else row


def intervene(
    model: "LoadedModel",
    ids: Sequence[int],
    changes: Sequence[AnyChange],
    *,
    sae: "SAE | None" = None,
) -> Intervention:
    """Runs BOS and `ids` as the model is, and with `changes`.

    Raises:
        InputError: no such feature, head or position, features without an SAE, an SAE
            of another model, or a text beyond the context.
    """
    tokens = model.to_input(ids)
    _check(model, changes, sae, tokens.shape[1])
    return before_and_after(model, tokens, applied(model, changes, sae))


def before_and_after(
    model: "LoadedModel", tokens: "Tensor", changed: AbstractContextManager[object]
) -> Intervention:
    """Runs `tokens` [1, pos] as the model is, and once more inside `changed`."""
    import torch

    with running(model, 2 * tokens.numel()):
        before = model.plain(tokens, use_cache=False).logits[0]
        with changed:
            after = model.plain(tokens, use_cache=False).logits[0]
    with torch.inference_mode():
        return Intervention(*(x.float().log_softmax(-1).cpu() for x in (before, after)))


@contextmanager
def applied(
    model: "LoadedModel", changes: Sequence[AnyChange], sae: "SAE | None"
) -> Iterator[None]:
    """While inside, `changes` are made; hold the model's lock."""
    features = [c for c in changes if isinstance(c, FeatureChange)]
    heads = [c for c in changes if isinstance(c, HeadChange)]
    with ExitStack() as stack:
        for layer in sorted({change.layer for change in heads}):
            of_layer = [change for change in heads if change.layer == layer]
            change = _scaled(model, of_layer)
            stack.enter_context(changing_heads(model, layer, change))
        if features:
            assert sae is not None
            stack.enter_context(changing(model, sae.hook_name, _set(sae, features)))
        yield


def _set(sae: "SAE", changes: Sequence[FeatureChange]) -> Change:
    def change(x: "Tensor") -> "Tensor":
        acts = sae.encode(x.float().cpu())
        moved = x.clone()
        for each in changes:
            at = _places(each.positions)
            by = each.value - acts[:, at, each.feature]
            step = by[..., None] * direction(sae, each.feature)
            moved[:, at] += step.to(x)
        return moved

    return change


def _scaled(model: "LoadedModel", changes: Sequence[HeadChange]) -> Change:
    def change(heads: "Tensor") -> "Tensor":
        scaled = heads.clone()
        for each in changes:
            part = scaled[..., head_slice(model, each.head)]
            part[:, _places(each.positions)] *= each.scale
        return scaled

    return change


def _places(positions: tuple[int, ...] | None) -> "slice | list[int]":
    return slice(1, None) if positions is None else list(positions)


def _check(
    model: "LoadedModel",
    changes: Sequence[AnyChange],
    sae: "SAE | None",
    n_positions: int,
) -> None:
    if len(changes) > MAX_CHANGES:
        raise InputError("why_too_many", limit=MAX_CHANGES)
    if any(isinstance(change, FeatureChange) for change in changes):
        if sae is None:
            raise InputError("why_no_sae")
        check_same_model(sae, model)
    for change in changes:
        if isinstance(change, FeatureChange):
            assert sae is not None
            direction(sae, change.feature)
        else:
            head_place(model, change.layer)
            head_slice(model, change.head)
        for position in change.positions or ():
            if not 0 <= position < n_positions:
                raise InputError(
                    "why_no_position", position=position, last=n_positions - 1
                )


def measure(
    model: "LoadedModel", attribution: Attribution, parts: Sequence[Part], sae: "SAE"
) -> list[Effect]:
    """Switches features off one at a time, each at the token where it is a part.

    The text before the first of these tokens is run once; then what is left, a row a
    feature, all in one forward.

    Args:
        model: what was taken apart.
        attribution: of it.
        parts: features among its parts.
        sae: theirs.

    Raises:
        InputError: as `intervene`.
    """
    import torch

    at = [part for part in parts if part.number is not None]
    if not at:
        return []
    check_same_model(sae, model)
    model.check_ids([attribution.target])
    tokens = model.to_input(attribution.ids)
    steps = torch.stack(
        [(part.activation or 0.0) * direction(sae, part.number or 0) for part in at]
    )
    where = torch.tensor([part.position or 0 for part in at])
    first, n = int(where.min()), len(at) + 1

    def without(x: "Tensor") -> "Tensor":
        moved = x.clone()
        # The first row stays as it is.
        moved[torch.arange(1, n), where - first] -= steps.to(x)
        return moved

    with running(model, first + n * (tokens.shape[1] - first)):
        rows = rows_from(model, tokens, first, n)
        with changing(model, sae.hook_name, without):
            logits = rows.last_logits()
    values = logits[:, attribution.target]
    if attribution.other is not None:
        values = values - logits[:, attribution.other]
    lost = (values[0] - values[1:]).tolist()
    return [Effect(part, part.effect, by) for part, by in zip(at, lost, strict=True)]


def measure_leading(
    model: "LoadedModel", attribution: Attribution, sae: "SAE"
) -> list[Effect]:
    """`measure`, of the features with the largest predicted effects: of `N_LEADING`,
    or of as many as `LEADING_COST` pays for (none of a large model)."""
    cost = model.n_parameters * attribution.n_tokens
    n = min(N_LEADING, int(LEADING_COST / cost))
    leading = [part for part in attribution.features if part.kind == "feature"][:n]
    return measure(model, attribution, leading, sae)


def correlation(effects: Sequence[Effect]) -> float | None:
    """Pearson's, of predicted and measured; None for fewer than three effects, or
    effects that are all the same."""
    if len(effects) < 3:
        return None
    x = np.array([effect.predicted for effect in effects])
    y = np.array([effect.measured for effect in effects])
    if x.std() == 0 or y.std() == 0:
        return None
    return float(np.corrcoef(x, y)[0, 1])


def same_sign(effects: Sequence[Effect]) -> float:
    """Share of effects that are predicted with the right sign; 1 for none."""
    right = sum(effect.predicted * effect.measured >= 0 for effect in effects)
    return right / len(effects) if effects else 1.0
