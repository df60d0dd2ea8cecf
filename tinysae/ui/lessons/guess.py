"""What a reader thinks before the answer is shown, and whether it was so."""

from collections.abc import Callable

import streamlit as st

from tinysae.lessons.answers import own_claim
from tinysae.lessons.calls.results import Result
from tinysae.lessons.lesson import Step
from tinysae.ui.lessons.presenting import is_presenting
from tinysae.ui.shell.i18n import language, t
from tinysae.ui.shell.page import plain


def show_guesses(step: Step, *, key: str, on_guess: Callable[[], None]) -> int | None:
    """The guesses to choose from; the chosen one. A room is asked aloud: a presenter
    has them as a list."""
    said = [plain(guess[language()]) for guess in step.guesses]
    if not said:
        return None
    if is_presenting():
        st.markdown("\n".join(f"- {each}" for each in said))
        return None
    return st.pills(
        t("lessons.guess"),
        range(len(said)),
        format_func=said.__getitem__,
        key=f"{key}.guess",
        on_change=on_guess,
    )


def show_verdict(step: Step, result: Result, guess: int) -> None:
    """What was guessed, and whether it came out; nothing where that is not to be said
    by a figure."""
    if step.right is None or not own_claim(step, result):
        return
    is_right = guess == step.right
    icon = ":material/check:" if is_right else ":material/lightbulb:"
    right = step.guesses[step.right][language()]
    sentence = t(f"lessons.guess_{'right' if is_right else 'other'}", right=right)
    st.markdown(f"{icon} {plain(sentence)}")
