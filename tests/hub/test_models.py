"""Models of the hub: downloaded, stopped, resumed, refused, loaded offline."""

import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.hub.conftest import CHILD_S
from tests.hub.repos import TUTORIAL_MODEL, tutorial_model, wait_for_download
from tests.hub.server import TOKEN, Hub
from tinysae.errors import InputError, MissingError
from tinysae.hub.cache import repo_dir
from tinysae.jobs.status import JobStatus
from tinysae.model.catalogue import Pin, pin_from, write_pin
from tinysae.model.downloads import download_of, start_download, stop_download
from tinysae.model.names import converted_dir, hub_name
from tinysae.model.sources import is_at_hand, load_model

SOURCE = "ada/tiny"
WEIGHTS = "model.safetensors"


@pytest.fixture(autouse=True)
def here(sees_hub: None, tiny_home: Path) -> Iterator[None]:  # noqa: ARG001
    """No download outlives its test."""
    assert tiny_home.is_dir()
    yield
    for source in (SOURCE, TUTORIAL_MODEL):
        stop_download(source)


@pytest.fixture
def served(hub: Hub, tiny_model_dir: Path) -> Path:
    """The tiny model on the hub, with a file that nobody should download."""
    folder = hub.folder(SOURCE)
    shutil.copytree(tiny_model_dir, folder, dirs_exist_ok=True)
    (folder / "training_args.bin").write_bytes(b"not for us")
    return folder


@pytest.fixture(scope="session")
def tutorial_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tutorial_model(tmp_path_factory.mktemp("tutorial"))


def downloaded(source: str = SOURCE) -> JobStatus:
    start_download(source)
    return wait_for_download(source)


def refusal(source: str = SOURCE) -> str:
    found = downloaded(source)
    assert found.state == "failed"
    return str(found.error)


def asked_for(hub: Hub, part: str) -> list[Any]:
    return [a for a in hub.asked if part in a.path and a.method == "GET"]


