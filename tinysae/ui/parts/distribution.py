"""The next token's distribution, before and after temperature, top-k and top-p.

Bars that move when a slider does explain sampling better than any sentence. Drawn by
`distribution.js` with `textContent` only.
"""

from collections.abc import Sequence
from importlib.resources import files
from typing import NamedTuple

from streamlit.components.v2 import component

from tinysae.render.numbers import percent
from tinysae.render.palette import SEQUENTIAL
from tinysae.render.visible import in_place
from tinysae.ui.shell.i18n import t


class Candidate(NamedTuple):
    """A token that could come next.

    Attributes:
        text: its exact text.
        before: the model's own probability.
        after: the probability it is drawn with; 0 when it is cut.
    """

    text: str
    before: float
    after: float


class Live(NamedTuple):
    """What the browser needs to move the bars while a temperature slider is dragged.

    Attributes:
        slider: its label.
        best: log-probability of each candidate by the model's own odds.
        rest: of all other tokens, how many have about which log-probability.
    """

    slider: str
    best: Sequence[float]
    rest: Sequence[tuple[float, int]]


def distribution_chart(
    candidates: Sequence[Candidate],
    *,
    key: str,
    words: str = "playground",
    is_short_on_phones: bool = False,
    live: Live | None = None,
) -> None:
    """Draw one row a candidate: an outline for `before`, a bar for `after`.

    `words`: whose sentences say what is before and after: "playground", where tokens
    may be cut, or "why", where something was changed. `is_short_on_phones`: only the
    first four there. `live`: the bars follow a slider before the page runs again.
    """
    is_why = words == "why"
    rows = [
        [
            in_place(text),
            round(before, 5),
            round(after, 5),
            percent(after) if after or is_why else t("playground.cut"),
            t(f"{words}.bar_note", before=percent(before), after=percent(after)),
        ]
        for text, before, after in candidates
    ]
    _COMPONENT(
        key=key,
        data={
            "rows": rows,
            "short": is_short_on_phones,
            "live": live._asdict() if live is not None else None,
            "before": t(f"{words}.bar_before"),
            "after": t("why.bar_changed" if is_why else "playground.bar_after"),
        },
    )


def _colours() -> str:
    # Step 5 stands out from both backgrounds; the greys are AA on them.
    return (
        f".bars{{--bar:light-dark({SEQUENTIAL.light[5]},{SEQUENTIAL.dark[5]});"
        f"--outline:light-dark({SEQUENTIAL.light[8]},{SEQUENTIAL.dark[8]});"
        "--muted:light-dark(#66706E,#98A3A1)}"
    )


_FILES = files("tinysae.ui.parts")
_COMPONENT = component(
    "tinysae_distribution",
    js=(_FILES / "distribution.js").read_text(encoding="utf-8"),
    css=(_FILES / "distribution.css").read_text(encoding="utf-8") + _colours(),
)
