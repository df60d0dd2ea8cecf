"""The frontier: a point an SAE, how few features it uses against how much it keeps."""

from collections.abc import Sequence
from typing import NamedTuple

import streamlit as st

from tinysae.config import choices
from tinysae.library.all_compared import all_compared
from tinysae.runs.compare import NAMED, Compared, are_comparable, by_series
from tinysae.runs.frontier import Point, beaten_by, frontier
from tinysae.ui.experiments.beside import show_beside
from tinysae.ui.experiments.entries import (
    entry_name,
    figure_text,
    named_share,
)
from tinysae.ui.parts.charts import colour
from tinysae.ui.parts.left_out import show_left_out
from tinysae.ui.parts.one_of import one_of
from tinysae.ui.parts.scatter import Dot, Line, Symbol, scatter
from tinysae.ui.shell.chosen import Chosen, choose
from tinysae.ui.shell.i18n import t
from tinysae.ui.shell.page import note

# What an SAE keeps, as a share.
KEPT = ("ce_loss_score", "explained_variance", NAMED)
SYMBOLS: dict[str, Symbol] = {"run": "circle", "shipped": "diamond", "saved": "square"}
CHART_PX = 400
NAME_LETTERS = 24
# Of the palette: the line's, and that of an architecture that nobody knows.
LINE, UNKNOWN = 0, 5


class Picture(NamedTuple):
    """What is drawn: SAEs that can be compared with the shown one, with their places,
    and those that cannot.

    best: of `entries`, where those are that no other beats.
    """

    shown: Compared
    entries: list[Compared]
    places: list[Point]
    others: list[Compared]
    other_places: list[Point]
    best: list[int]


def show_frontier(here: Chosen) -> None:
    """The picture, what it says, and the chosen SAE beside it."""
    entries = all_compared()
    left, right = st.columns([5, 3], gap="medium")
    with left:
        kept = one_of(
            t("experiments.kept"),
            {name: t(f"experiments.figure_{name}") for name in KEPT},
            KEPT[0],
            key="experiments.kept",
            label_visibility="collapsed",
        )
        picture = picture_of(entries, here.source and here.source.id, kept)
        if picture is None:
            note(t("experiments.none_measured"))
        else:
            _draw(picture, kept)
        show_left_out(entries.unreadable)
    if picture is not None:
        with right:
            show_beside(picture.shown)


def picture_of(
    entries: Sequence[Compared], chosen: str | None, kept: str
) -> Picture | None:
    """What there is to draw around the SAE that is chosen, or around the newest that
    was measured; None where none was."""
    placed = [(entry, place) for entry in entries if (place := _place(entry, kept))]
    if not placed:
        return None
    shown = next((e for e, _ in placed if e.id == chosen), placed[0][0])
    same = [each for each in placed if are_comparable(shown, each[0])]
    rest = [each for each in placed if not are_comparable(shown, each[0])]
    places = [place for _, place in same]
    return Picture(
        shown,
        [entry for entry, _ in same],
        places,
        [entry for entry, _ in rest],
        [place for _, place in rest],
        frontier(places),
    )


def _place(entry: Compared, kept: str) -> Point | None:
    value = named_share(entry) if kept == NAMED else entry.figures.get(kept)
    if not entry.is_measured or value is None:
        return None
    return Point(entry.figures["l0"], value)


def _draw(picture: Picture, kept: str) -> None:
    said = sentence(picture, kept)
    name = t(f"experiments.figure_{kept}")
    scatter(
        [
            *map(_dot, picture.entries, picture.places),
            *(
                _dot(entry, place, is_hollow=True)
                for entry, place in zip(
                    picture.others, picture.other_places, strict=True
                )
            ),
        ],
        _lines(picture),
        key="experiments_frontier",
        alt=t("experiments.alt", kept=name, said=said),
        x_title=t("experiments.axis_l0"),
        on_click=lambda entry_id: choose(run=entry_id),
        chosen=picture.shown.id,
        height=CHART_PX,
    )
    with st.container(key="experiments_said", gap="xxsmall"):
        _show_legend(picture)
        note(said)
        if picture.others:
            note(t("experiments.hollow", n=len(picture.others)))


def _dot(entry: Compared, place: Point, *, is_hollow: bool = False) -> Dot:
    name = entry_name(entry)
    figures = [
        f"L0 {figure_text('l0', place.l0)}",
        *(
            f"{t(f'experiments.figure_{each}')} {figure_text(each, value)}"
            for each in KEPT
            if (value := entry.figures.get(each)) is not None
        ),
    ]
    return Dot(
        entry.id,
        place.l0,
        place.kept,
        name if len(name) <= NAME_LETTERS else f"{name[:NAME_LETTERS]}…",
        [name, *figures],
        _colour_of(entry),
        SYMBOLS[entry.kind],
        is_hollow,
    )


def _colour_of(entry: Compared) -> int:
    known = choices("architecture")
    architecture = entry.settings.get("architecture")
    return known.index(architecture) if architecture in known else UNKNOWN


def _lines(picture: Picture) -> list[Line]:
    """Each series' own, then the frontier over them."""
    at = {
        entry.id: place
        for entry, place in zip(picture.entries, picture.places, strict=True)
    }
    series = [
        Line([at[entry.id] for entry in entries], _colour_of(entries[0]))
        for entries in by_series(picture.entries)
    ]
    best = [picture.places[n] for n in picture.best]
    return [*series, Line(best, LINE, is_main=True)] if best[1:] else series


def _show_legend(picture: Picture) -> None:
    """Which colour is which architecture, of those that are there."""
    there = dict.fromkeys(
        str(entry.settings.get("architecture"))
        for entry in (*picture.entries, *picture.others)
    )
    known = [name for name in choices("architecture") if name in there]
    named = "&emsp;".join(
        f'<span style="color:{colour(choices("architecture").index(name))}">'
        f"\N{BLACK CIRCLE}</span> {name}"
        for name in known
    )
    st.html(f"<small>{named}</small>")


def sentence(picture: Picture, kept: str) -> str:
    """What the picture shows, said of the data."""
    at = picture.entries.index(picture.shown)
    place = picture.places[at]
    values = {
        "name": entry_name(picture.shown),
        "kept": figure_text(kept, place.kept),
        "l0": figure_text("l0", place.l0),
        "what": t(f"experiments.what_{kept}"),
    }
    if len(picture.entries) == 1:
        return t("experiments.says_alone", **values)
    counts = {"n": len(picture.entries), "best": len(picture.best)}
    if at in picture.best:
        return t("experiments.says_best", **values, **counts)
    better = beaten_by(at, picture.places)[0]
    return t(
        "experiments.says_beaten",
        **values,
        **counts,
        other=entry_name(picture.entries[better]),
        other_kept=figure_text(kept, picture.places[better].kept),
        other_l0=figure_text("l0", picture.places[better].l0),
    )
