"""Settings -> SAELens's training modules -> files that read raw activations."""

import dataclasses
import math
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from hypothesis import given
from hypothesis import settings as run_with
from sae_lens import SAE, registry
from sae_lens.config import LanguageModelSAERunnerConfig, LoggingConfig
from sae_lens.training.optim import get_lr_scheduler

from tests.unit.test_config import configs
from tinysae.config import KEEPS_K, Architecture, TrainConfig, reads, settings
from tinysae.presets import RETIRED
from tinysae.sae.architectures import build_training_sae, fold_activation_norm
from tinysae.sae.load import load_sae

ARCHITECTURES: tuple[Architecture, ...] = get_args(Architecture)
# Fields of SAELens's that are no settings, and what they are instead.
NOT_SETTINGS = {
    "d_in": "the hook's width",
    "metadata": "written when the SAE is saved",
    "reshape_activations": "hook_z arrives flat already",
    "use_sparse_activations": "the same numbers another way",
}
D_IN, D_SAE, SCALE = 8, 24, 3.7


def saelens_fields(architecture: str) -> dict[str, dataclasses.Field[Any]]:
    _, config_class = registry.get_sae_training_class(architecture)
    return {field.name: field for field in dataclasses.fields(config_class)}


@pytest.mark.parametrize("name", settings())
def test_a_setting_of_some_architectures_is_saelens_of_just_these(name: str) -> None:
    # Which steers what SAELens only sets.
    if name != "wanted_l0" and (only_for := settings()[name].only_for):
        for architecture in ARCHITECTURES:
            is_theirs = name in saelens_fields(architecture)
            assert is_theirs == (architecture in only_for), architecture


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_field_of_saelens_is_a_setting(architecture: Architecture) -> None:
    ours = {name for name in settings() if reads(architecture, name)}
    assert saelens_fields(architecture).keys() - ours == (
        NOT_SETTINGS.keys() & saelens_fields(architecture).keys()
    )


def test_settings_of_the_run_are_named_as_in_saelens() -> None:
    theirs = {field.name for field in dataclasses.fields(LanguageModelSAERunnerConfig)}
    theirs |= {field.name for field in dataclasses.fields(LoggingConfig)}
    of_the_sae = set().union(*map(saelens_fields, ARCHITECTURES))
    ours = {"name", "architecture", "dataset_column", "dataset_name", "dataset_split"}
    # Its autocast, and torch's setting for the rest; and what steers a coefficient.
    ours |= {"precision", "wanted_l0"}
    assert set(settings()) - theirs - of_the_sae == ours


def test_retired_options_are_gone_from_saelens() -> None:
    theirs = {field.name for field in dataclasses.fields(LanguageModelSAERunnerConfig)}
    theirs |= saelens_fields("standard").keys()
    for option in RETIRED:
        if option.fate != "here":
            # Accepted still, and read by nothing.
            is_left = option.name == "dead_feature_threshold"
            assert (option.name in theirs) == is_left, option.name


@run_with(deadline=None, max_examples=50)
@given(configs())
def test_saelens_accepts_whatever_the_checks_accept(config: TrainConfig) -> None:
    small = dataclasses.replace(
        config,
        dtype="float32",
        train_batch_size_tokens=1,
        training_tokens=config.total_training_steps,
    )
    sae = build_training_sae(small, D_IN, "cpu")
    for name in saelens_fields(config.architecture).keys() - NOT_SETTINGS.keys():
        ours, theirs = getattr(small, name, None), getattr(sae.cfg, name)
        if name == "matryoshka_widths":
            assert theirs == small.matryoshka_levels
        elif name in ("pre_act_loss_coefficient", "decoder_init_norm"):
            assert theirs == (ours or None)
        elif name == "target_l0":
            is_used = small.jumprelu_sparsity_loss_mode == "quadratic"
            assert theirs == (ours if is_used else None)
        elif name != "device":
            assert theirs == ours, name
    optimizer = torch.optim.Adam(sae.parameters(), lr=small.lr)
    scheduler = get_lr_scheduler(
        small.lr_scheduler_name,
        optimizer,
        training_steps=small.total_training_steps,
        lr=small.lr,
        warm_up_steps=small.lr_warm_up_steps,
        decay_steps=small.lr_decay_steps,
        lr_end=small.lr_end or small.lr / 10,
        num_cycles=small.n_restart_cycles,
    )
    optimizer.step()
    for _ in range(small.total_training_steps):
        lr = optimizer.param_groups[0]["lr"]
        assert math.isfinite(lr)
        assert -1e-12 <= lr <= small.lr * (1 + 1e-6)
        scheduler.step()


