"""The third stage: the steps, their curves, and what happens between two of them."""

from typing import TYPE_CHECKING

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
    from tinysae.sae.train import SAETraining


def train_to_the_end(run: Run, training: "SAETraining", reporter: Reporter) -> bool:
    """Takes the steps that are left; False when somebody asked to stop before the last.

    Whatever was learnt is then in a checkpoint, and in the run's SAE.
    """
    _note_what_it_is_made_with(run, training)
    batch = run.config.train_batch_size_tokens
    total = run.config.total_training_steps * batch
    with (
        MetricsLog[StepMetrics](run.metrics_path) as rows,
        MetricsLog[EvalMetrics](run.evals_path) as evals,
    ):
        keeper = Keeper(run, training, (rows, evals))
        looks = Looks(training, evals)
        live = Live(run, training)

        def progress(n_tokens: int, row: StepMetrics | None) -> bool:
            if row is not None:
                live.l0 = row["l0"]
                row["seconds"] = round(reporter.seconds, 3)
                row["step_seconds"] = round(training.step_seconds, 6)
                rows.append(row)
            looks.look_if_due()
            keeper.keep_if_due()
            # An index comes on top of the training's own time, as its estimate says.
            with reporter.apart():
                live.index_if_due()
            return reporter.reached(n_tokens)

        done = training.n_steps * batch
        reporter.begin("training", total, done, _seconds_so_far(run))
        try:
            to_the_end = training.run(progress)
        except NetworkError:
            # Nothing is wrong with what was learnt: it goes on from here.
            keeper.keep()
            raise
        reporter.end(n_tokens=training.n_steps * batch)
        keeper.keep()
        _note_where_it_settled(run, training)
        with staged_folder(run.sae_dir) as stage:
            training.save(stage)
        if to_the_end:
            live.index_the_end()
    return to_the_end


def _note_what_it_is_made_with(run: Run, training: "SAETraining") -> None:
    """Writes down what computes the steps, how long SAELens's own would take, and the
    units of the curves."""
    from tinysae.sae.step.engine import DENSE, DENSE_STEP

    made_with = {**run.made_with(), **training.engine.to_json()}
    # Of when the run began, as the engine; SAELens's own step is its own measure.
    if training.engine.name != DENSE and DENSE_STEP not in made_with:
        made_with[DENSE_STEP] = round(training.dense_step_seconds(), 4)
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
