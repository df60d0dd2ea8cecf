"""A file that is made at a press, in Streamlit's own store of files."""

from types import SimpleNamespace
from typing import cast

import pytest
from streamlit import runtime
from streamlit.runtime.media_file_manager import MediaFileManager
from streamlit.runtime.media_file_storage import MediaFileStorageError
from streamlit.runtime.memory_media_file_storage import MemoryMediaFileStorage

from tinysae.ui.parts import download

NAME, MIME = "sae.zip", "application/zip"


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch) -> MediaFileManager:
    files = MediaFileManager(MemoryMediaFileStorage("/media"))
    monkeypatch.setattr(runtime, "exists", lambda: True)
    there = SimpleNamespace(media_file_mgr=files)
    monkeypatch.setattr(runtime, "get_instance", lambda: there)
    return files


def pressed(files: MediaFileManager, content: bytes) -> str:
    """The address that the browser is told of."""
    file_id = files.add_deferred(
        lambda: download.kept(content, NAME, MIME), MIME, "0.1", NAME
    )
    return files.execute_deferred(file_id)


def scripts_end(files: MediaFileManager) -> None:
    """Those of other readers."""
    for _ in range(3):
        files.remove_orphaned_files()


def is_there(files: MediaFileManager, address: str) -> bool:
    try:
        storage = cast("MemoryMediaFileStorage", files._storage)
        storage.get_file(address.rsplit("/", 1)[1])
    except MediaFileStorageError:
        return False
    return True


def test_a_made_file_outlives_the_scripts_of_others(files: MediaFileManager):
    content = {name: name.encode() for name in ("one", "two")}
    addresses = [pressed(files, made) for made in content.values()]
    scripts_end(files)
    assert all(is_there(files, address) for address in addresses)

    # As it is without: the reason for all this. Once Streamlit keeps it, we need not.
    file_id = files.add_deferred(lambda: b"three", MIME, "0.2", NAME)
    lost = files.execute_deferred(file_id)
    scripts_end(files)
    assert not is_there(files, lost)


def test_a_made_file_is_let_go_after_a_while(
    files: MediaFileManager, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(download, "KEPT_S", 0)
    address = pressed(files, b"one")
    assert download._release is not None
    download._release.join()
    scripts_end(files)
    assert not is_there(files, address)


def test_no_more_made_files_are_held_than_a_few(files: MediaFileManager):
    n = download.MOST_KEPT
    addresses = [pressed(files, str(at).encode()) for at in range(n + 2)]
    scripts_end(files)
    held = [is_there(files, address) for address in addresses]
    assert held == [False] * 2 + [True] * n
