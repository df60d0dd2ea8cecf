"""Features and heads switched off or set: against TransformerLens, and by hand."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from tests.builders import write_sae
from tinysae.errors import InputError
from tinysae.features.why.attribution import Part, attribute
from tinysae.features.why.intervene import (
    MAX_CHANGES,
    N_LEADING,
    AnyChange,
    Effect,
    FeatureChange,
    HeadChange,
    correlation,
    intervene,
    measure,
    measure_leading,
    same_sign,
)
from tinysae.model.circuit import changing
from tinysae.sae.load import SAE, load_sae

if TYPE_CHECKING:
    from tinysae.model.sources import LoadedModel

TEXT = "Once upon a time, there was a red ball."
TARGET, OTHER = 70, 90
FEATURE = 1  # often on
CLOSE: dict[str, Any] = {"atol": 2e-4, "rtol": 0}


def sae_of(folder: Path, model: "LoadedModel", hook_name: str, **cfg: Any) -> SAE:
    metadata = {"hook_name": hook_name, "model_name": model.source}
    return load_sae(write_sae(folder, metadata=metadata, **cfg))


def hooked_log_probs(model: "LoadedModel", name: str, change: Any) -> torch.Tensor:
    tokens = model.to_input(model.encode(TEXT))
    with torch.no_grad():
        logits = model.bridge.run_with_hooks(
            tokens,
            fwd_hooks=[(name, lambda x, hook: change(x))],  # noqa: ARG005
        )
    return logits[0].log_softmax(-1)


@pytest.mark.parametrize("positions", [None, (2, 5)])
def test_a_head_that_is_off_is_transformer_lens_with_its_z_zeroed(
    tiny_model: "LoadedModel", positions: tuple[int, ...] | None
) -> None:
    def zeroed(z: torch.Tensor) -> torch.Tensor:
        z = z.clone()
        at = slice(1, None) if positions is None else list(positions)
        z[:, at, 2] = 0
        return z

    done = intervene(
        tiny_model, tiny_model.encode(TEXT), [HeadChange(0, 2, positions=positions)]
    )
    wanted = hooked_log_probs(tiny_model, "blocks.0.attn.hook_z", zeroed)
    torch.testing.assert_close(done.after, wanted, **CLOSE)
    untouched = hooked_log_probs(tiny_model, "blocks.0.attn.hook_z", lambda z: z)
    torch.testing.assert_close(done.before, untouched, **CLOSE)
    assert (done.after - done.before).abs().max() > 1e-2


@pytest.mark.parametrize("rescaled", [False, True])
@pytest.mark.parametrize("name", ["resid_pre", "attn_out", "mlp_out", "resid_post"])
def test_a_feature_that_is_set_is_transformer_lens_with_its_part_replaced(
    tiny_model: "LoadedModel", tmp_path: Path, name: str, rescaled: bool
) -> None:
    hook_name = f"blocks.1.hook_{name}"
    sae = sae_of(tmp_path, tiny_model, hook_name, rescale_acts_by_decoder_norm=rescaled)

    def replaced(x: torch.Tensor) -> torch.Tensor:
        acts = sae.encode(x)
        new = acts.clone()
        new[:, 1:, FEATURE] = 3.5
        return x - sae.decode(acts) + sae.decode(new)

    done = intervene(
        tiny_model, tiny_model.encode(TEXT), [FeatureChange(FEATURE, 3.5)], sae=sae
    )
    wanted = hooked_log_probs(tiny_model, hook_name, replaced)
    torch.testing.assert_close(done.after, wanted, **CLOSE)
    assert (done.after - done.before).abs().max() > 1e-3


def test_between_attention_and_mlp_the_skip_changes_too(
    tiny_model: "LoadedModel",
) -> None:
    tokens = tiny_model.to_input(tiny_model.encode(TEXT))
    plain: Any = tiny_model.plain
    hook_name = "blocks.1.hook_resid_mid"
    with torch.no_grad():
        _, cache = tiny_model.bridge.run_with_cache(tokens)
        # By hand: the block's second half, and what comes after it.
        block = plain.transformer.h[1]
        mid = cache[hook_name] * 0.5
        end = plain.transformer.ln_f(mid + block.mlp(block.ln_2(mid)))
        wanted = plain.lm_head(end)
        with changing(tiny_model, hook_name, lambda x: x * 0.5):
            found = plain(tokens).logits
    torch.testing.assert_close(found, wanted, **CLOSE)


def test_features_measured_one_by_one_are_interventions_one_by_one(
    tiny_model: "LoadedModel", tmp_path: Path
) -> None:
    for hook_name in ("blocks.0.hook_resid_mid", "blocks.1.hook_resid_post"):
        sae = sae_of(tmp_path / hook_name, tiny_model, hook_name)
        ids = tiny_model.encode(TEXT)
        found = attribute(tiny_model, ids, TARGET, OTHER, sae=sae)
        last = found.n_tokens - 1
        parts = [
            p for p in found.features if p.kind == "feature" and p.position == last
        ]
        effects = measure(tiny_model, found, parts, sae)
        assert [effect.part for effect in effects] == parts
        for effect in effects:
            assert effect.part.number is not None
            change = FeatureChange(effect.part.number, 0.0, (last,))
            done = intervene(tiny_model, ids, [change], sae=sae)
            # Differences of log-probs are differences of logits.
            lost = (done.before - done.after)[-1]
            assert effect.measured == pytest.approx(
                float(lost[TARGET] - lost[OTHER]), abs=1e-3
            )
            assert effect.predicted == effect.part.effect
        assert measure(tiny_model, found, [], sae) == []


def test_the_correlation_is_pearsons_and_none_where_there_is_none() -> None:
    part = attribute_part()
    x, y = [1.0, 2.0, 4.0, -1.0], [0.9, 2.5, 3.0, -2.0]
    effects = [Effect(part, a, b) for a, b in zip(x, y, strict=True)]
    wanted = float(
        ((np.array(x) - np.mean(x)) * (np.array(y) - np.mean(y))).mean()
        / (np.std(x) * np.std(y))
    )
    assert correlation(effects) == pytest.approx(wanted)
    assert correlation(effects[:2]) is None
    assert correlation([Effect(part, 1.0, b) for b in y]) is None


def attribute_part() -> Any:
    from tinysae.features.why.attribution import Part

    return Part("feature", 1.0, 1.0, None, 3, 1, 1.0)


def test_nothing_stays_changed(tiny_model: "LoadedModel", tmp_path: Path) -> None:
    sae = sae_of(tmp_path, tiny_model, "blocks.0.hook_resid_mid")
    tokens = tiny_model.to_input(tiny_model.encode(TEXT))
    with torch.no_grad():
        before = tiny_model.plain(tokens).logits
        intervene(
            tiny_model,
            tiny_model.encode(TEXT),
            [HeadChange(1, 0), FeatureChange(FEATURE)],
            sae=sae,
        )
        assert torch.equal(tiny_model.plain(tokens).logits, before)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e9, -1e9])
def test_a_value_that_is_no_value_is_refused(value: float) -> None:
    with pytest.raises(InputError, match="cannot be used"):
        FeatureChange(0, value)
    with pytest.raises(InputError, match="cannot be used"):
        HeadChange(0, 0, value)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ([FeatureChange(40)], "no feature"),
        ([HeadChange(0, 4)], "no head"),
        ([HeadChange(2, 0)], "no layer"),
        ([HeadChange(0, 0, positions=(99,))], "no token"),
        ([HeadChange(0, 0)] * (MAX_CHANGES + 1), "too much"),
    ],
)
def test_what_is_not_there_is_a_sentence(
    tiny_model: "LoadedModel", tmp_path: Path, changes: list[AnyChange], said: str
) -> None:
    sae = sae_of(tmp_path, tiny_model, "blocks.0.hook_mlp_out")
    with pytest.raises(InputError, match=said):
        intervene(tiny_model, tiny_model.encode(TEXT), changes, sae=sae)


def test_features_need_their_sae(tiny_model: "LoadedModel", tmp_path: Path) -> None:
    ids = tiny_model.encode(TEXT)
    with pytest.raises(InputError, match="Choose an SAE"):
        intervene(tiny_model, ids, [FeatureChange(1)])
    stranger = load_sae(write_sae(tmp_path))
    with pytest.raises(InputError, match="tiny"):
        intervene(tiny_model, ids, [FeatureChange(1)], sae=stranger)


@pytest.mark.parametrize("hook", ["blocks.0.hook_resid_mid", "blocks.0.hook_mlp_out"])
def test_features_at_any_token_are_measured_in_one_forward(
    tiny_model: "LoadedModel", tmp_path: Path, hook: str
) -> None:
    sae = sae_of(tmp_path, tiny_model, hook)
    ids = tiny_model.encode(TEXT)
    found = attribute(tiny_model, ids, 70, 90, sae=sae)
    leading = [part for part in found.features if part.kind == "feature"][:5]
    assert {part.position for part in leading} != {found.n_tokens - 1}
    for effect in measure(tiny_model, found, leading, sae):
        part = effect.part
        off = FeatureChange(part.number or 0, 0.0, (part.position or 0,))
        done = intervene(tiny_model, ids, [off], sae=sae)
        gap = [float(x[-1, 70] - x[-1, 90]) for x in (done.before, done.after)]
        assert effect.measured == pytest.approx(gap[0] - gap[1], abs=1e-4)


def test_what_costs_too_much_is_not_measured_without_being_asked_for(
    tiny_model: "LoadedModel", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sae = sae_of(tmp_path, tiny_model, "blocks.0.hook_mlp_out")
    found = attribute(tiny_model, tiny_model.encode(TEXT), 70, sae=sae)
    features = [part for part in found.features if part.kind == "feature"]
    leading = [effect.part for effect in measure_leading(tiny_model, found, sae)]
    assert leading == features[:N_LEADING] != []
    monkeypatch.setattr("tinysae.features.why.intervene.LEADING_COST", 1.0)
    assert measure_leading(tiny_model, found, sae) == []


def test_the_share_of_effects_with_the_right_sign() -> None:
    part = Part("feature", 0.0, 0.0)
    signs = [(1.0, 2.0), (1.0, -2.0), (-1.0, -0.5), (0.0, 1.0)]
    assert same_sign([Effect(part, p, m) for p, m in signs]) == 0.75
    assert same_sign([]) == 1.0
