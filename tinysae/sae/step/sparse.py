"""A training step of our own, with SAELens's numbers in a fraction of its time.

SAELens's step is six dense products of [tokens, d_sae, d_in]. Nearly all activations
are zero, so that all but one of them can be sums over *pairs*, the (token, feature)
where an activation is not: `sae.step.kernels`. Only the encoder's product, which
finds the pairs, stays dense. An architecture is a class in a module of its name; here
is what they share.

Everything happens in place on SAELens's own trainer, module and optimizer, which stay
the truth: checkpoints, evaluations and files know nothing of this.

Work is cut into pieces that depend on the shapes alone, and no two threads ever add to
one number: same settings, seed and machine give the same bits, with any number of
threads. (SAELens's own step does depend on their number.)

Notation, for a batch of n tokens: x the scaled activations, z = x - b_dec (or x) what
the encoder reads, p = z W_enc + b_enc the pre-activations, a the activations, r the
residual x_hat - x with x_hat = a W_dec + b_dec, e = 2 r / n its gradient, |W_j| the
norm of decoder row j. SAELens's `saes/*_sae.py` has the losses; its autograd gives the
same gradients.
"""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tinysae.model.blas import PRODUCTS, one_thread
from tinysae.sae.step.arrays import adopt, descend
from tinysae.sae.step.compress import Compressor
from tinysae.sae.step.kernels import sums
from tinysae.sae.step.pairs import Floats, Pairs
from tinysae.sae.step.result import StepResult
from tinysae.sae.step.workers import LEAST_SUM, Workers, blocks, features_a_task

if TYPE_CHECKING:
    from torch import Tensor


class Forward(NamedTuple):
    """What a forward pass leaves for the result, the statistics and the gradients.

    Attributes:
        losses: by name, coefficients included.
        fired: [d_sae], for how many tokens each feature is active.
        l1: the sum of activations times decoder norms, over the whole batch.
        squared_error: [tokens], as in `StepResult`.
        rest: whatever the architecture's `_backward` needs.
    """

    losses: dict[str, float]
    fired: NDArray[np.int64]
    l1: float
    squared_error: Floats
    rest: tuple[Any, ...]


