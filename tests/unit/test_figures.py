"""Figures that cannot go stale: what README says is what was measured, or says so."""

import ast
import json
import sys
from argparse import ArgumentParser
from pathlib import Path

import pytest

from benchmarks import common, results
from benchmarks.results import Entry, files_of, hash_of, is_stale, read, sources_of
from benchmarks.rows import GROUPS, MAIN, Row
from scripts.figures import DOCUMENTS, document, filled, mark, names_in, table

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = [
    path
    for path in sorted((ROOT / "benchmarks").glob("*.py"))
    if "\nSOURCES = [" in path.read_text(encoding="utf-8")
]
CODE = '''"""A module."""


def double(x: int) -> int:
    """Twice."""
    return 2 * x
'''


@pytest.fixture
def entry(tmp_path: Path) -> Entry:
    """Of a figure that was measured on `code.py` as it is in `tmp_path`."""
    (tmp_path / "code.py").write_text(CODE)
    return {
        "figures": {"speed": 3.14159},
        "command": "python benchmarks/some.py",
        "commit": "abc1234",
        "date": "2026-01-02 03:04",
        "cpu": "a CPU",
        "cores": 2,
        "load_at_start": 0.25,
        "seed": 0,
        "minutes": 1.5,
        "sources": ["code.py"],
        "sources_hash": hash_of(["code.py"], tmp_path),
    }


@pytest.fixture
def results_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a benchmark writes in place of the checkout's own."""
    path = tmp_path / "results.json"
    monkeypatch.setattr(
        common, "write", lambda name, entry: results.write(name, entry, path)
    )
    monkeypatch.setattr(sys, "argv", [str(ROOT / "benchmarks" / "some.py"), "--few"])
    return path


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_documents_say_what_was_measured_and_what_is_stale(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert text == document(text, read()), "write them anew: make readme"
    assert text.count("<!-- figures: ") == text.count("<!-- figures end -->") == 1


def test_a_stale_row_says_in_plain_words_that_it_is(
    tmp_path: Path, entry: Entry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "scripts.figures.is_stale", lambda entry: is_stale(entry, tmp_path)
    )
    row = Row("speed of {some[speed]:.0f}", "{some[speed]:.2f}")
    assert "| speed of 3 | 3.14 |" in table([row], {"some": entry})
    (tmp_path / "code.py").write_text(CODE.replace("2 * x", "3 * x"))
    said = "measured at abc1234, before its code changed"
    assert f"| 3.14 ({said}) |" in table([row], {"some": entry})
    entry["commit"] = None
    assert "at a commit nobody noted" in mark(row, {"some": entry})


def test_only_code_makes_a_figure_stale(tmp_path: Path, entry: Entry) -> None:
    path = tmp_path / "code.py"
    assert not is_stale(entry, tmp_path)
    path.write_text("# What it is about.\n" + CODE.replace("2 * x", "(2   *  x)  # x"))
    assert not is_stale(entry, tmp_path)
    path.write_text(CODE.replace("Twice.", "Two times."))
    assert not is_stale(entry, tmp_path)
    path.write_text(CODE.replace("2 * x", "x * 2"))
    assert is_stale(entry, tmp_path)
    path.unlink()
    assert is_stale(entry, tmp_path)


def test_a_file_that_is_no_code_counts_to_the_byte(tmp_path: Path) -> None:
    (tmp_path / "weights").write_bytes(b"1")
    before = hash_of(["weights"], tmp_path)
    (tmp_path / "weights").write_bytes(b"1 ")
    assert hash_of(["weights"], tmp_path) != before


def test_a_run_is_taken_down_with_what_it_was(results_file: Path) -> None:
    with common.measuring("some", ["app.py"], seed=7) as figures:
        figures["speed"] = 2.5
    found = read(results_file)["some"]
    assert found["figures"] == {"speed": 2.5}
    assert found["command"] == "python benchmarks/some.py --few"
    assert (found["seed"], found["cores"]) == (7, common.N_CORES)
    assert found["cpu"]
    assert found["date"]
    assert not is_stale(found)


def test_a_run_that_fails_leaves_what_was_there(results_file: Path) -> None:
    def run(speed: float, *, fails: bool = False) -> None:
        with common.measuring("some", ["app.py"]) as figures:
            figures["speed"] = speed
            if fails:
                raise RuntimeError("no model")

    run(2.5)
    before = results_file.read_bytes()
    with pytest.raises(RuntimeError, match="no model"):
        run(99.0, fails=True)
    assert results_file.read_bytes() == before


def test_a_smaller_run_does_not_take_the_whole_ones_place(
    results_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parser = ArgumentParser()
    parser.add_argument("names", nargs="*")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--save", action="store_true")

    def variant(*words: str) -> str:
        monkeypatch.setattr(sys, "argv", ["some.py", *words])
        return common.options(parser, free=["seed", "save"])[1]

    assert variant() == variant("--seed", "3", "--save", "--kills", "20") == ""
    assert variant("--kills", "100") == ""
    assert variant("one", "two", "--kills", "0") == "one two --kills 0"
    for name in ("", variant("--kills", "5")):
        with common.measuring("some", ["app.py"], variant=name) as figures:
            figures["kills"] = 5 if name else 20
    kept = {name: each["figures"] for name, each in read(results_file).items()}
    assert kept == {"some": {"kills": 20}, "some --kills 5": {"kills": 5}}


def test_the_last_line_is_the_figures(capsys: pytest.CaptureFixture[str]) -> None:
    common.print_last({"speed": 2.5, "kills": 20})
    assert json.loads(capsys.readouterr().out) == {"speed": 2.5, "kills": 20}


def test_a_figure_that_is_missing_is_a_dash_and_a_row_of_none_is_left_out(
    entry: Entry,
) -> None:
    entries = {"some": entry}
    assert filled("{some[speed]:.1f}, {some[size]}", entries) == "3.1, —"
    assert "size" not in table([Row("size", "{some[size]}")], entries)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_benchmark_names_code_that_is_there(script: Path) -> None:
    for source in sources_of(script):
        assert files_of(source), f"{script.name} measures {source}: where is it now?"
    assert f"benchmarks/{script.name}" in sources_of(script)
    assert f'measuring("{script.stem}", SOURCES' in script.read_text(encoding="utf-8")


def test_the_tables_ask_for_benchmarks_that_there_are() -> None:
    rows = [*MAIN, *(row for group in GROUPS for row in group.rows)]
    assert set(names_in(*rows)) <= {script.stem for script in SCRIPTS}


def test_benchmarks_import_nothing_from_the_tests() -> None:
    for path in (ROOT / "benchmarks").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.ImportFrom):
                assert (node.module or "").split(".")[0] != "tests", path.name
