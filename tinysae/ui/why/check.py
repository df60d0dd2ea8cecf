"""What the picture claims, held against interventions, below it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import streamlit as st

from tinysae.render.numbers import percent, signed
from tinysae.ui.shell.i18n import t
from tinysae.ui.shell.page import note
from tinysae.ui.why.machine import Without, cuts_of

if TYPE_CHECKING:
    from tinysae.features.why.picture import Picture

# Between two looks, and how long one of them measures: the page answers in between.
_PACE_S, _SHARE_S = 0.5, 0.3


def show_check(
    picture: Picture,
    measured: Mapping[str, Without],
    measure: Callable[[list[str]], None],
) -> None:
    """How many of what is needed are there; when all are, how well they agree.

    Args:
        picture: what claims.
        measured: by the name of a part.
        measure: adds parts to `measured`.
    """
    from tinysae.features.why.claims import agreement, spread

    cuts = cuts_of(picture)
    wanted = spread(list(cuts))

    is_drawn = False

    def look() -> None:
        nonlocal is_drawn
        missing = [name for name in wanted if name not in measured]
        begun = time.monotonic()
        # The first look is part of the page's own run, which nothing here holds up.
        while is_drawn and missing and time.monotonic() - begun < _SHARE_S:
            measure([missing.pop(0)])
        is_drawn = True
        if missing:
            done = len(wanted) - len(missing)
            said = t("why.check_measuring", done=done, n=len(wanted))
            st.progress(done / len(wanted), said)
            return
        found = agreement(
            [picture.effect(cuts[name]) for name in wanted],
            [measured[name].lost for name in wanted],
            picture.attribution.logit,
        )
        if found is None:
            return
        note(
            t(
                "why.check",
                n=found.n,
                rank=signed(found.rank),
                share=percent(found.sign),
                n_matter=found.n_matter,
            )
        )
        if not is_there:
            # No more looks.
            st.rerun()

    is_there = all(name in measured for name in wanted)
    st.fragment(look, run_every=None if is_there else _PACE_S)()
