"""What the embedded model writes for who comes for the first time, made in advance."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tinysae.features.index.reader import open_index
from tinysae.features.names.label_file import read_labels
from tinysae.library.shipped import (
    ASSETS,
    STORYBOOK_FEATURES_DIR,
    STORYBOOK_SAE_DIR,
)
from tinysae.library.shipped_stories import ShippedStories, ShippedStory, write_stories
from tinysae.model.sources import STORYBOOK, load_model
from tinysae.model.text.generate import Writing, settings_of_samples
from tinysae.model.text.logprobs import next_log_probs, token_stats
from tinysae.model.text.prompt import prepare_prompt
from tinysae.model.text.state import State
from tinysae.sae.load import load_sae
from tinysae.words import text

if TYPE_CHECKING:
    from tinysae.features.names.labels import Label
    from tinysae.model.loaded import LoadedModel
    from tinysae.sae.load import SAE

# At a token; a page shows no more.
N_FEATURES = 8
N_PROMOTED = 6
# Of these a first visitor reads the names.
N_CLEAR = 3
N_NEXT = 12
# A ten-thousandth of a nat is nothing that a page can show.
DIGITS = 4


def build_stories(assets: Path = ASSETS) -> ShippedStories:
    """Writes the stories of the model and the SAE in `assets` into it.

    Raises:
        MissingError, DamagedError: the model, the SAE or its index cannot be read.
        OSError: the file cannot be written.
    """
    model = load_model(STORYBOOK if assets == ASSETS else str(assets / STORYBOOK))
    sae = load_sae(assets / STORYBOOK_SAE_DIR.name)
    state = State(prompt=text("playground.prompt_default", "en"))
    prompt = prepare_prompt(model, state.prompt, state.settings.max_new_tokens)
    told: list[ShippedStory] = []
    for settings in settings_of_samples(state.settings, state.n_samples):
        writing = Writing(model, prompt, settings)
        while writing.step():
            pass
        ids = [*prompt.ids, *writing.ids]
        told.append(_story(model, sae, ids, writing.reason or "length"))
    features_dir = assets / STORYBOOK_FEATURES_DIR.name
    labels = read_labels(features_dir)
    told = [
        replace(story, begin_at=_clearest(story, labels, len(prompt.ids)))
        for story in told
    ]
    table = open_index(features_dir).table()
    used = {int(f) for story in told for at in story.features for f, _ in at}
    after = next_log_probs(model, prompt.ids)
    best = after.topk(N_NEXT)
    stories = ShippedStories(
        prompt=state.prompt,
        n_given=len(prompt.ids),
        d_vocab=model.d_vocab,
        next_tokens=[
            [model.token_text(token), round(prob, DIGITS + 2)]
            for token, prob in zip(
                best.indices.tolist(), best.values.exp().tolist(), strict=True
            )
        ],
        promoted={
            str(feature): list(table["promoted"][feature])[:N_PROMOTED]
            for feature in sorted(used)
        },
        stories=told,
    )
    write_stories(stories, assets)
    return stories


def _story(
    model: "LoadedModel", sae: "SAE", ids: list[int], ended: str
) -> ShippedStory:
    import torch

    from tinysae.features.fit import read_at_hook

    stats = token_stats(model, ids)
    with torch.inference_mode():
        acts = sae.encode(read_at_hook(sae, model, ids)[1:]).numpy()
    features: list[list[list[float]]] = []
    for row in acts:
        active = np.flatnonzero(row > 0)
        strongest = active[np.argsort(-row[active], kind="stable")][:N_FEATURES]
        features.append([[int(f), round(float(row[f]), DIGITS)] for f in strongest])
    return ShippedStory(
        ids=ids,
        texts=model.token_texts(ids),
        ended=ended,
        log_prob=_rounded(stats.log_prob),
        rank=stats.rank.tolist(),
        entropy=_rounded(stats.entropy),
        top_ids=stats.top_ids.tolist(),
        top_log_probs=[_rounded(row) for row in stats.top_log_probs],
        rivals=[
            model.token_text(int(top[0 if rank else 1]))
            for top, rank in zip(stats.top_ids, stats.rank, strict=True)
        ],
        features=features,
        n_features=(acts > 0).sum(axis=1).tolist(),
        begin_at=0,
    )


def _clearest(story: ShippedStory, labels: "Sequence[Label]", n_given: int) -> int:
    """The word that the model wrote whose strongest features are named best, by the F1
    of what they light up on."""

    def clarity(at: int) -> float:
        strongest = [int(feature) for feature, _ in story.features[at][:N_CLEAR]]
        named = [labels[f] for f in strongest if f < len(labels)]
        return sum(label.f1 or 0.0 for label in named if label.kind == "fires_on")

    words = [
        at
        for at in range(n_given, len(story.ids))
        if story.texts[at][:1] == " " and story.texts[at][1:].isalpha()
    ]
    return max(words, key=clarity, default=n_given)


def _rounded(values: np.ndarray) -> list[float]:
    return [round(float(value), DIGITS) for value in values]
