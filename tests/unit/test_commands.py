"""`python -m tinysae`: one word for one thing, and output that a newcomer can read."""

import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.builders import HOOK_NAME, finished_run, write_model, write_sae
from tinysae import __main__
from tinysae.config import TextChoice, TrainConfig
from tinysae.errors import InputError
from tinysae.jobs.job import Job
from tinysae.jobs.reporter import Reporter
from tinysae.library.feature_source import feature_source
from tinysae.library.named_sae import named_sae, named_source
from tinysae.library.saved import SavedSAE, add_sae, saes_dir
from tinysae.library.saved_text import choose_text, suggested, text_of
from tinysae.library.shipped import SHIPPED
from tinysae.presets import PRESETS
from tinysae.runs.store import create_run, list_runs, runs_dir
from tinysae.sae.step.engine import SPARSE, EngineChoice
from tinysae.words import text
from tinysae.worker import finish, life, load

# Whichever asks for an SAE, with what else it cannot do without.
ABOUT_AN_SAE = {
    "index": (),
    "evaluate": (),
    "search": ("--words", "x"),
    "export": ("1",),
    "explain": ("1", "--url", "http://127.0.0.1:9/v1", "--model", "x"),
    "upload": ("ada/x", "--dry-run"),
}


@pytest.fixture(autouse=True)
def _in_this_process(monkeypatch: pytest.MonkeyPatch, tiny_home: Path) -> None:
    assert tiny_home.is_dir()
    monkeypatch.setattr(load, "be_nice", lambda: None)
    for name in ("INDEX_TOKENS", "EVALUATION_TOKENS", "CONCEPT_TOKENS"):
        monkeypatch.setattr(finish, name, 2048)


@pytest.fixture
def folder(tmp_path: Path, tiny_model_dir: Path) -> Path:
    metadata = {"hook_name": HOOK_NAME, "model_name": str(tiny_model_dir)}
    return write_sae(tmp_path / "elsewhere" / "my sae", metadata=metadata)


