"""Which text a run reads: chosen, and looked at before anything is trained on it."""

from pathlib import Path
from typing import Any

import streamlit as st

from tinysae.config import TextChoice, TrainConfig, settings
from tinysae.data.preview import Preview
from tinysae.data.texts import open_text, pasted
from tinysae.data.texts.local import is_local_path
from tinysae.data.texts.storybook import STORYBOOK
from tinysae.errors import TinysaeError
from tinysae.model.sources import LoadedModel, is_at_hand
from tinysae.render.svg import packed
from tinysae.ui.parts.drawing import drawing
from tinysae.ui.parts.one_of import one_of
from tinysae.ui.shell import cache
from tinysae.ui.shell.i18n import language, t
from tinysae.ui.shell.page import plain
from tinysae.ui.train.setting_field import setting_field
from tinysae.words import Language

EMBEDDED, LOCAL, HUB, PASTED = KINDS = ("embedded", "local", "hub", "pasted")
# What only a hub dataset has, and what any table may have.
_OF_TABLES = ("is_dataset_tokenized", "dataset_column")
_OF_DATASETS = ("dataset_split", "dataset_name", "streaming")
# A file or dataset may have changed since it was looked at.
PREVIEW_FOR_S = 60
FIELDS = frozenset({"dataset_path", *_OF_TABLES, *_OF_DATASETS})
# What was put right is seen as right after that.
LOOK_AGAIN_S = 3


def choose_text(defaults: TrainConfig, preset: str) -> dict[str, Any]:
    """The settings of the text that was chosen."""
    kind = one_of(
        t("texts.kind"),
        {kind: t(f"texts.kind_{kind}") for kind in KINDS},
        _kind_of(defaults.dataset_path),
        key=f"{preset}_text_kind",
        help=settings()["dataset_path"].help(language()),
    )
    if kind == LOCAL:
        path = _field("dataset_path", t("texts.path"), defaults, preset, LOCAL)
        return {"dataset_path": path, **_options(_OF_TABLES, defaults, preset)}
    if kind == HUB:
        path = _field("dataset_path", t("texts.dataset"), defaults, preset, HUB)
        options = _options((*_OF_TABLES, *_OF_DATASETS), defaults, preset)
        return {"dataset_path": path, **options}
    if kind == PASTED:
        return {"dataset_path": _pasted(preset), "is_dataset_tokenized": False}
    return {"dataset_path": STORYBOOK, "is_dataset_tokenized": False}


def called(choice: TextChoice) -> str:
    """What that text is called in a line (untrusted text)."""
    kind = _kind_of(choice.path)
    name = t(f"texts.kind_{kind}")
    if kind == LOCAL:
        return f"{name}: {Path(choice.path).name}"
    return f"{name}: {choice.path}" if kind == HUB else name


def what_is_missing(choice: TextChoice) -> str | None:
    """Why that text cannot be trained on, as a sentence, as far as a look at this disk
    can say: the hub is asked for nothing."""
    if not choice.path.strip() or choice.path == pasted.PREFIX:
        return t("texts.none_yet")
    if is_local_path(choice.path) or choice.path.startswith(pasted.PREFIX):
        return _cannot_open(choice, language())
    return None


# A form is drawn anew at every click; a folder is not walked again each time.
@st.cache_data(show_spinner=False, max_entries=32, ttl=LOOK_AGAIN_S)
def _cannot_open(choice: TextChoice, language: Language) -> str | None:
    try:
        open_text(choice)
    except TinysaeError as error:
        return error.in_language(language)
    return None


def show_preview(config: TrainConfig) -> None:
    """A button, and what it finds: first rows, tokens, and how contexts are packed."""
    key = f"text_preview_{hash((config.text, config.context_size, config.model_name))}"
    if st.button(t("texts.preview"), icon=":material/visibility:", key="text_preview"):
        st.session_state["_text_previewed"] = key
    if st.session_state.get("_text_previewed") != key:
        return
    if not cache.warm_up_state().done or not is_at_hand(config.model_name):
        st.info(t("texts.preview_needs_model"))
        return
    try:
        with st.spinner(t("texts.reading")):
            model = cache.loaded_model(config.model_name)
            found = _preview(model, config.text, config.context_size)
    except TinysaeError as error:
        st.error(plain(error.in_language(language())))
        return
    st.markdown(plain(_tokens_said(found)))
    if found.n_unreadable:
        st.warning(t("texts.unreadable", n=found.n_unreadable))
    n = found.training_tokens
    if n and n < config.training_tokens:
        times = f"{config.training_tokens / n:.1f}"
        st.info(t("texts.repeats", times=times, n=f"{n:,}"))
    if found.contexts:
        st.caption(t("texts.packing", context=config.context_size))
        drawing(packed(found.contexts, title=t("texts.packing_title")), key="packing")
    st.caption(t("texts.first_rows"))
    for row in found.rows:
        st.text(row)


@st.cache_data(
    show_spinner=False,
    max_entries=32,
    ttl=PREVIEW_FOR_S,
    hash_funcs={LoadedModel: lambda model: model.source},
)
def _preview(model: LoadedModel, choice: TextChoice, context_size: int) -> Preview:
    from tinysae.data.preview import preview

    return preview(model, choice, context_size)


def _tokens_said(found: Preview) -> str:
    if found.is_endless:
        return t("texts.endless")
    if found.n_tokens is None:
        return t("texts.tokens_unknown")
    key = "texts.tokens_counted" if found.is_counted else "texts.tokens_estimated"
    return t(key, n=f"{found.n_tokens:,}", train=f"{found.training_tokens or 0:,}")


def _kind_of(path: str) -> str:
    if path == STORYBOOK:
        return EMBEDDED
    if path.startswith(pasted.PREFIX):
        return PASTED
    return LOCAL if is_local_path(path) else HUB


def _pasted(preset: str) -> str:
    """The `dataset_path` of what stands in the field."""
    text = st.text_area(
        t("texts.paste"),
        key=f"{preset}_pasted",
        max_chars=pasted.MAX_CHARACTERS,
        height=180,
        help=t("texts.paste_help"),
    )
    return pasted.keep(text) if text.strip() else pasted.PREFIX


def _field(name: str, label: str, defaults: TrainConfig, preset: str, kind: str) -> str:
    default = defaults.dataset_path
    return st.text_input(
        label,
        default if _kind_of(default) == kind else "",
        key=f"{preset}_{name}_{kind}",
        max_chars=1024,
        placeholder=t(f"texts.{kind}_example"),
    ).strip()


def _options(
    names: tuple[str, ...], defaults: TrainConfig, preset: str
) -> dict[str, Any]:
    """Fields side by side, and the switches under them."""
    switches = [name for name in names if isinstance(getattr(defaults, name), bool)]
    fields = [name for name in names if name not in switches]
    values: dict[str, Any] = {}

    def choose(name: str) -> None:
        key = f"{preset}_{name}"
        values[name] = setting_field(name, getattr(defaults, name), key)

    for name, column in zip(fields, st.columns(max(2, len(fields))), strict=False):
        with column:
            choose(name)
    with st.container(horizontal=True):
        for name in switches:
            choose(name)
    return values
