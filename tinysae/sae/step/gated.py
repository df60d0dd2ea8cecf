"""A step of the gated architecture (Rajamanoharan et al. 2024)."""

import numpy as np

from tinysae.sae.step.kernels import sums
from tinysae.sae.step.pairs import Floats, Pairs, count_per_feature
from tinysae.sae.step.sparse import Forward, SparseStep, mean, over


class GatedStep(SparseStep):
    """Gate g = z W_enc + b_gate, magnitude m = exp(r) z W_enc + b_mag;
    a = [g > 0] relu(m), p = relu(g);
    loss = E |r|^2 + c E sum_j p_j |W_j| + E |r'|^2, r' = p W_dec + b_dec - x.

    For the pairs with g > 0, e' = 2 r' / n: dm = [m > 0] e . W_j,
    dg = e' . W_j + (c / n) |W_j|, and both reach W_enc: exp(r_j) dm + dg.
    SAELens computes the encoder's product three times for this.
    """

    def _forward(self) -> Forward:
        zero, one = np.zeros(self._d_sae, np.float32), np.ones(self._d_sae, np.float32)
        gates = self._encode(self._w["b_gate"], one, zero)
        acts = [piece._replace(value=self._magnitude(piece)) for piece in gates]
        residual = self._w["b_dec"] - self._x
        by_gate = residual.copy()
        self._decode(acts, self._w["W_dec"], residual)
        self._decode(gates, self._w["W_dec"], by_gate)
        squares, norms = self._workers.row_squares(residual), self._norms()
        totals = self._row_sums(gates, [piece.value for piece in gates])
        l1 = float(totals.astype(np.float64) @ norms)
        losses = {
            "mse_loss": mean(squares),
            "l1_loss": self._coefficient("l1") * l1 / len(residual),
            "auxiliary_reconstruction_loss": mean(self._workers.row_squares(by_gate)),
        }
        active = [count_per_feature(piece, piece.value != 0) for piece in acts]
        rest = (gates, acts, residual, by_gate, norms, totals)
        return Forward(losses, np.concatenate(active), l1, squares, rest)

    def _magnitude(self, piece: Pairs) -> Floats:
        w, rows = self._w, piece.rows
        product = piece.value - piece.each(w["b_gate"][rows])
        product *= piece.each(np.exp(w["r_mag"][rows]))
        product += piece.each(w["b_mag"][rows])
        return np.maximum(product, 0)

    def _backward(self, forward: Forward) -> None:
        gates, acts, error, by_gate, norms, totals = forward.rest
        rate = np.float32(2 / len(error))
        error *= rate
        by_gate *= rate
        rate = np.float32(self._coefficient("l1") / len(error))
        lift, decay = rate * norms, rate * over(totals, norms)
        slopes = np.empty(self._d_sae, np.float32)
        w, g = self._w, self._g

        def piece_of(both: tuple[Pairs, Pairs]) -> None:
            gate, act = both
            rows = gate.rows
            zero = np.zeros(len(norms[rows]), np.float32)
            to_mag = self._pull(act, act.value, error, zero)
            to_mag *= act.value != 0
            from_error = g["W_dec"][rows].copy()
            to_gate = self._pull(gate, gate.value, by_gate, decay[rows])
            g["W_dec"][rows] += from_error
            to_gate += gate.each(lift[rows])
            sums.row_sums(gate.first, to_mag, g["b_mag"][rows])
            sums.row_sums(gate.first, to_gate, g["b_gate"][rows])
            to_mag *= gate.each(np.exp(w["r_mag"][rows]))
            product = gate.value - gate.each(w["b_gate"][rows])
            sums.row_sums(gate.first, to_mag * product, g["r_mag"][rows])
            self._push(gate, to_gate + to_mag, zero, slopes)

        self._workers.each(piece_of, zip(gates, acts, strict=True))
        error += by_gate
        self._set_b_dec(error, slopes)
