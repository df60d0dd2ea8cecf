"""What became of the L0 that a run was asked for, and the way to repeat it plainly."""

import streamlit as st

from tinysae.checked_numbers import number
from tinysae.runs.store import Run
from tinysae.sae.sparsity_control import (
    HIGHEST,
    LOWEST,
    TOLERANCE,
    coefficient_setting,
    is_steered,
    settled_coefficient,
)
from tinysae.ui.shell.i18n import t
from tinysae.ui.shell.page import plain
from tinysae.ui.train.cards import start_from


def show_steering(run: Run) -> None:
    """Where the coefficient settled, whether the L0 was met, and a button that fills
    the form with that; nothing of a run that was not steered or is not measured."""
    settled = settled_coefficient(run.made_with())
    l0 = number((run.evaluation() or {}).get("l0"), low=0)
    if not is_steered(run.config) or settled is None or l0 is None:
        return
    wanted = run.config.wanted_l0
    values = {
        "wanted": f"{wanted:g}",
        "l0": f"{l0:.3g}",
        "field": coefficient_setting(run.config),
        "value": f"{settled:.3g}",
    }
    said = [t("train.steered", **values)]
    if (missed := _missed(l0, wanted, settled)) is not None:
        said.append(t(f"train.steered_{missed}", **values))
    st.markdown(plain(" ".join(said)))
    st.button(
        t("train.repeat_plainly"),
        icon=":material/content_copy:",
        help=t("train.repeat_plainly_help", **values),
        key="train_repeat_plainly",
        on_click=start_from,
        args=(run,),
        kwargs={"plainly": True},
    )


def _missed(l0: float, wanted: float, settled: float) -> str | None:
    """Why the L0 was not met; None where it was."""
    if abs(l0 - wanted) <= TOLERANCE * wanted:
        return None
    if settled <= LOWEST:
        return "too_many"
    return "too_few" if settled >= HIGHEST else "on_its_way"
