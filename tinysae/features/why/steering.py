"""Steering: what does the model write when a feature is turned up or down?

While the model reads and writes, at the SAE's hook and at every token but BOS,

    add:    x' = x + s m_f d_f
    clamp:  x' = x + (s m_f - a_f) d_f

with m_f the feature's own maximum activation and s the strength: at 1 the feature is
as strong as it ever was by itself. (Templeton et al. 2024, "Scaling monosemanticity",
clamp features to multiples of their maximum.) What the SAE does not explain stays.

How far a steered text has left what the model usually writes is what the model itself,
unsteered, thinks of it: its loss on the text, beside its loss on its own.
"""

import math
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, NamedTuple

from tinysae.errors import InputError
from tinysae.features.fit import check_same_model
from tinysae.features.why.intervene import (
    Intervention,
    before_and_after,
    direction,
)
from tinysae.model.circuit import Change, changing
from tinysae.model.text.generate import Around, GenerateSettings, Writing
from tinysae.model.text.prompt import Prompt

if TYPE_CHECKING:
    from torch import Tensor

    from tinysae.model.sources import LoadedModel
    from tinysae.sae.load import SAE

Mode = Literal["add", "clamp"]
MODES: tuple[Mode, ...] = ("add", "clamp")
STRENGTHS = (-2.0, -1.0, 0.0, 1.0, 2.0)
MAX_STRENGTH = 10.0
MAX_FEATURES = 8
# Side by side.
MAX_TEXTS = 10

# A text the model itself would have lost less than this much on is its usual text, and
# a ratio to less than it says nothing, in nats a token.
LEAST_LOSS = 0.1
# Losses, as multiples of the usual one, from which a text is strained and gibberish.
STRAINED, GIBBERISH = 1.5, 3.0

# Of a text's runs of three tokens, how many must be new: a loop is easily foretold, so
# that its loss says nothing.
LEAST_NEW = 0.5

Verdict = Literal["unchanged", "usual", "strained", "gibberish"]


@dataclass(frozen=True)
class Steer:
    """A feature turned to `strength` times its maximum activation `max_act`.

    Raises:
        InputError: a strength that is no number within `MAX_STRENGTH`; a feature that
            never fired, so that it has no maximum.
    """

    feature: int
    strength: float
    max_act: float
    mode: Mode = "add"

    def __post_init__(self) -> None:
        if not (math.isfinite(self.strength) and abs(self.strength) <= MAX_STRENGTH):
            raise InputError(
                "why_strength", value=str(self.strength)[:40], limit=f"{MAX_STRENGTH:g}"
            )
        if not (math.isfinite(self.max_act) and self.max_act > 0):
            raise InputError("why_never_fires", feature=self.feature)
        if self.mode not in MODES:
            raise InputError(
                "setting_choice", field="mode", value=str(self.mode)[:60],
                choices=", ".join(MODES),
            )  # fmt: skip


class Sample(NamedTuple):
    """A text written under steering.

    strength: what all strengths were multiplied with; 0 is the model as it is.
    loss: of the unsteered model on what was written, nats a token; None for nothing.
    ratio: that, as a multiple of its loss on what it writes unsteered.
    is_unchanged: the text is the unsteered one to the token.
    """

    strength: float
    ids: tuple[int, ...]
    text: str
    loss: float | None
    ratio: float | None
    is_unchanged: bool = False

    @property
    def verdict(self) -> Verdict | None:
        if self.ratio is None:
            return None
        if not self.strength:
            return "usual"
        if self.is_unchanged:
            return "unchanged"
        if is_loop(self.ids):
            return "gibberish"
        if self.ratio <= STRAINED:
            return "usual"
        return "strained" if self.ratio <= GIBBERISH else "gibberish"


def scaled(steers: Sequence[Steer], factor: float) -> tuple[Steer, ...]:
    """The same features, `factor` times as strong.

    Raises:
        InputError: stronger than `MAX_STRENGTH`.
    """
    return tuple(replace(each, strength=each.strength * factor) for each in steers)


def steering(model: "LoadedModel", sae: "SAE", steers: Sequence[Steer]) -> Around:
    """What to put around the forwards of a text that is steered; for `Writing` and
    `generate_stream`.

    Raises:
        InputError: an SAE of another model, no such feature, too many of them.
    """
    check_same_model(sae, model)
    if len(steers) > MAX_FEATURES:
        raise InputError("why_too_many", limit=MAX_FEATURES)
    change = _change(sae, steers)

    if change is None:
        return lambda _: nullcontext()

    def but_bos(x: "Tensor") -> "Tensor":
        moved = x.clone()
        moved[:, 1:] = change(x[:, 1:])
        return moved

    return lambda n_before: changing(
        model, sae.hook_name, change if n_before else but_bos
    )


