import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tinysae.config import TrainConfig
from tinysae.errors import BusyError, DamagedError, InputError, MissingError
from tinysae.runs import launch
from tinysae.runs.files import staged_folder, write_json
from tinysae.runs.metrics import MetricsLog, StepMetrics, read_metrics
from tinysae.runs.store import (
    LOCK_NAME,
    Run,
    RunStatus,
    create_run,
    list_runs,
    open_run,
    runs_dir,
    write_status,
)

ROW: StepMetrics = {
    "step": 0,
    "n_tokens": 10,
    "mse": 1.0,
    "l1": 2.0,
    "loss": 3.0,
    "l0": 4.0,
    "explained_variance": 0.5,
    "n_dead": 0,
    "lr": 1e-3,
}


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TINYSAE_HOME", str(tmp_path))


@pytest.fixture
def run() -> Run:
    return create_run(TrainConfig(name="one"))


def test_a_created_run_is_found_again(run: Run) -> None:
    assert open_run(run.id) == run
    assert list_runs() == [run]


@pytest.mark.parametrize(
    "name", ["../x", "/etc", "..", ".", "", "a/b", "A", "x" * 65, "-x", "a\n", "a\0b"]
)
def test_what_is_no_run_id_is_refused(name: str) -> None:
    with pytest.raises(InputError):
        open_run(name)


def test_a_link_or_a_sibling_with_the_same_prefix_is_no_run(
    run: Run, tmp_path: Path
) -> None:
    (runs_dir() / "linked").symlink_to(run.path)
    with pytest.raises(MissingError):
        open_run("linked")
    sibling = tmp_path / "runs-other"
    sibling.mkdir()
    with pytest.raises(InputError):
        open_run("../runs-other")
    with pytest.raises(MissingError):
        open_run(run.id[:-1])
    assert list_runs() == [run]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 1, "lr": "x"}'])
def test_a_damaged_config_hides_one_run_and_no_other(run: Run, text: str) -> None:
    other = create_run(TrainConfig(name="two"))
    (other.path / "config.json").write_text(text)
    with pytest.raises((DamagedError, InputError)):
        open_run(other.id)
    assert list_runs() == [run]
    assert other.path.is_dir()


def test_working_without_a_worker_is_interrupted(run: Run) -> None:
    write_status(run.path, RunStatus("training", done=5, total=10))
    assert run.status.state == "interrupted"
    with (run.path / LOCK_NAME).open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert run.status == RunStatus("training", done=5, total=10, error_values={})
    assert run.status.state == "interrupted"


def test_a_final_state_needs_no_worker(run: Run) -> None:
    write_status(run.path, RunStatus("failed", error="error.diverged"))
    assert run.status.state == "failed"
    assert run.status.error == "error.diverged"


@pytest.mark.parametrize(
    "text", ["", "{", '{"state": "dancing"}', "[1]", '{"state":1}']
)
def test_a_damaged_status_reads_as_interrupted(run: Run, text: str) -> None:
    (run.path / "status.json").write_text(text)
    assert run.status.state == "interrupted"


def test_a_status_with_wrong_types_is_still_a_status(run: Run) -> None:
    (run.path / "status.json").write_text(
        json.dumps({"state": "done", "done": "x", "eta_s": None, "error_values": 3})
    )
    assert run.status.state == "done"
    assert run.status.done == 0


def test_metrics_are_read_from_where_reading_stopped(run: Run) -> None:
    with MetricsLog(run.metrics_path) as log:
        log.append(ROW)
        first = read_metrics(run.metrics_path)
        log.append({**ROW, "step": 1})
        second = read_metrics(run.metrics_path, first.offset)
    assert [row["step"] for row in first.rows] == [0]
    assert [row["step"] for row in second.rows] == [1]


def test_a_torn_last_line_waits_and_a_damaged_line_is_passed_over(run: Run) -> None:
    whole = json.dumps(ROW)
    run.metrics_path.write_text(whole + "\nnot json\n" + whole + "\n" + whole[:20])
    part = read_metrics(run.metrics_path)
    assert len(part.rows) == 2
    with run.metrics_path.open("a") as file:
        file.write(whole[20:] + "\n")
    assert len(read_metrics(run.metrics_path, part.offset).rows) == 1


def test_no_metrics_yet_are_no_rows(run: Run) -> None:
    assert read_metrics(run.metrics_path).rows == []


def test_write_json_replaces_or_leaves_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"n": 1})
    with pytest.raises(TypeError):
        write_json(path, {"n": object()})
    assert json.loads(path.read_text()) == {"n": 1}
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.json"]


def test_a_staged_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "sae"

    def half() -> None:
        with staged_folder(target) as stage:
            (stage / "a").write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        half()
    assert list(tmp_path.iterdir()) == []
    for text in ("old", "new"):
        with staged_folder(target) as stage:
            (stage / "a").write_text(text)
    assert (target / "a").read_text() == "new"
    assert list(tmp_path.iterdir()) == [target]


def test_an_unwritable_home_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setenv("TINYSAE_HOME", str(blocked))
    with pytest.raises(MissingError, match="TINYSAE_HOME"):
        launch.start(TrainConfig())


def test_a_second_start_is_refused_while_a_run_is_working(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_status(run.path, RunStatus("training"))
    monkeypatch.setattr(launch, "launch", lambda *_: pytest.fail("a second worker"))
    with (run.path / LOCK_NAME).open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(BusyError, match="one"):
            launch.start(TrainConfig())
    assert list_runs() == [run]


def test_a_run_with_a_worker_gets_no_second_one(run: Run) -> None:
    with (run.path / LOCK_NAME).open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(BusyError):
            launch.launch(run, "train")


def test_the_worker_holds_the_lock_that_its_parent_took(
    run: Run,
) -> None:
    code = "import sys; sys.stdin.read()"
    with (run.path / LOCK_NAME).open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        child = subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            pass_fds=[lock.fileno()],
        )
    write_status(run.path, RunStatus("training"))
    assert run.status.state == "training"
    os.kill(child.pid, 9)
    child.wait()
    assert run.status.state == "interrupted"
    assert child.stdin is not None
    child.stdin.close()


def test_a_stop_request_is_heard_and_forgotten_at_the_next_launch(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    launch.request_stop(run)
    assert launch.stop_requested(run.path)
    monkeypatch.setattr(launch.subprocess, "Popen", lambda *_, **__: None)
    launch.launch(run, "train")
    assert not launch.stop_requested(run.path)
