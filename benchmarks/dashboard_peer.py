"""Our index against SAEDashboard 0.8.0 on the same SAE and tokens.

    python benchmarks/dashboard_peer.py [--peer PYTHON]

The SAE is that of `benchmarks/index.py`. Prints, as its last line, one JSON object:

- vs_sae_dashboard, vs_sae_dashboard_long_text: (tokens x features)/s of `build_index`,
  model in it, over SAEDashboard's on 32,768 tokens (four times as many for the long
  text, where it is lower), wall time, in turns, from the loaded model and SAE to
  files that can be opened: our index, its page. Imports and a first call are on neither
  side. The dashboard reads 128 features in one minibatch, as its Neuronpedia
  runner does by default; it has an environment of its own, made from
  peers/dashboard.txt. What it does besides: correlations with the model's neurons and
  among the features that it reads, quantiles, and a page that needs no server. What it
  does not: tables by token, co-firing, neighbours by cosine, a map.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
warnings.simplefilter("ignore")

import numpy as np  # noqa: E402
import torch  # noqa: E402

from benchmarks.common import (  # noqa: E402
    N_CORES,
    measuring,
    print_last,
    rounded,
    timed,
)
from benchmarks.index_of import TEXT_SEED, text, trained_sae  # noqa: E402
from tinysae.features.index.build import build_index, open_index  # noqa: E402
from tinysae.model.sources import (  # noqa: E402
    STORYBOOK_DIR,
    LoadedModel,
    load_model,
)
from tinysae.sae.load import load_sae  # noqa: E402

SOURCES = [
    "benchmarks/dashboard_peer.py",
    "benchmarks/peers/dashboard.py",
    "benchmarks/peers/dashboard.txt",
    "tinysae/features/index/*.py",
    "tinysae/sae/encode.py",
    "tinysae/model/blas.py",
]
# A short text and one four times as long.
PEER_TOKENS, PEER_FEATURES = (1 << 15, 1 << 17), 128
PEER_REPEATS = 2
PEERS = Path(__file__).parent / "peers"


def main() -> int:
    parser = argparse.ArgumentParser(description="Our index against SAEDashboard.")
    parser.add_argument("--peer", type=Path, help="a Python that has SAEDashboard")
    asked = parser.parse_args()
    torch.set_num_threads(N_CORES)
    model = load_model("storybook")
    with tempfile.TemporaryDirectory(prefix="tinysae-") as name:
        folder = Path(name)
        sae_dir = trained_sae(model, folder / "sae")
        print_last(measured(model, sae_dir, folder, asked.peer))
    return 0


def measured(
    model: LoadedModel, sae_dir: Path, folder: Path, python: Path | None
) -> dict[str, float]:
    """Takes the figures of the module's docstring down, and returns them."""
    python = python or peer_python(folder / "venv")
    with measuring("dashboard_peer", SOURCES, seed=TEXT_SEED) as figures:
        short, long = (
            against_the_peer(python, model, sae_dir, folder, n) for n in PEER_TOKENS
        )
        figures |= rounded(
            {"vs_sae_dashboard": short, "vs_sae_dashboard_long_text": long}
        )
    return figures


def peer_python(folder: Path) -> Path:
    """An environment with SAEDashboard, made from the lock file."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = folder / "bin" / "python"
    command = [python, "-m", "pip", "install", "--quiet", "--no-deps"]
    subprocess.run([*command, "-r", PEERS / "dashboard.txt"], check=True)
    return python


def against_the_peer(
    python: Path, model: LoadedModel, sae_dir: Path, folder: Path, n_tokens: int
) -> float:
    """Our token-features a second over SAEDashboard's.

    Most of SAEDashboard's time is a feature's page, whatever the text, so that the
    ratio falls as the text grows. It draws no map, and neither do we here.
    """
    chunks, sae = text(model, n_tokens), load_sae(sae_dir)
    np.save(folder / "tokens.npy", chunks)
    arguments = [STORYBOOK_DIR, sae_dir, folder / "tokens.npy", PEER_FEATURES, 1]
    command = [python, PEERS / "dashboard.py", *arguments]
    env = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}
    env.pop("PYTHONPATH", None)
    ours, theirs = [], []
    answer: dict[str, Any] = {}

    out = folder / "peer"

    def our_turn() -> None:
        build_index(sae, model, chunks, out, n_tokens=n_tokens, layout="pca")

    our_turn()
    for _ in range(PEER_REPEATS):
        found = subprocess.run(
            [*map(str, command)], check=True, capture_output=True, text=True, env=env
        )
        answer = json.loads(found.stdout.splitlines()[-1])
        theirs += answer["seconds"]
        ours.append(timed(our_turn).wall)
    # Both saw the same: it keeps BOS, whose features we do not count.
    largest = open_index(out).table()["max_act"][:PEER_FEATURES]
    agree = np.isclose(largest, np.array(answer["max"]), rtol=1e-3, atol=1e-3).mean()
    rate = chunks.size * sae.d_sae / median(ours)
    peer_rate = chunks.size * PEER_FEATURES / median(theirs)
    print(
        f"{chunks.size:,} tokens: all {sae.d_sae} features in {median(ours):.2f} s, "
        f"SAEDashboard {PEER_FEATURES} features in {median(theirs):.2f} s: "
        f"{rate / 1e6:.1f}M against {peer_rate / 1e6:.3f}M token-features/s; "
        f"{agree:.1%} of the maxima are the same",
        flush=True,
    )
    return rate / peer_rate


if __name__ == "__main__":
    sys.exit(main())
