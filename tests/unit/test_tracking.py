"""Weights & Biases: SAELens's names and values, and a run that never notices it."""

import json
import struct
import sys
import threading
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.test_step import (
    ARCHITECTURES,
    batch_of,
    copied,
    step_on,
    trainer_of,
)
from tests.unit.test_worker import config_for
from tinysae.config import TrainConfig, settings
from tinysae.errors import SettingError
from tinysae.runs import tracking
from tinysae.runs.metrics import read_evals, read_metrics
from tinysae.runs.store import Run, create_run, open_run
from tinysae.runs.tracking import WandbTracker, tracked, wandb_mode
from tinysae.sae.step.saelens import SAELensStep
from tinysae.sae.tracker import Tracker, step_log
from tinysae.worker import finish, life, load

KEY = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(autouse=True)
def _alone(tiny_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No key of this machine's, and no time for long evaluations."""
    for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tiny_home / "no-netrc"))
    monkeypatch.setattr(load, "be_nice", lambda: None)
    monkeypatch.setattr(finish, "EVALUATION_TOKENS", 2048)
    monkeypatch.setattr(finish, "INDEX_TOKENS", 2048)
    monkeypatch.setattr(finish, "CONCEPT_TOKENS", 2048)


@pytest.mark.parametrize("path", ["sparse", "saelens"])
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_step_is_logged_as_saelens_logs_it(name: str, path: str) -> None:
    ours, theirs = (trainer_of(name) for _ in range(2))
    step = SAELensStep(ours) if path == "saelens" else step_on(ours)
    for seed in range(3):
        found = step_log(ours, step.step(batch_of(seed)))
        output = theirs.step(batch_of(seed))
        wanted = theirs.build_train_step_log_dict(output, theirs.n_training_samples)
        assert found.keys() == wanted.keys()
        assert found == pytest.approx(wanted, rel=2e-4, abs=2e-5)
    assert copied(ours).n_training_samples == 3 * 128


def records(file: Path) -> Iterator[Any]:
    """The records of a `.wandb` file: LevelDB's log format after 7 bytes of its own,
    protocol buffers inside."""
    from wandb.proto import wandb_internal_pb2 as protocol

    data, at, parts = file.read_bytes(), 7, b""
    assert data[:4] == b":W&B"
    while at + 7 <= len(data):
        if 32768 - at % 32768 < 7:
            at += 32768 - at % 32768
            continue
        _, length, kind = struct.unpack("<IHB", data[at : at + 7])
        parts += data[at + 7 : at + 7 + length]
        at += 7 + length
        # 1: a whole record; 2, 3, 4: its first, middle and last part.
        if kind in (1, 4):
            # Its classes are made when it is imported.
            record = protocol.Record()  # pyright: ignore[reportAttributeAccessIssue]
            record.ParseFromString(parts)
            yield record
            parts = b""


def history(run: Run) -> dict[int, dict[str, Any]]:
    """What an offline run logged, by its step."""
    rows: dict[int, dict[str, Any]] = {}
    for file in sorted((run.path / "wandb").glob("offline-run-*/*.wandb")):
        for record in records(file):
            items = record.history.item
            row = {
                ".".join(i.nested_key) or i.key: json.loads(i.value_json) for i in items
            }
            if "_step" in row:
                rows.setdefault(row["_step"], {}).update(row)
    return rows


