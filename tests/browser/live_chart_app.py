"""Two curves that get 25 points with every rerun of their fragment, or as many as the
address says, for `test_live_chart.py`; up to 20,000.

They grow by hand until "live" is on: no two reruns meet before.
"""

import math

import streamlit as st

from tinysae.ui.parts.charts import Series, live_chart

st.title("Live chart")
is_live = st.toggle("live")


@st.fragment(run_every=0.25 if is_live else None)
def curves() -> None:
    st.button("more")
    log_y = st.toggle("log")
    # Elsewhere among the page's blocks: what is in them is mounted anew.
    is_moved = st.toggle("moved")
    is_other = st.toggle("other")
    more = int(st.query_params.get("more", 25))
    n = min(st.session_state.get("n", 0) + more, 20_000)
    st.session_state["n"] = n
    x = range(n)
    with st.columns(1)[0] if is_moved else st.container():
        live_chart(
            "curves",
            [
                Series("MSE", x, [20 + 100 * math.exp(-i / 100) for i in x]),
                Series("<b>L1</b>", x, [10 + 60 * math.exp(-i / 200) for i in x], 1),
            ],
            of="other" if is_other else "one",
            log_y=log_y,
            x_title="tokens",
        )


curves()
