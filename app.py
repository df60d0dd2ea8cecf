"""Home: what tinysae is, how far the model's warm-up is, and what to do next."""

import streamlit as st

from tinysae.ui import home
from tinysae.ui.i18n import t
from tinysae.ui.page import page_setup, plain, shown_errors

page_setup("home")
st.title(t("home.title"))
st.markdown(plain(t("home.lead")))
home.ways()
with shown_errors():
    home.model()
with shown_errors():
    home.runs()
