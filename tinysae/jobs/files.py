"""Writing files so that a crash leaves the old one or the new one, never a half; and so
that nobody but their owner reads them: files of a home are 0600, its folders 0700.
"""

import hashlib
import json
import os
import shutil
import stat
import tempfile
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, cast

PRIVATE_FILE, PRIVATE_FOLDER = 0o600, 0o700


def make_folder(path: Path) -> None:
    """Makes the folder and those above it that are missing, for their owner alone.

    Raises:
        OSError: it cannot be made.
    """
    # `mkdir`'s own `parents=True` gives its mode to the last folder only.
    if not path.parent.exists():
        make_folder(path.parent)
    path.mkdir(PRIVATE_FOLDER, exist_ok=True)


def open_private(path: Path, mode: str, buffering: int = -1) -> IO[bytes]:
    """`path`, open in the binary `mode`; if it is not there, made for its owner alone.

    Raises:
        OSError: it cannot be opened or made.
    """

    def opener(name: str, flags: int) -> int:
        return os.open(name, flags, PRIVATE_FILE)

    return cast("IO[bytes]", open(path, mode, buffering, opener=opener))


def write_json(path: Path, data: Any) -> None:
    """Replaces `path` by `data` as JSON: temporary name, fsync, rename.

    Raises:
        OSError: when the folder cannot be written; `path` is then as it was.
    """
    write_text(path, json.dumps(data, ensure_ascii=False, indent=1))


def write_text(path: Path, text: str) -> None:
    """Replaces `path` by `text`: temporary name, fsync, rename.

    Raises:
        OSError: when the folder cannot be written; `path` is then as it was.
    """
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        # Lone surrogates have no UTF-8.
        with os.fdopen(handle, "w", encoding="utf-8", errors="replace") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        with suppress(FileNotFoundError):
            Path(name).unlink()
        raise
    sync_folder(path.parent)


def copy_file(source: Path, target: Path) -> None:
    """`target` with the bytes of `source`: the same file where the disk allows it.

    For files that are replaced, never changed.

    Raises:
        OSError: the one cannot be read or the other not be written.
    """
    try:
        os.link(source, target)
    except OSError:
        # Another disk, or one that knows no links.
        shutil.copyfile(source, target)


def free_space(path: Path) -> tuple[Path, int]:
    """The nearest folder to `path` that is there, and the bytes free on its disk."""
    while not path.exists():
        path = path.parent
    return path, shutil.disk_usage(path).free


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in `path`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it does not hold a JSON object.
    """
    data = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(data, dict):
        raise ValueError(f"{path.name} is not a JSON object")
    return cast("dict[str, Any]", data)


def sha256_of(content: Path | bytes) -> str:
    """The SHA-256 of a file, or of bytes, in hexadecimal: what weights, texts and the
    hub's files are known by."""
    if isinstance(content, bytes):
        return hashlib.sha256(content).hexdigest()
    with content.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextmanager
def staged_folder(target: Path, prefix: str = ".") -> Generator[Path]:
    """A folder to fill; at the end it takes the place of `target` in one rename.

    What stood at `target` before is removed only once the new folder is complete, and
    nothing of an unfinished one is left behind. A crash may leave its hidden folders:
    `clear_hidden` is for them. Whatever library wrote what is in it, it becomes its
    owner's alone. Where others have hidden folders too, a `prefix` of
    their own tells them apart.
    """
    make_folder(target.parent)
    stage = Path(tempfile.mkdtemp(dir=target.parent, prefix=f"{prefix}{target.name}."))
    try:
        yield stage
        for path in (*stage.rglob("*"), stage):
            _make_private(path)
            _sync(path)
        if target.exists():
            old = Path(
                tempfile.mkdtemp(dir=target.parent, prefix=f"{prefix}{target.name}.")
            )
            target.replace(old / target.name)
            try:
                stage.replace(target)
            except OSError:
                (old / target.name).replace(target)
                raise
            finally:
                shutil.rmtree(old, ignore_errors=True)
        else:
            stage.replace(target)
        sync_folder(target.parent)
    except BaseException:
        shutil.rmtree(stage, ignore_errors=True)
        raise


def clear_hidden(folder: Path) -> None:
    """Removes what crashed writers of `folder` left; nobody may be writing there.

    What a crash caught between the two renames of `staged_folder` is put back.
    """
    for entry in folder.glob(".*"):
        if not entry.is_dir():
            entry.unlink(missing_ok=True)
            continue
        # ".sae.abc" made room for "sae" if there is a "sae" in it.
        name = entry.name[1:].rpartition(".")[0]
        old, target = entry / name, folder / name
        if name and old.is_dir() and not target.exists():
            old.replace(target)
        shutil.rmtree(entry, ignore_errors=True)


def by_step(folder: Path) -> list[tuple[int, Path]]:
    """The folders in `folder` that are named by a step, the last step last."""
    try:
        entries = list(folder.iterdir())
    except OSError:
        return []
    return sorted(
        (int(entry.name), entry)
        for entry in entries
        # Other scripts have digits too, which `int` reads or fails on.
        if entry.name.isdecimal() and entry.name.isascii()
        if entry.is_dir() and not entry.is_symlink()
    )


def sync_folder(path: Path) -> None:
    """Makes the names in `path` (a rename, a new file) survive a power cut."""
    _sync(path)


def _make_private(path: Path) -> None:
    found = path.lstat()
    if stat.S_ISDIR(found.st_mode):
        path.chmod(PRIVATE_FOLDER)
    # A file with another name (`copy_file`) may be somebody's outside the home.
    elif stat.S_ISREG(found.st_mode) and found.st_nlink == 1:
        path.chmod(PRIVATE_FILE)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
