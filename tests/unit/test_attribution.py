"""A logit taken apart: against TransformerLens's cache, float64 and small changes."""

import copy
import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch

from tests.builders import write_sae
from tinysae.errors import InputError
from tinysae.features.why.attribution import Attribution, Part, attribute
from tinysae.features.why.attribution_table import (
    attribution_code,
    attribution_csv,
    part_name,
    strongest,
)
from tinysae.model.circuit import frozen_norms
from tinysae.model.text.typed_token import one_token
from tinysae.sae.load import SAE, load_sae
from tinysae.words import text

if TYPE_CHECKING:
    from tinysae.model.sources import LoadedModel

TEXT = "Once upon a time, there was a red ball."
TARGET, OTHER = 70, 90
HOOKS = [
    f"blocks.{layer}.hook_{name}"
    for layer in (0, 1)
    for name in ("resid_pre", "attn_out", "resid_mid", "mlp_out", "resid_post")
]


def sae_of(folder: Path, model: "LoadedModel", hook_name: str, **cfg: Any) -> SAE:
    metadata = {"hook_name": hook_name, "model_name": model.source}
    return load_sae(write_sae(folder, metadata=metadata, **cfg))


def ids_of(model: "LoadedModel") -> list[int]:
    return model.encode(TEXT)


def the(parts: tuple[Part, ...], kind: str, layer: int | None = None) -> Part:
    (found,) = [p for p in parts if p.kind == kind and p.layer in (layer, None)]
    return found


@pytest.fixture(scope="module")
def found(tiny_model: "LoadedModel") -> Attribution:
    return attribute(tiny_model, ids_of(tiny_model), TARGET, OTHER)


def test_the_parts_are_the_logit_of_transformer_lens(
    tiny_model: "LoadedModel", found: Attribution
) -> None:
    with torch.no_grad():
        logits = tiny_model.bridge(tiny_model.to_input(ids_of(tiny_model)))[0, -1]
    difference = float(logits[TARGET] - logits[OTHER])
    assert found.logit == pytest.approx(difference, abs=1e-4)
    assert sum(p.direct for p in found.components) == pytest.approx(
        difference, abs=1e-4
    )
    assert abs(found.remainder(found.components)) < 1e-4
    assert found.prob == pytest.approx(float(logits.softmax(-1)[TARGET]), rel=1e-4)
    single = attribute(tiny_model, ids_of(tiny_model), TARGET)
    assert sum(p.direct for p in single.components) == pytest.approx(
        float(logits[TARGET]), abs=1e-4
    )
    assert found.features == ()


def test_direct_parts_are_those_of_a_float64_sum_over_the_cache(
    tiny_model: "LoadedModel", found: Attribution
) -> None:
    bridge: Any = tiny_model.bridge
    tokens = tiny_model.to_input(ids_of(tiny_model))
    with torch.no_grad():
        _, cache = bridge.run_with_cache(tokens)
    last = cache["blocks.1.hook_resid_post"][0, -1].double()
    norm: Any = tiny_model.plain.get_submodule("transformer.ln_f")
    scale = (last.var(unbiased=False) + norm.eps).rsqrt()
    unembed = tiny_model.W_U.double()
    towards = unembed[:, TARGET] - unembed[:, OTHER]

    def direct(x: torch.Tensor) -> float:
        x = x.double()
        return float((x - x.mean()) * scale * norm.weight.detach().double() @ towards)

    parts = found.components
    wanted = {
        "token": cache["hook_embed"][0, -1],
        "position": cache["hook_pos_embed"].expand(1, len(tokens[0]), -1)[0, -1],
    }
    for kind, x in wanted.items():
        assert the(parts, kind).direct == pytest.approx(direct(x), abs=1e-5)
    for layer in (0, 1):
        z, W_O = cache[f"blocks.{layer}.attn.hook_z"][0, -1], bridge.W_O[layer]
        heads = [p for p in parts if p.kind == "head" and p.layer == layer]
        assert [p.number for p in heads] == [0, 1, 2, 3]
        for head, part in enumerate(heads):
            assert part.direct == pytest.approx(direct(z[head] @ W_O[head]), abs=1e-5)
        mlp = cache[f"blocks.{layer}.hook_mlp_out"][0, -1]
        assert the(parts, "mlp", layer).direct == pytest.approx(direct(mlp), abs=1e-5)
    bias = float(norm.bias.double() @ towards)
    assert the(parts, "final_bias").direct == pytest.approx(bias, abs=1e-6)


