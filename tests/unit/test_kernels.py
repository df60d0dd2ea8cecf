"""The sparse step and its compiled loops, against float64 and SAELens."""

import copy
import subprocess
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from sae_lens import registry
from sae_lens.config import LoggingConfig, SAETrainerConfig
from sae_lens.saes.sae import TrainStepInput
from sae_lens.training.sae_trainer import SAETrainer

from tinysae.config import TrainConfig
from tinysae.model import blas
from tinysae.model.sources import LoadedModel
from tinysae.sae.step import topk as topk_module
from tinysae.sae.step import workers
from tinysae.sae.step.engine import (
    DENSE,
    SPARSE,
    EngineChoice,
    choose_engine,
    make_step,
    numba_problem,
)
from tinysae.sae.step.kernels import finding, sums, trial
from tinysae.sae.step.kernels.adam import adam
from tinysae.sae.train import SAETraining

# A trainer that was copied has this to say.
pytestmark = pytest.mark.filterwarnings("ignore:Seems like `optimizer.step")
# Relative to the largest entry: float32 sums against float64 ones.
ROUNDING = 1e-5

# Tokens, features, d_in: below, at and across the vector width; one of each; none.
SHAPES = [(1, 1, 1), (63, 7, 5), (64, 3, 16), (65, 9, 17), (200, 40, 33), (5, 130, 64)]
DENSITIES = [0.0, 0.02, 0.3, 1.0]


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Case(NamedTuple):
    """Activations [features, tokens], zero where there is no pair, and their pairs."""

    acts: np.ndarray
    first: np.ndarray
    token: np.ndarray
    value: np.ndarray


def case_of(n: int, n_features: int, density: float, seed: int = 0) -> Case:
    rng = np.random.default_rng(seed)
    acts = rng.standard_normal((n_features, n), dtype=np.float32)
    acts *= rng.random((n_features, n)) < density
    feature, token = np.nonzero(acts)
    first = np.searchsorted(feature, np.arange(n_features + 1)).astype(np.int64)
    return Case(acts, first, token.astype(np.int32), acts[feature, token])


