"""Which library computes the encoder's product: the one dense product of a step.

On AMD processors torch's MKL runs at a third of the speed of oneDNN, which torch brings
along too, and at two thirds of numpy's OpenBLAS; elsewhere it can be the other way
round. So they are timed, once a machine: the choice decides the last bits of a run, and
is kept so that runs stay reproducible. A library whose product is wrong is never taken.
"""

import logging
import os
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from tinysae.jobs.files import changing, read_json, write_json

if TYPE_CHECKING:
    from numpy.typing import NDArray

    # a [m, k], b [n, k] -> a b^T [m, n], all of them contiguous float32.
    Product = Callable[[NDArray[np.float32], NDArray[np.float32]], NDArray[np.float32]]

logger = logging.getLogger(__name__)

CACHE_NAME = "blas.json"
# A product as a step's, but a tenth of a second altogether.
_ROWS, _TOKENS, _WIDTH, _REPEATS = 512, 1024, 256, 5
# float32 sums of 256 products of normals; tf32 or bfloat16 would miss it by far.
_TOLERANCE = 1e-5


def by_onednn(
    a: "NDArray[np.float32]", b: "NDArray[np.float32]"
) -> "NDArray[np.float32]":
    import torch

    x, y = torch.from_numpy(a), torch.from_numpy(b)
    # What torch.compile makes of nn.Linear on a CPU.
    return torch.ops.mkldnn._linear_pointwise(x, y, None, "none", [], "").numpy()


def by_numpy(
    a: "NDArray[np.float32]", b: "NDArray[np.float32]"
) -> "NDArray[np.float32]":
    return a @ b.T


def by_torch(
    a: "NDArray[np.float32]", b: "NDArray[np.float32]"
) -> "NDArray[np.float32]":
    import torch

    return (torch.from_numpy(a) @ torch.from_numpy(b).T).numpy()


PRODUCTS: dict[str, "Product"] = {
    "onednn": by_onednn,
    "numpy": by_numpy,
    "torch": by_torch,
}


def choose_product(wanted: str | None = None) -> str:
    """A name of `PRODUCTS`: `wanted` if it works here, else this machine's fastest.

    Takes a tenth of a second, once a machine and version; a cache that cannot be
    written costs that time again.
    """
    if wanted in PRODUCTS and is_right(PRODUCTS[wanted]):
        return wanted
    if wanted is not None:
        logger.warning("the product by %s is not to be had here", wanted)
    path, machine = _cache_path(), _machine()
    try:
        known = read_json(path)[machine]
        if known in PRODUCTS and is_right(PRODUCTS[known]):
            return known
    except (OSError, ValueError, KeyError, TypeError):
        pass
    chosen = _fastest()
    _remember(path, machine, chosen)
    return chosen


def is_right(product: "Product") -> bool:
    """Whether `product` works here, in float32's precision."""
    a, b = _sample(64, 96)
    try:
        # numpy's too: its other thread would spin for a tenth of a second after that.
        with one_thread():
            computed = product(a, b)
            exact = a.astype(np.float64) @ b.T.astype(np.float64)
    except Exception:
        # Whatever a build of torch lacks: another library is taken.
        logger.info("a product fails", exc_info=True)
        return False
    return bool(np.abs(computed - exact).max() <= _TOLERANCE * np.abs(exact).max())


@contextmanager
def one_thread() -> Iterator[None]:
    """Every library's products on the calling thread alone, while inside.

    The engine has threads of its own, one a core, and each computes its own product.
    """
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with _loaded_libraries().limit(limits=1, user_api="blas"):
            yield
    finally:
        torch.set_num_threads(before)


@cache
def _loaded_libraries() -> Any:
    # Looking for them takes milliseconds: once. numpy and torch are imported by now.
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def _fastest() -> str:
    a, b = _sample(_ROWS, _TOKENS)
    took: dict[str, list[float]] = {n: [] for n, p in PRODUCTS.items() if is_right(p)}
    with one_thread():
        # In turns, so that a busy moment falls on all of them.
        for turn in range(_REPEATS + 1):
            for name, times in took.items():
                started = time.thread_time()
                PRODUCTS[name](a, b)
                # The first builds its kernels.
                if turn:
                    times.append(time.thread_time() - started)
    seconds = {name: median(times) for name, times in took.items()}
    times = ", ".join(f"{name} {took * 1e3:.1f} ms" for name, took in seconds.items())
    logger.info("what a matrix product takes here: %s", times)
    return min(seconds, key=lambda name: seconds[name])


def _sample(m: int, n: int) -> "tuple[NDArray[np.float32], NDArray[np.float32]]":
    rng = np.random.default_rng(0)
    a = rng.standard_normal((m, _WIDTH), dtype=np.float32)
    return a, rng.standard_normal((n, _WIDTH), dtype=np.float32)


def _cache_path() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "tinysae" / CACHE_NAME


def _machine() -> str:
    import torch

    try:
        cpu = Path("/proc/cpuinfo").read_text().split("model name")[1].splitlines()[0]
    except (OSError, IndexError):
        cpu = platform.processor()
    cpu = cpu.strip(" \t:")
    return f"{platform.node()} {cpu}, torch {torch.__version__}, numpy {np.__version__}"


def _remember(path: Path, machine: str, chosen: str) -> None:
    try:
        with changing(path):
            try:
                known = read_json(path)
            except (OSError, ValueError):
                known = {}
            write_json(path, {**known, machine: chosen})
    except OSError:
        logger.info("%s cannot be written: timed anew every time", path)
