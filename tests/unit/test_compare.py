"""Runs beside each other: what may be compared, the frontier, tables, remarks."""

import csv
import io
import itertools
import json
import random
from pathlib import Path

import pytest

from tests.builders import finished_run, write_sae
from tinysae.config import TrainConfig
from tinysae.errors import DamagedError, InputError
from tinysae.jobs.files import write_json
from tinysae.library.all_compared import (
    all_compared,
    compared_saved,
    compared_shipped,
    keep_figures,
)
from tinysae.library.saved import add_sae
from tinysae.render.csv_text import csv_text
from tinysae.runs import remarks
from tinysae.runs.baseline import TUTORIAL, differences
from tinysae.runs.compare import (
    Compared,
    Ground,
    are_comparable,
    by_series,
    columns,
    compared,
    grouped,
    in_order,
    told_apart,
)
from tinysae.runs.frontier import Point, beaten_by, beats, frontier
from tinysae.runs.remarks import Remarks, keep_remarks
from tinysae.runs.store import EVAL_NAME, Run, create_run


def run_with(figures: dict[str, float] | None = None, **config: object) -> Run:
    run = create_run(TrainConfig(**config))  # type: ignore[arg-type]
    if figures is not None:
        write_json(run.path / EVAL_NAME, figures)
    return run


def entry(entry_id: str, **figures: float) -> Compared:
    return Compared(entry_id, entry_id, "run", 0.0, "done", {}, figures)


def test_the_frontier_is_what_nothing_beats():
    rng = random.Random(0)
    for _ in range(200):
        points = [
            Point(float(rng.randint(1, 6)), rng.randint(0, 6) / 6)
            for _ in range(rng.randint(1, 9))
        ]
        best = frontier(points)
        wanted = {
            n
            for n, point in enumerate(points)
            if not any(beats(other, point) for other in points)
        }
        assert set(best) == wanted
        assert [points[n].l0 for n in best] == sorted(points[n].l0 for n in best)
        for n in range(len(points)):
            assert bool(beaten_by(n, points)) == (n not in wanted)


def test_the_best_of_what_beats_one_comes_first():
    points = [Point(10, 0.5), Point(9, 0.6), Point(8, 0.9), Point(20, 1.0)]
    assert beaten_by(0, points) == [2, 1]
    assert frontier(points) == [2, 3]


def test_figures_of_one_ground_can_be_compared(tiny_home: Path):
    assert tiny_home.is_dir()
    figures = {"l0": 4.0, "ce_loss_clean": 1.0}
    one = compared(run_with(figures, k=4.0))
    assert one.is_measured
    assert are_comparable(one, compared(run_with(figures, k=8.0, d_sae=64)))
    others = [
        run_with(figures, hook_name="blocks.0.hook_resid_mid"),
        run_with(figures, context_size=64),
        run_with(figures, dataset_path="/elsewhere.txt"),
        # The text had another content, or the model other weights.
        run_with({**figures, "ce_loss_clean": 1.1}),
        run_with(),
    ]
    assert not any(are_comparable(one, compared(run)) for run in others)


def test_a_run_without_figures_has_no_place(tiny_home: Path):
    assert tiny_home.is_dir()
    assert not compared(run_with()).is_measured
    assert not compared(run_with({"ce_loss_score": 0.5})).is_measured


def test_what_differs_in_sparsity_alone_is_a_series(tiny_home: Path):
    assert tiny_home.is_dir()
    entries = [
        compared(run_with({"l0": l0}, k=k, name=f"run {k}"))
        for k, l0 in ((16.0, 15.5), (4.0, 4.1), (8.0, 8.2))
    ]
    alone = compared(run_with({"l0": 9.0}, k=8.0, lr=1e-4))
    (series,) = by_series([*entries, alone])
    assert [each.figures["l0"] for each in series] == [4.1, 8.2, 15.5]


def test_runs_are_told_apart_by_what_differs():
    configs = [TrainConfig(k=k, seed=seed) for k, seed in ((4.0, 1), (8.5, 1))]
    assert told_apart(configs) == ["k 4", "k 8.5"]
    assert told_apart(configs[:1]) == [""]
    # Of another architecture k is not read.
    mixed = [TrainConfig(k=4.0), TrainConfig(architecture="standard")]
    assert "k" not in [part.split()[0] for part in told_apart(mixed)[1].split(", ")]


def test_tables_are_in_the_order_of_a_column_the_best_first():
    entries = [entry("a", l0=9), entry("b"), entry("c", l0=2), entry("d", l0=30)]
    assert [e.id for e in in_order(entries, "l0")] == ["c", "a", "d", "b"]
    kept = [entry("a", ce_loss_score=0.1), entry("b", ce_loss_score=0.9)]
    assert [e.id for e in in_order(kept, "ce_loss_score")] == ["b", "a"]


def test_groups_have_the_means_of_what_is_there(tiny_home: Path):
    assert tiny_home.is_dir()
    runs = [
        run_with({"l0": 2.0}, k=4.0),
        run_with({"l0": 4.0}, k=4.0, seed=7),
        run_with(None, k=8.0),
    ]
    first, second = grouped(map(compared, runs), "k", ["l0", "mse"])
    assert (first.value, len(first.entries), first.means) == (4.0, 2, {"l0": 3.0})
    assert (second.value, second.means) == (8.0, {})


