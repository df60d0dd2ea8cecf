"""What a feature is called where several stand beside each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tinysae.errors import DamagedError, MissingError
from tinysae.ui.parts.feature_names import feature_name
from tinysae.ui.parts.token_words import token_words
from tinysae.ui.shell import cache
from tinysae.ui.shell.i18n import language, t

if TYPE_CHECKING:
    from tinysae.features.why.attribution import Part
    from tinysae.library.feature_source import FeatureSource

# Of the words that a feature makes likelier.
N_PUSHED = 3


class Called(NamedTuple):
    """A feature's name, and what else tells it from the others; or nothing."""

    name: str
    second: str


def called(source: FeatureSource, feature: int) -> Called:
    """A feature's name, then the words that it pushes: those of one answer are on at
    the same token, and differ in what they push.

    Raises:
        MissingError, DamagedError: the index cannot be opened.
    """
    name = feature_name(source, feature)
    promoted = cache.feature_table(source)["promoted"].iloc[feature][:N_PUSHED]
    words = ", ".join(seen_word(token.replace("␣", " ")) for token in promoted)
    return Called(name, t("why.machine_pushes", words=words) if words else "")


def numbered(source: FeatureSource, feature: int) -> str:
    """A feature's name with its number; the number alone where there is no index."""
    try:
        name = called(source, feature).name
    except (MissingError, DamagedError):
        return t("why.part_feature", number=feature)
    return f"{name} · {feature}"


def part_called(source: FeatureSource, part: Part) -> str:
    """What any part of a logit is called."""
    from tinysae.features.why.attribution_table import part_name

    if part.number is not None and part.kind == "feature":
        return numbered(source, part.number)
    return part_name(part, language())


def seen_word(text: str) -> str:
    """A token as a word of the picture, in which none is empty."""
    return token_words([text])[0] or "·"
