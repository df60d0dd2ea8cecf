"""Text in which nothing hides: tokens in tables and on axes, and saved files."""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence

_SPACE = "␣"
_PICTURES = {"\n": "↵", "\t": "⇥"}
# What changes the order in which others are read (Unicode's Bidi_Control).
_DIRECTIONS = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
# These act on a terminal, a spreadsheet or a page, unseen; tabs and lines, however they
# end, do not.
_ACTING = re.compile(f"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f{_DIRECTIONS}]|\r(?!\n)")
# More than are told apart at a look: models of code have tokens of a hundred.
_MANY_SPACES = re.compile(f"{_SPACE}{{5,}}")
_HIDDEN = re.compile(f"[\x00-\x1f\x7f-\x9f{_DIRECTIONS}]")


def visible(text: str) -> str:
    r"""`text` with ␣ for the spaces at its ends and `\x1b` for a control character.

    A text in which nothing can be seen (marks that join or direct others) is ◌.
    """
    core = text.strip(" ")
    start = len(text) - len(text.lstrip(" "))
    if core and all(unicodedata.category(character) == "Cf" for character in core):
        shown = "◌"
    else:
        shown = _HIDDEN.sub(_escape, core)
    return _SPACE * start + shown + _SPACE * (len(text) - start - len(core))


def in_place(text: str) -> str:
    """`text`, `visible` but for the spaces at its ends, for where those are drawn."""
    core = text.strip(" ")
    return text.replace(core, visible(core)) if core else text


def as_word(text: str) -> str:
    """`text` as a sentence says it, `visible` but for the space before a word."""
    return visible(text.strip(" ") or text)


def as_words(texts: Sequence[str]) -> list[str]:
    """`texts` as a list says them: as words, with ␣ only where two would look alike;
    many of them are counted."""
    words = [as_word(text) for text in texts]
    times = Counter(words)
    return [
        _MANY_SPACES.sub(_counted, word if times[word] == 1 else visible(text))
        for word, text in zip(words, texts, strict=True)
    ]


def _counted(spaces: re.Match[str]) -> str:
    return f"{_SPACE}×{len(spaces[0])}"


def shortened(text: str, columns: int) -> str:
    """`text` cut between words to `columns` of letters; a Korean one takes two."""
    n_columns = 0
    for place, letter in enumerate(text):
        n_columns += _columns(letter)
        if n_columns > columns:
            return f"{text[:place].rsplit(' ', 1)[0].rstrip(' ,;:·')}…"
    return text


def in_lines(text: str, columns: int) -> list[str]:
    """`text` in lines of at most `columns` of letters, as `shortened` counts them,
    parted between words; a longer word has a line of its own."""
    lines = [""]
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}" if lines[-1] else word
        if lines[-1] and sum(map(_columns, longer)) > columns:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def _columns(letter: str) -> int:
    return 1 + (unicodedata.east_asian_width(letter) in "WF")


def harmless(text: str) -> str:
    r"""`text` for a file: `\x1b` for a control character and `\u202e` for a direction
    mark; lines and tabs stay."""
    return _ACTING.sub(_escape, text)


def _escape(found: re.Match[str]) -> str:
    character, code = found[0], ord(found[0])
    escaped = f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
    return _PICTURES.get(character, escaped)


def encodable(text: str) -> str:
    """`text` with lone surrogates, which no encoding has, as U+FFFD."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
