"""SAEs that are brought into `<home>/saes`: from a zip, the hub or SAELens's list.

Whatever it comes from, it is put together in a hidden folder, looked at from end to
end, and takes its place in one rename: there is never half an SAE under `<home>/saes`.
"""

import re
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from tinysae.errors import InputError, MissingError
from tinysae.hub.errors import hub_errors
from tinysae.hub.names import HubName, check_place, check_repo_id
from tinysae.hub.repository import Progress, Repository, ask_or_recall
from tinysae.jobs.files import (
    copy_file,
    open_regular,
    read_json,
    shown_path,
    staged_folder,
    typed_path,
)
from tinysae.jobs.home import home_errors
from tinysae.library.archive import (
    LIMITS,
    NEEDED,
    check_folder,
    read_zip,
    sae_files,
)
from tinysae.library.registry import registry_entry
from tinysae.library.saved import SavedSAE, add_sae, saes_dir, saved_saes
from tinysae.sae.from_saelens import convert_folder, convert_published
from tinysae.sae.load import CFG_NAME

MAX_NAME_CHARACTERS = 60
ZIP_ENDING = ".zip"
# Only an import's own hidden folders are ever cleared away.
STAGE_PREFIX = ".import-"
# A repository's file may be as large as what it becomes.
MAX_BYTES = sum(LIMITS.values())
# Far longer than any import takes.
ABANDONED_AFTER_S = 24 * 3600.0


def import_zip(file: IO[bytes], name: str, model: str | None = None) -> SavedSAE:
    """Takes in the SAE of a zip.

    Args:
        file: the zip, open for reading and seeking.
        name: the zip's own (untrusted); the SAE's folder is called so.
        model: as for `add_sae`.

    Raises:
        InputError, DamagedError: from `read_zip`.
        MissingError: the home cannot be written.
    """
    return _installed(name, lambda stage: read_zip(file, stage), model)


def import_zip_at(path: str, model: str | None = None) -> SavedSAE:
    """`import_zip` of a file of this machine.

    Raises:
        MissingError: there is no such file; else as `import_zip`.
    """
    file, said = typed_path(path), shown_path(path.strip())
    if file is None:
        raise InputError("zip_missing", path=said)
    try:
        opened = open_regular(file)
    except OSError as problem:
        raise MissingError("zip_missing", path=said) from problem
    with opened:
        return import_zip(opened, file.name, model)


def is_zip(path: str) -> bool:
    """Whether `path` is meant as a zip and not as a folder."""
    return path.strip().lower().endswith(ZIP_ENDING)


def import_from_hub(
    repo_id: str,
    subfolder: str,
    revision: str,
    progress: Progress,
    fetched: Callable[[], object],
) -> SavedSAE:
    """Takes in the SAE of a hub repository, as it is if it is in SAELens's format of
    today, else as SAELens reads it.

    `fetched` is called once everything is here. For a process of its own: it may import
    sae_lens.

    Raises:
        InputError, MissingError, DamagedError: from `download_sae`, `convert_folder`
            and `check_folder`.
    """
    folder = download_sae(repo_id, subfolder, revision, progress)
    fetched()

    def fill(stage: Path) -> None:
        if _is_of_today(folder):
            for path in sae_files(folder):
                # The cache has links, whose ends are the files.
                copy_file(path.resolve(), stage / path.name)
        else:
            convert_folder(folder, stage)

    return _installed(repo_id.strip().rpartition("/")[2], fill)


