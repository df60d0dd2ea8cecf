"""The first stage: the libraries, the model, and the training as it was left."""

import logging
import os
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from tinysae.config import TrainConfig
from tinysae.errors import InputError
from tinysae.jobs.reporter import Counted, Reporter
from tinysae.jobs.work import quits_when_asked
from tinysae.runs.checkpoints import Checkpoint, checkpoints, has_newest_sae
from tinysae.runs.store import Run, write_made_with
from tinysae.runs.tracking import start_trackers
from tinysae.sae.estimate import check_memory
from tinysae.sae.rows import TEXT
from tinysae.worker.provenance import DATA_FINGERPRINT, provenance

if TYPE_CHECKING:
    from tinysae.library.saved import AnySAE
    from tinysae.model.sources import LoadedModel
    from tinysae.sae.train import SAETraining

logger = logging.getLogger(__name__)

# Other people's pages come first: the worker takes what they leave.
NICENESS = 5


def be_nice() -> None:
    """Lets whatever people look at go first."""
    now = os.getpriority(os.PRIO_PROCESS, 0)
    os.setpriority(os.PRIO_PROCESS, 0, max(now, NICENESS))


def load_model(job: "AnySAE") -> "LoadedModel":
    """The model that the job's SAE reads.

    Raises:
        TinysaeError: it cannot be loaded.
    """
    job.say("starting")
    with _loading(job):
        wanted = job.config.device if isinstance(job, Run) else "auto"
        return model_for_work(job.model_name, wanted)


def model_for_work(name: str, device: str) -> "LoadedModel":
    """The model called `name`, on the device that a run's settings ask for; all cores
    are its from now on.

    Raises:
        TinysaeError: it cannot be loaded.
    """
    import torch

    from tinysae.model.sources import load_model
    from tinysae.sae.device import device_at_hand

    be_nice()
    # Whatever the environment says: one thread a core, and the pages' needs are met
    # by the niceness above.
    torch.set_num_threads(os.cpu_count() or 1)
    return load_model(name, device=device_at_hand(device))


def load_training(run: Run, model: "LoadedModel", reporter: Reporter) -> "SAETraining":
    """The run's training, after its last step so far; its text is on this disk then.

    Raises:
        TinysaeError: the settings do not fit the model, the memory or the text.
    """
    d_in = model.hook_widths.get(run.config.hook_name, model.d_model)
    check_memory(run.config, d_in, model.n_parameters, model.plain.device.type)
    with _loading(run):
        bring_text(run.config, reporter)
        earlier = checkpoints(run)
        return training_at(run, model, earlier[-1] if earlier else None)


def bring_text(config: TrainConfig, reporter: Reporter) -> None:
    """Has the text on this disk, unless it is read as it comes.

    Raises:
        TinysaeError: there is no such text.
    """
    from tinysae.data.texts import open_text

    if not config.streaming:
        open_text(config.text).bring(Counted(reporter, "downloading"))


def training_at(
    run: Run,
    model: "LoadedModel",
    checkpoint: Checkpoint | None,
    alike: Mapping[str, Any] | None = None,
) -> "SAETraining":
    """The run's training as it was at `checkpoint`; None: before anything.

    `alike` is the `provenance` of one that reads the same text alike, if somebody has
    it already.

    Raises:
        TinysaeError: the settings do not fit the model or the text.
    """
    from tinysae.data.repeated import text_facts
    from tinysae.sae.step.engine import EngineChoice
    from tinysae.sae.train import SAETraining

    config, before = run.config, run.made_with()
    training = SAETraining(config, model, EngineChoice.from_json(before))
    training.tracker = start_trackers(run, training.runner_config)
    now = dict(alike or provenance(config, model, training.device))
    _check_same_text(before, now)
    if TEXT not in before and not _is_streamed(config):
        now[TEXT] = text_facts(
            model, config.text, seed=config.seed, n_tokens=config.training_tokens
        )
    write_made_with(run, {**before, **now})
    if checkpoint is not None:
        training.resume(checkpoint.path)
        logger.info("goes on after step %d", training.n_steps)
    return training


def _is_streamed(config: TrainConfig) -> bool:
    """Whether what is looked at beforehand would be downloaded twice."""
    from tinysae.data.texts.hub_dataset import is_of_hub

    return config.streaming and is_of_hub(config.text)


def _loading(job: "AnySAE") -> AbstractContextManager[None]:
    """While libraries load, which nothing can interrupt and nothing is lost by.

    A run that was killed first gets the SAE of its checkpoint.
    """
    owes_sae = isinstance(job, Run) and not has_newest_sae(job)
    return nullcontext() if owes_sae else quits_when_asked(job)


def _check_same_text(before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raises InputError when a run that goes on would read another text than so far."""
    known = before.get(DATA_FINGERPRINT)
    if known is not None and known != now[DATA_FINGERPRINT]:
        raise InputError("text_changed")
