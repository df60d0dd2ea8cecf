"""Which language a page speaks, and its sentences in that language."""

from collections.abc import Mapping

import streamlit as st

from tinysae.words import LANGUAGES, Language, text

NAMES: dict[Language, str] = {"en": "English", "ko": "한국어"}

# Streamlit drops a widget's own key when the page changes, so the choice is kept under
# a key that belongs to no widget, and in the address so that a reload keeps it too.
_CHOICE = "language"
_PARAMETER = "lang"


def language() -> Language:
    """The reader's choice, else the link's, else the browser's, else English."""
    chosen = st.session_state.get(_CHOICE)
    if chosen in LANGUAGES:
        return chosen
    linked = st.query_params.get(_PARAMETER)
    browser = (st.context.locale or "").split("-")[0].lower()
    for candidate in LANGUAGES:
        if candidate == linked:
            # From here on it is this session's choice: links to other pages carry it.
            st.session_state[_CHOICE] = candidate
            return candidate
    for candidate in LANGUAGES:
        if candidate == browser:
            return candidate
    return "en"


def t(key: str, /, **values: object) -> str:
    """The sentence `key` in the reader's language, with `values` filled in.

    The result is plain text: pass what came from outside through `ui.shell.page.plain`
    before it reaches anything that reads Markdown.
    """
    return text(key, language(), **values)


def recorded(
    key: str | None, values: Mapping[str, object] | None, otherwise: str
) -> str:
    """The sentence that a status file names, for the reader; else `otherwise`.

    A status may be of another version: a sentence that is not there, or wants other
    values, is not guessed.
    """
    try:
        return text(key or "", language(), **(values or {}))
    except (KeyError, IndexError, ValueError, TypeError):
        return otherwise


def link_parameters() -> dict[str, str]:
    """What a link to another page carries so that the chosen language survives it."""
    chosen = st.session_state.get(_CHOICE)
    return {_PARAMETER: chosen} if chosen in LANGUAGES else {}


def language_picker() -> None:
    """The sidebar's choice; each language is named in itself."""

    def choose() -> None:
        chosen = st.session_state["_language_picker"]
        # A forged message can carry anything: only a known language is kept.
        if chosen in LANGUAGES:
            st.session_state[_CHOICE] = chosen
            st.query_params[_PARAMETER] = chosen
            _say_choices_anew()

    st.segmented_control(
        t("common.language"),
        LANGUAGES,
        default=language(),
        required=True,
        format_func=NAMES.__getitem__,
        key="_language_picker",
        on_change=choose,
        label_visibility="collapsed",
    )


def _say_choices_anew() -> None:
    """What was chosen stays chosen: a browser knows an option by its name, which is in
    the language that was, and would show nothing or the old name, and at the next click
    choose it in vain. What a session sets, Streamlit sends by its new name."""
    for key, value in st.session_state.items():
        several = value if isinstance(value, list | tuple) else [value]
        # Not what was pressed, put in or ticked, which no session may set.
        if several and all(type(each) in (str, int, float) for each in several):
            st.session_state[key] = value
