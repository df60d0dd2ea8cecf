"""Two SAEs' features beside each other: found by both, split, or by one alone."""

import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

import numpy as np
import streamlit as st

from tinysae.errors import TinysaeError
from tinysae.features.firing_together import TOGETHER
from tinysae.features.matching import Matching
from tinysae.library.feature_source import FeatureSource
from tinysae.library.text_read import text_name
from tinysae.render.numbers import NO_FIGURE
from tinysae.render.visible import shortened
from tinysae.ui.experiments.matched import Firing, firing_of, has_firing
from tinysae.ui.parts.one_of import one_of
from tinysae.ui.shell.cache import feature_labels
from tinysae.ui.shell.i18n import language, t
from tinysae.ui.shell.page import note, page_link

if TYPE_CHECKING:
    from tinysae.features.names.labels import Label

# What both found, what one has whole and the other in parts, what one alone has.
Which = Literal["both", "split_one", "split_other", "only_one", "only_other"]
# The first of each: nobody reads thousands.
MOST_ROWS = 300
SEEN_ROWS, ROW_PX = 8, 35
# Of an SAE's name over a list.
NAME_LETTERS = 24


class Match(NamedTuple):
    """A feature of one, and one of the other's; None: there is none."""

    one: int | None
    other: int | None
    cosine: float


def show_pairs(
    names: Sequence[str],
    sources: tuple[FeatureSource, FeatureSource],
    matching: Matching,
) -> None:
    """The lists; a ticked row leads to its features.

    Args:
        names: what the two are called (untrusted text).
        sources: their features.
        matching: of these.
    """
    short = [shortened(name, NAME_LETTERS) for name in names]
    lists = {which: matches(matching, which) for which in get_args(Which)}
    labels = {
        which: t(f"experiments.list_{which}", one=short[0], other=short[1])
        + f" ({_n_features(found, which):,})"
        for which, found in lists.items()
    }
    which: Which = one_of(
        t("experiments.lists"),
        labels,
        "both",
        key="experiments.list",
        label_visibility="collapsed",
    )
    found = lists[which][:MOST_ROWS]
    note(t(f"experiments.list_{which}_help"))
    if found:
        firing = firing_of(*sources) if has_firing(*sources) else None
        ticked = _show(found, names, [_namer(each) for each in sources], firing, which)
        _show_links(ticked, names, sources)


def matches(matching: Matching, which: Which) -> list[Match]:
    """What is in a list, the nearest first; a split feature has a row for each part."""
    side, is_other = matching.sides[which.endswith("other")], which.endswith("other")
    found: list[Match] = []
    if which == "both":
        for n in side.of_fate("both").tolist():
            found.append(Match(n, int(side.nearest[n]), float(side.cosine[n])))
        return found
    for n in side.of_fate("split" if which.startswith("split") else "only").tolist():
        near = side.near.get(n) if which.startswith("split") else None
        parts = near or [(int(side.nearest[n]), float(side.cosine[n]))]
        for feature, cosine in parts:
            pair = (feature, n) if is_other else (n, feature)
            found.append(Match(*pair, cosine))
    return found


def _n_features(found: Sequence[Match], which: Which) -> int:
    """How many features a list is about: a split one has several rows."""
    return len({each.other if which.endswith("other") else each.one for each in found})


def show_firing(firing: Firing, matching: Matching) -> None:
    """How many of the pairs that both found also fire together."""
    pairs = [(m.one, m.other) for m in matches(matching, "both")]
    phi = np.array([firing.phi.get(pair, math.nan) for pair in pairs])
    known = phi[np.isfinite(phi)]
    note(
        t(
            "experiments.firing_said",
            n=f"{int((known >= TOGETHER).sum()):,}",
            of=f"{len(known):,}",
            median=f"{np.median(known):.2f}" if len(known) else NO_FIGURE,
            bound=f"{TOGETHER:g}",
            tokens=f"{firing.counts.n_tokens:,}",
            text=text_name(firing.text, language()),
        )
    )


def _namer(source: FeatureSource) -> Callable[[int], str]:
    """A feature's number -> what it is called (untrusted text)."""
    from tinysae.features.names.labels import namer

    labels: list[Label] = []
    if source.is_open:
        with suppress(TinysaeError):
            labels = feature_labels(source)
    named = namer(labels, language())
    return lambda n: named(n) or t("features.one", feature=n)


def _show(
    found: Sequence[Match],
    names: Sequence[str],
    named: Sequence[Callable[[int], str]],
    firing: Firing | None,
    which: str,
) -> Match | None:
    """The list; returns the row that is ticked."""
    import pandas as pd

    rows = [_row(each, named, firing) for each in found]
    column = st.column_config
    event: Any = st.dataframe(
        pd.DataFrame(rows),
        key=f"experiments.pairs.{which}",
        on_select="rerun",
        selection_mode="single-row",
        hide_index=True,
        height=ROW_PX * (min(len(found), SEEN_ROWS) + 1) + 3,
        row_height=ROW_PX,
        placeholder=NO_FIGURE,
        column_config={
            "one": column.TextColumn(names[0]),
            "other": column.TextColumn(names[1]),
            "n_one": column.NumberColumn("#", width=60),
            "n_other": column.NumberColumn("#", width=60),
            "cosine": column.NumberColumn(t("experiments.cosine"), format="%.2f"),
            "phi": column.NumberColumn(t("experiments.phi"), format="%.2f"),
        },
    )
    ticked = [n for n in event["selection"]["rows"] if isinstance(n, int)]
    return found[ticked[0]] if ticked and ticked[0] < len(found) else None


def _row(
    each: Match, named: Sequence[Callable[[int], str]], firing: Firing | None
) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for name, feature, name_of in zip(
        ("one", "other"), (each.one, each.other), named, strict=True
    ):
        row[name] = name_of(feature) if feature is not None else None
        row[f"n_{name}"] = feature
    row["cosine"] = each.cosine
    if firing is not None:
        row["phi"] = firing.phi.get((each.one, each.other))
    return row


def _show_links(
    ticked: Match | None,
    names: Sequence[str],
    sources: tuple[FeatureSource, FeatureSource],
) -> None:
    # Its place is there before a row is ticked.
    with st.container(horizontal=True, key="experiments_pair"):
        if ticked is None:
            note(t("experiments.tick_pair"))
            return
        for feature, name, source in zip(ticked[:2], names, sources, strict=True):
            if feature is not None and source.is_open:
                label = t("experiments.to_feature", feature=feature, name=name)
                page_link("features", label, run=source.id, feature=str(feature))