class SparseStep:
    """What all architectures share; each fills in `_forward` and `_backward`.

    During a step: `_x` is the scaled batch [tokens, d_in], `_inputs` what the encoder
    reads (without b_dec if so set), `_w` the parameters and `_g` their gradients by
    name. Both have W_enc as [d_sae, d_in], a feature a row.
    """

    def __init__(self, trainer: Any, product: str) -> None:
        self._trainer, self._sae, self._cfg = trainer, trainer.sae, trainer.sae.cfg
        self._product = PRODUCTS[product]
        self._d_in, self._d_sae = self._cfg.d_in, self._cfg.d_sae
        self._w = adopt(trainer)
        self._g = {name: np.zeros_like(weight) for name, weight in self._w.items()}
        self._compressor, self._workers = Compressor(), Workers()

    def step(self, batch: "Tensor") -> StepResult:
        """One step on raw activations [tokens, d_in], as `SAETrainer.step` takes it.

        When the loss is no number, the weights stay as they are (and numpy need not
        say so too).
        """
        import torch

        with torch.no_grad(), one_thread(), np.errstate(all="ignore"):
            return self._step(batch)

    def _step(self, batch: "Tensor") -> StepResult:
        import torch

        self._w = adopt(self._trainer)
        sae_in = self._read(batch)
        forward = self._forward()
        self._sae.train()
        self._trainer.n_training_samples += batch.shape[0]
        self._count(forward.fired)
        losses = forward.losses
        if not math.isfinite(forward.l1):
            # A decoder row that is no number, though perhaps no token needs it now.
            losses = {**losses, "mse_loss": math.nan}
        loss = sum(losses.values())
        if math.isfinite(loss):
            self._backward(forward)
            descend(self._trainer, self._w, self._g, self._workers)
        self._schedule()
        n = len(self._x)
        l0, l1 = forward.fired.sum() / n, forward.l1 / n
        squared_error = torch.from_numpy(forward.squared_error)
        return StepResult(
            loss, losses, sae_in, lambda: float(l0), lambda: l1, lambda: squared_error
        )

    def _forward(self) -> Forward:
        raise NotImplementedError

    def _backward(self, forward: Forward) -> None:
        """Fills every gradient in `_g`."""
        raise NotImplementedError

    # -- SAELens's trainer -----------------------------------------------------------

    def _read(self, batch: "Tensor") -> "Tensor":
        """Sets `_x` and `_inputs`; returns the former as a tensor."""
        sae_in = self._trainer.activation_scaler(batch.detach().cpu().float())
        sae_in = sae_in.contiguous()
        self._x = self._inputs = sae_in.numpy()
        if self._cfg.apply_b_dec_to_input:
            self._inputs = self._x - self._w["b_dec"]
        return sae_in

    def _coefficient(self, name: str) -> float:
        """Where the schedule of "l1" or "l0" is now."""
        return self._trainer.get_coefficients()[name]

    def _count(self, fired: NDArray[np.int64]) -> None:
        """`SAETrainer`'s statistics of firing."""
        import torch

        trainer, counts = self._trainer, torch.from_numpy(fired)
        trainer.n_forward_passes_since_fired += 1
        trainer.n_forward_passes_since_fired[counts > 0] = 0
        trainer.act_freq_scores += counts
        trainer.n_frac_active_samples += trainer.cfg.train_batch_size_samples

    def _schedule(self) -> None:
        trainer = self._trainer
        # What the scheduler asks before it warns that no step was taken.
        trainer.optimizer._opt_called = True
        trainer.lr_scheduler.step()
        for scheduler in trainer.coefficient_schedulers.values():
            scheduler.step()

    # -- forward ---------------------------------------------------------------------

    def _encode(
        self,
        bias: Floats,
        scale: Floats,
        floor: Floats,
        see: Callable[[slice, Floats], None] | None = None,
    ) -> list[Pairs]:
        """The pairs with v = (inputs W_enc + bias) * scale above the feature's floor.

        `see` gets each block's dense product [features, tokens] before it is dropped.
        """

        def block(rows: slice) -> Pairs:
            product = self._product(self._w["W_enc"][rows], self._inputs)
            if see is not None:
                see(rows, product)
            return self._compressor.pairs_above(
                rows.start, product, bias[rows], scale[rows], floor[rows]
            )

        return self._workers.each(block, blocks(self._d_sae, self._features_a_task))

    @property
    def _features_a_task(self) -> int:
        return features_a_task(self._d_sae, *self._inputs.shape)

    def _decode(self, pairs: list[Pairs], weights: Floats, out: Floats) -> None:
        """Adds every pair's value times its feature's row of `weights` to `out`."""

        def tokens(part: slice) -> None:
            for piece in pairs:
                sums.decode(*piece[1:], weights[piece.rows], out, part.start, part.stop)

        # A thread has its own tokens: none waits for another's row. Each number is the
        # same sum in the same order, however many they are.
        n_products = sum(len(piece.token) for piece in pairs) * self._d_in
        n_threads = self._workers.n if n_products >= LEAST_SUM else 1
        self._workers.each(tokens, blocks(len(out), -(-len(out) // n_threads)))

    def _row_sums(self, pairs: list[Pairs], values: list[Floats]) -> Floats:
        """[d_sae]: the sum of each feature's `values`, an array for each of `pairs`."""
        totals = np.zeros(self._d_sae, np.float32)

        def piece_of(both: tuple[Pairs, Floats]) -> None:
            piece, value = both
            sums.row_sums(piece.first, value, totals[piece.rows])

        self._workers.each(piece_of, zip(pairs, values, strict=True))
        return totals

    def _norms(self) -> Floats:
        """[d_sae]: the decoder rows' norms."""
        return np.sqrt(self._workers.row_squares(self._w["W_dec"]))

    # -- backward --------------------------------------------------------------------

    def _pull(
        self, piece: Pairs, value: Floats, error: Floats, decay: Floats
    ) -> Floats:
        """W_dec's gradient for the piece's features; returns error . W_dec per pair.

        `decay` [features] times its own row is added to a row's gradient.
        """
        pulled = np.empty_like(piece.value)
        sums.pull(
            *(piece.first, piece.token, value, error, self._w["W_dec"][piece.rows]),
            *(decay, pulled, self._g["W_dec"][piece.rows]),
        )
        return pulled

    def _push(self, piece: Pairs, slopes: Floats, lift: Floats, bias: Floats) -> None:
        """W_enc's gradient for the piece's features, from dLoss/dpre-activation of each
        pair (`slopes`, plus the feature's `lift`); their sums go to `bias` [d_sae]."""
        sums.push(
            *(piece.first, piece.token, slopes, lift, self._inputs),
            *(self._g["W_enc"][piece.rows], bias[piece.rows]),
        )

    def _set_b_dec(self, error: Floats, slopes: Floats) -> None:
        """b_dec's gradient: it is added to the output and, if so set, taken from the
        input. `slopes` [d_sae] sums dLoss/dpre-activation over the tokens; with them
        the product that SAELens pays for this gradient is that of a vector."""
        gradient = error.sum(0)
        if self._cfg.apply_b_dec_to_input:
            gradient -= slopes @ self._w["W_enc"]
        self._g["b_dec"][:] = gradient


def mean(values: Floats) -> float:
    """Of [tokens] float32, summed in float64."""
    return float(values.sum(dtype=np.float64)) / len(values)


def over(a: Floats, b: Floats) -> Floats:
    """a / b; 0 where b is 0, as the gradient of a norm at 0."""
    return np.divide(a, b, out=np.zeros_like(a), where=b != 0)
