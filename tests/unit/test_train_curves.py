import math
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.builders import step_row
from tinysae.config import TrainConfig
from tinysae.runs.metrics import MetricsLog, sampled_metrics
from tinysae.runs.store import Run, create_run
from tinysae.sae.rows import DENSITY_EDGES, EvalMetrics, StepMetrics
from tinysae.ui.parts import job_words
from tinysae.ui.parts.job_words import (
    duration,
    duration_range,
    gigabytes,
    rate_range,
    token_count,
)
from tinysae.ui.train.curves import (
    LEAST_ROWS,
    Curves,
    curves,
    legend_names,
    smoothed,
)
from tinysae.words import LANGUAGES, Language, text

ROW = step_row()


def rows(n: int) -> list[StepMetrics]:
    return [step_row(step=i, n_tokens=64 * (i + 1), seconds=i / 4.0) for i in range(n)]


@pytest.fixture
def run(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("TINYSAE_HOME", str(tmp_path))
    return create_run(TrainConfig())


def test_a_smoothed_constant_stays_and_a_jump_is_followed() -> None:
    assert smoothed([3.0] * 5, 0.9) == pytest.approx([3.0] * 5)
    assert smoothed([1.0, 5.0, 2.0], 0.0) == [1.0, 5.0, 2.0]
    # By hand: (0.5 * 0.5 * 0 + 0.5 * 1) / (0.5 * 0.5 + 0.5).
    assert smoothed([0.0, 1.0], 0.5) == pytest.approx([0.0, 2 / 3])


def test_the_speed_is_tokens_over_seconds() -> None:
    x, y = Curves(rows(40), []).points("tokens_per_s")
    assert y == pytest.approx([256.0] * len(y))
    assert x[-1] == 40 * 64


def test_what_a_step_takes_does_not_flicker_with_a_busy_moment() -> None:
    calm = [step_row(step=i, step_seconds=0.01) for i in range(60)]
    busy = [step_row(step=60 + i, step_seconds=0.05) for i in range(25)]
    assert Curves(calm[: LEAST_ROWS - 1], []).step_seconds() is None
    assert Curves(calm, []).step_seconds() == 0.01
    assert Curves(calm + busy, []).step_seconds() == 0.01


def test_rows_without_a_value_have_no_curve() -> None:
    found = Curves([ROW, ROW], [])
    assert found.points("coefficient") == ([], [])
    assert found.points("tokens_per_s") == ([], [])
    assert found.points("ce_loss_score") == ([], [])
    assert found.points("mse") == ([64, 64], [4.0, 4.0])


def test_a_page_reads_both_logs_as_they_grow(run: Run) -> None:
    look: EvalMetrics = {
        "step": 3,
        "n_tokens": 256,
        "ce_loss_score": 0.5,
        "explained_variance": 0.4,
        "l0": 3.0,
        "density": [1] * len(DENSITY_EDGES),
    }
    with (
        MetricsLog[StepMetrics](run.metrics_path) as log,
        MetricsLog[EvalMetrics](run.evals_path) as evals,
    ):
        log.append(ROW)
        assert len(curves(run).rows) == 1
        log.append({**ROW, "step": 1})
        evals.append(look)
        found = curves(run)
    assert [row["step"] for row in found.rows][-2:] == [0, 1]
    assert found.points("ce_loss_score") == ([256], [0.5])


def test_a_small_picture_reads_rows_from_all_of_the_curve(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    with MetricsLog[StepMetrics](path) as log:
        for step in range(1000):
            log.append({**ROW, "step": step})
    steps = [row["step"] for row in sampled_metrics(path, 10)]
    assert len(steps) == 10
    assert steps[0] == 0
    assert steps[-1] > 850
    assert sampled_metrics(tmp_path / "none.jsonl", 10) == []


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.4, "0 s"), (119, "119 s"), (121, "2 min"), (7300, "2.0 h"), (None, "…")],
)
def test_times_read_as_people_say_them(seconds: float | None, words: str) -> None:
    assert duration(seconds) == words


def test_ranges_are_as_exact_as_a_guess() -> None:
    assert duration_range(100, 290) == "2–5 min"
    assert duration_range(290, 300) == "5 min"
    assert duration_range(16, 290) == "16 s–5 min"
    assert duration_range(40, 100) == "40–100 s"
    assert rate_range(4_612.3, 10_412.0) == "4,600–10,000"
    assert math.isclose(float(rate_range(5.2, 5.2).split("–")[0]), 5)


@pytest.mark.parametrize(
    ("n", "words"),
    [(0, "0 MB"), (48_200_000, "48 MB"), (1e8, "0.1 GB"), (2e9, "2.0 GB")],
)
def test_a_small_size_is_not_said_to_be_none(n: float, words: str) -> None:
    assert gigabytes(n) == words


def test_a_legend_says_once_what_tells_a_run_from_others(run: Run) -> None:
    others = [create_run(TrainConfig(k=k, name=f"k {k:g}")) for k in (8.0, 64.0)]
    k = f"{run.config.k:g}"
    assert legend_names([run, *others]) == [
        f"{run.config.title} (k {k})",
        "k 8",
        "k 64",
    ]


@pytest.mark.parametrize(
    ("n", "english", "korean"),
    [
        (6_144, "6,144", "6,144"),
        (12_288, "12,288", "1.23만"),
        (500_000, "0.5M", "50만"),
        (122_880_000, "123M", "1.23억"),
        (2_000_000_000, "2B", "20억"),
    ],
)
def test_tokens_are_counted_in_the_readers_own_unit(
    n: int, english: str, korean: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = []
    for language in LANGUAGES:
        monkeypatch.setattr(job_words, "language", lambda language=language: language)
        monkeypatch.setattr(job_words, "t", partial(text_in, language))
        said.append(token_count(n))
    assert said == [english, korean]


def text_in(language: Language, key: str, **values: object) -> str:
    return text(key, language, **values)