def normal(*shape: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


def assert_close(found: np.ndarray, exact: np.ndarray) -> None:
    scale = np.abs(exact).max(initial=1e-30)
    np.testing.assert_allclose(found, exact, rtol=0, atol=ROUNDING * scale)


@pytest.mark.parametrize(("n", "n_features", "d_in"), SHAPES)
@pytest.mark.parametrize("density", DENSITIES)
def test_sums_over_pairs_are_dense_products(
    n: int, n_features: int, d_in: int, density: float
) -> None:
    acts, first, token, value = case_of(n, n_features, density)
    x, w = normal(n, d_in), normal(n_features, d_in, seed=2)
    per_row = normal(n_features, seed=3)
    exact, wide = acts.astype(np.float64), w.astype(np.float64)

    out = x.copy()
    half = d_in // 2
    sums.decode(first, token, value, w, out, 0, half)
    sums.decode(first, token, value, w, out, half, d_in)
    assert_close(out, x + exact.T @ wide)

    pulled, gradient = np.full_like(value, np.nan), np.full_like(w, np.nan)
    sums.pull(first, token, value, x, w, per_row, pulled, gradient)
    feature = np.repeat(np.arange(n_features), np.diff(first))
    assert_close(pulled, (wide @ x.T)[feature, token])
    assert_close(gradient, exact @ x + per_row[:, None] * wide)

    total = np.full(n_features, np.nan, np.float32)
    sums.push(first, token, value, per_row, x, gradient, total)
    lifted = exact + per_row[:, None] * (acts != 0)
    assert_close(gradient, lifted @ x)
    assert_close(total, lifted.sum(1))

    sums.row_sums(first, value, total)
    assert_close(total, exact.sum(1))
    sums.row_squares(w, total)
    assert_close(total, (wide**2).sum(1))


def test_pairs_may_begin_in_the_middle_of_their_arrays() -> None:
    acts, first, token, value = case_of(50, 12, 0.3)
    x, w = normal(50, 8), normal(12, 8, seed=2)
    zero, part = np.zeros(5, np.float32), slice(4, 9)
    out = np.zeros_like(x)
    sums.decode(first[4:10], token, value, w[part], out, 0, 8)
    assert_close(out, acts[part].T @ w[part])
    pulled, gradient = np.full_like(value, np.nan), np.empty((5, 8), np.float32)
    sums.pull(first[4:10], token, value, x, w[part], zero, pulled, gradient)
    assert np.isnan(pulled).sum() == len(value) - (first[9] - first[4])
    sums.push(first[4:10], token, value, zero, x, gradient, zero.copy())
    assert_close(gradient, acts[part] @ x)


@pytest.mark.parametrize(("n", "n_features", "d_in"), SHAPES)
@pytest.mark.parametrize("floor", [-np.inf, -0.5, 0.0, 1.0, 9.0])
def test_compression_keeps_what_is_above_the_floor(
    n: int, n_features: int, d_in: int, floor: float
) -> None:
    product, bias = normal(n_features, n), normal(n_features, seed=d_in)
    scale = np.abs(normal(n_features, seed=4)) + np.float32(0.1)
    values = (product + bias[:, None]) * scale[:, None]
    floors = np.full(n_features, floor, np.float32)
    token, value = (
        np.empty(2 * product.size, np.int32),
        np.empty(2 * product.size, "f4"),
    )
    first = np.empty(n_features + 1, np.int64)
    done = finding.compress(product, bias, scale, floors, token, value, first)
    assert done == n_features
    feature, tokens = np.nonzero(values > floor)
    assert np.array_equal(np.repeat(np.arange(n_features), np.diff(first)), feature)
    assert np.array_equal(token[: first[-1]], tokens)
    assert np.array_equal(value[: first[-1]], values[feature, tokens])


def test_a_nan_is_no_zero() -> None:
    product = np.full((2, 70), -1, np.float32)
    product[0, 3], product[1, 69] = np.nan, -np.float32(np.nan)
    zero, one = np.zeros(2, np.float32), np.ones(2, np.float32)
    token, value = np.empty(200, np.int32), np.empty(200, np.float32)
    first = np.empty(3, np.int64)
    finding.compress(product, zero, one, zero, token, value, first)
    assert list(first) == [0, 1, 2]
    assert list(token[:2]) == [3, 69]
    assert np.isnan(value[:2]).all()
    assert np.isnan(finding.kth_largest(np.array([1, np.nan, 2], "f4"), 1)[0])


def test_compression_says_when_the_room_might_not_do() -> None:
    product = np.ones((5, 64), np.float32)
    zero, one = np.zeros(5, np.float32), np.ones(5, np.float32)
    token, value = np.empty(200, np.int32), np.empty(200, np.float32)
    assert (
        finding.compress(product, zero, one, zero, token, value, np.empty(6, int)) < 5
    )


@pytest.mark.parametrize(("n", "n_features", "d_in"), SHAPES)
@pytest.mark.parametrize("bottom", [0.0, -np.inf])
@pytest.mark.parametrize("most", [1, 3, 1000])
def test_topk_is_torch_topk(
    n: int, n_features: int, d_in: int, bottom: float, most: int
) -> None:
    most = min(most, n_features)
    product, bias = normal(n, n_features, seed=d_in), normal(n_features, seed=2)
    scale = np.abs(normal(n_features, seed=4))
    feature, value = np.empty((n, most), np.int32), np.empty((n, most), np.float32)
    count = np.empty(n, np.int64)
    finding.topk_rows(product, bias, scale, most, bottom, feature, value, count)
    dense = np.full((n, n_features), -np.inf, np.float32)
    for t in range(n):
        dense[t, feature[t, : count[t]]] = value[t, : count[t]]
    values = torch.from_numpy((product + bias) * scale)
    top = values.topk(most, dim=1)
    exact = torch.full_like(values, -torch.inf).scatter(1, top.indices, top.values)
    exact[exact <= bottom] = -torch.inf
    assert np.array_equal(dense, exact.numpy())

    first = np.zeros(n_features + 1, np.int64)
    token, values_of = np.empty(count.sum(), np.int32), np.empty(count.sum(), "f4")
    finding.to_columns(feature, value, count, first, token, values_of)
    owner = np.repeat(np.arange(n_features), np.diff(first))
    expected = np.nonzero(np.isfinite(dense.T))
    assert np.array_equal(owner, expected[0])
    assert np.array_equal(token, expected[1])
    assert np.array_equal(values_of, dense.T[expected])


def test_of_equal_values_the_lowest_features_stay() -> None:
    product = np.array([[1, 5, 2, 2, 2, 0], [2, 2, 2, 2, 2, 2]], np.float32)
    zero, one = np.zeros(6, np.float32), np.ones(6, np.float32)
    feature, value = np.zeros((2, 3), np.int32), np.zeros((2, 3), np.float32)
    count = np.zeros(2, np.int64)
    finding.topk_rows(product, zero, one, 3, 0.0, feature, value, count)
    assert list(count) == [3, 3]
    assert feature.tolist() == [[1, 2, 3], [0, 1, 2]]


@pytest.mark.parametrize("k_kept", [1, 7, 150, 299, 300])
@pytest.mark.parametrize("has_ties", [False, True])
def test_the_largest_of_a_batch_are_kept(k_kept: int, has_ties: bool) -> None:
    acts, first, token, value = case_of(60, 10, 1.0)
    value = np.abs(value[:300])
    token, first = token[:300].copy(), np.minimum(first, 300)
    if has_ties:
        value = np.ceil(value * 4).astype(np.float32)
    kth, ties = finding.kth_largest(value, k_kept)
    ranked = np.sort(value)[::-1]
    assert kth == ranked[k_kept - 1]
    assert ties == (ranked[:k_kept] == kth).sum()
    expected = np.sort(np.argsort(-value, kind="stable")[:k_kept])
    values, tokens = value[expected], token[expected]
    counts = np.diff(np.searchsorted(expected, first))
    n, left = finding.keep_largest(first, token, value, kth, ties)
    assert (n, left) == (k_kept, 0)
    assert np.array_equal(np.diff(first), counts)
    assert np.array_equal(value[:n], values)
    assert np.array_equal(token[:n], tokens)


def test_adam_is_torch_adam_also_without_gradient() -> None:
    weight = torch.nn.Parameter(torch.from_numpy(normal(1000)))
    w, m, v = weight.detach().numpy().copy(), *np.zeros((2, 1000), np.float32)
    optimizer = torch.optim.Adam([weight], lr=0.01, betas=(0.9, 0.999))
    for step in range(1, 8):
        gradient = normal(1000, seed=step) * (step < 4)
        weight.grad = torch.from_numpy(gradient * np.float32(0.5))
        optimizer.step()
        corrections = (0.01 / (1 - 0.9**step), 0.9, 0.999, (1 - 0.999**step) ** -0.5)
        adam(w, m, v, gradient, 0.5, *corrections, 1e-8)
        assert_close(w, weight.detach().numpy())
    assert_close(v, optimizer.state[weight]["exp_avg_sq"].numpy())


# -- whole steps, against SAELens's autograd --

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
    name: str,
) -> None:
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


