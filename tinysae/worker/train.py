"""The third stage: the steps, their curves, and what happens between two of them."""

from typing import TYPE_CHECKING, Self

from tinysae.errors import NetworkError
from tinysae.jobs.files import staged_folder
from tinysae.jobs.reporter import Reporter
from tinysae.runs.metrics import MetricsLog, read_metrics
from tinysae.runs.store import Run, write_made_with
from tinysae.sae.rows import ACTIVATION_SCALE, EvalMetrics, StepMetrics
from tinysae.sae.sparsity_control import SETTLED
from tinysae.worker.keep import Keeper
from tinysae.worker.live import Live
from tinysae.worker.look import Looks

if TYPE_CHECKING:
    from tinysae.sae.look import HeldOutText
    from tinysae.sae.train import SAETraining


class Course:
    """What goes on around a run's steps: its rows, its looks at held-out text, its
    checkpoints, the indexes of what it has learnt so far.

    A context: its files are closed at the end.

    Args:
        text: what is looked at, if somebody has read it already.
    """

    def __init__(
        self,
        run: Run,
        training: "SAETraining",
        reporter: Reporter,
        text: "HeldOutText | None" = None,
    ) -> None:
        self.run, self.training, self.reporter = run, training, reporter
        self._rows = MetricsLog[StepMetrics](run.metrics_path)
        self._evals = MetricsLog[EvalMetrics](run.evals_path)
        self.keeper = Keeper(run, training, (self._rows, self._evals))
        self.live = Live(run, training)
        self._looks = Looks(training, self._evals, text)
        self._batch = run.config.train_batch_size_tokens

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._rows.close()
        self._evals.close()

    @property
    def n_tokens(self) -> int:
        """Trained on so far."""
        return self.training.n_steps * self._batch

    def begin(self) -> None:
        """Says that the steps begin, or go on."""
        total = self.run.config.total_training_steps * self._batch
        before = _seconds_so_far(self.run)
        self.reporter.begin("training", total, self.n_tokens, before)

    def note(self, row: StepMetrics | None) -> None:
        """After a step: its row, if it has one, and a look if it is time for one."""
        if row is not None:
            self.live.l0 = row["l0"]
            row["seconds"] = round(self.reporter.seconds, 3)
            row["step_seconds"] = round(self.training.step_seconds, 6)
            self._rows.append(row)
        self._looks.look_if_due()

    def end(self) -> None:
        """Keeps what was learnt: a checkpoint, and the run's SAE."""
        self.reporter.end(n_tokens=self.n_tokens)
        self.keeper.keep()
        _note_where_it_settled(self.run, self.training)
        with staged_folder(self.run.sae_dir) as stage:
            self.training.save(stage)


def train_to_the_end(run: Run, training: "SAETraining", reporter: Reporter) -> bool:
    """Takes the steps that are left; False when somebody asked to stop before the last.

    Whatever was learnt is then in a checkpoint, and in the run's SAE.
    """
    note_what_it_is_made_with(run, training)
    with Course(run, training, reporter) as course:

        def progress(n_tokens: int, row: StepMetrics | None) -> bool:
            course.note(row)
            course.keeper.keep_if_due()
            # An index comes on top of the training's own time, as its estimate says.
            with reporter.apart():
                course.live.index_if_due()
            return reporter.reached(n_tokens)

        course.begin()
        try:
            to_the_end = training.run(progress)
        except NetworkError:
            # Nothing is wrong with what was learnt: it goes on from here.
            course.keeper.keep()
            raise
        course.end()
        if to_the_end:
            course.live.index_the_end()
    return to_the_end


def note_what_it_is_made_with(
    run: Run, training: "SAETraining", dense_s: float | None = None
) -> None:
    """Writes down what computes the steps, how long SAELens's own would take (measured,
    unless it is known to be `dense_s`), and the units of the curves."""
    from tinysae.sae.step.engine import DENSE, DENSE_STEP

    made_with = {**run.made_with(), **training.engine.to_json()}
    # Of when the run began, as the engine; SAELens's own step is its own measure.
    if training.engine.name != DENSE and DENSE_STEP not in made_with:
        seconds = training.dense_step_seconds() if dense_s is None else dense_s
        made_with[DENSE_STEP] = round(seconds, 4)
    if training.activation_scale is not None:
        made_with[ACTIVATION_SCALE] = training.activation_scale
    write_made_with(run, made_with)


def _note_where_it_settled(run: Run, training: "SAETraining") -> None:
    """Writes down the coefficient that was found, with which a plain run repeats it."""
    if training.settled_coefficient is not None:
        settled = {SETTLED: training.settled_coefficient}
        write_made_with(run, {**run.made_with(), **settled})


def _seconds_so_far(run: Run) -> float:
    rows = read_metrics(run.metrics_path).rows
    return rows[-1].get("seconds", 0.0) if rows else 0.0
