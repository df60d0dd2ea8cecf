"""Jobs of every kind: what their processes are told, who may read what they write."""

import ast
import os
import re
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import pytest

from tests.builders import write_sae
from tests.unit.test_worker import config_for
from tinysae.config import TrainConfig
from tinysae.data.texts import pasted
from tinysae.errors import BusyError
from tinysae.features.names.notes import Notes
from tinysae.jobs import launch
from tinysae.jobs.files import copy_file, staged_folder
from tinysae.jobs.job import Job
from tinysae.jobs.lock import try_lock
from tinysae.jobs.private import close_home
from tinysae.jobs.reporter import LATELY_S, Counted, Reporter
from tinysae.jobs.status import JobStatus, write_status
from tinysae.jobs.work import Stopped, outcome
from tinysae.lessons.progress import keep_place
from tinysae.library.saved import add_sae
from tinysae.library.transfers import fetch_from_hub
from tinysae.model.catalogue import Pin, write_pin
from tinysae.model.downloads import download_of, start_download
from tinysae.runs import trash
from tinysae.runs.live import request_live_index
from tinysae.runs.store import create_run, start_run
from tinysae.worker import finish, life, load

PACKAGE = Path(launch.__file__).parents[1]
SECRETS = {
    "HF_TOKEN": "hf_secret",
    "HUGGING_FACE_HUB_TOKEN": "hf_secret",
    "WANDB_API_KEY": "secret",
    "OPENAI_API_KEY": "secret",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "aws_access_key_id": "secret",
    "GITHUB_TOKEN": "secret",
    "SOME_APIKEY": "secret",
    "PGPASSWORD": "secret",
    "DB_PASSWORD": "secret",
    "STREAMLIT_SERVER_COOKIE_SECRET": "secret",
    "NGROK_AUTHTOKEN": "secret",
    "MYSQL_PWD": "secret",
    "SMTP_PASS": "secret",
    "GITHUB_PAT": "secret",
    "SSH_AUTH_SOCK": "/run/agent",
    "SLACK_WEBHOOK_URL": "https://hooks.example/secret",
    "AZURE_STORAGE_CONNECTION_STRING": "AccountKey=secret",
    "DATABASE_URL": "postgres://me:secret@db/one",
    "PIP_INDEX_URL": "https://secret@packages.example/simple",
}
SETTINGS = {
    "HF_HOME": "/cache",
    "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "WANDB_MODE": "offline",
    "HTTPS_PROXY": "http://proxy",
}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home that is not there yet."""
    path = tmp_path / "deep" / "home"
    monkeypatch.setenv("TINYSAE_HOME", str(path))
    return path


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, str]]:
    """The environments of the processes that would have been started."""
    environments: list[dict[str, str]] = []

    def popen(_: list[str], *, env: dict[str, str], **__: Any) -> None:
        environments.append(env)

    for name, value in {**SECRETS, **SETTINGS}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(launch.subprocess, "Popen", popen)
    return environments


def secrets_in(environment: dict[str, str]) -> set[str]:
    return SECRETS.keys() & environment.keys()


@pytest.mark.usefixtures("home")
def test_a_process_is_told_no_secret_that_it_does_not_need(
    told: list[dict[str, str]],
) -> None:
    hub, wandb = {"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"}, {"WANDB_API_KEY"}
    start_run(TrainConfig())
    start_run(TrainConfig(log_to_wandb=True))
    start_run(TrainConfig(dataset_path="ada/text"))
    start_run(TrainConfig(dataset_path="texts/mine.txt"))
    start_run(TrainConfig(dataset_path="ada/text", log_to_wandb=True))
    launch.launch(fetch_from_hub("reader/mine"), "transfer")
    start_download("ada/tiny")
    found = [secrets_in(environment) for environment in told]
    assert found == [set(), wandb, hub, set(), hub | wandb, hub, hub]
    for environment in told:
        assert environment.items() >= SETTINGS.items()
        assert environment["PATH"] == os.environ["PATH"]


def test_only_who_goes_out_is_told_the_login_of_a_proxy() -> None:
    proxies = {"HTTPS_PROXY": "http://me:secret@proxy", "http_proxy": "http://proxy"}
    assert (
        launch.worker_environment(proxies, launch.HUB_KEYS).items() >= proxies.items()
    )
    told = launch.worker_environment(proxies, ())
    assert told.keys() & proxies.keys() == {"http_proxy"}


def test_no_process_is_started_without_saying_what_it_is_told() -> None:
    silent = [
        f"{path.relative_to(PACKAGE)}:{call.lineno}"
        for path in PACKAGE.rglob("*.py")
        for call in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(call, ast.Call)
        and re.match(
            r"(subprocess|multiprocessing|os)\.(run|Popen|call|check|spawn|sy|"
            r"popen|exec|Process|Pool)",
            ast.unparse(call.func),
        )
        and not any(keyword.arg == "env" for keyword in call.keywords)
    ]
    assert silent == []


def everything(home: Path) -> Iterator[tuple[str, int]]:
    """Each path in the home, which is not private, and its mode."""
    for path in (home, *home.rglob("*")):
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode != (0o700 if path.is_dir() else 0o600):
            yield str(path.relative_to(home)), mode


def test_nobody_else_can_read_what_is_written_into_a_home(
    home: Path, tmp_path: Path, tiny_model_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load, "be_nice", lambda: None)
    for name in ("INDEX_TOKENS", "EVALUATION_TOKENS", "CONCEPT_TOKENS"):
        monkeypatch.setattr(finish, name, 1000)
    before = os.umask(0o022)
    try:
        with monkeypatch.context() as patched:
            patched.setattr(launch.subprocess, "Popen", lambda *_, **__: None)
            run = start_run(config_for(tiny_model_dir, n_checkpoints=2))
            start_download("ada/tiny")
            launch.launch(fetch_from_hub("reader/mine"), "transfer")
        life.train(run)
        assert run.status.state == "done"
        assert {p.name for p in run.path.iterdir()} >= {
            *("sae", "features", "history", "checkpoints", "lock", "log.txt"),
            *("metrics.jsonl", "evals.jsonl", "status.json", "reserve"),
        }
        run.request_stop()
        request_live_index(run)
        trash.delete(create_run(TrainConfig()))
        folder = write_sae(tmp_path / "elsewhere")
        saved = add_sae(str(folder), str(tiny_model_dir))
        life.index_saved(saved)
        assert saved.status.state == "done"
        notes = Notes(saved.fingerprint, 40)
        notes.keep(1, text="a note")
        pasted.keep("Once upon a time.")
        write_pin("ada/tiny", Pin("a" * 40, "b" * 64))
        keep_place("train", 1)
    finally:
        os.umask(before)
    assert list(everything(home)) == []


def test_a_file_that_is_also_somebody_elses_keeps_its_mode(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.write_text("weights")
    theirs.chmod(0o644)
    with staged_folder(tmp_path / "files") as stage:
        copy_file(theirs, stage / "weights")
        (stage / "link").symlink_to(theirs)
    assert stat.S_IMODE(theirs.stat().st_mode) == 0o644


def test_what_others_could_read_of_a_home_is_closed_at_the_start(
    tiny_home: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    elsewhere.chmod(0o755)
    (tiny_home / "saes").symlink_to(elsewhere)
    for name in ("runs", "notes", "lessons"):
        (tiny_home / name).mkdir()
        (tiny_home / name).chmod(0o775)
    (tiny_home / "lessons.json").write_text("{}")
    (tiny_home / "lessons.json").chmod(0o644)
    close_home()
    modes = {
        path.name: stat.S_IMODE(path.stat().st_mode) for path in tiny_home.iterdir()
    }
    private = {"runs": 0o700, "notes": 0o700, "lessons.json": 0o600}
    # Where people put what they share, and what is not the home's.
    assert modes == private | {"lessons": 0o775, "saes": 0o755}


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job("one", tmp_path)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def spoken(job: Job) -> JobStatus:
    """What the job says while somebody holds it."""
    with job.locked():
        return job.status


def test_a_speed_is_of_lately_and_so_is_what_is_left(job: Job) -> None:
    clock = Clock()
    reporter = Reporter(job, clock)
    reporter.begin("downloading", 10_000)
    assert (spoken(job).rate, spoken(job).eta_s) == (None, None)
    # Ten a second, for long; then one.
    for second in range(1, 301):
        clock.now += 1
        assert reporter.reached(10 * second)
    assert spoken(job).rate == pytest.approx(10)
    for second in range(1, int(LATELY_S) + 1):
        clock.now += 1
        assert reporter.reached(3000 + second)
    assert spoken(job).rate == pytest.approx(1)
    assert spoken(job).eta_s == pytest.approx(10_000 - 3000 - LATELY_S)
    reporter.end()
    assert (job.took() or {})["downloading"] == 300 + LATELY_S


def test_what_is_done_apart_counts_for_no_time_and_no_speed(job: Job) -> None:
    clock = Clock()
    reporter = Reporter(job, clock)
    reporter.begin("training", 1000)
    clock.now += 10
    reporter.reached(100)
    with reporter.apart():
        clock.now += 500
    clock.now += 10
    reporter.reached(200)
    assert (spoken(job).rate, spoken(job).eta_s) == (10, 80)
    reporter.end()
    assert (job.took() or {})["training"] == 20


def test_what_was_there_before_says_nothing_of_the_speed(job: Job) -> None:
    clock = Clock()
    progress = Counted(Reporter(job, clock), "downloading")
    progress(8000, 10_000)
    clock.now += 2
    progress(8200, 10_000)
    status = spoken(job)
    assert (status.done, status.rate, status.eta_s) == (8200, 100, 18)


def test_a_batch_counts_as_its_tokens_where_its_speed_is_told(job: Job) -> None:
    clock = Clock()
    reporter = Reporter(job, clock)
    reporter.begin("norm", 100, rate_of_one=64)
    clock.now += 5
    reporter.reached(10)
    assert (spoken(job).rate, spoken(job).eta_s) == (128, 45)


def test_a_stop_is_a_jobs_last_word_and_a_failure_too(job: Job) -> None:
    reporter = Reporter(job)
    reporter.begin("downloading", 10)
    job.request_stop()
    with outcome(job):
        reporter.go_on(1)
    assert job.status.state == "stopped"
    with outcome(job):
        raise Stopped
    with outcome(job, "unexpected"):
        raise RuntimeError
    assert (job.status.state, job.status.error) == ("failed", "error.unexpected")


def test_a_job_has_one_worker(job: Job) -> None:
    with job.locked(), pytest.raises(BusyError, match="one"), job.locked():
        pass
    with job.locked():
        pass


def test_a_worker_that_has_said_its_last_word_is_waited_for_until_it_has_ended(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped, refused = threading.Event(), threading.Event()

    def take(file: IO[bytes]) -> bool:
        has_it = try_lock(file)
        if not has_it:
            refused.set()
        return has_it

    def work() -> None:
        with job.locked():
            job.say("stopped")
            stopped.set()
            # What a process does on its way out.
            assert refused.wait(60)

    worker = threading.Thread(target=work)
    worker.start()
    assert stopped.wait(60)
    monkeypatch.setattr("tinysae.jobs.job.take_lock", take)
    with job.locked():
        job.say("queued")
    worker.join()
    assert refused.is_set()


def test_a_download_tells_between_its_attempts_how_far_it_came(home: Path) -> None:
    download = download_of("ada/tiny")
    assert download.status.state == "new"
    download.path.mkdir(parents=True)
    assert home.is_dir()
    write_status(download.path, JobStatus("downloading", 3, 9, rate=1.0, eta_s=6.0))
    download.say("stopped")
    assert download.status == JobStatus("stopped", 3, 9, error_values={})
    with download.locked():
        download.say("starting")
        with pytest.raises(BusyError, match="ada/tiny"):
            start_download("ada/tiny")
    # A run's figures are its curves.
    run = create_run(TrainConfig())
    write_status(run.path, JobStatus("training", 3, 9))
    run.say("stopped")
    assert run.status == JobStatus("stopped", error_values={})
