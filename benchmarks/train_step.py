"""One training step, ours against SAELens's own, on the same weights and batches.

    python benchmarks/train_step.py            # every row, some minutes
    python benchmarks/train_step.py standard_256x4096_l64 topk_256x4096_k64

A row is named architecture_d_in x d_sae_L0 (or k). Both steps are SAELens's trainer on
4096 tokens in float32, in turns, one thread; the ratio is that of the medians of the
CPU time. The activations are sparse sums of random directions; the weights are those of
the initialisation, with one number in b_enc (b_gate and b_mag; JumpReLU's threshold)
such that the mean L0 is the one named; the learning rate is 1e-6, so that it stays.

- gemm_share: the time of the encoder's product alone over that of the step;
- threads2_over_1: wall time of our step on one thread over that on two, the shortest of
  25 each, since whatever else runs only adds to it: it wants a machine to itself;
- torch_path: our step without numba;
- loss_error: the worst relative difference to SAELens of any loss of any architecture
  over 200 steps of training at a learning rate of 3e-4. Beside it stands how far
  SAELens is from itself in float64: where rounding decides whether a feature is active,
  two trainings part for good, whoever computes them, and the faster the learning the
  sooner (at 1e-3 both differences are about 1e-3 for JumpReLU);
- grad_error: the worst, over parameters and architectures, of |ours - exact| / |exact|
  for the first step's gradients, exact being SAELens's autograd in float64. Ties, where
  rounding decides what is active, are set aside: there are none in this batch, which is
  checked.
"""

import argparse
import copy
import logging
import sys
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))
warnings.simplefilter("ignore")

from sae_lens import registry  # noqa: E402
from sae_lens.config import LoggingConfig, SAETrainerConfig  # noqa: E402
from sae_lens.training.sae_trainer import SAETrainer  # noqa: E402

from benchmarks.common import (  # noqa: E402
    in_turns,
    measuring,
    options,
    print_last,
    rounded,
)
from tinysae.model.blas import PRODUCTS, one_thread  # noqa: E402
from tinysae.sae.step.engine import EngineChoice, choose_engine, make_step  # noqa: E402

SOURCES = [
    "benchmarks/train_step.py",
    "tinysae/sae/step/*.py",
    "tinysae/model/blas.py",
]
TOKENS = 4096
ROWS = {
    "standard_256x4096_l64": ("standard", 256, 4096, 64),
    "standard_256x4096_l300": ("standard", 256, 4096, 300),
    "topk_256x4096_k64": ("topk", 256, 4096, 64),
    "batchtopk_256x4096_k64": ("batchtopk", 256, 4096, 64),
    "jumprelu_256x4096_l64": ("jumprelu", 256, 4096, 64),
    "gated_256x4096_l64": ("gated", 256, 4096, 64),
    "matryoshka_256x4096_k64": ("matryoshka_batchtopk", 256, 4096, 64),
    "standard_1024x16384_l64": ("standard", 1024, 16384, 64),
}
LARGEST = "standard_1024x16384_l64"
MORE = {
    "standard": {"l1_coefficient": 1.0},
    "gated": {"l1_coefficient": 1.0},
    "matryoshka_batchtopk": {"matryoshka_widths": [256, 1024, 4096]},
}
REPEATS, REPEATS_LARGE, REPEATS_THREADS = 9, 3, 25
TRAINING_STEPS = 200


def activations(d_in: int, n: int, seed: int) -> torch.Tensor:
    """[n, d_in], norm about sqrt(d_in): sums of some of 2 d_in random directions."""
    made = torch.Generator().manual_seed(0)
    directions = torch.randn(2 * d_in, d_in, generator=made)
    drawn = torch.Generator().manual_seed(seed + 1)
    codes = torch.rand(n, 2 * d_in, generator=drawn)
    codes *= torch.rand(n, 2 * d_in, generator=drawn) < 0.05
    x = codes @ directions + 0.1 * torch.randn(n, d_in, generator=drawn)
    return x / x.norm(dim=-1).mean() * d_in**0.5


