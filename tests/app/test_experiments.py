"""The page Experiments, without a browser."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from tests.builders import HOSTILE, finished_run, step_row, write_model, write_sae
from tests.conftest import OpenPage
from tinysae.config import TrainConfig
from tinysae.jobs.files import write_json
from tinysae.jobs.status import JobStatus, write_status
from tinysae.library.saved import add_sae
from tinysae.library.shipped import STORYBOOK_POST, STORYBOOK_SAE
from tinysae.runs.compare import columns
from tinysae.runs.metrics import MetricsLog
from tinysae.runs.remarks import Remarks, keep_remarks, remarks
from tinysae.runs.store import EVAL_NAME, Run, create_run
from tinysae.sae.rows import StepMetrics
from tinysae.ui.experiments import all_runs, table_view
from tinysae.ui.experiments.entries import column_name
from tinysae.ui.experiments.experiment_views import VIEWS
from tinysae.ui.shell.page import plain
from tinysae.words import LANGUAGES, Language, text

PAGE = "pages/experiments.py"


def fine(page: AppTest) -> AppTest:
    assert not page.exception
    assert not page.error
    return page


def words(page: AppTest) -> str:
    said = [str(each.value) for each in page.markdown]
    return "\n".join([*said, *(each.proto.body for each in page.get("html"))])


def chart(page: AppTest) -> Any:
    """What the picture's component is told."""
    for each in page.get("bidi_component"):
        data = json.loads(each.proto.json)
        if "scatter" in data:
            return data
    raise AssertionError("no picture")


def measured(l0: float, score: float, **config: Any) -> Run:
    run = create_run(TrainConfig(hook_name="blocks.0.hook_resid_mid", **config))
    figures = {"l0": l0, "ce_loss_score": score, "explained_variance": 0.5}
    write_json(run.path / EVAL_NAME, {**figures, "dead_share": 0.0})
    write_status(run.path, JobStatus("done"))
    with MetricsLog[StepMetrics](run.metrics_path) as log:
        for step in range(3):
            log.append(step_row(step=step, n_tokens=1000 * (step + 1)))
    return run


@pytest.mark.parametrize("language", LANGUAGES)
def test_it_opens_at_the_frontier_of_what_came_along(
    open_page: OpenPage, language: Language
):
    page = fine(open_page(PAGE, language=language))
    labels = [tab.label for tab in page.tabs]
    assert labels == [text(f"experiments.view_{view}", language) for view in VIEWS]
    drawn = chart(page)["scatter"]
    assert drawn["points"]["ids"] == [STORYBOOK_SAE, STORYBOOK_POST]
    # Of another place: not to be compared.
    assert drawn["points"]["symbols"] == ["diamond", "diamond-open"]
    assert plain(text("experiments.hollow", language, n=1)) in words(page)


def test_the_line_joins_what_nothing_beats_and_a_sweep_is_joined(open_page: OpenPage):
    runs = [measured(8.0, 0.9, k=8.0), measured(30.0, 0.8, k=30.0)]
    page = fine(open_page(PAGE, run=runs[1].id))
    drawn = chart(page)["scatter"]
    main = [line for line in drawn["lines"] if line["is_main"]]
    sweep = [line for line in drawn["lines"] if not line["is_main"]]
    assert [line["x"] for line in main] == [[8.0, pytest.approx(24.1, abs=0.1)]]
    assert [line["x"] for line in sweep] == [[8.0, 30.0]]
    assert drawn["chosen"] == runs[1].id
    said = words(page)
    assert "80\\.0%" in said
    assert text("experiments.other_model_name", "en") in said


def test_another_models_saes_are_counted_and_drawn_once_it_is_chosen(
    open_page: OpenPage, tiny_model_dir: Path
):
    run = finished_run(tiny_model_dir, with_features=False)
    write_json(run.path / EVAL_NAME, {"l0": 5.0, "ce_loss_score": 0.1})
    page = fine(open_page(PAGE, run=STORYBOOK_SAE))
    assert run.id not in chart(page)["scatter"]["points"]["ids"]
    assert plain(text("experiments.elsewhere", "en", n=1)) in words(page)
    page = fine(open_page(PAGE, run=run.id))
    assert chart(page)["scatter"]["points"]["ids"] == [run.id]
    assert plain(text("experiments.elsewhere", "en", n=2)) in words(page)


def test_a_name_from_outside_is_only_text(open_page: OpenPage):
    run = measured(8.0, 0.9, name=HOSTILE[1])
    page = fine(open_page(PAGE, run=run.id))
    assert HOSTILE[1] not in words(page)
    assert HOSTILE[1] not in str(chart(page)["scatter"])
    assert plain(HOSTILE[1]) in words(page)


