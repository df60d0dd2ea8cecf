"""A feature's own default strength, on the embedded model."""

import pytest

from tinysae.features.index.reader import open_index
from tinysae.features.why.steering import (
    STRAINED,
    STRENGTHS,
    Steer,
    SteeredStrip,
    scaled,
)
from tinysae.features.why.strengths import STRONGEST, WEAKEST, is_quick, right_strength
from tinysae.library.shipped import POST_FEATURES_DIR, POST_SAE_DIR
from tinysae.model.sources import STORYBOOK, LoadedModel, load_model
from tinysae.model.text.generate import GenerateSettings
from tinysae.model.text.prompt import prompt_with_room
from tinysae.sae.load import SAE, load_sae
from tinysae.words import text

# At the strength 0.4, which all once began at, these four went round in loops (27, 362)
# or were hardly changed (239, 628).
FEATURES = (27, 362, 239, 628)
TEXT = text("why.prompt_example", "en")


@pytest.fixture(scope="module")
def model() -> LoadedModel:
    return load_model(STORYBOOK)


@pytest.fixture(scope="module")
def sae() -> SAE:
    return load_sae(POST_SAE_DIR)


@pytest.mark.parametrize("feature", FEATURES)
def test_at_its_own_strength_a_feature_changes_the_text_and_does_not_break_it(
    model: LoadedModel, sae: SAE, feature: int
) -> None:
    max_act = open_index(POST_FEATURES_DIR).table()["max_act"].tolist()[feature]
    steer = Steer(feature, 1.0, max_act)
    ids = model.encode(TEXT)
    found = right_strength(model, ids, sae, [steer])
    assert WEAKEST <= found.strength < STRONGEST
    assert 1 < found.ratio <= STRAINED
    assert right_strength(model, ids, sae, [steer]) == found
    prompt = prompt_with_room(model, TEXT, 40)
    strip = SteeredStrip(
        model,
        prompt,
        GenerateSettings(max_new_tokens=40, seed=0),
        sae,
        scaled([steer], found.strength / STRENGTHS[-1]),
    )
    while strip.step():
        pass
    first, *_, last = strip.samples(found.usual)
    assert {first.verdict, last.verdict} <= {"usual", "strained"}


def test_on_a_large_model_nothing_is_tried_without_being_asked_for(
    model: LoadedModel,
) -> None:
    assert is_quick(model, 100)
    assert not is_quick(model, 10**6)
