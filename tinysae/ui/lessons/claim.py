"""A claim, checked on held-out stories for the model that is asked."""

import streamlit as st

from tinysae.errors import TinysaeError
from tinysae.lessons.answers import Checked, check_claim
from tinysae.lessons.calls.results import Stage
from tinysae.lessons.lesson import Bound, Step
from tinysae.ui.lessons import asked
from tinysae.ui.shell.i18n import language, t
from tinysae.ui.shell.page import note, plain
from tinysae.words import Language, text


def show_claim(step: Step, stage: Stage, *, key: str) -> None:
    """A way to check the step's claim, and what came of it."""
    found = asked.kept_check(stage, step)
    if found is None:
        label = t("lessons.check")
        if not st.button(label, icon=":material/fact_check:", key=f"{key}.check"):
            return
        found = checked(step, stage)
    show_checked(step, found)


def checked(step: Step, stage: Stage) -> Checked:
    """`check_claim`, which says how far it is; it is kept.

    Raises:
        TinysaeError: as `check_claim`.
    """
    with st.empty():
        bar = st.progress(0.0)

        def heard(at: int, n: int) -> None:
            bar.progress(at / n, t("lessons.checking", at=at, n=n))

        found = check_claim(step, stage, progress=heard)
        st.empty()
    asked.keep_check(stage, step, found)
    return found


def show_checked(step: Step, found: Checked) -> None:
    """Whether the claim holds, with its figure and its control's."""
    icon, colour = (
        (":material/check:", "green")
        if found.holds and found.control_holds
        else (":material/close:", "orange")
    )
    st.badge(t(verdict(found)), icon=icon, color=colour)
    note(checked_sentence(step, found, language()))


def verdict(found: Checked) -> str:
    """The sentence's key."""
    if not found.control_holds:
        return "lessons.control_failed"
    return "lessons.holds" if found.holds else "lessons.fails"


def checked_sentence(step: Step, found: Checked, language: Language) -> str:
    """The claim and its control with their figures."""
    assert step.claim is not None
    own, control = step.claim.own, step.claim.control
    return text(
        "lessons.checked",
        language,
        claim=own.text[language],
        value=f"{found.value:.3f}",
        bound=_bounds(own),
        control=control.text[language],
        other=f"{found.control:.3f}",
        control_bound=_bounds(control),
        n=found.n,
    )


def show_refused(step: Step, error: TinysaeError) -> None:
    """That a claim cannot be checked here, and why."""
    why = error.in_language(language())
    note(f"{step.title[language()]}: {t('lessons.not_asked', why=why)}")


def _bounds(bound: Bound) -> str:
    low = "" if bound.at_least is None else f"≥ {bound.at_least:g}"
    high = "" if bound.at_most is None else f"≤ {bound.at_most:g}"
    return " ".join(filter(None, (low, high)))


def claim_title(step: Step) -> None:
    """The step's title, above its claim."""
    st.markdown(f"**{plain(step.title[language()])}**")
