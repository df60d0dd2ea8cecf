"""Runs' workers as this process's children: found, timed, killed; nobody else's."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tinysae.runs.store import Run, is_locked

# For a machine that others use as well.
PATIENCE_S = 300
LOOK_EVERY_S = 0.003


def wait_for(
    condition: Callable[[], Any], what: str, patience: float = PATIENCE_S
) -> float:
    """Waits until `condition` holds; returns the seconds that took.

    Raises:
        TimeoutError: it did not.
    """
    started = time.monotonic()
    while not condition():
        if time.monotonic() - started > patience:
            raise TimeoutError(f"waited {patience} s for {what}")
        time.sleep(LOOK_EVERY_S)
    return time.monotonic() - started


def ended(run: Run) -> bool:
    return not run.status.is_working and not is_locked(run.path)


def processes() -> dict[int, tuple[int, list[bytes]]]:
    """Of every process: its parent and the words of its command."""
    found: dict[int, tuple[int, list[bytes]]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError, IndexError):
                parent = int(stat(int(entry.name))[1])
                words = (entry / "cmdline").read_bytes().split(b"\0")
                found[int(entry.name)] = (parent, words)
    return found


def stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the third on: state, parent, ..."""
    # A command may have spaces and brackets in its name.
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def cpu_s(pid: int) -> float:
    """CPU seconds of a process, all its threads, without its children."""
    user, system = stat(pid)[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def own_workers() -> dict[int, list[bytes]]:
    """Workers that this process started: nobody else's are ever touched."""
    return {
        pid: words
        for pid, (parent, words) in processes().items()
        if parent == os.getpid() and b"tinysae" in words and b"--lock-fd" in words
    }


def worker_of(run: Run) -> int:
    """The run's worker, as soon as there is one."""
    found: list[int] = []

    def look() -> bool:
        found[:] = [pid for pid, w in own_workers().items() if run.id.encode() in w]
        return bool(found)

    wait_for(look, "the worker")
    return found[0]


def kill_own_workers() -> None:
    for pid in own_workers():
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@contextmanager
def home_at(folder: Path) -> Iterator[None]:
    folder.mkdir(exist_ok=True)
    os.environ["TINYSAE_HOME"] = str(folder)
    try:
        yield
    finally:
        kill_own_workers()
