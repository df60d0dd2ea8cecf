"""Starting a job's process: one that no closed browser, terminal or server ends.

The parent takes the job's lock and hands it down, so that from the first instant there
is either a worker or no lock. Running jobs elsewhere is another `launch`.
"""

import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tinysae.jobs import ready
from tinysae.jobs.files import open_private
from tinysae.jobs.home import home_errors
from tinysae.jobs.job import Job

CHECKOUT = Path(__file__).parents[2]
# Environment variables that hold what gives access to something: by their names, or by
# a login in an address.
_SECRET = re.compile(
    r"PASSW(OR)?D|PASSPHRASE|SECRET|CREDENTIAL|WEBHOOK|CONNECTION_STRING"
    r"|TOKENS?(_|$)|(API|ACCESS|AUTH|PRIVATE)_?KEYS?(_|$)"
    r"|(^|_)(KEYS?|PASS|PAT|AUTH|JWT)(_|$)|_PWD(_|$)",
    re.I,
)
_LOGIN = re.compile(r"://[^/@\s]+@")
# Whoever goes out goes through it.
_PROXY = "_proxy"
# Named as one, but a switch.
_NO_SECRETS = frozenset({"HF_HUB_DISABLE_IMPLICIT_TOKEN"})
# How the names of those begin that the hub's client and wandb read (`Job.keys`).
HUB_KEYS, WANDB_KEYS = ("HF_", "HUGGING_FACE_HUB_"), ("WANDB_",)


def launch(job: Job, command: str) -> None:
    """Runs `python -m tinysae COMMAND JOB` as the job's only worker.

    Raises:
        BusyError: the job has a worker already.
        MissingError: the job's folder cannot be written.
    """
    with (
        home_errors(),
        job.locked() as lock,
        open_private(job.log_path, "ab") as log,
    ):
        # Here, so that who asked sees it at once: the worker needs a moment.
        job.enqueue()
        words = [command, job.argument]
        environment = worker_environment(os.environ, job.keys)
        descriptors = (lock.fileno(), log.fileno())
        if ready.hand_over(words, anybodys_environment(), environment, *descriptors):
            return
        words += ["--lock-fd", str(lock.fileno())]
        subprocess.Popen(
            [sys.executable, "-m", "tinysae", *words],
            cwd=CHECKOUT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            # It holds the lock on when this process lets go of it.
            pass_fds=[lock.fileno()],
            start_new_session=True,
        )


def make_ready() -> None:
    """Has a process import what a training needs, for the next `launch` to be quick."""
    ready.prepare(anybodys_environment())


def anybodys_environment() -> dict[str, str]:
    """What the process of any job is told of this one's environment."""
    return worker_environment(os.environ, ())


def worker_environment(
    environment: Mapping[str, str], keys: Sequence[str]
) -> dict[str, str]:
    """What a job's process is told of `environment`: no secret that it does not need.

    Args:
        keys: how the names of the secrets begin that it does need.
    """

    def is_told(name: str, value: str) -> bool:
        if name in _NO_SECRETS or name.startswith(tuple(keys)):
            return True
        if _LOGIN.search(value):
            return bool(keys) and name.lower().endswith(_PROXY)
        return not _SECRET.search(name)

    kept = {name: value for name, value in environment.items() if is_told(name, value)}
    return {**kept, "PYTHONUNBUFFERED": "1"}
