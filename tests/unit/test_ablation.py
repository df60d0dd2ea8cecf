"""A feature that is off: against a hook of PyTorch's own on the bare model."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from tests.builders import write_sae
from tinysae.errors import InputError
from tinysae.features.why.ablation import ablate
from tinysae.sae.load import SAE, load_sae

if TYPE_CHECKING:
    from tinysae.model.sources import LoadedModel

TEXT = "Once upon a time, there was a red ball."
HOOK = "blocks.0.hook_mlp_out"
FEATURE = 1  # often on


def sae_of(folder: Path, model: "LoadedModel", **cfg: Any) -> SAE:
    metadata = {"hook_name": HOOK, "model_name": model.source}
    return load_sae(write_sae(folder, metadata=metadata, **cfg))


def tokens_of(model: "LoadedModel") -> list[int]:
    return [model.bos_id, *model.encode(TEXT)]


@pytest.mark.parametrize("rescaled", [False, True])
def test_it_is_what_a_plain_hook_on_the_mlp_does(
    tiny_model: "LoadedModel", tmp_path: Path, rescaled: bool
) -> None:
    sae = sae_of(tmp_path, tiny_model, rescale_acts_by_decoder_norm=rescaled)
    tokens = tokens_of(tiny_model)
    found = ablate(sae, tiny_model, tokens, FEATURE)

    # By hand: GPT-Neo's first MLP, whose output loses W_dec's row times its activation.
    def without(_module: object, _args: object, output: torch.Tensor) -> torch.Tensor:
        acts = sae.encode(output)
        off = acts.clone()
        off[:, 1:, FEATURE] = 0
        return output - sae.decode(acts) + sae.decode(off)

    ids = torch.tensor([tokens])
    with torch.no_grad():
        on = tiny_model.plain(ids).logits.double().log_softmax(-1)
        mlp = tiny_model.plain.get_submodule("transformer.h.0.mlp")
        handle = mlp.register_forward_hook(without)
        try:
            off = tiny_model.plain(ids).logits.double().log_softmax(-1)
        finally:
            handle.remove()
    actual = ids[:, 1:, None]
    wanted = (off - on)[:, :-1].gather(2, actual)[0, :, 0].numpy()
    assert np.isnan(found.change[0])
    np.testing.assert_allclose(found.change[1:], wanted, atol=2e-5)
    assert np.abs(wanted).max() > 1e-3
    at = found.position
    for each in (*found.fallen, *found.risen):
        assert each.log_prob == pytest.approx(float(on[0, at, each.token]), abs=2e-5)
        assert each.log_prob_off == pytest.approx(
            float(off[0, at, each.token]), abs=2e-5
        )
    moved = (off[0, at].exp() - on[0, at].exp()).numpy()
    assert found.fallen[0].token == moved.argmin()
    assert found.risen[0].token == moved.argmax()


def test_a_feature_that_is_not_on_changes_nothing(
    tiny_model: "LoadedModel", tmp_path: Path
) -> None:
    found = ablate(sae_of(tmp_path, tiny_model), tiny_model, tokens_of(tiny_model), 0)
    assert not found.activations.any()
    assert not found.change[1:].any()
    assert found.fallen == found.risen == []


def test_what_does_not_fit_is_a_sentence(
    tiny_model: "LoadedModel", tmp_path: Path
) -> None:
    sae = sae_of(tmp_path / "good", tiny_model)
    tokens = tokens_of(tiny_model)
    with pytest.raises(InputError, match="no feature"):
        ablate(sae, tiny_model, tokens, 40)
    with pytest.raises(InputError, match="tokens long"):
        ablate(sae, tiny_model, tokens * 40, 0)
    narrow = load_sae(
        write_sae(tmp_path / "narrow", d_in=8, metadata={"hook_name": HOOK})
    )
    with pytest.raises(InputError, match="8 wide"):
        ablate(narrow, tiny_model, tokens, 0)
