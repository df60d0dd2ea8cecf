"""The life of a run's worker, from its start to the names of its features.

It is the only writer of the run's folder. What it says, it says in files: the page may
be closed, the server restarted, and nothing here notices. Its stages, in their order:

    load      the model; the training, as it was left
    norm      the scale of the model's activations
    train     the steps and their curves; between two of them, when it is time,
    look        at held-out text,
    keep        a checkpoint,
    live        an index of the SAE as it is
    finish    figures on held-out text, the index, the features' names
"""

from contextlib import closing
from typing import TYPE_CHECKING

from tinysae.jobs.reporter import Counted, Reporter
from tinysae.jobs.work import outcome
from tinysae.runs.checkpoints import is_trained
from tinysae.worker.finish import finish, index_features
from tinysae.worker.load import load_model, load_training
from tinysae.worker.norm import knows_norm
from tinysae.worker.train import train_to_the_end

if TYPE_CHECKING:
    from tinysae.library.saved import SavedSAE
    from tinysae.model.sources import LoadedModel
    from tinysae.runs.store import Run


def train(run: "Run") -> None:
    """Trains the run's SAE, saves it, evaluates and indexes it; says how it went.

    A run that was interrupted or stopped goes on from its last checkpoint. Everything
    that goes wrong ends in the run's status and in its log.
    """
    with outcome(run):
        model = load_model(run)
        reporter = Reporter(run)
        if trained(run, model, reporter):
            finish(run, model, "done", reporter)
        else:
            run.say("stopped")


def trained(run: "Run", model: "LoadedModel", reporter: Reporter) -> bool:
    """Trains to the end or to a stop, which it tells by False.

    The SAE is saved either way, unless it was stopped before its first step.
    """
    training = load_training(run, model, reporter)
    with closing(training.tracker), closing(training):
        if not knows_norm(training, reporter):
            return False
        return train_to_the_end(run, training, reporter)


def index(run: "Run") -> None:
    """Evaluates and indexes a run that has an SAE; it is afterwards what it was."""
    before = "done" if is_trained(run) else "stopped"
    with outcome(run):
        finish(run, load_model(run), before, Reporter(run))


def index_saved(saved: "SavedSAE") -> None:
    """Indexes an SAE from elsewhere on the text that was chosen for it
    (`library.saved_text`); says how it went."""
    from tinysae.data.texts import open_text
    from tinysae.library.saved_text import text_of

    with outcome(saved):
        model = load_model(saved)
        reporter, choice = Reporter(saved), text_of(saved)
        if not choice.streaming:
            open_text(choice).bring(Counted(reporter, "downloading"))
        index_features(saved, model, reporter)
        saved.say("done")
