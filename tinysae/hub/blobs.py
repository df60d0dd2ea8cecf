"""One large file of the hub into its place in the hub's cache, and on from its middle.

huggingface_hub throws away what arrived of a file when its process ends. Here it is
read into `<blob>.incomplete` of its cache, with its own `http_get`, from where the last
attempt ended, and checked against its SHA-256.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tinysae.errors import BusyError, DamagedError
from tinysae.hub.errors import no_network
from tinysae.jobs.files import sha256_of

logger = logging.getLogger(__name__)

# Small enough that a bar moves and Stop is answered on a slow line.
CHUNK_BYTES = 256 * 1024
# A server that is in trouble for longer than this is down.
RETRIES = 5
RETRY_S = 0.5


class _Heard:
    """A file that tells, after each write, how many bytes are in it."""

    def __init__(self, file: Any, said: Callable[[int], object]) -> None:
        self._file, self._said = file, said

    def write(self, data: bytes) -> int:
        n = self._file.write(data)
        self._said(self._file.tell())
        return n

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def fetch_blob(
    url: str, blob: Path, size: int, sha256: str, said: Callable[[int], object]
) -> None:
    """Reads `url` into `blob`, from where an earlier attempt ended.

    `said` hears how many bytes of it are there; what it raises ends the download, and
    what arrived stays.

    Raises:
        DamagedError: what came is not what the hub announced.
        BusyError: another process reads it just now.
    """
    part = _part(blob)
    part.parent.mkdir(parents=True, exist_ok=True)
    with part.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as problem:
            raise BusyError("download_busy", model=blob.name[:12]) from problem
        if file.tell() > size:
            file.truncate(0)
            # Cutting a file leaves its position, where the next attempt would go on.
            file.seek(0)
        said(file.tell())
        _read(url, file, size, said)
        file.flush()
        os.fsync(file.fileno())
        if sha256_of(part) != sha256:
            # Nothing of it can be trusted: the next attempt begins anew.
            part.unlink()
            raise DamagedError("download_damaged")
        part.replace(blob)


def partial_bytes(blob: Path) -> int:
    """How much of `blob` an earlier attempt left."""
    try:
        return _part(blob).stat().st_size
    except OSError:
        return 0


def _part(blob: Path) -> Path:
    # As the client calls it.
    return blob.with_name(f"{blob.name}.incomplete")


def _read(url: str, file: Any, size: int, said: Callable[[int], object]) -> None:
    """`http_get` until the file is whole; a server in trouble is asked again."""
    from huggingface_hub import constants
    from huggingface_hub.errors import HfHubHTTPError
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils import build_hf_headers

    constants.DOWNLOAD_CHUNK_SIZE = CHUNK_BYTES
    failures = 0
    heard: Any = _Heard(file, said)
    while True:
        begun = file.tell()
        try:
            http_get(
                url,
                heard,
                resume_size=begun,
                headers=build_hf_headers(),
                expected_size=size,
            )
            return
        except (HfHubHTTPError, *no_network(), OSError) as problem:
            status = getattr(getattr(problem, "response", None), "status_code", 500)
            is_full = isinstance(problem, OSError) and problem.errno == errno.ENOSPC
            failures = 1 if file.tell() > begun else failures + 1
            if status < 500 or is_full or failures > RETRIES:
                raise
            logger.warning("%s; once more", problem)
            time.sleep(RETRY_S * failures)
            said(file.tell())
