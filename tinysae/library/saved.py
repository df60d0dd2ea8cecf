"""SAEs from elsewhere: SAELens directories on this disk, and where their indexes are.

Two ways in: a folder under `<home>/saes`, or a path that a person gave (`add_sae`).
What is made of either lies in `<home>/indexes/<the SAE's fingerprint>/`:

    source.json    where the SAE is, and the model to read it with
    text.json      the text to read it on, if somebody chose one (`library.saved_text`)
    features/      the index

beside what every job has: the building of the index is one. The SAE's own folder is
only ever read.
"""

from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from tinysae.errors import DamagedError, InputError, MissingError, TinysaeError
from tinysae.features.index.format import INDEX_NAME
from tinysae.jobs import launch
from tinysae.jobs.files import (
    make_folder,
    read_json,
    sha256_of,
    shown_path,
    typed_path,
    write_json,
)
from tinysae.jobs.home import home, home_errors
from tinysae.jobs.job import Job
from tinysae.jobs.listed import Listed, listed
from tinysae.jobs.status import STATUS_NAME, JobStatus, write_status
from tinysae.model.sources import STORYBOOK, is_at_hand
from tinysae.runs.checkpoints import SAE_NAME
from tinysae.runs.store import Run, open_run
from tinysae.sae.load import (
    CFG_NAME,
    MAX_CFG_BYTES,
    WEIGHTS_NAME,
    load_sae,
    weights_size,
)

PREFIX = "sae-"
SOURCE_NAME = "source.json"
# Of 64: in a link, enough that no two SAEs of one person share them.
ID_DIGITS = 16


@dataclass(frozen=True)
class SavedSAE(Job):
    """An SAE that no run of ours made; `path` is the folder of its index.

    Attributes:
        directory: SAELens's files.
        fingerprint: `SAE.fingerprint`, when it was last seen.
        model_name: what reads it here (`model.sources.load_model`).
    """

    directory: Path
    fingerprint: str
    model_name: str

    @property
    def keys(self) -> tuple[str, ...]:
        from tinysae.data.texts.hub_dataset import is_of_hub
        from tinysae.library.saved_text import text_of

        return launch.HUB_KEYS if is_of_hub(text_of(self)) else ()

    @property
    def sae_dir(self) -> Path:
        return self.directory

    @property
    def features_dir(self) -> Path:
        return self.path / "features"

    @property
    def title(self) -> str:
        """Its folder's name, or the run and the step of one that
        was kept as a checkpoint (untrusted text)."""
        if (run := self.run) is not None:
            return f"{run.title} @ {int(self.directory.parent.name):,}"
        return shown_path(self.directory.name or self.directory)

    @property
    def run(self) -> Run | None:
        """The run that it was kept of as a checkpoint; None of one from elsewhere."""
        step, folder = self.directory.parent, self.directory.parent.parent
        if self.directory.name == SAE_NAME and step.name.isdecimal():
            with suppress(TinysaeError):
                run = open_run(folder.parent.name)
                if run.checkpoints_dir.resolve() == folder:
                    return run
        return None

    @property
    def is_indexed(self) -> bool:
        """Whether its features were collected."""
        return (self.features_dir / INDEX_NAME).is_file()

    @property
    def created_at(self) -> float:
        with suppress(OSError):
            return (self.directory / WEIGHTS_NAME).stat().st_mtime
        return 0.0


AnySAE = Run | SavedSAE
"""Whatever has an SAE and, perhaps, an index of its features."""


def saes_dir() -> Path:
    return home() / "saes"


def indexes_dir() -> Path:
    return home() / "indexes"


def is_saved_id(source_id: str) -> bool:
    """Whether `source_id` is made as a saved SAE's is; no run's is."""
    return source_id.startswith(PREFIX)


