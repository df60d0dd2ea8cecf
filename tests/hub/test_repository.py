"""A repository: what is in it, what of it is brought, and what that takes."""

import shutil
from pathlib import Path

import pytest
from huggingface_hub import constants

from tests.hub.server import Hub
from tinysae.errors import DamagedError, InputError, MissingError
from tinysae.hub import cache
from tinysae.hub.cache import repo_dir, snapshot_dir
from tinysae.hub.errors import hub_errors
from tinysae.hub.names import HubName, RepoKind, check_place, is_revision
from tinysae.hub.repository import ask, ask_or_recall
from tinysae.jobs.files import sha256_of

NAME = HubName("ada/things")
LARGE, SMALL = "data/large.safetensors", "small.json"
BODY = bytes(range(256)) * 4000


@pytest.fixture(autouse=True)
def here(hub: Hub, sees_hub: None, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001
    """The client was told its hub when it was imported: here it hears of another."""
    known = constants.ENDPOINT
    monkeypatch.setattr(constants, "ENDPOINT", hub.url)
    template = constants.HUGGINGFACE_CO_URL_TEMPLATE.replace(known, hub.url)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)


def served(hub: Hub, kind: RepoKind = "model") -> Path:
    folder = hub.folder(NAME.repo_id, kind)
    (folder / LARGE).parent.mkdir()
    (folder / LARGE).write_bytes(BODY)
    (folder / SMALL).write_text("{}")
    return folder


def nothing(done: int, total: int) -> None:
    assert done <= total


@pytest.mark.parametrize("kind", ["model", "dataset"])
def test_files_come_in_the_order_they_were_asked_for(hub: Hub, kind: RepoKind) -> None:
    served(hub, kind)
    repository = ask(NAME, kind)
    assert repository.commit == hub.commit(NAME.repo_id, kind)
    assert repository.folders_with(["large.safetensors"]) == ["data"]
    heard: list[tuple[int, int]] = []
    paths = repository.fetch([LARGE, SMALL], lambda *said: heard.append(said))
    assert [path.name for path in paths] == ["large.safetensors", SMALL]
    assert paths[0].read_bytes() == BODY
    assert heard == sorted(heard)
    assert heard[-1] == (len(BODY) + 2,) * 2
    folder = snapshot_dir(NAME, kind)
    assert folder is not None
    assert folder.name == repository.commit
    assert paths[0] == folder / LARGE


def test_what_is_here_is_not_asked_for_again(hub: Hub) -> None:
    served(hub)
    ask(NAME).fetch([LARGE, SMALL], nothing)
    brought = len([a for a in hub.asked if "/cdn/" in a.path])
    ask(NAME).fetch([LARGE, SMALL], nothing)
    assert len([a for a in hub.asked if "/cdn/" in a.path]) == brought


def test_without_the_hub_there_is_what_the_cache_has(hub: Hub) -> None:
    served(hub)
    ask(NAME).fetch([LARGE], nothing)
    hub.fault("ada/things", drop=True, times=1000)
    repository = ask_or_recall(NAME)
    assert not repository.is_online
    assert [*repository.files] == [LARGE]
    (path,) = repository.fetch([LARGE], nothing)
    assert path.read_bytes() == BODY
    with pytest.raises(MissingError) as caught, hub_errors("things"):
        ask(NAME)
    assert caught.value.key == "error.hub_unreachable"
    assert not ask_or_recall(HubName("ada/others")).files


def test_room_is_needed_for_what_is_still_to_come(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    served(hub)

    def free(n_bytes: int) -> None:
        monkeypatch.setattr(cache, "free_space", lambda path: (path, n_bytes))

    free(len(BODY))
    with pytest.raises(MissingError) as caught:
        ask(NAME).fetch([LARGE, SMALL], nothing)
    assert caught.value.key == "error.download_disk"
    part = repo_dir(NAME.repo_id) / "blobs" / f"{sha256_of(BODY)}.incomplete"
    part.parent.mkdir(parents=True)
    part.write_bytes(BODY[:100])
    ask(NAME).fetch([LARGE, SMALL], nothing)
    # Nothing is to come any more, but for the small ones.
    free(2)
    ask(NAME).fetch([LARGE, SMALL], nothing)


def test_a_file_in_the_cache_that_is_another_is_taken_away(hub: Hub) -> None:
    served(hub)
    (path,) = ask(NAME).fetch([LARGE], nothing)
    path.resolve().write_bytes(BODY[::-1])
    with pytest.raises(DamagedError):
        ask(NAME).fetch([LARGE], nothing)
    (path,) = ask(NAME).fetch([LARGE], nothing)
    assert path.read_bytes() == BODY


def test_a_repository_that_moved_on_is_not_taken_for_what_it_was(hub: Hub) -> None:
    folder = served(hub)
    before = ask(NAME)
    shutil.copyfile(folder / LARGE, folder / "new.safetensors")
    (folder / LARGE).write_bytes(BODY[::-1])
    with pytest.raises((DamagedError, InputError, MissingError)), hub_errors("things"):
        before.fetch([LARGE], nothing)


@pytest.mark.parametrize(
    ("revision", "is_one"),
    [
        ("main", True),
        ("refs/pr/1", True),
        ("v1.0", True),
        ("a" * 40, True),
        ("", False),
        ("../../etc", False),
        ("a/../b", False),
        ("/etc", False),
        ("a b", False),
        ("ä", False),
    ],
)
def test_a_revision_is_a_name_and_never_a_way_out(revision: str, is_one: bool) -> None:
    assert is_revision(revision) == is_one
    if revision and not is_one:
        with pytest.raises(InputError):
            check_place("", revision)
