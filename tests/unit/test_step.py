"""The sparse step, against SAELens and its autograd."""

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from sae_lens import registry
from sae_lens.config import LoggingConfig, SAETrainerConfig
from sae_lens.saes.sae import TrainStepInput
from sae_lens.training.sae_trainer import SAETrainer

from tinysae.sae.step import sparse, workers
from tinysae.sae.step import topk as topk_module
from tinysae.sae.step.engine import SPARSE, EngineChoice, make_step

# A trainer that was copied has this to say.
pytestmark = pytest.mark.filterwarnings("ignore:Seems like `optimizer.step")


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


ARCHITECTURES: dict[str, tuple[str, dict[str, Any]]] = {
    "standard": ("standard", {"l1_coefficient": 0.7}),
    "standard, b_dec not taken": (
        "standard",
        {"l1_coefficient": 0.7, "apply_b_dec_to_input": False},
    ),
    "topk": ("topk", {"k": 5}),
    "topk, norms not counted": (
        "topk",
        {"k": 5, "rescale_acts_by_decoder_norm": False},
    ),
    "batchtopk": ("batchtopk", {"k": 2.5}),
    "matryoshka": (
        "matryoshka_batchtopk",
        {"k": 2.5, "matryoshka_widths": [8, 50, 96]},
    ),
    "matryoshka, by level": (
        "matryoshka_batchtopk",
        {"k": 3, "matryoshka_widths": [8, 50, 96], "use_matryoshka_aux_loss": True},
    ),
    "gated": ("gated", {"l1_coefficient": 0.7}),
    **{
        f"jumprelu, {mode}, {to_input}": (
            "jumprelu",
            {
                "jumprelu_sparsity_loss_mode": mode,
                "jumprelu_ste_to_input": to_input,
                "jumprelu_init_threshold": 0.4,
                "jumprelu_bandwidth": 0.6,
                "l0_coefficient": 0.05,
                "pre_act_loss_coefficient": 0.02,
                "target_l0": 5.0,
            },
        )
        for mode in ("step", "tanh", "quadratic")
        for to_input in (False, True)
    },
}
EVERY = pytest.mark.parametrize("name", ARCHITECTURES)
D_IN, D_SAE = 24, 96


def trainer_of(name: str, lr: float = 1e-3, **more: Any) -> Any:
    """SAELens's trainer with some dead features and biases that are not zero."""
    architecture, settings = ARCHITECTURES[name]
    sae_class, config_class = registry.get_sae_training_class(architecture)
    torch.manual_seed(0)
    settings = {"d_in": D_IN, "d_sae": D_SAE, **settings, **more}
    sae = sae_class(config_class(**settings))
    for parameter in sae.parameters():
        if parameter.ndim == 1:
            parameter.data += 0.1 * torch.randn_like(parameter)
    sae.W_dec.data *= 0.5 + torch.rand(sae.cfg.d_sae, 1)
    trainer = SAETrainer(
        SAETrainerConfig(
            total_training_samples=10**6,
            train_batch_size_samples=128,
            lr=lr,
            lr_end=lr / 10,
            lr_scheduler_name="constant",
            lr_warm_up_steps=5,
            lr_decay_steps=50,
            n_restart_cycles=1,
            adam_beta1=0.9,
            adam_beta2=0.999,
            dead_feature_window=3,
            feature_sampling_window=2000,
            device="cpu",
            autocast=False,
            n_checkpoints=0,
            checkpoint_path=None,
            save_final_checkpoint=False,
            logger=LoggingConfig(log_to_wandb=False),
        ),
        sae,
        iter(()),
    )
    trainer.n_forward_passes_since_fired[::4] = 10
    return trainer


def batch_of(seed: int = 0, n: int = 128, d_in: int = D_IN) -> torch.Tensor:
    draw = torch.Generator().manual_seed(seed)
    codes = torch.rand(n, 60, generator=draw) * (
        torch.rand(n, 60, generator=draw) < 0.1
    )
    directions = torch.randn(60, d_in, generator=torch.Generator().manual_seed(99))
    return codes @ directions + 0.1 * torch.randn(n, d_in, generator=draw)


def step_on(trainer: Any) -> Any:
    return make_step(trainer, EngineChoice(SPARSE, "", "numpy"))


def copied(trainer: Any) -> Any:
    trainer.data_provider = None
    return copy.deepcopy(trainer)


