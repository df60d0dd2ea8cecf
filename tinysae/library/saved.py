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
from typing import Any

from tinysae.errors import InputError, MissingError, TinysaeError
from tinysae.features.index.format import INDEX_NAME
from tinysae.jobs import launch
from tinysae.jobs.files import make_folder, read_json, sha256_of, write_json
from tinysae.jobs.home import home, home_error
from tinysae.jobs.job import Job
from tinysae.jobs.status import STATUS_NAME, JobStatus, write_status
from tinysae.model.sources import STORYBOOK, is_at_hand
from tinysae.runs.checkpoints import SAE_NAME
from tinysae.runs.store import Run, open_run
from tinysae.sae.load import CFG_NAME, WEIGHTS_NAME, load_sae

PREFIX = "sae-"
SOURCE_NAME = "source.json"
# Of 64: in a link, enough that no two SAEs of one person share them.
ID_DIGITS = 16
MAX_PATH_CHARACTERS = 4096
# A cfg.json larger than this is not one.
MAX_CFG_BYTES = 1_000_000


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
        return self.directory.name or str(self.directory)

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


def saved_saes() -> list[SavedSAE]:
    """Those under `<home>/saes` by name, then those added by their path.

    What is no SAELens directory (any more) is left out.
    """
    found: dict[str, SavedSAE] = {}
    for folder in [*_folders(saes_dir()), *_added()]:
        with suppress(TinysaeError, OSError):
            saved = _saved(folder)
            found.setdefault(saved.id, saved)
    return list(found.values())


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
    text = path.strip()
    if not text or len(text) > MAX_PATH_CHARACTERS or "\0" in text:
        raise InputError("sae_path")
    folder = Path(text).expanduser().resolve()
    sae = load_sae(folder)
    if model is None or not model.strip():
        model = sae.model_name if is_at_hand(sae.model_name) else STORYBOOK
    target = indexes_dir() / sae.fingerprint
    try:
        make_folder(target)
        write_json(target / SOURCE_NAME, {"path": str(folder), "model": model.strip()})
        if not (target / STATUS_NAME).exists():
            write_status(target, JobStatus("stopped"))
    except OSError as problem:
        raise home_error(problem) from problem
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
        names = sorted(p for p in parent.iterdir() if not p.name.startswith("."))
        return [path for path in names if (path / WEIGHTS_NAME).is_file()]
    except OSError:
        return []


def _added() -> list[Path]:
    try:
        files = sorted(indexes_dir().glob(f"*/{SOURCE_NAME}"))
    except OSError:
        return []
    sources = [_source(file.parent) for file in files]
    return [Path(str(source["path"])) for source in sources if "path" in source]


def _source(folder: Path) -> dict[str, Any]:
    try:
        return read_json(folder / SOURCE_NAME)
    except (OSError, ValueError, RecursionError):
        return {}


def _saved(folder: Path) -> SavedSAE:
    """The SAE in `folder` as it is now.

    Raises:
        OSError: a file is not there.
    """
    if (folder / CFG_NAME).stat().st_size > MAX_CFG_BYTES:
        raise InputError("sae_path")
    weights = (folder / WEIGHTS_NAME).resolve()
    stat = weights.stat()
    fingerprint = _fingerprint(weights, stat.st_mtime_ns, stat.st_size)
    path = indexes_dir() / fingerprint
    model = str(_source(path).get("model") or STORYBOOK)
    return SavedSAE(
        id=PREFIX + fingerprint[:ID_DIGITS],
        path=path,
        directory=folder,
        fingerprint=fingerprint,
        model_name=model,
    )


@lru_cache(maxsize=64)
def _fingerprint(weights: Path, modified_ns: int, size: int) -> str:  # noqa: ARG001
    """sha256 of a file; read again only when it has changed."""
    return sha256_of(weights)