def some_sae(architecture: Architecture, **changes: Any) -> Any:
    """A training SAE whose every parameter matters, as if it had been trained."""
    torch.manual_seed(0)
    config = TrainConfig(architecture=architecture, d_sae=D_SAE, k=4, **changes)
    sae = build_training_sae(config, D_IN, "cpu")
    with torch.no_grad():
        for name, parameter in sae.named_parameters():
            if parameter.ndim == 1:
                low = 0.0 if name == "threshold" else -0.1
                parameter.uniform_(low, 0.1)
        # Directions of unequal length: what is folded then changes their order.
        sae.W_dec.mul_(torch.rand(D_SAE, 1) + 0.5)
    return sae


def with_rescaling() -> list[tuple[Architecture, bool]]:
    rescaled: list[tuple[Architecture, bool]] = [(name, True) for name in KEEPS_K]
    return [*((name, False) for name in ARCHITECTURES), *rescaled]


@pytest.mark.parametrize("apply_b_dec_to_input", [False, True])
@pytest.mark.parametrize(("architecture", "rescale"), with_rescaling())
def test_folding_the_norm_keeps_features_and_reconstruction(
    architecture: Architecture,
    rescale: bool,
    apply_b_dec_to_input: bool,
    tmp_path: Path,
) -> None:
    sae = some_sae(
        architecture,
        rescale_acts_by_decoder_norm=rescale,
        apply_b_dec_to_input=apply_b_dec_to_input,
    )
    x = torch.randn(200, D_IN)
    with torch.no_grad():
        acts, pre = sae.encode_with_hidden_pre(x * SCALE)
        acts = acts.detach()
        reconstructed = sae.decode(acts) / SCALE
    if hasattr(sae, "topk_threshold"):
        # Between the weakest that was kept and the strongest that was not.
        left_out = pre[acts == 0].max()
        sae.topk_threshold = ((acts[acts > 0].min() + left_out) / 2).double()
    fold_activation_norm(sae, SCALE)
    sae.cfg.metadata.hook_name = "blocks.0.hook_mlp_out"
    sae.save_inference_model(tmp_path)
    ours = load_sae(tmp_path)
    theirs: Any = SAE.load_from_disk(tmp_path)
    with torch.no_grad():
        # The file reads raw activations.
        raw = ours.encode(x)
        assert torch.equal(raw > 0, acts > 0)
        assert 0 < (raw > 0).sum() < raw.numel()
        torch.testing.assert_close(raw * SCALE if rescale else raw, acts)
        torch.testing.assert_close(ours.decode(raw), reconstructed)
        torch.testing.assert_close(raw, theirs.encode(x))
        torch.testing.assert_close(ours.decode(raw), theirs.decode(raw))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_bfloat16_weights_are_read_as_float32(
    architecture: Architecture, tmp_path: Path
) -> None:
    sae = some_sae(architecture, dtype="bfloat16")
    fold_activation_norm(sae, SCALE)
    sae.cfg.metadata.hook_name = "blocks.0.hook_mlp_out"
    sae.save_inference_model(tmp_path)
    ours = load_sae(tmp_path)
    assert ours.W_enc.dtype == ours.b_enc.dtype == torch.float32
    theirs: Any = SAE.load_from_disk(tmp_path, dtype="float32")
    x = torch.randn(50, D_IN)
    with torch.no_grad():
        acts = ours.encode(x)
        torch.testing.assert_close(acts, theirs.encode(x))
        torch.testing.assert_close(ours.decode(acts), theirs.decode(acts))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_step_in_bfloat16_is_finite(architecture: Architecture) -> None:
    from sae_lens.saes.sae import TrainStepInput

    sae = some_sae(architecture, dtype="bfloat16", pre_act_loss_coefficient=1e-3)
    output = sae.training_forward_pass(
        TrainStepInput(
            sae_in=torch.randn(32, D_IN, dtype=torch.bfloat16),
            coefficients={"l0": 1.0, "l1": 1.0},
            dead_neuron_mask=torch.arange(D_SAE) < 5,
            n_training_steps=0,
            is_logging_step=False,
        )
    )
    output.loss.backward()
    assert output.loss.isfinite()
    assert all(p.grad.isfinite().all() for p in sae.parameters() if p.grad is not None)
