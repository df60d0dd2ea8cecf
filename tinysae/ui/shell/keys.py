"""What a page can do and which keys it knows: the dialog that "?" opens."""

import streamlit as st

from tinysae.ui.shell.i18n import t


def keys_button(page: str) -> None:
    """The button that opens the list, which "?" presses too (`keys.js`)."""
    if st.button(
        t("keys.open"),
        icon=":material/keyboard:",
        type="tertiary",
        key="shell_keys",
    ):
        st.dialog(t("keys.title"))(_show)(page)


def _show(page: str) -> None:
    """The keys, then what this page can do and where; a word narrows the list."""
    st.markdown(t("keys.list"))
    st.subheader(t("keys.page", page=t(f"common.nav_{page}")), anchor=False)
    word = st.text_input(
        t("keys.search"),
        key="keys.word",
        placeholder=t("keys.search"),
        label_visibility="collapsed",
    )
    lines = t(f"keys.can_{page}").splitlines()
    found = [line for line in lines if word.strip().lower() in line.lower()]
    st.markdown("\n".join(f"- {line}" for line in found) or t("keys.none"))
