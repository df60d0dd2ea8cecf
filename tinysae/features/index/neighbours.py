"""Which decoder directions lie near each other, and a map of them all."""

import contextlib
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from tinysae.model.blas import Product

Layout = Literal["umap", "pca"]
# UMAP's own default: how local the map is.
UMAP_NEIGHBOURS = 15
UMAP_EPOCHS = 200
# Fewer features than this are no landscape, and not worth the seconds that UMAP takes
# to be imported.
UMAP_FROM = 100
# Those of UMAP's loops that take longest to compile.
_UMAP_LOOPS = (
    ("umap_", "smooth_knn_dist"),
    ("umap_", "compute_membership_strengths"),
    ("layouts", "_nb_optimize_layout_euclidean_single_epoch"),
)
# Cosines at once: 256 rows of them.
_ROWS = 256

Floats = NDArray[np.float32]


class Neighbours(NamedTuple):
    """The directions with the largest cosine to each, the nearest first.

    feature, cosine [d_sae, n]. A direction of zeros has cosine 0 to all.
    """

    feature: NDArray[np.int32]
    cosine: Floats

    def first(self, n: int) -> "Neighbours":
        """The `n` nearest of each."""
        return Neighbours(self.feature[:, :n], self.cosine[:, :n])


def neighbours(W_dec: Floats, n: int, product: "Product", pool: Executor) -> Neighbours:
    """The `n` nearest of every row of `W_dec` [d_sae, d_in], without itself."""
    import torch

    norms = np.linalg.norm(W_dec, axis=1, keepdims=True)
    unit: Floats = np.divide(W_dec, np.where(norms > 0, norms, 1), dtype=np.float32)
    n = min(n, len(unit) - 1)

    def rows(begin: int) -> tuple[NDArray[np.int32], Floats]:
        cosines = product(unit[begin : begin + _ROWS], unit)
        own = np.arange(len(cosines))
        cosines[own, begin + own] = -np.inf
        top = torch.from_numpy(cosines).topk(n)
        return top.indices.int().numpy(), top.values.numpy()

    parts = pool.map(rows, range(0, len(unit), _ROWS))
    feature, cosine = map(np.concatenate, zip(*parts, strict=True))
    return Neighbours(feature, np.clip(cosine, -1, 1))


def layout(W_dec: Floats, near: Neighbours, kind: Layout, seed: int) -> Floats:
    """A place on a plane for every feature [d_sae, 2], dead ones too.

    "umap": UMAP (McInnes, Healy & Melville 2018) of the decoder directions by cosine,
    from `near`, which has at least `UMAP_NEIGHBOURS` - 1 of each. One thread and a
    seed: the same places every time. "pca": along the two directions in which they vary
    most; for when there is no time, or too few features (`layout_of`).
    """
    if kind == "pca":
        centred = W_dec - W_dec.mean(0)
        # eigh of [d_in, d_in]: d_sae may be large.
        _, directions = np.linalg.eigh(centred.T.astype(np.float64) @ centred)
        places = centred @ directions[:, :-3:-1]
        padded = np.zeros((len(W_dec), 2), np.float32)
        padded[:, : places.shape[1]] = places
        return padded
    import warnings

    with warnings.catch_warnings():
        # That transform() will not be had, and that a seed costs the other threads.
        warnings.simplefilter("ignore")
        from umap import UMAP

        _keep_compiled()
        n = UMAP_NEIGHBOURS
        own = np.arange(len(W_dec), dtype=np.int32)[:, None]
        index = np.hstack([own, near.feature[:, : n - 1]])
        distance = np.hstack([0 * own, 1 - near.cosine[:, : n - 1]])
        fitted = UMAP(
            n_neighbors=n,
            metric="cosine",
            n_epochs=UMAP_EPOCHS,
            random_state=seed,
            n_jobs=1,
            precomputed_knn=(index, distance.astype(np.float32)),
            force_approximation_algorithm=True,
        ).fit(W_dec)
    return np.ascontiguousarray(fitted.embedding_, dtype=np.float32)


def _keep_compiled() -> None:
    """Has numba keep UMAP's loops on the disk: UMAP itself has them compiled anew, for
    seconds, in every process."""
    import umap

    for module, name in _UMAP_LOOPS:
        loop = getattr(getattr(umap, module), name, None)
        # Without a folder for them, or in a UMAP that has others, all is as ever.
        if loop is not None and not loop.signatures:
            with contextlib.suppress(RuntimeError):
                loop.enable_caching()


def layout_of(d_sae: int, wanted: Layout) -> Layout:
    """How the map of `d_sae` features is made."""
    return wanted if d_sae >= UMAP_FROM else "pca"
