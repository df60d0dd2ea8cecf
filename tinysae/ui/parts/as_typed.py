"""The text of a field while it is being typed."""

from importlib.resources import files

from streamlit.components.v2 import component


def text_as_typed(label: str, saved: str, *, key: str) -> str:
    """What stands in the text area `label` just now; runs its fragment at each pause.

    Args:
        label: of the text area.
        saved: what it says as long as nothing is typed.
        key: of the component.
    """
    result = _COMPONENT(key=key, data=label, on_text_change=lambda: None)
    text = result.get("text")
    return text if isinstance(text, str) else saved


_COMPONENT = component(
    "tinysae_as_typed",
    js=(files("tinysae.ui.parts") / "as_typed.js").read_text(encoding="utf-8"),
)
