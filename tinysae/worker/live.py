"""Between two steps: an index of the SAE as it is, to be explored while it trains."""

import logging
import time
from typing import TYPE_CHECKING

from tinysae.jobs.work import Stopped
from tinysae.runs.live import (
    LiveIndex,
    answer_request,
    live_index_requested,
    live_indexes,
    new_live_index,
)
from tinysae.runs.store import Run
from tinysae.worker.held_out import INDEX_SEED, HeldOut

if TYPE_CHECKING:
    from tinysae.sae.train import SAETraining

logger = logging.getLogger(__name__)

# An index of the SAE as it is, now and then, for who wants to look at its features
# before it is done: a few seconds, and a few percent of the time at most.
LIVE_EVERY_S = 20.0
LIVE_SHARE = 0.03
LIVE_TOKENS = 24_000
# An L1 SAE begins with half of its features active: fewer tokens then.
LIVE_PAIRS = 3_000_000
LEAST_LIVE_TOKENS = 2_000
LIVE_CONTEXTS, LIVE_CONTEXTS_PER_BIN = 10, 2
LIVE_MEMORY_MB = 128


class Live:
    """Indexes the SAE while it trains: now and then, and when somebody asks.

    Whatever goes wrong with that is told in the log, and training goes on.
    """

    def __init__(self, run: Run, training: "SAETraining") -> None:
        self._run, self._training = run, training
        self._ended_at, self._took = time.monotonic(), 0.0
        self._is_first = True
        self._read_since: float | None = None
        self.l0: float | None = None
        """Active features a token, as far as it is known."""

    def index_if_due(self) -> None:
        pause = max(LIVE_EVERY_S, self._took / LIVE_SHARE)
        is_time = time.monotonic() - self._ended_at > pause
        if is_time:
            self._index_if_healthy()
        else:
            self.index_if_asked()

    def index_if_asked(self) -> None:
        if live_index_requested(self._run):
            self._index_if_healthy()

    def _index_if_healthy(self) -> None:
        # What diverges may come back; a request waits for that.
        if self._training.is_healthy:
            self.index()

    def index_the_end(self) -> None:
        """Of a training so long that there are some of it: what was learnt last can be
        explored at once, while its figures and the index of more text are made."""
        if live_indexes(self._run) and self._training.is_healthy:
            self.index()

    def index(self) -> None:
        """An index of this moment, unless there is one."""
        run, step, started = self._run, self._training.n_steps, time.monotonic()
        self._read_since = None
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
        if self._is_first:
            # It may have had loops to compile before it had read anything.
            started = self._read_since or self._ended_at
        self._took = self._ended_at - started
        self._is_first = False

    def _fill(self, stage: LiveIndex) -> None:
        from tinysae.features.index.build import build_index
        from tinysae.features.index.history import keep_moment
        from tinysae.features.names.label_file import write_labels
        from tinysae.features.names.labels import labels
        from tinysae.features.names.rule_learner import RuleLearner
        from tinysae.sae.load import load_sae

        training = self._training
        stage.sae_dir.mkdir()
        training.save(stage.sae_dir)
        n_tokens = int(LIVE_PAIRS / max(1.0, self.l0 or training.config.d_sae / 2))
        n_tokens = min(LIVE_TOKENS, max(LEAST_LIVE_TOKENS, n_tokens))
        model = training.model
        learner = RuleLearner(
            model.vocabulary, model.bos_id, tell=lambda _: self._hear_stop()
        )
        index = build_index(
            load_sae(stage.sae_dir),
            model,
            HeldOut.of(training.config).contexts(model, INDEX_SEED, n_tokens),
            stage.features_dir,
            n_tokens=n_tokens,
            contexts_per_feature=LIVE_CONTEXTS,
            contexts_per_bin=LIVE_CONTEXTS_PER_BIN,
            layout="pca",
            memory_mb=LIVE_MEMORY_MB,
            progress=self._go_on,
            on_read=learner,
        )
        table = index.table()
        named = labels(
            table["top_tokens"], None, learner.rules, table["promoted"].tolist()
        )
        write_labels(stage.features_dir, named)
        keep_moment(self._run.history_dir, stage.step, index)

    def _go_on(self, _done: int, _total: int) -> None:
        if self._read_since is None:
            self._read_since = time.monotonic()
        self._hear_stop()

    def _hear_stop(self) -> None:
        if self._run.stop_requested:
            raise Stopped