def trainer_of(
    architecture: str, d_in: int, d_sae: int, lr: float = 1e-6, **more: Any
) -> SAETrainer[Any, Any]:
    """SAELens's trainer on a fresh SAE."""
    sae_class, config_class = registry.get_sae_training_class(architecture)
    settings = {"d_in": d_in, "d_sae": d_sae, **more}
    torch.manual_seed(0)
    config = SAETrainerConfig(
        total_training_samples=10**9,
        train_batch_size_samples=TOKENS,
        lr=lr,
        lr_end=lr / 10,
        lr_scheduler_name="constant",
        lr_warm_up_steps=0,
        lr_decay_steps=0,
        n_restart_cycles=1,
        adam_beta1=0.9,
        adam_beta2=0.999,
        dead_feature_window=1000,
        feature_sampling_window=2000,
        device="cpu",
        autocast=False,
        n_checkpoints=0,
        checkpoint_path=None,
        save_final_checkpoint=False,
        logger=LoggingConfig(log_to_wandb=False),
    )
    return SAETrainer(config, sae_class(config_class(**settings)), iter(()))


@torch.no_grad()
def set_l0(sae: Any, x: torch.Tensor, l0: float) -> None:
    """Makes the mean L0 on `x` the one that is asked for, by one bias for all."""
    if hasattr(sae.cfg, "k"):
        return
    pre = (x - sae.b_dec) @ sae.W_enc
    # quantile() takes no more than 16 million numbers.
    some = pre.flatten()[:: max(1, pre.numel() // 2**22)]
    level = some.quantile(1 - l0 / pre.shape[1]).item()
    if hasattr(sae, "threshold"):
        sae.threshold.fill_(level)
        return
    for name in ("b_enc", "b_gate", "b_mag"):
        if hasattr(sae, name):
            getattr(sae, name).fill_(-level)


def ready(row: str) -> tuple[SAETrainer[Any, Any], torch.Tensor]:
    architecture, d_in, d_sae, l0 = ROWS[row]
    more = dict(MORE.get(architecture, {}))
    if "topk" in architecture:
        more["k"] = l0
    trainer = trainer_of(architecture, d_in, d_sae, **more)
    x = activations(d_in, TOKENS, 0)
    set_l0(trainer.sae, x[:512], l0)
    return trainer, x


def ours(trainer: SAETrainer[Any, Any], path: str = "") -> Any:
    choice = choose_engine(trainer)
    if path:
        choice = EngineChoice(path, "", choice.product)
    return make_step(trainer, choice)


def copied(trainer: SAETrainer[Any, Any]) -> SAETrainer[Any, Any]:
    trainer.data_provider = None  # type: ignore[assignment]
    return copy.deepcopy(trainer)


def ratio(row: str, path: str = "") -> float:
    trainer, x = ready(row)
    mine = ours(copied(trainer), path)
    repeats = REPEATS_LARGE if row == LARGEST else REPEATS
    stock, fast = (
        took.cpu
        for took in in_turns([lambda: trainer.step(x), lambda: mine.step(x)], repeats)
    )
    l0 = mine.step(x).l0()
    print(
        f"{row:28} {path or choose_engine(trainer).name:16} L0 {l0:6.1f}   "
        f"SAELens {stock * 1e3:8.1f} ms   ours {fast * 1e3:7.1f} ms   "
        f"{stock / fast:5.2f}x",
        flush=True,
    )
    return stock / fast


def gemm_share(row: str) -> float:
    trainer, x = ready(row)
    mine, product = ours(trainer), PRODUCTS[choose_engine(trainer).product]
    weights, inputs = trainer.sae.W_enc.detach().T.numpy(), x.numpy()

    def alone() -> None:
        with one_thread():
            for j in range(0, len(weights), 512):
                product(weights[j : j + 512], inputs)

    step, gemm = (took.cpu for took in in_turns([lambda: mine.step(x), alone], REPEATS))
    print(f"{row}: product {gemm * 1e3:.1f} of {step * 1e3:.1f} ms", flush=True)
    return gemm / step


def threads(row: str) -> float:
    trainer, x = ready(row)
    one = ours(copied(trainer))
    torch.set_num_threads(2)
    two = ours(trainer)
    steps = [lambda: one.step(x), lambda: two.step(x)]
    took = [its.wall for its in in_turns(steps, REPEATS_THREADS, min)]
    torch.set_num_threads(1)
    print(f"{row}: {took[0] * 1e3:.1f} ms on one, {took[1] * 1e3:.1f} on two, wall")
    return took[0] / took[1]


def loss_error(architecture: str) -> float:
    """Over a training of 200 steps at a learning rate that matters."""
    theirs = small_trainer(architecture, lr=3e-4)
    ours_, exact = copied(theirs), copied(theirs)
    in_float64(exact.sae)
    step, worst, to_exact = ours(ours_), 0.0, 0.0
    for i in range(TRAINING_STEPS):
        x = activations(64, 512, i)
        found, output, best = step.step(x), theirs.step(x), exact.step(x.double())
        for trainer in (theirs, ours_, exact):
            trainer.n_training_steps += 1
        for name, loss in output.losses.items():
            value, scale = loss.item(), max(loss.item(), 1e-6)
            worst = max(worst, abs(found.losses[name] - value) / scale)
            to_exact = max(to_exact, abs(best.losses[name].item() - value) / scale)
    print(f"  {architecture:22} ours {worst:.1e}   SAELens in float64 {to_exact:.1e}")
    return worst


def small_trainer(architecture: str, **more: Any) -> SAETrainer[Any, Any]:
    """64 x 256, some of its features dead, for the architectures that help them."""
    settings = MORE.get(architecture, {}) | SMALL.get(architecture, {})
    trainer = trainer_of(architecture, 64, 256, **settings, **more)
    trainer.cfg.dead_feature_window = 20
    trainer.n_forward_passes_since_fired[::4] = 10
    return trainer


def in_float64(sae: Any) -> None:
    for parameter in sae.parameters():
        parameter.data = parameter.data.double()
    sae.dtype = torch.float64


SMALL: dict[str, dict[str, Any]] = {
    "topk": {"k": 8},
    "batchtopk": {"k": 8},
    "matryoshka_batchtopk": {"k": 8, "matryoshka_widths": [32, 96, 256]},
    "jumprelu": {"jumprelu_init_threshold": 0.1, "l0_coefficient": 0.05},
}


def grad_error(architecture: str) -> float:
    """Of the first step's gradients, SAELens in float64 being exact."""
    from sae_lens.saes.sae import TrainStepInput

    trainer, x = small_trainer(architecture), activations(64, 512, 0)
    exact, dead = copy.deepcopy(trainer.sae), trainer.dead_neurons
    in_float64(exact)
    mine = ours(trainer)
    found = mine.step(x)
    output = exact.training_forward_pass(
        TrainStepInput(
            sae_in=x.double(),
            coefficients=trainer.get_coefficients(),
            dead_neuron_mask=dead,
            n_training_steps=0,
            is_logging_step=False,
        )
    )
    output.loss.backward()
    active = output.feature_acts.bool().float().sum(-1).mean().item()
    assert active == found.l0(), "a tie: the precisions disagree about what is active"
    gradients = {n: torch.from_numpy(g) for n, g in mine._g.items()}
    gradients["W_enc"] = gradients["W_enc"].T
    return max(
        ((gradients[n] - p.grad).norm() / p.grad.norm()).item()
        for n, p in exact.named_parameters()
        if p.grad is not None
    )


def main() -> int:
    parser = argparse.ArgumentParser(description="A step, ours against SAELens's.")
    parser.add_argument("names", nargs="*", help="of figures; by default all")
    asked, variant = options(parser)
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    with measuring("train_step", SOURCES, variant=variant) as figures:
        figures |= rounded(measured(asked.names))
    print_last(figures)
    return 0


def measured(names: list[str]) -> dict[str, float]:
    """Those of the figures, or all."""
    kinds: dict[str, Callable[[], float]] = {
        **{row: partial(ratio, row) for row in ROWS},
        "gemm_share_1024x16384_l64": lambda: gemm_share(LARGEST),
        "threads2_over_1": lambda: threads(LARGEST),
        "torch_path_256x4096_l64": lambda: ratio(
            "standard_256x4096_l64", "sparse (torch)"
        ),
        "loss_error": lambda: max(loss_error(a) for a in ARCHITECTURES),
        "grad_error": lambda: max(grad_error(a) for a in ARCHITECTURES),
    }
    figures: dict[str, float] = {}
    for name in names or kinds:
        figures[name] = kinds[name]()
        print(f"{name}: {figures[name]:.3g}", flush=True)
    return figures


ARCHITECTURES = list(dict.fromkeys(row[0] for row in ROWS.values()))

if __name__ == "__main__":
    sys.exit(main())
