"""The life of a run's worker: load, measure the norm, train, save, evaluate, index.

It is the only writer of the run's folder. What it says, it says in files: the page may
be closed, the server restarted, and nothing here notices.
"""

import errno
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING

from tinysae.config import TrainConfig
from tinysae.errors import TinysaeError
from tinysae.runs.files import staged_folder, write_json
from tinysae.runs.launch import stop_requested
from tinysae.runs.metrics import MetricsLog, StepMetrics
from tinysae.runs.store import Run, RunStatus, State, home_error, write_status

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tinysae.model.sources import LoadedModel
    from tinysae.sae.evaluate import Evaluation
    from tinysae.sae.files import SAE

logger = logging.getLogger(__name__)

# Other people's pages come first: the worker takes what they leave.
NICENESS = 5
# A page looks twice a second; more often is only disk traffic.
STATUS_EVERY_S = 0.4
# Held-out text has a seed of its own, so that every SAE is measured on the same text.
EVALUATION_SEED, INDEX_SEED = 1_000_003, 1_000_033
CONTEXTS_AT_ONCE = 16
EVALUATION_TOKENS = 200_000
# Three whole forwards each, unembedding included: the slow part of an evaluation.
CE_BATCHES = 12
INDEX_TOKENS = 300_000


def train(run: Run) -> None:
    """Trains the run's SAE, saves it, evaluates and indexes it; says how it went.

    Everything that goes wrong ends in the run's status and in its log.
    """
    reporter = _Reporter(run)
    with _outcome(run):
        model = _model(run)
        if _trained(run, model, reporter):
            finish(run, model, "done")
        else:
            write_status(run.path, RunStatus("stopped"))


def index(run: Run) -> None:
    """Evaluates and indexes a run that has an SAE but was stopped before that."""
    with _outcome(run):
        finish(run, _model(run), "stopped")


def _trained(run: Run, model: "LoadedModel", reporter: "_Reporter") -> bool:
    from tinysae.sae.train import SAETraining

    config = run.config
    training = SAETraining(config, model)
    to_the_end = True
    if training.needs_norm:
        reporter.begin("norm", config.n_batches_for_norm_estimate)
        to_the_end = training.estimate_norm(reporter.reached)
    if to_the_end:
        with MetricsLog(run.metrics_path) as log:

            def progress(n_tokens: int, row: StepMetrics | None) -> bool:
                if row is not None:
                    log.append(row)
                return reporter.reached(n_tokens)

            batch = config.train_batch_size_tokens
            reporter.begin("training", config.total_training_steps * batch)
            to_the_end = training.run(progress)
    with staged_folder(run.sae_dir) as stage:
        training.save(stage)
    return to_the_end


def finish(run: Run, model: "LoadedModel", last_state: State) -> None:
    """Evaluation and index of the run's SAE on held-out text, then `last_state`."""
    from tinysae.features.index import build_index
    from tinysae.sae.files import load_sae

    config, reporter = run.config, _Reporter(run)
    sae = load_sae(run.sae_dir)
    reporter.begin("evaluating", EVALUATION_TOKENS)
    evaluation = evaluated(
        sae,
        model,
        config,
        progress=lambda done: reporter.go_on(reporter.done + done),
    )
    write_json(run.path / "eval.json", evaluation.to_json())
    reporter.begin("indexing", INDEX_TOKENS)
    build_index(
        sae,
        model,
        _held_out(model, config, INDEX_SEED, INDEX_TOKENS),
        run.features_dir,
        n_tokens=INDEX_TOKENS,
        progress=lambda done, _total: reporter.go_on(done),
    )
    write_status(run.path, RunStatus(last_state))


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


def _held_out(
    model: "LoadedModel", config: TrainConfig, seed: int, n_tokens: int
) -> Iterator["NDArray[np.int32]"]:
    """Contexts [context_size] that together have `n_tokens` tokens or a few more."""
    from tinysae.data.corpus import token_chunks

    chunks = token_chunks(
        model, config.dataset_path, config.context_size, seed=seed, held_out=True
    )
    return islice(chunks, -(-n_tokens // config.context_size))


def _model(run: Run) -> "LoadedModel":
    write_status(run.path, RunStatus("starting"))
    import torch

    from tinysae.model.sources import load_model

    os.nice(NICENESS)
    # Whatever the environment says: one thread a core, and the pages' needs are met by
    # the niceness above.
    torch.set_num_threads(os.cpu_count() or 1)
    return load_model(run.config.model_name)


@contextmanager
def _outcome(run: Run) -> Iterator[None]:
    """Turns whatever goes wrong inside into the run's last status."""
    try:
        yield
    except _Stopped:
        write_status(run.path, RunStatus("stopped"))
    except TinysaeError as error:
        logger.warning("%s", error)
        _write_failure(run, error)
    except OSError as problem:
        logger.exception("the worker failed")
        is_full = problem.errno in (errno.ENOSPC, errno.EDQUOT)
        _write_failure(
            run, home_error(problem) if is_full else TinysaeError("worker_failed")
        )
    except Exception:
        logger.exception("the worker failed")
        _write_failure(run, TinysaeError("worker_failed"))


def _write_failure(run: Run, error: TinysaeError) -> None:
    status = RunStatus("failed", error=error.key, error_values=error.values)
    try:
        write_status(run.path, status)
    except OSError:
        # A full disk: without a last word the run reads as interrupted, which it is.
        logger.exception("the status could not be written")


class _Stopped(Exception):
    """Somebody asked to stop in the middle of an evaluation or an index."""


class _Reporter:
    """Counts a state's work, says how far it is, and hears a request to stop."""

    def __init__(self, run: Run, clock: Callable[[], float] = time.monotonic) -> None:
        self._run = run
        self._clock = clock

    def begin(self, state: State, total: int) -> None:
        self._state: State = state
        self._total, self.done = total, 0
        self._started = self._clock()
        self._write(0.0)

    def reached(self, done: int) -> bool:
        """Says that `done` of the total is done; False when somebody asked to stop."""
        self.done = done
        now = self._clock()
        if now - self._written_at >= STATUS_EVERY_S or done >= self._total:
            self._write(now - self._started)
        return not stop_requested(self._run.path)

    def go_on(self, done: int) -> None:
        """`reached`, for work that has nothing to keep: a stop raises `_Stopped`."""
        if not self.reached(done):
            raise _Stopped

    def _write(self, elapsed: float) -> None:
        self._written_at = self._clock()
        rate = self.done / elapsed if elapsed > 0 and self.done else None
        left = max(0, self._total - self.done)
        per_unit = (
            1 if self._state != "norm" else self._run.config.train_batch_size_tokens
        )
        status = RunStatus(
            self._state,
            done=self.done,
            total=self._total,
            tokens_per_s=rate * per_unit if rate else None,
            eta_s=left / rate if rate else None,
        )
        write_status(self._run.path, status)


def log_to_stderr() -> None:
    """The worker's stderr is the run's log.txt."""
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
