"""Tokens as text where their spaces would not be seen: in tables and on axes."""

import unicodedata

_SPACE = "␣"
_PICTURES = {"\n": "↵", "\t": "⇥"}


def visible(text: str) -> str:
    r"""`text` with ␣ for the spaces at its ends and `\x1b` for a control character.

    A text in which nothing can be seen (marks that join or direct others) is ◌.
    """
    core = text.strip(" ")
    start = len(text) - len(text.lstrip(" "))
    if core and all(unicodedata.category(character) == "Cf" for character in core):
        shown = "◌"
    else:
        shown = "".join(map(_picture, core))
    return _SPACE * start + shown + _SPACE * (len(text) - start - len(core))


def _picture(character: str) -> str:
    if unicodedata.category(character) == "Cc":
        return _PICTURES.get(character, f"\\x{ord(character):02x}")
    return character