@pytest.mark.parametrize("rescaled", [False, True])
@pytest.mark.parametrize("hook_name", HOOKS)
def test_an_sae_at_any_hook_takes_the_place_of_what_it_reads(
    tiny_model: "LoadedModel", tmp_path: Path, hook_name: str, rescaled: bool
) -> None:
    sae = sae_of(tmp_path, tiny_model, hook_name, rescale_acts_by_decoder_norm=rescaled)
    found = attribute(tiny_model, ids_of(tiny_model), TARGET, OTHER, sae=sae)
    assert abs(found.remainder(found.features)) < 1e-4
    features = [part for part in found.features if part.kind == "feature"]
    assert features
    assert all(part.activation and part.activation > 0 for part in features)
    sizes = [abs(part.effect) for part in features]
    assert sizes == sorted(sizes, reverse=True)
    assert found.is_exact == (
        hook_name in ("blocks.1.hook_resid_post", "blocks.1.hook_mlp_out")
    )
    if found.is_exact:
        for part in features:
            assert part.position == found.n_tokens - 1
            assert part.effect == pytest.approx(part.direct, abs=1e-5)


@pytest.mark.parametrize(
    ("place", "frozen"), [("0.attn", False), ("0.mlp", False), ("1.attn", True)]
)
def test_effects_are_slopes_of_a_float64_model_with_live_norms_where_layers_follow(
    tiny_model: "LoadedModel", tmp_path: Path, place: str, frozen: bool
) -> None:
    # Features of layer 0, at every token, through all of layer 1; and of the last
    # layer's attention, through the MLP alone.
    name = f"blocks.{place}".replace(".attn", ".hook_attn_out").replace(
        ".mlp", ".hook_mlp_out"
    )
    sae = sae_of(tmp_path, tiny_model, name)
    ids = ids_of(tiny_model)
    found = attribute(tiny_model, ids, TARGET, OTHER, sae=sae)
    model = copy.deepcopy(tiny_model.plain).double()
    tokens = tiny_model.to_input(ids)
    if frozen:
        freeze(model, tokens)
    part = max(
        (p for p in found.features if p.kind == "feature"),
        key=lambda p: abs(p.effect) * (frozen or p.position != found.n_tokens - 1),
    )
    assert part.position is not None
    assert (part.position < found.n_tokens - 1) != frozen
    assert part.number is not None
    assert part.activation is not None
    row = sae.W_dec[part.number].double() * part.activation

    def logit(scale: float) -> float:
        def moved(_module: object, _args: object, output: Any) -> Any:
            first, *rest = output if isinstance(output, tuple) else (output,)
            first = first.clone()
            first[0, part.position] += scale * row
            return (first, *rest) if isinstance(output, tuple) else first

        handle = model.get_submodule(f"transformer.h.{place}").register_forward_hook(
            moved
        )
        try:
            with torch.no_grad():
                logits = model(tokens).logits[0, -1]
        finally:
            handle.remove()
        return float(logits[TARGET] - logits[OTHER])

    step = 1e-4
    slope = (logit(step) - logit(-step)) / (2 * step)
    assert (part.direct == 0) != frozen
    assert part.effect == pytest.approx(slope, rel=1e-3)


def freeze(model: torch.nn.Module, tokens: torch.Tensor) -> None:
    """Puts a linear module in the place of every LayerNorm of `model`."""
    scales: dict[str, torch.Tensor] = {}
    norms = {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.LayerNorm)
    }

    def keep(name: str, eps: float) -> Any:
        def hook(_module: object, args: Any) -> None:
            variance = args[0].var(-1, unbiased=False, keepdim=True)
            scales[name] = (variance + eps).rsqrt()

        return hook

    handles = [m.register_forward_pre_hook(keep(n, m.eps)) for n, m in norms.items()]
    with torch.no_grad():
        model(tokens)
    for handle in handles:
        handle.remove()

    class Frozen(torch.nn.Module):
        def __init__(self, norm: torch.nn.LayerNorm, scale: torch.Tensor) -> None:
            super().__init__()
            self.norm, self.scale = norm, scale

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            centred = x - x.mean(-1, keepdim=True)
            return centred * self.scale * self.norm.weight + self.norm.bias

    for name, norm in norms.items():
        model.set_submodule(name, Frozen(norm, scales[name]))


