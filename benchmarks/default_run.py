"""The SAE that the default preset trains: how good it is, and how long it takes.

    python benchmarks/default_run.py

Trains the preset "look" as `python -m tinysae train --preset look` does, in a worker
process. Prints, as its last line, one JSON object: the figures of the run's own
evaluation on held-out text, `seconds` from its start to a features' index that can be
opened.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.common import measuring, print_last, timed
from benchmarks.own_workers import ended, home_at, wait_for
from tinysae.jobs.launch import start
from tinysae.presets import PRESETS

SOURCES = [
    "benchmarks/default_run.py",
    "tinysae/presets.py",
    "tinysae/sae/train.py",
    "tinysae/sae/evaluate.py",
    "tinysae/sae/step/*.py",
]
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
        run = start(LOOK)
        took = timed(lambda: wait_for(lambda: ended(run), "the run", PATIENCE_S))
        found = run.evaluation()
        if run.status.state != "done" or found is None:
            raise RuntimeError(run.log_path.read_text())
    kept = (
        *("ce_loss_score", "ce_loss_sae", "ce_loss_clean", "ce_loss_zero"),
        *("l0", "explained_variance", "dead_share", "d_sae"),
    )
    return {
        "training_tokens": LOOK.training_tokens,
        "seconds": round(took.wall, 1),
        **{key: round(float(found[key]), 4) for key in kept},
    }


if __name__ == "__main__":
    sys.exit(main())
