"""The loops that numba compiles at the first start in a folder, in good time.

A first training would wait for them. A process of its own compiles them while somebody
looks around, into numba's cache on the disk.
"""

import contextlib
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from tinysae.jobs.launch import anybodys_environment
from tinysae.jobs.ready import SWITCH

COMMAND = "compile"
"""`python -m tinysae compile`: no command for people."""

PACKAGE = Path(__file__).parents[1]


class Loop(NamedTuple):
    """A compiled function of a module."""

    module: Path
    function: str


_FEATURES = PACKAGE / "features"
STEP = Loop(PACKAGE / "sae" / "step" / "kernels" / "finding.py", "to_columns")
RULES = Loop(_FEATURES / "names" / "score_kernels.py", "score")
INDEX = Loop(_FEATURES / "index" / "kernels.py", "row_histograms")
# The last that is compiled of each part.
LAST = (STEP, RULES, INDEX)


def compile_early() -> bool:
    """Has a process compile what is not on the disk yet; returns at once.

    Returns:
        Whether one was started.
    """
    environment = anybodys_environment()
    if environment.get(SWITCH) == "off" or all(map(is_compiled, LAST)):
        return False
    # Without it, a training compiles them.
    with contextlib.suppress(OSError):
        subprocess.Popen(
            [sys.executable, "-m", "tinysae", COMMAND],
            cwd=PACKAGE.parent,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            # What is half compiled when the server ends is of use to the next one.
            start_new_session=True,
        )
    return True


def is_compiled(loop: Loop) -> bool:
    """Whether numba's cache beside its module is of its present code, as far as can be
    told without numba; it may keep its cache elsewhere, and finds out at once then."""
    module, function = loop
    changed = module.stat().st_mtime
    caches = (module.parent / "__pycache__").glob(f"{module.stem}.{function}-*.nbi")
    return any(cache.stat().st_mtime >= changed for cache in caches)


def compile_all() -> None:
    """Compiles them, in this process; what cannot be compiled, a training will tell.

    What it needs first comes first: the step, then what its first index needs.
    """
    from tinysae.worker.load import be_nice

    # As a training's process, not more: a training that has begun leaves it its part
    # of the cores, and would otherwise compile by itself, on one of them.
    be_nice()
    from tinysae.features.index.trial import try_index
    from tinysae.features.names.rules import try_rules
    from tinysae.sae.step.engine import numba_problem

    if not numba_problem():
        try_rules()
        try_index()
