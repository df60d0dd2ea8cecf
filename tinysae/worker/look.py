"""Between two steps: how good the SAE is on held-out text by now."""

import logging
from typing import TYPE_CHECKING

from tinysae.runs.metrics import MetricsLog
from tinysae.runs.tracking import eval_log
from tinysae.sae.rows import EvalMetrics
from tinysae.worker.held_out import EVALUATION_SEED, HeldOut

if TYPE_CHECKING:
    from tinysae.sae.train import SAETraining

logger = logging.getLogger(__name__)

# A curve of the CE-loss score for a few percent of the time.
LOOKS_PER_RUN = 20
LOOK_CONTEXTS = 8


class Looks:
    """Looks at held-out text `LOOKS_PER_RUN` times while training goes on."""

    def __init__(self, training: "SAETraining", log: MetricsLog[EvalMetrics]) -> None:
        self._training, self._log = training, log
        config = training.config
        self._every = max(1, config.total_training_steps // LOOKS_PER_RUN)
        self._text = training.held_out_text(
            list(
                HeldOut.of(config).contexts(
                    training.model, EVALUATION_SEED, LOOK_CONTEXTS * config.context_size
                )
            )
        )

    def look_if_due(self) -> None:
        training = self._training
        if training.n_steps % self._every or training.n_steps <= self._log.last_step:
            return
        row = training.look(self._text)
        self._log.append(row)
        training.tracker.log(eval_log(row), training.n_steps)
        logger.info(
            "step %d: CE-loss score %.4f, L0 %.1f, explained variance %.4f",
            *(row["step"], row["ce_loss_score"]),
            *(row["l0"], row["explained_variance"]),
        )
