"""Experiments: sweeps against SAELens's ways to train several SAEs; an L0 asked for.

    python benchmarks/experiments.py          # all parts
    python benchmarks/experiments.py sweep    # one of them

Each part is a module of its own, whose docstring says what its figures are:

- sweep: `benchmarks/experiments_sweep.py`;
- target: `benchmarks/experiments_target.py`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks import experiments_sweep, experiments_target
from benchmarks.common import measuring, options, print_last, rounded

PARTS: dict[str, Callable[[], dict[str, float]]] = {
    "sweep": experiments_sweep.measured,
    "target": experiments_target.measured,
}
SOURCES = [
    "benchmarks/experiments.py",
    "benchmarks/experiments_sweep.py",
    "benchmarks/experiments_target.py",
    "tinysae/runs/sweep.py",
    "tinysae/runs/side_by_side.py",
    "tinysae/worker/party.py",
    "tinysae/worker/train.py",
    "tinysae/sae/*.py",
    "tinysae/sae/step/*.py",
    "tinysae/data/activations.py",
    "tinysae/data/corpus.py",
]


def main() -> int:
    parser = argparse.ArgumentParser(description="Experiments, ours and SAELens's.")
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []])
    asked, variant = options(parser)
    with measuring("experiments", SOURCES, variant=variant) as figures:
        for name in asked.parts or PARTS:
            figures |= rounded(PARTS[name]())
    print_last(figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
