"""The loops that numba compiles at the first start in a folder, in good time.

A first training would wait half a minute for them. A process of its own compiles them
while somebody looks around, at the lowest priority, into numba's cache on the disk.
"""

import contextlib
import os
import subprocess
import sys
from pathlib import Path

from tinysae.jobs.launch import anybodys_environment
from tinysae.jobs.ready import SWITCH

COMMAND = "compile"
"""`python -m tinysae compile`: no command for people."""

PACKAGE = Path(__file__).parents[1]
# Those that take nearly all of the time.
SLOW = (
    PACKAGE / "sae" / "step" / "kernels" / "finding.py",
    PACKAGE / "features" / "names" / "rule_kernels.py",
)
# Whatever a page does comes first.
NICENESS = 19


def compile_early() -> bool:
    """Has a process compile what is not on the disk yet; returns at once.

    Returns:
        Whether one was started.
    """
    environment = anybodys_environment()
    if environment.get(SWITCH) == "off" or all(map(is_compiled, SLOW)):
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


def is_compiled(module: Path) -> bool:
    """Whether numba's cache beside `module` is of its present code, as far as can be
    told without numba; it may keep its cache elsewhere, and finds out at once then."""
    changed = module.stat().st_mtime
    caches = (module.parent / "__pycache__").glob(f"{module.stem}.*.nbi")
    return any(cache.stat().st_mtime >= changed for cache in caches)


def compile_all() -> None:
    """Compiles them, in this process; what cannot be compiled, a training will tell."""
    os.nice(NICENESS)
    from tinysae.features.names.rules import try_rules
    from tinysae.sae.step.engine import numba_problem

    if not numba_problem():
        try_rules()
