import errno
import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.builders import step_row, working
from tinysae.config import TrainConfig
from tinysae.errors import BusyError, DamagedError, InputError, MissingError
from tinysae.jobs import job, launch, status
from tinysae.jobs.files import staged_folder, write_json
from tinysae.jobs.home import is_disk_full
from tinysae.jobs.job import Job
from tinysae.jobs.lock import LOCK_NAME
from tinysae.jobs.status import JobStatus, write_status
from tinysae.jobs.turns import jobs_before, n_ahead, wait_for_turn
from tinysae.runs import trash
from tinysae.runs.checkpoints import (
    SAE_NAME,
    checkpoints,
    new_checkpoint,
)
from tinysae.runs.metrics import MetricsLog, read_metrics
from tinysae.runs.store import (
    Run,
    create_run,
    list_runs,
    open_run,
    runs_dir,
    start_run,
    write_made_with,
)
from tinysae.sae.rows import StepMetrics

ROW = step_row()


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


def test_ids_of_one_second_sort_by_time_too(monkeypatch: pytest.MonkeyPatch) -> None:
    moments = [5 * 10**9 + n * 10**6 for n in (0, 1, 10, 500, 999)]
    clock = iter(moments)
    monkeypatch.setattr(job.time, "time_ns", lambda: next(clock))
    monkeypatch.setattr(job, "_last_tick", 0)
    ids = [job.new_job_id() for _ in moments]
    assert ids == sorted(ids)
    assert len({name[:15] for name in ids}) == 1
    assert all(job.JOB_ID.fullmatch(name) for name in ids)


def test_ids_of_one_instant_sort_as_they_were_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A sweep would wait for its own first point, whose id came before its own.
    monkeypatch.setattr(job.time, "time_ns", lambda: 5 * 10**9)
    monkeypatch.setattr(job, "_last_tick", 0)
    ids = [job.new_job_id() for _ in range(2 * job.TICKS)]
    assert ids == sorted(ids)
    assert all(job.JOB_ID.fullmatch(name) for name in ids)


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
    write_status(run.path, JobStatus("training", done=5, total=10))
    assert run.status.state == "interrupted"
    with (run.path / LOCK_NAME).open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert run.status == JobStatus("training", done=5, total=10, error_values={})
    assert run.status.state == "interrupted"


def test_a_final_state_needs_no_worker(run: Run) -> None:
    write_status(run.path, JobStatus("failed", error="error.diverged"))
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


@pytest.mark.parametrize("number", ["1" * 400, "NaN", "Infinity", "-1"])
def test_a_status_with_a_number_that_counts_nothing_is_still_a_status(
    run: Run, number: str
) -> None:
    (run.path / "status.json").write_text(
        f'{{"state":"done","done":{number},"total":{number}}}'
    )
    assert (run.status.state, run.status.done, run.status.total) == ("done", 0, 0)


@pytest.mark.parametrize("number", ["1" * 400, "NaN", "Infinity"])
def test_a_time_that_no_clock_shows_is_not_told(run: Run, number: str) -> None:
    (run.path / "status.json").write_text(f'{{"state":"done","eta_s":{number}}}')
    assert run.status.eta_s is None


def test_metrics_are_read_from_where_reading_stopped(run: Run) -> None:
    with MetricsLog[StepMetrics](run.metrics_path) as log:
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


@pytest.mark.parametrize("value", ['"1"', "1" * 400, "null", "[[]]", "{}"])
def test_a_row_with_something_else_than_figures_is_passed_over(
    run: Run, value: str
) -> None:
    line = json.dumps({**ROW, "mse": None}).replace("null", value)
    run.metrics_path.write_text(line + "\n" + json.dumps(ROW) + "\n")
    assert read_metrics(run.metrics_path).rows == [ROW]


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


def test_a_folder_that_cannot_be_replaced_is_still_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "sae"
    with staged_folder(target) as stage:
        (stage / "a").write_text("old")
    real = Path.replace

    def replace(path: Path, other: Path) -> Path:
        if path.name.startswith(".sae."):
            raise OSError(errno.EIO, "Input/output error")
        return real(path, other)

    monkeypatch.setattr(Path, "replace", replace)
    with pytest.raises(OSError, match="Input"), staged_folder(target) as stage:
        (stage / "a").write_text("new")
    assert (target / "a").read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_what_a_crash_caught_between_two_renames_is_put_back(run: Run) -> None:
    (run.path / ".sae.abc" / "sae").mkdir(parents=True)
    (run.path / ".sae.abc" / "sae" / "weights").write_text("old")
    (run.path / ".sae.def").mkdir()
    (run.path / ".sae.def" / "weights").write_text("half")
    (run.path / "features").mkdir()
    (run.path / "features" / "index").write_text("new")
    (run.path / ".features.abc" / "features").mkdir(parents=True)
    (run.path / ".eval.json.abc").write_text("half")
    run.clear_unfinished()
    assert (run.path / "sae" / "weights").read_text() == "old"
    assert (run.path / "features" / "index").read_text() == "new"
    assert not list(run.path.glob(".*"))


