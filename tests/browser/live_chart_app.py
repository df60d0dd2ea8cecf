"""A chart that gets 25 points a tick, or as many as its address says, for
`test_live_chart.py`; stops at 20,000."""

import math

import streamlit as st

from tinysae.ui.parts.charts import Series, live_chart

st.title("Live chart")


@st.fragment(run_every=0.25)
def curves() -> None:
    # Where a page has it: a rerun of the whole app may meet one of the fragment, and
    # Streamlit then mounts what is in it anew.
    log_y = st.toggle("log")
    more = int(st.query_params.get("more", 25))
    n = min(st.session_state.get("n", 0) + more, 20_000)
    st.session_state["n"] = n
    x = range(n)
    live_chart(
        "curves",
        [
            Series("MSE", x, [20 + 100 * math.exp(-i / 100) for i in x]),
            Series("<b>L1</b>", x, [10 + 60 * math.exp(-i / 200) for i in x], 1),
        ],
        log_y=log_y,
        x_title="tokens",
    )


curves()
