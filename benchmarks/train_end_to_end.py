"""A training under way, ours against SAELens's runner: model, shuffle, step, logging.

    python benchmarks/train_end_to_end.py            # half an hour
    python benchmarks/train_end_to_end.py storybook  # one of the two

Each training is a process of its own, in turns, on all cores. Both get the same
settings, initial weights and contexts; SAELens reads with a `HookedTransformer` of its
own, never TransformerLens's Bridge, from contexts that are tokenized beforehand (ours
tells and tokenizes its stories in its time). Steady state: what counts are whole cycles
of the shuffle buffer, after the norm's phase, the filling of the buffer and the first
cycle; seconds a step, by the wall, the median of the trainings.

- tutorial: the tutorial's own settings (standard, 1024 x 16384, batch 4096, contexts
  of 512) on a model of tiny-stories-1L-21M's shape with random weights. A fresh SAE is
  half dense, which a real training leaves in its first percent; so b_enc starts where
  the mean L0 is 64 and the learning rate leaves it there, for both. The buffer holds 8
  batches instead of 64, or a cycle would take SAELens minutes; to the time of a step it
  makes no difference.
- storybook: BatchTopK, k 24, 256 x 2,048, on the embedded model, the buffer of a run
  that says nothing of it. Fresh weights: BatchTopK's L0 is k from the first step on.

- *_ratio: SAELens's seconds a step over ours;
- peak_memory_over_saelens: the largest ratio of the peak resident memory of the two
  processes, ours over theirs, over both settings, with the settings' own buffers.
"""

import argparse
import json
import math
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
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
    options,
    print_last,
    rounded,
)
from benchmarks.tutorial_shape import random_tutorial_model  # noqa: E402
from tinysae.config import TrainConfig  # noqa: E402
from tinysae.data.corpus import token_chunks  # noqa: E402
from tinysae.jobs.memory import peak_memory_bytes  # noqa: E402
from tinysae.model.sources import STORYBOOK, STORYBOOK_DIR, load_model  # noqa: E402
from tinysae.presets import PRESETS  # noqa: E402

SOURCES = [
    "benchmarks/train_end_to_end.py",
    "tinysae/sae/train.py",
    "tinysae/sae/step/*.py",
    "tinysae/data/activations.py",
    "tinysae/data/corpus.py",
    "tinysae/model/blas.py",
]
L0 = 64
# A learning rate that leaves the L0 where it is.
STILL = 1e-8
SHORT_BUFFER = 8
# Cycles of the buffer that are timed, after one that is not, and pairs of trainings.
CYCLES = {"tutorial": 2, "storybook": 6}
PAIRS = {"tutorial": 3, "storybook": 5}
# Steps that are enough to have seen the most memory: a step after the second block.
MEMORY_CYCLES = 0


def main() -> int:
    parser = argparse.ArgumentParser(description="Ours against SAELens's runner.")
    parser.add_argument("names", nargs="*", choices=[*CYCLES, []])
    parser.add_argument("--child", nargs=4, metavar=("SIDE", "NAME", "MODEL", "WHAT"))
    parser.add_argument("--pairs", type=int, help="of trainings; by default 3 and 5")
    asked, variant = options(parser)
    if asked.child:
        child(*asked.child)
        return 0
    with measuring("train_end_to_end", SOURCES, variant=variant) as figures:
        figures |= rounded(measured(asked.names or list(CYCLES), asked.pairs))
    print_last(figures)
    return 0


def measured(names: list[str], n_pairs: int | None) -> dict[str, float]:
    figures: dict[str, float] = {}
    memory: list[float] = []
    with tempfile.TemporaryDirectory() as temporary:
        for name in names:
            model = STORYBOOK_DIR
            if name == "tutorial":
                model = random_tutorial_model(Path(temporary))
            figures[f"{name}_ratio"] = ratio(name, model, n_pairs or PAIRS[name])
            memory.append(memory_ratio(name, model))
    return figures | {"peak_memory_over_saelens": max(memory)}


def ratio(name: str, model: Path, n_pairs: int) -> float:
    """SAELens's seconds a step over ours."""
    took: dict[str, list[float]] = {"ours": [], "saelens": []}
    for turn in range(n_pairs):
        for side in list(took)[:: 1 if turn % 2 else -1]:
            found = run_child(side, name, model, "time")
            took[side].append(found["wall_s"])
            print(
                f"{name:9} {side:7} {found['wall_s'] * 1e3:8.1f} ms a step by the wall "
                f"{found['cpu_s'] * 1e3:8.1f} of CPU   L0 {found['l0']:6.1f}   "
                f"{found['tokens_per_s']:9,.0f} tokens/s   {found['engine']}",
                flush=True,
            )
    theirs, ours = median(took["saelens"]), median(took["ours"])
    print(f"{name}: {theirs / ours:.2f}x", flush=True)
    return theirs / ours


def memory_ratio(name: str, model: Path) -> float:
    peaks = {
        side: run_child(side, name, model, "memory")["peak_mb"]
        for side in ("ours", "saelens")
    }
    print(f"{name}: peak MB {peaks}", flush=True)
    return peaks["ours"] / peaks["saelens"]


