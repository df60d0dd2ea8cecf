"""An SAE of which the features that fire least often were left out."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from tinysae.sae.load import SPARSITY_NAME, WEIGHTS_NAME, load_sae
from tinysae.sae.narrow import keep_busiest

D_IN, D_SAE = 6, 8
# Two fire never, two as often as each other.
RATES = [0.5, 0.0, 0.1, 0.2, 0.0, 0.3, 0.1, 0.4]
BUSIEST = [0, 2, 3, 5, 7]


@pytest.mark.parametrize("architecture", ["standard", "jumprelu", "gated"])
def test_the_busiest_features_do_what_they_did_in_saelens_too(
    tmp_path: Path, architecture: str
) -> None:
    from sae_lens import SAE

    torch.manual_seed(0)
    sae = new_sae(architecture)
    sae.save_model(tmp_path)
    rates = {"sparsity": (torch.tensor(RATES) + 1e-10).log10()}
    save_file(rates, tmp_path / SPARSITY_NAME)
    x = torch.randn(20, D_IN)
    wanted = sae.encode(x)[:, BUSIEST]
    assert wanted.any()

    keep_busiest(tmp_path, len(BUSIEST))

    theirs: Any = SAE.load_from_disk(tmp_path)
    assert theirs.cfg.d_sae == len(BUSIEST)
    assert torch.equal(theirs.encode(x), wanted)
    ours = load_sae(tmp_path)
    torch.testing.assert_close(ours.encode(x), wanted)
    torch.testing.assert_close(ours.decode(wanted), theirs.decode(wanted))
    left = load_file(tmp_path / SPARSITY_NAME)["sparsity"]
    assert torch.equal(left, rates["sparsity"][BUSIEST])
    assert torch.equal(load_file(tmp_path / WEIGHTS_NAME)["b_dec"], sae.b_dec)


def new_sae(architecture: str) -> Any:
    """One with random weights, of which about half are on."""
    from sae_lens.registry import get_sae_class

    sae_class, cfg_class = get_sae_class(architecture)
    sae: Any = sae_class(cfg_class(d_in=D_IN, d_sae=D_SAE))
    sae.cfg.metadata.hook_name, sae.cfg.metadata.model_name = "blocks.0", "storybook"
    for parameter in sae.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return sae