def test_every_column_has_a_value_or_none(tiny_home: Path):
    assert tiny_home.is_dir()
    told = compared(run_with({"l0": 2.0}))
    assert len(set(columns())) == len(columns())
    assert {name for name in columns() if told.value(name) is not None} >= {
        *("name", "state", "started", "l0", "k", "architecture"),
    }


def test_the_tutorials_result_says_why_it_cannot_be_compared():
    storybook, _ = compared_shipped()
    assert differences(storybook) == ["model_name", "hook_name", "dataset_path"]
    alike = Compared("x", "x", "run", 0.0, "done", TUTORIAL.settings)
    assert differences(alike) == []
    # By another of its names it is the same model.
    other = {**TUTORIAL.settings, "model_name": "roneneldan/TinyStories-1Layer-21M"}
    assert differences(Compared("x", "x", "run", 0.0, "done", other)) == []


def test_what_came_along_is_compared_like_runs(tiny_home: Path):
    assert tiny_home.is_dir()
    entries = all_compared()
    assert [each.kind for each in entries] == ["shipped", "shipped"]
    assert all(each.is_measured and each.state == "done" for each in entries)


def test_figures_of_an_sae_from_elsewhere_say_what_they_are_of(
    tiny_home: Path, tmp_path: Path
):
    assert tiny_home.is_dir()
    saved = add_sae(str(write_sae(tmp_path / "mine")), "storybook")
    assert not compared_saved(saved).is_measured
    config = TrainConfig()
    ground = Ground("storybook", config.hook_name, config.text, 256)
    keep_figures(saved, {"l0": 5.0, "hook_name": "x"}, ground)
    (found,) = [each for each in all_compared() if each.kind == "saved"]
    assert found.ground == ground
    assert found.figures == {"l0": 5.0}
    assert found.settings["d_sae"] == 40
    # What somebody else wrote there is no figure.
    for junk in ({"measured_on": 3}, {"measured_on": {"text": {"path": 1, "x": 2}}}):
        write_json(saved.path / EVAL_NAME, {"l0": 5.0, **junk})
        assert not compared_saved(saved).is_measured


def test_remarks_outlive_and_are_bounded(tiny_home: Path):
    assert tiny_home.is_dir()
    run = run_with()
    assert remarks.remarks(run) == Remarks()
    keep_remarks(run, tags=" b ,a, , b,  two  words")
    keep_remarks(run, note="<b>said</b>\ud800 ")
    kept = remarks.remarks(run)
    assert kept == Remarks("<b>said</b>\ufffd", ("b", "a", "two words"))
    assert compared(run).value("tags") == "b, a, two words"
    with pytest.raises(InputError):
        keep_remarks(run, note="x" * (remarks.MAX_NOTE + 1))
    with pytest.raises(InputError):
        keep_remarks(run, tags=",".join(map(str, range(remarks.MAX_TAGS + 1))))
    with pytest.raises(InputError):
        keep_remarks(run, tags="x" * (remarks.MAX_TAG + 1))
    assert remarks.remarks(run) == kept


@pytest.mark.parametrize(
    "content", ["", "[]", '{"format": 2, "note": "", "tags": []}', '{"tags": [3]}']
)
def test_damaged_remarks_are_told_and_left_alone(tiny_home: Path, content: str):
    assert tiny_home.is_dir()
    run = run_with()
    path = run.path / remarks.NAME
    path.write_text(content)
    with pytest.raises(DamagedError):
        remarks.remarks(run)
    with pytest.raises(DamagedError):
        keep_remarks(run, note="new")
    assert path.read_text() == content
    assert compared(run).remarks == Remarks()


def test_a_spreadsheet_runs_nothing_of_a_csv():
    begins = ("=1+1", "+1", "-1", "@SUM(A1)", "\t=1", " =1", "＝1", "plain", "a=b")
    text = csv_text(["=name", "n"], [[begin, -1.5] for begin in begins])
    head, *rows = list(csv.reader(io.StringIO(text)))
    assert head == ["'=name", "n"]
    acting = ("=", "+", "-", "@", "＝")
    assert not any(row[0].strip().startswith(acting) for row in rows)
    # What is a number stays one, and nothing else changes.
    assert {row[1] for row in rows} == {"-1.5"}
    assert [row[0] for row in rows[-2:]] == ["plain", "a=b"]


def test_a_csv_has_lines_quotes_and_nothing_hidden():
    cells = ['a,"b"', "two\nlines", "\x1b[31m", None, True, 3]
    (row,) = csv.reader(io.StringIO(csv_text([*"abcdef"], [cells]).split("\n", 1)[1]))
    assert row == ['a,"b"', "two\nlines", "\\x1b[31m", "", "True", "3"]


def test_the_page_and_the_commands_read_the_same(tiny_home: Path, tiny_model_dir: Path):
    assert tiny_home.is_dir()
    run = finished_run(tiny_model_dir, with_features=False)
    found = next(each for each in all_compared() if each.id == run.id)
    kept = json.loads((run.path / EVAL_NAME).read_text())
    assert {name: found.figures[name] for name in kept} == kept


def test_every_pair_of_them_is_compared_either_way_round():
    entries = compared_shipped()
    for one, other in itertools.product(entries, entries):
        assert are_comparable(one, other) == are_comparable(other, one)
        assert are_comparable(one, one)
