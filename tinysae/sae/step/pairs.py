"""A training step of our own, with SAELens's numbers in a fraction of its time.

SAELens's step is six dense products of [tokens, d_sae, d_in]. Nearly all activations
are zero, so that all but one of them can be sums over *pairs*, the (token, feature)
where an activation is not: `sae.step.kernels`. Only the encoder's product, which
finds the pairs, stays dense. The equations are in `sae.step.losses`, an architecture
a class; here is what they share, and SAELens's own step for whatever they do not do.

Everything happens in place on SAELens's own trainer, module and optimizer, which stay
the truth: checkpoints, evaluations and files know nothing of this. One thing differs:
`W_enc` [d_in, d_sae] lies in memory as its transpose, because a feature's gradient is a
row then. `contiguous()` gives the usual layout.

Work is cut into pieces that depend on the shapes alone, and no two threads ever add to
one number: same settings, seed and machine give the same bits, with any number of
threads. (SAELens's own step does depend on their number.)
"""

import math
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import local
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

from tinysae.model.blas import PRODUCTS, one_thread

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    Floats = NDArray[np.float32]

T = TypeVar("T")
R = TypeVar("R")

# Features a task: its product with a batch of 4096 tokens is 8 MB, within reach of a
# core's cache, and large enough for BLAS.
FEATURES = 512
# Numbers a task of the optimizer's.
_NUMBERS = 1 << 18


@dataclass(frozen=True)
class StepResult:
    """What one step says about itself, before its update of the weights.

    Attributes:
        loss: the sum of `losses`.
        losses: by SAELens's names; coefficients are included.
        sae_in: the scaled activations [tokens, d_in].
        l0: active features a token.
        l1: the sum of a token's activations times the decoder's norms, on average.
        squared_error: |x_hat - x|^2 of each token, [tokens].
    """

    loss: float
    losses: dict[str, float]
    sae_in: "Tensor"
    l0: Callable[[], float]
    l1: Callable[[], float]
    squared_error: "Callable[[], Tensor]"

    def variance(self) -> float:
        """E |x - E x|^2."""
        x = self.sae_in.float()
        return (x - x.mean(0)).pow(2).sum(-1).mean().item()

    def explained_variance(self) -> float:
        """1 - E |x - x_hat|^2 / E |x - E x|^2, as SAELens logs it."""
        variance = self.variance()
        return 1 - self.losses["mse_loss"] / variance if variance else math.nan


class Pairs(NamedTuple):
    """The pairs of some consecutive features (see `sae.step.kernels`).

    Attributes:
        begin: the first of the features.
        first: [features + 1], places in the other two (its own may start above 0).
        token: [pairs]; value: [pairs].
    """

    begin: int
    first: "NDArray[np.int64]"
    token: "NDArray[np.int32]"
    value: "Floats"

    @property
    def end(self) -> int:
        return self.begin + len(self.first) - 1

    @property
    def rows(self) -> slice:
        return slice(self.begin, self.end)

    @property
    def counts(self) -> "NDArray[np.int64]":
        """Pairs of each feature."""
        return np.diff(self.first)

    def between(self, begin: int, end: int) -> "Pairs":
        """Those of the features from `begin` to before `end`; shares the memory."""
        first = self.first[begin - self.begin : end - self.begin + 1]
        return self._replace(begin=begin, first=first)

    def each(self, per_feature: "Floats") -> "Floats":
        """A feature's number for each of its pairs; `per_feature` is [features]."""
        return np.repeat(per_feature, self.counts)


def split(pairs: Iterable[Pairs], edges: Iterable[int]) -> list[Pairs]:
    """The same pairs, so that no piece has features on both sides of an edge."""
    pieces: list[Pairs] = []
    edges = sorted(edges)
    for piece in pairs:
        inside = [e for e in edges if piece.begin < e < piece.end]
        ends = [piece.begin, *inside, piece.end]
        pieces += [piece.between(a, b) for a, b in zip(ends, ends[1:], strict=False)]
    return pieces


def mean(values: "Floats") -> float:
    """Of [tokens] float32, summed in float64."""
    return float(values.sum(dtype=np.float64)) / len(values)


def fired(pairs: list[Pairs]) -> "NDArray[np.int64]":
    """[d_sae]: each feature's number of pairs."""
    return np.concatenate([piece.counts for piece in pairs])


