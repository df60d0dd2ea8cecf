"""Face to face: two SAEs of one model, figure by figure and feature by feature."""

import html
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import streamlit as st

from tinysae.features.matching import BOTH, FATES, NEAR, Fate, Matching
from tinysae.library.all_compared import all_compared
from tinysae.library.feature_source import FeatureSource
from tinysae.render.numbers import percent
from tinysae.runs.compare import FIGURES, Compared, are_comparable, differing
from tinysae.sae.load import WEIGHTS_NAME
from tinysae.ui.experiments import pairs_table
from tinysae.ui.experiments.entries import (
    column_name,
    entry_name,
    entry_names,
    figure_text,
    setting_text,
    source_of,
)
from tinysae.ui.experiments.matched import firing_of, has_firing, matching_of
from tinysae.ui.parts.sae_names import show_list
from tinysae.ui.shell.chosen import Chosen
from tinysae.ui.shell.i18n import t
from tinysae.ui.shell.page import empty_state, note

# The other one, in the link; the first is the sidebar's.
OTHER = "other"
# Settings in which two differ that a reader can take in.
MOST_SETTINGS = 6
# What stands in two columns beside each other.
_BETTER = "\N{BLACK CIRCLE}"


class Pair(NamedTuple):
    """Two SAEs, their features, and what they are called beside each other."""

    entries: tuple[Compared, Compared]
    sources: tuple[FeatureSource, FeatureSource]
    names: tuple[str, ...]


def show_face_to_face(here: Chosen) -> None:
    """Whom it stands beside, then figures and features of both."""
    entries = all_compared()
    one = next((e for e in entries if here.source and e.id == here.source.id), None)
    others = rivals(one, entries) if one is not None else []
    if one is not None:
        _show_refused(one, entries, others)
    if one is None or here.source is None or not others:
        empty_state("experiments.no_rival", page="train", link_key="common.no_sae_link")
        return
    other = _choose(one, others)
    source = source_of(other)
    if source is None:
        return
    names = tuple(entry_names((one, other)).values())
    pair = Pair((one, other), (here.source, source), names)
    matching = matching_of(*pair.sources)
    left, right = st.columns(2, gap="medium")
    with left:
        _show_agreement(pair, matching)
        _show_firing(pair)
    with right:
        st.html(_figures(pair))
        is_fair = are_comparable(one, other)
        note(t("experiments.better" if is_fair else "experiments.figures_apart"))
    pairs_table.show_pairs(pair.names, pair.sources, matching)


def rivals(one: Compared, entries: Sequence[Compared]) -> list[Compared]:
    """Those that can stand beside it: of its model, with weights, those of its own
    place first. Places of one model's residual stream share its directions."""
    found = [
        entry
        for entry in entries
        if entry.id != one.id
        and entry.settings.get("model_name") == one.settings.get("model_name")
        and (source := source_of(entry)) is not None
        and (source.sae_dir / WEIGHTS_NAME).is_file()
    ]
    return sorted(found, key=lambda entry: not _is_of_one_place(one, entry))


def _show_refused(
    one: Compared, entries: Sequence[Compared], others: Sequence[Compared]
) -> None:
    """That the link's other one is none of its rivals."""
    linked = st.query_params.get(OTHER)
    asked = [entry for entry in entries if entry.id == linked]
    if asked and asked[0] not in (one, *others):
        note(t("experiments.no_pair", name=entry_name(asked[0])))


def _is_of_one_place(one: Compared, other: Compared) -> bool:
    return one.settings.get("hook_name") == other.settings.get("hook_name")


def _choose(one: Compared, others: Sequence[Compared]) -> Compared:
    names = entry_names(others)
    linked = st.query_params.get(OTHER, "")
    chosen = next((each for each in others if each.id == linked), others[0])

    def keep(entry_id: str) -> None:
        st.query_params[OTHER] = entry_id

    show_list(
        t("experiments.beside", name=entry_name(one)),
        names,
        chosen.id,
        key="experiments.other",
        on_choice=keep,
        width=480,
    )
    return chosen


