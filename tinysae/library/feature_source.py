"""Where features to look at come from: an SAE and its index.

A run's, the embedded one's, or those of an SAELens directory from elsewhere. Adding
another kind: one more list in `feature_sources`, one more look in `feature_source`.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from tinysae.data.texts.storybook import STORYBOOK as STORYBOOK_TEXT
from tinysae.errors import DamagedError
from tinysae.features.index.format import INDEX_NAME, IndexInfo
from tinysae.features.index.reader import FeatureIndex, open_index
from tinysae.jobs.files import sha256_of
from tinysae.jobs.listed import Listed, listed
from tinysae.library.saved import AnySAE, is_saved_id, saved_sae, saved_saes
from tinysae.library.shipped import (
    POST_FEATURES_DIR,
    POST_SAE_DIR,
    SHIPPED,
    STORYBOOK_FEATURES_DIR,
    STORYBOOK_POST,
    STORYBOOK_SAE,
    STORYBOOK_SAE_DIR,
    embedded_remedy,
)
from tinysae.library.text_read import TextRead, noted_in
from tinysae.model.sources import STORYBOOK
from tinysae.runs.live import live_indexes
from tinysae.runs.store import Run, list_runs, open_run
from tinysae.sae.load import SAE, WEIGHTS_NAME, load_sae

Readiness = Literal["ready", "live", "working", "no_index", "no_sae"]


@dataclass(frozen=True)
class FeatureSource:
    """An SAE whose features can be looked at.

    Attributes:
        id: what links call it.
        name: what people call it (untrusted text).
        created_at: seconds since the epoch.
        sae_dir: the SAE.
        index_dir: the index of its features.
        model: what reads it here (`model.sources.load_model`), which somebody may have
            chosen for an SAE from elsewhere that names another.
        readiness: "ready" to be opened, or "live": as it was a moment ago, while it
            trains; or why not: somebody is "working" on it, or it ended with "no_index"
            or even "no_sae".
        trained_on: the text of a run of ours, as its `dataset_path` names it; None of
            an SAE from elsewhere.
        step: of its training, of a run whose index was made while it trained.
    """

    id: str
    name: str
    created_at: float
    sae_dir: Path
    index_dir: Path
    model: str
    readiness: Readiness
    trained_on: str | None = None
    step: int | None = None

    @property
    def is_open(self) -> bool:
        """Whether there are features to look at."""
        return self.readiness in ("ready", "live")

    @property
    def is_saved(self) -> bool:
        """Whether it is an SAELens directory from elsewhere."""
        return is_saved_id(self.id)

    @property
    def is_embedded(self) -> bool:
        """Whether it came with tinysae; its name is then for the page to say."""
        return self.id in SHIPPED

    def stamp(self) -> tuple[int, int]:
        """Changes whenever the index is built again; (0, 0) when there is none."""
        try:
            stat = (self.index_dir / INDEX_NAME).stat()
        except OSError:
            return (0, 0)
        return (stat.st_ino, stat.st_mtime_ns)

    def load_sae(self) -> SAE:
        """The SAE, as one of the model that reads it here.

        Raises:
            MissingError, DamagedError: from `sae.load.load_sae`.
        """
        with self.remedy():
            return replace(load_sae(self.sae_dir), model_name=self.model)

    def open(self) -> FeatureIndex:
        """The index, if it is this SAE's.

        Raises:
            MissingError, DamagedError: from `open_index`; of the embedded SAE, how to
                get it back.
        """
        with self.remedy():
            fingerprint = _fingerprint(self.sae_dir)
            return open_index(self.index_dir, sae_fingerprint=fingerprint)

    def text_read(self, info: IndexInfo) -> TextRead:
        """What its index was made of, and what is known of it."""
        if info.text:
            return noted_in(info)
        # Of an index of before it was noted: a run's is of its own text, all others
        # were made of the embedded stories.
        is_held_out = self.trained_on is not None
        return TextRead(self.trained_on or STORYBOOK_TEXT, is_held_out)

    def remedy(self) -> AbstractContextManager[None]:
        """Around reading its files: what goes wrong inside is told with what helps."""
        return embedded_remedy() if self.is_embedded else nullcontext()


def feature_sources() -> Listed[FeatureSource]:
    """Everything whose features can or could be looked at: the newest run first, then
    the embedded SAEs, then those from elsewhere."""
    runs, saved = list_runs(), saved_saes()
    of_runs = listed(runs, run_source, lambda run: run.path)
    of_saved = listed(saved, run_source, lambda sae: sae.directory)
    return Listed(
        [*of_runs, embedded_source(), post_source(), *of_saved],
        (each for part in (runs, of_runs, saved, of_saved) for each in part.unreadable),
    )


def embedded_source() -> FeatureSource:
    """The SAE that tinysae comes with; opening it says so if its files are gone."""
    return _shipped(STORYBOOK_SAE, STORYBOOK_SAE_DIR, STORYBOOK_FEATURES_DIR)


def post_source() -> FeatureSource:
    """The other SAE that tinysae comes with, of the block's output."""
    return _shipped(STORYBOOK_POST, POST_SAE_DIR, POST_FEATURES_DIR)