# -- which engine --


def test_numba_is_the_engine_here() -> None:
    choice = choose_engine(trainer_of("standard"))
    assert choice.name == SPARSE, choice.reason
    assert choice.reason == ""
    assert choice.product in blas.PRODUCTS


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"lp_norm": 0.5}, "lp_norm"),
        ({"dtype": "float64"}, "dtype"),
        ({"normalize_activations": "layer_norm"}, "normalization"),
    ],
)
def test_saelens_trains_what_ours_does_not(more: dict[str, Any], reason: str) -> None:
    trainer = trainer_of("standard", **more)
    theirs = copied(trainer)
    choice = choose_engine(trainer)
    assert choice.name == DENSE
    assert choice.reason == reason
    x = batch_of()
    found, output = make_step(trainer, choice).step(x), theirs.step(x)
    assert found.loss == output.loss.item()


def test_timing_saelens_leaves_the_random_numbers_alone(
    tiny_model: LoadedModel,
) -> None:
    config = TrainConfig(
        hook_name="blocks.0.hook_mlp_out",
        architecture="matryoshka_batchtopk",
        d_sae=64,
        k=4,
        context_size=16,
        train_batch_size_tokens=64,
        training_tokens=640,
        matryoshka_widths="8, 32",
        l1_warm_up_steps=0,
        l0_warm_up_steps=0,
        lr_decay_steps=0,
    )
    training = SAETraining(config, tiny_model)
    state = torch.get_rng_state()
    assert training.dense_step_seconds() > 0
    assert torch.equal(torch.get_rng_state(), state)
    training.close()


