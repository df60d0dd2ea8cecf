"""The life of a run's worker: load, measure the norm, train, save, evaluate, index,
name the features.

It is the only writer of the run's folder. What it says, it says in files: the page may
be closed, the server restarted, and nothing here notices.
"""

import logging
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinysae.config import TrainConfig
from tinysae.errors import InputError, NetworkError, TinysaeError
from tinysae.jobs import launch
from tinysae.jobs.files import staged_folder, write_json
from tinysae.jobs.home import disk_full_error, is_disk_full
from tinysae.jobs.reporter import Bytes, Reporter, Stopped
from tinysae.runs.checkpoints import (
    SAE_NAME,
    checkpoints,
    new_checkpoint,
)
from tinysae.runs.live import (
    LiveIndex,
    answer_request,
    live_index_requested,
    live_indexes,
    new_live_index,
    remove_live_indexes,
)
from tinysae.runs.metrics import EvalMetrics, MetricsLog, StepMetrics, read_metrics
from tinysae.runs.store import (
    EVAL_NAME,
    Run,
    RunStatus,
    State,
    write_made_with,
    write_status,
)
from tinysae.runs.tracking import eval_log, start_tracker
from tinysae.sae.estimate import check_memory
from tinysae.worker.provenance import DATA_FINGERPRINT, provenance

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tinysae.features.index.reader import FeatureIndex
    from tinysae.features.names.concept_search import FeatureScores
    from tinysae.features.names.concepts import ConceptReport
    from tinysae.library.saved import SavedSAE
    from tinysae.model.sources import LoadedModel
    from tinysae.sae.evaluate import Evaluation
    from tinysae.sae.load import SAE
    from tinysae.sae.train import SAETraining

logger = logging.getLogger(__name__)

# Other people's pages come first: the worker takes what they leave.
NICENESS = 5
# Held-out text has a seed of its own, so that every SAE is measured on the same text.
EVALUATION_SEED, INDEX_SEED = 1_000_003, 1_000_033
CONTEXTS_AT_ONCE = 16
EVALUATION_TOKENS = 200_000
# Three whole forwards each, unembedding included: the slow part of an evaluation.
CE_BATCHES = 12
INDEX_TOKENS = 300_000
# Features are chosen for concepts on one half of the stories, and scored on the other.
CHOOSING_SEED, REPORTING_SEED = 1_000_037, 1_000_039
CONCEPT_TOKENS = 200_000
# What a crash may cost, and what guarding against it may: on a large SAE, whose
# checkpoints take seconds to write, they come less often.
CHECKPOINT_EVERY_S = 20.0
CHECKPOINT_SHARE = 0.02
# An index of the SAE as it is, now and then, for who wants to look at its features
# before it is done: a few seconds, and a few percent of the time at most.
LIVE_EVERY_S = CHECKPOINT_EVERY_S
LIVE_SHARE = 0.03
LIVE_TOKENS = 24_000
# An L1 SAE begins with half of its features active: fewer tokens then.
LIVE_PAIRS = 3_000_000
LEAST_LIVE_TOKENS = 2_000
LIVE_CONTEXTS, LIVE_CONTEXTS_PER_BIN = 10, 2
LIVE_MEMORY_MB = 128
# A curve of the CE-loss score for a few percent of the time.
LOOKS_PER_RUN = 20
LOOK_CONTEXTS = 8


def train(run: Run) -> None:
    """Trains the run's SAE, saves it, evaluates and indexes it; says how it went.

    A run that was interrupted or stopped goes on from its last checkpoint. Everything
    that goes wrong ends in the run's status and in its log.
    """
    with outcome(run):
        model = _model(run)
        reporter = Reporter(run)
        if _trained(run, model, reporter):
            _finish(run, model, "done", reporter)
        else:
            write_status(run.path, RunStatus("stopped"))


def index(run: Run) -> None:
    """Evaluates and indexes a run that has an SAE; it is afterwards what it was."""
    before = "done" if is_trained(run) else "stopped"
    with outcome(run):
        _finish(run, _model(run), before, Reporter(run))


def index_saved(saved: "SavedSAE") -> None:
    """Indexes an SAE from elsewhere on held-out text; says how it went."""
    with outcome(saved):
        model = _model(saved)
        _index(saved, model, Reporter(saved))
        write_status(saved.path, RunStatus("done"))