def gradients(step: Any) -> dict[str, torch.Tensor]:
    found = {name: torch.from_numpy(g) for name, g in step._g.items()}
    return {**found, "W_enc": found["W_enc"].T}


def exact_gradients(trainer: Any, x: torch.Tensor, dtype: torch.dtype) -> Any:
    """SAELens's output and its autograd's gradients, from the weights as they are."""
    sae = copy.deepcopy(trainer.sae)
    for parameter in sae.parameters():
        parameter.data = parameter.data.to(dtype)
    sae.dtype = dtype
    output = sae.training_forward_pass(
        TrainStepInput(
            sae_in=x.to(dtype),
            coefficients=trainer.get_coefficients(),
            dead_neuron_mask=trainer.dead_neurons,
            n_training_steps=0,
            is_logging_step=False,
        )
    )
    output.loss.backward()
    return output, {name: p.grad for name, p in sae.named_parameters()}


@EVERY
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gradients_are_those_of_saelens(name: str, dtype: torch.dtype) -> None:
    check_gradients(trainer_of(name), dtype)


@pytest.mark.parametrize(
    "name", [n for n in ARCHITECTURES if "topk" in n or "mat" in n]
)
@pytest.mark.parametrize(("every", "most_dense"), [(4, 0), (16, 16)])
def test_dead_features_are_helped_in_every_way_of_computing_it(
    name: str,
    every: int,
    most_dense: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(topk_module, "_DENSE_REVIVAL", most_dense)
    trainer = trainer_of(name)
    trainer.n_forward_passes_since_fired[:] = 0
    trainer.n_forward_passes_since_fired[::every] = 10
    # Above, 24 dead features are more than the 12 that a token keeps; 6 are not.
    check_gradients(trainer, torch.float64)


def check_gradients(trainer: Any, dtype: torch.dtype) -> None:
    x = batch_of()
    output, exact = exact_gradients(trainer, x, dtype)
    step = step_on(trainer)
    found = step.step(x)
    # Ties aside: where rounding decides what is active, gradients differ by a token's.
    assert found.l0() == pytest.approx(
        (output.feature_acts != 0).sum(-1).double().mean().item(), rel=1e-12
    )
    assert found.losses.keys() == output.losses.keys()
    for loss, value in output.losses.items():
        assert found.losses[loss] == pytest.approx(value.item(), rel=1e-5), loss
    for parameter, gradient in gradients(step).items():
        error = (gradient - exact[parameter]).norm() / exact[parameter].norm()
        assert error < 1e-5, parameter


@EVERY
def test_training_stays_with_saelens(name: str) -> None:
    theirs = trainer_of(name, lr=3e-4)
    ours = copied(theirs)
    step = step_on(ours)
    for i in range(30):
        output, found = theirs.step(batch_of(i)), step.step(batch_of(i))
        for loss, value in output.losses.items():
            assert found.losses[loss] == pytest.approx(value.item(), rel=1e-4, abs=1e-7)
        assert torch.equal(
            theirs.n_forward_passes_since_fired, ours.n_forward_passes_since_fired
        )
    assert torch.equal(theirs.act_freq_scores, ours.act_freq_scores)
    assert theirs.n_frac_active_samples == ours.n_frac_active_samples
    assert theirs.n_training_samples == ours.n_training_samples
    assert theirs.get_coefficients() == ours.get_coefficients()
    rates = [t.optimizer.param_groups[0]["lr"] for t in (theirs, ours)]
    assert rates[0] == rates[1]
    for name_, value in theirs.sae.state_dict().items():
        torch.testing.assert_close(
            ours.sae.state_dict()[name_], value, rtol=1e-3, atol=1e-5
        )
    for a, b in zip(theirs.sae.parameters(), ours.sae.parameters(), strict=True):
        mine, its = ours.optimizer.state[b], theirs.optimizer.state[a]
        assert mine["step"] == its["step"]
        torch.testing.assert_close(
            mine["exp_avg_sq"], its["exp_avg_sq"], rtol=1e-3, atol=1e-6
        )


@EVERY
def test_the_number_of_threads_changes_no_bit(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As large batches are: all threads take part.
    monkeypatch.setattr(sparse, "LEAST_SUM", 0)
    # SAELens's dense steps do depend on it.
    results = []
    # Several blocks, and fewer features in the last than there are threads. What is
    # fed to them is made by torch, whose bits do depend on the threads.
    before, batches = (
        trainer_of(name, **wide(name)),
        [batch_of(i, 300) for i in range(4)],
    )
    for n_threads in (1, 2, 5):
        torch.set_num_threads(n_threads)
        trainer = copied(before)
        step = step_on(trainer)
        losses = [step.step(batch).loss for batch in batches]
        assert torch.get_num_threads() == n_threads
        results.append((losses, trainer.sae.state_dict()))
    for losses, weights in results[1:]:
        assert losses == results[0][0]
        assert all(torch.equal(weights[n], w) for n, w in results[0][1].items())


def wide(name: str) -> dict[str, Any]:
    d_sae = 2 * workers.FEATURES + 3
    more: dict[str, Any] = {"d_sae": d_sae}
    if "matryoshka" in name:
        more["matryoshka_widths"] = [8, 700, d_sae]
    return more


@pytest.mark.parametrize("name", ["standard", "topk", "batchtopk", "gated"])
def test_fewer_features_than_threads_will_do(name: str) -> None:
    torch.set_num_threads(4)
    more = {"k": 1} if "topk" in name else {}
    trainer = trainer_of(name, d_sae=3, **more)
    theirs = copied(trainer)
    found = step_on(trainer).step(batch_of(n=5))
    assert found.loss == pytest.approx(theirs.step(batch_of(n=5)).loss.item(), rel=1e-5)


@EVERY
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("where", ["x", "W_enc", "W_dec"])
def test_what_is_no_number_ends_as_a_loss_that_is_none(
    name: str, bad: float, where: str
) -> None:
    trainer, x = trainer_of(name), batch_of()
    if where == "x":
        x[7, 3] = bad
    else:
        weights = getattr(trainer.sae, where).data
        weights[(slice(None), 5) if where == "W_enc" else (5, slice(None))] = bad
    theirs = copied(trainer).step(x).loss.item()
    found = step_on(trainer).step(x)
    if np.isfinite(theirs):
        # A feature that no token has, in SAELens's eyes as in ours.
        assert found.loss == pytest.approx(theirs, rel=1e-5)
    else:
        assert not np.isfinite(found.loss)


def test_a_loss_that_is_no_number_leaves_the_weights_alone() -> None:
    trainer = trainer_of("standard")
    before = copied(trainer).sae.state_dict()
    assert np.isnan(step_on(trainer).step(batch_of() * np.nan).loss)
    assert all(torch.equal(trainer.sae.state_dict()[n], w) for n, w in before.items())


@EVERY
def test_any_layout_of_the_batch_will_do(name: str) -> None:
    x = batch_of()
    plain, odd = trainer_of(name), trainer_of(name)
    strided = torch.cat([x, x], dim=1).T.contiguous().T[:, :D_IN]
    assert not strided.is_contiguous()
    expected = step_on(plain).step(x).loss
    assert step_on(odd).step(strided).loss == expected


@pytest.mark.parametrize(
    "name", ["standard", "topk", "batchtopk", "jumprelu, step, False"]
)
def test_features_that_never_fire_and_tokens_without_any(name: str) -> None:
    trainer, x = trainer_of(name), batch_of()
    trainer.sae.b_enc.data[:] = -3.0
    trainer.sae.b_enc.data[:4] = 0.0
    x[5:9] = trainer.sae.b_dec.data
    output, exact = exact_gradients(trainer, x, torch.float64)
    step = step_on(trainer)
    found = step.step(x)
    assert found.loss == pytest.approx(output.loss.item(), rel=1e-5)
    for parameter, gradient in gradients(step).items():
        error = (gradient - exact[parameter]).norm()
        assert error <= 1e-5 * exact[parameter].norm(), parameter


@pytest.mark.parametrize("l0", [0, 1, 10, 48, 96])
def test_every_density_gives_the_same_numbers(l0: int) -> None:
    trainer, x = trainer_of("standard"), batch_of()
    pre = ((x - trainer.sae.b_dec) @ trainer.sae.W_enc).detach()
    trainer.sae.b_enc.data[:] = -pre.flatten().quantile(1 - l0 / 96) + (l0 == 96)
    if not l0:
        trainer.sae.b_enc.data[:] = -100
    theirs = copied(trainer)
    found, output = step_on(trainer).step(x), theirs.step(x)
    assert found.l0() == pytest.approx(l0, abs=2)
    assert found.loss == pytest.approx(output.loss.item(), rel=1e-5)
    for a, b in zip(theirs.sae.parameters(), trainer.sae.parameters(), strict=True):
        torch.testing.assert_close(b, a, rtol=1e-4, atol=1e-5)
