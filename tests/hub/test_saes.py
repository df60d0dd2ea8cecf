"""SAEs from and to a hub, with huggingface_hub itself against the loopback hub."""

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.builders import finished_run, write_model, write_sae
from tests.hub.conftest import CHILD_S, ROOT
from tests.hub.server import TOKEN, Hub
from tests.unit.test_worker import wait_for
from tinysae.jobs import launch
from tinysae.jobs.lock import is_locked
from tinysae.library.saved import saved_sae
from tinysae.library.transfers import COMMAND, fetch_from_hub, forget, transfers
from tinysae.runs.store import Run

ANOTHER_TOKEN = "hf_somebody_elses_token"
WEIGHTS = "sae_weights.safetensors"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "home"
    monkeypatch.setenv("TINYSAE_HOME", str(path))
    return path


@pytest.fixture
def run(home: Path) -> Run:
    return finished_run(write_model(home / "model"), name="<b>mine</b> | `x`")


class Command:
    """`python -m tinysae` with the hub of the test."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._environment = environment

    def __call__(self, *arguments: str, **environment: str) -> Any:
        return subprocess.run(
            [sys.executable, "-m", "tinysae", *arguments],
            env={**self._environment, **environment},
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=CHILD_S,
        )

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "tinysae", *arguments],
            env=self._environment,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


@pytest.fixture
def tinysae(hub_env: dict[str, str]) -> Command:
    return Command(hub_env)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def sae_at(folder: Path, d_sae: int = 2048) -> Path:
    """A random SAE whose weights have 512 bytes a feature, and some more."""
    return write_sae(folder, d_in=64, d_sae=d_sae)


@pytest.mark.slow
def test_an_upload_comes_back_byte_for_byte(
    tinysae: Command, hub: Hub, run: Run, home: Path
) -> None:
    dry = tinysae("upload", run.id, "reader/mine", "--dry-run", HF_TOKEN=TOKEN)
    assert dry.returncode == 0, dry.stderr
    # A dry run asks the hub for nothing, and leaves nothing.
    assert not hub.asked
    assert not list((home / "transfers").iterdir())
    done = tinysae("upload", run.id, "reader/mine", HF_TOKEN=TOKEN)
    assert done.returncode == 0, done.stderr
    assert "reader/mine" in hub.private
    there = contents(hub.folder("reader/mine"))
    card = there.pop("README.md").decode()
    hook = "blocks.0.hook_mlp_out"
    assert there.pop(f"{hook}/dashboard.html").startswith(b"<!DOCTYPE html>")
    assert there == {f"{hook}/{n}": d for n, d in contents(run.sae_dir).items()}
    # What was shown is what went: names, sizes and the card.
    for name, data in there.items():
        assert f"{len(data):,}  reader/mine/{name}" in dry.stdout
    assert dry.stdout.endswith(card)
    assert "<b>" not in card
    # And what SAELens and tinysae make of it is the SAE that went.
    brought = tinysae("import-sae", "reader/mine", HF_TOKEN=TOKEN)
    assert brought.returncode == 0, brought.stderr
    assert contents(home / "saes" / "mine") == contents(run.sae_dir)
    code = (
        "import sys, json; from sae_lens import SAE;"
        "sae = SAE.from_pretrained('reader/mine', sys.argv[1]);"
        "print(json.dumps(sae.W_dec.shape))"
    )
    environment = {**tinysae._environment, "HF_TOKEN": TOKEN}
    loaded = subprocess.run(
        [sys.executable, "-c", code, hook],
        env=environment,
        capture_output=True,
        text=True,
        timeout=CHILD_S,
    )
    assert json.loads(loaded.stdout.splitlines()[-1]) == [40, 32], loaded.stderr


@pytest.mark.parametrize(
    ("environment", "fault", "said"),
    [
        ({}, None, "no token"),
        ({"HF_TOKEN": ANOTHER_TOKEN}, None, "does not accept"),
        ({"HF_TOKEN": TOKEN}, ("/commit/", 403), "may not do that"),
        ({"HF_TOKEN": TOKEN}, ("/lfs/", 403), "may not do that"),
    ],
)
def test_an_upload_without_leave_is_a_sentence_and_tells_no_token(
    tinysae: Command,
    hub: Hub,
    run: Run,
    home: Path,
    environment: dict[str, str],
    fault: tuple[str, int] | None,
    said: str,
) -> None:
    if fault is not None:
        method = "PUT" if "lfs" in fault[0] else "POST"
        hub.fault(fault[0], status=fault[1], method=method, times=10)
    done = tinysae("upload", run.id, "reader/mine", **environment)
    assert done.returncode == 1
    assert said in done.stderr, done.stderr
    assert "Traceback" not in done.stderr
    told = [done.stdout, done.stderr]
    told += [d.decode(errors="replace") for d in contents(home).values()]
    assert not any(t in text for text in told for t in (TOKEN, ANOTHER_TOKEN))


@pytest.mark.slow
def test_a_killed_download_goes_on_where_it_was(
    tinysae: Command, hub: Hub, home: Path
) -> None:
    # Some pieces of those that are written at once.
    folder = sae_at(hub.folder("reader/big") / "deep" / "sae", d_sae=8000)
    at = f"/cdn/model/reader/big/deep/sae/{WEIGHTS}"
    fault = hub.fault(at, pause_after=2_000_000)
    process = tinysae.start("import-sae", "reader/big")
    assert fault.reached.wait(CHILD_S)
    incomplete = Path(tinysae._environment["HF_HOME"])
    deadline = time.monotonic() + CHILD_S
    while not any(p.stat().st_size for p in incomplete.rglob("*.incomplete")):
        assert process.poll() is None
        assert time.monotonic() < deadline
    process.send_signal(signal.SIGKILL)
    process.communicate()
    fault.go_on.set()
    assert not (home / "saes").exists()
    done = tinysae("import-sae", "reader/big")
    assert done.returncode == 0, done.stderr
    assert contents(home / "saes" / "big") == contents(folder)
    ranges = [a.range for a in hub.asked if WEIGHTS in a.path and a.range]
    assert any(not r.startswith("bytes=0-") for r in ranges), ranges
    # Once it is here, no network is needed.
    shutil.rmtree(home)
    done = tinysae("import-sae", "reader/big", HF_HUB_OFFLINE="1")
    assert done.returncode == 0, done.stderr
    assert contents(home / "saes" / "big") == contents(folder)
    done = tinysae("import-sae", "reader/other", HF_HUB_OFFLINE="1")
    assert "cannot be reached" in done.stderr


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ({"corrupt": True}, "not the file that the hub announced"),
        ({"truncate_to": 9000}, "not the file that the hub announced"),
    ],
)
def test_weights_that_changed_on_the_way_are_not_used(
    tinysae: Command, hub: Hub, home: Path, fault: dict[str, Any], said: str
) -> None:
    folder = sae_at(hub.folder("reader/big"))
    hub.fault(f"/cdn/model/reader/big/{WEIGHTS}", times=20, **fault)
    done = tinysae("import-sae", "reader/big")
    assert done.returncode == 1
    assert said in done.stderr, done.stderr
    assert not (home / "saes").exists()
    hub._faults.clear()
    done = tinysae("import-sae", "reader/big")
    assert done.returncode == 0, done.stderr
    assert contents(home / "saes" / "big") == contents(folder)


def test_weights_that_are_cut_short_on_the_hub_are_no_sae(
    tinysae: Command, hub: Hub, home: Path
) -> None:
    weights = sae_at(hub.folder("reader/torn")) / WEIGHTS
    weights.write_bytes(weights.read_bytes()[:-100])
    done = tinysae("import-sae", "reader/torn")
    assert done.returncode == 1
    assert "not a whole SAE" in done.stderr, done.stderr
    assert not list((home / "saes").iterdir())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["reader/none"], "The hub has no “reader/none”"),
        (["reader/closed"], "it is private"),
        (["reader/gated"], "accept its terms"),
        (["reader/several"], "several SAEs"),
        (["reader/empty"], "has no SAE there"),
        (["reader/several", "--subfolder", "../x"], "not a folder inside"),
        (["reader/several", "--subfolder", "c"], "has no SAE there"),
        (["reader/several", "--revision", "none"], "no such revision"),
        (["not a name"], "not the name of a repository"),
        (["gpt2-small-hook-z-kk", "--sae-id", "blocks.0.hook_z"], "reads a pickle"),
        (["no-release", "--sae-id", "x"], "no SAE “x”"),
        (["none.zip"], "no file at none.zip"),
    ],
)
def test_what_cannot_be_fetched_is_a_sentence(
    tinysae: Command, hub: Hub, home: Path, arguments: list[str], said: str
) -> None:
    for name in ("closed", "gated", "several/a", "several/b"):
        write_sae(hub.folder(f"reader/{name}"))
    (hub.folder("reader/empty") / "README.md").write_text("nothing")
    hub.private.add("reader/closed")
    hub.gated.add("reader/gated")
    done = tinysae("import-sae", *arguments)
    assert done.returncode == 1
    assert said in done.stderr, done.stderr
    assert "Traceback" not in done.stderr
    assert not (home / "saes").exists()
    assert not any("/resolve/" in a.path for a in hub.asked if a.path.endswith(".pt"))


def test_an_entry_of_saelens_list_is_converted(
    tinysae: Command, hub: Hub, home: Path
) -> None:
    # The repository and the layout that the list gives, with small random weights and a
    # cfg.json as SAELens wrote it before its version 6.
    repo_id = "jbloom/GPT2-Small-SAEs-Reformatted"
    folder = write_sae(hub.folder(repo_id) / "blocks.5.hook_resid_pre")
    old = {
        "model_name": "gpt2-small",
        "hook_point": "blocks.5.hook_resid_pre",
        "d_in": 32,
        "d_sae": 40,
        "dtype": "torch.float32",
        "context_size": 128,
    }
    (folder / "cfg.json").write_text(json.dumps(old))
    arguments = ("import-sae", "gpt2-small-res-jb", "--sae-id", folder.name)
    done = tinysae(*arguments)
    assert done.returncode == 0, done.stderr
    (taken,) = (home / "saes").iterdir()
    cfg = json.loads((taken / "cfg.json").read_text())
    assert cfg["architecture"] == "standard"
    assert cfg["metadata"]["hook_name"] == "blocks.5.hook_resid_pre"


def test_a_transfer_that_a_page_started_stops_at_once_and_goes_on(
    hub: Hub, hub_env: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in hub_env.items():
        monkeypatch.setenv(name, value)
    folder = sae_at(hub.folder("reader/big"), d_sae=8000)
    at = f"/cdn/model/reader/big/{WEIGHTS}"
    fault = hub.fault(at, pause_after=2_000_000)
    transfer = fetch_from_hub("reader/big")
    launch.launch(transfer, COMMAND)
    assert fault.reached.wait(CHILD_S)
    # How much came is written down a few times a second: not what came since.
    wait_for(lambda: transfer.status.state == "downloading", "the download")
    # The server says nothing meanwhile: whoever stops it does not wait for that.
    transfer.request_stop()
    wait_for(lambda: not is_locked(transfer.path), "the stop")
    assert transfer.status.state == "stopped"
    fault.go_on.set()
    launch.launch(transfer, COMMAND)
    wait_for(lambda: not is_locked(transfer.path), "the end")
    assert transfer.status.state == "done", transfer.log_path.read_text()
    saved = saved_sae(transfer.result()["sae"])
    assert contents(saved.directory) == contents(folder)
    forget(transfer)
    assert not transfers()
