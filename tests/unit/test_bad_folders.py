"""One bad folder hides no other: each list shows what it can read, and names the rest.

Every file that a list looks at is made unusable in every way we could think of.
"""

import json
import math
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.builders import step_row, write_sae
from tinysae.config import TrainConfig
from tinysae.errors import TinysaeError
from tinysae.jobs.files import write_json
from tinysae.jobs.status import JobStatus, write_status
from tinysae.jobs.turns import n_ahead
from tinysae.lessons.lesson_file import lesson_ids, lessons_dir, load_lesson
from tinysae.lessons.progress import PROGRESS_NAME, keep_place, read_progress
from tinysae.library.feature_source import feature_sources
from tinysae.library.saved import (
    SOURCE_NAME,
    add_sae,
    indexes_dir,
    saes_dir,
    saved_saes,
)
from tinysae.library.transfers import fetch_from_hub, transfers, transfers_dir
from tinysae.model.catalogue import PINS_NAME, Pin, pin_of, write_pin
from tinysae.model.downloads import download_of
from tinysae.runs import trash
from tinysae.runs.checkpoints import checkpoints
from tinysae.runs.doctor.case import case_of
from tinysae.runs.doctor.registry import diagnose
from tinysae.runs.live import live_indexes
from tinysae.runs.metrics import read_evals
from tinysae.runs.store import Run, create_run, list_runs, runs_dir
from tinysae.runs.tracking import tracked
from tinysae.sae.estimate import Estimate
from tinysae.words import LANGUAGES

# A pipe that somebody waits for would hang the whole suite.
PATIENCE_S = 60
# A pickle that only its pin would have read (`model.catalogue`).
PINNED = "EleutherAI/pythia-14m"


class Tired(BaseException):
    """Of waiting for something that never comes; nobody catches it."""


@pytest.fixture(autouse=True)
def impatient() -> Iterator[None]:
    def tired(*_: object) -> None:
        raise Tired

    before = signal.signal(signal.SIGALRM, tired)
    signal.alarm(PATIENCE_S)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def text(content: str | bytes) -> Callable[[Path], None]:
    data = content if isinstance(content, bytes) else content.encode()
    return lambda path: (path.write_bytes(data), None)[1]


def linked_to(target: str) -> Callable[[Path], None]:
    return lambda path: path.symlink_to(target)


# What stands where a JSON file should.
BAD: dict[str, Callable[[Path], None]] = {
    "brackets": text("[" * 100_000),
    "brackets that close": text('{"a": ' * 900 + "1" + "}" * 900),
    "a number of 400 digits": text('{"seed": ' + "9" * 400 + "}"),
    "a number of 5,000 digits": text('{"seed": ' + "9" * 5000 + "}"),
    "a list": text("[]"),
    "a word": text("null"),
    "nothing": text(""),
    "half": text('{"format": 1, "na'),
    "NUL": text(b"\0" * 100),
    "UTF-16": text('{"format": 1}'.encode("utf-16")),
    "no UTF-8": text(b'{"\xff": 1}'),
    "20 MB": text('{"a": "' + "x" * 20_000_000 + '"}'),
    "a pipe": os.mkfifo,
    "a device": linked_to("/dev/zero"),
    "a circle of links": linked_to("."),
    "a folder": Path.mkdir,
    "what the system makes up": linked_to("/proc/self/pagemap"),
}
BAD["a circle of links"] = lambda path: path.symlink_to(path)
# What a number may be in a JSON file, and an object's other fields stay.
BAD_VALUES = [
    math.nan, math.inf, -math.inf, 10**400, -(10**400), 1e308, -1, 0, True, None,
    "", "text", "\ud800", "a\0b", "x" * 100_000, [], {}, [[[]]], {"a": {}},
]  # fmt: skip


def put(path: Path, bad: Callable[[Path], None]) -> None:
    """In the place of what is there."""
    path.unlink(missing_ok=True)
    bad(path)


def a_run() -> Run:
    """A finished run, with every file that a page reads of one."""
    run = create_run(TrainConfig(), {"memory_bytes": 1e9})
    guess = Estimate(1, (1.0, 2.0), (3.0, 4.0))
    write_json(run.path / "estimate.json", guess.to_json())
    write_json(run.path / "eval.json", {"l0": 3.0, "ce_loss_score": 0.5})
    write_json(run.path / "took.json", {"training": 2.0, "n_tokens": 10})
    write_json(run.path / "wandb.json", {"mode": "offline", "n_lost": 0})
    (run.path / "metrics.jsonl").write_text(json.dumps(step_row()) + "\n")
    (run.path / "evals.jsonl").write_text("")
    write_status(run.path, JobStatus("done"))
    return run


