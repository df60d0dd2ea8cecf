"""A step of TopK: each token's k largest are kept, and dead features attempt the rest
(Gao et al. 2024, "Scaling and evaluating sparse autoencoders", A.2)."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tinysae.sae.step.compress import by_feature
from tinysae.sae.step.kernels import finding, sums
from tinysae.sae.step.pairs import Floats, Pairs, fired, split
from tinysae.sae.step.sparse import Forward, SparseStep, mean
from tinysae.sae.step.workers import FEATURES, blocks

# Tokens a task where all of a token's features are needed at once.
_TOKENS = 256
# Features a task of the dead ones' gradients.
_DEAD_FEATURES = FEATURES // 8
# How many times as many dead features as a token keeps of them there may be for dense
# products to be faster than sums over pairs, which run at a twentieth of their speed.
_DENSE_REVIVAL = 16


class Revival(NamedTuple):
    """The dead features' attempt at one residual: the auxiliary loss, for gradients.

    Attributes:
        features: [dead], which they are.
        acts: theirs, p where kept: pairs numbered as in `features`; or, of few
            features, [tokens, dead] with zeros elsewhere.
        is_kept: [tokens, dead]; None for pairs, or when all are kept.
        error: [tokens, d_in], the loss's gradient at their reconstruction.
    """

    features: NDArray[np.int64]
    acts: Pairs | Floats
    is_kept: NDArray[np.bool_] | None
    error: Floats


class TopKStep(SparseStep):
    """a = the k largest of each token's s = p |W_j| (or p), after relu.

    With `rescale_acts_by_decoder_norm` the decoder divides by |W_j| what the encoder
    was multiplied by: x_hat = sum_j p_ij W_j for what is kept, and the gradient through
    |W_j| cancels. So for the kept pairs, p = s / |W_j| in either case:
    dp_ij = e_i . W_j; dW_dec_j = sum_i p_ij e_i.

    Dead features reconstruct the residual that is left (`calculate_topk_aux_loss`):
    of their s the d_in // 2 largest, negative ones too, with the same gradients from
    e' = 2 c (x_hat' + r) / n, c the coefficient scaled by how many are dead.
    """

    def _forward(self) -> Forward:
        self._scale = np.ones(self._d_sae, np.float32)
        norms = self._norms()
        if self._cfg.rescale_acts_by_decoder_norm:
            self._scale = norms
        dead = np.flatnonzero(self._trainer.dead_neurons.numpy())
        dead_acts = np.empty((len(self._x), len(dead)), np.float32)
        kept = self._select(dead, dead_acts)
        pairs = self._unscaled(split(kept, self._edges()))
        residuals = self._residuals(pairs)
        squares = self._workers.row_squares(residuals[-1])
        losses = {"mse_loss": mean(squares)}
        losses["auxiliary_reconstruction_loss"], revivals = self._revive(
            dead, dead_acts, residuals
        )
        for width, residual in zip(self._levels(), residuals[:-1], strict=False):
            losses[f"inner_mse_loss_{width}"] = mean(
                self._workers.row_squares(residual)
            )
        totals = self._row_sums(pairs, [piece.value for piece in pairs])
        l1 = float(totals.astype(np.float64) @ norms)
        rest = (pairs, residuals, revivals)
        return Forward(losses, fired(pairs), l1, squares, rest)

    def _backward(self, forward: Forward) -> None:
        pairs, residuals, revivals = forward.rest
        lift = np.zeros(self._d_sae, np.float32)
        error, rate = None, np.float32(2 / len(self._x))
        levels = self._levels()
        # A level's features are in its own reconstruction and in all wider ones.
        for begin, end, residual in reversed(
            list(zip([0, *levels], levels, residuals, strict=False))
        ):
            residual *= rate
            error = residual if error is None else np.add(error, residual, out=error)

            def piece_of(piece: Pairs, error: Floats = error) -> None:
                slopes = self._pull(piece, piece.value, error, lift[piece.rows])
                self._push(piece, slopes, lift[piece.rows], self._g["b_enc"])

            self._workers.each(piece_of, [p for p in pairs if begin <= p.begin < end])
        assert error is not None
        for revival in revivals:
            self._add_revival(revival)
        self._set_b_dec(error, self._g["b_enc"])

    def _levels(self) -> list[int]:
        """Widths of the nested dictionaries: here there is one."""
        return [self._d_sae]

    def _edges(self) -> list[int]:
        return [*self._levels(), *range(0, self._d_sae, self._features_a_task)]

    def _select(self, dead: NDArray[np.int64], dead_acts: Floats) -> list[Pairs]:
        """The pairs that are kept, values s; writes the dead features' s [n, dead]."""
        n, k = len(self._x), min(int(self._cfg.k), self._d_sae)
        bias, weights = self._w["b_enc"], self._w["W_enc"]
        rows = np.empty((n, k), np.int32), np.empty((n, k), np.float32)
        count = np.empty(n, np.int64)

        def tokens(begin: int) -> None:
            here = slice(begin, begin + _TOKENS)
            product = self._product(self._inputs[here], weights)
            dead_acts[here] = (product[:, dead] + bias[dead]) * self._scale[dead]
            finding.topk_rows(
                *(product, bias, self._scale, k, 0.0),
                *(rows[0][here], rows[1][here], count[here]),
            )

        self._workers.each(tokens, range(0, n, _TOKENS))
        return [by_feature(*rows, count, self._d_sae)]

    def _unscaled(self, pairs: list[Pairs]) -> list[Pairs]:
        """The same pairs with p for s."""
        if not self._cfg.rescale_acts_by_decoder_norm:
            return pairs
        inverse = np.reciprocal(self._scale)
        for piece in pairs:
            here = slice(piece.first[0], piece.first[-1])
            piece.value[here] *= piece.each(inverse[piece.rows])
        return pairs

    def _residuals(self, pairs: list[Pairs]) -> list[Floats]:
        """x_hat - x of every level, the narrowest first."""
        residuals = [self._w["b_dec"] - self._x]
        begin = 0
        for end in self._levels():
            level = [piece for piece in pairs if begin <= piece.begin < end]
            self._decode(level, self._w["W_dec"], residuals[-1])
            if end < self._d_sae:
                residuals.append(residuals[-1].copy())
            begin = end
        return residuals

    def _revive(
        self,
        dead: NDArray[np.int64],
        dead_acts: Floats,
        residuals: list[Floats],
    ) -> tuple[float, list[Revival]]:
        """The auxiliary loss, and what its gradients need."""
        if not len(dead):
            return 0.0, []
        loss, revival = self._attempt(dead, dead_acts, residuals[-1])
        return loss, [revival]

    def _attempt(
        self, dead: NDArray[np.int64], acts: Floats, residual: Floats
    ) -> tuple[float, Revival]:
        """One attempt by the features `dead`, whose s are `acts` [n, dead]."""
        n, most = acts.shape[0], self._d_in // 2
        scale = self._cfg.aux_loss_coefficient * min(len(dead) / most, 1.0)
        error = residual.copy()
        if len(dead) > _DENSE_REVIVAL * most:
            kept, is_kept = self._dead_pairs(acts, most, dead), None
            self._decode([kept], self._w["W_dec"][dead], error)
        else:
            kept, is_kept = self._dead_dense(acts, most, dead)
            weights = self._w["W_dec"][dead]

            def add(rows: slice) -> None:
                error[rows] += kept[rows] @ weights

            self._workers.each(add, blocks(n, _TOKENS))
        loss = scale * mean(self._workers.row_squares(error))
        error *= np.float32(2 * scale / n)
        return loss, Revival(dead, kept, is_kept, error)

    def _dead_pairs(self, acts: Floats, most: int, dead: NDArray[np.int64]) -> Pairs:
        """The `most` largest of every token's `acts`, divided by the scale."""
        pairs = by_feature(*self._dead_rows(acts, most), len(dead))
        np.divide(pairs.value, pairs.each(self._scale[dead]), out=pairs.value)
        return pairs

    def _dead_dense(
        self, acts: Floats, most: int, dead: NDArray[np.int64]
    ) -> tuple[Floats, NDArray[np.bool_] | None]:
        """The same as a matrix, and where they are in it; None for everywhere."""
        unscaled = acts / self._scale[dead]
        if len(dead) <= most:
            return unscaled, None
        feature, _, _ = self._dead_rows(acts, most)
        is_kept = np.zeros(acts.shape, np.bool_)
        np.put_along_axis(is_kept, feature, True, axis=1)
        unscaled *= is_kept
        return unscaled, is_kept

    def _dead_rows(
        self, acts: Floats, k: int
    ) -> tuple[NDArray[np.int32], Floats, NDArray[np.int64]]:
        """Features and values [n, k] of the k largest of every token's `acts`."""
        n, d = acts.shape
        # Fewer than k are kept of a row with infinities; its loss is no number then.
        rows = np.zeros((n, k), np.int32), np.empty((n, k), np.float32)
        count = np.empty(n, np.int64)
        zero, one = np.zeros(d, np.float32), np.ones(d, np.float32)

        def tokens(begin: int) -> None:
            here = slice(begin, begin + _TOKENS)
            finding.topk_rows(
                *(acts[here], zero, one, k, -np.inf),
                *(rows[0][here], rows[1][here], count[here]),
            )

        self._workers.each(tokens, range(0, n, _TOKENS))
        return *rows, count

    def _add_revival(self, revival: Revival) -> None:
        dead, acts, is_kept, error = revival
        weights = self._w["W_dec"][dead]
        to_dec, to_enc = np.empty_like(weights), np.empty_like(weights)
        to_bias, zero = np.empty(len(dead), np.float32), np.zeros(len(dead), np.float32)

        def of_pairs(rows: slice) -> None:
            assert isinstance(acts, Pairs)
            part = acts.between(rows.start, rows.stop)
            sums.pull(
                *(*part[1:], error, weights[rows], zero[rows]),
                *(slopes, to_dec[rows]),
            )
            sums.push(
                *(part.first, part.token, slopes, zero[rows], self._inputs),
                *(to_enc[rows], to_bias[rows]),
            )

        def of_matrix(rows: slice) -> None:
            assert not isinstance(acts, Pairs)
            np.matmul(acts[:, rows].T, error, out=to_dec[rows])
            slopes = weights[rows] @ error.T
            if is_kept is not None:
                slopes *= is_kept[:, rows].T
            np.matmul(slopes, self._inputs, out=to_enc[rows])
            slopes.sum(axis=1, out=to_bias[rows])

        if isinstance(acts, Pairs):
            slopes = np.empty_like(acts.value)
            self._workers.each(of_pairs, blocks(len(dead), _DEAD_FEATURES))
        else:
            self._workers.each(of_matrix, blocks(len(dead), _DEAD_FEATURES))
        self._g["W_dec"][dead] += to_dec
        self._g["W_enc"][dead] += to_enc
        self._g["b_enc"][dead] += to_bias
