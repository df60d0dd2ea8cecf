"""A worker that waits for a job: what it is given, and when it is not used."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.test_worker import config_for, wait_for
from tinysae.config import TrainConfig
from tinysae.jobs import launch, ready
from tinysae.jobs.lock import is_locked
from tinysae.runs.store import Run, create_run, start_run

# What a process that waits says of the job that it was given, in its place.
SAYS = """
import json, os, sys
from tinysae.jobs.ready import awaited
words = awaited(int(sys.argv[1]), [])
print(json.dumps([words, os.environ.get("HF_TOKEN")]), flush=True)
sys.stdin.read()
"""
ENVIRONMENT = {"A": "1"}
PATIENCE_S = 180


@pytest.fixture
def waiting(monkeypatch: pytest.MonkeyPatch) -> Iterator[ready._Ready]:
    """One that waits, without libraries."""
    started = subprocess.Popen

    def popen(arguments: list[str], **more: object) -> "subprocess.Popen[bytes]":
        more |= {"stdin": subprocess.PIPE, "env": None}
        return started([sys.executable, "-c", SAYS, arguments[-1]], **more)  # type: ignore[call-overload]

    monkeypatch.setattr(ready.subprocess, "Popen", popen)
    ready.prepare(ENVIRONMENT)
    assert ready._waiting is not None
    found = ready._waiting
    yield found
    found.process.kill()
    found.process.wait()
    found.channel.close()
    monkeypatch.setattr(ready, "_waiting", None)


def handed_over(folder: Path, environment: dict[str, str] = ENVIRONMENT) -> bool:
    with (folder / "lock").open("wb") as lock, (folder / "log").open("wb") as log:
        return ready.hand_over(
            ["train", "a-run"],
            environment,
            {**environment, "HF_TOKEN": "secret"},
            *(lock.fileno(), log.fileno()),
        )


def test_a_job_is_handed_over_with_its_command_environment_and_log(
    waiting: ready._Ready, tmp_path: Path
) -> None:
    assert handed_over(tmp_path)
    log = tmp_path / "log"
    deadline = time.monotonic() + PATIENCE_S
    while not log.read_bytes().endswith(b"\n"):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    words, token = json.loads(log.read_text())
    assert words[:3] == ["train", "a-run", "--lock-fd"]
    assert token == "secret"
    # It has its job: the next one needs another.
    assert waiting.process.poll() is None
    assert not handed_over(tmp_path)


@pytest.mark.usefixtures("waiting")
def test_one_that_was_told_something_else_is_not_used(tmp_path: Path) -> None:
    assert not handed_over(tmp_path, {"A": "2"})
    assert ready._waiting is None


@pytest.mark.usefixtures("waiting")
def test_one_with_older_code_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ready, "_newest_change", lambda: time.time())
    assert not handed_over(tmp_path)


def test_one_that_died_is_not_used_and_another_takes_its_place(
    waiting: ready._Ready, tmp_path: Path
) -> None:
    waiting.process.kill()
    waiting.process.wait()
    assert not handed_over(tmp_path)
    ready.prepare(ENVIRONMENT)
    assert ready._waiting is not None
    assert ready._waiting.process.poll() is None
    ready._dismiss()


def test_it_is_kept_until_it_is_needed(waiting: ready._Ready) -> None:
    ready.prepare(ENVIRONMENT)
    assert ready._waiting is waiting


def test_it_ends_with_who_started_it(waiting: ready._Ready) -> None:
    waiting.channel.close()
    assert waiting.process.wait(PATIENCE_S) == 0


def test_none_waits_where_it_is_switched_off_or_memory_is_short(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ready.prepare({**ENVIRONMENT, ready.SWITCH: "off"})
    monkeypatch.setattr(ready, "_free_bytes", lambda: 1 << 30)
    ready.prepare(ENVIRONMENT)
    assert ready._waiting is None


def weights_of(run: Run) -> bytes:
    """The SAE's, as soon as they are there; its features are left to another day."""
    wait_for(lambda: run.status.state == "evaluating", "the trained SAE")
    weights = (run.sae_dir / "sae_weights.safetensors").read_bytes()
    run.request_stop()
    wait_for(lambda: not run.status.is_working and not is_locked(run.path), "the stop")
    return weights


@pytest.mark.slow
@pytest.mark.usefixtures("tiny_home")
def test_a_run_of_a_worker_that_was_ready_is_the_same_run(
    tiny_model_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = config_for(tiny_model_dir)
    plain = weights_of(start_run(config))
    monkeypatch.delenv(ready.SWITCH)
    launch.make_ready()
    assert ready._waiting is not None
    process = ready._waiting.process
    run = start_run(config)
    assert ready._waiting is None
    assert weights_of(run) == plain
    assert process.wait(PATIENCE_S) == 0
    assert "measuring the SAE" in run.log_path.read_text()


@pytest.mark.usefixtures("tiny_home")
def test_without_one_a_process_is_started_as_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr(
        launch.subprocess, "Popen", lambda words, **_: started.append(words)
    )
    run = create_run(TrainConfig())
    launch.launch(run, "train")
    assert started[0][1:5] == ["-m", "tinysae", "train", run.id]