def test_frozen_norms_change_no_value_and_are_linear() -> None:
    class TinyRMSNorm(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * (x.square().mean(-1, keepdim=True) + 1e-6).rsqrt() * 3

    x = torch.tensor([[1.0, -2.0, 0.0, 4.0]], requires_grad=True)
    for norm in (torch.nn.LayerNorm(4), TinyRMSNorm()):
        plain = norm(x).detach()
        with frozen_norms(norm):
            frozen = norm(x)
            assert torch.allclose(frozen, plain, atol=1e-6)
            # A linear function's slope along its own input is its value.
            slope = torch.autograd.grad(frozen[0, 3], x)[0]
            assert float((slope * x).sum()) == pytest.approx(
                float(plain[0, 3]), abs=1e-5
            )
        assert torch.equal(norm(x).detach(), plain)


def test_nothing_stays_on_the_model(tiny_model: "LoadedModel") -> None:
    tokens = tiny_model.to_input(ids_of(tiny_model))
    with torch.no_grad():
        before = tiny_model.plain(tokens).logits
        attribute(tiny_model, ids_of(tiny_model), TARGET)
        with pytest.raises(InputError):
            attribute(tiny_model, ids_of(tiny_model), tiny_model.d_vocab)
        assert torch.equal(tiny_model.plain(tokens).logits, before)


def test_an_empty_text_is_about_the_first_token(tiny_model: "LoadedModel") -> None:
    found = attribute(tiny_model, [], TARGET)
    assert found.n_tokens == 1
    assert abs(found.remainder(found.components)) < 1e-4


def test_what_does_not_fit_is_a_sentence(
    tiny_model: "LoadedModel", tmp_path: Path
) -> None:
    ids = ids_of(tiny_model)
    with pytest.raises(InputError, match="vocabulary|0 to"):
        attribute(tiny_model, ids, -1)
    with pytest.raises(InputError, match="tokens"):
        attribute(tiny_model, ids * 20, TARGET)
    stranger = load_sae(write_sae(tmp_path / "other"))
    with pytest.raises(InputError, match="tiny"):
        attribute(tiny_model, ids, TARGET, sae=stranger)
    narrow = sae_of(tmp_path / "narrow", tiny_model, HOOKS[0], d_in=8)
    with pytest.raises(InputError, match="8 wide"):
        attribute(tiny_model, ids, TARGET, sae=narrow)


def test_a_typed_token_is_one_token(tiny_model: "LoadedModel") -> None:
    log_probs = torch.zeros(tiny_model.d_vocab)
    spaced, bare = tiny_model.encode(" a")[0], tiny_model.encode("a")[0]
    log_probs[bare] = 1.0
    assert one_token(tiny_model, "a", log_probs) == bare
    log_probs[spaced] = 2.0
    assert one_token(tiny_model, "a", log_probs) == spaced
    assert one_token(tiny_model, " a", log_probs) == spaced
    with pytest.raises(InputError, match="not one token"):
        one_token(tiny_model, "qqqq" * 100, log_probs)


def test_the_table_has_every_part_and_sums_to_the_logit(found: Attribution) -> None:
    rows = list(csv.DictReader(io.StringIO(attribution_csv(found))))
    assert [row["part"] for row in rows] == [
        *(part.kind for part in found.components),
        "remainder",
    ]
    total = sum(float(row["direct"]) for row in rows)
    assert total == pytest.approx(found.logit, abs=1e-4)


def test_the_bars_are_the_strongest_parts_in_order(found: Attribution) -> None:
    shown, others = strongest(found.components, 4)
    values = [part.direct for part in shown]
    assert values == sorted(values, reverse=True)
    assert len(shown) + len(others) == len(found.components)
    assert min(map(abs, values)) >= max(abs(part.direct) for part in others)


def test_every_kind_of_part_has_a_name(found: Attribution) -> None:
    names = [part_name(part, "en") for part in found.components]
    assert len(set(names)) == len(names)
    assert text("why.part_head", "en", layer=1, number=3) in names


def test_the_python_prints_the_same_parts(
    tiny_model: "LoadedModel", tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sae = sae_of(tmp_path / "sae", tiny_model, "blocks.1.hook_resid_post")
    found = attribute(tiny_model, ids_of(tiny_model), TARGET, OTHER, sae=sae)
    exec(attribution_code(tiny_model, found, tmp_path / "sae"), {})
    lines = capsys.readouterr().out.splitlines()
    assert float(lines[0]) == pytest.approx(found.logit)
    assert len(lines) == 1 + len(found.features)
    first = found.features[0]
    assert lines[1].startswith(f"feature None {first.number} ")
