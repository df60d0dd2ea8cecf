"""Home: what tinysae is and what to do next."""

import streamlit as st

from tinysae.ui.i18n import t
from tinysae.ui.page import page_setup

page_setup("home")
st.title(t("home.title"))