@pytest.mark.parametrize(
    "query",
    [
        {"view": "none"},
        {"view": "runs", "columns": "x,l0,,name,<b>", "sort": "y", "group": "z"},
        {"view": "runs", "architecture": "<b>\n" * 99, "state": "x", "group": "note"},
        {"view": "face", "other": "../x"},
        {"run": "../x"},
    ],
)
def test_a_forged_link_opens_the_page(open_page: OpenPage, query: dict[str, str]):
    measured(8.0, 0.9)
    page = open_page(PAGE, **query)
    assert not page.exception
    assert len(page.error) == ("../x" in query.get("run", ""))


def table(page: AppTest) -> Any:
    return page.dataframe[0].value


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_column_can_be_shown_and_is_kept_in_the_link(
    open_page: OpenPage, language: Language
):
    measured(8.0, 0.9)
    names = columns()
    page = fine(
        open_page(PAGE, language=language, view="runs", columns=",".join(names))
    )
    assert list(table(page).columns) == names
    assert len(table(page)) == 3
    page.multiselect(key="experiments.columns").set_value(["l0"]).run()
    assert list(table(fine(page)).columns) == ["name", "l0"]
    assert page.query_params["columns"] == ["name,l0"] or (
        page.query_params["columns"] == "name,l0"
    )


def test_the_table_is_ordered_narrowed_down_and_grouped(open_page: OpenPage):
    for l0, score, k in ((8.0, 0.7, 8.0), (9.0, 0.9, 8.0), (30.0, 0.8, 30.0)):
        measured(l0, score, k=k)
    page = fine(open_page(PAGE, view="runs", sort="ce_loss_score"))
    scores = table(page)["ce_loss_score"].tolist()
    assert scores == sorted(scores, reverse=True)
    page = fine(
        open_page(PAGE, view="runs", group="k", architecture="batchtopk", state="Done")
    )
    assert len(table(page)) == 4
    assert text("experiments.group_size", "en") in words(page)
    # The mean of the two with k 8.
    assert "80.0%" in words(page)


def test_a_filter_is_as_long_in_the_table_as_in_its_link(open_page: OpenPage):
    long = "x" * (table_view.MOST_LETTERS + 9)
    for _ in range(2):
        measured(8.0, 0.9, dataset_path=f"/{long}")
    page = fine(open_page(PAGE, view="runs"))
    (value,) = (
        each
        for each in page.multiselect(key="experiments.only.dataset_path").options
        if "x" in each
    )
    page.multiselect(key="experiments.only.dataset_path").set_value([value]).run()
    assert len(table(fine(page))) == 2
    kept = "".join(page.query_params["dataset_path"])
    assert len(kept) == table_view.MOST_LETTERS
    # Somebody who follows the link sees the same.
    linked = fine(open_page(PAGE, view="runs", dataset_path=kept))
    assert len(table(linked)) == 2


def test_ticked_runs_lie_over_each_other_by_what_differs(
    open_page: OpenPage, monkeypatch: pytest.MonkeyPatch
):
    runs = [measured(8.0, 0.9, k=8.0), measured(30.0, 0.8, k=30.0)]
    ticks(monkeypatch, {run.id for run in runs})
    page = fine(open_page(PAGE, view="runs"))
    said = words(page)
    assert "(k 8)" in said
    assert "(k 30)" in said


def ticks(monkeypatch: pytest.MonkeyPatch, ids: set[str]) -> None:
    """A canvas draws the table, which no `AppTest` can click."""
    show = all_runs._show_table

    def ticked(entries: Any, *rest: Any) -> list[Any]:
        show(entries, *rest)
        return [entry for entry in entries if entry.id in ids]

    monkeypatch.setattr(all_runs, "_show_table", ticked)


def test_while_nothing_is_ticked_the_chosen_ones_curves_are_drawn(open_page: OpenPage):
    older, newer = measured(8.0, 0.9, k=8.0), measured(30.0, 0.8, k=30.0)
    assert newer.id != older.id
    page = fine(open_page(PAGE, view="runs", run=older.id))
    said = text("experiments.none_ticked", "en", name=older.config.title)
    assert plain(said) in words(page)
    drawn = next(json.loads(each.proto.json) for each in page.get("bidi_component"))
    assert [series["x"] for series in drawn["series"]] == [[1000, 2000, 3000]]
    # It is one of the table's.
    page = fine(open_page(PAGE, view="runs", run=older.id, state="Stopped"))
    assert plain(text("experiments.tick", "en")) in words(page)


