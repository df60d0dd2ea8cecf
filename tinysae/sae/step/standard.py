"""A step of the standard architecture: ReLU and an L1 penalty."""

import numpy as np

from tinysae.sae.step.pairs import Pairs, fired
from tinysae.sae.step.sparse import Forward, SparseStep, mean, over


class StandardStep(SparseStep):
    """a = relu(p); loss = E |r|^2 + c E sum_j a_j |W_j|, c the L1 coefficient.

    For the pairs with p > 0 (at p = 0 torch's relu has no gradient either):
    dp_ij = e_i . W_j + (c / n) |W_j|;
    dW_dec_j = sum_i a_ij e_i + (c / n) (sum_i a_ij) W_j / |W_j|.
    """

    def _forward(self) -> Forward:
        zero, one = np.zeros(self._d_sae, np.float32), np.ones(self._d_sae, np.float32)
        pairs = self._encode(self._w["b_enc"], one, zero)
        residual = self._w["b_dec"] - self._x
        self._decode(pairs, self._w["W_dec"], residual)
        squares, norms = self._workers.row_squares(residual), self._norms()
        totals = self._row_sums(pairs, [piece.value for piece in pairs])
        l1 = float(totals.astype(np.float64) @ norms)
        losses = {
            "mse_loss": mean(squares),
            "l1_loss": self._coefficient("l1") * l1 / len(residual),
        }
        rest = (pairs, residual, norms, totals)
        return Forward(losses, fired(pairs), l1, squares, rest)

    def _backward(self, forward: Forward) -> None:
        pairs, error, norms, totals = forward.rest
        error *= np.float32(2 / len(error))
        rate = np.float32(self._coefficient("l1") / len(error))
        lift, decay = rate * norms, rate * over(totals, norms)

        def piece_of(piece: Pairs) -> None:
            slopes = self._pull(piece, piece.value, error, decay[piece.rows])
            self._push(piece, slopes, lift[piece.rows], self._g["b_enc"])

        self._workers.each(piece_of, pairs)
        self._set_b_dec(error, self._g["b_enc"])
