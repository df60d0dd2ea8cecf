"""Training and indexing on an NVIDIA GPU: ours against SAELens's runner, and each way.

    python benchmarks/gpu.py             # ten minutes
    python benchmarks/gpu.py storybook   # one of the two

Where there is no such GPU it says so and records nothing. MPS was never measured.

Whole trainings, from building the SAE to its files, the norm's phase included; imports,
the loading of models and the tokenizing for SAELens are not. By turns, in one process,
after one short training of each that is not counted. Both have the same settings and
first weights; SAELens reads contexts that are tokenized beforehand with its
`HookedTransformer`, ours tells and tokenizes its stories in its time.

- storybook: BatchTopK, k 64, 256 x 4096, on the embedded model; CE loss recovered and
  L0 of the saved files on the same held-out tokens (`mend_threshold`);
- tutorial: the tutorial's settings (standard L1, 1024 x 16384, batch 4096, its real
  learning rate), on a model of tiny-stories-1L-21M's shape with random weights, its
  schedules scaled to `TUTORIAL_STEPS` steps. A random model has nothing to recover:
  explained variance and L0.

Ours at each of its precisions (float32, tf32, bfloat16), SAELens as it comes (float32)
and with torch's one switch for TF32. Prints a table and, as its last line, JSON:

- NAME_time_over_ours: SAELens's runner, float32, over ours, tf32 (the default), median;
- NAME_time_over_ours_float32, _tf32: both in that precision;
- NAME_s_SIDE_PRECISION: seconds, the median of the seeds; NAME_tokens_per_s: ours;
- NAME_quality_gap, NAME_l0_ratio: ours, tf32, less (over) SAELens's, float32, mean;
  those of bfloat16 too;
- step_ms_ARCHITECTURE_SHAPE_PRECISION: SAELens's step alone, fused Adam, and
  `plain` (its own Adam), `compiled` (by torch.compile, which is not used);
- stream_tokens_per_s: text to shuffled batches alone;
- index_s, index_cpu_s: 300,000 tokens, the shipped SAE, the map as "pca".
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import warnings
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from pathlib import Path
from statistics import mean, median
from typing import Any, NamedTuple
from unittest import mock

sys.path.insert(0, str(Path(__file__).parents[1]))
warnings.simplefilter("ignore")

import torch  # noqa: E402

from benchmarks.common import (  # noqa: E402
    measuring,
    options,
    print_last,
    rounded,
    row,
)
from tinysae.config import Architecture, TrainConfig  # noqa: E402
from tinysae.data.corpus import batched  # noqa: E402
from tinysae.library.shipped import STORYBOOK_SAE_DIR  # noqa: E402
from tinysae.model.loaded import LoadedModel  # noqa: E402
from tinysae.model.sources import STORYBOOK, STORYBOOK_DIR, load_model  # noqa: E402
from tinysae.presets import PRESETS  # noqa: E402
from tinysae.sae.load import WEIGHTS_NAME, load_sae  # noqa: E402
from tinysae.setting import Precision  # noqa: E402
from tinysae.worker.held_out import EVALUATION_SEED, INDEX_SEED, HeldOut  # noqa: E402

SOURCES = [
    "benchmarks/gpu.py",
    "benchmarks/saelens_side.py",
    "tinysae/sae/train.py",
    "tinysae/sae/device.py",
    "tinysae/sae/encode_on_device.py",
    "tinysae/sae/step/saelens.py",
    "tinysae/data/activations.py",
    "tinysae/data/corpus.py",
]
DEVICE = "cuda"
NO_GPU = "No NVIDIA GPU here (or a torch without CUDA): nothing was measured."
PRECISIONS: tuple[Precision, ...] = ("float32", "tf32", "bfloat16")
SEEDS = {"storybook": (42, 43, 44), "tutorial": (42, 43)}
STORYBOOK_TOKENS = 2_000_000
TUTORIAL_STEPS, WARM_UP_STEPS = 500, 24
HELD_OUT_CONTEXTS, CONTEXTS_AT_ONCE, CE_BATCHES = 400, 16, 8
STEP_SHAPES = ((256, 4096), (1024, 16384))
STEP_ARCHITECTURES: tuple[Architecture, ...] = ("standard", "batchtopk")
STEP_WAYS = ("plain", *PRECISIONS, "compiled")
STEP_REPEATS = 25
STREAM_BATCHES = 96
INDEX_TOKENS = 300_000


class Trained(NamedTuple):
    seconds: float
    quality: float
    """CE loss recovered, or explained variance of a random model."""
    l0: float


def main() -> int:
    parser = argparse.ArgumentParser(description="On a GPU, against SAELens's runner.")
    parser.add_argument("names", nargs="*", choices=[*SEEDS, []])
    asked, variant = options(parser)
    if not torch.cuda.is_available():
        print(NO_GPU)
        return 0
    card = torch.cuda.get_device_name()
    note = f"on one {card}, torch {torch.__version__}"
    with measuring("gpu", SOURCES, seed=42, variant=variant, note=note) as figures:
        with tempfile.TemporaryDirectory() as temporary:
            for name in asked.names or list(SEEDS):
                figures |= rounded(trainings(name, Path(temporary)))
        if not asked.names:
            figures |= rounded({**steps(), **stream(), **indexes()})
    print_last(figures)
    return 0


def settings(name: str, model: str) -> TrainConfig:
    if name == "storybook":
        tokens, batch = STORYBOOK_TOKENS, 4096
        return TrainConfig(
            d_sae=4096,
            k=64,
            lr=1e-3,
            train_batch_size_tokens=batch,
            training_tokens=tokens,
            lr_decay_steps=tokens // batch // 5,
        )
    config = next(preset.config for preset in PRESETS if preset.key == name)
    return replace(
        config,
        model_name=model,
        dataset_path=STORYBOOK,
        is_dataset_tokenized=False,
        training_tokens=TUTORIAL_STEPS * config.train_batch_size_tokens,
        l1_warm_up_steps=TUTORIAL_STEPS // 20,
        lr_decay_steps=TUTORIAL_STEPS // 5,
        n_batches_for_norm_estimate=20,
    )


def trainings(name: str, temporary: Path) -> dict[str, float]:
    """Whole trainings by turns; a table of them, and its figures."""
    from benchmarks.saelens_side import saelens_model
    from benchmarks.tutorial_shape import random_tutorial_model

    path = STORYBOOK
    if name == "tutorial":
        path = str(random_tutorial_model(temporary / "model"))
    model = load_model(path, device=DEVICE)
    config = settings(name, path)
    d_in = model.hook_widths[config.hook_name]
    theirs = saelens_model(
        str(STORYBOOK_DIR) if path == STORYBOOK else path, device=DEVICE
    )

    def run(side: str, precision: Precision, config: TrainConfig) -> Trained:
        out = temporary / f"{name}-{side}-{precision}-{config.seed}-{time.time_ns()}"
        config = replace(config, precision=precision)
        data = None if side == "ours" else tokenized(model, config)
        train: dict[str, Callable[[], None]] = {
            "ours": lambda: train_ours(config, model, out),
            "saelens": lambda: train_theirs(config, theirs, d_in, data, out),
        }
        torch.cuda.synchronize()
        started = time.perf_counter()
        train[side]()
        torch.cuda.synchronize()
        seconds = time.perf_counter() - started
        return Trained(seconds, *quality(name, out, model, config))

    sides: list[tuple[str, Precision]] = [("saelens", "float32"), ("saelens", "tf32")]
    for precision in PRECISIONS:
        sides.append(("ours", precision))
    short = replace(
        config,
        training_tokens=WARM_UP_STEPS * config.train_batch_size_tokens,
        l1_warm_up_steps=0,
        lr_decay_steps=0,
    )
    for side, precision in sides:
        run(side, precision, short)
    found: dict[tuple[str, Precision], list[Trained]] = defaultdict(list)
    for turn, seed in enumerate(SEEDS[name]):
        for side, precision in sides[:: -1 if turn % 2 else 1]:
            trained = run(side, precision, replace(config, seed=seed))
            found[side, precision].append(trained)
            said = f"quality {trained.quality:.4f}   L0 {trained.l0:.2f}"
            row(f"{name} {side} {precision}", f"{trained.seconds:.2f} s", said)
    return compared(name, config, found)


def compared(
    name: str,
    config: TrainConfig,
    found: dict[tuple[str, Precision], list[Trained]],
) -> dict[str, float]:
    def seconds(side: str, precision: Precision) -> float:
        return median(each.seconds for each in found[side, precision])

    def ratio(theirs: Precision, ours: Precision) -> float:
        pairs = zip(found["saelens", theirs], found["ours", ours], strict=True)
        return median(one.seconds / other.seconds for one, other in pairs)

    base = found["saelens", "float32"]
    figures = {
        f"{name}_time_over_ours": ratio("float32", "tf32"),
        f"{name}_time_over_ours_float32": ratio("float32", "float32"),
        f"{name}_time_over_ours_tf32": ratio("tf32", "tf32"),
        f"{name}_tokens_per_s": config.training_tokens / seconds("ours", "tf32"),
        f"{name}_quality_saelens": mean(each.quality for each in base),
        f"{name}_l0_saelens": mean(each.l0 for each in base),
    }
    for side, precision in found:
        figures[f"{name}_s_{side}_{precision}"] = seconds(side, precision)
    for precision in PRECISIONS:
        pairs = list(zip(found["ours", precision], base, strict=True))
        end = f"_{precision}"
        figures[f"{name}_quality_gap{end}"] = mean(
            ours.quality - theirs.quality for ours, theirs in pairs
        )
        figures[f"{name}_l0_ratio{end}"] = mean(
            ours.l0 / theirs.l0 for ours, theirs in pairs
        )
    return figures


def quality(
    name: str, out: Path, model: LoadedModel, config: TrainConfig
) -> tuple[float, float]:
    from tinysae.sae.evaluate import evaluate

    is_random = name == "tutorial"
    contexts = HeldOut.of(config).contexts(
        model, EVALUATION_SEED, HELD_OUT_CONTEXTS * 256
    )
    found = evaluate(
        load_sae(out).to(DEVICE),
        model,
        batched(contexts, CONTEXTS_AT_ONCE),
        n_ce_batches=1 if is_random else CE_BATCHES,
    )
    return found.explained_variance if is_random else found.ce_loss_score, found.l0


def tokenized(model: LoadedModel, config: TrainConfig) -> Any:
    """All contexts that a training reads, in our order."""
    import datasets
    import numpy as np

    from tinysae.data.corpus import token_chunks

    n_batches = (
        config.n_batches_for_norm_estimate
        + config.total_training_steps
        + 2 * config.n_batches_in_buffer
    )
    contexts = token_chunks(model, config.text, config.context_size, seed=config.seed)
    n = n_batches * config.train_batch_size_tokens // config.context_size
    rows = np.stack(list(islice(contexts, n)))
    return datasets.Dataset.from_dict({"input_ids": rows})


def train_ours(config: TrainConfig, model: LoadedModel, out: Path) -> None:
    from tinysae.sae.train import SAETraining

    out.mkdir()
    training = SAETraining(config, model)
    training.estimate_norm(lambda _: True)
    training.run(lambda *_: True)
    training.save(out)
    training.close()


def train_theirs(
    config: TrainConfig, model: Any, d_in: int, data: Any, out: Path
) -> None:
    from sae_lens import LanguageModelSAETrainingRunner
    from sae_lens.config import LoggingConfig
    from sae_lens.training.activation_scaler import ActivationScaler

    from benchmarks.saelens_side import runner_config
    from tinysae.sae.device import rounded_products

    scales: list[float] = []
    estimate = ActivationScaler.estimate_scaling_factor

    def noting(self: Any, **options: Any) -> None:
        estimate(self, **options)
        scales.append(self.scaling_factor)

    torch.manual_seed(config.seed)
    with (
        rounded_products(config.precision, DEVICE),
        mock.patch.object(ActivationScaler, "estimate_scaling_factor", noting),
    ):
        LanguageModelSAETrainingRunner(
            runner_config(config, d_in, LoggingConfig(False), out, DEVICE),
            override_dataset=data,
            override_model=model,
        ).run()
    mend_threshold(out, scales[0])


def mend_threshold(out: Path, scale: float) -> None:
    """Saved by SAELens 6.54, BatchTopK's threshold is in the units of training: see
    `fold_activation_norm`. Where it is not divided, L0 is 930 for a k of 64."""
    from safetensors.torch import load, save_file

    path = out / WEIGHTS_NAME
    weights = load(path.read_bytes())
    if "threshold" in weights:
        save_file({**weights, "threshold": weights["threshold"] / scale}, path)


def steps() -> dict[str, float]:
    """What SAELens's step takes alone, in milliseconds."""
    figures: dict[str, float] = {}
    for d_in, d_sae in STEP_SHAPES:
        for architecture in STEP_ARCHITECTURES:
            for way in STEP_WAYS:
                took = step_ms(architecture, d_in, d_sae, way)
                name = f"step_ms_{architecture}_{d_in}x{d_sae}_{way}"
                figures[name] = took
                row(name, f"{took:.2f}")
    return figures


