"""The dashboard: page configuration, warm-up, navigation."""

import streamlit as st

from pages.parts import backend, components

st.set_page_config(page_title="Saliency Compare", page_icon=str(components.ASSETS / "icon.svg"), layout="wide")
components.page_style()
components.stay_heard()
backend.warm_up()
page = st.navigation(
    [
        st.Page("pages/compare.py", title="Compare", icon=":material/compare:", default=True),
        st.Page("pages/inspect.py", title="Inspect", icon=":material/frame_inspect:"),
        st.Page("pages/robustness.py", title="Robustness", icon=":material/blur_on:"),
        st.Page("pages/layers.py", title="Layers", icon=":material/layers:"),
        st.Page("pages/lab.py", title="Perturbation lab", icon=":material/science:"),
        st.Page("pages/benchmark.py", title="Benchmark", icon=":material/leaderboard:"),
        st.Page("pages/annotate.py", title="Annotate", icon=":material/draw:"),
        st.Page("pages/projects.py", title="Projects", icon=":material/groups:"),
        st.Page("pages/methods.py", title="Methods", icon=":material/menu_book:"),
    ]
)
st.session_state.inside_app = True
if page.url_path != "layers":
    backend.leave_drawing()
page.run()
