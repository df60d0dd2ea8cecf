"""What is asked of the model: the prompt, and how it chooses the next token."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, get_args

import streamlit as st

from tinysae.model.text.generate import BOUNDS, MAX_SAMPLES, GenerateSettings
from tinysae.model.text.prompt import Keep, prepare_prompt
from tinysae.ui.parts.as_typed import text_as_typed
from tinysae.ui.parts.one_of import one_of
from tinysae.ui.parts.tokens import StripToken, token_strip
from tinysae.ui.shell.i18n import t
from tinysae.ui.shell.page import more, note, plain, shown_errors
from tinysae.ui.write.drawings import Drawing, choose_drawing

if TYPE_CHECKING:
    from tinysae.model.sources import LoadedModel
    from tinysae.model.text.prompt import Prompt
    from tinysae.model.text.state import State

# A browser draws this many in a blink, and nobody reads more while typing.
MAX_TYPED_TOKENS = 1_000
# Two lines, which is what a prompt usually has.
PROMPT_PX, TEXT_PX = 78, 110
TYPED = "_typed"
# From which share of tokens that are pieces of a character a text is one that the model
# cannot read.
MOST_PIECES = 0.5


def prompt_field(
    state: State,
    *,
    key: str = "_prompt",
    label: str = "prompt",
    height: int = TEXT_PX,
    is_labelled: bool = True,
) -> str:
    """The text area of a prompt; what it says now."""
    return st.text_area(
        t(f"playground.{label}"),
        state.prompt if label == "prompt" else state.other,
        key=key,
        help=t("playground.prompt_help") if is_labelled else None,
        height=height,
        label_visibility="visible" if is_labelled else "collapsed",
    )


def choose_settings(state: State) -> tuple[State, Drawing, bool]:
    """Temperature, and behind More all else of how the next token is chosen; `state`
    with what they say.

    How the stories are drawn and whether spaces are marked is behind More, too, and the
    switch for `show_typed`, whose key is `TYPED`.

    Raises:
        SettingError: a value that only a forged message can hold.
    """
    saved = state.settings
    with st.container(key="write_slider", width="stretch"):
        temperature = st.slider(
            t("playground.temperature"),
            *BOUNDS["temperature"],
            saved.temperature,
            step=0.05,
            key="_temperature",
            help=t("playground.temperature_help"),
        )
    with more("write_more"):
        first, second = st.columns(2)
        numbers = {
            "top_k": _number(first, "top_k", saved),
            "top_p": _number(second, "top_p", saved, step=0.05),
            "max_new_tokens": _number(first, "max_new_tokens", saved),
            "seed": _number(second, "seed", saved),
            "repetition_penalty": _number(
                first, "repetition_penalty", saved, step=0.05
            ),
            "freq_penalty": _number(second, "freq_penalty", saved, step=0.05),
        }
        n_samples = st.slider(
            t("playground.n_samples"), 1, MAX_SAMPLES, state.n_samples, key="_n_samples"
        )
        st.toggle(t("playground.typed"), key=TYPED)
        drawing, spaces = choose_drawing()
    settings = GenerateSettings(temperature=temperature, **numbers)
    return replace(state, settings=settings, n_samples=n_samples), drawing, spaces


def _number(place: Any, name: str, saved: GenerateSettings, **options: Any) -> Any:
    """A number field in `place` for the setting `name`, which starts as `saved` has it.

    Streamlit forgets a widget when its page is left, and takes its starting value for
    one that a browser forged.
    """
    low, high = BOUNDS[name]
    value = getattr(saved, name)
    kind = type(value)
    return place.number_input(
        t(f"playground.{name}"),
        kind(low),
        kind(high),
        value,
        key=f"_{name}",
        help=t(f"playground.{name}_help"),
        **options,
    )


def temperature_sentence(temperature: float) -> str:
    """What this temperature does, in one sentence."""
    if temperature == 0:
        return t("playground.temperature_greedy")
    for limit, name in ((0.5, "low"), (0.95, "below"), (1.05, "one"), (1.5, "above")):
        if temperature <= limit:
            return t(f"playground.temperature_{name}")
    return t("playground.temperature_high")


def read_prompt(model: LoadedModel, state: State) -> tuple[Prompt, State]:
    """The prompt as the model reads it, and what is special about it, if anything is.

    Raises:
        InputError: it is beyond all bounds.
    """
    n_new = state.settings.max_new_tokens
    prompt = prepare_prompt(model, state.prompt, n_new, state.keep)
    if prompt.n_cut:
        parts: tuple[Keep, ...] = get_args(Keep)
        names = {part: t(f"playground.keep_{part}") for part in parts}
        keep = one_of(t("playground.keep"), names, state.keep, key="_keep")
        if keep != state.keep:
            state = replace(state, keep=keep)
            prompt = prepare_prompt(model, state.prompt, n_new, state.keep)
    show_notices(model, prompt)
    return prompt, state


def show_notices(model: LoadedModel, prompt: Prompt) -> None:
    """Say what is special about the prompt, if anything is."""
    if not prompt.ids and not prompt.n_cut:
        st.info(plain(t("playground.prompt_empty")))
    if prompt.n_cut:
        notice = t(
            f"playground.prompt_cut_{prompt.kept}",
            n=f"{len(prompt.ids) + prompt.n_cut:,}",
            limit=model.n_ctx - 1,
            cut=f"{prompt.n_cut:,}",
            kept=len(prompt.ids),
        )
        st.info(plain(notice))
    if prompt.special:
        notice = t("playground.prompt_special", tokens=", ".join(prompt.special))
        st.info(plain(notice))
    if is_in_pieces(model, prompt.ids):
        st.info(plain(t("playground.prompt_pieces", n=len(prompt.ids))))


def is_in_pieces(model: LoadedModel, ids: tuple[int, ...]) -> bool:
    """Whether much of a text falls into pieces of characters: the model never learned
    to read such a script (Korean, for one that has only read English)."""
    token_bytes = model.vocabulary.token_bytes
    pieces = sum(_is_piece(token_bytes[token]) for token in ids)
    return pieces > MOST_PIECES * len(ids)


def _is_piece(token: bytes) -> bool:
    try:
        token.decode()
    except UnicodeDecodeError:
        return True
    return False


@st.fragment
def show_typed(model: LoadedModel, saved: str) -> None:
    """The tokens of what is being typed, at each pause."""
    with shown_errors():
        text = text_as_typed(t("playground.prompt"), saved, key="playground_typing")
        # Long enough to fill the context many times over.
        prompt = prepare_prompt(model, text, 0)
        pieces = model.token_texts(model.encode(text))
        token_strip(
            [StripToken(piece, None, ()) for piece in pieces[:MAX_TYPED_TOKENS]],
            key="playground_typed",
            scale="sequential",
            low=0,
            high=1,
            legend=None,
            spaces=True,
        )
        note(
            t(
                "playground.typed_count",
                n=f"{len(prompt.ids) + prompt.n_cut:,}",
                characters=f"{len(text):,}",
                limit=model.n_ctx - 1,
            )
        )