def look_at(run: Run) -> None:
    """Everything that pages ask of a run in a list."""
    status = run.status
    assert 0 <= status.share <= 1
    f"{run.title}{status.error}{status.error_values}".encode()
    assert run.created_at >= 0
    assert run.stop_requested in (True, False)
    for found in (run.evaluation(), run.took()):
        assert all(math.isfinite(value) for value in (found or {}).values())
    Estimate.from_json(run.estimate())
    run.made_with()
    tracked(run)
    for found in diagnose(case_of(run)):
        found.to_json()
    read_evals(run.evals_path)
    assert live_indexes(run) == checkpoints(run) == []
    assert n_ahead(run) >= 0


def said(problems: list[TinysaeError]) -> None:
    """They are sentences in both languages that can be sent, and no novels."""
    for problem in problems:
        for language in LANGUAGES:
            assert 10 < len(problem.in_language(language).encode()) < 2000


RUN_FILES = [
    *("config.json", "status.json", "lock", "eval.json", "estimate.json"),
    *("took.json", "metrics.jsonl", "evals.jsonl", "wandb.json", "stop.request"),
    *("checkpoints", "features-live", "history", "log.txt"),
]


def broken_copy(run: Run, number: int) -> Path:
    """The folder of another run with the same files."""
    path = run.path.with_name(f"20260101-000000-{number:07x}")
    shutil.copytree(run.path, path)
    return path


def check_runs(good: Run, n: int) -> list[str]:
    """That the good run is listed, the `n` others are or are named, and all can be
    looked at; returns the names of those left out."""
    found = list_runs()
    for run in found:
        look_at(run)
    left_out = [path.name for path, _ in found.unreadable]
    assert good.id in [run.id for run in found]
    assert len(found) + len(left_out) == n + 1
    said([why for _, why in found.unreadable])
    sources = feature_sources()
    assert good.id in [source.id for source in sources]
    assert [path.name for path, _ in sources.unreadable] == left_out
    return left_out


@pytest.mark.parametrize("bad", BAD)
def test_bad_files_of_runs_hide_no_other_run(bad: str, tiny_home: Path) -> None:
    assert tiny_home.is_dir()
    good = a_run()
    broken = [broken_copy(good, number) for number in range(len(RUN_FILES))]
    for path, file in zip(broken, RUN_FILES, strict=True):
        put(path / file, BAD[bad])
    assert check_runs(good, len(broken)) == [broken[0].name]


@pytest.mark.parametrize("value", BAD_VALUES, ids=lambda value: repr(value)[:20])
def test_bad_values_in_runs_hide_no_other_run(value: object, tiny_home: Path) -> None:
    assert tiny_home.is_dir()
    good, n = a_run(), 0
    for file in ("config.json", "status.json", "eval.json", "took.json"):
        data = json.loads((good.path / file).read_text())
        for name in data:
            changed = json.dumps({**data, name: value})
            (broken_copy(good, n) / file).write_text(changed)
            n += 1
    check_runs(good, n)


def test_what_is_broken_in_the_trash_hides_nothing_there(tiny_home: Path) -> None:
    good, broken = a_run(), a_run()
    trash.delete(good)
    trash.delete(broken)
    put(tiny_home / "runs" / ".trash" / broken.id / "config.json", BAD["brackets"])
    found = trash.deleted_runs()
    assert [run.id for run in found] == [good.id]
    assert [path.name for path, _ in found.unreadable] == [broken.id]


@pytest.mark.parametrize("bad", BAD)
def test_what_is_no_folder_hides_no_other(bad: str, tiny_home: Path) -> None:
    assert tiny_home.is_dir()
    good = a_run()
    for folder in (runs_dir(), saes_dir(), indexes_dir(), transfers_dir()):
        folder.mkdir(exist_ok=True)
        put(folder / "20260101-000000-aaaaaaa", BAD[bad])
    assert [run.id for run in list_runs()] == [good.id]
    assert saved_saes() == transfers() == []
    assert good.id in [source.id for source in feature_sources()]


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("file", ["source.json", "status.json", "lock", "features"])
def test_a_bad_index_of_an_sae_hides_no_other_sae(
    file: str, bad: str, tiny_home: Path
) -> None:
    good = add_sae(str(write_sae(tiny_home / "good", seed=1)), "storybook")
    broken = add_sae(str(write_sae(tiny_home / "broken", seed=2)), "storybook")
    put(broken.path / file, BAD[bad])
    found = saved_saes()
    assert good.id in [saved.id for saved in found]
    for saved in found:
        assert saved.status.state
    left_out = [path for path, _ in found.unreadable]
    assert left_out == ([broken.path] if file == SOURCE_NAME else [])
    said([why for _, why in found.unreadable])
    assert good.id in [source.id for source in feature_sources()]


