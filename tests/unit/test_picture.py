"""The picture's numbers: they add up, and what they say is what is measured."""

import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from tests.builders import write_sae
from tests.unit.tokenizer_families import FAMILIES, build_family
from tinysae.features.why.arcs import by_arc
from tinysae.features.why.cuts import lost, without
from tinysae.features.why.gradients import slopes, watched
from tinysae.features.why.intervene import (
    FeatureChange,
    HeadChange,
    direction,
    intervene,
)
from tinysae.features.why.picture import Cut, Picture, picture_of
from tinysae.library.shipped import POST_SAE_DIR, STORYBOOK_SAE_DIR
from tinysae.model.attention import attended
from tinysae.model.sources import STORYBOOK, load_model
from tinysae.model.text.logprobs import next_log_probs
from tinysae.sae.load import SAE, load_sae
from tinysae.words import text

if TYPE_CHECKING:
    from tinysae.model.sources import LoadedModel

# Of a logit, in float32.
ROUNDING = 1e-4
NAME = " Lily"


@pytest.fixture(scope="module")
def storybook() -> "LoadedModel":
    return load_model(STORYBOOK)


@pytest.fixture(scope="module")
def sae() -> SAE:
    return load_sae(POST_SAE_DIR)


@pytest.fixture(scope="module")
def ids(storybook: "LoadedModel") -> list[int]:
    return storybook.encode(text("why.prompt_example", "en"))


@pytest.fixture(scope="module")
def drawn(storybook: "LoadedModel", sae: SAE, ids: list[int]) -> Picture:
    best, second = next_log_probs(storybook, ids).topk(2).indices.tolist()
    return picture_of(storybook, ids, best, second, sae)


def family_picture(
    name: str, folder: Path, hook: str
) -> tuple["LoadedModel", SAE, Picture]:
    model = load_model(str(build_family(name, folder)))
    metadata = {"hook_name": hook, "model_name": model.source}
    own = load_sae(write_sae(folder / "sae", metadata=metadata))
    tokens = model.encode("Once upon a time, there was a girl named")
    return model, own, picture_of(model, tokens, 7, 9, own)


def test_lamps_and_the_rest_are_the_models_own_logit(
    storybook: "LoadedModel", ids: list[int], drawn: Picture
) -> None:
    with torch.no_grad():
        logits = storybook.plain(storybook.to_input(ids)).logits[0, -1].double()
    found = drawn.attribution
    assert found.other is not None
    logit = float(logits[found.target] - logits[found.other])
    total = sum(lamp.direct for lamp in drawn.lamps) + drawn.rest
    assert total == pytest.approx(logit, abs=ROUNDING)


def test_the_example_names_the_word_and_the_head_that_carry_the_name(
    storybook: "LoadedModel", ids: list[int], drawn: Picture
) -> None:
    assert storybook.token_text(drawn.attribution.target) == NAME
    first = drawn.arcs[0]
    # BOS is the first.
    assert storybook.token_text(ids[first.source - 1]) == NAME
    assert first.to == len(ids)
    assert next(iter(drawn.words)) == first.source
    assert next(iter(drawn.heads)) == (first.layer, first.head)


def test_switching_the_named_path_off_takes_the_name_away(
    storybook: "LoadedModel", sae: SAE, drawn: Picture
) -> None:
    """By four fifths; the same head's path from another word, by hardly anything."""
    named = drawn.arcs[0]
    other = next(
        place
        for place, arc in enumerate(drawn.arcs)
        if arc[:3] == named[:3] and storybook.token_text(_id(drawn, arc)) == " park"
    )
    cuts = [Cut(arcs=(0,)), Cut(arcs=(other,))]
    logits = without(storybook, drawn, cuts, sae)
    as_is, cut, control = logits.softmax(-1)[:, drawn.attribution.target].tolist()
    assert cut < 0.2 * as_is
    assert abs(control / as_is - 1) < 0.03


def _id(drawn: Picture, arc: object) -> int:
    return drawn.attribution.ids[arc.source - 1] if arc.source else -1  # pyright: ignore


def test_what_is_foretold_is_what_is_measured(
    storybook: "LoadedModel", sae: SAE, drawn: Picture
) -> None:
    arcs = [Cut(arcs=(place,)) for place in range(len(drawn.arcs))]
    lamps = [Cut(lamps=(place,)) for place in range(len(drawn.lamps))]
    for cuts in (arcs, lamps):
        measured = lost(drawn, without(storybook, drawn, cuts, sae))
        foretold = [drawn.effect(cut) for cut in cuts]
        assert np.corrcoef(foretold, measured)[0, 1] > 0.95


