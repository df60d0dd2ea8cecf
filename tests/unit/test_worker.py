"""The worker as the page starts it: a process of its own, watched through its files."""

import errno
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.builders import finished_run
from tinysae import __main__
from tinysae.cli import job_here
from tinysae.config import TrainConfig
from tinysae.errors import BusyError, NetworkError
from tinysae.features.index.format import INDEX_NAME
from tinysae.features.index.pair_store import Band, PairStore
from tinysae.features.names import rules
from tinysae.jobs import launch, reporter
from tinysae.jobs.job import Job
from tinysae.jobs.lock import is_locked
from tinysae.jobs.reporter import Reporter
from tinysae.jobs.status import JobStatus, write_status
from tinysae.jobs.work import Stopped
from tinysae.model.sources import load_model
from tinysae.runs.checkpoints import checkpoints, has_newest_sae
from tinysae.runs.metrics import TIMES, read_evals, read_metrics
from tinysae.runs.store import Run, create_run, open_run, start_run, write_made_with
from tinysae.sae.load import load_sae
from tinysae.sae.step.engine import DENSE, DENSE_STEP, SPARSE, EngineChoice
from tinysae.sae.train import SAETraining
from tinysae.worker import finish, life, load
from tinysae.worker.keep import Keeper

# Importing torch and its friends takes seconds on a busy machine.
PATIENCE_S = 600


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TINYSAE_HOME", str(tmp_path))


def config_for(model_dir: Path, **changes: Any) -> TrainConfig:
    return TrainConfig(
        **{
            "model_name": str(model_dir),
            "d_sae": 32,
            "k": 4,
            "context_size": 16,
            "training_tokens": 30 * 64,
            "train_batch_size_tokens": 64,
            "n_batches_in_buffer": 4,
            "n_batches_for_norm_estimate": 3,
            "store_batch_size_prompts": 4,
            **changes,
        }
    )


