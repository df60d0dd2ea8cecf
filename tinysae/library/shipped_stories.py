"""The stories that a first visitor sees, before there is a model in memory.

What the embedded model writes after the first prompt, with the settings that everybody
begins with; how likely it found every token, and which features of the embedded SAE
were at work there. Read from one JSON file, without numpy or torch;
`embedded.stories` makes it.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tinysae.checked_numbers import is_number, whole
from tinysae.errors import DamagedError
from tinysae.jobs.files import read_json, write_text
from tinysae.library.shipped import ASSETS, embedded_remedy

FORMAT = 1
STORIES_NAME = "stories.json"


@dataclass(frozen=True)
class ShippedStory:
    """A prompt and what the model wrote after it.

    Attributes:
        ids: tokens, the prompt's first, [n].
        texts: the piece of text of each; joined, the whole, [n].
        ended: why it ended (`model.text.generate.StopReason`).
        log_prob: natural logarithm of each token's probability, [n].
        rank: how many tokens were likelier, [n].
        entropy: of the whole distribution, in nats, [n].
        top_ids: the likeliest instead, likeliest first, [n][top].
        top_log_probs: theirs, [n][top].
        rivals: the text of the likeliest other token, [n].
        features: those at work at each token, the strongest first, as pairs of a number
            and an activation, [n][up to 8].
        n_features: how many are, [n].
        begin_at: the position of a word whose features have good names.
    """

    ids: list[int]
    texts: list[str]
    ended: str
    log_prob: list[float]
    rank: list[int]
    entropy: list[float]
    top_ids: list[list[int]]
    top_log_probs: list[list[float]]
    rivals: list[str]
    features: list[list[list[float]]]
    n_features: list[int]
    begin_at: int


@dataclass(frozen=True)
class ShippedStories:
    """All of them.

    Attributes:
        prompt: what the model was given.
        n_given: how many tokens that is.
        d_vocab: of the model.
        next_tokens: what could come after the prompt, likeliest first: pairs of a
            token's text and its probability.
        promoted: feature -> the words that it pushes most.
        stories: each with dice of its own.
    """

    prompt: str
    n_given: int
    d_vocab: int
    next_tokens: list[list[Any]]
    promoted: dict[str, list[str]]
    stories: list[ShippedStory]


def write_stories(stories: ShippedStories, folder: Path = ASSETS) -> None:
    """Writes them into `folder`.

    Raises:
        OSError: the file cannot be written.
    """
    data = {"format": FORMAT, **asdict(stories)}
    # On lines of their own, its numbers would be three times as long.
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    write_text(folder / STORIES_NAME, text)


def read_stories(folder: Path = ASSETS) -> ShippedStories:
    """What `write_stories` wrote.

    Raises:
        DamagedError: there is no such file, or it is not what it should be.
    """
    with embedded_remedy():
        try:
            data = read_json(folder / STORIES_NAME)
            if data.pop("format") != FORMAT:
                raise ValueError(STORIES_NAME)
            told = [_checked(ShippedStory(**each)) for each in data.pop("stories")]
            return ShippedStories(**data, stories=told)
        except (OSError, ValueError, TypeError, KeyError, RecursionError) as problem:
            raise DamagedError("features_damaged", file=STORIES_NAME) from problem


def _checked(story: ShippedStory) -> ShippedStory:
    n = len(story.ids)
    columns: Sequence[Sequence[Any]] = (
        story.texts,
        story.log_prob,
        story.rank,
        story.entropy,
        story.top_ids,
        story.top_log_probs,
        story.rivals,
        story.features,
        story.n_features,
    )
    numbers = [*story.log_prob, *story.entropy, *story.rank, *story.n_features]
    if not (
        n > 0
        and whole(story.begin_at, high=n - 1) is not None
        and all(len(column) == n for column in columns)
        and all(isinstance(text, str) for text in (*story.texts, *story.rivals))
        and all(whole(token) is not None for token in story.ids)
        and all(map(is_number, numbers))
    ):
        raise ValueError(STORIES_NAME)
    return story
