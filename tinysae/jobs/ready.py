"""A worker that is ready: its libraries are there before there is a job for it.

A training's process imports torch, SAELens and TransformerLens for five to ten seconds
before its first step. A page from which one may be started keeps one process that has
done so and waits. `jobs.launch` hands it the job (the words of its command, its
environment, the job's lock and log); from then on it is what `launch` would have
started: a session of its own, the lock in its hands, gone with its job. Without a job
it ends with the server that keeps it, or after a while.

Nothing depends on it: where there is none, a process is started as ever.
"""

import contextlib
import json
import os
import select
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

COMMAND = "ready"
"""`python -m tinysae ready FD`: no command for people."""
SWITCH = "TINYSAE_READY_WORKER"
"""The environment variable that says "off" where nobody wants one: it holds 0.8 GB of
memory while it waits."""

PACKAGE = Path(__file__).parents[1]
# What it holds while it waits, and as much again for the pages beside it.
_LEAST_FREE_BYTES = 2 << 30
# Whoever has not pressed Start for so long, since it was ready, is not about to.
_PATIENCE_S = 15 * 60
# What a socket keeps for a process that is still importing: far more than an
# environment is, and less than any system's least.
_MOST_BYTES = 64 << 10


@dataclass(frozen=True)
class _Ready:
    """One that waits.

    Attributes:
        process: it.
        channel: this process's end of the socket at which it waits.
        environment: what it was started with.
        code: the package's newest change then.
    """

    process: "subprocess.Popen[bytes]"
    channel: socket.socket
    environment: Mapping[str, str]
    code: float


_waiting: _Ready | None = None
_lock = threading.Lock()


def prepare(environment: Mapping[str, str]) -> None:
    """Sees to it that a worker waits, or is on its way to; returns at once.

    Args:
        environment: what any job's process is told (`jobs.launch.worker_environment`).
    """
    global _waiting
    if environment.get(SWITCH) == "off" or not hasattr(socket, "send_fds"):
        return
    with _lock:
        if _waiting is not None and _is_fit(_waiting, environment):
            return
        _dismiss()
        if _free_bytes() >= _LEAST_FREE_BYTES:
            with contextlib.suppress(OSError):
                _waiting = _started(environment)


def waiting_process() -> int | None:
    """The process id of the worker that waits; None when none does."""
    return _waiting and _waiting.process.pid


def hand_over(
    words: Sequence[str],
    environment: Mapping[str, str],
    job_environment: Mapping[str, str],
    lock: int,
    log: int,
) -> bool:
    """Gives a job to the worker that waits; False when none does, or not one for it.

    Args:
        words: of the job's command; the number of the lock's file is added.
        environment: what any job's process would be told now.
        job_environment: what this job's is.
        lock, log: file descriptors: of the job's lock, and of what it prints to.
    """
    global _waiting
    told = {"words": list(words), "environment": dict(job_environment)}
    data = json.dumps(told).encode()
    with _lock:
        ready = _waiting
        if ready is None:
            return False
        is_of_now = ready.code == _newest_change() and len(data) <= _MOST_BYTES
        if not (is_of_now and _is_fit(ready, environment)):
            _dismiss()
            return False
        _waiting = None
        try:
            with ready.channel as channel:
                # Of a stream, a file descriptor needs a byte to travel with.
                socket.send_fds(channel, [b"\0"], [lock, log])
                channel.sendall(data)
        except OSError:
            # It died just now.
            ready.process.kill()
            return False
    return True


def awaited(channel: int, libraries: Iterable[Callable[[], object]]) -> list[str]:
    """In the process that waits: loads, waits, and becomes the worker of a job.

    Args:
        channel: the file descriptor of its end of the socket.
        libraries: each loads a part of what a job will need; when a job has come, what
            is left is left to it.

    Returns:
        The words of the job's command.

    Raises:
        SystemExit: no job came, or the server is gone.
    """
    with socket.socket(fileno=channel) as end:
        for load in libraries:
            load()
            if select.select([end], [], [], 0)[0]:
                break
        end.settimeout(_PATIENCE_S)
        try:
            _, descriptors, _, _ = socket.recv_fds(end, 1, 2)
            if len(descriptors) != 2:
                sys.exit(0)
            data = bytearray()
            while part := end.recv(_MOST_BYTES):
                data += part
        except OSError:
            sys.exit(0)
    told = json.loads(data)
    os.environ.clear()
    os.environ.update(told["environment"])
    lock, log = descriptors
    for stream in (1, 2):
        os.dup2(log, stream)
    os.close(log)
    return [*told["words"], "--lock-fd", str(lock)]


def _started(environment: Mapping[str, str]) -> _Ready:
    ours, its = socket.socketpair()
    with its:
        process = subprocess.Popen(
            [sys.executable, "-m", "tinysae", COMMAND, str(its.fileno())],
            cwd=PACKAGE.parent,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=[its.fileno()],
            start_new_session=True,
        )
    ours.settimeout(1)
    return _Ready(process, ours, dict(environment), _newest_change())


def _is_fit(ready: _Ready, environment: Mapping[str, str]) -> bool:
    """Whether it lives, and was told what it would be told now: libraries read some of
    the environment when they are imported."""
    return ready.process.poll() is None and ready.environment == environment


def _dismiss() -> None:
    global _waiting
    if _waiting is not None:
        # It hears the end of the socket; while it still imports, it does not listen.
        _waiting.channel.close()
        _waiting.process.kill()
        _waiting.process.wait()
        _waiting = None


def _newest_change() -> float:
    """When any module of the package was last changed, in seconds since the epoch."""
    return max(path.stat().st_mtime for path in PACKAGE.rglob("*.py"))


def _free_bytes() -> int:
    import psutil

    return psutil.virtual_memory().available
