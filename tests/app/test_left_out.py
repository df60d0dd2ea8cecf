"""A folder that cannot be read is named under each list, and hides nothing in it."""

from pathlib import Path

import pytest

from tests.conftest import OpenPage
from tinysae.config import TrainConfig
from tinysae.jobs.status import JobStatus, write_status
from tinysae.runs.store import create_run
from tinysae.words import LANGUAGES, Language, text


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("page", ["app.py", "pages/train.py"])
def test_a_bad_run_is_named_and_the_good_one_shown(
    page: str, language: Language, open_page: OpenPage, tiny_home: Path
) -> None:
    good, broken = (create_run(TrainConfig(name=name)) for name in ("good", "bad"))
    for run in (good, broken):
        write_status(run.path, JobStatus("stopped"))
    (tiny_home / "runs" / broken.id / "config.json").write_text("[" * 100_000)
    # Nothing of these is what it should be, and the run is shown all the same.
    for name in ("eval.json", "took.json", "estimate.json", "status.json"):
        (good.path / name).write_text('{"state": "done", "done": Infinity, "l0": NaN}')
    opened = open_page(page, language=language)
    assert not opened.exception
    assert not opened.error
    shown = "\n".join(markdown.value for markdown in opened.markdown)
    shown += "\n".join(str(box.options) for box in opened.selectbox)
    assert "good" in shown
    why = text("error.config_not_json", language)
    line = text("common.left_out", language, folder=broken.id, why=why)
    plain = shown.replace("\\", "").replace("\u2060", "")
    assert line in plain
