"""Our training against `SAETrainer.fit`: same weights, same batches, same losses."""

import dataclasses
from collections.abc import Iterator
from typing import Any, NamedTuple, get_args

import pytest
import torch
from sae_lens import registry
from sae_lens.config import LoggingConfig, SAETrainerConfig
from sae_lens.training.sae_trainer import SAETrainer

from tinysae.config import KEEPS_K, KEEPS_WHOLE_K, Architecture, TrainConfig
from tinysae.sae.train import SAETraining, TrainingBatches

STEPS = 50
# Losses of the two are sums of the same numbers; no more than rounding may part them.
TOLERANCE = 1e-6

CASES: dict[str, dict[str, Any]] = {
    **{name: {"architecture": name} for name in get_args(Architecture)},
    "standard, p of 1/2": {
        "architecture": "standard",
        "lp_norm": 0.5,
        "l1_coefficient": 1e-3,
        "normalize_activations": "none",
    },
    "topk, norms not counted": {
        "architecture": "topk",
        "rescale_acts_by_decoder_norm": False,
        "apply_b_dec_to_input": True,
    },
    "batchtopk, cosine": {
        "architecture": "batchtopk",
        "lr_scheduler_name": "cosineannealing",
        "lr_end": 1e-4,
        "k": 1.5,
    },
    "jumprelu, tanh": {
        "architecture": "jumprelu",
        "jumprelu_sparsity_loss_mode": "tanh",
        "jumprelu_ste_to_input": True,
    },
    "jumprelu, quadratic": {
        "architecture": "jumprelu",
        "jumprelu_sparsity_loss_mode": "quadratic",
        "target_l0": 3.0,
    },
    "gated, warm restarts": {
        "architecture": "gated",
        "apply_b_dec_to_input": True,
        "lr_scheduler_name": "cosineannealingwarmrestarts",
        "n_restart_cycles": 3,
    },
    "matryoshka, by level": {
        "architecture": "matryoshka_batchtopk",
        "matryoshka_widths": "8, 32",
        "use_matryoshka_aux_loss": True,
    },
}


def config_of(case: str) -> TrainConfig:
    return TrainConfig(
        **{
            "d_sae": 96,
            "k": 2.0,
            "context_size": 16,
            "training_tokens": STEPS * 32,
            "train_batch_size_tokens": 32,
            "n_batches_in_buffer": 4,
            "n_batches_for_norm_estimate": 3,
            "store_batch_size_prompts": 4,
            "lr": 2e-3,
            "lr_warm_up_steps": 5,
            "lr_decay_steps": 10,
            "l1_coefficient": 1.0,
            "l1_warm_up_steps": 10,
            "l0_coefficient": 0.5,
            "l0_warm_up_steps": 10,
            "pre_act_loss_coefficient": 1e-2,
            # Early deaths, so that whatever helps dead features is at work.
            "jumprelu_init_threshold": 0.5,
            "jumprelu_bandwidth": 2.0,
            "jumprelu_ste_to_input": False,
            "dead_feature_window": 2,
            "feature_sampling_window": 20,
            **CASES[case],
        }
    )


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    # Such small products take many times as long on two cores that are busy.
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Step(NamedTuple):
    mse: float
    loss: float
    l0: float
    n_dead: int
    lr: float
    helped: float
    """What the losses that help dead features add."""


class Recorder(SAETrainer[Any, Any]):
    """SAELens's trainer as it is, which remembers its steps."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.steps: list[Step] = []

    def step(self, batch: torch.Tensor) -> Any:
        lr = self.optimizer.param_groups[0]["lr"]
        output = super().step(batch)
        help_ = ("auxiliary_reconstruction_loss", "pre_act_loss")
        self.steps.append(
            Step(
                mse=output.losses["mse_loss"].item(),
                loss=output.loss.item(),
                l0=(output.feature_acts != 0).sum(-1).float().mean().item(),
                n_dead=int(self.dead_neurons.sum()),
                lr=lr,
                helped=sum(
                    output.losses[n].item() for n in help_ if n in output.losses
                ),
            )
        )
        return output


def theirs(config: TrainConfig, model: Any) -> list[Step]:
    """`fit` to the end, on SAELens's own config classes."""
    sae_class, config_class = registry.get_sae_training_class(config.architecture)
    names = {field.name for field in dataclasses.fields(config_class)}
    values = {name: getattr(config, name, None) for name in names}
    values |= {
        "d_in": model.hook_widths[config.hook_name],
        "device": "cpu",
        "matryoshka_widths": config.matryoshka_levels,
        "k": int(config.k) if config.architecture in KEEPS_WHOLE_K else config.k,
    }
    known = {key: value for key, value in values.items() if value is not None}
    torch.manual_seed(config.seed)
    sae = sae_class(config_class(**{n: v for n, v in known.items() if n in names}))
    trainer = Recorder(
        SAETrainerConfig(
            total_training_samples=config.training_tokens,
            train_batch_size_samples=config.train_batch_size_tokens,
            lr=config.lr,
            lr_scheduler_name=config.lr_scheduler_name,
            lr_end=config.lr_end or config.lr / 10,
            lr_warm_up_steps=config.lr_warm_up_steps,
            lr_decay_steps=config.lr_decay_steps,
            n_restart_cycles=config.n_restart_cycles,
            adam_beta1=config.adam_beta1,
            adam_beta2=config.adam_beta2,
            n_batches_for_norm_estimate=config.n_batches_for_norm_estimate,
            dead_feature_window=config.dead_feature_window,
            feature_sampling_window=config.feature_sampling_window,
            logger=LoggingConfig(log_to_wandb=False),
        ),
        sae,
        TrainingBatches(config, model),
    )
    trainer.fit()
    return trainer.steps


def ours(config: TrainConfig, model: Any) -> list[Any]:
    training = SAETraining(config, model)
    rows: list[Any] = []
    if training.needs_norm:
        assert training.estimate_norm(lambda _: True)
    assert training.run(lambda _, row: rows.append(row) or True)
    return rows


@pytest.mark.parametrize("case", CASES)
def test_every_step_is_that_of_saelens_fit(case: str, tiny_model: Any) -> None:
    config = config_of(case)
    rows, steps = ours(config, tiny_model), theirs(config, tiny_model)
    assert len(rows) == len(steps) == STEPS
    for row, step in zip(rows, steps, strict=True):
        for name in ("mse", "loss", "l0", "lr"):
            assert row[name] == pytest.approx(getattr(step, name), rel=TOLERANCE), name
        assert row["n_dead"] == step.n_dead
    assert steps[-1].mse < steps[0].mse
    if config.architecture in (*KEEPS_K, "jumprelu"):
        assert any(step.helped > 0 for step in steps)
