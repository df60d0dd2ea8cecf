"""Trainings side by side: the text is read once, by one forward for all hooks, and each
batch is the next step of all at its hook. Every one comes to the numbers that it would
come to alone."""

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from functools import partial
from typing import TYPE_CHECKING, Any

from tinysae.config import TrainConfig
from tinysae.errors import NetworkError
from tinysae.jobs.reporter import Reporter
from tinysae.runs.checkpoints import checkpoints
from tinysae.runs.side_by_side import Start
from tinysae.runs.store import Run
from tinysae.sae.rows import StepMetrics
from tinysae.sae.step.engine import DENSE_STEP
from tinysae.sae.together import Together
from tinysae.worker.keep import KeepersTogether
from tinysae.worker.load import training_at
from tinysae.worker.look import text_to_look_at
from tinysae.worker.points import PointReporter, Points
from tinysae.worker.provenance import provenance
from tinysae.worker.train import Course, note_what_it_is_made_with

if TYPE_CHECKING:
    from torch import Tensor

    from tinysae.model.sources import LoadedModel
    from tinysae.sae.train import SAETraining

logger = logging.getLogger(__name__)


class Progress:
    """How far all points of a sweep are together, in tokens, in the sweep's status."""

    def __init__(self, points: Points) -> None:
        self.reporter = Reporter(points.sweep)
        self._seconds = 0.0
        self._total = sum(_tokens(run.config) for run in points.held)
        self._done = {run.id: _tokens_so_far(run) for run in points.held}

    def begin(self) -> None:
        """Says that a party begins its steps."""
        done = sum(self._done.values())
        self.reporter.begin("training", self._total, done, self._seconds)

    def reached(self, courses: Sequence[Course]) -> None:
        self._done |= {course.run.id: course.n_tokens for course in courses}
        self._seconds = self.reporter.seconds
        self.reporter.reached(sum(self._done.values()))


class Party:
    """Runs that read one text alike from one batch on, as they are trained.

    Args:
        points: all that the process works on.
        model: whose activations they read.
    """

    def __init__(
        self, points: Points, model: "LoadedModel", progress: Progress
    ) -> None:
        self._points, self._model, self._progress = points, model, progress
        self._together = KeepersTogether()
        self._alike: dict[str, Any] = {}

    def train(self, starts: Sequence[Start]) -> list[Run]:
        """Takes all their steps; gives those that have taken their last. The others
        have said why not, and are let go.

        Raises:
            TinysaeError: what they read together cannot be read (any more).
        """
        with ExitStack() as stack:
            trainings = {
                start.run.id: (start.run, training)
                for start in starts
                if (training := self._training(start, stack)) is not None
            }
            if not trainings:
                return []
            runs, own = zip(*trainings.values(), strict=True)
            reporters = [PointReporter(run, self._points) for run in runs]
            together = stack.enter_context(closing(Together(own)))
            if not self._knows_norm(together, reporters):
                for run in runs:
                    self._points.let_go(run, "stopped")
                return []
            texts = {
                leader.config.hook_name: text_to_look_at(leader)
                for leader in together.leaders
            }
            courses = [
                stack.enter_context(Course(*each, texts[each[0].config.hook_name]))
                for each in zip(runs, own, reporters, strict=True)
            ]
            return self._take_steps(together, courses)

    def _training(self, start: Start, stack: ExitStack) -> "SAETraining | None":
        """The run's training, closed with the others'; None of one that fails."""
        made: list[SAETraining] = []

        def make() -> None:
            config, device = start.run.config, self._model.plain.device.type
            self._alike = self._alike or provenance(config, self._model, device)
            made.append(
                training_at(start.run, self._model, start.checkpoint, self._alike)
            )

        if not self._points.survives(start.run, make):
            return None
        # Not when it ends: on a GPU, how products are rounded is the process's.
        stack.enter_context(closing(made[0]))
        stack.enter_context(closing(made[0].tracker))
        return made[0]

    def _knows_norm(self, together: Together, reporters: Sequence[Reporter]) -> bool:
        """Measures the norm once, for all; False when the sweep was asked to stop."""
        told = (self._progress.reporter, *reporters)
        if together.needs_norm:
            config = next(iter(together.leaders)).config
            n, batch = (
                config.n_batches_for_norm_estimate,
                config.train_batch_size_tokens,
            )
            for reporter in told:
                reporter.begin("norm", n, rate_of_one=batch)

            def reached(done: int) -> bool:
                for reporter in told:
                    reporter.reached(done)
                return not self._points.sweep.stop_requested

            if not together.estimate_norm(reached):
                return False
        together.join()
        return True

    def _take_steps(self, together: Together, courses: Sequence[Course]) -> list[Run]:
        going = self._begun(courses)
        trained: list[Run] = []
        while going := self._without_ended(going, trained):
            try:
                batches = together.next_batches(map(_hook, going))
            except NetworkError:
                # Nothing is wrong with what was learnt: it goes on from here.
                self._together.keep([course.keeper for course in going])
                raise
            going = self._stepped(together, going, batches)
            self._together.keep_if_due([course.keeper for course in going])
            for course in going:
                course.live.index_if_asked()
                course.reporter.reached(course.n_tokens)
            self._progress.reached(courses)
            self._points.hear_stops()
        return trained

    def _begun(self, courses: Sequence[Course]) -> list[Course]:
        """They say that their steps begin, and what computes them."""
        known: dict[tuple[str, int, str], float] = {}
        for course in courses:
            config = course.run.config
            alike = config.architecture, config.d_sae, config.hook_name
            note_what_it_is_made_with(course.run, course.training, known.get(alike))
            dense = course.run.made_with().get(DENSE_STEP)
            if isinstance(dense, float):
                known[alike] = dense
            course.begin()
        self._progress.begin()
        return list(courses)

    def _stepped(
        self,
        together: Together,
        courses: Sequence[Course],
        batches: "Mapping[str, Tensor]",
    ) -> list[Course]:
        """Those whose step went well."""
        steps = together.steps([course.training for course in courses], batches)

        def note(course: Course, step: Callable[[], StepMetrics | None]) -> None:
            course.note(step())

        return [
            course
            for course, step in zip(courses, steps, strict=True)
            if self._points.survives(course.run, partial(note, course, step))
        ]

    def _without_ended(
        self, courses: Sequence[Course], trained: list[Run]
    ) -> list[Course]:
        """Those that go on; the runs of those that are done join `trained`."""
        going: list[Course] = []
        for course in courses:
            run, is_over = course.run, course.training.is_over
            if not (is_over or self._points.is_asked_to_stop(run)):
                going.append(course)
            elif self._points.survives(run, course.end):
                if is_over:
                    run.say("evaluating")
                    trained.append(run)
                else:
                    self._points.let_go(run, "stopped")
        return going


def _hook(course: Course) -> str:
    return course.run.config.hook_name


def _tokens(config: TrainConfig) -> int:
    return config.total_training_steps * config.train_batch_size_tokens


def _tokens_so_far(run: Run) -> int:
    newest = checkpoints(run)[-1:]
    return sum(each.step * run.config.train_batch_size_tokens for each in newest)
