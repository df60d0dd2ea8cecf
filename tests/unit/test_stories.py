"""The stories of a first visit are what the model writes; a bad file is a sentence."""

import json
from pathlib import Path

import pytest

from tinysae.embedded.stories import build_stories
from tinysae.errors import DamagedError
from tinysae.features.index.search import active_features
from tinysae.library.shipped import ASSETS, STORYBOOK_SAE_DIR
from tinysae.library.shipped_stories import STORIES_NAME, read_stories, write_stories
from tinysae.model.sources import STORYBOOK, load_model
from tinysae.model.text.generate import GenerateSettings, Writing, settings_of_samples
from tinysae.model.text.logprobs import next_log_probs, token_stats
from tinysae.model.text.prompt import prepare_prompt
from tinysae.model.text.state import State
from tinysae.sae.load import load_sae
from tinysae.words import text


def test_they_are_what_the_model_writes_with_the_usual_settings() -> None:
    shipped, model = read_stories(), load_model(STORYBOOK)
    assert shipped.prompt == text("playground.prompt_default", "en")
    settings = GenerateSettings()
    prompt = prepare_prompt(model, shipped.prompt, settings.max_new_tokens)
    assert shipped.n_given == len(prompt.ids)
    assert shipped.d_vocab == model.d_vocab
    samples = settings_of_samples(settings, State().n_samples)
    for story, own in zip(shipped.stories, samples, strict=True):
        writing = Writing(model, prompt, own)
        while writing.step():
            pass
        assert story.ids == [*prompt.ids, *writing.ids]
        assert story.ended == writing.reason
        assert story.texts == model.token_texts(story.ids)
        # What a token was drawn with is what reading the whole says of it.
        written = story.log_prob[len(prompt.ids) :]
        assert writing.log_probs == pytest.approx(written, abs=2e-3)


def test_their_figures_are_the_models() -> None:
    shipped, model = read_stories(), load_model(STORYBOOK)
    sae = load_sae(STORYBOOK_SAE_DIR)
    for story in shipped.stories:
        stats = token_stats(model, story.ids)
        assert story.log_prob == pytest.approx(stats.log_prob.tolist(), abs=1e-3)
        assert story.entropy == pytest.approx(stats.entropy.tolist(), abs=1e-3)
        assert [top[0] for top in story.top_ids] == stats.top_ids[:, 0].tolist()
        at = story.begin_at
        active = active_features(sae, model, story.ids, at)
        assert story.n_features[at] == len(active)
        for (feature, activation), wanted in zip(
            story.features[at], active, strict=False
        ):
            assert feature == wanted.feature
            assert activation == pytest.approx(wanted.activation, abs=1e-3)
        assert all(str(int(f)) in shipped.promoted for f, _ in story.features[at])
    probs = next_log_probs(model, shipped.stories[0].ids[: shipped.n_given]).exp()
    for token, prob in shipped.next_tokens:
        assert prob == pytest.approx(
            float(probs[model.vocabulary.find(token)]), abs=1e-3
        )


def test_they_can_be_made_anew(tmp_path: Path) -> None:
    for source in ASSETS.iterdir():
        if source.is_dir():
            (tmp_path / source.name).symlink_to(source)
    made = build_stories(tmp_path)
    assert [story.ids for story in made.stories] == [
        story.ids for story in read_stories().stories
    ]
    assert read_stories(tmp_path) == made


@pytest.mark.parametrize(
    "damage",
    [
        "",
        "[]",
        "{}",
        '{"format": 2}',
        '{"format": 1, "stories": [{}]}',
        '{"format": 1, "stories": []}',
    ],
)
def test_a_damaged_file_is_a_sentence(tmp_path: Path, damage: str) -> None:
    (tmp_path / STORIES_NAME).write_text(damage)
    with pytest.raises(DamagedError):
        read_stories(tmp_path)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("texts", []),
        ("ids", ["<b>"]),
        ("log_prob", [0.5]),
        ("begin_at", 10_000),
        ("begin_at", None),
        ("stranger", 1),
    ],
)
def test_an_entry_of_the_wrong_kind_is_a_sentence(
    tmp_path: Path, name: str, value: object
) -> None:
    write_stories(read_stories(), tmp_path)
    path = tmp_path / STORIES_NAME
    data = json.loads(path.read_text())
    data["stories"][0][name] = value
    path.write_text(json.dumps(data))
    with pytest.raises(DamagedError):
        read_stories(tmp_path)


def test_none_there_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(DamagedError):
        read_stories(tmp_path)
