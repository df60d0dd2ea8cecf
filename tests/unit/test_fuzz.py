"""Wrong files: what makes them, and what becomes of them."""

import json
import os
import random
import signal
import sys
from pathlib import Path

import pytest

from benchmarks.fuzz import OUTCOMES, batch, fuzzed, outcome_of
from benchmarks.fuzz_targets import TARGETS, Target
from benchmarks.mutations import wrong
from tinysae.errors import InputError
from tinysae.jobs.files import write_json

N_INPUTS = 1_000
SAMPLES = {
    "a.json": json.dumps({"a": [1, {"b": "c"}], "d": None}).encode(),
    "a.jsonl": b'{"text": "a"}\n{"text": "b"}\n',
    "a.csv": b"prompt,answer\na,b\n",
    "a.arrow": bytes(range(256)),
    "empty.txt": b"",
}


@pytest.mark.parametrize("name", SAMPLES)
def test_the_same_seed_makes_the_same_wrong_file(name: str):
    made = [wrong(name, SAMPLES[name], random.Random(n)) for n in range(200)]
    again = [wrong(name, SAMPLES[name], random.Random(n)) for n in range(200)]
    assert made == again
    assert len(set(made)) > 40


def test_json_is_wrong_in_what_it_says_too():
    sample = SAMPLES["a.json"]
    made = [wrong("a.json", sample, random.Random(n)) for n in range(500)]
    assert any(b"NaN" in each for each in made)
    assert any(b"9" * 400 in each for each in made)
    assert any(b"\\ud800" in each for each in made)


@pytest.mark.parametrize("name", ["gguf", "labels"])
def test_what_is_packed_is_wrong_in_what_it_says_too(name: str, tmp_path: Path):
    target = TARGETS[name]
    target.write(tmp_path)
    (file,) = tmp_path.glob(target.wrong)
    sample = file.read_bytes()
    assert outcome_of(target, tmp_path)["outcome"] == "read"
    made = [wrong(file.name, sample, random.Random(n)) for n in range(100)]
    assert len(set(made)) > 60
    begin = sample[:4]
    assert sum(data[:4] == begin and data != sample for data in made) > 50


def raising(problem: BaseException) -> Target:
    def read(home: Path) -> None:  # noqa: ARG001
        raise problem

    return Target(print, read, "*")


def greedy(home: Path) -> None:  # noqa: ARG001
    assert bytearray(b"x") * (600 << 20)


@pytest.mark.parametrize(
    ("target", "outcome"),
    [
        (Target(print, os.listdir, "*"), "read"),
        (raising(InputError("suite_empty")), "sentence"),
        (raising(InputError("zip_leads_out", name="x" * 9000)), "exception"),
        (raising(ValueError("a bug")), "exception"),
        (raising(BaseException("a panic of Rust's")), "exception"),
        (raising(MemoryError()), "limit"),
        (Target(print, greedy, "*"), "limit"),
    ],
)
def test_only_a_sentence_passes_for_one(tmp_path: Path, target: Target, outcome: str):
    found = outcome_of(target, tmp_path)
    assert found["outcome"] == outcome
    assert ("why" in found) == (outcome not in ("read", "sentence"))


def test_a_reading_that_ends_its_process_is_found_and_the_others_go_on():
    child = """
import os
print("ready")
print('{"outcome": "read"}', flush=True)
os.abort()
"""
    kept: dict[int, str] = {}
    outcomes = batch([sys.executable, "-c", child], range(7, 12), kept.__setitem__)
    assert outcomes == ["read", "crash"]
    assert list(kept) == [8]
    assert f"ended with {-signal.SIGABRT}" in kept[8]


def test_a_reading_without_an_end_is_ended(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("benchmarks.fuzz.MAX_WALL_S", 0.1)
    child = "import time; print('ready', flush=True); time.sleep(600)"
    kept: dict[int, str] = {}
    outcomes = batch([sys.executable, "-c", child], range(2), kept.__setitem__)
    assert (outcomes, kept) == (["limit"], {0: "no answer"})


def test_a_run_that_was_interrupted_goes_on_where_it_was(tmp_path: Path):
    write_json(tmp_path / "link.json", ["sentence"] * 3)
    assert fuzzed("link", 0, 3, tmp_path)["sentence"] == 3
    counts = fuzzed("link", 0, 5, tmp_path)
    assert sum(counts.values()) == 5
    assert counts["sentence"] >= 3


@pytest.mark.slow
def test_whatever_is_brought_is_read_or_refused_with_a_sentence(tmp_path: Path):
    shares = sum(target.share for target in TARGETS.values())
    total = dict.fromkeys(OUTCOMES, 0)
    for name, target in TARGETS.items():
        counts = fuzzed(name, 0, round(N_INPUTS * target.share / shares) + 1, tmp_path)
        total = {each: total[each] + counts[each] for each in OUTCOMES}
    assert sum(total.values()) >= N_INPUTS
    assert total["read"] > 0
    assert total["sentence"] > 0
    found = tmp_path.glob("findings/*/why.txt")
    assert {path.parent.name: path.read_text() for path in found} == {}
