"""What is compiled in good time at the first start, and that it is done once."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tinysae.jobs.ready import SWITCH
from tinysae.worker import compiled


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One that nobody has compiled."""
    module = tmp_path / "loops.py"
    module.write_text("")
    monkeypatch.setattr(compiled, "SLOW", (module,))
    monkeypatch.delenv(SWITCH, raising=False)
    return module


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands of the processes that are started, which are not."""
    commands: list[list[str]] = []

    def popen(command: list[str], **_: object) -> None:
        commands.append(command)

    monkeypatch.setattr(compiled.subprocess, "Popen", popen)
    return commands


def cache_of(module: Path) -> Path:
    cache = module.parent / "__pycache__" / f"{module.stem}.sum-1.py311.nbi"
    cache.parent.mkdir()
    cache.write_text("")
    return cache


def test_loops_are_compiled_once(module: Path, started: list[list[str]]) -> None:
    assert compiled.compile_early()
    cache_of(module)
    assert not compiled.compile_early()
    assert [command[-1] for command in started] == [compiled.COMMAND]


def test_new_code_is_compiled_anew(module: Path, started: list[list[str]]) -> None:
    changed = cache_of(module).stat().st_mtime + 1
    os.utime(module, (changed, changed))
    assert compiled.compile_early()
    assert len(started) == 1


@pytest.mark.usefixtures("module")
def test_no_process_where_nobody_wants_one(
    started: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SWITCH, "off")
    assert not compiled.compile_early()
    assert not started


def test_the_command_compiles_what_a_training_needs() -> None:
    command = [sys.executable, "-m", "tinysae", compiled.COMMAND]
    done = subprocess.run(
        command, cwd=compiled.PACKAGE.parent, capture_output=True, text=True, check=True
    )
    assert done.stdout == done.stderr == ""
    assert all(map(compiled.is_compiled, compiled.SLOW))
