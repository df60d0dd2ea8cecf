"""What a training says of itself while it goes on, a row at a time."""

from typing import TYPE_CHECKING, Any, Final, NotRequired, TypedDict

from tinysae.setting import JUMPRELU

if TYPE_CHECKING:
    from tinysae.sae.step.result import StepResult

ACTIVATION_SCALE: Final = "activation_scale"
"""In a run's records: activations times this are the normalised units of its rows."""
TEXT: Final = "text"
"""There: how much of its text came again (`data.repeated.TextFacts`)."""


class StepMetrics(TypedDict):
    """What is logged of a training step.

    mse: sum over d_in of the squared error, mean over tokens, in normalised units.
    l1: standard and gated: the sparsity term with its coefficient; the others, which
        have none: the sum of a token's activations times their decoders' norms, mean
        over tokens.
    l0: mean count of active features a token.
    explained_variance: 1 - E||x - x_hat||^2 / Var(x), on the batch.
    n_dead: features that have not fired for `dead_feature_window` steps.
    coefficient: of the sparsity term, warm-up included; standard, gated and jumprelu.
    threshold: jumprelu's, mean over features, in normalised units.
    seconds: of training so far, interruptions not counted.
    step_seconds: of a step alone, without the making of its batch; the median since
        the row before.
    """

    step: int
    n_tokens: int
    mse: float
    l1: float
    loss: float
    l0: float
    explained_variance: float
    n_dead: int
    lr: float
    coefficient: NotRequired[float]
    threshold: NotRequired[float]
    seconds: NotRequired[float]
    step_seconds: NotRequired[float]


def row_of(trainer: Any, result: "StepResult", step: int, lr: float) -> StepMetrics:
    """The row of a step that SAELens's `trainer` has just taken."""
    losses = result.losses
    row: StepMetrics = {
        "step": step,
        "n_tokens": trainer.n_training_samples,
        "mse": losses["mse_loss"],
        # Architectures without that penalty show what it would penalise.
        "l1": losses["l1_loss"] if "l1_loss" in losses else result.l1(),
        "loss": result.loss,
        "l0": result.l0(),
        "explained_variance": result.explained_variance(),
        "n_dead": int(trainer.dead_neurons.sum()),
        "lr": lr,
    }
    # Not for the architectures that penalise nothing.
    for scheduler in trainer.coefficient_schedulers.values():
        row["coefficient"] = scheduler.value
    if trainer.sae.cfg.architecture() in JUMPRELU:
        row["threshold"] = trainer.sae.threshold.detach().mean().item()
    return row


class EvalMetrics(TypedDict):
    """A look at held-out text while training goes on (`tinysae.sae.evaluate`).

    density: how many features fire how often, as counts: first those that fired on no
        token of the window, then for log10 of the rate in `DENSITY_EDGES`' bins.
    """

    step: int
    n_tokens: int
    ce_loss_score: float
    explained_variance: float
    l0: float
    density: list[int]


# log10 of the share of tokens on which a feature fires, in quarters of a decade.
DENSITY_EDGES = [-6 + quarter / 4 for quarter in range(25)]
