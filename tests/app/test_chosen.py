"""The chooser of model and SAE: one choice, on every page and in every link."""

import os
import tempfile
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from tests.builders import finished_run, write_model
from tinysae.config import TrainConfig
from tinysae.library.shipped import STORYBOOK_POST, STORYBOOK_SAE
from tinysae.model.sources import STORYBOOK
from tinysae.runs.store import create_run
from tinysae.ui.shell import cache
from tinysae.ui.shell.page import PAGES, plain
from tinysae.words import text

PATIENCE_S = 180


SCRIPT = """
import streamlit as st

from tinysae.ui.shell.chosen import chosen, choose
from tinysae.ui.shell.page import page_setup

page_setup("{name}")
here = chosen("{name}")
st.text(here.model)
st.text(here.source.id if here.source else "none")
st.button("", key="choose", on_click=lambda: choose(model=st.session_state["path"]))
"""


@pytest.fixture(autouse=True)
def no_warm_up(tiny_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(cache, "start_warm_up", lambda: None)
    return tiny_home


def opened(name: str = "features", **query: str) -> AppTest:
    """A page that has nothing but its head and the chooser."""
    # Links lead to files beside the first one.
    folder = Path(tempfile.mkdtemp(dir=os.environ["TINYSAE_HOME"]))
    for path, _ in PAGES.values():
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).touch()
    script = folder / "app.py"
    script.write_text(SCRIPT.format(name=name))
    page = AppTest.from_file(str(script), default_timeout=PATIENCE_S)
    for key, value in query.items():
        page.query_params[key] = value
    page.run()
    assert not page.exception
    return page


def shown(page: AppTest) -> tuple[str, str]:
    model, source = page.text
    return model.value, source.value


def said(page: AppTest) -> str:
    return "\n".join(each.value for each in page.markdown)


@pytest.mark.parametrize(
    ("name", "sae"), [("features", STORYBOOK_SAE), ("why", STORYBOOK_POST)]
)
def test_without_a_choice_a_page_shows_the_shipped_sae_it_is_about(name: str, sae: str):
    assert shown(opened(name)) == (STORYBOOK, sae)


def test_a_link_to_a_shipped_feature_chooses_no_sae_for_inside():
    # The navigation stands before the address is read: it carries what was read before.
    page = opened("features", run=STORYBOOK_SAE, feature="3").run()
    queries = {
        link.proto.page: link.proto.query_string for link in page.get("page_link")
    }
    assert "run" not in queries["why"]
    assert queries["playground"] == f"run={STORYBOOK_SAE}"
    assert shown(opened("why", run=STORYBOOK_SAE))[1] == STORYBOOK_SAE


def test_an_sae_once_chosen_is_every_pages_and_in_every_link():
    page = opened("features")
    page.selectbox(key="shell.sae").select(STORYBOOK_POST).run()
    assert shown(page) == (STORYBOOK, STORYBOOK_POST)
    assert page.query_params["run"] == STORYBOOK_POST
    queries = {
        link.proto.page: link.proto.query_string for link in page.get("page_link")
    }
    carrying = {path for path, query in queries.items() if STORYBOOK_POST in query}
    # Home and the lessons bring their own.
    assert carrying == PAGES.keys() - {"home", "lessons"}


def test_the_address_counts_more_than_what_was_chosen_before():
    page = opened("features", run=STORYBOOK_POST)
    page.query_params["run"] = STORYBOOK_SAE
    page.run()
    assert shown(page) == (STORYBOOK, STORYBOOK_SAE)
    del page.query_params["run"]
    page.run()
    assert shown(page) == (STORYBOOK, STORYBOOK_SAE)


def test_a_model_that_one_has_an_sae_of_is_in_the_list(tmp_path: Path):
    own = write_model(tmp_path / "own")
    finished_run(own)
    # The list says each by its name.
    assert own.name in opened("features").selectbox(key="shell.model").options


def test_a_run_without_features_is_shown_where_it_trains_only():
    run = create_run(TrainConfig())
    assert shown(opened("features", run=run.id))[1] == run.id
    assert shown(opened("playground", run=run.id))[1] == STORYBOOK_SAE


def test_a_model_without_an_sae_says_how_to_get_one_and_drops_the_feature():
    page = opened("features", run=STORYBOOK_POST, feature="3")
    page.selectbox(key="shell.model").set_value("gpt2").run()
    assert shown(page) == ("gpt2", "none")
    assert set(page.query_params) == {"model"}
    assert plain(text("common.no_sae", "en")) in said(page)


def test_a_links_model_is_a_name_and_never_a_path(tmp_path: Path):
    assert shown(opened("features", model=str(tmp_path)))[0] == STORYBOOK
    assert shown(opened("features", model="gpt2"))[0] == "gpt2"


def test_a_path_that_was_chosen_here_is_found_again_and_no_other_is(tmp_path: Path):
    page = opened("features")
    # What is typed is no option of the test's list.
    page.session_state["path"] = str(tmp_path)
    page.button(key="choose").click().run()
    mark = page.query_params["model"]
    assert str(tmp_path) not in mark
    again = opened("features", model=mark)
    assert shown(again)[0] == str(tmp_path)
    assert not again.warning
    unknown = opened("features", model=f"{mark[:-1]}x")
    assert shown(unknown)[0] == STORYBOOK
    assert unknown.warning[0].value == text("models.path_unknown", "en")


def test_a_link_to_an_sae_that_is_not_there_says_so_and_shows_another():
    page = opened("features", run="20200101-000000-gone")
    assert page.error[0].value
    assert shown(page) == (STORYBOOK, STORYBOOK_SAE)


def test_everything_a_page_can_do_is_listed():
    page = opened("features")
    page.button(key="shell_keys").click().run()
    for line in text("keys.can_features", "en").splitlines():
        assert line in said(page)


def test_the_embedded_model_chosen_again_leaves_nothing_in_the_address(tmp_path: Path):
    page = opened("playground")
    for model in (str(tmp_path), STORYBOOK):
        page.session_state["path"] = model
        page.button(key="choose").click().run()
    assert shown(page)[0] == STORYBOOK
    assert "model" not in page.query_params
    assert not page.warning
