"""The features at one token are those of the whole text's activations there."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch

from tests.builders import write_sae
from tinysae.errors import InputError
from tinysae.features.index.search import active_features
from tinysae.sae.load import SAE, load_sae

if TYPE_CHECKING:
    from tinysae.model.sources import LoadedModel

TEXT = "Once upon a time, there was a red ball."


def sae_of(folder: Path, model: "LoadedModel", **metadata: str) -> SAE:
    hook = "blocks.0.hook_mlp_out"
    own = {"hook_name": hook, "model_name": model.source}
    return load_sae(write_sae(folder, metadata={**own, **metadata}))


@pytest.mark.parametrize("position", [0, 3, -1])
def test_they_are_what_the_bridge_and_the_sae_say(
    tiny_model: "LoadedModel", tmp_path: Path, position: int
) -> None:
    sae = sae_of(tmp_path, tiny_model)
    ids = tiny_model.encode(TEXT)
    position %= len(ids)
    found = active_features(sae, tiny_model, ids, position)
    with torch.no_grad():
        _, cache = tiny_model.bridge.run_with_cache(tiny_model.to_input(ids))
        acts = sae.encode(cache[sae.hook_name])[0, position + 1]
    assert {each.feature for each in found} == set(acts.nonzero().flatten().tolist())
    for each in found:
        assert each.activation == pytest.approx(float(acts[each.feature]), rel=1e-3)
    values = [each.activation for each in found]
    assert values == sorted(values, reverse=True)
    assert found


def test_an_sae_of_another_model_is_refused(
    tiny_model: "LoadedModel", tmp_path: Path
) -> None:
    sae = sae_of(tmp_path, tiny_model, model_name="storybook")
    with pytest.raises(InputError, match="another model"):
        active_features(sae, tiny_model, [5], 0)


def test_an_sae_of_a_hook_that_is_not_there_is_refused(
    tiny_model: "LoadedModel", tmp_path: Path
) -> None:
    sae = sae_of(tmp_path, tiny_model, hook_name="blocks.9.hook_mlp_out")
    with pytest.raises(InputError, match=r"blocks\.9"):
        active_features(sae, tiny_model, [5], 0)
