"""Peak memory is this process's own."""

import subprocess
import sys

import numpy as np

from tinysae.jobs.memory import peak_memory_bytes

LARGE = 300_000_000


def test_what_was_taken_and_given_back_counts() -> None:
    held = np.ones(LARGE, np.uint8)
    del held
    assert peak_memory_bytes() > LARGE


def test_a_process_does_not_answer_for_who_started_it() -> None:
    held = np.ones(LARGE, np.uint8)
    program = "from tinysae.jobs.memory import peak_memory_bytes as p; print(p())"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True)
    assert 0 < int(found.stdout) < LARGE
    assert held[-1] == 1
