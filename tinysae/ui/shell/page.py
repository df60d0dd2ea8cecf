"""What every page starts with, and how it speaks to the reader.

`page_setup("train")` is a page's first line: there is no `st.navigation`, because on a
cold server a deep link would run the page's file alone, without the home page's set-up.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

import streamlit as st

from tinysae.errors import TinysaeError
from tinysae.jobs.job import JOB_ID
from tinysae.render.visible import encodable
from tinysae.ui.shell import cache
from tinysae.ui.shell.choice import WAY_BACK, carried
from tinysae.ui.shell.i18n import language, language_picker, link_parameters, t
from tinysae.ui.shell.keys import keys_button

__all__ = [
    "PAGES",
    "WAY_BACK",
    "Page",
    "empty_state",
    "language",
    "more",
    "note",
    "page_link",
    "page_setup",
    "plain",
    "run_script",
    "shown_errors",
    "sidebar_place",
]

logger = logging.getLogger(__name__)

ROOT = Path(__file__).resolve().parents[3]

Page = Literal[
    "home", "playground", "train", "experiments", "features", "why", "lessons"
]
# A page's file and its icon, in the order of the navigation.
PAGES: dict[Page, tuple[str, str]] = {
    "home": ("app.py", ":material/home:"),
    "playground": ("pages/playground.py", ":material/chat:"),
    "train": ("pages/train.py", ":material/model_training:"),
    "experiments": ("pages/experiments.py", ":material/scatter_plot:"),
    "features": ("pages/features.py", ":material/hub:"),
    "why": ("pages/why.py", ":material/help:"),
    "lessons": ("pages/lessons.py", ":material/school:"),
}

# A lesson and its step, in `WAY_BACK`.
_STEP = re.compile(r"([a-z0-9][a-z0-9_-]{0,39})\.([0-9]{1,3})")

_SHELL = files("tinysae.ui.shell")
# Wide enough for the longest name of an SAE that comes along.
_SIDEBAR_PX = 248
# Of the script run that goes on: where the chooser of model and SAE stands.
_CHOOSER: ContextVar[Any] = ContextVar("chooser")


def page_setup(page: Page) -> None:
    """Head, navigation and language of `page`; starts the warm-up.

    Call it first: nothing may be drawn before the page's configuration is sent. The
    title comes next, as soon as the sidebar takes its width: the links in it take the
    server ten times as long.
    """
    st.set_page_config(
        page_title=f"{t(f'{page}.title')} · {t('common.app_name')}",
        layout="wide",
        initial_sidebar_state=_SIDEBAR_PX,
    )
    _keep_address(page)
    navigation = st.sidebar.container(key="shell_nav", gap="xxsmall")
    navigation.markdown(f"**{t('common.app_name')}**")
    if page != "lessons":
        _show_way_back()
        _page_head(page)
    run_script("shell", _script(page))
    with navigation:
        for name, (_, icon) in PAGES.items():
            page_link(name, t(f"common.nav_{name}"), icon=icon, quiet=True)
    with st.sidebar:
        _CHOOSER.set(st.container(key="shell_chooser", gap="small"))
        with st.container(key="shell_foot"):
            language_picker()
            keys_button(page)
    cache.start_warm_up()


def run_script(key: str, code: str) -> None:
    """Runs `code` in the browser, anew whenever it changes; it takes no room on the
    page (`page.css`). Nothing in it may come from outside unchecked."""
    with st.container(key=f"script_{key}"):
        st.html(f"<script>{code}</script>", unsafe_allow_javascript=True)


def _page_head(page: Page) -> None:
    """The page's title, and what it is for in one line; a lesson has its own."""
    with st.container(key="shell_head", gap="xxsmall"):
        st.title(t(f"{page}.title"), anchor=False)
        st.markdown(plain(t(f"{page}.lead")))


def sidebar_place() -> Any:
    """Where the chooser of model and SAE stands, under the navigation."""
    return _CHOOSER.get()


def more(key: str, label: str | None = None) -> Any:
    """A popover for what is set once a week.

    Args:
        key: the popover's, which names it for the page's CSS too.
        label: by default "More".
    """
    return st.popover(label or t("common.more"), icon=":material/tune:", key=key)


# What of its address makes another place of a page, which is read from its top.
_PLACES: dict[Page, tuple[str, ...]] = {
    "lessons": ("lesson", "step"),
    "features": ("feature",),
}
_LAST_LINK = "shell.address"
# What the page itself keeps in its address (`ui.write.address`), which is no way to it.
_OWN = "play"


def _keep_address(page: Page) -> None:
    """What a link says into the address: Streamlit leaves it as it was where a page
    links to itself, and the next click, a reload or Back would go by the old one."""
    asked = st.query_params.to_dict()
    said = {name: value for name, value in asked.items() if name != _OWN}
    if st.session_state.get(_LAST_LINK) != (page, said):
        st.session_state[_LAST_LINK] = (page, said)
        st.query_params.from_dict(asked)


def _show_way_back() -> None:
    """For who came here from a lesson's step: the way back to it."""
    found = _STEP.fullmatch(st.query_params.get(WAY_BACK, ""))
    if found is None:
        return
    lesson, step = found.groups()
    # What was begun on this page is what the lesson goes on with.
    run = st.query_params.get("run")
    asked = {"run": run} if run and JOB_ID.fullmatch(run) else {}
    # A title has room above it; a link would begin under Streamlit's header.
    st.space("small")
    page_link(
        "lessons",
        t("lessons.back", step=step),
        icon=":material/arrow_back:",
        quiet=False,
        lesson=lesson,
        step=step,
        **asked,
    )


