"""Which features of an SAE are active, as pairs: the way every architecture encodes.

Imports numba: where that does not work there is no other way to encode than
`SAE.encode`, the definition, dense and in one line. `Encoder` finds the same pairs at
little more than the price of the encoder's product (`sae.step.compress`). Values are
equal but for the rounding of that product; where a pre-activation is within rounding of
its threshold, either may call it active.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

from tinysae.model.blas import PRODUCTS, choose_product, one_thread
from tinysae.sae.load import SAE, InferenceArchitecture
from tinysae.sae.step.compress import Compressor
from tinysae.sae.step.pairs import Floats, Pairs

if TYPE_CHECKING:
    import torch

# What `Encoder` encodes without `SAE.encode`.
ARCHITECTURES: frozenset[InferenceArchitecture] = frozenset(
    {"standard", "jumprelu", "topk", "gated"}
)
# Features and tokens a task: a product of 2 MB, little enough to be gone through before
# it leaves the cache. (Four times as much costs a tenth more.)
FEATURES, TOKENS = 1024, 512
# Tokens a task where all of a token's features are needed at once: 4 MB for 4096.
_TOKENS_BY_ROW = 256
# Somewhat below a gate's exact threshold: what rounds differently is looked at again.
_SLACK = 1e-5


class Encoder:
    """An SAE laid out for finding pairs, with threads of its own; a context manager.

    Work is cut by shapes alone: the same bits with any number of threads.

    Args:
        sae: its weights are copied.
        product: a name of `tinysae.model.blas.PRODUCTS`; by default the fastest here.
    """

    def __init__(self, sae: SAE, product: str | None = None) -> None:
        import torch

        self._compressor = Compressor()
        self.d_sae = sae.d_sae
        self.product_name = choose_product(product)
        self._product = PRODUCTS[self.product_name]
        self.bits = self.product_name
        """What decides the values' last bits."""
        self._W = np.ascontiguousarray(sae.W_enc.detach().cpu().float().T.numpy())
        self._b_dec = _array(sae.b_dec) if sae.apply_b_dec_to_input else None
        zero, one = np.zeros(sae.d_sae, np.float32), np.ones(sae.d_sae, np.float32)
        self._bias, self._scale, self._floor = _array(sae.b_enc), one, zero
        self._k, self._gate = sae.k, None
        if sae.magnitude is not None:
            self._gate = self._bias
            self._r = _array(sae.magnitude.r_mag.exp())
            self._b_mag = _array(sae.magnitude.b_mag)
            # gate open: p > -b_gate; magnitude above 0: p > -b_mag / exp(r).
            floor = np.maximum(-self._gate, -self._b_mag / self._r)
            self._floor = floor - np.float32(_SLACK) * (1 + np.abs(floor))
            self._bias = zero
        else:
            if sae.rescale_acts_by_decoder_norm:
                self._scale = _array(sae.W_dec.norm(dim=-1))
            if sae.threshold is not None:
                self._floor = np.maximum(_array(sae.threshold), 0)
        self.n_threads = torch.get_num_threads()
        self.pool = ThreadPoolExecutor(
            self.n_threads,
            "encode",
            initializer=torch.set_num_threads,
            initargs=(1,),
        )

    def __enter__(self) -> "Encoder":
        return self

    def __exit__(self, *_: object) -> None:
        self.pool.shutdown(cancel_futures=True)

    def pairs(self, x: Floats, token: int = 0) -> list[Pairs]:
        """The active pairs of `x` [tokens, d_in], in pieces of consecutive features.

        Pieces of the same features follow each other in the tokens' order; `token` is
        added to every pair's. NaN activations count as active, so that they are seen.
        """
        if self._k is None:
            tiles = [
                (t, j)
                for t in range(0, len(x), TOKENS)
                for j in range(0, self.d_sae, FEATURES)
            ]
        else:
            tiles = [(t, 0) for t in range(0, len(x), _TOKENS_BY_ROW)]
        find = self._tile if self._k is None else self._row_tile
        with one_thread():
            return list(self.pool.map(lambda at: find(x, at[0], at[1], token), tiles))

    def _inputs(self, x: Floats) -> Floats:
        return x if self._b_dec is None else x - self._b_dec

    def _tile(self, x: Floats, t: int, j: int, token: int) -> Pairs:
        """The pairs of `TOKENS` tokens and `FEATURES` features."""
        rows = slice(j, j + FEATURES)
        product = self._product(self._W[rows], self._inputs(x[t : t + TOKENS]))
        pairs = self._compressor.pairs_above(
            j, product, self._bias[rows], self._scale[rows], self._floor[rows]
        )
        pairs.token[:] += np.int32(t + token)
        return pairs if self._gate is None else self._opened(pairs)

    def _opened(self, likely: Pairs) -> Pairs:
        """Of pairs that may be active in a gated SAE, with their products as values,
        those that are."""
        assert self._gate is not None
        rows, product = likely.rows, likely.value
        value = product * likely.each(self._r[rows]) + likely.each(self._b_mag[rows])
        is_active = ~((value <= 0) | (product + likely.each(self._gate[rows]) <= 0))
        first = np.zeros_like(likely.first)
        np.cumsum(is_active, out=(before := np.empty(len(value), np.int64)))
        first[1:] = np.concatenate([[0], before])[likely.first[1:]]
        return Pairs(likely.begin, first, likely.token[is_active], value[is_active])

    def _row_tile(self, x: Floats, t: int, _j: int, token: int) -> Pairs:
        """The k largest of some tokens."""
        assert self._k is not None
        inputs = self._inputs(x[t : t + _TOKENS_BY_ROW])
        product = self._product(inputs, self._W)
        pairs = self._compressor.k_largest(product, self._bias, self._scale, self._k)
        pairs.token[:] += np.int32(t + token)
        return pairs


def encoder_of(sae: SAE, device: "torch.device") -> Encoder:
    """What finds the active pairs of `sae` fastest beside a model on `device`: by
    `SAE.encode` where its architecture is not one that `Encoder` knows."""
    from tinysae.sae.encode_on_device import DeviceEncoder, encoder_for

    is_known = sae.architecture in ARCHITECTURES
    return encoder_for(sae, device) if is_known else DeviceEncoder(sae, device)


def _array(tensor: object) -> Floats:
    return np.ascontiguousarray(tensor.detach().cpu().float().numpy())  # type: ignore[attr-defined]
