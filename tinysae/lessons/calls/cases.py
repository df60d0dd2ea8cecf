"""Held-out stories that end where the protagonist's name comes next."""

import random
import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

from tinysae.data.storybook.generator import Story, stories
from tinysae.data.storybook.words import BOY_NAMES, GIRL_NAMES
from tinysae.errors import InputError
from tinysae.model.text.continuing import spelling

if TYPE_CHECKING:
    from tinysae.model.sources import LoadedModel

NAME: Final = "{name}"
"""Where the name stands in a template."""
CHOOSING_SEED: Final = 40_010
"""Stories on which heads are chosen; no claim is checked on them."""
CHECKING_SEED: Final = 40_011
"""Stories on which claims are checked."""
MAX_CHARACTERS: Final = 900
"""So that any story fits the embedded model's 256 tokens with either name."""


class NameCase(NamedTuple):
    """A story up to where the name comes next, with `NAME` in place of the name.

    other: a name of the same kind that is nowhere in the story.
    """

    template: str
    name: str
    other: str


def filled(template: str, name: str) -> str:
    """The story about `name`. Only `NAME` is replaced: the rest is as it was typed."""
    return template.replace(NAME, name)


def read_name(model: "LoadedModel", template: str, name: str) -> tuple[list[int], int]:
    """The story's token ids, and the first token of the name after it.

    Raises:
        InputError: the story has no place for a name, or there is no name.
    """
    if NAME not in template:
        raise InputError("lesson_no_name", mark=NAME)
    token = spelling(model, f" {name.strip()}")
    if not name.strip() or not token:
        raise InputError("lesson_no_name", mark=NAME)
    return model.encode(filled(template, name.strip()).rstrip(" ")), token[0]


@lru_cache(maxsize=8)
def name_cases(seed: int, n: int) -> tuple[NameCase, ...]:
    """`n` stories whose friend has come up before the name is asked for."""
    return tuple(islice(_cases(seed), n))


def _cases(seed: int) -> Iterator[NameCase]:
    rng = random.Random(seed)
    for story in stories(seed, held_out=True):
        case = _case(story, rng)
        if case is not None:
            yield case


def _case(story: Story, rng: random.Random) -> NameCase | None:
    friend = story.mentions.get("friend", len(story.text))
    cues = [c for c in story.name_cues if friend < c < MAX_CHARACTERS]
    if not cues:
        return None
    text = story.text[: cues[-1]]
    kind = GIRL_NAMES if story.name in GIRL_NAMES else BOY_NAMES
    strangers = [name for name in kind if name not in text]
    template = re.sub(rf"\b{story.name}\b", NAME, text)
    return NameCase(template, story.name, rng.choice(strangers))
