"""A home as it was written before runs, downloads, transfers and saved SAEs were one
kind of job (`old_home`): all of it opens."""

import shutil
from pathlib import Path

import pytest

from tinysae import __main__
from tinysae.errors import MissingError
from tinysae.jobs import launch
from tinysae.jobs.status import JobStatus
from tinysae.library.feature_source import feature_source
from tinysae.library.saved import saved_saes
from tinysae.library.transfers import transfers
from tinysae.model.catalogue import pin_from
from tinysae.model.downloads import download_of, start_download
from tinysae.model.sources import STORYBOOK
from tinysae.runs import trash
from tinysae.runs.checkpoints import checkpoints
from tinysae.runs.metrics import read_metrics
from tinysae.runs.store import Run, list_runs

WRITTEN = Path(__file__).parent / "old_home"
MISSING = "error.model_missing"


@pytest.fixture(autouse=True)
def _old_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    shutil.copytree(WRITTEN, home)
    monkeypatch.setenv("TINYSAE_HOME", str(home))
    monkeypatch.setattr(launch.subprocess, "Popen", lambda *_, **__: None)


def runs_by_name() -> dict[str, Run]:
    return {run.title.removeprefix("a run that "): run for run in list_runs()}


def test_its_runs_are_what_they_were(capsys: pytest.CaptureFixture[str]) -> None:
    runs = runs_by_name()
    assert set(runs) == {"is done", "was stopped", "failed", "was killed"}
    done, killed, failed = runs["is done"], runs["was killed"], runs["failed"]
    assert done.status == JobStatus("done", error_values={})
    assert (done.evaluation() or {})["l0"] == 4.0
    assert (done.estimate() or {})["memory_bytes"] == 10**9
    assert (done.took() or {})["n_tokens"] == 1920
    assert done.made_with()["engine"] == "sparse (numba)"
    assert len(read_metrics(done.metrics_path).rows) == 1
    assert runs["was stopped"].status.state == "stopped"
    assert runs["was stopped"].stop_requested
    status = killed.status
    assert (status.state, status.reason) == ("interrupted", "restart")
    assert (status.done, status.total, status.share) == (960, 1920, 0.5)
    assert status.rate == pytest.approx(1869.6, abs=0.1)
    assert [checkpoint.step for checkpoint in checkpoints(killed)] == [7]
    assert failed.status.error == MISSING
    assert failed.status.error_values == {"source": "ada/gone"}
    assert [run.title for run in trash.deleted_runs()] == ["a run in the trash"]
    assert __main__.main(["runs"]) == 0
    said = capsys.readouterr().out
    assert f"{killed.id}  interrupted   50%  a run that was killed\n" in said
    assert f"{done.id}  done               a run that is done\n" in said


def test_its_runs_go_on() -> None:
    run = runs_by_name()["was stopped"]
    launch.launch(run, "train")
    assert not run.stop_requested
    with run.locked():
        assert run.status == JobStatus("queued", error_values={})


def test_its_downloads_are_what_they_were() -> None:
    found = {
        name: download_of(f"ada/{name}").status
        for name in ("whole", "stopped", "killed", "converts", "pickle", "none")
    }
    assert {name: status.state for name, status in found.items()} == {
        "whole": "done",
        "stopped": "stopped",
        "killed": "interrupted",
        "converts": "interrupted",
        "pickle": "failed",
        "none": "new",
    }
    assert (found["stopped"].done, found["stopped"].total) == (2_000_000, 5_000_000)
    assert (found["killed"].done, found["killed"].rate) == (3_000_000, 123456.7)
    assert found["pickle"].error == "error.hub_pickle_unpinned"
    assert pin_from(found["pickle"].error_values) is not None
    start_download("ada/stopped")
    download = download_of("ada/stopped")
    with download.locked():
        assert (download.status.state, download.status.done) == ("queued", 2_000_000)


def test_its_transfers_are_what_they_were() -> None:
    listed, upload, fetch = transfers()
    assert [(t.kind, t.title) for t in (listed, upload, fetch)] == [
        ("registry", "blocks.5.hook_resid_pre"),
        ("upload", "reader/mine"),
        ("hub", "reader/big"),
    ]
    assert upload.status.state == "done"
    assert upload.result() == {"url": "https://example.org/reader/mine"}
    assert (upload.files_dir / "README.md").read_text() == "card\n"
    assert fetch.request["subfolder"] == "deep/sae"
    assert (fetch.status.state, fetch.status.done) == ("interrupted", 2_000_000)
    assert listed.status.state == "stopped"
    launch.launch(fetch, "transfer")
    assert not fetch.stop_requested


def test_its_saved_saes_are_what_they_were() -> None:
    (saved,) = saved_saes()
    assert (saved.title, saved.model_name) == ("mine", STORYBOOK)
    assert (saved.status.state, saved.status.error) == ("failed", MISSING)
    source = feature_source(saved.id)
    assert (source.readiness, source.model) == ("no_index", STORYBOOK)
    with pytest.raises(MissingError):
        feature_source("sae-0000000000000000")
    launch.launch(saved, "index")
    with saved.locked():
        assert feature_source(saved.id).readiness == "working"
