"""What fills the slots of a plot, read from `slots.json`.

A filler's forms are written "singular" or "singular/plural", a place
"preposition+noun".
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from tinysae.data.storybook.words import PET_NAMES

# In order: a plot's fillers are drawn slot by slot.
SLOT_VALUES: Final[dict[str, tuple[str, ...]]] = {"pet_name": PET_NAMES} | {
    slot: tuple(fillers)
    for slot, fillers in json.loads(
        Path(__file__).with_name("slots.json").read_text(encoding="utf-8")
    ).items()
}
"""Slot -> its fillers."""


def slot_of(form: str) -> str | None:
    """The slot behind a template's form ("a toy", "foods", "in town"); None if none.

    Pronouns have none: they follow from the name.
    """
    if form in ("N", "F"):
        return "name" if form == "N" else "friend"
    form = form[0].lower() + form[1:]
    noun = form.removeprefix("a ").removeprefix("in ")
    for slot in (noun, noun.removesuffix("s")):
        if slot in SLOT_VALUES:
            return slot
    first = noun.split(" ")[0]  # "adult she"
    return first if first in SLOT_VALUES and noun != first else None
