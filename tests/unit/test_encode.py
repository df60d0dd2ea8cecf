"""Pairs of every architecture against the dense definition, in float64."""

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch

from tinysae.sae import encode
from tinysae.sae.encode import Encoder, encoder_of
from tinysae.sae.load import SAE, Magnitude
from tinysae.sae.step.pairs import Pairs

N, D_IN, D_SAE = 300, 24, 90


def sae_of(architecture: str, *, b_dec: bool = False, rescale: bool = False) -> SAE:
    made = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=made)

    settings: dict[str, Any] = {"threshold": None, "k": None, "magnitude": None}
    if architecture == "jumprelu":
        # Some below 0, which the ReLU then is above.
        settings["threshold"] = 3 * normal(D_SAE)
    if architecture == "topk":
        settings["k"] = 7
    if architecture == "gated":
        settings["magnitude"] = Magnitude(0.3 * normal(D_SAE), 2 * normal(D_SAE))
    return SAE(
        architecture=architecture,  # type: ignore[arg-type]
        hook_name="hook",
        model_name="model",
        context_size=None,
        W_enc=normal(D_IN, D_SAE),
        b_enc=normal(D_SAE) - 3,
        W_dec=normal(D_SAE, D_IN),
        b_dec=normal(D_IN),
        apply_b_dec_to_input=b_dec,
        rescale_acts_by_decoder_norm=rescale,
        fingerprint="",
        **settings,
    )


def inputs() -> np.ndarray:
    made = torch.Generator().manual_seed(1)
    return torch.randn(N, D_IN, generator=made).numpy()


def dense(pairs: Pairs) -> np.ndarray:
    acts = np.zeros((N, D_SAE))
    feature = np.repeat(np.arange(D_SAE), np.diff(pairs.first))
    acts[pairs.token, feature] = pairs.value
    return acts


def active_pairs(sae: SAE, x: np.ndarray) -> Pairs:
    """The active (feature, token) pairs of activations `x` [tokens, d_in], feature by
    feature."""
    with Encoder(sae) as encoder:
        pieces = encoder.pairs(x)
    owners = [np.repeat(np.arange(p.begin, p.end), p.counts) for p in pieces]
    feature = np.concatenate(owners)
    # Stable: a feature's tokens stay in their order.
    order = np.argsort(feature, kind="stable")
    first = np.zeros(sae.d_sae + 1, np.int64)
    np.cumsum(np.bincount(feature, minlength=sae.d_sae), out=first[1:])
    token = np.concatenate([p.token for p in pieces])[order]
    return Pairs(0, first, token, np.concatenate([p.value for p in pieces])[order])


@pytest.mark.parametrize("shared", [{}, {"b_dec": True}, {"rescale": True}])
@pytest.mark.parametrize("architecture", ["standard", "jumprelu", "topk", "gated"])
def test_pairs_are_the_dense_activations(
    architecture: str,
    shared: dict[str, bool],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(encode, "FEATURES", 32)
    monkeypatch.setattr(encode, "TOKENS", 128)
    sae, x = sae_of(architecture, **shared), inputs()
    pairs = active_pairs(sae, x)
    tensors = {
        field.name: getattr(sae, field.name).double()
        for field in dataclasses.fields(sae)
        if isinstance(getattr(sae, field.name), torch.Tensor)
    }
    if sae.magnitude is not None:
        tensors["magnitude"] = Magnitude(*(t.double() for t in sae.magnitude))
    exact = dataclasses.replace(sae, **tensors)
    acts = exact.encode(torch.from_numpy(x).double()).numpy()
    # Nothing in this batch is within rounding of its threshold.
    assert ((dense(pairs) > 0) == (acts > 0)).all()
    np.testing.assert_allclose(dense(pairs), acts, rtol=1e-5, atol=1e-5)
    for j in range(D_SAE):
        own = pairs.token[pairs.first[j] : pairs.first[j + 1]]
        assert (np.diff(own) > 0).all()
    assert 0.01 < (acts > 0).mean() < 0.5


class Halved(SAE):
    """One that encodes in a way of its own."""

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        return super().encode(x) / 2


def test_an_architecture_that_only_its_definition_encodes_has_pairs_and_stays_whole():
    known, x = sae_of("jumprelu"), inputs()
    unknown: Any = "halved"
    own = Halved(**{**vars(known), "architecture": unknown})
    with encoder_of(own, torch.device("cpu")) as encoder:
        (pairs,) = encoder.pairs(x)
    np.testing.assert_array_equal(dense(pairs), own.encode(torch.from_numpy(x)))
    assert type(encoder_of(known, torch.device("cpu"))) is Encoder
    assert own.only([3, 1]) == (own, [3, 1])


@pytest.mark.parametrize("architecture", ["standard", "jumprelu", "topk", "gated"])
def test_a_few_features_alone_are_as_active_as_among_all(architecture: str) -> None:
    sae, x = sae_of(architecture, b_dec=True, rescale=True), torch.from_numpy(inputs())
    few, at = sae.only([7, 2])
    assert few.d_sae == (sae.d_sae if architecture == "topk" else 2)
    torch.testing.assert_close(few.encode(x)[:, list(at)], sae.encode(x)[:, [7, 2]])


@pytest.mark.parametrize("architecture", ["standard", "jumprelu", "topk", "gated"])
def test_what_is_no_number_is_seen(architecture: str) -> None:
    x = inputs()
    x[5, 3] = np.nan
    pairs = active_pairs(sae_of(architecture), x)
    assert np.isnan(pairs.value[pairs.token == 5]).any()
    assert np.isfinite(pairs.value[pairs.token != 5]).all()


def test_threads_leave_no_trace() -> None:
    sae, x = sae_of("standard"), inputs()
    before = torch.get_num_threads()
    found: list[list[Pairs]] = []
    try:
        for n in (1, 3):
            torch.set_num_threads(n)
            with Encoder(sae) as encoder:
                found.append(encoder.pairs(x, token=1000))
    finally:
        torch.set_num_threads(before)
    for one, other in zip(*found, strict=True):
        assert one.token.tobytes() == other.token.tobytes()
        assert one.value.tobytes() == other.value.tobytes()
    assert min(piece.token.min() for piece in found[0] if len(piece.token)) >= 1000
