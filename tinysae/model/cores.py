"""How many cores a computation gets, and how many are taken."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

# Multiplications below which one core is used (tens of milliseconds' worth). Two gain
# little on so few, and lose much when a training run has them busy: each product then
# waits for its slower half, and writing a token took 24 ms instead of 2.
FEW = 5e8


@contextmanager
def cores_for(n_multiplications: float) -> Iterator[None]:
    """Inside, this thread's torch runs on one core if there is little to do."""
    import torch

    n_threads = torch.get_num_threads()
    if n_multiplications >= FEW or n_threads == 1:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(n_threads)


def busy_cores() -> float:
    """How many cores were busy in the last minute, whoever kept them so; 0 where the
    system does not say."""
    try:
        return os.getloadavg()[0]
    except OSError:
        return 0.0
