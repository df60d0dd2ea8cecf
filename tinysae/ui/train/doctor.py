"""What the doctor says of a run, and the button that starts it mended."""

from collections.abc import Mapping, Sequence

import streamlit as st

from tinysae.runs.doctor.case import case_of
from tinysae.runs.doctor.diagnosis import Diagnosis, Seriousness, mended, spelled
from tinysae.runs.doctor.registry import diagnose
from tinysae.runs.store import Run
from tinysae.ui.parts.job_words import Colour
from tinysae.ui.shell.i18n import language, t
from tinysae.ui.shell.page import plain
from tinysae.ui.train.curves import Curves
from tinysae.ui.train.expected import guess_of, learning
from tinysae.ui.train.form import Start

# Shown at once; whoever mends these first has other curves for the rest.
MOST = 3
_COLOURS: Mapping[Seriousness, Colour] = {
    Seriousness.LOST: "red",
    Seriousness.SPOILED: "orange",
    Seriousness.BETTER: "blue",
}


def show_doctor(run: Run, own: Curves, runs: Sequence[Run], start: Start) -> None:
    """What is wrong with it, the most serious first; nothing where nothing is."""
    found = _found(run, own)
    if not found:
        return
    with st.container(key="train_doctor", gap="small"):
        st.markdown(f"**{t('doctor.title')}**")
        for diagnosis in found[:MOST]:
            _show(diagnosis, run, runs, start)
        if rest := found[MOST:]:
            with st.expander(t("doctor.more", n=len(rest))):
                for diagnosis in rest:
                    _show(diagnosis, run, runs, start)


def _found(run: Run, own: Curves) -> list[Diagnosis]:
    """What the doctor says; anew with each look at held-out text and not with each row,
    so that it can be read while it stands there."""
    key, moment = f"doctor_{run.id}", (len(own.evals), run.status.state)
    before, found = st.session_state.get(key, (None, []))
    if before != moment:
        found = diagnose(case_of(run, own.rows, own.evals))
        st.session_state[key] = (moment, found)
    return found


def _show(diagnosis: Diagnosis, run: Run, runs: Sequence[Run], start: Start) -> None:
    colour = _COLOURS[diagnosis.seriousness]
    said = plain(diagnosis.sentence(language()))
    st.markdown(
        f":{colour}[:material/lightbulb:] {said}", help=plain(diagnosis.why(language()))
    )
    if diagnosis.remedy is None:
        return
    better = mended(run.config, diagnosis.remedy)
    changes = ", ".join(spelled(run.config, better))
    with st.container(horizontal=True, vertical_alignment="center"):
        pressed = st.button(
            t("doctor.mend"),
            icon=":material/healing:",
            help=plain(t("doctor.mend_help", changes=changes)),
            key=f"train_mend_{diagnosis.key}",
        )
        st.markdown(f":small[{plain(changes)}]")
    if pressed:
        start(better, guess_of(better, learning(runs)))