class SAELensStep:
    """SAELens's own step behind the same face: for whatever ours does not do."""

    def __init__(self, trainer: Any) -> None:
        self._trainer = trainer

    def step(self, batch: "Tensor") -> StepResult:
        """One step on raw activations [tokens, d_in]."""
        sae = self._trainer.sae
        output = self._trainer.step(batch)

        def l0() -> float:
            return output.feature_acts.bool().float().sum(-1).to_dense().mean().item()

        def l1() -> float:
            acts = output.feature_acts.detach().float()
            # Activations of these are times the decoder's norms already.
            if not getattr(sae.cfg, "rescale_acts_by_decoder_norm", False):
                acts = acts * sae.W_dec.detach().float().norm(dim=-1)
            return acts.sum(-1).mean().item()

        def squared_error() -> "Tensor":
            return (output.sae_out - output.sae_in.float()).detach().pow(2).sum(-1)

        losses = {name: loss.item() for name, loss in output.losses.items()}
        loss = output.loss.item()
        return StepResult(loss, losses, output.sae_in, l0, l1, squared_error)


def dense_step_seconds(trainer: Any, d_in: int) -> float:
    """How long SAELens's own step takes here, for the page to say how much faster ours
    is: measured on a copy with few features, to which its time is proportional.

    `trainer` is a fresh one whose SAE may be changed. The batch is noise: a dense
    step takes as long on any.
    """
    import torch

    batch = torch.randn(trainer.cfg.train_batch_size_samples, d_in)
    batch = batch.to(trainer.sae.device, trainer.sae.dtype)
    step, took = SAELensStep(trainer), math.inf
    # The first one also warms up.
    for _ in range(2):
        started = time.perf_counter()
        # Its losses are numbers by then, also on a device that answers later.
        step.step(batch)
        took = min(took, time.perf_counter() - started)
    return took


class _TooDense(Exception):
    """So many pairs that dense products take less time."""


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
    fired: "NDArray[np.int64]"
    l1: float
    squared_error: "Floats"
    rest: tuple[Any, ...]