def test_what_came_along_was_not_started_when_it_was_copied(open_page: OpenPage):
    measured(8.0, 0.9)
    shown = table(fine(open_page(PAGE, view="runs", columns="started")))
    assert shown["started"].notna().tolist() == [True, False, False]


def test_one_ticked_run_is_given_tags_and_a_note(
    open_page: OpenPage, monkeypatch: pytest.MonkeyPatch
):
    run = measured(8.0, 0.9)
    ticks(monkeypatch, {run.id})
    page = fine(open_page(PAGE, view="runs"))
    page.text_input(key=f"experiments.tags.{run.id}").set_value("good, <i>")
    page.text_area(key=f"experiments.note.{run.id}").set_value("**why**")
    label = text("experiments.keep", "en")
    next(each for each in page.button if each.label == label).click().run()
    fine(page)
    assert remarks(run) == Remarks("**why**", ("good", "<i>"))
    assert "good, <i>" in table(page)["tags"].tolist()


def test_the_csv_has_the_tables_columns_and_no_formula(tiny_home: Path):
    assert tiny_home.is_dir()
    from tinysae.library.all_compared import all_compared
    from tinysae.render.csv_text import csv_text

    run = measured(8.0, 0.9, name="=1+1")
    keep_remarks(run, note="@x")
    names = ("name", "l0", "note")
    entries = [each for each in all_compared() if each.kind == "run"]
    rows = list(csv.reader(io.StringIO(csv_text(names, all_runs._raw(entries, names)))))
    assert rows == [[*names], ["'=1+1", "8.0", "'@x"]]


@pytest.mark.parametrize("language", LANGUAGES)
def test_two_saes_that_came_along_stand_face_to_face(
    open_page: OpenPage, language: Language
):
    page = fine(open_page(PAGE, language=language, view="face"))
    assert plain(text("experiments.other_place", language)) in words(page)
    assert page.dataframe


def test_an_sae_beside_itself_from_elsewhere_is_found_whole(
    open_page: OpenPage, tmp_path_factory: pytest.TempPathFactory
):
    model_dir = write_model(tmp_path_factory.mktemp("hostile"))
    run = finished_run(model_dir, seed=3)
    folder = write_sae(tmp_path_factory.mktemp("twin"), seed=3)
    twin = add_sae(str(folder), str(model_dir))
    page = fine(open_page(PAGE, view="face", run=run.id, other=twin.id))
    said = words(page)
    assert "100%" in said
    found = table(page)
    assert len(found) == 40
    assert (found["n_one"] == found["n_other"]).all()
    page.button(key="experiments.firing").click().run()
    fine(page)
    # It fires as it fires.
    phi = table(page)["phi"].dropna()
    assert len(phi)
    assert phi.to_numpy() == pytest.approx(1.0)
    assert "phi" in table(page.run())


def test_without_another_sae_of_the_model_it_says_what_to_do(
    open_page: OpenPage, tiny_model_dir: Path
):
    run = finished_run(tiny_model_dir, with_features=False)
    page = fine(open_page(PAGE, view="face", run=run.id))
    assert plain(text("experiments.no_rival", "en")) in words(page)


def test_an_sae_of_another_model_is_refused_in_a_sentence(
    open_page: OpenPage, tiny_model_dir: Path
):
    other = finished_run(tiny_model_dir, with_features=False)
    page = fine(open_page(PAGE, view="face", run=STORYBOOK_SAE, other=other.id))
    assert plain(text("experiments.no_pair", "en", name=other.title)) in words(page)
    # What can be compared is.
    assert page.dataframe


def test_of_a_chosen_sae_that_is_not_measured_it_says_so(open_page: OpenPage):
    measured(8.0, 0.9)
    run = create_run(TrainConfig(name="fresh"))
    write_status(run.path, JobStatus("stopped"))
    said = words(fine(open_page(PAGE, run=run.id)))
    assert plain(text("experiments.unmeasured", "en", name="fresh")) in said


def test_of_a_model_without_a_measured_sae_it_says_whose_are_drawn(
    open_page: OpenPage, tiny_model_dir: Path
):
    run = create_run(TrainConfig(model_name=str(tiny_model_dir)))
    write_status(run.path, JobStatus("stopped"))
    said = words(fine(open_page(PAGE, run=run.id)))
    names = {"model": tiny_model_dir.name, "drawn": "storybook"}
    assert plain(text("experiments.none_of_model", "en", **names)) in said


def test_every_column_has_its_words(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("tinysae.ui.experiments.entries.language", lambda: "en")
    assert len({column_name(name) for name in columns()}) == len(columns())
