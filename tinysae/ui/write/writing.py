"""Writing: the prompt, how the model chooses, what could come next, and samples."""

from __future__ import annotations

import html
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, get_args

import streamlit as st

from tinysae.model.text.generate import (
    BOUNDS,
    MAX_SAMPLES,
    GenerateSettings,
    Writing,
    sample_seed,
)
from tinysae.model.text.prompt import Keep, prepare_prompt
from tinysae.ui.parts.as_typed import text_as_typed
from tinysae.ui.parts.distribution import Candidate, distribution_chart
from tinysae.ui.parts.tokens import StripToken, token_strip
from tinysae.ui.shell.i18n import t
from tinysae.ui.shell.page import note, plain, shown_errors

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

    from tinysae.model.sources import LoadedModel
    from tinysae.model.text.prompt import Prompt
    from tinysae.model.text.state import State

SAMPLES = "playground.samples"
N_CANDIDATES = 12
# A browser draws this many in a blink, and nobody reads more while typing.
MAX_TYPED_TOKENS = 1_000
# The browser draws no more often than this, and the model is faster.
DRAW_EVERY_S = 0.03

_STORY = (
    '<div style="white-space:pre-wrap;overflow-wrap:anywhere;font-size:1.0625rem;'
    'line-height:1.65" dir="auto"><span style="color:light-dark(#5F6A68,#9AA5A3)">'
    "{given}</span><span>{written}</span>"
    '<div style="font-size:.875rem;margin-top:.35rem">{ended}</div></div>'
)
_STORIES = (
    '<div style="display:grid;gap:1rem 1.5rem;'
    'grid-template-columns:repeat(auto-fill,minmax(min(13rem,100%),1fr))">{all}</div>'
)


def prompt_field(state: State, *, key: str = "_prompt", label: str = "prompt") -> str:
    """The text area of a prompt; what it says now."""
    return st.text_area(
        t(f"playground.{label}"),
        state.prompt if label == "prompt" else state.other,
        key=key,
        help=t("playground.prompt_help"),
        height=110,
    )


def choose_settings(state: State) -> State:
    """The fields for how the next token is chosen; `state` with what they say.

    Raises:
        SettingError: a value that only a forged message can hold.
    """
    saved = state.settings
    st.subheader(t("playground.how"))
    temperature = st.slider(
        t("playground.temperature"),
        *BOUNDS["temperature"],
        saved.temperature,
        step=0.05,
        key="_temperature",
    )
    sentence = st.empty()
    first, second = st.columns(2)
    numbers = {
        "top_k": _number(first, "top_k", saved),
        "top_p": _number(second, "top_p", saved, step=0.05),
        "max_new_tokens": _number(first, "max_new_tokens", saved),
        "seed": _number(second, "seed", saved),
    }
    n_samples = st.slider(
        t("playground.n_samples"), 1, MAX_SAMPLES, state.n_samples, key="_n_samples"
    )
    with st.expander(t("playground.repetition")):
        for name in ("repetition_penalty", "freq_penalty"):
            numbers[name] = _number(st, name, saved, step=0.05)
    settings = GenerateSettings(temperature=temperature, **numbers)
    note(temperature_sentence(settings.temperature), sentence)
    return replace(state, settings=settings, n_samples=n_samples)


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
        options = {part: t(f"playground.keep_{part}") for part in get_args(Keep)}
        keep = st.segmented_control(
            t("playground.keep"),
            options,
            default=state.keep,
            required=True,
            format_func=options.__getitem__,
            key="_keep",
        )
        if keep in options and keep != state.keep:
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