def test_an_offline_run_reads_back_value_for_value(
    tiny_model_dir: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    config = config_for(tiny_model_dir)
    values = config.to_json() | {
        "log_to_wandb": True,
        "wandb_log_frequency": 2,
        "feature_sampling_window": 5,
    }
    run = create_run(TrainConfig.from_json(values))
    life.train(run)
    assert run.status.state == "done"
    found = history(run)
    rows = {row["step"]: row for row in read_metrics(run.metrics_path).rows}
    logged = {step: row for step, row in found.items() if "metrics/l0" in row}
    assert set(logged) == set(range(1, config.total_training_steps, 2))
    compared = 0
    for step in logged.keys() & rows.keys():
        theirs, ours = logged[step], rows[step]
        assert theirs["losses/overall_loss"] == ours["loss"]
        assert theirs["losses/mse_loss"] == ours["mse"]
        assert theirs["metrics/l0"] == ours["l0"]
        assert theirs["metrics/explained_variance"] == ours["explained_variance"]
        assert theirs["sparsity/dead_features"] == ours["n_dead"]
        assert theirs["details/n_training_samples"] == ours["n_tokens"]
        compared += 1
    assert compared > 3
    windows = [row for row in found.values() if "sparsity/below_1e-5" in row]
    assert windows
    assert windows[0]["plots/feature_density_line_chart._type"] == "histogram" or (
        windows[0]["plots/feature_density_line_chart"]["_type"] == "histogram"
    )
    looks = read_evals(run.evals_path).rows
    scores = [v for row in found.values() for k, v in row.items() if "ce_loss" in k]
    flat = [s if isinstance(s, float) else s["ce_loss_score"] for s in scores]
    assert flat == [look["ce_loss_score"] for look in looks]
    told = tracked(run)
    assert told is not None
    assert (told.mode, told.url, told.n_lost) == ("offline", None, 0)
    assert "wandb" not in capfd.readouterr().out.lower()


def test_a_run_that_goes_on_keeps_its_id(
    tiny_model_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[dict[str, Any]] = []
    _fake_wandb(monkeypatch, init=lambda **options: seen.append(options) or _FakeRun())
    run = create_run(config_for(tiny_model_dir))
    for _ in range(2):
        tracker = WandbTracker(open_run(run.id), {})
        tracker.log({"a": 1.0}, 1)
        tracker.close()
    assert [options["id"] for options in seen] == [run.id, run.id]
    assert {options["resume"] for options in seen} == {"allow"}
    assert {options["mode"] for options in seen} == {"offline"}


def test_a_killed_run_that_goes_on_logs_no_step_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run, logged = create_run(TrainConfig(log_to_wandb=True)), list[int]()

    class Recorder(_FakeRun):
        def log(self, values: Any, step: int) -> None:  # noqa: ARG002
            logged.append(step)

    _fake_wandb(monkeypatch, init=lambda **_: Recorder())
    # The first process is killed after step 39; its last checkpoint was of step 20.
    for first, last in ((0, 40), (20, 60)):
        tracker = WandbTracker(open_run(run.id), {})
        for step in range(first, last):
            # What SAELens logs of one step may come in several parts.
            for _ in range(2):
                tracker.log({"a": 1.0}, step)
        tracker.close()
    assert logged == [step for step in range(60) for _ in range(2)]


class _FakeRun:
    url = None

    def log(self, values: Any, step: int) -> None: ...

    def finish(self) -> None: ...


def _fake_wandb(monkeypatch: pytest.MonkeyPatch, **what: Any) -> None:
    module = types.ModuleType("wandb")
    vars(module).update({"Settings": dict, **what})
    monkeypatch.setitem(sys.modules, "wandb", module)


def test_a_wandb_that_fails_or_is_not_there_costs_a_line_in_the_log(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(**_: Any) -> None:
        raise RuntimeError(f"key {KEY} is bad")

    monkeypatch.setenv("WANDB_API_KEY", KEY)
    for broken in (lambda: _fake_wandb(monkeypatch, init=fail), _no_wandb(monkeypatch)):
        broken()
        caplog.clear()
        run = create_run(TrainConfig(log_to_wandb=True))
        tracker = WandbTracker(run, {})
        for step in range(3 * tracking.MAX_WAITING):
            tracker.log({"a": 1.0}, step)
        tracker.close()
        said = [r for r in caplog.records if "nothing more goes" in r.getMessage()]
        assert len(said) == 1
        told = tracked(run)
        assert told is not None
        assert told.mode is None
        files = [p for p in run.path.rglob("*") if p.is_file()]
        assert all(KEY.encode() not in p.read_bytes() for p in files)
        assert KEY not in caplog.text


def _no_wandb(monkeypatch: pytest.MonkeyPatch) -> Any:
    # What Python does with a module that is None: `import` fails.
    return lambda: monkeypatch.setitem(sys.modules, "wandb", None)


def test_a_wandb_that_hangs_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    go_on = threading.Event()
    registered: list[Any] = []
    monkeypatch.setattr(tracking, "PATIENCE_S", 0.05)
    monkeypatch.setattr(tracking.atexit, "register", lambda *a: registered.append(a))
    _fake_wandb(monkeypatch, init=lambda **_: go_on.wait() and _FakeRun())
    tracker = WandbTracker(create_run(TrainConfig()), {})
    for step in range(tracking.MAX_WAITING + 7):
        tracker.log({"a": 1.0}, step)
    tracker.close()
    go_on.set()
    assert "too slow" in caplog.text
    assert "it is left" in caplog.text
    # So that its own wait at the end of the process does not come.
    assert registered == [(tracking.os._exit, 0)]


class Listener:
    """A tracker that wants every n-th step, and notes what it is told."""

    def __init__(self, heard: list[tuple[str, object]], name: str, every: int) -> None:
        self._heard, self._name, self._every = heard, name, every

    def wants(self, step: int) -> bool:
        return step % self._every == 0

    def log(self, values: object, step: int) -> None:  # noqa: ARG002
        self._heard.append((self._name, step))

    def close(self) -> None:
        self._heard.append((self._name, "closed"))


class Failing(Listener):
    def log(self, values: object, step: int) -> None:
        super().log(values, step)
        raise OSError(KEY)


def test_each_tracker_that_is_switched_on_hears_of_the_steps_that_it_wants(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    heard: list[tuple[str, object]] = []
    made = {
        "log_to_wandb": lambda *_: Listener(heard, "a", 2),
        "streaming": lambda *_: Listener(heard, "b", 3),
        "exclude_special_tokens": lambda *_: Listener(heard, "c", 1),
    }
    monkeypatch.setattr(tracking, "TRACKERS", made)
    config = TrainConfig(log_to_wandb=True, exclude_special_tokens=False)
    trackers = tracking.start_trackers(create_run(config), {})
    wanted = [step for step in range(5) if trackers.wants(step)]
    assert wanted == [0, 2, 3, 4]
    for step in range(5):
        if trackers.wants(step):
            trackers.log({}, step)
    assert heard == [("a", 0), ("b", 0), ("a", 2), ("b", 3), ("a", 4)]
    heard.clear()
    # What is not of a step is for all.
    assert not trackers.wants(5)
    trackers.log({}, 5)
    trackers.close()
    assert heard == [("a", 5), ("b", 5), ("a", "closed"), ("b", "closed")]


def test_a_tracker_that_fails_ends_and_the_others_go_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[tuple[str, object]] = []

    def broken(*_: object) -> Tracker:
        raise OSError(KEY)

    made = {
        "log_to_wandb": broken,
        "streaming": lambda *_: Failing(heard, "a", 1),
        "exclude_special_tokens": lambda *_: Listener(heard, "b", 1),
    }
    monkeypatch.setattr(tracking, "TRACKERS", made)
    config = TrainConfig(log_to_wandb=True, exclude_special_tokens=True)
    trackers = tracking.start_trackers(create_run(config), {})
    for step in range(2):
        assert trackers.wants(step)
        trackers.log({}, step)
    trackers.close()
    assert heard == [("a", 0), ("b", 0), ("b", 1), ("b", "closed")]
    assert caplog.text.count("nothing more goes to") == 2
    assert KEY not in caplog.text


def test_what_is_read_of_a_tracker_only_is_no_part_of_how_an_sae_was_made() -> None:
    assert tracking.tracking_settings() == {
        name for name in settings() if "wandb" in name
    }


def test_a_tracker_is_switched_on_by_a_setting_that_is_off() -> None:
    for name in tracking.TRACKERS:
        assert getattr(TrainConfig(), name) is False


def test_a_key_decides_where_it_goes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert wandb_mode() == "offline"
    netrc = tmp_path / "netrc"
    netrc.write_text(f"machine api.wandb.ai login user password {KEY}\n")
    monkeypatch.setenv("NETRC", str(netrc))
    assert wandb_mode() == "online"
    monkeypatch.setenv("WANDB_MODE", "offline")
    assert wandb_mode() == "offline"


def test_names_that_wandb_would_not_take_are_refused() -> None:
    for bad in ("", "a/b", "x" * 129, "a b"):
        with pytest.raises(SettingError):
            TrainConfig(wandb_project=bad)
    with pytest.raises(SettingError):
        TrainConfig(wandb_entity="a#b")
    assert TrainConfig(wandb_entity="my-team").wandb_entity == "my-team"