def _change(sae: "SAE", steers: Sequence[Steer]) -> Change | None:
    """What the steers together do to activations [batch, pos, d_in]; None: nothing."""
    import torch

    added = torch.zeros(sae.d_in)
    clamped: list[tuple[int, float, Tensor]] = []
    for each in steers:
        row = direction(sae, each.feature)
        if each.mode == "clamp":
            clamped.append((each.feature, each.strength * each.max_act, row))
        elif each.strength:
            added += each.strength * each.max_act * row
    if not clamped:
        return (lambda x: x + added.to(x)) if added.any() else None

    few, columns = sae.only([feature for feature, *_ in clamped])

    def change(x: "Tensor") -> "Tensor":
        acts = few.encode(x.float().cpu())
        step = added.expand(acts.shape[:-1] + added.shape)
        for column, (_, value, row) in zip(columns, clamped, strict=True):
            step = step + (value - acts[..., column, None]) * row
        return x + step.to(x)

    return change


def steered(
    model: "LoadedModel", ids: Sequence[int], sae: "SAE", steers: Sequence[Steer]
) -> Intervention:
    """Log-probs of what follows BOS and every token of `ids`, unsteered and steered.

    Raises:
        InputError: as `steering`, or a text beyond the context.
    """
    around = steering(model, sae, steers)
    return before_and_after(model, model.to_input(ids), around(0))


def loss_on(
    model: "LoadedModel", prompt_ids: Sequence[int], ids: Sequence[int]
) -> float | None:
    """The unsteered model's loss on `ids` after the prompt, nats a token; None for an
    empty text."""
    from tinysae.model.text.logprobs import log_probs

    if not ids:
        return None
    tokens = model.to_input([*prompt_ids, *ids])
    predicted = log_probs(model, tokens)[0, -1 - len(ids) : -1]
    chosen = predicted.gather(1, tokens[0, -len(ids) :, None])
    return -float(chosen.double().mean())


def is_loop(ids: Sequence[int]) -> bool:
    """Whether a text mostly repeats itself: fewer than `LEAST_NEW` of its runs of three
    tokens are different ones."""
    runs = list(zip(ids, ids[1:], ids[2:], strict=False))
    return len(set(runs)) < LEAST_NEW * len(runs)


def loss_ratio(loss: float, usual: float) -> float:
    """A text's loss as a multiple of the usual one, both in nats a token."""
    return max(loss, LEAST_LOSS) / max(usual, LEAST_LOSS)


class SteeredStrip:
    """The same prompt and seed at several strengths, a token at a time.

    A page is interrupted by every click: it holds on to this object and calls `step`
    again, as it does with a `Writing`.

    Attributes:
        strengths: what every steer's strength is multiplied with, in order.
        writings: a text each.
    """

    def __init__(
        self,
        model: "LoadedModel",
        prompt: Prompt,
        settings: GenerateSettings,
        sae: "SAE",
        steers: Sequence[Steer],
        strengths: Sequence[float] = STRENGTHS,
    ) -> None:
        self._model = model
        self.prompt = prompt
        self.strengths = tuple(strengths)
        # Nothing is clamped at 0: that text is the model's own.
        self.writings = [
            Writing(
                model,
                prompt,
                settings,
                steering(model, sae, scaled(steers, strength)) if strength else None,
            )
            for strength in self.strengths
        ]

    @property
    def is_done(self) -> bool:
        return all(writing.reason is not None for writing in self.writings)

    @property
    def share(self) -> float:
        """How much of all that may be written is there, 0 to 1."""
        shares = [
            1.0
            if writing.reason is not None
            else len(writing.ids) / writing.settings.max_new_tokens
            for writing in self.writings
        ]
        return sum(shares) / len(shares)

    def step(self) -> bool:
        """One more token of every text; False when there is none."""
        # All of them, also after the first that goes on.
        went_on = [writing.step() for writing in self.writings]
        return any(went_on)

    def stop(self) -> None:
        """End here; what is written stays."""
        for writing in self.writings:
            writing.stop()

    def samples(self, usual: float | None = None) -> list[Sample]:
        """Every text with the gauge.

        Args:
            usual: the model's loss on what it writes by itself, nats a token, of many
                texts. A text is held against that or against the one at strength 0,
                whose dice it shares: against the larger, as either may be lucky.
        """
        given = self.prompt.ids
        losses = [loss_on(self._model, given, w.ids) for w in self.writings]
        at_zero = self.strengths.index(0) if 0 in self.strengths else None
        own = None if at_zero is None else self.writings[at_zero].ids
        known = (usual, None if at_zero is None else losses[at_zero])
        usual = max((loss for loss in known if loss is not None), default=None)
        return [
            Sample(
                strength,
                tuple(writing.ids),
                writing.text,
                loss,
                None if loss is None or usual is None else loss_ratio(loss, usual),
                is_unchanged=writing.ids == own,
            )
            for strength, writing, loss in zip(
                self.strengths, self.writings, losses, strict=True
            )
        ]