def test_a_lamp_is_switched_off_as_an_intervention_does_it(
    storybook: "LoadedModel", sae: SAE, ids: list[int], drawn: Picture
) -> None:
    lamp = drawn.lamps[0]
    assert lamp.number is not None
    assert lamp.position is not None
    done = intervene(
        storybook, ids, [FeatureChange(lamp.number, 0.0, (lamp.position,))], sae=sae
    )
    logits = without(storybook, drawn, [Cut(lamps=(0,))], sae)
    assert torch.allclose(logits.log_softmax(-1)[1], done.after[-1], atol=1e-4)


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_of_models_has_a_picture(name: str, tmp_path: Path) -> None:
    model, own, drawn = family_picture(name, tmp_path, "blocks.1.hook_resid_post")
    found = drawn.attribution
    total = sum(lamp.direct for lamp in drawn.lamps) + drawn.rest
    assert total == pytest.approx(found.logit, abs=ROUNDING)
    assert drawn.arcs
    assert {arc.layer for arc in drawn.arcs} <= set(range(model.n_layers))
    assert all(arc.source <= arc.to < found.n_tokens for arc in drawn.arcs)


@pytest.mark.parametrize("name", FAMILIES)
def test_all_that_a_head_carries_is_the_head(name: str, tmp_path: Path) -> None:
    """Without all its arcs to a token, the head is as if it were off there."""
    model, own, _ = family_picture(name, tmp_path, "blocks.1.hook_resid_post")
    ids = model.encode("a girl")
    drawn = picture_of(model, ids, 7, 9, own)
    last, layer = len(ids), model.n_layers - 1
    arcs = tuple(
        place for place, arc in enumerate(drawn.arcs) if arc[:3] == (layer, 0, last)
    )
    assert len(arcs) == last + 1
    logits = without(model, drawn, [Cut(arcs=arcs)], own)
    done = intervene(model, ids, [HeadChange(layer, 0, 0.0, (last,))])
    assert torch.allclose(logits.log_softmax(-1)[1], done.after[-1], atol=1e-3)


def test_threads_go_through_lamps_that_are_features(
    storybook: "LoadedModel", sae: SAE, ids: list[int], drawn: Picture
) -> None:
    assert drawn.threads
    for arc, lamp, _ in drawn.threads:
        assert drawn.lamps[lamp].kind == "feature"
        assert arc < len(drawn.arcs)
    # By the chain rule: what goes through the lamps and through what the SAE misses is
    # all that the strongest arc does, by the same slope.
    through = sum(effect for arc, _, effect in drawn.threads if arc == 0)
    seen = watched(storybook, storybook.to_input(ids), sae.hook_name)
    found = drawn.attribution
    assert found.other is not None
    slope = slopes(seen, seen.logits[found.target] - seen.logits[found.other])
    assert seen.hook is not None
    assert slope.hook is not None
    missed = seen.hook[0] - sae.decode(sae.encode(seen.hook[0]))
    beside = slopes(seen, (missed * slope.hook).sum())
    layers, arc = attended(storybook, ids), drawn.arcs[0][:4]
    whole, around = (float(by_arc(layers, s.heads)[arc]) for s in (slope, beside))
    assert through + around == pytest.approx(whole, rel=1e-3)


def test_what_the_arcs_of_a_head_add_is_what_is_lost_without_the_head(
    storybook: "LoadedModel", sae: SAE, drawn: Picture
) -> None:
    """The integral's own sum, to what two points of it leave out."""
    heads = list(drawn.heads.values())
    measured = lost(drawn, without(storybook, drawn, heads, sae))
    foretold = [drawn.effect(cut) for cut in heads]
    assert foretold == pytest.approx(measured, rel=0.1, abs=0.1)


@pytest.fixture(scope="module")
def layered(storybook: "LoadedModel", sae: SAE, ids: list[int]) -> Picture:
    """With the features of what the MLP reads below those of what the block says."""
    best, second = next_log_probs(storybook, ids).topk(2).indices.tolist()
    return picture_of(storybook, ids, best, second, sae, [load_sae(STORYBOOK_SAE_DIR)])


def test_another_hook_changes_nothing_of_the_sae_s_own_lamps(
    drawn: Picture, layered: Picture
) -> None:
    assert layered.hooks == ("blocks.0.hook_resid_mid", "blocks.0.hook_resid_post")
    own = [lamp for lamp in layered.lamps if lamp.hook_name == layered.hooks[1]]
    assert own == list(drawn.lamps)
    assert layered.rest == pytest.approx(drawn.rest, abs=ROUNDING)
    assert [arc.effect for arc in layered.arcs] == [arc.effect for arc in drawn.arcs]
    # Arcs lead to the next hook alone; from there links go on.
    lit = {layered.lamps[thread.lamp].hook_name for thread in layered.threads}
    assert lit == {layered.hooks[0]}
    for link in layered.links:
        ends = layered.lamps[link.source], layered.lamps[link.lamp]
        assert [lamp.hook_name for lamp in ends] == list(layered.hooks)


