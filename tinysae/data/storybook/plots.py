"""The storybook's plots: what may happen, in the order in which it happens.

They are read from `plots.json`; `macros.json` has the wordings that many plots share:
openings, meetings, homecomings, cues. Both are written in the language of `templates`,
as a list of lines.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

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
    second: str
    only: Mapping[str, tuple[str, ...]]

    def template(self) -> Template:
        """The parsed text."""
        return parse(self.text, MACROS)

    def values(self) -> dict[str, tuple[str, ...]]:
        """Slot -> fillers, for the slots that the text uses."""
        every = SLOT_VALUES | dict(self.only)
        used = {slot_of(form) for form in slots_of(self.template())}
        return {slot: values for slot, values in every.items() if slot in used}


def _read(name: str) -> Any:
    return json.loads(Path(__file__).with_name(name).read_text(encoding="utf-8"))


# Only the protagonist ever follows
# "In the end,", "At last,", "That night,", "From that day on,", "The next day,",
# "Later that day,", "When it was time to go home," (by name) or "After that,",
# "Now", "Before bed,", "On the way home,", "Deep inside,", (by pronoun).
MACROS: Final[dict[str, str]] = {
    name: "\n".join(lines) for name, lines in _read("macros.json").items()
}
"""Name -> wording, in the language of `templates`."""

PLOTS: Final[tuple[Plot, ...]] = tuple(
    Plot(
        name=plot["name"],
        key=plot["key"],
        text="\n".join(plot["text"]),
        second=plot.get("second", "friend"),
        only={slot: tuple(fillers) for slot, fillers in plot.get("only", {}).items()},
    )
    for plot in _read("plots.json")
)
"""Every plot of the storybook."""
