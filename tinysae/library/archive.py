"""An SAE as a zip file: SAELens's own files in one folder, and nothing else believed.

A zip is somebody else's file. Every name in it is looked at, only SAELens's four files
are taken out, each under the name we give it, and no more bytes than were announced.
"""

import shutil
import stat
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast

from tinysae.errors import DamagedError, InputError, MissingError
from tinysae.jobs.files import open_regular, read_json
from tinysae.model.tensor_header import tensor_header
from tinysae.sae.load import (
    CFG_NAME,
    MAX_CFG_BYTES,
    RUNNER_CFG_NAME,
    SAE,
    SPARSITY_NAME,
    WEIGHTS_NAME,
    load_sae,
)

# Bytes that each file may have. The weights of 65,536 features of a width of 4,096 in
# float32 are 2.1 GB; a configuration is a page of text.
LIMITS: Mapping[str, int] = {
    CFG_NAME: MAX_CFG_BYTES,
    WEIGHTS_NAME: 4_000_000_000,
    SPARSITY_NAME: 64_000_000,
    RUNNER_CFG_NAME: MAX_CFG_BYTES,
}
NEEDED = (CFG_NAME, WEIGHTS_NAME)
MAX_ENTRIES = 1000
# Weights are noise to a compressor: a file that grows more than this is made to.
MAX_GROWTH = 50
SMALL_BYTES = 1_000_000
COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_CHUNK = 1 << 20
# Of what zipfile reads at once: parts of files, and the whole list of them.
MAX_READ = _CHUNK
_EARLIEST = (1980, 1, 1, 0, 0, 0)


def write_zip(sae_dir: Path, out: IO[bytes], name: str, *, card: str = "") -> None:
    """Writes the SAE in `sae_dir` into `out`, as a zip with one folder called `name`.

    The same files make the same bytes. Weights are stored as they are: they do not
    compress.

    Args:
        card: what to say about it, as its README.md; none if empty.

    Raises:
        MissingError: the SAE's files are not there.
    """
    try:
        with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
            if card:
                archive.writestr(_entry(f"{name}/README.md"), card.encode())
            for path in sae_files(sae_dir):
                entry = _entry(f"{name}/{path.name}")
                # Announced, so that an SAE above 2 GB gets the format it needs.
                entry.file_size = path.stat().st_size
                with open_regular(path) as source, archive.open(entry, "w") as target:
                    shutil.copyfileobj(source, target, _CHUNK)
    except OSError as problem:
        raise MissingError("sae_missing", path=str(sae_dir)) from problem


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _EARLIEST)
    entry.external_attr = (stat.S_IFREG | 0o644) << 16
    return entry


def sae_files(sae_dir: Path) -> list[Path]:
    """Those of SAELens's files that are there.

    Raises:
        MissingError: without `cfg.json` or weights it is no SAE.
    """
    there = [sae_dir / name for name in LIMITS if (sae_dir / name).is_file()]
    if not {path.name for path in there} >= set(NEEDED):
        raise MissingError("sae_missing", path=str(sae_dir))
    return there


