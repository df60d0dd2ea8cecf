"""Texts written with features turned up: against TransformerLens, step by step."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch

from tests.builders import write_sae
from tinysae.errors import InputError
from tinysae.features.why.steering import (
    GIBBERISH,
    MAX_FEATURES,
    MAX_STRENGTH,
    STRAINED,
    Sample,
    Steer,
    SteeredStrip,
    loss_on,
    scaled,
    steered,
    steering,
)
from tinysae.model.text.generate import GenerateSettings, Writing, generate_stream
from tinysae.model.text.prompt import prepare_prompt
from tinysae.sae.load import SAE, load_sae

if TYPE_CHECKING:
    from tinysae.model.sources import LoadedModel

TEXT = "Once upon a time, there was"
MAX_ACT = 4.0
CLOSE: dict[str, Any] = {"atol": 2e-4, "rtol": 0}


@pytest.fixture(params=["blocks.0.hook_attn_out", "blocks.1.hook_resid_post"])
def sae(request: Any, tiny_model: "LoadedModel", tmp_path: Path) -> SAE:
    metadata = {"hook_name": request.param, "model_name": tiny_model.source}
    return load_sae(write_sae(tmp_path, metadata=metadata))


def changed(x: torch.Tensor, sae: SAE, steers: list[Steer]) -> torch.Tensor:
    """The definition, with the whole reconstruction written out; BOS is left alone."""
    acts = sae.encode(x)
    new = acts.clone()
    for each in steers:
        value = each.strength * each.max_act
        if each.mode == "clamp":
            new[..., each.feature] = value
        else:
            new[..., each.feature] += value
    moved = x - sae.decode(acts) + sae.decode(new)
    moved[:, 0] = x[:, 0]
    return moved


STEERS = [Steer(1, 1.5, MAX_ACT), Steer(3, -0.5, MAX_ACT, "clamp"), Steer(5, 1, 2.0)]


@pytest.mark.parametrize("steers", [STEERS, STEERS[:1]])
def test_steered_log_probs_are_those_of_a_hook(
    tiny_model: "LoadedModel", sae: SAE, steers: list[Steer]
) -> None:
    def hooked(x: torch.Tensor, hook: object) -> torch.Tensor:  # noqa: ARG001
        return changed(x, sae, steers)

    ids = tiny_model.encode(TEXT)
    done = steered(tiny_model, ids, sae, steers)
    with torch.no_grad():
        logits = tiny_model.bridge.run_with_hooks(
            tiny_model.to_input(ids), fwd_hooks=[(sae.hook_name, hooked)]
        )
    torch.testing.assert_close(done.after, logits[0].log_softmax(-1), **CLOSE)
    assert (done.after - done.before).abs().max() > 1e-3


def test_a_steered_text_is_what_a_hook_would_write_token_by_token(
    tiny_model: "LoadedModel", sae: SAE
) -> None:
    ids = tiny_model.encode(TEXT)
    greedy = GenerateSettings(temperature=0, max_new_tokens=8, stop_at_eos=False)
    around = steering(tiny_model, sae, STEERS)
    written = list(generate_stream(tiny_model, ids, greedy, around=around))
    wanted = list(ids)
    for _ in range(8):
        done = steered(tiny_model, wanted, sae, STEERS)
        wanted.append(int(done.after[-1].argmax()))
    assert written == wanted[len(ids) :]
    assert written != list(generate_stream(tiny_model, ids, greedy))


def test_between_two_steered_tokens_the_model_is_everybody_elses(
    tiny_model: "LoadedModel", sae: SAE
) -> None:
    tokens = tiny_model.to_input(tiny_model.encode(TEXT))
    settings = GenerateSettings(max_new_tokens=4, stop_at_eos=False)
    stream = generate_stream(
        tiny_model,
        tiny_model.encode(TEXT),
        settings,
        around=steering(tiny_model, sae, STEERS),
    )
    with torch.no_grad():
        before = tiny_model.plain(tokens).logits
        for _ in range(3):
            next(stream)
            assert torch.equal(tiny_model.plain(tokens).logits, before)


@pytest.mark.parametrize("steer", STEERS[:2], ids=["add", "clamp"])
def test_the_strip_has_the_same_dice_and_its_own_text_in_the_middle(
    tiny_model: "LoadedModel", sae: SAE, steer: Steer
) -> None:
    settings = GenerateSettings(max_new_tokens=6, seed=3, stop_at_eos=False)
    prompt = prepare_prompt(tiny_model, TEXT, 6)
    strip = SteeredStrip(tiny_model, prompt, settings, sae, [steer], (-1, 0, 2))
    assert strip.share == 0
    while strip.step():
        pass
    assert strip.is_done
    assert strip.share == 1
    own = Writing(tiny_model, prompt, settings)
    while own.step():
        pass
    low, middle, high = strip.samples()
    assert list(middle.ids) == own.ids
    assert middle.ratio == 1
    assert middle.verdict == "usual"
    assert {low.ids, high.ids} != {middle.ids}
    for sample in (low, middle, high):
        assert sample.loss == pytest.approx(reference_loss(tiny_model, sample.ids))
        assert sample.loss is not None
        assert middle.loss is not None
        assert sample.ratio == pytest.approx(sample.loss / middle.loss)


def reference_loss(model: "LoadedModel", ids: tuple[int, ...]) -> float:
    given = model.encode(TEXT)
    tokens = torch.tensor([[model.bos_id, *given, *ids]])
    with torch.no_grad():
        logits = model.plain(tokens).logits[0, -1 - len(ids) : -1].double()
    return float(torch.nn.functional.cross_entropy(logits, tokens[0, -len(ids) :]))


def test_a_stopped_strip_keeps_what_it_has(tiny_model: "LoadedModel", sae: SAE) -> None:
    settings = GenerateSettings(max_new_tokens=50, stop_at_eos=False)
    prompt = prepare_prompt(tiny_model, TEXT, 6)
    strip = SteeredStrip(tiny_model, prompt, settings, sae, STEERS[:1], (0, 1))
    strip.step()
    strip.stop()
    assert strip.is_done
    assert not strip.step()
    assert [len(sample.ids) for sample in strip.samples()] == [1, 1]


def test_strength_zero_changes_no_bit(tiny_model: "LoadedModel", sae: SAE) -> None:
    done = steered(tiny_model, tiny_model.encode(TEXT), sae, scaled(STEERS[:1], 0))
    assert torch.equal(done.before, done.after)
    assert loss_on(tiny_model, tiny_model.encode(TEXT), []) is None


@pytest.mark.parametrize(
    ("ratio", "verdict"),
    [
        (0.5, "usual"),
        (STRAINED, "usual"),
        (STRAINED + 0.01, "strained"),
        (GIBBERISH + 0.01, "gibberish"),
        (None, None),
    ],
)
def test_the_gauge_warns(ratio: float | None, verdict: str | None) -> None:
    assert Sample(1.0, (1,), "", 1.0, ratio).verdict == verdict


def test_a_loop_is_gibberish_however_easily_it_is_foretold() -> None:
    assert Sample(1.0, (5, 6) * 10, "", 0.1, 0.1).verdict == "gibberish"
    assert Sample(1.0, tuple(range(20)), "", 0.1, 0.1).verdict == "usual"
    assert Sample(1.0, (5, 5), "", 0.1, 0.1).verdict == "usual"


def test_a_text_that_steering_did_not_change_says_so() -> None:
    assert Sample(1.0, (1,), "", 1.0, 1.0, is_unchanged=True).verdict == "unchanged"
    # The model's own is its own, however odd.
    assert Sample(0.0, (1,), "", 9.0, 9.0, is_unchanged=True).verdict == "usual"


def test_a_text_is_held_against_many_texts_and_not_one_lucky_one(
    tiny_model: "LoadedModel", sae: SAE
) -> None:
    settings = GenerateSettings(max_new_tokens=6, seed=3, stop_at_eos=False)
    prompt = prepare_prompt(tiny_model, TEXT, 6)
    strip = SteeredStrip(tiny_model, prompt, settings, sae, STEERS[:1], (0, 1, 1e-6))
    while strip.step():
        pass
    own, turned, same = strip.samples()
    assert own.loss is not None
    assert turned.loss is not None
    assert not turned.is_unchanged
    assert same.verdict == "unchanged"
    for usual, held_against in ((3 * own.loss, 3 * own.loss), (0.2, own.loss)):
        ratio = strip.samples(usual)[1].ratio
        assert ratio == pytest.approx(turned.loss / held_against)


@pytest.mark.parametrize("strength", [float("nan"), float("inf"), 1e9, -1e9])
def test_a_strength_that_is_none_is_refused(strength: float) -> None:
    with pytest.raises(InputError, match="strength"):
        Steer(0, strength, MAX_ACT)


def test_what_cannot_be_steered_is_a_sentence(
    tiny_model: "LoadedModel", sae: SAE, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="never fired"):
        Steer(0, 1.0, 0.0)
    with pytest.raises(InputError, match="strength"):
        scaled([Steer(0, MAX_STRENGTH, MAX_ACT)], 2)
    with pytest.raises(InputError, match="no feature"):
        steering(tiny_model, sae, [Steer(40, 1.0, MAX_ACT)])
    with pytest.raises(InputError, match="too much"):
        steering(tiny_model, sae, [Steer(1, 1.0, MAX_ACT)] * (MAX_FEATURES + 1))
    stranger = load_sae(write_sae(tmp_path / "stranger"))
    with pytest.raises(InputError, match="tiny"):
        steering(tiny_model, stranger, [])