class SparseStep:
    """What all architectures share; each fills in `_forward` and `_backward`.

    During a step: `_x` is the scaled batch [tokens, d_in], `_inputs` what the encoder
    reads (without b_dec if so set), `_w` the parameters and `_g` their gradients by
    name. Both have W_enc as [d_sae, d_in], a feature a row.
    """

    def __init__(self, trainer: Any, product: str, kernels: ModuleType) -> None:
        import torch

        self._trainer, self._sae, self._cfg = trainer, trainer.sae, trainer.sae.cfg
        self._product, self._kernels = PRODUCTS[product], kernels
        self._d_in, self._d_sae = self._cfg.d_in, self._cfg.d_sae
        self._adopt()
        self._w = self._weights()
        self._g = {name: np.zeros_like(weight) for name, weight in self._w.items()}
        self._scratch = local()
        self._n_workers = torch.get_num_threads()
        self._pool = ThreadPoolExecutor(
            self._n_workers, "sae", initializer=torch.set_num_threads, initargs=(1,)
        )

    def step(self, batch: "Tensor") -> StepResult:
        """One step on raw activations [tokens, d_in], as `SAETrainer.step` takes it.

        When the loss is no number, the weights stay as they are (and numpy need not
        say so too).
        """
        import torch

        try:
            with torch.no_grad(), one_thread(), np.errstate(all="ignore"):
                return self._step(batch)
        except _TooDense:
            return SAELensStep(self._trainer).step(batch)

    def _step(self, batch: "Tensor") -> StepResult:
        import torch

        self._adopt()
        self._w = self._weights()
        sae_in = self._read(batch)
        found = self._forward()
        # Nothing but scratch is written up to here.
        self._sae.train()
        self._trainer.n_training_samples += batch.shape[0]
        self._count(found.fired)
        losses = found.losses
        if not math.isfinite(found.l1):
            # A decoder row that is no number, though perhaps no token needs it now.
            losses = {**losses, "mse_loss": math.nan}
        loss = sum(losses.values())
        if math.isfinite(loss):
            self._backward(found)
            self._descend()
        self._schedule()
        n = len(self._x)
        l0, l1 = found.fired.sum() / n, found.l1 / n
        squared_error = torch.from_numpy(found.squared_error)
        return StepResult(
            loss, losses, sae_in, lambda: float(l0), lambda: l1, lambda: squared_error
        )

    def _forward(self) -> Forward:
        raise NotImplementedError

    def _backward(self, found: Forward) -> None:
        """Fills every gradient in `_g`."""
        raise NotImplementedError

    # -- SAELens's objects, seen as arrays -------------------------------------------

    def _adopt(self) -> None:
        """Lays out W_enc and its moments by feature, and makes moments if need be."""
        import torch

        optimizer = self._trainer.optimizer
        _lay_out_by_feature(self._sae.W_enc)
        for parameter in self._sae.parameters():
            state = optimizer.state[parameter]
            if not state:
                # As torch's Adam does before its first step.
                state["step"] = torch.tensor(0.0)
                for moment in ("exp_avg", "exp_avg_sq"):
                    state[moment] = torch.zeros_like(parameter)
        for moment in ("exp_avg", "exp_avg_sq"):
            _lay_out_by_feature(optimizer.state[self._sae.W_enc][moment])

    def _weights(self) -> "dict[str, Floats]":
        return {name: _by_feature(name, p) for name, p in self._sae.named_parameters()}

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

    def _count(self, fired: "NDArray[np.int64]") -> None:
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

    # -- work in pieces --------------------------------------------------------------

    def _each(self, work: Callable[[T], R], pieces: Iterable[T]) -> list[R]:
        """`work` on every piece, on all threads; results in the pieces' order."""
        pieces = list(pieces)
        if self._n_workers == 1 or len(pieces) < 2:
            return [work(piece) for piece in pieces]
        return list(self._pool.map(work, pieces))

    def _blocks(self, n: int, size: int = FEATURES) -> list[slice]:
        """0 ... n in slices of `size`."""
        return [slice(i, min(n, i + size)) for i in range(0, n, size)]

    def _refuse_dense(self, pairs: list[Pairs]) -> None:
        """Leaves the step to SAELens where that is faster, as the data say: so they do
        in a resumed run. With numba's kernels it never is."""
        n_pairs = sum(len(piece.token) for piece in pairs)
        if n_pairs > self._kernels.DENSE_ABOVE * len(self._x) * self._d_sae:
            raise _TooDense

    # -- forward ---------------------------------------------------------------------

    def _encode(
        self,
        bias: "Floats",
        scale: "Floats",
        floor: "Floats",
        see: "Callable[[slice, Floats], None] | None" = None,
    ) -> list[Pairs]:
        """The pairs with v = (inputs W_enc + bias) * scale above the feature's floor.

        `see` gets the dense product [features, tokens] of each block before it goes.
        """

        def block(rows: slice) -> Pairs:
            product = self._product(self._w["W_enc"][rows], self._inputs)
            if see is not None:
                see(rows, product)
            return self._compress(
                rows.start, product, bias[rows], scale[rows], floor[rows]
            )

        return self._each(block, self._blocks(self._d_sae))

    def _compress(
        self,
        begin: int,
        product: "Floats",
        bias: "Floats",
        scale: "Floats",
        floor: "Floats",
    ) -> Pairs:
        n_features, n = product.shape
        first = np.empty(n_features + 1, np.int64)
        while True:
            token, value = self._room(max(n, product.size // 16))
            done = self._kernels.compress(
                product, bias, scale, floor, token, value, first
            )
            if done == n_features:
                break
            self._room(min(2 * len(token), product.size + n))
        n_pairs = int(first[-1])
        return Pairs(begin, first, token[:n_pairs].copy(), value[:n_pairs].copy())

    def _room(self, least: int) -> "tuple[NDArray[np.int32], Floats]":
        """This thread's scratch arrays, of at least that many places."""
        mine = self._scratch
        if len(getattr(mine, "token", ())) < least:
            mine.token = np.empty(least, np.int32)
            mine.value = np.empty(least, np.float32)
        return mine.token, mine.value

    def _decode(self, pairs: list[Pairs], weights: "Floats", out: "Floats") -> None:
        """Adds every pair's value times its feature's row of `weights` to `out`."""

        def columns(part: slice) -> None:
            for piece in pairs:
                self._kernels.decode(
                    *piece[1:], weights[piece.rows], out, part.start, part.stop
                )

        # Columns, so that threads never meet; each has all the pairs to go through.
        width = -(-self._d_in // self._n_workers)
        width = max(64, -(-width // 16) * 16)
        self._each(columns, self._blocks(self._d_in, width))

    def _row_sums(self, pairs: list[Pairs], values: "list[Floats]") -> "Floats":
        """[d_sae]: the sum of each feature's `values`, an array for each of `pairs`."""
        sums = np.zeros(self._d_sae, np.float32)
        for piece, value in zip(pairs, values, strict=True):
            self._kernels.row_sums(piece.first, value, sums[piece.rows])
        return sums

    def _row_squares(self, matrix: "Floats") -> "Floats":
        """|row|^2 of every row."""
        out = np.empty(len(matrix), np.float32)
        self._each(
            lambda rows: self._kernels.row_squares(matrix[rows], out[rows]),
            self._blocks(len(matrix)),
        )
        return out

    def _norms(self) -> "Floats":
        """[d_sae]: the decoder rows' norms."""
        return np.sqrt(self._row_squares(self._w["W_dec"]))

    def _mean_square(self, residual: "Floats") -> float:
        """E |r|^2 over the tokens."""
        return mean(self._row_squares(residual))

    # -- backward --------------------------------------------------------------------

    def _pull(
        self, piece: Pairs, value: "Floats", error: "Floats", decay: "Floats"
    ) -> "Floats":
        """W_dec's gradient for the piece's features; returns error . W_dec per pair.

        `decay` [features] times its own row is added to a row's gradient.
        """
        pulled = np.empty_like(piece.value)
        self._kernels.pull(
            *(piece.first, piece.token, value, error, self._w["W_dec"][piece.rows]),
            *(decay, pulled, self._g["W_dec"][piece.rows]),
        )
        return pulled

    def _push(
        self, piece: Pairs, slopes: "Floats", lift: "Floats", bias: "Floats"
    ) -> None:
        """W_enc's gradient for the piece's features, from dLoss/dpre-activation of each
        pair (`slopes`, plus the feature's `lift`); their sums go to `bias` [d_sae]."""
        self._kernels.push(
            *(piece.first, piece.token, slopes, lift, self._inputs),
            *(self._g["W_enc"][piece.rows], bias[piece.rows]),
        )

    def _set_b_dec(self, error: "Floats", slopes: "Floats") -> None:
        """b_dec's gradient: it is added to the output and, if so set, taken from the
        input. `slopes` [d_sae] sums dLoss/dpre-activation over the tokens; with them
        the product that SAELens pays for this gradient is that of a vector."""
        gradient = error.sum(0)
        if self._cfg.apply_b_dec_to_input:
            gradient -= slopes @ self._w["W_enc"]
        self._g["b_dec"][:] = gradient

    # -- update ----------------------------------------------------------------------

    def _descend(self) -> None:
        """clip_grad_norm_(1.0), then Adam."""
        squares = 0.0
        for gradient in self._g.values():
            rows = gradient if gradient.ndim == 2 else gradient[None]
            squares += float(self._row_squares(rows).sum(dtype=np.float64))
        clip = min(1.0, 1.0 / (math.sqrt(squares) + 1e-6))
        group = self._trainer.optimizer.param_groups[0]
        beta1, beta2 = group["betas"]
        for name, parameter in self._sae.named_parameters():
            state = self._trainer.optimizer.state[parameter]
            state["step"] += 1
            steps = state["step"].item()
            self._adam(
                [
                    self._w[name].reshape(-1),
                    _by_feature(name, state["exp_avg"]).reshape(-1),
                    _by_feature(name, state["exp_avg_sq"]).reshape(-1),
                    self._g[name].reshape(-1),
                ],
                clip,
                group["lr"] / (1 - beta1**steps),
                *(beta1, beta2, 1 / math.sqrt(1 - beta2**steps), group["eps"]),
            )

    def _adam(self, arrays: "list[Floats]", *numbers: float) -> None:
        def part(at: int) -> None:
            here = slice(at, at + _NUMBERS)
            self._kernels.adam(*(array[here] for array in arrays), *numbers)

        self._each(part, range(0, len(arrays[0]), _NUMBERS))


def _lay_out_by_feature(tensor: "Tensor") -> None:
    """Puts the memory of a [d_in, d_sae] tensor in its transpose's order."""
    if not tensor.T.is_contiguous():
        tensor.data = tensor.data.T.contiguous().T


def _by_feature(name: str, tensor: "Tensor") -> "Floats":
    """The tensor's own memory; W_enc's as [d_sae, d_in]."""
    return (tensor.T if name == "W_enc" else tensor).detach().numpy()