def _script(page: Page) -> str:
    place = [page, *(st.query_params.get(name) for name in _PLACES.get(page, ()))]
    # As text of a script, nothing in it may end the script.
    said = json.dumps(place).replace("<", "\\u003c")
    # Screen readers and the choice of Korean letter shapes go by the document's
    # language, which Streamlit always calls English. And its `page_icon` would import
    # numpy and PIL for the sake of one small file: 150 ms before the first title.
    return f"""
  document.documentElement.lang = "{language()}";
  document.querySelector("link[rel~=icon]").href = "app/static/icon.png";
{_ARRIVING}{_KEYS}{_REMEMBERED}
  arrive(JSON.stringify({said}));
  remember({json.dumps(_ADDRESSES)});
"""


_ARRIVING = (_SHELL / "arriving.js").read_text(encoding="utf-8")
_KEYS = (_SHELL / "keys.js").read_text(encoding="utf-8")
_REMEMBERED = (_SHELL / "remembered.js").read_text(encoding="utf-8")
# What a page's address ends in; home's in nothing.
_ADDRESSES = ["" if name == "home" else name for name in PAGES]


def page_link(
    page: Page,
    label: str,
    *,
    icon: str | None = None,
    quiet: bool = False,
    **parameters: str,
) -> None:
    """A link to `page`, which keeps the language and the chosen model and SAE, and
    carries `parameters`.

    A page that is not there (yet) gets no link, rather than a broken one.

    Args:
        page: where it leads.
        label: plain text.
        icon: by default the page's own.
        quiet: in the colour of the text, for a navigation.
        parameters: the link's query.
    """
    path, own_icon = PAGES[page]
    if not (ROOT / path).is_file():
        return
    # Lessons bring their own model and SAE.
    along = {} if page in ("home", "lessons") else carried(inside=page == "why")
    st.page_link(
        path,
        label=plain(label) if quiet else f":primary[{plain(label)}]",
        icon=icon or own_icon,
        query_params={**along, **parameters, **link_parameters()},
    )


# Streamlit's Markdown knows more than CommonMark: `:red[...]`, `:material/...:` and
# `:smile:` are read after backslashes are taken away, as are bare web addresses. A word
# joiner, which has no width, keeps their parts from being seen as one.
# Marks that begin nothing in Markdown stay as they are: what a screen reader says of a
# widget is its label as it was given, backslashes and all.
_PUNCTUATION = re.compile(r"""((?!["%',;?])[!-/:-@\[-`{-~])""")
_SHORTCODE = re.compile(r":(?=[\w+/-]+:)")
_ADDRESS = re.compile(r"(https?|www|@)(?=\S)", re.IGNORECASE)
_ARROWS = re.compile(r"([<>=\-])(?=[<>=\-])")
_WORD_JOINER = "\u2060"
# A command is there to be copied: as code, it needs no word joiner, which a terminal
# would take for a letter of `--only`.
_COMMAND = re.compile(r"“((?:git|python) [\w ./-]+)”", re.ASCII)


def plain(text: str) -> str:
    """`text` such that Streamlit's Markdown shows it literally, HTML and all.

    Commands in quotation marks, “git …” and “python …”, are shown as code.
    """
    # A name on a disk may be any bytes, and half of a character cannot be sent.
    parts = _COMMAND.split(encodable(text))
    # What the pattern's group found stands at the odd places.
    parts[::2] = map(_escaped, parts[::2])
    parts[1::2] = [f"“`{command}`”" for command in parts[1::2]]
    lines = "".join(parts).splitlines()
    # Spaces that begin a line could make a code block of it, and single line breaks
    # would be lost.
    return "  \n".join(
        "&nbsp;" * (len(line) - len(line.lstrip(" \t"))) + line.lstrip(" \t")
        for line in lines
    )


def note(sentence: str, place: Any = st) -> None:
    """A small remark, in the full colour of text: `st.caption` is too pale for AA."""
    place.markdown(f":small[{plain(sentence)}]")


def _escaped(text: str) -> str:
    joined = _SHORTCODE.sub(f":{_WORD_JOINER}", text)
    joined = _ADDRESS.sub(rf"\1{_WORD_JOINER}", joined)
    joined = _ARROWS.sub(rf"\1{_WORD_JOINER}", joined)
    return _PUNCTUATION.sub(r"\\\1", joined)


@contextmanager
def shown_errors() -> Iterator[None]:
    """Show what goes wrong inside as one plain sentence, and go on after it.

    A `TinysaeError` is shown in the reader's language; anything else is a bug, whose
    traceback goes to the log. Streamlit's own control flow (stop, rerun) passes. A
    fragment reruns without its page: use it inside the fragment too.
    """
    try:
        yield
    except TinysaeError as error:
        st.error(plain(error.in_language(language())))
    except Exception:
        logger.exception("a page failed")
        st.error(plain(t("error.unexpected")))


def empty_state(
    text_key: str,
    *,
    page: Page | None = None,
    link_key: str | None = None,
    **values: object,
) -> None:
    """Say that there is nothing here yet, and what to do about it.

    Args:
        text_key: the sentence.
        page: where the thing that is missing can be made.
        link_key: that link's label; needed with `page`.
        values: what the sentence fills in; shown literally.
    """
    with st.container(border=True):
        st.markdown(plain(t(text_key, **values)))
        if page is not None and link_key is not None:
            page_link(page, t(link_key))