@st.fragment
def show_typed(model: LoadedModel, saved: str) -> None:
    """The tokens of what is being typed, at each pause, if somebody asks for them."""
    if not st.toggle(t("playground.typed"), key="_typed"):
        return
    with shown_errors():
        text = text_as_typed(t("playground.prompt"), saved, key="playground_typing")
        # Long enough to fill the context many times over.
        prompt = prepare_prompt(model, text, 0)
        pieces = model.token_texts(model.encode(text))
        token_strip(
            [StripToken(piece, None, []) for piece in pieces[:MAX_TYPED_TOKENS]],
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


def show_next_token(
    model: LoadedModel, prompt: Prompt, settings: GenerateSettings
) -> None:
    """The likeliest tokens after the prompt, before and after the settings."""
    from tinysae.model.text.generate import next_token_probs
    from tinysae.model.text.logprobs import next_logits

    st.subheader(t("playground.next_title"))
    logits = next_logits(model, prompt.ids).cpu()
    probs = logits.softmax(-1)
    drawn = next_token_probs(logits, settings, [model.bos_id, *prompt.ids])
    best = probs.topk(min(N_CANDIDATES, len(probs))).indices.tolist()
    distribution_chart(
        [
            Candidate(model.token_text(i), float(probs[i]), float(drawn[i]))
            for i in best
        ],
        key="playground_next",
    )
    n_drawable = int((drawn > 0).sum())
    note(t("playground.n_drawable", n=f"{n_drawable:,}", total=f"{model.d_vocab:,}"))


def show_samples(
    buttons: DeltaGenerator, model: LoadedModel, prompt: Prompt, state: State
) -> list[Writing]:
    """The samples that are being written, side by side, and the buttons for them."""
    is_linked = state.is_written and SAMPLES not in st.session_state
    if buttons.button(t("playground.generate"), type="primary") or is_linked:
        st.session_state[SAMPLES] = [
            Writing(model, prompt, settings) for settings in _samples_settings(state)
        ]
    samples: list[Writing] = st.session_state.get(SAMPLES, [])
    if samples:
        stop, stories = buttons.empty(), st.empty()
        if any(sample.reason is None for sample in samples):
            stop.button(t("playground.stop"), on_click=_stop, args=(samples,))
        _write(stories, model, samples)
        stop.empty()
    return samples


def _samples_settings(state: State) -> list[GenerateSettings]:
    """Each sample's own: they differ in their dice."""
    seed = state.settings.seed
    return [
        replace(state.settings, seed=sample_seed(seed, sample))
        for sample in range(state.n_samples)
    ]


def are_of(samples: list[Writing], prompt: Prompt, state: State) -> bool:
    """Whether `samples` are what `state` writes, and not what an earlier one did."""
    return (
        bool(samples)
        and samples[0].prompt.ids == prompt.ids
        and [sample.settings for sample in samples] == _samples_settings(state)
    )


def _stop(samples: list[Writing]) -> None:
    for sample in samples:
        sample.stop()


def _write(place: DeltaGenerator, model: LoadedModel, samples: list[Writing]) -> None:
    """Draw the samples in `place`, and write on, a token each in turn, until all end.

    A click elsewhere interrupts this at a drawing; they have everything so far.
    """
    prompt = samples[0].prompt
    given = model.decode(prompt.ids)
    if prompt.n_cut:
        given = f"…{given}" if prompt.kept == "end" else f"{given}…"
    drawn_at = 0.0
    # A sum: each takes its step, whether or not one before it has ended.
    while sum(sample.step() for sample in samples):
        if time.monotonic() - drawn_at > DRAW_EVERY_S:
            place.html(_stories(given, samples, model.n_ctx - 1))
            drawn_at = time.monotonic()
    place.html(_stories(given, samples, model.n_ctx - 1))


def _stories(given: str, samples: list[Writing], limit: int) -> str:
    def story(sample: Writing) -> str:
        state = f"ended_{sample.reason}" if sample.reason else "writing"
        ended = t(f"playground.{state}", n=len(sample.ids), limit=limit)
        return _STORY.format(
            given=html.escape(given),
            written=html.escape(sample.text),
            ended=html.escape(ended),
        )

    return _STORIES.format(all="".join(map(story, samples)))