def saved_saes() -> Listed[SavedSAE]:
    """Those under `<home>/saes` by name, then those added by their path.

    What is no SAELens directory (any more) is left out.
    """
    added = listed(_indexes(), _added, lambda index: index)
    readable = listed([*_folders(saes_dir()), *added], _saved, lambda folder: folder)
    # One that lies in two places is one SAE; the first of them is its place.
    by_id = {saved.id: saved for saved in reversed(readable)}
    unique = dict.fromkeys(saved.id for saved in readable)
    unreadable = [*added.unreadable, *readable.unreadable]
    return Listed((by_id[each] for each in unique), unreadable)


def saved_sae(source_id: str) -> SavedSAE:
    """The saved SAE that a link names.

    Raises:
        MissingError: there is none; perhaps its folder was moved.
    """
    for saved in saved_saes():
        if saved.id == source_id:
            return saved
    raise MissingError("sae_unknown", sae=source_id[:80])


def add_sae(path: str, model: str | None = None) -> SavedSAE:
    """Takes note of the SAELens directory at `path`, after a look at all of it.

    Args:
        path: a folder with ``cfg.json`` and ``sae_weights.safetensors``.
        model: what reads it (`model.sources.load_model`); by default the one it names,
            if that is at hand, else the embedded one.

    Raises:
        InputError: not a path that could be one.
        MissingError, DamagedError: from `load_sae`; or the home cannot be written.
    """
    folder = typed_path(path)
    if folder is None:
        raise InputError("sae_path")
    sae = load_sae(folder)
    if model is None or not model.strip():
        model = sae.model_name if is_at_hand(sae.model_name) else STORYBOOK
    target = indexes_dir() / sae.fingerprint
    with home_errors():
        make_folder(target)
        write_json(target / SOURCE_NAME, {"path": str(folder), "model": model.strip()})
        if not (target / STATUS_NAME).exists():
            write_status(target, JobStatus("stopped"))
    return _saved(folder)


def sae_in(folder: Path) -> SavedSAE:
    """The SAE in `folder`, of which no note is taken.

    Raises:
        MissingError: there is none.
    """
    try:
        return _saved(folder)
    except OSError as problem:
        raise MissingError("sae_missing", path=str(folder)) from problem


def _folders(parent: Path) -> list[Path]:
    try:
        # What is hidden is still being put together.
        return sorted(p for p in parent.iterdir() if not p.name.startswith("."))
    except OSError:
        return []


def _indexes() -> list[Path]:
    try:
        return sorted(indexes_dir().iterdir())
    except OSError:
        return []


def _added(index: Path) -> Path:
    """Where the SAE of the folder `index` is.

    Raises:
        OSError, ValueError: there is nothing that says so.
    """
    path = read_json(index / SOURCE_NAME).get("path")
    if not isinstance(path, str) or not path:
        raise ValueError(f"{SOURCE_NAME} names no folder")
    return Path(path)


def _model_of(index: Path) -> str:
    """What was chosen to read the SAE of the folder `index`."""
    try:
        return str(read_json(index / SOURCE_NAME).get("model") or STORYBOOK)
    except (OSError, ValueError):
        return STORYBOOK


def _saved(folder: Path) -> SavedSAE:
    """The SAE in `folder` as it is now.

    Raises:
        OSError: a file is not there.
    """
    if (folder / CFG_NAME).stat().st_size > MAX_CFG_BYTES:
        raise DamagedError("sae_damaged", path=shown_path(folder))
    weights = folder / WEIGHTS_NAME
    size, modified_ns = weights_size(folder), weights.stat().st_mtime_ns
    fingerprint = _fingerprint(weights.resolve(), modified_ns, size)
    path = indexes_dir() / fingerprint
    return SavedSAE(
        id=PREFIX + fingerprint[:ID_DIGITS],
        path=path,
        directory=folder,
        fingerprint=fingerprint,
        model_name=_model_of(path),
    )


@lru_cache(maxsize=64)
def _fingerprint(weights: Path, modified_ns: int, size: int) -> str:  # noqa: ARG001
    """sha256 of a file; read again only when it has changed."""
    return sha256_of(weights)
