"""Where Unix's modules are missing, tinysae says so and starts nothing."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SENTENCE = "tinysae needs Linux or macOS (on Windows: WSL).\n"
# As on Windows: the module cannot be imported. The rest is what a person starts.
WITHOUT = "import runpy, sys; sys.modules[{module!r}] = None; {start}"
STARTS = {
    "the command line": "runpy.run_module('tinysae', run_name='__main__')",
    "the server": "runpy.run_path('app.py')",
    "a page": "runpy.run_path('pages/train.py', run_name='__main__')",
}


@pytest.mark.parametrize("module", ["fcntl", "resource"])
@pytest.mark.parametrize("start", STARTS.values(), ids=STARTS)
def test_without_a_module_of_unix_one_sentence_is_all_that_is_said(
    module: str, start: str
) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", WITHOUT.format(module=module, start=start)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    assert ended.stderr.endswith(SENTENCE)
    assert "Traceback" not in ended.stderr