def test_an_unwritable_home_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setenv("TINYSAE_HOME", str(blocked))
    with pytest.raises(MissingError, match="TINYSAE_HOME"):
        start_run(TrainConfig())


def ids(jobs: Sequence[Job]) -> list[str]:
    return [job.id for job in jobs]


def older_run(run: Run, number: int = 0) -> Run:
    """A run that was created before `run`."""
    path = runs_dir() / f"20200101-00000{number}-000000"
    shutil.copytree(run.path, path)
    return open_run(path.name)


def test_the_oldest_waiting_run_has_the_turn(run: Run) -> None:
    first = older_run(run)
    with working(first, "queued"), working(run, "queued"):
        assert ids(jobs_before(run)) == [first.id]
        assert jobs_before(first) == []
        assert (n_ahead(run), n_ahead(first)) == (1, 0)
        turn = wait_for_turn(first)
        assert turn is not None
        write_status(first.path, JobStatus("training"))
        assert jobs_before(run) == []
        assert n_ahead(run) == 1
        waits: list[float] = []

        def sleep(seconds: float) -> None:
            waits.append(seconds)
            if len(waits) == 3:
                turn.close()

        second = wait_for_turn(run, sleep)
        assert second is not None
        assert len(waits) == 3
        second.close()


def test_a_waiting_run_that_died_is_waited_for_no_more(run: Run) -> None:
    first = older_run(run)
    write_status(first.path, JobStatus("queued"))
    turn = wait_for_turn(run, lambda _: pytest.fail("it waited"))
    assert turn is not None
    turn.close()


def test_a_waiting_run_can_be_stopped(run: Run) -> None:
    first = older_run(run)
    with working(first, "queued"):
        looked = wait_for_turn(run, lambda _: run.request_stop())
        assert looked is None
        assert run.stop_requested


def test_a_deleted_run_comes_back_whole(run: Run) -> None:
    (run.path / "sae").mkdir()
    (run.path / "sae" / "weights").write_text("w")
    write_status(run.path, JobStatus("done"))
    trash.delete(run)
    assert list_runs() == []
    assert [deleted.id for deleted in trash.deleted_runs()] == [run.id]
    trash.restore(run.id)
    assert list_runs() == [run]
    assert (run.path / "sae" / "weights").read_text() == "w"
    assert trash.deleted_runs() == []
    with pytest.raises(MissingError):
        trash.restore(run.id)


def test_a_working_run_is_not_deleted(run: Run) -> None:
    with working(run), pytest.raises(BusyError, match="one"):
        trash.delete(run)
    assert list_runs() == [run]


@pytest.mark.parametrize("name", ["../x", "/etc", ".trash", "", "a/b"])
def test_the_trash_gives_back_only_runs(name: str, run: Run) -> None:
    write_status(run.path, JobStatus("done"))
    trash.delete(run)
    with pytest.raises(InputError):
        trash.restore(name)


def test_an_emptied_trash_is_empty(run: Run) -> None:
    write_status(run.path, JobStatus("done"))
    trash.delete(run)
    trash.empty_trash()
    assert trash.deleted_runs() == []
    trash.empty_trash()


def test_the_newest_checkpoint_replaces_those_that_nobody_asked_for(run: Run) -> None:
    for step in (1, 2, 30):
        with new_checkpoint(run, step) as stage:
            (stage / "state").write_text(str(step))
            if step == 2:
                (stage / SAE_NAME).mkdir()
    assert [c.step for c in checkpoints(run)] == [2, 30]
    assert [c.is_kept for c in checkpoints(run)] == [True, False]
    assert (checkpoints(run)[-1].path / "state").read_text() == "30"


def test_a_checkpoint_that_fails_leaves_the_older_one(run: Run) -> None:
    with new_checkpoint(run, 1) as stage:
        (stage / "state").write_text("1")
    with pytest.raises(OSError, match="full"), new_checkpoint(run, 2):
        raise OSError("full")
    assert [c.step for c in checkpoints(run)] == [1]
    (run.checkpoints_dir / ".000000003.abc").mkdir()
    (run.path / ".status.json.abc").write_text("")
    run.clear_unfinished()
    assert [entry.name for entry in run.checkpoints_dir.iterdir()] == ["000000001"]
    assert not list(run.path.glob(".*"))


def test_strange_entries_are_no_checkpoints(run: Run, tmp_path: Path) -> None:
    run.checkpoints_dir.mkdir()
    (run.checkpoints_dir / "notes").mkdir()
    (run.checkpoints_dir / "12").write_text("")
    (run.checkpoints_dir / "13").symlink_to(tmp_path)
    assert checkpoints(run) == []


