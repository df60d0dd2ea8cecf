"""Home: what tinysae is, a feature at work, what to do next, the model, the runs."""

import streamlit as st

from tinysae.ui import home
from tinysae.ui.i18n import t
from tinysae.ui.page import page_setup, plain, shown_errors
from tinysae.ui.showcase import showcase

page_setup("home")
st.title(t("home.title"))
st.markdown(plain(t("home.lead")))
showcase()
home.ways()
home.lesson()
st.subheader(t("home.model"), anchor=False)
model = st.container()
st.subheader(t("home.runs"), anchor=False)
with shown_errors():
    home.runs()
# Last: it waits for the warm-up, and nothing else should wait for it.
with model, shown_errors():
    home.model()
