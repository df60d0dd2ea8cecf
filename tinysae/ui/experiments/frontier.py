"""The frontier: a point an SAE, how few features it uses against how much it keeps."""

from collections.abc import Sequence
from typing import NamedTuple

import streamlit as st

from tinysae.config import choices
from tinysae.library.all_compared import all_compared, named_share
from tinysae.model.names import shown_name
from tinysae.render.visible import shortened
from tinysae.runs.compare import NAMED, Compared, Value, are_comparable, by_series
from tinysae.runs.frontier import Point, beaten_by, frontier
from tinysae.ui.experiments.chosen_sae import show_beside
from tinysae.ui.experiments.entries import (
    entry_names,
    figure_text,
    share_named,
    short_names,
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


Placed = tuple[Compared, Point]


class Picture(NamedTuple):
    """What is drawn.

    shown: the SAE it is about. same: those that can be compared with it, and it itself,
    each with its place; others: those of its model that cannot; n_elsewhere: how many
    are of other models, whose figures would only stretch the axes. best: of `same`,
    where those are that no other beats. names, short_names: by id, what they are called
    among each other.
    """

    shown: Compared
    same: list[Placed]
    others: list[Placed]
    n_elsewhere: int
    best: list[int]
    names: dict[str, str]
    short_names: dict[str, str]

    @property
    def places(self) -> list[Point]:
        """Of those that can be compared."""
        return [place for _, place in self.same]


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
            _draw(picture, kept, _not_drawn(picture, entries, here))
        show_left_out(entries.unreadable)
    if picture is not None:
        with right:
            show_beside(picture.shown)


def picture_of(
    entries: Sequence[Compared], chosen: str | None, kept: str
) -> Picture | None:
    """What there is to draw around the SAE that is chosen, or around the newest of its
    model, or of any, that was measured; None where none was."""
    placed = [(entry, place) for entry in entries if (place := _place(entry, kept))]
    if not placed:
        return None
    own = next((_model(entry) for entry in entries if entry.id == chosen), None)
    shown, _ = min(
        placed, key=lambda each: (each[0].id != chosen, _model(each[0]) != own)
    )
    near = [each for each in placed if _model(each[0]) == _model(shown)]
    same = [each for each in near if are_comparable(shown, each[0])]
    others = [each for each in near if not are_comparable(shown, each[0])]
    best = frontier([place for _, place in same])
    all_ = [entry for entry, _ in near]
    return Picture(
        shown,
        same,
        others,
        len(placed) - len(near),
        best,
        entry_names(all_),
        short_names(all_),
    )


def _model(entry: Compared) -> Value:
    return entry.settings.get("model_name")


def _place(entry: Compared, kept: str) -> Point | None:
    value = (
        named_share(entry, share_named) if kept == NAMED else entry.figures.get(kept)
    )
    if not entry.is_measured or value is None:
        return None
    return Point(entry.figures["l0"], value)


def _not_drawn(
    picture: Picture, entries: Sequence[Compared], here: Chosen
) -> str | None:
    """That it is not about what is chosen, where the model has no SAE that was measured
    or the SAE was not."""
    if here.model != (drawn := _model(picture.shown)):
        names = {"model": shown_name(here.model), "drawn": shown_name(str(drawn))}
        return t("experiments.none_of_model", **names)
    chosen = here.source and here.source.id
    own = [entry for entry in entries if entry.id == chosen and not entry.is_measured]
    return (
        t("experiments.unmeasured", name=entry_names(own)[own[0].id]) if own else None
    )


def _draw(picture: Picture, kept: str, not_drawn: str | None) -> None:
    said = sentence(picture, kept)
    name = t(f"experiments.figure_{kept}")
    scatter(
        [
            *(_dot(*each, picture) for each in picture.same),
            *(_dot(*each, picture, is_hollow=True) for each in picture.others),
        ],
        _lines(picture),
        key="experiments_frontier",
        of=f"{kept} {_model(picture.shown)}",
        alt=t("experiments.alt", kept=name, said=said),
        x_title=t("experiments.axis_l0"),
        on_click=lambda entry_id: choose(run=entry_id),
        chosen=picture.shown.id,
        height=CHART_PX,
    )
    with st.container(key="experiments_said", gap="xxsmall"):
        with st.container(key="experiments_legend"):
            _show_legend(picture)
        if not_drawn:
            note(not_drawn)
        note(said)
        if picture.others:
            note(t("experiments.hollow", n=len(picture.others)))
        if picture.n_elsewhere:
            note(t("experiments.elsewhere", n=picture.n_elsewhere))


def _dot(
    entry: Compared, place: Point, picture: Picture, *, is_hollow: bool = False
) -> Dot:
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
        shortened(picture.short_names[entry.id], NAME_LETTERS),
        [picture.names[entry.id], *figures],
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
    at = {entry.id: place for entry, place in picture.same}
    series = [
        Line([at[entry.id] for entry in entries], _colour_of(entries[0]))
        for entries in by_series(entry for entry, _ in picture.same)
    ]
    best = [picture.places[n] for n in picture.best]
    return [*series, Line(best, LINE, is_main=True)] if best[1:] else series


def _show_legend(picture: Picture) -> None:
    """Which colour is which architecture, of those that are there."""
    there = dict.fromkeys(
        str(entry.settings.get("architecture"))
        for entry, _ in (*picture.same, *picture.others)
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
    at = next(n for n, (each, _) in enumerate(picture.same) if each is picture.shown)
    place = picture.places[at]
    values = {
        "name": picture.names[picture.shown.id],
        "kept": figure_text(kept, place.kept),
        "l0": figure_text("l0", place.l0),
        "what": t(f"experiments.what_{kept}"),
    }
    if len(picture.same) == 1:
        return t("experiments.says_alone", **values)
    counts = {"n": len(picture.same), "best": len(picture.best)}
    if at in picture.best:
        return t("experiments.says_best", **values, **counts)
    other, better = picture.same[beaten_by(at, picture.places)[0]]
    return t(
        "experiments.says_beaten",
        **values,
        **counts,
        other=picture.names[other.id],
        other_kept=figure_text(kept, better.kept),
        other_l0=figure_text("l0", better.l0),
    )
