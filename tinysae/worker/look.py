"""Between two steps: how good the SAE is on held-out text by now."""

import logging
from typing import TYPE_CHECKING

from tinysae.runs.metrics import MetricsLog
from tinysae.runs.tracking import eval_log
from tinysae.sae.rows import EvalMetrics
from tinysae.worker.held_out import EVALUATION_SEED, HeldOut

if TYPE_CHECKING:
    from tinysae.sae.look import HeldOutText
    from tinysae.sae.train import SAETraining

logger = logging.getLogger(__name__)

# A curve of the CE-loss score for a few percent of the time.
LOOKS_PER_RUN = 20
LOOK_CONTEXTS = 8


def text_to_look_at(training: "SAETraining") -> "HeldOutText":
    """Held-out text; all that the model makes of it, without an SAE, is made once."""
    config = training.config
    n_tokens = LOOK_CONTEXTS * config.context_size
    contexts = HeldOut.of(config).contexts(training.model, EVALUATION_SEED, n_tokens)
    return training.held_out_text(list(contexts))


class Looks:
    """Looks at held-out text `LOOKS_PER_RUN` times while training goes on."""

    def __init__(
        self,
        training: "SAETraining",
        log: MetricsLog[EvalMetrics],
        text: "HeldOutText | None" = None,
    ) -> None:
        """`text`: `text_to_look_at`, if somebody has it already."""
        self._training, self._log = training, log
        steps = training.config.total_training_steps
        self._every = max(1, steps // LOOKS_PER_RUN)
        self._text = text or text_to_look_at(training)

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
