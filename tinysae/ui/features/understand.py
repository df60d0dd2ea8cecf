"""What somebody looks for who types into the one search box: a word, a sentence, a name
or a number.

Each way to read it is a `Reading`; the likeliest is taken, and the others are offered
beside it. A link may say which is meant (`by=`).
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal, get_args

from tinysae.checked_numbers import typed_whole
from tinysae.errors import InputError
from tinysae.features.index.search import NameHit, by_words, find_tokens

if TYPE_CHECKING:
    from tinysae.features.names.labels import Label
    from tinysae.features.names.notes import Note
    from tinysae.model.text.vocabulary import Vocabulary

Reading = Literal["number", "concept", "fires_on", "raises", "words", "text"]
READINGS: tuple[Reading, ...] = get_args(Reading)


def readings(
    query: str,
    *,
    d_sae: int,
    vocabulary: "Vocabulary",
    concepts: Mapping[str, str],
    is_name: bool,
) -> list[Reading]:
    """The ways to read `query`, the likeliest first; none for nothing.

    Args:
        query: what was typed.
        d_sae: how many features there are.
        vocabulary: the model's tokens.
        concepts: those that name a feature, and what they are called.
        is_name: whether a feature's name or note has its words.
    """
    typed = query.strip()
    if not typed:
        return []
    found: list[Reading] = []
    as_word: tuple[Reading, ...] = ("fires_on", "raises")
    if typed_whole(typed, d_sae) is not None:
        found.append("number")
    if concept_called(typed, concepts) is not None:
        found.append("concept")
    is_word = len(typed.split()) == 1
    if is_word and _is_token(typed, vocabulary):
        found += as_word
    if is_name:
        found.append("words")
    found.append("text")
    # A word that is no token by itself may begin one.
    if is_word and as_word[0] not in found:
        found += as_word
    return found


def concept_called(query: str, concepts: Mapping[str, str]) -> str | None:
    """The concept whose own name, or name in the reader's language, this is."""
    wanted = query.strip().casefold()
    for concept, name in concepts.items():
        if wanted in (concept.casefold(), name.casefold()):
            return concept
    return None


def by_name(
    labels: "Sequence[Label]",
    names: Sequence[str],
    notes: "Mapping[int, Note]",
    query: str,
) -> list[NameHit]:
    """As `by_words`, and after those the features whose name in the reader's language
    has every word of `query`; `names` [d_sae], or none.

    Raises:
        InputError: no word to look for.
    """
    hits = by_words(labels, notes, query)
    seen = {hit.feature for hit in hits}
    words = query.casefold().split()
    shown = [
        NameHit(feature, "label")
        for feature, name in enumerate(names)
        if feature not in seen and all(word in name.casefold() for word in words)
    ]
    return hits + shown


def _is_token(word: str, vocabulary: "Vocabulary") -> bool:
    """Whether it is one, not only the beginning of one."""
    try:
        found = find_tokens(vocabulary, word)
    except InputError:
        return False
    return found.text.strip(" ").casefold() == word.replace("␣", "").casefold()