@pytest.fixture(params=["missing", "broken"])
def no_compiler(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    if request.param == "missing":
        # What Python does with a module that is None: `import` fails.
        monkeypatch.setitem(sys.modules, trial.__name__, None)
    else:
        monkeypatch.setattr(trial, "try_kernels", lambda: 1 / 0)
    numba_problem.cache_clear()
    yield
    numba_problem.cache_clear()


@pytest.mark.usefixtures("no_compiler")
def test_where_the_compiler_fails_saelens_trains_and_the_run_says_why() -> None:
    choice = choose_engine(trainer_of("standard"))
    assert choice == EngineChoice(DENSE, "numba_fails", "")


def test_a_run_goes_on_with_what_it_began_with(
    caplog: pytest.LogCaptureFixture,
) -> None:
    before = EngineChoice(SPARSE, "", "torch")
    made_with = {"device": "cpu", **before.to_json()}
    assert EngineChoice.from_json(made_with) == before
    assert choose_engine(trainer_of("topk"), before) == before
    dense = EngineChoice(DENSE, "numba_fails", "")
    assert choose_engine(trainer_of("topk"), dense) == dense
    assert not caplog.records
    assert EngineChoice.from_json({"device": "cpu"}) is None
    assert EngineChoice.from_json({**made_with, "encoder_product": 3}) is None


def test_a_step_that_is_no_more_is_replaced_and_the_log_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    before = EngineChoice("sparse (torch)", "no_numba", "torch")
    choice = choose_engine(trainer_of("topk"), before)
    assert choice == EngineChoice(SPARSE, "", "torch")
    assert "sparse (torch)" in caplog.text
    assert SPARSE in caplog.text


@pytest.mark.usefixtures("no_compiler")
def test_a_step_that_fails_by_now_is_replaced_and_the_log_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    before = EngineChoice("sparse (torch)", "no_numba", "torch")
    assert choose_engine(trainer_of("topk"), before).reason == "numba_fails"
    assert DENSE in caplog.text


def test_a_product_that_is_not_there_is_replaced(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert blas.choose_product("magic") in blas.PRODUCTS
    monkeypatch.setitem(blas.PRODUCTS, "onednn", lambda a, b: a @ b.T * 1.001)
    assert not blas.is_right(blas.PRODUCTS["onednn"])
    assert blas.choose_product("onednn") != "onednn"


def test_the_choice_of_the_product_is_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    chosen = blas.choose_product()
    monkeypatch.setattr(blas, "_fastest", lambda: pytest.fail("timed again"))
    assert blas.choose_product() == chosen
    path = tmp_path / "tinysae" / blas.CACHE_NAME
    assert chosen in path.read_text()


@pytest.mark.parametrize("content", ["{", "[]", '{"x": 1}'])
def test_a_damaged_or_unwritable_cache_costs_time_only(
    content: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "tinysae").mkdir()
    (tmp_path / "tinysae" / blas.CACHE_NAME).write_text(content)
    assert blas.choose_product() in blas.PRODUCTS
    # A file where the folder should be: nobody can write there, not even root.
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "tinysae" / blas.CACHE_NAME))
    assert blas.choose_product() in blas.PRODUCTS


def test_kernels_compile_where_no_cache_can_be_kept() -> None:
    program = (
        "from numba.core import caching\n"
        "caching.CacheImpl._locator_classes = []\n"
        "from tinysae.sae.step.engine import numba_problem\n"
        "print(repr(numba_problem()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "''"
