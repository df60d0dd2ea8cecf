"""The SAE that the default preset trains: how good it is, and how long it takes.

    python benchmarks/default_run.py

Trains the preset "look" as `python -m tinysae train --preset look` does, in a worker
process that nobody has made ready. Prints, as its last line, one JSON object: the
figures of the run's own evaluation on held-out text; `n_sure` of the `n_live` features
that ever fire, those with a sure name (`tinysae.features.names.labels`), and their
share; `seconds` from the run's start to a features' index that can be opened, of which
those of each stage are `training_s`, `evaluating_s`, `indexing_s` and `labelling_s`.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np

from benchmarks.common import measuring, print_last, timed
from benchmarks.own_workers import ended, home_at, wait_for
from tinysae.features.index.reader import open_index
from tinysae.features.names.label_file import read_labels
from tinysae.features.names.labels import SURE_FROM, sureness
from tinysae.presets import PRESETS
from tinysae.runs.store import Run, start_run

SOURCES = [
    "benchmarks/default_run.py",
    "tinysae/presets.py",
    "tinysae/sae/train.py",
    "tinysae/sae/evaluate.py",
    "tinysae/sae/step/*.py",
    "tinysae/features/names/rule*.py",
    "tinysae/features/names/labels.py",
]
STAGES = ("training", "evaluating", "indexing", "labelling")
(LOOK,) = (preset.config for preset in PRESETS if preset.key == "look")
PATIENCE_S = 1800


def main() -> int:
    with measuring("default_run", SOURCES, seed=LOOK.seed) as figures:
        figures |= measured()
    print_last(figures)
    return 0


def measured() -> dict[str, float]:
    """The figures of the module's docstring.

    Raises:
        RuntimeError: the run failed; with its log.
    """
    with (
        tempfile.TemporaryDirectory(prefix="tinysae-default-") as name,
        home_at(Path(name)),
    ):
        run = start_run(LOOK)
        took = timed(lambda: wait_for(lambda: ended(run), "the run", PATIENCE_S))
        found = run.evaluation()
        if run.status.state != "done" or found is None:
            raise RuntimeError(run.log_path.read_text())
        stages, names = run.took() or {}, named_surely(run)
    kept = (
        *("ce_loss_score", "ce_loss_sae", "ce_loss_clean", "ce_loss_zero"),
        *("l0", "explained_variance", "dead_share", "d_sae"),
    )
    return {
        "training_tokens": LOOK.training_tokens,
        "seconds": round(took.wall, 1),
        **{key: round(float(found[key]), 4) for key in kept},
        **names,
        **{f"{stage}_s": round(stages[stage], 1) for stage in STAGES},
    }


def named_surely(run: Run) -> dict[str, float]:
    """How many of the run's features have a sure name, and which share of those that
    fire."""
    live = open_index(run.features_dir).table()["density"].to_numpy() > 0
    named = zip(read_labels(run.features_dir), live.tolist(), strict=True)
    n_sure = sum(fires and sureness(own) == len(SURE_FROM) for own, fires in named)
    n_live = int(np.count_nonzero(live))
    return {"n_live": n_live, "n_sure": n_sure, "sure": round(n_sure / n_live, 4)}


if __name__ == "__main__":
    sys.exit(main())
