"""The pages of a run that still trains: its features so far, and a watched one."""

import shutil
from pathlib import Path

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from tests.app.test_features import (
    address,
    errors,
    face,
    literal,
    panel,
    press,
    sentences,
)
from tests.builders import HOSTILE, index_run, working, write_model, write_sae
from tests.conftest import OpenPage
from tinysae.config import TrainConfig
from tinysae.features.index.history import keep_moment
from tinysae.features.index.reader import open_index
from tinysae.jobs.status import JobStatus, write_status
from tinysae.library.saved import saved_saes
from tinysae.render.visible import visible
from tinysae.runs.checkpoints import new_checkpoint
from tinysae.runs.live import live_index_requested, live_indexes, new_live_index
from tinysae.runs.store import Run, create_run
from tinysae.words import LANGUAGES, Language, text

TRAIN, FEATURES = "pages/train.py", "pages/features.py"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model, and an SAE with its index."""
    home = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TINYSAE_HOME", str(home))
        run = create_run(TrainConfig(model_name=str(write_model(home / "model"))))
        write_sae(run.sae_dir)
        index_run(run)
    for name in ("sae", "features"):
        (run.path / name).rename(home / name)
    return home


@pytest.fixture
def run(made: Path, tiny_home: Path) -> Run:
    assert tiny_home.is_dir()
    return create_run(TrainConfig(name="busy", model_name=str(made / "model")))


def look(run: Run, made: Path, step: int) -> None:
    """As the worker does after that many steps."""
    with new_live_index(run, step) as stage:
        shutil.copytree(made / "sae", stage.sae_dir)
        shutil.copytree(made / "features", stage.features_dir)
        keep_moment(run.history_dir, step, open_index(stage.features_dir))


def labels(app: AppTest) -> list[str]:
    return [button.label for button in app.button]


def links(app: AppTest) -> list[str]:
    return [literal(link.proto.label) for link in app.get("page_link")]


def moments(app: AppTest) -> pd.DataFrame:
    return next(d.value for d in app.dataframe if "promoted" in d.value)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("page", [TRAIN, FEATURES])
def test_who_cannot_wait_asks(
    open_page: OpenPage, run: Run, language: Language, page: str
) -> None:
    with working(run):
        app = open_page(page, language=language, run=run.id)
        assert not errors(app)
        press(app, "train.explore_now", language)
        assert live_index_requested(run)
        soon = text("train.explore_soon", language)
        assert soon in [caption.value for caption in app.caption]
        assert text("train.explore_now", language) not in labels(app)


def test_nobody_is_asked_before_there_is_a_step(open_page: OpenPage, run: Run) -> None:
    with working(run, "norm"):
        app = open_page(TRAIN, run=run.id)
        assert not errors(app)
        assert text("train.explore_now", "en") not in labels(app)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_explorer_opens_while_the_training_goes_on(
    open_page: OpenPage, run: Run, made: Path, language: Language
) -> None:
    look(run, made, 1200)
    with working(run):
        app = open_page(TRAIN, language=language, run=run.id)
        link = text("train.explore_live", language, step="1,200")
        assert any(link in label for label in links(app))
        app = open_page(FEATURES, language=language, run=run.id, feature="7")
        assert not errors(app)
        assert text("features.live", language, step="1,200") in app.markdown.values
        assert face(app)["feature"] == 7
        # Notes would be of a feature that is soon another.
        assert "keep" not in [what for what, *_ in panel(app)["actions"]]
        parts = app.segmented_control(key="features.part").options
        assert text("features.part_kept", language) not in parts

        press(app, "features.live_again", language)
        assert live_index_requested(run)

        look(run, made, 2400)
        app.run()
        # The next thing that is opened is of the newest; the address stays.
        assert address(app) == (run.id, "7")
        assert text("features.live", language, step="2,400") in app.markdown.values
    assert face(app)["feature"] == 7


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_was_learnt_last_can_be_explored_while_it_is_measured(
    open_page: OpenPage, run: Run, made: Path, language: Language
) -> None:
    look(run, made, run.config.total_training_steps)
    with working(run, "evaluating"):
        app = open_page(TRAIN, language=language, run=run.id)
        end = text("train.explore_end", language)
        assert any(end in label for label in links(app))
        app = open_page(FEATURES, language=language, run=run.id, feature="7")
        assert not errors(app)
        assert text("features.live_end", language) in app.markdown.values
        assert face(app)["feature"] == 7


def test_newer_features_are_announced_and_shown_when_asked(
    open_page: OpenPage, run: Run, made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tinysae.ui.features import live

    look(run, made, 1200)
    first = live.feature_source
    with working(run):
        # What came between the page and its fragment's next look.
        def later(run_id: str) -> object:
            if len(live_indexes(run)) < 2:
                look(run, made, 2400)
            return first(run_id)

        monkeypatch.setattr(live, "feature_source", later)
        app = open_page(FEATURES, run=run.id, feature="7")
        newer = text("features.live_newer", "en", step="2,400")
        assert f"**{newer}**" in app.markdown.values
        press(app, "features.live_show")
        assert not errors(app)
        assert text("features.live", "en", step="2,400") in app.markdown.values
        assert address(app) == (run.id, "7")


def test_a_stop_leads_back_to_the_training_page(
    open_page: OpenPage, run: Run, made: Path
) -> None:
    look(run, made, 1200)
    shutil.copytree(made / "sae", run.sae_dir)
    write_status(run.path, JobStatus("stopped"))
    app = open_page(FEATURES, run=run.id)
    assert not errors(app)
    why = text("features.why_no_index", "en", name="busy", id=run.id)
    assert why in sentences(app)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_feature_is_watched_look_by_look(
    open_page: OpenPage, run: Run, made: Path, language: Language
) -> None:
    for step in (100, 200, 300):
        look(run, made, step)
    index = open_index(made / "features")
    token = index.feature(1).tokens[0]
    with working(run):
        app = open_page(TRAIN, language=language, run=run.id)
        # The first word is none of this model's: nobody typed it.
        assert not errors(app)
        app.text_input(key="train_watched").set_value(token.text).run()
        assert not errors(app)
    best = index.firing_on(token.token)[0].feature
    shown = text(
        "train.watched_feature", language, feature=best, token=visible(token.text)
    )
    assert shown in sentences(app)
    table = moments(app)
    assert table["step"].tolist() == [300, 200, 100]
    assert table["best"].tolist() == [best] * 3
    own = [visible(t.text) for t in index.feature(best).tokens[:5]]
    assert list(table["tokens"][0]) == own


def test_what_was_watched_stays_when_the_run_is_over(
    open_page: OpenPage, run: Run, made: Path
) -> None:
    look(run, made, 100)
    shutil.copytree(made / "sae", run.sae_dir)
    shutil.copytree(made / "features", run.features_dir)
    shutil.rmtree(run.live_dir)
    write_status(run.path, JobStatus("done"))
    app = open_page(TRAIN, run=run.id)
    app.text_input(key="train_watched").set_value(HOSTILE[1]).run()
    assert not errors(app)
    assert moments(app)["step"].tolist() == [100]
    app.text_input(key="train_watched").set_value("no such word").run()
    assert errors(app) == [text("error.search_no_token", "en", query="no such word")]


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_kept_checkpoint_opens_like_an_sae_from_elsewhere(
    open_page: OpenPage, run: Run, made: Path, language: Language
) -> None:
    for step in (50, 1500):
        with new_checkpoint(run, step) as stage:
            shutil.copytree(made / "sae", stage / "sae")
    write_status(run.path, JobStatus("stopped"))
    app = open_page(TRAIN, language=language, run=run.id)
    choice = app.selectbox(key=f"train_kept_{run.id}")
    assert choice.options == ["50", "1,500"]
    choice.set_value(1500)
    press(app, "train.kept_open", language)
    assert not errors(app)
    (saved,) = saved_saes()
    assert saved.title == "busy @ 1,500"
    assert saved.model_name == str(made / "model")
    assert address(app)[0] == saved.id
    assert text("features.collect", language) in labels(app)


def test_a_damaged_index_on_the_way_is_a_sentence(
    open_page: OpenPage, run: Run, made: Path
) -> None:
    look(run, made, 100)
    (live,) = live_indexes(run)
    path = live.features_dir / "vocabulary.parquet"
    path.write_bytes(path.read_bytes()[:50])
    with working(run):
        for page in (TRAIN, FEATURES):
            app = open_page(page, run=run.id)
            damaged = text("error.features_damaged", "en", file="vocabulary.parquet")
            assert errors(app) == [damaged]