def _show_agreement(pair: Pair, matching: Matching) -> None:
    """What became of either one's features in the other: bars, and a sentence."""
    rows = [
        _bar(name, side.counts())
        for name, side in zip(pair.names, matching.sides, strict=True)
    ]
    st.html(f'<div class="fates">{"".join(rows)}{_key()}</div>')
    said = {
        "share": percent(matching.agreement),
        "n": f"{matching.n_both:,}",
        "smaller": f"{min(len(side.cosine) for side in matching.sides):,}",
        "bound": f"{BOTH:g}",
        "mean": f"{matching.mean_max_cosine:.2f}",
    }
    note(t("experiments.agreement", **said))
    if _is_of_one_place(*pair.entries):
        told = differing([entry.settings for entry in pair.entries])
        key = "experiments.agreement_seeds" if told == ["seed"] else None
        note(t(key or "experiments.agreement_source", near=f"{NEAR:g}"))
    else:
        note(t("experiments.other_place"))


def _bar(name: str, counts: Mapping[Fate, int]) -> str:
    """One SAE's features as a bar of what became of them."""
    total = max(1, sum(counts.values()))
    parts = "".join(
        f'<i class="{fate}" style="width:{counts[fate] / total:.2%}"></i>'
        for fate in FATES
    )
    said = " · ".join(
        f"{t(f'experiments.fate_{fate}')} {counts[fate]:,}" for fate in FATES
    )
    return (
        f"<p>{html.escape(name)}</p>"
        f'<div aria-hidden="true">{parts}</div><small>{html.escape(said)}</small>'
    )


def _key() -> str:
    """Which colour is which."""
    named = ((fate, html.escape(t(f"experiments.fate_{fate}"))) for fate in FATES)
    parts = (f'<span><i class="{fate}"></i>{name}</span>' for fate, name in named)
    return f'<footer aria-hidden="true">{"".join(parts)}</footer>'


def _show_firing(pair: Pair) -> None:
    """Whether the pairs fire together too, once somebody wants to know."""
    if not pair.sources[0].is_open:
        note(t("experiments.firing_no_index"))
        return
    place = st.container(key="experiments_firing")
    is_asked = has_firing(*pair.sources)
    with place:
        if not is_asked and not st.button(
            t("experiments.firing"),
            icon=":material/sync_alt:",
            help=t("experiments.firing_help"),
            key="experiments.firing",
        ):
            return
        firing = firing_of(*pair.sources)
        pairs_table.show_firing(firing, matching_of(*pair.sources))


def _figures(pair: Pair) -> str:
    """Figures side by side, the better one marked; then the settings that differ."""
    entries = one, other = pair.entries
    lines = [_row("th", "", *pair.names)]
    is_fair = are_comparable(one, other)
    for name, more_is_better in FIGURES.items():
        values = [entry.figures.get(name) for entry in entries]
        if values == [None, None]:
            continue
        marks = ["", ""]
        if is_fair and None not in values and values[0] != values[1]:
            # Fewer or more: which of the two is the better one.
            marks[(values[0] < values[1]) == bool(more_is_better)] = f" {_BETTER}"  # type: ignore[operator]
        cells = (
            f"{figure_text(name, value)}{mark}"
            for value, mark in zip(values, marks, strict=True)
        )
        lines.append(_row("td", column_name(name), *cells))
    for name in differing([entry.settings for entry in entries])[:MOST_SETTINGS]:
        cells = (_setting(name, entry) for entry in entries)
        lines.append(_row("td", column_name(name), *cells))
    return f'<table class="figures">{"".join(lines)}</table>'


def _setting(name: str, entry: Compared) -> str:
    value = entry.settings.get(name)
    return (
        setting_text(name, value)
        if isinstance(value, str)
        else figure_text(name, value)
    )


def _row(tag: str, *cells: str) -> str:
    return f"<tr>{''.join(f'<{tag}>{html.escape(c)}</{tag}>' for c in cells)}</tr>"