def test_on_a_full_disk_the_reserve_makes_room_for_the_last_words(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = status.write_json
    reserve = run.path / status.RESERVE_NAME
    assert reserve.stat().st_size == status.RESERVE_BYTES

    def write_json(path: Path, data: Any, **how: bool) -> None:
        if reserve.exists():
            raise OSError(errno.ENOSPC, "No space left on device")
        real(path, data, **how)

    monkeypatch.setattr(status, "write_json", write_json)
    # A run that still works would use it up before there is a last word.
    with pytest.raises(OSError, match="No space"):
        write_status(run.path, JobStatus("training", done=1))
    assert reserve.exists()
    write_status(run.path, JobStatus("failed", error="error.home_unwritable"))
    assert run.status.state == "failed"
    assert not reserve.exists()


def test_half_a_reserve_is_none(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    reserve = run.path / status.RESERVE_NAME
    reserve.unlink()

    class Full(BytesIO):
        def write(self, data: Any, /) -> int:
            reserve.write_bytes(data[:10])
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(status, "open_private", lambda *_: Full())
    with pytest.raises(OSError, match="No space"):
        status.keep_reserve(run.path)
    assert not reserve.exists()
    monkeypatch.undo()
    status.keep_reserve(run.path)
    assert reserve.stat().st_size == status.RESERVE_BYTES


@pytest.mark.parametrize(
    ("problem", "is_full"),
    [
        (OSError(errno.ENOSPC, "full"), True),
        (OSError(errno.EDQUOT, "your part is full"), True),
        (OSError(errno.EACCES, "closed"), False),
        (RuntimeError("I/O error: No space left on device (os error 28)"), True),
        (RuntimeError("I/O error: Permission denied (os error 13)"), False),
        (ValueError("28"), False),
    ],
)
def test_a_full_disk_is_known_whatever_a_library_calls_it(
    problem: Exception, is_full: bool
) -> None:
    assert is_disk_full(problem) is is_full


def test_why_a_run_was_interrupted(run: Run) -> None:
    write_status(run.path, JobStatus("training"))
    assert run.status.reason == "killed"
    data = json.loads((run.path / "status.json").read_text())
    (run.path / "status.json").write_text(json.dumps({**data, "boot": "another"}))
    assert run.status.reason == "restart"


def test_a_log_goes_on_after_its_last_whole_row(run: Run) -> None:
    whole = json.dumps({**ROW, "step": 4})
    run.metrics_path.write_text(whole + "\n" + whole[:20])
    seen = read_metrics(run.metrics_path)
    with MetricsLog[StepMetrics](run.metrics_path) as log:
        assert log.last_step == 4
        for step in (3, 4, 5, 6):
            log.append({**ROW, "step": step})
        log.sync()
    rows = read_metrics(run.metrics_path).rows
    assert [row["step"] for row in rows] == [4, 5, 6]
    # A page that has read so far goes on without a gap or a repetition.
    later = read_metrics(run.metrics_path, seen.offset).rows
    assert [row["step"] for row in later] == [5, 6]


def test_a_row_that_does_not_fit_on_the_disk_is_an_error(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    with MetricsLog[StepMetrics](run.metrics_path) as log:
        monkeypatch.setattr(log, "_file", SimpleNamespace(write=lambda _: 3))
        with pytest.raises(OSError, match="No space"):
            log.append(ROW)
        monkeypatch.undo()


def test_what_a_run_was_made_with_stands_beside_its_settings(run: Run) -> None:
    write_made_with(run, {"device": "cpu"})
    assert open_run(run.id) == run
    data = json.loads((run.path / "config.json").read_text())
    assert data["made_with"] == {"device": "cpu"}


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
    write_status(run.path, JobStatus("training"))
    assert run.status.state == "training"
    os.kill(child.pid, 9)
    child.wait()
    assert run.status.state == "interrupted"
    assert child.stdin is not None
    child.stdin.close()


def test_a_launch_first_makes_room(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    (run.checkpoints_dir / ".000000003.abc").mkdir(parents=True)
    (run.path / status.RESERVE_NAME).unlink()
    left: list[Path] = []
    monkeypatch.setattr(
        job, "keep_reserve", lambda _: left.extend(run.checkpoints_dir.iterdir())
    )
    monkeypatch.setattr(launch.subprocess, "Popen", lambda *_, **__: None)
    launch.launch(run, "train")
    assert left == []
    assert list(run.checkpoints_dir.iterdir()) == []


def test_a_stop_request_is_heard_and_forgotten_at_the_next_launch(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    run.request_stop()
    assert run.stop_requested
    monkeypatch.setattr(launch.subprocess, "Popen", lambda *_, **__: None)
    launch.launch(run, "train")
    assert not run.stop_requested