@pytest.mark.parametrize("value", BAD_VALUES, ids=lambda value: repr(value)[:20])
def test_a_bad_path_of_an_sae_hides_no_other_sae(
    value: object, tiny_home: Path
) -> None:
    good = add_sae(str(write_sae(tiny_home / "good", seed=1)), "storybook")
    other = tiny_home / "indexes" / "other"
    other.mkdir()
    for name in ("path", "model"):
        data = {"path": str(tiny_home), "model": "storybook", name: value}
        (other / SOURCE_NAME).write_text(json.dumps(data))
        assert [saved.id for saved in saved_saes()] == [good.id]
        said([why for _, why in saved_saes().unreadable])


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("file", ["cfg.json", "sae_weights.safetensors"])
def test_a_bad_file_of_an_sae_hides_no_other_sae(
    file: str, bad: str, tiny_home: Path
) -> None:
    good = write_sae(tiny_home / "saes" / "good", seed=1)
    broken = write_sae(tiny_home / "saes" / "broken", seed=2)
    put(broken / file, BAD[bad])
    found = saved_saes()
    assert good in [saved.directory for saved in found]
    said([why for _, why in found.unreadable])
    with pytest.raises(TinysaeError) as caught:
        add_sae(str(broken))
    said([caught.value])


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("file", ["request.json", "status.json", "result.json"])
def test_a_bad_transfer_hides_no_other(file: str, bad: str, tiny_home: Path) -> None:
    assert tiny_home.is_dir()
    good = fetch_from_hub("reader/good")
    broken = fetch_from_hub("reader/broken")
    put(broken.path / file, BAD[bad])
    found = transfers()
    assert good.id in [transfer.id for transfer in found]
    for transfer in found:
        assert transfer.status.state
        assert transfer.title
        assert transfer.result() is not None
    is_asked = file == "request.json"
    assert [path.name for path, _ in found.unreadable] == [broken.id] * is_asked
    said([why for _, why in found.unreadable])


@pytest.mark.parametrize("bad", BAD)
def test_a_bad_file_of_a_download_is_none(bad: str, tiny_home: Path) -> None:
    assert tiny_home.is_dir()
    download = download_of("reader/model")
    download.path.mkdir(parents=True)
    put(download.path / "status.json", BAD[bad])
    assert download.status.state == "new"


@pytest.mark.parametrize("bad", BAD)
def test_a_bad_lesson_hides_no_other(bad: str, tiny_home: Path) -> None:
    assert tiny_home.is_dir()
    shipped = lesson_ids()
    lessons_dir().mkdir()
    put(lessons_dir() / "mine.json", BAD[bad])
    assert set(lesson_ids()) >= set(shipped)
    if "mine" in lesson_ids():
        with pytest.raises(TinysaeError) as caught:
            load_lesson("mine")
        said([caught.value])


@pytest.mark.parametrize("bad", BAD)
def test_a_bad_file_of_places_or_pins_is_an_empty_one(
    bad: str, tiny_home: Path
) -> None:
    put(tiny_home / PROGRESS_NAME, BAD[bad])
    put(tiny_home / PINS_NAME, BAD[bad])
    assert read_progress() == {}
    assert pin_of(PINNED) is None
    if bad != "a folder":
        keep_place("names", 2)
        assert read_progress()["names"].step == 2
        write_pin(PINNED, Pin("a" * 40, "b" * 64))
        assert pin_of(PINNED) is not None


def test_one_bad_entry_of_the_places_loses_no_other(tiny_home: Path) -> None:
    good = {"step": 3, "answered": {"1": {"name": "Lily"}}}
    for value in BAD_VALUES:
        for bad in (value, {"step": value, "answered": {}}, {"answered": value}):
            for answered in ({"1": value}, {"²": {}}, {"1": {"name": value}}):
                worse = {"step": 1, "answered": answered}
                lessons = {"names": good, "train": bad, "features": worse}
                data = {"format": 1, "lessons": lessons}
                (tiny_home / PROGRESS_NAME).write_text(json.dumps(data))
                assert read_progress()["names"].answered == {1: {"name": "Lily"}}