def test_every_command_finds_an_sae_by_id_folder_or_title(
    folder: Path, tiny_model_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = add_sae(str(folder))
    for name in (saved.id, str(folder), "my sae"):
        assert named_sae(name) == saved
        assert named_source(name).id == saved.id
    monkeypatch.chdir(folder.parent)
    assert named_sae("my sae") == saved
    run = finished_run(tiny_model_dir, with_features=False)
    for name in (run.id, run.title):
        assert named_sae(name) == run
        assert named_source(name).id == run.id
    for name, sae_dir in SHIPPED.items():
        assert named_source(name).id == name
        assert named_sae(name).sae_dir == sae_dir


def test_a_title_that_several_have_lists_their_ids() -> None:
    runs = [create_run(TrainConfig(name="twice")) for _ in range(2)]
    with pytest.raises(InputError) as raised:
        named_sae("twice")
    assert all(run.id in str(raised.value) for run in runs)


@pytest.mark.parametrize("command", ABOUT_AN_SAE)
def test_what_nothing_is_called_is_the_same_sentence_everywhere(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert __main__.main([command, "nobody", *ABOUT_AN_SAE[command]]) == 1
    assert "There is no SAE “nobody”" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["attribute", "inside", "steer"])
def test_asking_why_takes_what_the_others_take(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = [command, "Once", *(["1"] if command == "steer" else [])]
    assert __main__.main([*asked, "--sae", "nobody"]) == 1
    assert "There is no SAE “nobody”" in capsys.readouterr().err


def test_attribution_reads_the_sae_of_a_folder(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert __main__.main(["attribute", "Once upon", "--sae", str(folder)]) == 0
    assert "logit" in capsys.readouterr().out


def test_inside_prints_the_strongest_paths_and_writes_the_graph(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "graph.json"
    told = text("why.prompt_example", "en")
    assert __main__.main(["inside", told, "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    paths = [line for line in printed.splitlines() if "→" in line]
    assert len(paths) == 5
    assert "“␣Lily” (8) → head 0.0 → feature" in paths[0]
    graph = json.loads(out.read_text(encoding="utf-8"))
    assert graph["metadata"]["slug"] == "graph"
    assert graph["links"]


def test_what_came_along_is_never_changed(capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("index", "explain"):
        words = [command, "storybook", *ABOUT_AN_SAE[command]]
        assert __main__.main(words) == 1
        assert "stay as they are" in capsys.readouterr().err


def test_indexing_a_folder_prints_the_id_to_use(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert __main__.main(["index", str(folder)]) == 0
    said = capsys.readouterr()
    name = said.out.strip()
    assert isinstance(named_sae(name), SavedSAE)
    assert "reads the embedded stories" in said.err
    assert __main__.main(["runs"]) == 0
    assert f"{name}     indexed" in capsys.readouterr().out


def test_an_sae_from_elsewhere_is_evaluated(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert __main__.main(["evaluate", str(folder)]) == 0
    assert json.loads(capsys.readouterr().out)["n_tokens"] > 1000


def test_it_is_indexed_on_the_text_that_was_chosen(
    folder: Path, short_text: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    words = ["index", str(folder), "--dataset-path", str(short_text)]
    assert __main__.main(words) == 0
    said = capsys.readouterr()
    source = feature_source(said.out.strip())
    assert short_text.name in said.err
    read = source.text_read(source.open().info)
    assert read == (str(short_text), False)
    out = tmp_path / "x.html"
    assert __main__.main(["export", source.id, "1", "--out", str(out)]) == 0
    html = out.read_text(encoding="utf-8")
    assert f"of this text: {short_text.name}." in html
    assert "not trained on" not in html
    assert str(short_text.parent) not in html


def test_of_a_run_it_is_known_that_it_was_not_trained_on_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = finished_run(write_model(tmp_path / "model"))
    out = tmp_path / "x.html"
    assert __main__.main(["export", run.id, "1", "--out", str(out)]) == 0
    assert "that the SAE was not trained on" in out.read_text(encoding="utf-8")
    words = ["index", run.id, "--dataset-path", "x.txt"]
    assert __main__.main(words) == 1
    assert "the text that it was trained on" in capsys.readouterr().err


def test_the_text_that_its_files_name_is_suggested_if_it_is_here(
    tmp_path: Path, short_text: Path
) -> None:
    def named(path: str, seed: int) -> Path:
        metadata = {"hook_name": HOOK_NAME, "model_name": "", "dataset_path": path}
        return write_sae(tmp_path / f"sae {seed}", seed=seed, metadata=metadata)

    here = add_sae(str(named(str(short_text), 1)))
    assert suggested(here) == (TextChoice(str(short_text)), "named")
    for seed, path in enumerate(("ada/stories", "/nowhere/x.txt", "x" * 5000), 2):
        assert suggested(add_sae(str(named(path, seed)))).why == "default"
    choose_text(here, TextChoice("ada/stories", column="story"))
    assert text_of(here) == TextChoice("ada/stories", column="story")
    # Taking note of it again keeps the choice.
    assert text_of(add_sae(str(here.directory))).path == "ada/stories"


def test_what_a_stranger_sent_does_not_choose_a_file_of_this_machine(
    short_text: Path,
) -> None:
    metadata = {"hook_name": HOOK_NAME, "dataset_path": str(short_text)}
    write_sae(saes_dir() / "from a zip", metadata=metadata)
    assert suggested(named_sae("from a zip")).why == "default"  # pyright: ignore[reportArgumentType]


def test_progress_counts_to_what_there_is(
    short_text: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finish, "EVALUATION_TOKENS", 10**6)
    monkeypatch.setattr(finish, "INDEX_TOKENS", 10**6)
    saved = add_sae(str(folder))
    choose_text(saved, TextChoice(str(short_text)))
    heard: list[tuple[int, int]] = []
    finish.evaluate_again(saved, lambda *told: heard.append(told))
    assert heard[0] == (0, heard[-1][0])
    assert {total for _, total in heard} == {heard[-1][0]}
    assert heard[-1][1] < 10**6


def test_a_log_says_in_plain_words_what_begins(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    Reporter(Job("x", tmp_path)).begin("norm", 20, rate_of_one=2048)
    assert caplog.messages == ["measuring how large the activations are: 20 batches"]
    said = EngineChoice(SPARSE, "", "numpy").in_words()
    assert said.startswith("The fast way: each step computes only the features")
    assert EngineChoice("", "device", "").in_words().count("GPU") == 1


def test_an_invalid_choice_lists_no_command_of_a_worker(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        __main__.main(["nonsense"])
    said = capsys.readouterr().err
    assert "'search'" in said
    assert "fetch-model" not in said
    assert "'transfer'" not in said
    # They are there all the same.
    with pytest.raises(SystemExit) as ended:
        __main__.main(["transfer", "--help"])
    assert ended.value.code == 0


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("words", [["models"], ["train", "--help"]])
def test_a_reader_who_goes_ends_a_command_quietly(
    words: list[str], unbuffered: str
) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "tinysae", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
    ) as command:
        assert command.stdout is not None
        assert command.stderr is not None
        command.stdout.close()
        assert command.stderr.read() == b""
        # argparse itself passes over a reader who has gone at once.
        assert command.wait(timeout=120) in (0, __main__.READER_GONE)


def test_runs_names_what_it_leaves_out_beside_the_list(
    tiny_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = create_run(TrainConfig())
    for bad in (runs_dir() / "20260101-000001-aaaaaaa", tiny_home / "indexes" / "b"):
        bad.mkdir(parents=True)
        (bad / "config.json").write_text("[" * 100_000)
        (bad / "source.json").write_text("[" * 100_000)
    assert __main__.main(["runs"]) == 0
    said = capsys.readouterr()
    (line,) = said.out.splitlines()
    assert run.id in line
    assert "cannot be read: “20260101-000001-aaaaaaa”" in said.err
    assert "cannot be read: “b”" in said.err


def test_that_there_are_no_runs_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert __main__.main(["runs"]) == 0
    said = capsys.readouterr()
    assert not said.out
    assert f"no runs in {runs_dir()}" in said.err


def test_what_a_title_says_to_a_terminal_is_only_shown(
    capsys: pytest.CaptureFixture[str],
) -> None:
    title = "\x1b[2Jmine\u202e"
    run = create_run(TrainConfig(name=title))
    assert __main__.main(["runs"]) == 0
    assert __main__.main(["index", f"no{title}"]) == 1
    said = capsys.readouterr()
    assert f"{run.id} " in said.out
    for written in (said.out, said.err):
        assert "\\x1b[2Jmine\\u202e" in written
        assert not set("\x1b\u202e") & set(written)


@pytest.mark.parametrize(
    "command",
    [
        ("attribute", "Once upon a time, there was"),
        ("inside", "Once upon a time, there was"),
        ("ranks", "--suite", "suite.csv"),
        ("export", "storybook", "1"),
    ],
    ids=lambda command: command[0],
)
def test_a_file_that_cannot_be_written_is_a_sentence(
    command: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("suite.csv").write_text("prompt,answer\nOnce upon a,time\n")
    out = tmp_path / "no" / "such" / "file"
    assert __main__.main([*command, "--out", str(out)]) == 1
    assert f"{out} cannot be written" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "hook"),
    [
        ((), PRESETS[0].config.hook_name),
        (("--model-name", "another"), TrainConfig().hook_name),
        (("--model-name", "another", "--hook-name", "here"), "here"),
    ],
)
def test_a_preset_leaves_another_model_the_hook_that_every_model_has(
    words: tuple[str, ...], hook: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(life, "train", lambda run: run.say("done"))
    assert __main__.main(["train", "--preset", "look", *words]) == 0
    (run,) = list_runs()
    assert run.config.hook_name == hook
    assert run.config.d_sae == PRESETS[0].config.d_sae
