"""Two sentences' pictures as one: what differs is what is drawn."""

from typing import TYPE_CHECKING

import pytest

from tinysae.features.why.difference import difference, places
from tinysae.features.why.picture import Picture, picture_of
from tinysae.library.shipped import POST_SAE_DIR, STORYBOOK_SAE_DIR
from tinysae.model.sources import STORYBOOK, load_model
from tinysae.sae.load import SAE, load_sae
from tinysae.words import text

if TYPE_CHECKING:
    from tinysae.model.sources import LoadedModel


@pytest.fixture(scope="module")
def model() -> "LoadedModel":
    return load_model(STORYBOOK)


def drawn(model: "LoadedModel", told: str, *more: SAE) -> Picture:
    lily, ben = model.encode(" Lily")[0], model.encode(" Ben")[0]
    sae = load_sae(POST_SAE_DIR)
    return picture_of(model, model.encode(told), lily, ben, sae, more)


def test_another_name_makes_the_difference_at_its_word(model: "LoadedModel") -> None:
    told = text("why.prompt_example", "en")
    here, there = drawn(model, told), drawn(model, told.replace("Lily", "Ben"))
    both = difference(here, there)
    first = both.arcs[0]
    assert model.token_text(here.attribution.ids[first.source - 1]) == " Lily"
    assert first.effect > here.arcs[0].effect
    # What the lamps add is the sums' own difference.
    wanted = here.attribution.logit - there.attribution.logit
    lit = sum(lamp.direct for lamp in both.lamps)
    assert lit + here.rest - there.rest == pytest.approx(wanted, abs=1e-3)


def test_a_picture_differs_from_itself_in_nothing(model: "LoadedModel") -> None:
    one = drawn(model, text("why.prompt_example", "en"))
    both = difference(one, one)
    assert len(both.arcs) == len(one.arcs)
    assert {arc.effect for arc in both.arcs} == {0.0}
    assert {lamp.direct for lamp in both.lamps} == {0.0}
    assert {thread.effect for thread in both.threads} == {0.0}


def test_features_of_several_saes_differ_each_from_itself(
    model: "LoadedModel",
) -> None:
    below, told = load_sae(STORYBOOK_SAE_DIR), text("why.prompt_example", "en")
    other = told.replace("Lily", "Ben")
    here, there = drawn(model, told, below), drawn(model, other, below)
    both = difference(here, there)
    assert both.hooks == here.hooks == (below.hook_name, "blocks.0.hook_resid_post")

    def effects(picture: Picture) -> dict[object, float]:
        return {
            (lamp.hook_name, lamp.number, lamp.position): lamp.effect
            for lamp in picture.lamps
        }

    in_here, in_there = effects(here), effects(there)
    assert {lamp.hook_name for lamp in both.lamps} == set(here.hooks)
    for key, effect in effects(both).items():
        wanted = in_here.get(key, 0.0) - in_there.get(key, 0.0)
        assert effect == pytest.approx(wanted, abs=1e-6)
    assert both.links
    for link in both.links:
        ends = [both.lamps[at].hook_name for at in (link.source, link.lamp)]
        assert ends == list(both.hooks)
    assert {link.effect for link in difference(here, here).links} == {0.0}


def test_words_that_are_only_there_have_no_place_here() -> None:
    # b is replaced, x and y are put in, the end is the end.
    assert places([1, 2, 3, 4], [1, 9, 3, 7, 8, 4]) == {0: 0, 1: 1, 2: 2, 3: 3, 6: 4}
    assert places([1, 2], [1, 2, 5]) == {0: 0, 1: 1, 3: 2}