def run_child(side: str, name: str, model: Path, what: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, __file__, "--child", side, name, str(model), what],
        check=True,
        capture_output=True,
        text=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def child(side: str, name: str, model: str, what: str) -> None:
    """One training; prints what was found as JSON."""
    torch.set_num_threads(N_CORES)
    config = settings(name, model, what)
    served = config.n_batches_in_buffer // 2
    n_cycles = CYCLES[name] if what == "time" else MEMORY_CYCLES
    steps = (1 + n_cycles) * served + 1
    config = replace(config, training_tokens=steps * config.train_batch_size_tokens)
    stamps = Stamps()
    {"ours": train_ours, "saelens": train_theirs}[side](config, stamps)
    found: dict[str, Any] = {"peak_mb": round(peak_memory_bytes() / 2**20)}
    if what == "time":
        # A step's time is from its beginning to the next one's: its batch is in it.
        (wall, cpu), (wall_end, cpu_end) = stamps.at[served], stamps.at[-1]
        n = len(stamps.at) - 1 - served
        found |= {
            "wall_s": (wall_end - wall) / n,
            "cpu_s": (cpu_end - cpu) / n,
            "tokens_per_s": config.train_batch_size_tokens * n / (wall_end - wall),
            "l0": stamps.l0,
            "engine": stamps.engine,
        }
    print(json.dumps(found), flush=True)


class Stamps:
    """When each step began (wall, CPU), and what is known of the last one."""

    def __init__(self) -> None:
        self.at: list[tuple[float, float]] = []
        self.l0, self.engine = math.nan, "SAELens"

    def begin(self) -> None:
        self.at.append((time.perf_counter(), time.process_time()))


def settings(name: str, model: str, what: str) -> TrainConfig:
    if name == "storybook":
        config = TrainConfig(d_sae=2048, lr=1e-3, training_tokens=3_000_000)
    else:
        config = next(preset.config for preset in PRESETS if preset.key == name)
    # The schedules as they are in the middle of a training.
    config = replace(
        config,
        n_batches_for_norm_estimate=2,
        l1_warm_up_steps=0,
        l0_warm_up_steps=0,
        lr_decay_steps=0,
    )
    if name == "storybook":
        return config
    return replace(
        config,
        model_name=model,
        dataset_path=STORYBOOK,
        lr=STILL,
        n_batches_in_buffer=SHORT_BUFFER if what == "time" else 64,
    )


def train_ours(config: TrainConfig, stamps: Stamps) -> None:
    from tinysae.runs.metrics import MetricsLog
    from tinysae.sae.rows import StepMetrics
    from tinysae.sae.train import SAETraining, TrainingBatches

    model = load_model(config.model_name)
    training = SAETraining(config, model)
    start_at_l0(config, training._sae, TrainingBatches(config, model))
    training.estimate_norm(lambda _: True)
    stamps.engine = training.engine.name
    stamps.begin()
    with (
        tempfile.TemporaryDirectory() as folder,
        MetricsLog[StepMetrics](Path(folder) / "metrics.jsonl") as rows,
    ):

        def progress(_: int, row: StepMetrics | None) -> bool:
            stamps.begin()
            if row is not None:
                rows.append(row)
                stamps.l0 = row["l0"]
            return True

        training.run(progress)
    training.close()


def train_theirs(config: TrainConfig, stamps: Stamps) -> None:
    import datasets
    from sae_lens import LanguageModelSAETrainingRunner
    from sae_lens.config import LoggingConfig
    from sae_lens.training.sae_trainer import SAETrainer

    from benchmarks.saelens_side import runner_config, saelens_model
    from tinysae.sae.architectures import build_training_sae
    from tinysae.sae.train import TrainingBatches

    model = load_model(config.model_name)
    d_in = model.hook_widths[config.hook_name]
    torch.manual_seed(config.seed)
    sae = build_training_sae(config, d_in, "cpu")
    start_at_l0(config, sae, TrainingBatches(config, model))
    n = (config.total_training_steps + 3 * config.n_batches_in_buffer) * (
        config.train_batch_size_tokens // config.context_size
    )
    contexts = token_chunks(model, config.text, config.context_size, seed=config.seed)
    rows = np.stack(list(islice(contexts, n)))
    is_embedded = config.model_name == STORYBOOK
    path = str(STORYBOOK_DIR) if is_embedded else config.model_name
    del model
    step: Callable[..., Any] = SAETrainer.step

    def timed(self: Any, batch: Any) -> Any:
        stamps.begin()
        output = step(self, batch)
        if len(stamps.at) == config.total_training_steps:
            stamps.l0 = output.feature_acts.bool().sum(-1).float().mean().item()
        return output

    SAETrainer.step = timed
    LanguageModelSAETrainingRunner(
        runner_config(config, d_in, LoggingConfig(log_to_wandb=False)),
        override_dataset=datasets.Dataset.from_dict({"input_ids": rows}),
        override_model=saelens_model(path),
        override_sae=sae,
    ).run()


def start_at_l0(config: TrainConfig, sae: Any, batches: Any) -> None:
    """Shifts b_enc such that `L0` features are active on average; of the standard SAE
    alone, since the others decide it themselves."""
    if config.architecture == "standard":
        with torch.no_grad():
            x = next(batches)
            x = x * math.sqrt(x.shape[1]) / x.norm(dim=-1).mean()
            pre = x[:512] @ sae.W_enc
            at = pre.numel() - len(pre) * L0
            sae.b_enc -= pre.flatten().kthvalue(at).values
    batches.close()


if __name__ == "__main__":
    sys.exit(main())