def step_ms(architecture: Architecture, d_in: int, d_sae: int, way: str) -> float:
    """Of a fresh SAE on noise; `plain` is float32 with torch's own choice of Adam,
    `compiled` is tf32."""
    from sae_lens.training.sae_trainer import SAETrainer

    from tinysae.sae.architectures import build_training_sae
    from tinysae.sae.device import rounded_products
    from tinysae.sae.save import runner_config
    from tinysae.sae.step.saelens import SAELensStep
    from tinysae.sae.train import fuse_adam

    precision: Precision = "tf32"
    if way == "plain":
        precision = "float32"
    elif way != "compiled":
        precision = next(each for each in PRECISIONS if each == way)
    config = TrainConfig(
        architecture=architecture,
        d_sae=d_sae,
        k=64,
        train_batch_size_tokens=4096,
        training_tokens=4_096_000,
        precision=precision,
    )
    torch.manual_seed(0)
    sae = build_training_sae(config, d_in, DEVICE)
    settings = runner_config(config, sae).to_sae_trainer_config()
    trainer = SAETrainer(settings, sae, iter(()))
    if way != "plain":
        fuse_adam(trainer.optimizer)
    if way == "compiled":
        sae.training_forward_pass = torch.compile(sae.training_forward_pass)
    step = SAELensStep(trainer)
    batch = torch.randn(4096, d_in, device=DEVICE)
    times: list[float] = []
    with rounded_products(precision, DEVICE):
        for turn in range(STEP_REPEATS + 5):
            started = time.perf_counter()
            step.step(batch)
            torch.cuda.synchronize()
            trainer.n_training_steps += 1
            # The first ones build and warm up.
            if turn >= 5:
                times.append(time.perf_counter() - started)
    return median(times) * 1e3