def download_sae(
    repo_id: str, subfolder: str, revision: str, progress: Progress
) -> Path:
    """Fetches the SAE in `subfolder` of a repository; an empty one is the top, or the
    only folder that has an SAE.

    What is in the cache already is not fetched again; without a network it is enough.

    Returns:
        The folder in the hub's cache that has its files.

    Raises:
        InputError: the names cannot be right, or what is there is no SAE.
        MissingError: no such repository, folder or revision; no network; no access.
        DamagedError: what came is not what the repository has.
    """
    repo_id = check_repo_id(repo_id)
    folder, revision = check_place(subfolder, revision)
    with hub_errors(repo_id):
        repository = ask_or_recall(HubName(repo_id, revision))
        folders = repository.folders_with(NEEDED)
        if not folder and "" not in folders:
            if len(folders) > 1:
                some = ", ".join(folders[:5])
                raise InputError("repo_many_saes", repo=repo_id, folders=some)
            folder = next(iter(folders), "")
        paths = [f"{folder}/{name}" if folder else name for name in LIMITS]
        for path in paths[: len(NEEDED)]:
            if path not in repository.files:
                if not repository.is_online:
                    raise MissingError("repo_offline", repo=repo_id)
                raise InputError("repo_no_sae", repo=repo_id, file=path)
        there = [path for path in paths if path in repository.files]
        return _fetch(repository, there, progress)[0].parent


def _fetch(
    repository: Repository, paths: Sequence[str], progress: Progress
) -> list[Path]:
    if repository.size(paths) > MAX_BYTES:
        raise InputError(
            "repo_too_large", repo=repository.name.repo_id, limit=f"{MAX_BYTES:,}"
        )
    return repository.fetch(paths, progress)


def _is_of_today(folder: Path) -> bool:
    """Whether its configuration has what `load_sae` looks for; SAELens had others."""
    with suppress(OSError, ValueError, RecursionError):
        cfg = read_json(folder / CFG_NAME)
        return "architecture" in cfg and isinstance(cfg.get("metadata"), dict)
    return True


def import_from_registry(
    release: str, sae_id: str, progress: Progress, fetched: Callable[[], object]
) -> SavedSAE:
    """Takes in an SAE of SAELens's list: downloads it, converts it, saves it.

    As `import_from_hub`, for a process of its own.

    Raises:
        InputError: it cannot be opened here; the sentence says why.
        MissingError, DamagedError: as `import_from_hub`.
    """
    entry = registry_entry(release, sae_id)
    entry.check()
    with hub_errors(entry.repo_id):
        repository = ask_or_recall(HubName(entry.repo_id))
        # The last ones perhaps are not there.
        there = [path for path in entry.files if path in repository.files]
        _fetch(repository, there, progress)
    fetched()
    return _installed(
        f"{release}-{sae_id}",
        lambda stage: convert_published(release, sae_id, stage),
        entry.model,
    )


def _installed(
    name: str, fill: Callable[[Path], object], model: str | None = None
) -> SavedSAE:
    """The SAE that `fill` writes into an empty folder, in its place under
    `<home>/saes`; the one that is there if it has the same weights."""
    with home_errors():
        _clear_abandoned()
        target = _free_place(name)
        with suppress(_IsThere), staged_folder(target, STAGE_PREFIX) as stage:
            fill(stage)
            sae = check_folder(stage)
            # What reads it is then said to be missing, rather than another one read.
            model = model or sae.model_name or None
            for saved in saved_saes():
                if saved.fingerprint == sae.fingerprint:
                    target = saved.directory
                    raise _IsThere
    return add_sae(str(target), model)


class _IsThere(Exception):
    """The same SAE is under `<home>/saes` already."""


def _clear_abandoned() -> None:
    """Removes what an import left that was killed long ago."""
    for left in saes_dir().glob(f"{STAGE_PREFIX}*"):
        if time.time() - left.stat().st_mtime > ABANDONED_AFTER_S:
            shutil.rmtree(left, ignore_errors=True)


def _free_place(name: str) -> Path:
    """A folder that is not there yet, called as `name` as far as that is safe."""
    stem = name.removesuffix(ZIP_ENDING) if is_zip(name) else name
    # Neither hidden nor a path, whatever it was.
    safe = re.sub(r"[^A-Za-z0-9._-]+", "-", stem)[:MAX_NAME_CHARACTERS].strip("-.")
    safe = safe or "sae"
    place, n = saes_dir() / safe, 1
    while place.exists():
        n += 1
        place = saes_dir() / f"{safe}-{n}"
    return place
