"""A step of JumpReLU: a threshold per feature, learnt by estimated gradients."""

import numpy as np
from numpy.typing import NDArray

from tinysae.sae.step.kernels import sums
from tinysae.sae.step.pairs import Floats, Pairs, count_per_feature
from tinysae.sae.step.sparse import Forward, SparseStep, mean, over


class JumpReLUStep(SparseStep):
    """a = p [p > t], t a learnt threshold per feature; loss = E |r|^2 + c E sparsity,
    sparsity a function of the count of active features or of tanh(scale a |W|).

    The count's and the jump's gradients are estimates from a band around the threshold,
    |p - t| < w / 2 with w the bandwidth (Rajamanoharan et al. 2024). So the pairs are
    those with p > t - w / 2, active or not: with da = e . W_j (+ tanh's own slope) and
    u_i the slope of token i's count,
    dt_j = -sum over the band of (t da + u_i) / w;
    dp = [p > t] da, and with `jumprelu_ste_to_input` what t gets, negated.

    The pre-activation loss, k E sum over dead j of relu(t - p) |W_j|, is dense over
    tokens but constant in slope: sums over all tokens minus those of the few p >= t.
    """

    def _forward(self) -> Forward:
        # As `training_forward_pass` does, and for its reason.
        np.maximum(self._w["threshold"], 0, out=self._w["threshold"])
        self._pull_up, self._to_norm = np.float32(0), np.zeros(self._d_sae, np.float32)
        threshold, width = self._w["threshold"], np.float32(self._sae.bandwidth)
        # A little below the band's edge, which is for `_is_near` to say.
        floor = threshold - np.float32(0.51) * width
        pairs = self._encode(self._w["b_enc"], np.ones_like(floor), floor)
        acts = [
            np.where(piece.value <= piece.each(threshold[piece.rows]), 0, piece.value)
            for piece in pairs
        ]
        active = [piece._replace(value=a) for piece, a in zip(pairs, acts, strict=True)]
        residual = self._w["b_dec"] - self._x
        self._decode(active, self._w["W_dec"], residual)
        squares, norms = self._workers.row_squares(residual), self._norms()
        counts = np.concatenate([count_per_feature(p, p.value != 0) for p in active])
        losses = {"mse_loss": mean(squares)}
        losses["l0_loss"], slope = self._sparsity(active, norms)
        dead = np.zeros(0, np.int64)
        if self._cfg.pre_act_loss_coefficient is not None:
            dead = np.flatnonzero(self._trainer.dead_neurons.numpy())
            losses["pre_act_loss"] = self._pre_act(pairs, dead, norms)
        totals = self._row_sums(active, acts)
        l1 = float(totals.astype(np.float64) @ norms)
        rest = (pairs, acts, residual, norms, slope, dead)
        return Forward(losses, counts, l1, squares, rest)

    def _backward(self, forward: Forward) -> None:
        pairs, acts, error, norms, slope, dead = forward.rest
        error *= np.float32(2 / len(error))
        is_dead = np.zeros(self._d_sae, np.float32)
        is_dead[dead] = 1
        self._to_norm += self._tanh_to_norms(pairs, acts, norms)
        decay = over(self._to_norm, norms)
        zero = np.zeros(self._d_sae, np.float32)
        width = np.float32(self._sae.bandwidth)

        def piece_of(both: tuple[Pairs, Floats]) -> None:
            piece, act = both
            rows = piece.rows
            threshold = piece.each(self._w["threshold"][rows])
            to_act = self._pull(piece, act, error, decay[rows])
            to_act += self._tanh_slope(act, piece.each(norms[rows]))
            estimate = threshold * to_act + slope[piece.token]
            estimate *= self._is_near(piece.value, threshold) / width
            to_pre = to_act * (act != 0)
            if self._cfg.jumprelu_ste_to_input:
                to_pre += estimate
            sums.row_sums(piece.first, -estimate, self._g["threshold"][rows])
            above = piece.value >= threshold
            to_pre += piece.each(is_dead[rows] * self._pull_up * norms[rows]) * above
            self._push(piece, to_pre, zero[rows], self._g["b_enc"])

        self._workers.each(piece_of, zip(pairs, acts, strict=True))
        self._lift_dead(dead, norms)
        self._set_b_dec(error, self._g["b_enc"])

    def _is_near(self, value: Floats, threshold: Floats) -> NDArray[np.bool_]:
        """SAELens's `rectangle`."""
        x = (value - threshold) / np.float32(self._sae.bandwidth)
        return (x > -0.5) & (x < 0.5)

    def _sparsity(self, active: list[Pairs], norms: Floats) -> tuple[float, Floats]:
        """The sparsity loss, and each token's slope of it in the count [tokens]."""
        n, mode = len(self._x), self._cfg.jumprelu_sparsity_loss_mode
        rate = self._coefficient("l0") / n
        if mode == "tanh":
            total = 0.0
            for piece in active:
                weighed = self._tanh_input(piece.value, piece.each(norms[piece.rows]))
                total += float(np.tanh(weighed).astype(np.float64).sum())
            return rate * total, np.zeros(n, np.float32)
        l0 = np.zeros(n)
        for piece in active:
            l0 += np.bincount(piece.token[piece.value != 0], minlength=n)
        if mode == "step":
            return rate * float(l0.sum()), np.full(n, rate, np.float32)
        target = self._cfg.target_l0
        loss = rate * float((2 / target * (l0 - target) ** 2).sum())
        return loss, (rate * 4 / target * (l0 - target)).astype(np.float32)

    def _tanh_input(self, act: Floats, norms: Floats) -> Floats:
        return np.float32(self._cfg.jumprelu_tanh_scale) * act * norms

    def _tanh_slope(self, act: Floats, norms: Floats) -> Floats | float:
        """The tanh loss's slope in each activation; inactive ones have it too."""
        if self._cfg.jumprelu_sparsity_loss_mode != "tanh":
            return 0.0
        rate = np.float32(
            self._coefficient("l0") / len(self._x) * self._cfg.jumprelu_tanh_scale
        )
        return rate * norms * (1 - np.tanh(self._tanh_input(act, norms)) ** 2)

    def _tanh_to_norms(
        self, pairs: list[Pairs], acts: list[Floats], norms: Floats
    ) -> Floats:
        """The tanh loss's slope in each decoder norm [d_sae]."""
        if self._cfg.jumprelu_sparsity_loss_mode != "tanh":
            return np.zeros(self._d_sae, np.float32)
        slopes = [
            a * self._tanh_slope(a, piece.each(norms[piece.rows]))
            for piece, a in zip(pairs, acts, strict=True)
        ]
        return over(self._row_sums(pairs, slopes), norms)

    def _pre_act(
        self, pairs: list[Pairs], dead: NDArray[np.int64], norms: Floats
    ) -> float:
        """The pre-activation loss; keeps what its gradients need.

        sum_i relu(t - p) = n t - sum_i p + sum over p >= t of (p - t), and likewise for
        the tokens below the threshold.
        """
        n, w = len(self._x), self._w
        over_t = [
            np.maximum(p.value - p.each(w["threshold"][p.rows]), 0) for p in pairs
        ]
        above = [p.value >= p.each(w["threshold"][p.rows]) for p in pairs]
        excess = self._row_sums(pairs, over_t)[dead].astype(np.float64)
        n_above = np.concatenate(
            [count_per_feature(p, a) for p, a in zip(pairs, above, strict=True)]
        )
        self._sum_inputs = self._inputs.sum(0, dtype=np.float64)
        pre = w["W_enc"][dead] @ self._sum_inputs + n * w["b_enc"][dead].astype(float)
        shortfall = n * w["threshold"][dead].astype(float) - pre + excess
        self._pull_up = np.float32(self._cfg.pre_act_loss_coefficient / n)
        self._to_norm[dead] = self._pull_up * shortfall
        self._n_below = n - n_above[dead]
        return float(self._pull_up * (shortfall @ norms[dead]))

    def _lift_dead(self, dead: NDArray[np.int64], norms: Floats) -> None:
        """The pre-activation loss's gradients as if every token were below; `_backward`
        has taken back those above."""
        if not len(dead):
            return
        rate, g = self._pull_up * norms[dead], self._g
        g["W_enc"][dead] -= rate[:, None] * self._sum_inputs.astype(np.float32)
        g["b_enc"][dead] -= rate * len(self._x)
        g["threshold"][dead] += rate * self._n_below
