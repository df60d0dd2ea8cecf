"""Features of an SAE that still trains: made on the way, and in nobody's way."""

import logging
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.builders import index_run, working, write_model, write_sae
from tinysae.config import TrainConfig
from tinysae.errors import DamagedError
from tinysae.features.index import history
from tinysae.features.index.history import watched
from tinysae.features.index.reader import open_index
from tinysae.features.names.label_file import read_labels
from tinysae.features.names.rule_learner import RuleLearner
from tinysae.features.names.surroundings import Surroundings
from tinysae.jobs.reporter import Reporter
from tinysae.jobs.status import State
from tinysae.library.feature_source import feature_source, vocabulary_dir
from tinysae.model.sources import load_model
from tinysae.runs.live import (
    live_index_requested,
    live_indexes,
    new_live_index,
    request_live_index,
)
from tinysae.runs.metrics import TIMES, read_metrics
from tinysae.runs.store import Run, create_run
from tinysae.worker import finish, life, live
from tinysae.worker.live import Live

if TYPE_CHECKING:
    from tinysae.model.sources import LoadedModel

STEPS, CUT = 7, 3
NEVER = float("inf")


@pytest.fixture(autouse=True)
def _small(tiny_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert tiny_home.is_dir()
    monkeypatch.setattr(live, "LIVE_TOKENS", 500)
    monkeypatch.setattr(live, "LEAST_LIVE_TOKENS", 100)
    for name in ("INDEX_TOKENS", "EVALUATION_TOKENS", "CONCEPT_TOKENS"):
        monkeypatch.setattr(finish, name, 1000)


@pytest.fixture(scope="module")
def hostile_model(tmp_path_factory: pytest.TempPathFactory) -> "LoadedModel":
    return load_model(str(write_model(tmp_path_factory.mktemp("hostile"))))


@pytest.fixture
def always(monkeypatch: pytest.MonkeyPatch) -> None:
    """An index after every step."""
    monkeypatch.setattr(live, "LIVE_EVERY_S", -1.0)
    monkeypatch.setattr(live, "LIVE_SHARE", NEVER)


@pytest.fixture
def never(monkeypatch: pytest.MonkeyPatch) -> None:
    """No index that nobody asked for."""
    monkeypatch.setattr(live, "LIVE_EVERY_S", NEVER)


def new_run(model: "LoadedModel", **changes: Any) -> Run:
    settings: dict[str, Any] = {
        "model_name": model.source,
        "d_sae": 32,
        "k": 4,
        "context_size": 16,
        "training_tokens": STEPS * 64,
        "train_batch_size_tokens": 64,
        "n_batches_in_buffer": 4,
        "n_batches_for_norm_estimate": 2,
        "store_batch_size_prompts": 4,
        "lr": 3e-3,
    }
    return create_run(TrainConfig(**{**settings, **changes}))


class StopsAfter(Reporter):
    """Somebody stops it after `CUT` steps."""

    def reached(self, done: int) -> bool:
        return super().reached(done) and done != CUT * 64


def outcome(run: Run) -> tuple[list[dict[str, Any]], bytes]:
    """Everything that training came to, to the last bit."""
    rows = read_metrics(run.metrics_path).rows
    numbers = [{k: v for k, v in row.items() if k not in TIMES} for row in rows]
    return numbers, (run.sae_dir / "sae_weights.safetensors").read_bytes()


def undisturbed(
    model: "LoadedModel", **changes: Any
) -> tuple[list[dict[str, Any]], bytes]:
    run = new_run(model, **changes)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(live, "LIVE_EVERY_S", NEVER)
        assert life.trained(run, model, Reporter(run))
    assert not live_indexes(run)
    return outcome(run)


@pytest.mark.usefixtures("always")
@pytest.mark.parametrize("architecture", ["standard", "batchtopk"])
def test_indexes_on_the_way_change_no_number_of_the_training(
    tiny_model: "LoadedModel", architecture: str
) -> None:
    expected = undisturbed(tiny_model, architecture=architecture)
    run = new_run(tiny_model, architecture=architecture)
    assert not life.trained(run, tiny_model, StopsAfter(run))
    assert [found.step for found in live_indexes(run)] == [CUT - 1, CUT]
    assert life.trained(run, tiny_model, Reporter(run))
    assert outcome(run) == expected
    assert [found.step for found in live_indexes(run)] == [STEPS - 1, STEPS]


@pytest.mark.usefixtures("never")
def test_who_asks_gets_an_index_of_that_moment_once(tiny_model: "LoadedModel") -> None:
    run = new_run(tiny_model)
    request_live_index(run)
    life.trained(run, tiny_model, Reporter(run))
    # What it came to in the end can be explored, too, before it is measured.
    assert [found.step for found in live_indexes(run)] == [1, STEPS]
    assert not live_index_requested(run)
    with working(run, "evaluating"):
        source = feature_source(run.id)
        assert (source.readiness, source.step) == ("live", STEPS)
        index = source.open()
    assert index.info.d_sae == 32
    assert index.info.layout == "pca"
    assert len(read_labels(source.index_dir)) == 32


@pytest.mark.usefixtures("always")
def test_what_goes_wrong_is_told_in_the_log_and_nowhere_else(
    tiny_model: "LoadedModel",
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise OSError("the disk is full of cats")

    expected = undisturbed(tiny_model)
    monkeypatch.setattr("tinysae.features.index.build.build_index", fails)
    run = new_run(tiny_model)
    with caplog.at_level(logging.ERROR):
        assert life.trained(run, tiny_model, Reporter(run))
    assert "cats" in caplog.text
    assert outcome(run) == expected
    assert not list(run.live_dir.iterdir())


@pytest.mark.usefixtures("always")
def test_a_stop_does_not_wait_for_an_index(
    tiny_model: "LoadedModel", caplog: pytest.LogCaptureFixture
) -> None:
    class StoppedAtOnce(Reporter):
        def begin(
            self,
            state: State,
            total: int,
            done: int = 0,
            seconds: float = 0.0,
            rate_of_one: int = 1,
        ) -> None:
            super().begin(state, total, done, seconds, rate_of_one)
            if state == "training":
                run.request_stop()

    run = new_run(tiny_model)
    with caplog.at_level(logging.ERROR):
        assert not life.trained(run, tiny_model, StoppedAtOnce(run))
    assert not caplog.records
    assert not live_indexes(run)
    assert (run.sae_dir / "sae_weights.safetensors").is_file()


@pytest.mark.usefixtures("always")
def test_a_stop_does_not_wait_for_the_rules_of_an_index(
    tiny_model: "LoadedModel", monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def read(learner: RuleLearner, chunks: NDArray[np.int32]) -> Surroundings:
        asked.append(1)
        run.request_stop()
        return whole(learner, chunks)

    whole = RuleLearner.read
    monkeypatch.setattr(RuleLearner, "read", read)
    run = new_run(tiny_model)
    assert not life.trained(run, tiny_model, Reporter(run))
    assert asked == [1]
    assert not live_indexes(run)


def test_a_dense_sae_is_indexed_on_fewer_tokens(
    tiny_model: "LoadedModel", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "LIVE_PAIRS", 16 * 200)
    run = new_run(tiny_model)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(live, "LIVE_EVERY_S", NEVER)
        life.trained(run, tiny_model, Reporter(run))

    class Trained:
        config, model, is_healthy, n_steps = run.config, tiny_model, True, 1

        def save(self, folder: Path) -> None:
            for file in run.sae_dir.iterdir():
                (folder / file.name).write_bytes(file.read_bytes())

    training: Any = Trained()
    indexes = Live(run, training)
    sizes = []
    for l0 in (1.0, 16.0, 1000.0):
        training.n_steps += 1
        indexes.l0 = l0
        indexes.index()
        folder = live_indexes(run)[-1].features_dir
        sizes.append(open_index(folder).info.n_positions)
    # A context has 16 tokens, and the last is read whole.
    assert sizes == [512, 208, 112]


def test_after_a_slow_first_index_the_next_one_waits(
    tiny_model: "LoadedModel", monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr(live.time, "monotonic", lambda: now[0])
    run = new_run(tiny_model)

    class Training:
        config, model, is_healthy, n_steps = run.config, tiny_model, True, 1

    training: Any = Training()
    indexes, made = Live(run, training), []

    def fill(_: object) -> None:
        # What is compiled at first says nothing of the next one; what is read does.
        now[0] += 30.0
        indexes._go_on(1, 2)
        now[0] += 60.0
        made.append(now[0])

    monkeypatch.setattr(indexes, "_fill", fill)
    indexes.index()
    for _ in range(100):
        now[0] += live.LIVE_EVERY_S + 1
        training.n_steps += 1
        indexes.index_if_due()
    pauses = [after - before for before, after in pairwise(made)]
    assert min(pauses) > 60.0 / live.LIVE_SHARE


@pytest.mark.usefixtures("always")
def test_the_index_of_the_whole_takes_the_place_of_those_on_the_way(
    tiny_model: "LoadedModel", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(life, "load_model", lambda _: tiny_model)
    run = new_run(tiny_model)
    life.train(run)
    assert run.status.state == "done", run.status
    assert not run.live_dir.exists()
    source = feature_source(run.id)
    assert (source.readiness, source.step) == ("ready", None)
    assert vocabulary_dir(run) == run.features_dir
    # What the features were stays, and ends with what they are.
    index = source.open()
    token = index.feature(strongest(index)).tokens[0].token
    best = index.firing_on(token)[0]
    feature, moments = watched(run.history_dir, token, index.info.d_vocab)
    assert feature == best.feature
    assert [moment.step for moment in moments] == list(range(STEPS, 0, -1))
    record = index.feature(best.feature)
    assert moments[0].tokens == [t.token for t in record.tokens][: history.N_TOKENS]


def strongest(index: Any) -> int:
    return int(index.table()["n_fired"].to_numpy().argmax())


def test_an_old_request_is_not_the_next_workers(tiny_model: "LoadedModel") -> None:
    run = new_run(tiny_model)
    request_live_index(run)
    run.enqueue()
    assert not live_index_requested(run)


def test_what_a_killed_worker_left_of_an_index_goes(tiny_model: "LoadedModel") -> None:
    run = new_run(tiny_model)
    with new_live_index(run, 3) as stage:
        stage.sae_dir.mkdir()
    (run.live_dir / ".000000004.left").mkdir()
    (run.live_dir / "٣").mkdir()
    run.enqueue()
    assert [found.step for found in live_indexes(run)] == [3]
    assert not list(run.live_dir.glob(".*"))


class TestHistory:
    """A random SAE's index stands for every look."""

    @pytest.fixture
    def index(self, hostile_model: "LoadedModel") -> Any:
        run = new_run(hostile_model)
        write_sae(run.sae_dir)
        return index_run(run)

    def test_a_moment_says_what_the_index_says(
        self, index: Any, tmp_path: Path
    ) -> None:
        folder = tmp_path / "history"
        history.keep_moment(folder, 12, index)
        d_vocab = index.info.d_vocab
        n_watched = 0
        for token in range(d_vocab):
            firing = index.firing_on(token)
            feature, moments = watched(folder, token, d_vocab)
            if not firing:
                assert (feature, moments) == (None, [])
                continue
            assert feature == firing[0].feature
            (moment,) = moments
            record = index.feature(feature)
            own = record.tokens[: history.N_TOKENS]
            assert moment.tokens == [t.token for t in own]
            assert moment.share == pytest.approx(firing[0].mass_share, rel=1e-6)
            pushed = record.promoted["raw"][: history.N_TOKENS]
            assert moment.promoted == [t.token for t in pushed]
            assert (moment.step, moment.best) == (12, feature)
            n_watched += token not in moment.tokens
        assert n_watched > 10

    def test_the_past_is_told_in_larger_steps(
        self, index: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(history, "MAX_KEPT", 6)
        for step in range(1, 20):
            history.keep_moment(tmp_path, step, index)
        token = index.feature(1).tokens[0].token
        _, moments = watched(tmp_path, token, index.info.d_vocab)
        steps = [moment.step for moment in moments]
        assert steps == sorted(steps, reverse=True)
        assert steps[0] == 19
        assert steps[-1] == 1
        assert len(steps) <= 6

    @pytest.mark.parametrize("damage", ["cut", "empty", "shape", "kind", "numbers"])
    def test_a_damaged_look_is_left_out(
        self, index: Any, tmp_path: Path, damage: str
    ) -> None:
        import numpy as np
        from safetensors.numpy import load_file, save_file

        for step in (1, 2):
            history.keep_moment(tmp_path, step, index)
        path = tmp_path / "000000002.safetensors"
        arrays = load_file(path)
        if damage == "cut":
            path.write_bytes(path.read_bytes()[:-100])
        elif damage == "empty":
            path.write_bytes(b"")
        elif damage == "shape":
            save_file({**arrays, "tokens": arrays["tokens"][:-1]}, path)
        elif damage == "kind":
            save_file({**arrays, "best": arrays["best"].astype(np.float64)}, path)
        else:
            far = np.full_like(arrays["tokens"], 10**9)
            save_file({**arrays, "tokens": far, "best": arrays["best"] + 10**9}, path)
        token = index.feature(1).tokens[0].token
        _, moments = watched(tmp_path, token, index.info.d_vocab)
        assert [moment.step for moment in moments] == [1]

    def test_looks_of_another_model_are_left_out(
        self, index: Any, tmp_path: Path
    ) -> None:
        history.keep_moment(tmp_path, 1, index)
        token = index.feature(1).tokens[0].token
        assert watched(tmp_path, token, index.info.d_vocab + 1) == (None, [])
        assert watched(tmp_path, 10**9, index.info.d_vocab) == (None, [])


def test_a_live_source_is_of_the_sae_it_says(hostile_model: "LoadedModel") -> None:
    run = new_run(hostile_model)
    with new_live_index(run, 3) as stage:
        write_sae(stage.sae_dir)
        write_sae(run.sae_dir)
        index_run(run)
        run.features_dir.rename(stage.features_dir)
    with working(run):
        assert feature_source(run.id).open().info.d_sae == 40
        write_sae(live_indexes(run)[0].sae_dir, seed=1)
        with pytest.raises(DamagedError):
            feature_source(run.id).open()