class _SmallReads:
    """An open zip of which no more is read at once than an SAE's needs: zipfile makes
    an object of each entry of its list, of which there may be millions, before anybody
    can count them. With that bound it may read it here: it is Python, and unpacks by
    zlib alone (`COMPRESSIONS`), no more than was announced (`_extract`)."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def read(self, n: int = -1) -> bytes:
        data = self._file.read(min(n, MAX_READ + 1) if n >= 0 else MAX_READ + 1)
        if len(data) > MAX_READ:
            raise zipfile.BadZipFile
        return data

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def read_zip(file: IO[bytes], stage: Path) -> None:
    """Takes the SAE out of the zip `file` into the empty folder `stage`.

    Raises:
        InputError: not a zip, not of one SAE, or one that nobody makes by accident.
        OSError: a file cannot be written.
    """
    try:
        with zipfile.ZipFile(cast("IO[bytes]", _SmallReads(file))) as archive:
            for name, entry in _wanted(archive.infolist()).items():
                _extract(archive, entry, stage / name)
    except (
        *(zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, EOFError),
        # What zipfile says of a password, of a compression it lacks, of odd bytes.
        *(RuntimeError, NotImplementedError, UnicodeError, ValueError),
        # Of entries that are shorter than they say.
        *(struct.error, LookupError),
    ) as problem:
        raise InputError("zip_damaged") from problem


def _wanted(entries: list[zipfile.ZipInfo]) -> dict[str, zipfile.ZipInfo]:
    """The entries of the one SAE in it, by the name they will have."""
    if len(entries) > MAX_ENTRIES:
        raise InputError("zip_too_many", limit=f"{MAX_ENTRIES:,}")
    for entry in entries:
        _refuse_strange(entry)
    paths = {PurePosixPath(e.filename): e for e in entries if not e.is_dir()}
    # Two entries of one name: which one would be meant?
    if len(paths) < sum(not entry.is_dir() for entry in entries):
        raise InputError("zip_twice")
    folders = [path.parent for path in paths if path.name == CFG_NAME]
    folders = [at for at in folders if all(at / name in paths for name in NEEDED)]
    if not folders:
        raise InputError("zip_no_sae", files=", ".join(NEEDED))
    if len(folders) > 1:
        raise InputError("zip_many_saes", n=len(folders))
    chosen = {name: paths[at] for name in LIMITS if (at := folders[0] / name) in paths}
    for name, entry in chosen.items():
        if entry.file_size > LIMITS[name]:
            raise InputError("zip_too_large", file=name, limit=f"{LIMITS[name]:,}")
        grown = entry.file_size > MAX_GROWTH * max(1, entry.compress_size)
        if grown and entry.file_size > SMALL_BYTES:
            raise InputError("zip_bomb", file=name)
    return chosen


def _refuse_strange(entry: zipfile.ZipInfo) -> None:
    """Refuses a name or a kind of entry that no honest zip of an SAE has."""
    # Other ways to compress bring their own kinds of errors, and weights nothing.
    if not entry.filename or entry.compress_type not in COMPRESSIONS:
        raise InputError("zip_damaged")
    name = entry.orig_filename
    parts = PurePosixPath(entry.filename).parts
    leads_out = (
        *(name.startswith("/"), ".." in parts, "\\" in name, "\0" in name),
        *(len(name) > 1 and name[1] == ":",),
    )
    if any(leads_out):
        raise InputError("zip_leads_out", name=name[:80])
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise InputError("zip_link", name=name[:80])


def _extract(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, to: Path) -> None:
    left = entry.file_size
    with archive.open(entry) as source, to.open("xb") as target:
        while chunk := source.read(_CHUNK):
            left -= len(chunk)
            if left < 0:
                raise InputError("zip_bomb", file=to.name)
            target.write(chunk)


def check_folder(folder: Path) -> SAE:
    """Looks at all files of an SAE that came from elsewhere; returns it.

    Raises:
        DamagedError: from `load_sae`; or one of the two files that SAELens can do
            without is not what its name says.
    """
    try:
        sae = load_sae(folder)
    except DamagedError as problem:
        # Where it lies now is nobody's business, and training it again no remedy.
        if problem.key == "error.sae_damaged":
            raise DamagedError("import_damaged") from problem
        raise
    sparsity, runner = folder / SPARSITY_NAME, folder / RUNNER_CFG_NAME
    try:
        if sparsity.exists() and "sparsity" not in (tensor_header(sparsity) or ()):
            raise DamagedError("import_damaged")
        if runner.exists():
            read_json(runner, MAX_CFG_BYTES)
    except (OSError, ValueError) as problem:
        raise DamagedError("import_damaged") from problem
    return sae