def _shipped(source_id: str, sae_dir: Path, index_dir: Path) -> FeatureSource:
    return FeatureSource(
        id=source_id,
        name=source_id,
        created_at=0.0,
        sae_dir=sae_dir,
        index_dir=index_dir,
        model=STORYBOOK,
        readiness="ready",
        trained_on=STORYBOOK_TEXT,
    )


def default_source(sources: Sequence[FeatureSource]) -> FeatureSource:
    """What to show to somebody who asked for nothing: the first that is ready.

    `sources` is from `feature_sources`: the newest finished run, else the embedded SAE.
    """
    return next(source for source in sources if source.readiness == "ready")


def feature_source(source_id: str) -> FeatureSource:
    """The source a link names.

    Raises:
        InputError, MissingError, DamagedError: from `runs.store.open_run` and
            `saved.saved_sae`.
    """
    if source_id == STORYBOOK_SAE:
        return embedded_source()
    if source_id == STORYBOOK_POST:
        return post_source()
    if is_saved_id(source_id):
        return run_source(saved_sae(source_id))
    return run_source(open_run(source_id))


def run_source(run: AnySAE) -> FeatureSource:
    """The features of `run`: while it works those of a moment ago, if there are any."""
    is_working = run.status.is_working
    readiness: Readiness = "ready"
    if not (run.features_dir / INDEX_NAME).is_file():
        if is_working:
            readiness = "working"
        else:
            has_sae = (run.sae_dir / WEIGHTS_NAME).is_file()
            readiness = "no_index" if has_sae else "no_sae"
    source = FeatureSource(
        id=run.id,
        name=run.title,
        created_at=run.created_at,
        sae_dir=run.sae_dir,
        index_dir=run.features_dir,
        model=run.model_name,
        readiness=readiness,
        trained_on=run.config.dataset_path if isinstance(run, Run) else None,
    )
    if isinstance(run, Run) and is_working and (live := live_indexes(run)):
        newest = live[-1]
        return replace(
            source,
            sae_dir=newest.sae_dir,
            index_dir=newest.features_dir,
            readiness="live",
            step=newest.step,
        )
    return source


def vocabulary_dir(run: Run) -> Path | None:
    """Any index of `run`, to read its model's tokens with; None: there is none."""
    folders = [*(live.features_dir for live in live_indexes(run)), run.features_dir]
    return next((f for f in reversed(folders) if (f / INDEX_NAME).is_file()), None)


def _fingerprint(sae_dir: Path) -> str:
    """`SAE.fingerprint`, without reading the weights as tensors.

    Raises:
        DamagedError: the weights are not there, so that nobody can tell whose the
            index is.
    """
    try:
        return sha256_of(sae_dir / WEIGHTS_NAME)
    except OSError as problem:
        raise DamagedError("sae_damaged", path=str(sae_dir)) from problem