def test_downloaded_model_loads_without_the_hub(
    hub: Hub, served: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not is_at_hand(SOURCE)
    with pytest.raises(MissingError, match="not on this computer yet"):
        load_model(SOURCE)
    found = downloaded()
    assert (found.state, found.done) == ("done", found.total)
    assert found.total >= (served / WEIGHTS).stat().st_size
    assert not asked_for(hub, "training_args")
    asked = len(hub.asked)
    monkeypatch.setattr(hub, "url", "")
    model = load_model(SOURCE)
    assert (model.source, len(hub.asked)) == (SOURCE, asked)
    assert is_at_hand(f"{SOURCE}@{hub.commit(SOURCE)}")


def test_stopped_download_goes_on_where_it_stopped(hub: Hub, served: Path) -> None:
    # Large enough that some of it is on the disk before the server pauses.
    weights = served / "model-00001-of-00001.safetensors"
    body = (served / WEIGHTS).read_bytes()
    weights.write_bytes(body * (3_000_000 // len(body)))
    size = weights.stat().st_size
    part = repo_dir(SOURCE) / "blobs"
    name = f"{hashlib.sha256(weights.read_bytes()).hexdigest()}.incomplete"
    fault = hub.fault(f"/cdn/model/{SOURCE}/{weights.name}", pause_after=1_500_000)
    start_download(SOURCE)
    assert fault.reached.wait(CHILD_S)
    stop_download(SOURCE)
    fault.go_on.set()
    assert wait_for_download(SOURCE).state == "stopped"
    kept = (part / name).stat().st_size
    assert 0 < kept <= size
    assert downloaded().state == "done"
    assert not (part / name).exists()
    ranges = [a.range for a in asked_for(hub, f"/cdn/model/{SOURCE}/{weights.name}")]
    assert ranges == [None] + ([f"bytes={kept}-"] if kept < size else [])


def test_partial_download_that_is_too_long_begins_anew(hub: Hub, served: Path) -> None:
    body = (served / WEIGHTS).read_bytes()
    blobs = repo_dir(SOURCE) / "blobs"
    blobs.mkdir(parents=True)
    part = blobs / f"{hashlib.sha256(body).hexdigest()}.incomplete"
    part.write_bytes(body + b"more")
    found = downloaded()
    assert (found.state, found.done) == ("done", found.total)
    asked = asked_for(hub, f"/cdn/model/{SOURCE}/{WEIGHTS}")
    assert [a.range for a in asked] == [None]


def test_server_in_trouble_is_asked_again(hub: Hub, served: Path) -> None:
    assert served.is_dir()
    hub.fault(f"/cdn/model/{SOURCE}/{WEIGHTS}", status=500, times=2)
    hub.fault(f"/cdn/model/{SOURCE}/{WEIGHTS}", cut_after=50_000)
    assert downloaded().state == "done"
    load_model(SOURCE)


def test_file_that_is_not_what_was_announced_is_thrown_away(
    hub: Hub, served: Path
) -> None:
    assert served.is_dir()
    hub.fault("/cdn/", corrupt=True)
    assert refusal() == "error.download_damaged"
    assert not is_at_hand(SOURCE)
    assert not list(repo_dir(SOURCE).glob("blobs/*.incomplete"))
    assert downloaded().state == "done"


def test_what_cannot_be_had_says_why(
    hub: Hub, served: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert refusal("ada/none") == "error.hub_unknown"
    assert refusal(f"{SOURCE}@no-such-branch") == "error.hub_revision"
    hub.gated.add(SOURCE)
    assert refusal() == "error.hub_gated"
    hub.gated.clear()
    hub.private.add(SOURCE)
    assert refusal() == "error.hub_unknown"
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert downloaded().state == "done"
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    assert refusal(f"{SOURCE}@main2") in ("error.hub_token", "error.hub_unknown")
    assert served.is_dir()


def test_hub_out_of_reach_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert refusal() == "error.hub_unreachable"


def test_half_downloaded_model_says_so(served: Path) -> None:
    assert served.is_dir()
    assert downloaded().state == "done"
    (snapshot,) = (repo_dir(SOURCE) / "snapshots").iterdir()
    (snapshot / WEIGHTS).unlink()
    assert not is_at_hand(SOURCE)
    with pytest.raises(MissingError, match="in part only"):
        load_model(SOURCE)
    assert downloaded().state == "done"
    assert is_at_hand(SOURCE)


def test_only_a_pinned_pickle_is_read(hub: Hub, tutorial_dir: Path) -> None:
    folder = hub.folder(TUTORIAL_MODEL)
    shutil.copytree(tutorial_dir, folder, dirs_exist_ok=True)
    source = "tiny-stories-1L-21M"
    assert refusal(source) == "error.hub_pickle_unpinned"
    assert not asked_for(hub, "pytorch_model.bin")

    pickle = (folder / "pytorch_model.bin").read_bytes()
    commit = hub.commit(TUTORIAL_MODEL)
    # What a page's button would trust is what is there now.
    offered = pin_from(download_of(source).status.error_values)
    assert offered == Pin(commit, hashlib.sha256(pickle).hexdigest())
    write_pin(TUTORIAL_MODEL, Pin(commit, "0" * 64))
    assert refusal(source) == "error.pickle_refused"
    assert not is_at_hand(source)
    write_pin(TUTORIAL_MODEL, Pin(commit, hashlib.sha256(pickle).hexdigest()))
    assert downloaded(source).state == "done"
    assert is_at_hand(source)
    assert is_at_hand(TUTORIAL_MODEL)
    assert not asked_for(hub, "training_args")

    model = load_model(source)
    assert (model.d_vocab, model.bos_id, model.n_ctx) == (50_257, 50_256, 2_048)
    weights: Any = torch.load(tutorial_dir / "pytorch_model.bin", weights_only=True)
    assert torch.equal(model.W_U.T, weights["transformer.wte.weight"])
    text = "Once upon a time 안녕 <|endoftext|>"
    assert "".join(model.token_texts(model.encode(text))) == text


def test_pickle_with_a_program_in_it_runs_nothing(
    hub: Hub, tutorial_dir: Path, tmp_path: Path
) -> None:
    folder = hub.folder(TUTORIAL_MODEL)
    shutil.copytree(tutorial_dir, folder, dirs_exist_ok=True)
    ran = tmp_path / "ran"
    program = f"cos\nsystem\n(S'touch {ran}'\ntR.".encode()
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x02" + program)
    sha256 = hashlib.sha256(b"\x80\x02" + program).hexdigest()
    write_pin(TUTORIAL_MODEL, Pin(hub.commit(TUTORIAL_MODEL), sha256))
    assert refusal(TUTORIAL_MODEL) == "error.pickle_refused"
    assert not ran.exists()
    assert not converted_dir(TUTORIAL_MODEL, hub.commit(TUTORIAL_MODEL)).exists()


def test_other_peoples_pickles_are_refused_even_if_pinned(
    hub: Hub, served: Path
) -> None:
    (served / WEIGHTS).unlink()
    (served / "pytorch_model.bin").write_bytes(b"weights")
    write_pin(SOURCE, Pin(hub.commit(SOURCE), "0" * 64))
    assert refusal() == "error.hub_only_pickles"


@pytest.mark.parametrize(
    "source",
    [
        "",
        "a/b/c",
        "../x",
        "a/..",
        "-a/b",
        "a b",
        "a/b@",
        "a/b@../x",
        "a" * 300,
        "한/글",
    ],
)
def test_what_is_no_name_of_the_hub_is_refused(source: str) -> None:
    assert hub_name(source) is None
    with pytest.raises(InputError):
        start_download(source)


def test_killed_download_is_interrupted_and_damage_is_none(tiny_home: Path) -> None:
    with pytest.raises(InputError):
        download_of("no name")
    assert download_of(SOURCE).status.state == "new"
    start_download(SOURCE)
    wait_for_download(SOURCE)
    (folder,) = (tiny_home / "downloads").iterdir()
    status = json.loads((folder / "status.json").read_text())
    (folder / "status.json").write_text(json.dumps({**status, "state": "downloading"}))
    assert download_of(SOURCE).status.state == "interrupted"
    (folder / "status.json").write_text('{"state": "flying"}')
    assert download_of(SOURCE).status.state == "new"
