"""What a plot is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tinysae.data.storybook.macros import MACROS
from tinysae.data.storybook.slots import SLOT_VALUES, slot_of
from tinysae.data.storybook.templates import Template, parse, slots_of


@dataclass(frozen=True)
class Plot:
    """One plot: its wordings as a template, and what its slots may hold.

    `key` is the slot of the thing the story is about; with the protagonist and the
    second named character (`second`, the slot "friend" or "pet_name") it makes the
    cast that is held out or not. `only` narrows the fillers of some slots.
    """

    name: str
    key: str
    text: str
    second: str = "friend"
    only: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def template(self) -> Template:
        """The parsed text."""
        return parse(self.text, MACROS)

    def values(self) -> dict[str, tuple[str, ...]]:
        """Slot -> fillers, for the slots that the text uses."""
        every = SLOT_VALUES | dict(self.only)
        used = {slot_of(form) for form in slots_of(self.template())}
        return {slot: values for slot, values in every.items() if slot in used}
