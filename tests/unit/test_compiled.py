"""What is compiled in good time at the first start, and that it is done once."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tinysae.features.names import rules
from tinysae.jobs.ready import SWITCH
from tinysae.worker import compiled, libraries


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One that nobody has compiled."""
    module = tmp_path / "loops.py"
    module.write_text("")
    monkeypatch.setattr(compiled, "LAST", (compiled.Loop(module, "sum"),))
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


def cache_of(module: Path, function: str = "sum") -> Path:
    cache = module.parent / "__pycache__" / f"{module.stem}.{function}-1.py311.nbi"
    cache.parent.mkdir(exist_ok=True)
    cache.write_text("")
    return cache


def test_loops_are_compiled_once(module: Path, started: list[list[str]]) -> None:
    assert compiled.compile_early()
    cache_of(module)
    assert not compiled.compile_early()
    assert [command[-1] for command in started] == [compiled.COMMAND]


def test_what_is_half_compiled_is_not_compiled(
    module: Path, started: list[list[str]]
) -> None:
    cache_of(module, "sum_of_squares")
    assert compiled.compile_early()
    assert len(started) == 1


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
    assert all(map(compiled.is_compiled, compiled.LAST))


@pytest.mark.parametrize("is_there", [False, True])
def test_no_job_waits_for_a_worker_that_compiles_rules(
    is_there: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[bool] = []
    monkeypatch.setattr(rules, "try_rules", lambda: tried.append(True))
    monkeypatch.setattr(libraries, "is_compiled", lambda _: is_there)
    loads = {load.__name__: load for load in libraries.libraries()}
    loads["_compile_rules"]()
    assert bool(tried) == is_there


INDEXED_AFTER_A_TRIAL = """
import sys
from pathlib import Path

from tests.builders import token_chunks, write_model, write_sae
from tinysae.features.index import kernels
from tinysae.features.index.build import build_index
from tinysae.features.index.trial import try_index
from tinysae.model.sources import load_model
from tinysae.sae.load import load_sae

def signatures():
    # What these call is compiled with them, or not at all where a cache has them.
    called = {name: each for name, each in vars(kernels).items() if name[0] != "_"}
    loops = {name: getattr(each, "signatures", None) for name, each in called.items()}
    return {name: found for name, found in loops.items() if found is not None}

try_index()
before, folder = signatures(), Path(sys.argv[1])
model, sae = load_model(str(write_model(folder / "model"))), load_sae(write_sae(folder))
chunks = token_chunks(model, 4)
build_index(sae, model, chunks, folder / "out", n_tokens=64, layout="pca")
assert all(before.values()), before
assert signatures() == before, (signatures(), before)
"""


@pytest.mark.slow
def test_an_index_needs_no_loops_but_those_that_were_compiled(tmp_path: Path) -> None:
    command = [sys.executable, "-c", INDEXED_AFTER_A_TRIAL, str(tmp_path)]
    done = subprocess.run(
        command, cwd=compiled.PACKAGE.parent, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