def wait_for(condition: Callable[[], Any], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"waited too long for {what}"
        time.sleep(0.02)


def ended(job: Job) -> bool:
    return not job.status.is_working and not is_locked(job.path)


def worker_pid(job: Job) -> int:
    """The process whose command line names the job: only ever one we started."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if job.id.encode() in words and b"tinysae" in words:
                return int(entry.name)
    raise AssertionError("no worker")


def endless(model_dir: Path) -> TrainConfig:
    """More tokens than any test waits for."""
    return config_for(model_dir, training_tokens=10**9)


@pytest.mark.slow
def test_a_run_goes_from_start_to_an_index(
    tiny_model_dir: Path, short_text: Path
) -> None:
    run = start_run(
        config_for(
            tiny_model_dir, architecture="standard", dataset_path=str(short_text)
        )
    )
    assert run.status.is_working
    wait_for(lambda: ended(run), "the run")
    assert run.status.state == "done", run.log_path.read_text()
    rows = read_metrics(run.metrics_path).rows
    assert [row["step"] for row in rows] == list(range(30))
    assert {path.name for path in run.sae_dir.iterdir()} == {
        "cfg.json",
        "sae_weights.safetensors",
        "sparsity.safetensors",
        "runner_cfg.json",
    }
    figures = run.evaluation()
    assert figures is not None
    assert figures["d_sae"] == 32
    assert run.features_dir.is_dir()
    made_with = run.made_with()
    assert made_with["engine"] == "sparse (numba)", made_with["engine_reason"]
    assert made_with["encoder_product"]
    assert made_with[DENSE_STEP] > 0
    assert all(row.get("step_seconds", 0) > 0 for row in rows)


def steps_of(run: Run) -> list[int]:
    return [row["step"] for row in read_metrics(run.metrics_path).rows]


def same_rows(run: Run, other: Run) -> bool:
    """Whether two runs' curves are the same to the last bit, time aside."""

    def numbers(run: Run) -> list[dict[str, Any]]:
        rows = read_metrics(run.metrics_path).rows
        return [{k: v for k, v in row.items() if k not in TIMES} for row in rows]

    evals = read_evals(run.evals_path).rows == read_evals(other.evals_path).rows
    return evals and numbers(run) == numbers(other)


@pytest.mark.slow
def test_runs_queue_stop_keeps_an_sae_and_resume_goes_on(
    tiny_model_dir: Path, short_text: Path
) -> None:
    config = config_for(
        tiny_model_dir, training_tokens=2000 * 64, dataset_path=str(short_text)
    )
    run = start_run(config)
    other = start_run(config)
    wait_for(lambda: len(steps_of(run)) > 20, "rows")
    assert other.status.state == "queued"
    with pytest.raises(BusyError):
        launch.launch(run, "train")
    run.request_stop()
    wait_for(lambda: ended(run), "the stop")
    assert run.status.state == "stopped"
    assert (run.sae_dir / "sae_weights.safetensors").is_file()
    assert run.evaluation() is None
    before = steps_of(run)
    assert len(before) < 1000

    wait_for(lambda: ended(other), "the other run")
    assert other.status.state == "done", other.log_path.read_text()

    launch.launch(run, "index")
    wait_for(lambda: ended(run), "the index")
    assert run.status.state == "stopped", run.log_path.read_text()
    assert run.evaluation() is not None
    assert run.features_dir.is_dir()
    assert steps_of(run) == before

    launch.launch(run, "train")
    wait_for(lambda: ended(run), "the rest")
    assert run.status.state == "done", run.log_path.read_text()
    assert len(steps_of(run)) == 1001
    assert same_rows(run, other)
    assert run.evaluation() == other.evaluation()


@pytest.mark.slow
def test_a_killed_worker_reads_as_interrupted_and_resumes(
    tiny_model_dir: Path,
) -> None:
    config = config_for(tiny_model_dir, training_tokens=2000 * 64, n_checkpoints=40)
    run = start_run(config)
    wait_for(lambda: len(checkpoints(run)) >= 2, "two checkpoints")
    os.kill(worker_pid(run), signal.SIGKILL)
    wait_for(lambda: ended(run), "the end")
    status = open_run(run.id).status
    assert (status.state, status.reason) == ("interrupted", "killed")
    before = steps_of(run)
    assert before == sorted(set(before))

    launch.launch(run, "train")
    wait_for(lambda: ended(run), "the rest")
    assert run.status.state == "done", run.log_path.read_text()
    after = steps_of(run)
    assert after[: len(before)] == before
    assert after == sorted(set(after))
    assert len(after) == 1001
    # As SAELens spaces them, each with an SAE of its moment.
    kept = [c for c in checkpoints(run) if c.is_kept]
    assert [c.step for c in kept] == list(range(49, 2000, 49))
    assert load_sae(kept[0].path / "sae").d_sae == 32


def test_a_worker_that_still_loads_can_be_stopped(tiny_model_dir: Path) -> None:
    run = start_run(endless(tiny_model_dir))
    wait_for(lambda: run.status.state == "starting", "the start")
    run.request_stop()
    wait_for(lambda: ended(run), "the stop")
    assert run.status.state == "stopped"
    assert steps_of(run) == []


@pytest.fixture
def not_nicer(monkeypatch: pytest.MonkeyPatch) -> None:
    """For a worker's life in this process, which goes on after it."""
    monkeypatch.setattr(load, "be_nice", lambda: None)


@pytest.mark.usefixtures("not_nicer")
def test_a_resumed_run_keeps_the_engine_it_began_with(
    tiny_model_dir: Path, short_text: Path
) -> None:
    run = create_run(config_for(tiny_model_dir, dataset_path=str(short_text)))
    began = EngineChoice(DENSE, "numba_fails", "")
    write_made_with(run, began.to_json())
    life.train(run)
    assert run.status.state == "done"
    assert EngineChoice.from_json(run.made_with()) == began


@pytest.mark.usefixtures("not_nicer")
def test_a_run_of_a_step_that_is_no_more_goes_on_and_its_log_says_with_what(
    tiny_model_dir: Path, short_text: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = create_run(config_for(tiny_model_dir, dataset_path=str(short_text)))
    write_made_with(run, EngineChoice("sparse (torch)", "no_numba", "torch").to_json())
    life.train(run)
    assert run.status.state == "done"
    engine = EngineChoice.from_json(run.made_with())
    assert engine == EngineChoice(SPARSE, "", "torch")
    assert "began with the step 'sparse (torch)'" in caplog.text


def test_a_run_that_cannot_start_says_why(tmp_path: Path) -> None:
    run = start_run(config_for(tmp_path / "no-such-model"))
    wait_for(lambda: ended(run), "the failure")
    assert run.status.state == "failed"
    assert run.status.error == "error.model_missing"


@pytest.mark.usefixtures("not_nicer")
def test_a_hook_that_is_not_there_is_named(tiny_model_dir: Path) -> None:
    run = create_run(config_for(tiny_model_dir, hook_name="blocks.7.hook_mlp_out"))
    life.train(run)
    assert run.status.state == "failed"
    assert run.status.error == "error.setting_choice"
    assert (run.status.error_values or {})["field"] == "hook_name"


def test_a_full_disk_is_named_whichever_library_finds_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from safetensors import SafetensorError

    def fails(_: Run) -> None:
        raise SafetensorError("I/O error: No space left on device (os error 28)")

    run = create_run(TrainConfig())
    monkeypatch.setattr(life, "load_model", fails)
    life.train(run)
    assert run.status.state == "failed"
    assert run.status.error == "error.home_full"


def test_a_worker_whose_log_is_full_says_so_in_its_status(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    full = OSError(errno.ENOSPC, "No space left on device")

    def write(_: str) -> None:
        raise full

    def no_turn(_: Run) -> None:
        raise full

    run = create_run(TrainConfig())
    monkeypatch.setattr(sys, "stderr", SimpleNamespace(write=write, isatty=bool))
    monkeypatch.setattr(job_here, "wait_for_turn", no_turn)
    assert __main__.main(["train", run.id]) == 1
    assert run.status.error == "error.home_full"


def test_the_command_resumes_a_run_that_was_asked_to_stop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = create_run(TrainConfig())
    write_status(run.path, JobStatus("stopped"))
    run.request_stop()
    (run.path / ".sae.left").mkdir()
    worked: list[Run] = []

    def train(run: Run) -> None:
        assert not run.stop_requested
        assert not list(run.path.glob(".*"))
        worked.append(run)
        write_status(run.path, JobStatus("done"))

    monkeypatch.setattr(life, "train", train)
    assert __main__.main(["resume", run.id]) == 0
    assert worked == [run]


class Untrained:
    """A training that writes its name; nothing of it is ever trained."""

    n_steps = 4
    is_healthy = True

    def save_checkpoint(self, folder: Path) -> None:
        (folder / "state").write_text("state")

    save = save_checkpoint


def test_stopping_right_after_a_checkpoint_keeps_the_sae_in_it() -> None:
    run = create_run(TrainConfig(training_tokens=10 * 2048, n_checkpoints=4))
    keeper = Keeper(run, cast("Any", Untrained()), ())
    keeper.keep_if_due()
    keeper.keep()
    (kept,) = checkpoints(run)
    assert kept.step == 4
    assert kept.is_kept


def test_a_run_may_stop_while_it_loads_unless_its_checkpoint_has_no_sae() -> None:
    run = create_run(TrainConfig())
    assert has_newest_sae(run)
    (run.checkpoints_dir / "000000004").mkdir(parents=True)
    assert not has_newest_sae(run)
    run.sae_dir.mkdir()
    assert has_newest_sae(run)
    os.utime(run.sae_dir, (0, 0))
    assert not has_newest_sae(run)


def test_a_network_that_goes_away_keeps_what_was_learnt(
    tiny_model_dir: Path, short_text: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = create_run(config_for(tiny_model_dir, dataset_path=str(short_text)))
    going = SAETraining.run

    def breaks_off(training: SAETraining, progress: Callable[..., bool]) -> bool:
        def until(n_tokens: int, row: Any) -> bool:
            progress(n_tokens, row)
            if training.n_steps == 11:
                raise NetworkError("text_network", dataset="ada/text")
            return True

        return going(training, until)

    with monkeypatch.context() as patched:
        patched.setattr(SAETraining, "run", breaks_off)
        life.train(run)
    assert (run.status.state, run.status.error) == ("failed", "error.text_network")
    assert [found.step for found in checkpoints(run)] == [11]
    life.train(run)
    assert run.status.state == "done"
    assert len(read_metrics(run.metrics_path).rows) == 30


def test_a_run_does_not_go_on_with_another_text(
    tiny_model_dir: Path, short_text: Path
) -> None:
    run = create_run(config_for(tiny_model_dir, dataset_path=str(short_text)))
    write_made_with(run, {"data_fingerprint": "of another text"})
    life.train(run)
    assert run.status.error == "error.text_changed"


def test_stop_is_heard_while_the_features_rules_are_learnt(
    tiny_model_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of an SAE of which much is always on that takes minutes."""
    monkeypatch.setattr(finish, "INDEX_TOKENS", 2048)
    monkeypatch.setattr(rules, "_FEATURES_AT_ONCE", 8)
    run = finished_run(tiny_model_dir, with_features=False)
    model = load_model(str(tiny_model_dir))
    told: list[int] = []
    band = PairStore.band

    def asked_to_stop(store: PairStore, begin: int, end: int) -> Band:
        # Before, the index itself is made of them.
        if (run.features_dir / INDEX_NAME).is_file():
            told.append(run.status.done)
            if begin >= 16:
                run.request_stop()
        return band(store, begin, end)

    monkeypatch.setattr(PairStore, "band", asked_to_stop)
    monkeypatch.setattr(reporter, "STATUS_EVERY_S", 0.0)
    with pytest.raises(Stopped):
        finish.index_features(run, model, Reporter(run))
    assert len(told) >= 3
    assert told == sorted(set(told))
