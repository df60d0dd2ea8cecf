"""Where features to look at come from: the runs here, each an SAE and its index.

Adding another kind (an embedded SAE, a folder from elsewhere): one more list in
`feature_sources`, one more look in `feature_source`.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tinysae.errors import DamagedError
from tinysae.features.format import INDEX_NAME
from tinysae.features.reader import FeatureIndex, open_index
from tinysae.runs.store import Run, list_runs, open_run
from tinysae.sae.files import WEIGHTS_NAME

Readiness = Literal["ready", "working", "no_index", "no_sae"]


@dataclass(frozen=True)
class FeatureSource:
    """An SAE whose features can be looked at.

    Attributes:
        id: what links call it.
        name: what people call it (untrusted text).
        created_at: seconds since the epoch.
        sae_dir: the SAE.
        index_dir: the index of its features.
        readiness: "ready" to be opened; or why not: somebody is "working" on it, or it
            ended with "no_index" or even "no_sae".
    """

    id: str
    name: str
    created_at: float
    sae_dir: Path
    index_dir: Path
    readiness: Readiness

    def stamp(self) -> tuple[int, int]:
        """Changes whenever the index is built again; (0, 0) when there is none."""
        try:
            stat = (self.index_dir / INDEX_NAME).stat()
        except OSError:
            return (0, 0)
        return (stat.st_ino, stat.st_mtime_ns)

    def open(self) -> FeatureIndex:
        """The index, if it is this SAE's.

        Raises:
            MissingError, DamagedError: from `open_index`.
        """
        return open_index(self.index_dir, sae_fingerprint=_fingerprint(self.sae_dir))


def feature_sources() -> list[FeatureSource]:
    """Everything whose features can or could be looked at, newest first."""
    return [_of_run(run) for run in list_runs()]


def feature_source(source_id: str) -> FeatureSource:
    """The source a link names.

    Raises:
        InputError, MissingError, DamagedError: from `runs.store.open_run`.
    """
    return _of_run(open_run(source_id))


def _of_run(run: Run) -> FeatureSource:
    readiness: Readiness = "ready"
    if not (run.features_dir / INDEX_NAME).is_file():
        if run.status.is_working:
            readiness = "working"
        else:
            has_sae = (run.sae_dir / WEIGHTS_NAME).is_file()
            readiness = "no_index" if has_sae else "no_sae"
    return FeatureSource(
        id=run.id,
        name=run.config.title,
        created_at=run.created_at,
        sae_dir=run.sae_dir,
        index_dir=run.features_dir,
        readiness=readiness,
    )


def _fingerprint(sae_dir: Path) -> str:
    """`SAE.fingerprint`, without reading the weights as tensors.

    Raises:
        DamagedError: the weights are not there, so that nobody can tell whose the
            index is.
    """
    try:
        data = (sae_dir / WEIGHTS_NAME).read_bytes()
    except OSError as problem:
        raise DamagedError("sae_damaged", path=str(sae_dir)) from problem
    return hashlib.sha256(data).hexdigest()
