"""Indexes of next to nothing are read like any other: safetensors refuses to be asked
for an empty slice at a tensor's end."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.builders import token_chunks, write_model, write_sae
from tinysae.errors import DamagedError
from tinysae.features.index.build import build_index
from tinysae.features.index.history import keep_moment, watched
from tinysae.features.index.reader import FeatureIndex
from tinysae.features.names.showcase import is_recognised, whole_words
from tinysae.model.sources import LoadedModel, load_model
from tinysae.sae.load import SAE, load_sae

CONTEXT_SIZE = 16


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    return load_model(str(write_model(tmp_path_factory.mktemp("model"))))


def sae_in(folder: Path, d_sae: int = 40, **changes: torch.Tensor) -> SAE:
    return dataclasses.replace(load_sae(write_sae(folder, d_sae=d_sae)), **changes)


def everything_read(index: FeatureIndex, history: Path) -> None:
    """All that pages ask of an index: nothing of it is called damaged."""
    info = index.info
    assert len(index.table()) == len(index.layout()) == info.d_sae
    records = [index.feature(feature) for feature in range(info.d_sae)]
    for feature, record in enumerate(records):
        assert record.feature == feature
        assert record.is_dead == (not record.contexts)
    for token in (0, info.d_vocab - 1):
        index.firing_on(token)
        assert index.raised_by(token)
        assert index.lowered_by(token, "folded" if info.has_folded else "raw")
    keep_moment(history, 1, index)
    _, moments = watched(history, info.d_vocab - 1, info.d_vocab)
    assert moments or not index.firing_on(info.d_vocab - 1)
    words = whole_words(records)
    assert all(is_recognised(record, words) in (True, False) for record in records)


@pytest.mark.parametrize(
    "dead", [[39], [38, 39], list(range(40))], ids=["last", "last two", "all"]
)
def test_features_that_never_fire_are_no_damage_wherever_they_are(
    model: LoadedModel, tmp_path: Path, dead: list[int]
) -> None:
    sae = sae_in(tmp_path / "sae")
    b_enc = sae.b_enc.clone()
    b_enc[dead] = -1e6
    sae = dataclasses.replace(sae, b_enc=b_enc)
    chunks = list(token_chunks(model, 60))
    index = build_index(sae, model, chunks, tmp_path / "x", n_tokens=960, layout="pca")
    everything_read(index, tmp_path / "history")
    assert {f for f in range(40) if index.feature(f).is_dead} >= set(dead)


@pytest.mark.parametrize("d_sae", [1, 2, 3])
@pytest.mark.parametrize("bias", [-1e6, 1e3], ids=["dead", "always on"])
def test_an_sae_of_a_few_features_has_an_index(
    model: LoadedModel, tmp_path: Path, d_sae: int, bias: float
) -> None:
    sae = sae_in(tmp_path / "sae", d_sae, b_enc=torch.full((d_sae,), bias))
    chunks = list(token_chunks(model, 6))
    index = build_index(sae, model, chunks, tmp_path / "x", n_tokens=96)
    everything_read(index, tmp_path / "history")


def test_a_single_token_is_a_text(model: LoadedModel, tmp_path: Path) -> None:
    sae = sae_in(tmp_path / "sae")
    chunks = [np.array([model.bos_id, model.d_vocab - 1], np.int32)]
    index = build_index(sae, model, chunks, tmp_path / "x", n_tokens=1)
    assert index.info.n_tokens == 1
    everything_read(index, tmp_path / "history")
    assert index.firing_on(model.d_vocab - 1)


def test_contexts_that_end_before_they_begin_are_damage(
    model: LoadedModel, tmp_path: Path
) -> None:
    from safetensors.numpy import load_file, save_file

    sae = sae_in(tmp_path / "sae")
    chunks = list(token_chunks(model, 6))
    index = build_index(sae, model, chunks, tmp_path / "x", n_tokens=96)
    path = tmp_path / "x" / "contexts.safetensors"
    arrays = load_file(path)
    arrays["offset"] = arrays["offset"][::-1].copy()
    save_file(arrays, path)
    index = FeatureIndex(tmp_path / "x", index.info)
    for feature in (1, 20, 39):
        with pytest.raises(DamagedError, match=r"contexts\.safetensors"):
            index.feature(feature)