def test_links_are_the_slope_of_a_feature_in_float64(
    storybook: "LoadedModel", sae: SAE, ids: list[int], layered: Picture
) -> None:
    """The MLP and the second SAE's encoder written out, a step to either side."""
    below = load_sae(STORYBOOK_SAE_DIR)
    seen = watched(storybook, storybook.to_input(ids), sae.hook_name, [below.hook_name])
    mid = seen.others[below.hook_name].detach()[0, -1].double()
    plain: Any = storybook.plain
    block = copy.deepcopy(plain.transformer.h[0]).double()
    link = max(layered.links, key=lambda link: abs(link.effect))
    source, lamp = layered.lamps[link.source], layered.lamps[link.lamp]
    assert source.number is not None
    assert lamp.number is not None
    assert source.position == lamp.position == len(ids)
    step = (source.activation or 0.0) * direction(below, source.number).double()

    def pre_activation(x: torch.Tensor) -> float:
        with torch.no_grad():
            post = x + block.mlp(block.ln_2(x[None]))[0]
            if sae.apply_b_dec_to_input:
                post = post - sae.b_dec.double()
            return float(post @ sae.W_enc[:, lamp.number].double())

    tiny = 1e-4
    slope = pre_activation(mid + tiny * step) - pre_activation(mid - tiny * step)
    weight = lamp.effect / (lamp.activation or 1.0)
    assert link.effect == pytest.approx(slope / (2 * tiny) * weight, rel=1e-3)


def test_a_lamp_of_another_hook_is_switched_off_as_an_intervention_does_it(
    storybook: "LoadedModel", sae: SAE, ids: list[int], layered: Picture
) -> None:
    below = load_sae(STORYBOOK_SAE_DIR)
    place = next(
        at
        for at, lamp in enumerate(layered.lamps)
        if lamp.hook_name == below.hook_name and lamp.number is not None
    )
    lamp = layered.lamps[place]
    done = intervene(
        storybook,
        ids,
        [FeatureChange(lamp.number or 0, 0.0, (lamp.position or 0,))],
        sae=below,
    )
    logits = without(storybook, layered, [Cut(lamps=(place,))], sae, [below])
    assert torch.allclose(logits.log_softmax(-1)[1], done.after[-1], atol=1e-4)


@pytest.mark.parametrize("name", FAMILIES)
def test_lamps_of_several_layers_are_joined_and_switched_off(
    name: str, tmp_path: Path
) -> None:
    model = load_model(str(build_family(name, tmp_path)))
    hooks = ("blocks.0.hook_resid_post", "blocks.1.hook_resid_post")
    below, above = (
        load_sae(
            write_sae(
                tmp_path / f"sae{at}",
                metadata={"hook_name": hook, "model_name": model.source},
                seed=at,
            )
        )
        for at, hook in enumerate(hooks)
    )
    ids = model.encode("Once upon a time, there was a girl named")
    layered = picture_of(model, ids, 7, 9, above, [below])
    assert layered.hooks == hooks
    assert layered.links
    # The first layer's heads lead to the lower lamps, the second's to the upper ones.
    for thread in layered.threads:
        arc, lamp = layered.arcs[thread.arc], layered.lamps[thread.lamp]
        assert lamp.hook_name == hooks[arc.layer]
    # Of each SAE, its strongest lamp is switched off where it is.
    for own in (below, above):
        place = next(
            at
            for at, lamp in enumerate(layered.lamps)
            if lamp.hook_name == own.hook_name and lamp.number is not None
        )
        lamp = layered.lamps[place]
        change = FeatureChange(lamp.number or 0, 0.0, (lamp.position or 0,))
        done = intervene(model, ids, [change], sae=own)
        logits = without(model, layered, [Cut(lamps=(place,))], above, [below])
        assert torch.allclose(logits.log_softmax(-1)[1], done.after[-1], atol=1e-3)


def test_only_what_follows_the_first_change_is_run_again(
    storybook: "LoadedModel", sae: SAE, drawn: Picture
) -> None:
    """One layer: a head's output at the last token alone counts, whatever it takes."""
    assert {arc.to for arc in drawn.arcs} == {drawn.attribution.n_tokens - 1}
    every = [Cut(arcs=(place,)) for place in range(len(drawn.arcs))]
    with pytest.MonkeyPatch.context() as patch:
        run: list[int] = []
        plain = storybook.plain.forward

        def count(tokens: torch.Tensor, **others: object) -> object:
            run.append(tokens.numel())
            return plain(tokens, **others)

        patch.setattr(storybook.plain, "forward", count)
        without(storybook, drawn, every, sae)
    assert sum(run) == drawn.attribution.n_tokens + len(every)