def evaluate_again(
    run: Run, progress: Callable[[int], object] | None = None
) -> dict[str, Any]:
    """Measures the run's SAE on held-out text; returns what `eval.json` then holds.

    `progress` hears how many tokens each batch had, of `EVALUATION_TOKENS`.

    Raises:
        TinysaeError: the run has no SAE (yet), or its model cannot be loaded.
        OSError: the file cannot be written.
    """
    from tinysae.model.sources import load_model
    from tinysae.sae.load import load_sae

    sae, model = load_sae(run.sae_dir), load_model(run.config.model_name)
    return _measured(run, sae, model, progress)


def _measured(
    run: Run,
    sae: "SAE",
    model: "LoadedModel",
    progress: Callable[[int], object] | None,
) -> dict[str, Any]:
    figures = evaluated(sae, model, run.config, progress).to_json()
    write_json(run.path / EVAL_NAME, figures)
    return figures


def is_trained(run: Run) -> bool:
    """Whether the run has taken all its steps."""
    newest = checkpoints(run)[-1:]
    return any(c.step >= run.config.total_training_steps for c in newest)


def has_newest_sae(run: Run) -> bool:
    """Whether the run's SAE is of its newest checkpoint, or it has neither."""
    newest = checkpoints(run)[-1:]
    try:
        # Saved after the checkpoint, always.
        return all(
            run.sae_dir.stat().st_mtime >= checkpoint.path.stat().st_mtime
            for checkpoint in newest
        )
    except FileNotFoundError:
        return False


def _trained(run: Run, model: "LoadedModel", reporter: "Reporter") -> bool:
    """Trains to the end or to a stop; the SAE is saved either way."""
    from tinysae.data.texts import open_text
    from tinysae.sae.step.engine import DENSE, DENSE_STEP, EngineChoice
    from tinysae.sae.train import SAETraining

    config = run.config
    engine = EngineChoice.from_json(run.made_with())
    d_in = model.hook_widths.get(config.hook_name, model.d_model)
    check_memory(config, d_in, model.n_parameters)
    with quits_when_asked(run):
        if not config.streaming:
            open_text(config.text).bring(Bytes(reporter, "downloading"))
        training = SAETraining(config, model, engine)
        tracker = start_tracker(run, training.runner_config)
        training.tracker = tracker
        now = provenance(config, model, training.device)
        _check_same_text(run.made_with(), now)
        made_with = {**run.made_with(), **now}
        write_made_with(run, made_with)
        if found := checkpoints(run):
            training.resume(found[-1].path)
            logger.info("goes on after step %d", training.n_steps)
    if training.needs_norm:
        reporter.begin("norm", config.n_batches_for_norm_estimate)
        if not training.estimate_norm(reporter.reached):
            return False
    made_with |= training.engine.to_json()
    # Of when the run began, as the engine; SAELens's own step is its own measure.
    if training.engine.name != DENSE and DENSE_STEP not in made_with:
        made_with[DENSE_STEP] = round(training.dense_step_seconds(), 4)
    write_made_with(run, made_with)
    with (
        closing(tracker),
        closing(training),
        MetricsLog[StepMetrics](run.metrics_path) as rows,
        MetricsLog[EvalMetrics](run.evals_path) as evals,
    ):
        keeper = _Keeper(run, training, (rows, evals))
        looks = _Looks(training, evals)
        live = _Live(run, training)

        def progress(n_tokens: int, row: StepMetrics | None) -> bool:
            if row is not None:
                live.l0 = row["l0"]
                row["seconds"] = round(reporter.seconds, 3)
                row["step_seconds"] = round(training.step_seconds, 6)
                rows.append(row)
            looks.look_if_due()
            keeper.keep_if_due()
            live.index_if_due()
            return reporter.reached(n_tokens)

        batch = config.train_batch_size_tokens
        done, total = training.n_steps * batch, config.total_training_steps * batch
        reporter.begin("training", total, done, _seconds_so_far(run))
        try:
            to_the_end = training.run(progress)
        except NetworkError:
            # Nothing is wrong with what was learnt: it goes on from here.
            keeper.keep()
            raise
        reporter.end(n_tokens=training.n_steps * batch)
        keeper.keep()
        with staged_folder(run.sae_dir) as stage:
            training.save(stage)
    return to_the_end