def stream() -> dict[str, float]:
    """Text to shuffled batches on the GPU, with nobody taking steps."""
    from tinysae.sae.batches import TrainingBatches

    config = settings("storybook", STORYBOOK)
    batches = TrainingBatches(config, load_model(STORYBOOK, device=DEVICE))
    for _ in range(config.n_batches_in_buffer):
        next(batches)
    torch.cuda.synchronize()
    started = time.perf_counter()
    for _ in range(STREAM_BATCHES):
        next(batches)
    torch.cuda.synchronize()
    took = time.perf_counter() - started
    batches.close()
    rate = STREAM_BATCHES * config.train_batch_size_tokens / took
    row("stream", f"{rate:,.0f}", "tokens/s")
    return {"stream_tokens_per_s": rate}


def indexes() -> dict[str, float]:
    """The same index with the model and the encoder on the GPU and on the CPU."""
    from tinysae.features.index.build import build_index

    sae = load_sae(STORYBOOK_SAE_DIR)
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as temporary:
        for name, device in (("index_s", DEVICE), ("index_cpu_s", "cpu")):
            model = load_model(STORYBOOK, device=device)
            chunks = HeldOut.of(TrainConfig()).contexts(model, INDEX_SEED, INDEX_TOKENS)
            model.find_hooks()
            # The first compiles, loads and warms up.
            for turn, some in enumerate((chunks[:64], chunks)):
                started = time.perf_counter()
                build_index(
                    *(sae, model, some, Path(temporary) / f"{name}{turn}"),
                    n_tokens=sum(map(len, some)),
                    layout="pca",
                )
                figures[name] = time.perf_counter() - started
            row(name, f"{figures[name]:.2f} s")
    return figures


if __name__ == "__main__":
    sys.exit(main())
