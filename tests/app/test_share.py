"""Opening an SAE in four ways, and sharing one: what a reader sees and does."""

from pathlib import Path
from typing import Any

import pytest

from tests.builders import finished_run, write_model
from tests.conftest import OpenPage
from tinysae.jobs import launch
from tinysae.library.transfers import transfers
from tinysae.runs.store import Run
from tinysae.words import LANGUAGES, Language, text

TOKEN = "hf_a_token_that_must_not_be_seen"


@pytest.fixture
def run(tiny_home: Path) -> Run:
    return finished_run(write_model(tiny_home / "model"), name="<b>mine</b>")


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    found: list[str] = []
    monkeypatch.setattr(launch, "launch", lambda _, command: found.append(command))
    return found


def press(app: Any, label: str) -> None:
    next(b for b in app.button if b.label == label).click().run()


def seen(app: Any) -> str:
    kinds = ("markdown", "code", "info", "error", "warning", "success", "caption")
    return "\n".join(str(e.value) for kind in kinds for e in app.get(kind))


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_upload_is_shown_first_and_sent_when_that_is_confirmed(
    open_page: OpenPage,
    run: Run,
    started: list[str],
    language: Language,
    monkeypatch: pytest.MonkeyPatch,
    tiny_home: Path,
) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    app = open_page("pages/train.py", language=language, run=run.id)
    app.text_input(key="saes.to_repo").set_value("not a name")
    press(app, text("saes.plan", language))
    assert text("error.repo_name", language, repo="not a name")[:20] in seen(
        app
    ).replace("\\", "")
    assert not transfers()
    app.text_input(key="saes.to_repo").set_value("reader/mine")
    press(app, text("saes.plan", language))
    (plan,) = transfers()
    assert plan.request["private"] is True
    (files,) = [d.value for d in app.dataframe if "path" in d.value]
    assert "README.md" in files["path"].tolist()
    assert "license: mit" in seen(app)
    assert not started
    press(app, text("saes.send", language))
    assert started == ["transfer"]
    kept = [p.read_bytes() for p in tiny_home.rglob("*") if p.is_file()]
    assert all(TOKEN.encode() not in data for data in kept)
    assert TOKEN not in seen(app)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_hub_and_the_list_are_a_choice_away(
    open_page: OpenPage, run: Run, started: list[str], language: Language
) -> None:
    app = open_page("pages/features.py", language=language, run=run.id)
    app.button_group(key="saes.from").set_value("hub").run()
    app.text_input(key="saes.repo").set_value("reader/mine")
    press(app, text("saes.fetch", language))
    assert started == ["transfer"]
    (transfer,) = transfers()
    assert transfer.request["repo_id"] == "reader/mine"
    app.button_group(key="saes.from").set_value("registry").run()
    app.text_input(key="saes.search").set_value("gpt2 hook_z").run()
    assert any("sae_id" in d.value for d in app.dataframe)
    assert not app.exception
