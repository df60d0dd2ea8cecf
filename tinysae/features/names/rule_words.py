"""A rule in words that a child reads, in either language."""

from collections.abc import Iterable, Sequence
from typing import Final

from tinysae.features.names.rules import Clause, Condition
from tinysae.render.visible import as_word, visible
from tinysae.words import Language, catalogue, text

N_SHORT: Final = 3
"""Words of a clause that a short name says."""
N_BESIDE, N_GIVEN = 2, 1
"""As many where something else has to hold, and of that."""
MOST_ENDS: Final = 2
"""Last words that a set of phrases may have to be told as "x after y"."""
# What is near is told like a word that is; what is named next like one that comes next.
_SAID_AS: Final = {"near": "recent", "about_to": "next"}
_SIGNS: Final = {
    ".": "stop",
    "?": "question",
    "!": "exclamation",
    ",": "comma",
    '"': "quote",
    "“": "quote_opens",
    "”": "quote_closes",
    '."': "speech_stop",
    '?"': "speech_question",
    '!"': "speech_exclamation",
    ',"': "speech_comma",
    ":": "colon",
    ";": "semicolon",
    "-": "hyphen",
    "–": "hyphen",
    "—": "hyphen",
    "'": "apostrophe",
    "’": "apostrophe",
    "(": "opens",
    "[": "opens",
    "{": "opens",
    ")": "closes",
    "]": "closes",
    "}": "closes",
}


def concept_name(concept: str, language: Language) -> str:
    """What a concept is called, else its own name as it is (untrusted text)."""
    key = f"concepts.{concept}"
    if key in catalogue():
        return text(key, language)
    return visible(concept.replace("_", " "))


def can_be_told(clause: Clause) -> bool:
    """Whether there are words for all that a clause, read from a file, says."""
    keys = [_given_key(each) for each in clause.given]
    for part in (clause, *clause.given):
        if part.kind == "shape":
            keys += [f"names.shape_{each}" for each in part.what]
    return all(key in catalogue() for key in keys)


def _given_key(part: Condition) -> str:
    return f"names.given_{_SAID_AS.get(part.kind, part.kind)}"


def clause_words(
    clause: Clause,
    language: Language,
    n_words: int = N_SHORT,
    n_given: int | None = None,
) -> str:
    """What a clause says, as untrusted text; of its words the first `n_words`, and of
    what else has to hold the first `n_given`, by default all."""
    is_short = n_words == N_SHORT
    n_own = N_BESIDE if is_short and clause.given else n_words
    what, place = _what(clause, clause.place, language, n_own), clause.place
    if clause.kind == "any":
        what = text("names.anything", language)
    elif clause.kind in ("after", "before", "recent", "near", "next", "about_to"):
        what = text(
            f"names.{_SAID_AS.get(clause.kind, clause.kind)}", language, what=what
        )
    for each in clause.given[:n_given]:
        told = _what(each, "anywhere", language, N_GIVEN if is_short else n_words)
        what = text(_given_key(each), language, what=what, given=told)
    if place == "anywhere" or _says_place(clause):
        return what
    return text(f"names.place_{place}", language, what=what)


def _says_place(clause: Clause) -> bool:
    """Whether a quotation mark's own name has its place in it."""
    is_quote = [sign_name(each) == "quote" for each in clause.what]
    return all(is_quote) and clause.place in ("in_speech", "outside_speech")


def _what(part: Condition, place: str, language: Language, n_words: int) -> str:
    if part.kind in ("fires_on", "about_to", "near"):
        told = [concept_name(each, language) for each in part.what]
    elif part.kind == "shape":
        told = [text(f"names.shape_{each}", language) for each in part.what]
    elif part.kind == "phrase":
        return _phrases(part, place, language, n_words)
    else:
        told = [piece(each, language, place) for each in part.what]
    return _list(told, part.n, language, n_words)


def _phrases(clause: Condition, place: str, language: Language, n_words: int) -> str:
    parts = [each.partition(" ") for each in clause.what]
    befores = list(dict.fromkeys(before for before, _, _ in parts))
    lasts = list(dict.fromkeys(last for _, _, last in parts))
    is_product = len(lasts) <= MOST_ENDS or len(befores) <= MOST_ENDS
    if len(clause.what) > 1 and not is_product and all(map(is_word, lasts)):
        told = [text("names.word", language, what=visible(p)) for p in clause.what]
        return _list(told, clause.n, language, n_words)
    n_last, n_before = (
        max(len(own), clause.n) if len(own) > MOST_ENDS else len(own)
        for own in (lasts, befores)
    )
    last = [piece(each, language, place) for each in lasts]
    before = [piece(each, language) for each in befores]
    return text(
        "names.last_after",
        language,
        what=_list(last, n_last, language, n_words),
        before=_list(before, n_before, language, n_words),
    )


def _list(told: Sequence[str], n: int, language: Language, n_words: int) -> str:
    own = list(dict.fromkeys(told))
    shown = joined(own[:n_words], language)
    if n <= n_words or (len(own) <= n_words and n <= len(told)):
        return shown
    if n_words <= N_SHORT:
        # What has a name of its own is no word that others are like.
        key = "names.more" if is_quoted(own[:n_words][-1]) else "names.more_kinds"
        return text(key, language, what=shown)
    left = n - min(n_words, len(told))
    return text("names.all", language, what=shown, n=left) if left else shown


def joined(told: Iterable[str], language: Language) -> str:
    """Words as a list."""
    first, *others = told
    for other in others:
        first = text("names.list", language, first=first, rest=other)
    return first


def piece(what: str, language: Language, place: str = "anywhere") -> str:
    """A word in quotation marks, a sign by its name."""
    sign = sign_name(what)
    if sign is None:
        return text("names.word", language, what=as_word(what))
    if sign == "quote" and place == "in_speech":
        sign = "quote_opens"
    elif sign == "quote" and place == "outside_speech":
        sign = "quote_closes"
    return text(f"names.sign_{sign}", language, what=as_word(what))


def is_quoted(told: str) -> bool:
    """Whether it is a word in quotation marks, not the name of a sign or a concept."""
    return told.startswith("“") and told.endswith("”")


def is_word(what: str) -> bool:
    """Whether there is a letter or a digit in it."""
    return any(letter.isalnum() for letter in what)


def sign_name(what: str) -> str | None:
    """What a piece without a letter is called, None for one with letters."""
    if is_word(what):
        return None
    own = what.strip()
    if not own:
        return "line" if "\n" in what else "space"
    return _SIGNS.get(own, "other")
