"""Two SAEs' features, matched: dictionaries made by hand, and all cosines at once."""

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.builders import write_sae
from tinysae.features import matching
from tinysae.features.firing_together import FiringTogether, firing_together
from tinysae.features.matching import BOTH, NEAR, match
from tinysae.model.sources import LoadedModel
from tinysae.sae.load import load_sae

Floats = NDArray[np.float32]


def directions(n: int, d: int, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).standard_normal((n, d)).astype(np.float32)


def orthogonal(n: int) -> Floats:
    q, _ = np.linalg.qr(directions(n, n).astype(np.float64))
    return q.astype(np.float32)


def test_a_permuted_dictionary_is_found_whole():
    one = directions(200, 64)
    order = np.random.default_rng(1).permutation(200)
    # How long a direction is says nothing.
    other = one[order] * np.linspace(0.1, 9, 200, dtype=np.float32)[:, None]
    found = match(one, other)
    assert found.agreement == 1.0
    assert found.n_both == 200
    assert (order[found.sides[0].nearest] == np.arange(200)).all()
    assert found.mean_max_cosine == pytest.approx(1.0, abs=1e-5)


def test_what_is_split_what_lies_near_and_what_is_alone_are_told_apart():
    e = orthogonal(12)
    one = np.stack([e[0], e[1] + e[2], e[3], e[5]])
    near = 0.6 * e[3] + 0.8 * e[4]
    other = np.stack([e[1], e[0], e[2], near, e[7]])
    side, reverse = match(one, other).sides
    fates = [matching.FATES[fate] for fate in side.fates()]
    # The sum of two lies at 0.71 from both: the nearest of them is also its own.
    assert fates[0] == "both"
    assert fates[2:] == ["near", "only"]
    assert {near.feature for near in side.near[1]} == {0, 2}
    assert side.near[1][0].cosine == pytest.approx(2**-0.5, abs=1e-5)
    assert reverse.counts()["only"] == 1
    assert reverse.of_fate("only").tolist() == [4]


def test_a_feature_in_three_parts_is_split_and_found_by_nobody():
    e = orthogonal(8)
    one, other = (e[0] + e[1] + e[2])[None], e[:3]
    side, reverse = match(one, other).sides
    assert side.counts() == {"both": 0, "split": 1, "near": 0, "only": 0}
    # Each of the parts lies at 1/sqrt(3) from it alone.
    assert reverse.counts() == {"both": 0, "split": 0, "near": 3, "only": 0}
    assert NEAR < 3**-0.5 < BOTH


def test_it_is_what_all_cosines_at_once_say(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(matching, "ROWS", 7)
    one, other = directions(60, 6, seed=2), directions(45, 6, seed=3)
    heard: list[float] = []
    found = match(one, other, heard.append)
    wide = [m.astype(np.float64) for m in (one, other)]
    unit = [m / np.linalg.norm(m, axis=1, keepdims=True) for m in wide]
    cosines = unit[0] @ unit[1].T
    for side, all_, back in zip(
        found.sides, (cosines, cosines.T), (cosines.T, cosines), strict=True
    ):
        assert (side.nearest == all_.argmax(1)).all()
        assert side.cosine == pytest.approx(all_.max(1), abs=1e-5)
        mutual = back.argmax(1)[all_.argmax(1)] == np.arange(len(all_))
        assert (side.is_mutual == mutual).all()
        for n, row in enumerate(all_):
            wanted = [k for k in np.argsort(-row) if row[k] >= NEAR]
            kept = [near.feature for near in side.near.get(n, ())]
            assert kept == wanted[: matching.MOST_NEAR]
    assert heard == sorted(heard)
    assert heard[-1] == 1.0


def test_random_directions_are_found_by_neither():
    found = match(directions(500, 256, seed=4), directions(500, 256, seed=5))
    assert found.agreement == 0.0
    assert found.sides[0].counts()["only"] == 500


def test_a_direction_of_zeros_lies_near_to_none():
    one = np.stack([np.zeros(4), np.eye(4)[0]]).astype(np.float32)
    assert match(one, one).sides[0].counts() == {
        "both": 1,
        "split": 0,
        "near": 0,
        "only": 1,
    }


def test_directions_of_two_spaces_are_refused():
    with pytest.raises(ValueError, match="two spaces"):
        match(directions(3, 4), directions(3, 5))


def test_phi_is_pearsons_correlation():
    rng = np.random.default_rng(6)
    fires = rng.random((2, 5, 400)) < 0.3
    fires[1, 0], fires[1, 1], fires[0, 2] = fires[0, 0], ~fires[0, 1], False
    counts = FiringTogether(
        fires[0].sum(1), fires[1].sum(1), (fires[0] & fires[1]).sum(1), 400
    )
    phi = counts.phi()
    assert phi[0] == pytest.approx(1)
    assert phi[1] == pytest.approx(-1)
    assert np.isnan(phi[2])
    for n in (3, 4):
        wanted = np.corrcoef(fires[0, n].astype(float), fires[1, n].astype(float))
        assert phi[n] == pytest.approx(wanted[0, 1])


def test_an_sae_fires_together_with_itself(
    tiny_model: LoadedModel, tmp_path, monkeypatch: pytest.MonkeyPatch
):
    sae = load_sae(write_sae(tmp_path))
    rng = np.random.default_rng(7)
    chunks = list(rng.integers(0, tiny_model.d_vocab, (12, 16), dtype=np.int32))
    for chunk in chunks:
        chunk[0] = tiny_model.bos_id
    pairs = np.array([[1, 1], [0, 0], [1, 0]])
    # However many contexts at once.
    whole = firing_together((sae, sae), tiny_model, chunks, pairs)
    monkeypatch.setattr("tinysae.features.firing_together.AT_ONCE", 1)
    each = firing_together((sae, sae), tiny_model, chunks, pairs)
    assert each.n_both.tolist() == whole.n_both.tolist()
    assert each.n_tokens == sum((c != tiny_model.bos_id).sum() for c in chunks)
    # Feature 1 often fires, 0 never does.
    assert whole.n_one[0] == whole.n_other[0] == whole.n_both[0] > 0
    assert whole.n_both[1:].tolist() == [0, 0]
