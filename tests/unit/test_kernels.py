"""The compiled loops of the sparse step, against float64."""

from typing import NamedTuple

import numpy as np
import pytest
import torch

from tinysae.sae.step.kernels import finding, sums
from tinysae.sae.step.kernels.adam import adam

# A trainer that was copied has this to say.
pytestmark = pytest.mark.filterwarnings("ignore:Seems like `optimizer.step")
# Relative to the largest entry: float32 sums against float64 ones.
ROUNDING = 1e-5

# Tokens, features, d_in: below, at and across the vector width; one of each; none.
SHAPES = [(1, 1, 1), (63, 7, 5), (64, 3, 16), (65, 9, 17), (200, 40, 33), (5, 130, 64)]
DENSITIES = [0.0, 0.02, 0.3, 1.0]


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
    half = n // 2
    sums.decode(first, token, value, w, out, 0, half)
    sums.decode(first, token, value, w, out, half, n)
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
    sums.decode(first[4:10], token, value, w[part], out, 0, 50)
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