def _check_same_text(before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raises InputError when a run that goes on would read another text than so far."""
    known = before.get(DATA_FINGERPRINT)
    if known is not None and known != now[DATA_FINGERPRINT]:
        raise InputError("text_changed")


def _seconds_so_far(run: Run) -> float:
    rows = read_metrics(run.metrics_path).rows
    return rows[-1].get("seconds", 0.0) if rows else 0.0


class _Keeper:
    """Writes checkpoints: now and then one to resume from, and those asked for."""

    def __init__(
        self, run: Run, training: "SAETraining", logs: Sequence[MetricsLog[Any]]
    ) -> None:
        self._run, self._training, self._logs = run, training, logs
        self._written_at, self._took = time.monotonic(), 0.0
        total, n = run.config.total_training_steps, run.config.n_checkpoints
        # As SAELens spaces them: none at the start and none at the end.
        spacing = -(-total // (n + 1))
        self._wanted = set(range(spacing, total, spacing)) if n else set[int]()

    def keep_if_due(self) -> None:
        is_wanted = self._training.n_steps in self._wanted
        pause = max(CHECKPOINT_EVERY_S, self._took / CHECKPOINT_SHARE)
        is_time = time.monotonic() - self._written_at > pause
        if is_wanted or (is_time and self._training.is_healthy):
            self.keep(with_sae=is_wanted)

    def keep(self, *, with_sae: bool = False) -> None:
        """A checkpoint of this moment; the older ones that nobody asked for go."""
        started = time.monotonic()
        # A checkpoint never knows of more than the curves do, power cut or not.
        for log in self._logs:
            log.sync()
        step = self._training.n_steps
        if any(checkpoint.step == step for checkpoint in checkpoints(self._run)):
            # It holds the same, and perhaps an SAE that was asked for.
            return
        with new_checkpoint(self._run, step) as stage:
            self._training.save_checkpoint(stage)
            if with_sae:
                (stage / SAE_NAME).mkdir()
                self._training.save(stage / SAE_NAME)
        self._written_at = time.monotonic()
        self._took = self._written_at - started
        logger.info("checkpoint after step %d", step)


class _Live:
    """Indexes the SAE while it trains: now and then, and when somebody asks.

    Whatever goes wrong with that is told in the log, and training goes on.
    """

    def __init__(self, run: Run, training: "SAETraining") -> None:
        self._run, self._training = run, training
        self._ended_at, self._took = time.monotonic(), 0.0
        self._is_first = True
        self.l0: float | None = None
        """Active features a token, as far as it is known."""

    def index_if_due(self) -> None:
        pause = max(LIVE_EVERY_S, self._took / LIVE_SHARE)
        is_time = time.monotonic() - self._ended_at > pause
        if not (is_time or live_index_requested(self._run)):
            return
        # What diverges may come back; a request waits for that.
        if self._training.is_healthy:
            self.index()

    def index(self) -> None:
        """An index of this moment, unless there is one."""
        run, step, started = self._run, self._training.n_steps, time.monotonic()
        try:
            answer_request(run)
            if all(found.step != step for found in live_indexes(run)):
                with new_live_index(run, step) as stage:
                    self._fill(stage)
                logger.info("the features after step %d can be explored", step)
        except Stopped:
            # Whoever stops it wants no index; the training hears of it next.
            pass
        except Exception:
            logger.exception("no features after step %d", step)
        self._ended_at = time.monotonic()
        # The first may have had loops to compile: it says little of the next.
        self._took = 0.0 if self._is_first else self._ended_at - started
        self._is_first = False

    def _fill(self, stage: LiveIndex) -> None:
        from tinysae.features.index.build import build_index
        from tinysae.features.index.history import keep_moment
        from tinysae.features.names.labels import labels, write_labels
        from tinysae.sae.load import load_sae

        training = self._training
        stage.sae_dir.mkdir()
        training.save(stage.sae_dir)
        n_tokens = int(LIVE_PAIRS / max(1.0, self.l0 or training.config.d_sae / 2))
        n_tokens = min(LIVE_TOKENS, max(LEAST_LIVE_TOKENS, n_tokens))
        index = build_index(
            load_sae(stage.sae_dir),
            training.model,
            _held_out(training.model, training.config, INDEX_SEED, n_tokens),
            stage.features_dir,
            n_tokens=n_tokens,
            contexts_per_feature=LIVE_CONTEXTS,
            contexts_per_bin=LIVE_CONTEXTS_PER_BIN,
            layout="pca",
            memory_mb=LIVE_MEMORY_MB,
            progress=self._go_on,
        )
        write_labels(stage.features_dir, labels(index.table()["top_tokens"], None))
        keep_moment(self._run.history_dir, stage.step, index)

    def _go_on(self, _done: int, _total: int) -> None:
        if launch.stop_requested(self._run.path):
            raise Stopped


class _Looks:
    """Looks at held-out text `LOOKS_PER_RUN` times while training goes on."""

    def __init__(self, training: "SAETraining", log: MetricsLog[EvalMetrics]) -> None:
        self._training, self._log = training, log
        config = training.config
        self._every = max(1, config.total_training_steps // LOOKS_PER_RUN)
        self._contexts = list(
            _held_out(
                training.model,
                config,
                EVALUATION_SEED,
                LOOK_CONTEXTS * config.context_size,
            )
        )

    def look_if_due(self) -> None:
        training = self._training
        if training.n_steps % self._every or training.n_steps <= self._log.last_step:
            return
        found = training.look(self._contexts)
        self._log.append(found)
        training.tracker.log(eval_log(found), training.n_steps)
        logger.info(
            "step %d: CE-loss score %.4f, L0 %.1f, explained variance %.4f",
            *(found["step"], found["ce_loss_score"]),
            *(found["l0"], found["explained_variance"]),
        )


def _finish(
    run: Run, model: "LoadedModel", last_state: State, reporter: "Reporter"
) -> None:
    """Evaluation, index and labels of the run's SAE, then `last_state`."""
    from tinysae.sae.load import load_sae

    sae = load_sae(run.sae_dir)
    reporter.begin("evaluating", EVALUATION_TOKENS)
    _measured(run, sae, model, lambda done: reporter.go_on(reporter.done + done))
    index = _index(run, model, reporter)
    _keep_last_moment(run, index)
    remove_live_indexes(run)
    write_status(run.path, RunStatus(last_state))


def _keep_last_moment(run: Run, index: "FeatureIndex") -> None:
    """The features' history ends with what they are."""
    from tinysae.features.index.history import keep_moment

    for checkpoint in checkpoints(run)[-1:]:
        try:
            keep_moment(run.history_dir, checkpoint.step, index)
        except (OSError, TinysaeError):
            logger.exception("the last look at the features is not kept")


def _index(run: Run, model: "LoadedModel", reporter: "Reporter") -> "FeatureIndex":
    """The index of the run's SAE, of held-out text, and its features' labels."""
    from tinysae.data.storybook import CONCEPTS
    from tinysae.features.fit import check_fit
    from tinysae.sae.load import load_sae

    sae = load_sae(run.sae_dir)
    # Before anything is read: an SAE from elsewhere may be of another model.
    check_fit(sae, model)
    # As long as what it was trained on: an SAE from elsewhere says so, or does not.
    size = sae.context_size if type(sae.context_size) is int else None
    size = min(size or run.config.context_size, model.n_ctx)
    config = replace(run.config, context_size=size)
    reporter.begin("indexing", INDEX_TOKENS)

    def progress(done: int, _total: int) -> None:
        reporter.go_on(done)

    index = build_features(sae, model, config, run.features_dir, progress=progress)
    reporter.begin("labelling", len(CONCEPTS))
    label_features(sae, model, config, index, run.features_dir, progress)
    reporter.end()
    return index


def build_features(
    sae: "SAE",
    model: "LoadedModel",
    config: TrainConfig,
    out_dir: Path,
    *,
    n_tokens: int = INDEX_TOKENS,
    **options: Any,
) -> "FeatureIndex":
    """The index of `sae` on held-out tokens of its own text; `options` are
    `build_index`'s."""
    from tinysae.features.index.build import build_index

    chunks = _held_out(model, config, INDEX_SEED, n_tokens)
    return build_index(sae, model, chunks, out_dir, n_tokens=n_tokens, **options)


def label_features(
    sae: "SAE",
    model: "LoadedModel",
    config: TrainConfig,
    index: "FeatureIndex",
    folder: Path,
    progress: Callable[[int, int], object] | None = None,
) -> None:
    """Writes what each of the features is called, and what they read of the concepts of
    a text that has any, beside their `index` in `folder`."""
    from tinysae.data.texts.storybook import STORYBOOK
    from tinysae.features.names.concepts import write_concepts
    from tinysae.features.names.labels import labels, write_labels

    scores = None
    if config.dataset_path == STORYBOOK:
        report, scores = concepts_read(sae, model, config, progress)
        write_concepts(folder, report)
    write_labels(folder, labels(index.table()["top_tokens"], scores))


def evaluated(
    sae: "SAE",
    model: "LoadedModel",
    config: TrainConfig,
    progress: Callable[[int], object] | None = None,
) -> "Evaluation":
    """The figures of `sae` on `EVALUATION_TOKENS` held-out tokens of its own text."""
    from tinysae.data.corpus import batched
    from tinysae.sae.evaluate import evaluate

    contexts = _held_out(model, config, EVALUATION_SEED, EVALUATION_TOKENS)
    return evaluate(
        sae,
        model,
        batched(contexts, CONTEXTS_AT_ONCE),
        n_ce_batches=CE_BATCHES,
        progress=progress,
    )


def concepts_read(
    sae: "SAE",
    model: "LoadedModel",
    config: TrainConfig,
    progress: Callable[[int, int], object] | None = None,
) -> "tuple[ConceptReport, FeatureScores]":
    """What `sae` reads of the storybook's concepts, in held-out stories."""
    from tinysae.features.names.concept_search import concept_scores

    return concept_scores(sae, model, *concept_contexts(model, config), progress)


def concept_contexts(
    model: "LoadedModel", config: TrainConfig
) -> "tuple[NDArray[np.int32], NDArray[np.int32]]":
    """Contexts [n, context_size] for the choice of features; others for the scores."""
    import numpy as np

    choosing, reporting = (
        np.stack(list(_held_out(model, config, seed, CONCEPT_TOKENS // 2)))
        for seed in (CHOOSING_SEED, REPORTING_SEED)
    )
    return choosing, reporting


def _held_out(
    model: "LoadedModel", config: TrainConfig, seed: int, n_tokens: int
) -> Iterator["NDArray[np.int32]"]:
    """Contexts [context_size] that together have `n_tokens` tokens or a few more."""
    from tinysae.data.corpus import token_chunks

    chunks = token_chunks(
        model, config.text, config.context_size, seed=seed, held_out=True
    )
    return islice(chunks, -(-n_tokens // config.context_size))


def _model(run: Run) -> "LoadedModel":
    write_status(run.path, RunStatus("starting"))
    with quits_when_asked(run):
        import torch

        from tinysae.model.sources import load_model

        os.nice(NICENESS)
        # Whatever the environment says: one thread a core, and the pages' needs are met
        # by the niceness above.
        torch.set_num_threads(os.cpu_count() or 1)
        return load_model(run.config.model_name)


@contextmanager
def quits_when_asked(run: Run) -> Iterator[None]:
    """While libraries load, which nothing can interrupt and nothing is lost by.

    A run that was killed first gets the SAE of its checkpoint.
    """
    if not has_newest_sae(run):
        yield
        return
    stopped = RunStatus("stopped")
    with launch.quits_when_asked(run.path, lambda: write_status(run.path, stopped)):
        yield


@contextmanager
def outcome(run: Run) -> Iterator[None]:
    """Turns whatever goes wrong inside into the run's last status."""
    try:
        yield
    except Stopped:
        write_status(run.path, RunStatus("stopped"))
    except TinysaeError as error:
        logger.warning("%s", error)
        _write_failure(run, error)
    except Exception as problem:
        logger.exception("the worker failed")
        is_full = is_disk_full(problem)
        _write_failure(
            run, disk_full_error() if is_full else TinysaeError("worker_failed")
        )


def _write_failure(run: Run, error: TinysaeError) -> None:
    status = RunStatus("failed", error=error.key, error_values=error.values)
    try:
        write_status(run.path, status)
    except OSError:
        # A full disk: without a last word the run reads as interrupted, which it is.
        logger.exception("the status could not be written")


def log_to_stderr() -> None:
    """The worker's stderr is the run's log.txt."""
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    # They name addresses, and those of the hub's storage carry a signature.
    for talkative in ("httpx", "httpx2", "huggingface_hub"):
        logging.getLogger(talkative).setLevel(logging.ERROR)
