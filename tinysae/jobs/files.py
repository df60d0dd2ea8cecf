"""Writing files so that a crash leaves the old one or the new one, never a half; and so
that nobody but their owner reads them: files of a home are 0600, its folders 0700.

And reading them, whoever made them: what is no file, or far too large for one of its
kind, is refused before it is read.
"""

import errno
import fcntl
import hashlib
import json
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Generator
from contextlib import contextmanager, suppress
from io import BufferedReader
from pathlib import Path
from typing import IO, Any, cast

from tinysae.checked_numbers import MAX_DIGITS, typed_whole
from tinysae.render.visible import encodable

PRIVATE_FILE, PRIVATE_FOLDER = 0o600, 0o700
# Settings, counters, a few thousand notes; what may be larger says so itself.
MAX_JSON_BYTES = 10_000_000
MAX_PATH_CHARACTERS = 4096
# Of a path in a sentence.
MAX_SHOWN_PATH = 400
# Half of a character, as JSON may write it: no page and no file can show it.
_HALF = re.compile(rb"\\u[dD][89a-fA-F]")
# Nobody writes JSON that is nested deeper; Python's own limit is at a thousand.
MAX_DEPTH = 100
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"')
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


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
        # A pipe in its place would wait for its other end.
        return os.open(name, flags | os.O_NONBLOCK, PRIVATE_FILE)

    return cast("IO[bytes]", open(path, mode, buffering, opener=opener))


def open_regular(path: Path) -> BufferedReader:
    """`path`, open to be read, if it is a file: a pipe would wait for its other end,
    and a device may have none.

    Raises:
        OSError: it cannot be opened, or is no file.
    """

    def opener(name: str, flags: int) -> int:
        handle = os.open(name, flags | os.O_NONBLOCK)
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            os.close(handle)
            raise OSError(errno.EINVAL, "not a file", name)
        return handle

    return cast("BufferedReader", open(path, "rb", opener=opener))


def read_bytes(path: Path, max_bytes: int) -> bytes:
    """What is in the file `path`.

    Raises:
        OSError: it cannot be read, or is no file.
        ValueError: it has more than `max_bytes`, or is no file that has a length.
    """
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > max_bytes:
            raise ValueError(f"{path.name} has more than {max_bytes:,} bytes")
        # What the system makes up as it is read (/proc) says 0, and may have no end.
        data = file.read(size + 1) or b""
    if len(data) != size:
        raise ValueError(f"{path.name} changes while it is read")
    return data


def typed_path(text: str) -> Path | None:
    """The path that somebody typed, "~" and links followed; None: it can be none."""
    text = text.strip()
    if not text or len(text) > MAX_PATH_CHARACTERS:
        return None
    try:
        return Path(text).expanduser().resolve()
    except (OSError, RuntimeError, ValueError):
        # Nobody's home, a circle of links, a NUL.
        return None


@contextmanager
def changing(path: Path) -> Generator[None]:
    """For who reads `path`, changes what was in it and writes it again: two windows, or
    processes, that do so within this do it one after the other, and lose nothing.

    Raises:
        OSError: its folder cannot be written.
    """
    make_folder(path.parent)
    # Beside it: the file itself is replaced, and its lock would go with it.
    with open_private(path.with_name(f".{path.name}.lock"), "ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def write_json(path: Path, data: Any, *, outlives_power_cut: bool = True) -> None:
    """`write_text` of `data` as JSON."""
    text = json.dumps(data, ensure_ascii=False, indent=1)
    write_text(path, text, outlives_power_cut=outlives_power_cut)


def write_text(path: Path, text: str, *, outlives_power_cut: bool = True) -> None:
    """`write_bytes` of a text; half a character is U+FFFD."""
    data = encodable(text).encode()
    write_bytes(path, data, outlives_power_cut=outlives_power_cut)


def write_bytes(path: Path, data: bytes, *, outlives_power_cut: bool = True) -> None:
    """Replaces `path` by `data`: temporary name, fsync, rename.

    Args:
        path: a file, or none yet.
        data: all of it.
        outlives_power_cut: otherwise the disk is not waited for, and a power cut may
            leave an empty file; whoever kills this process leaves the old or the new.

    Raises:
        OSError: when the folder cannot be written; `path` is then as it was.
    """
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            if outlives_power_cut:
                os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        with suppress(FileNotFoundError):
            Path(name).unlink()
        raise
    if outlives_power_cut:
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


def shown_path(path: Path | str) -> str:
    """A path as text that can be shown: a name on a disk may be any bytes."""
    return encodable(str(path)[:MAX_SHOWN_PATH])


def read_json(path: Path, max_bytes: int = MAX_JSON_BYTES) -> dict[str, Any]:
    """The JSON object in `path`; its texts can be shown, its numbers may be any.

    Raises:
        FileNotFoundError: there is no such file.
        OSError: it cannot be read, or is no file.
        ValueError: it does not hold a JSON object, or has more than `max_bytes`.
    """
    data = parsed_json(read_bytes(path, max_bytes))
    if not isinstance(data, dict):
        raise ValueError(f"{path.name} is not a JSON object")
    return cast("dict[str, Any]", data)


def parsed_json(text: bytes) -> Any:
    """What the JSON of a stranger says: texts that can be shown, nested only so far
    that whatever goes through it comes to an end. Its numbers may be any.

    Raises:
        ValueError: it is no JSON in UTF-8, or nested too deep.
    """
    # Before it is parsed, so that the copy that this takes is gone by then.
    brackets = _STRING.sub(b"", text).translate(None, _NO_BRACKETS)
    for _ in range(MAX_DEPTH):
        brackets = brackets.replace(b"[]", b"").replace(b"{}", b"")
    if brackets:
        raise ValueError("nested too deep")
    data = json.loads(text.decode("utf-8"))
    if _HALF.search(text):
        data = json.loads(encodable(json.dumps(data, ensure_ascii=False)))
    return data


def sha256_of(content: Path | bytes) -> str:
    """The SHA-256 of a file, or of bytes, in hexadecimal: what weights, texts and the
    hub's files are known by."""
    if isinstance(content, bytes):
        return hashlib.sha256(content).hexdigest()
    with open_regular(content) as stream:
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
        (step, entry)
        for entry in entries
        if (step := typed_whole(entry.name, below=10**MAX_DIGITS)) is not None
        # Unlike `Path.is_dir`, false too where nobody may look.
        if os.path.isdir(entry) and not entry.is_symlink()
    )


def sync_folder(path: Path) -> None:
    """Makes the names in `path` (a rename, a new file) survive a power cut."""
    _sync(path)


def _make_private(path: Path) -> None:
    entry = path.lstat()
    if stat.S_ISDIR(entry.st_mode):
        path.chmod(PRIVATE_FOLDER)
    # A file with another name (`copy_file`) may be somebody's outside the home.
    elif stat.S_ISREG(entry.st_mode) and entry.st_nlink == 1:
        path.chmod(PRIVATE_FILE)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
