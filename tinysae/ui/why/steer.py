"""Steer: the same text, the same dice, and a feature turned down and up."""

from __future__ import annotations

import html
import time
from typing import TYPE_CHECKING

import streamlit as st

from tinysae.errors import InputError
from tinysae.features.names.labels import concept_name
from tinysae.features.why.steering import (
    MAX_FEATURES,
    MODES,
    STRAINED,
    STRENGTHS,
    Mode,
    Steer,
    SteeredStrip,
    scaled,
    steered,
)
from tinysae.features.why.strengths import (
    STRONGEST,
    WEAKEST,
    is_quick,
    right_strength,
)
from tinysae.model.text.generate import GenerateSettings
from tinysae.model.text.prompt import prompt_with_room
from tinysae.render.numbers import signed
from tinysae.ui.parts.one_of import one_of
from tinysae.ui.shell import cache
from tinysae.ui.shell.i18n import language, t
from tinysae.ui.shell.page import note
from tinysae.ui.why.ask import linked_feature
from tinysae.ui.why.called import numbered
from tinysae.ui.why.what_if import show_distribution

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

    from tinysae.features.why.steering import Sample
    from tinysae.ui.why.ask import Question

STRIP = "why.strip"
# What the strength was found for.
_TURNED = "why.turned"
DEFAULT_STRENGTH = 0.4
# Most often that the texts are drawn while they are written.
DRAW_EVERY_S = 0.1
MAX_TOKENS = 100
MAX_TYPED = 80

_TEXTS = (
    '<div style="display:grid;gap:1rem;'
    'grid-template-columns:repeat(auto-fit,minmax(13rem,1fr))">{all}</div>'
)
_TEXT = (
    '<section style="border:1px solid color-mix(in srgb,currentColor 18%,transparent);'
    'border-radius:.5rem;padding:.75rem 1rem">'
    '<div style="font-weight:600">{title}</div>'
    '<p style="white-space:pre-wrap;overflow-wrap:anywhere;margin:.4rem 0">{text}</p>'
    '<div style="font-size:.875rem">{gauge}</div></section>'
)


def show_steer(question: Question) -> None:
    """What to turn up, the texts at five strengths, and the next token's change."""
    steers, settings, usual = _choose(question)
    buttons = st.container(horizontal=True)
    if buttons.button(t("why.steer_write"), type="primary", key="why.write"):
        prompt = prompt_with_room(
            question.model, question.model.decode(question.ids), settings.max_new_tokens
        )
        strip = SteeredStrip(question.model, prompt, settings, question.sae, steers)
        st.session_state[STRIP] = (_asked(question, steers, settings), strip)
    asked, strip = st.session_state.get(STRIP, (None, None))
    if strip is None or asked != _asked(question, steers, settings):
        note(t("why.steer_empty"))
    else:
        place, stop = st.empty(), buttons.empty()
        if not strip.is_done:
            stop.button(t("why.steer_stop"), on_click=strip.stop, key="why.stop")
        _write(place, strip, steers[0].strength, usual)
        stop.empty()
        note(t("why.steer_how"))
    st.subheader(t("why.steer_next"), anchor=False)
    done = steered(question.model, question.ids, question.sae, steers)
    before, after = done.before[-1].exp(), done.after[-1].exp()
    show_distribution(question, before, after, key="why.steer_next")


def _asked(
    question: Question, steers: list[Steer], settings: GenerateSettings
) -> tuple[object, ...]:
    """What the texts are of: with anything else chosen they are not shown."""
    return question.source.id, question.ids, tuple(steers), settings


def _choose(
    question: Question,
) -> tuple[list[Steer], GenerateSettings, float | None]:
    """The features with their strength, how the texts are written, and the model's
    usual loss on what it writes here, where that was measured.

    Raises:
        InputError: no list of features, or one that never fires.
    """
    linked = linked_feature(question.sae)
    key = f"why.steer_features.{question.source.id}.{linked}"
    if key not in st.session_state:
        st.session_state[key] = str(_first(question) if linked is None else linked)
    concepts = _concepts(question)

    def choose() -> None:
        # None where the choice was taken back.
        if (name := st.session_state["why.concept"]) in concepts:
            st.session_state[key] = str(concepts[name])

    with st.container(horizontal=True, vertical_alignment="bottom"):
        if concepts:
            st.selectbox(
                t("why.steer_concept"),
                list(concepts),
                index=None,
                format_func=lambda name: concept_name(name, language()),
                placeholder=t("why.steer_concept_empty"),
                key="why.concept",
                on_change=choose,
                width=210,
            )
        typed = st.text_input(
            t("why.steer_features"),
            key=key,
            max_chars=MAX_TYPED,
            help=t("why.steer_help", most=MAX_FEATURES),
            width=150,
        )
        names: dict[Mode, str] = {mode: t(f"why.steer_{mode}") for mode in MODES}
        mode = one_of(
            t("why.steer_mode"),
            names,
            "add",
            key="why.mode",
            help=t("why.steer_mode_help"),
        )
        tokens = st.number_input(
            t("why.steer_tokens"), 1, MAX_TOKENS, 40, key="why.tokens", width=100
        )
        seed = st.number_input(
            t("why.steer_seed"), 0, 10**6, 0, key="why.seed", width=120
        )
    with question.source.remedy():
        table = cache.feature_table(question.source)
    strongest = table["max_act"].tolist()
    whole = tuple(
        Steer(feature, 1.0, strongest[feature], mode)
        for feature in parse_features(typed, question.sae.d_sae)
    )
    turned = [numbered(question.source, steer.feature) for steer in whole]
    note(t("why.steer_turned", names=", ".join(turned)))
    strength, usual = _choose_strength(question, whole)
    settings = GenerateSettings(max_new_tokens=int(tokens), seed=int(seed))
    return list(scaled(whole, strength)), settings, usual


def _choose_strength(
    question: Question, whole: tuple[Steer, ...]
) -> tuple[float, float | None]:
    """The slider's value, and the usual loss. For other features the slider begins
    where theirs was found, so that the outermost texts are the strongest good ones."""
    ids, turned = question.ids, (question.source.id, whole)
    ids_before, before, tried = st.session_state.get(_TURNED, (None, None, None))
    if (ids_before, before) != (ids, turned):
        tried = None
        if is_quick(question.model, len(ids)):
            tried = right_strength(question.model, ids, question.sae, whole)
        st.session_state[_TURNED] = (ids, turned, tried)
    # A widget's own key is gone after a change of page.
    if before != turned or "why.strength" not in st.session_state:
        begin = DEFAULT_STRENGTH if tried is None else tried.strength / STRENGTHS[-1]
        st.session_state["why.strength"] = round(begin, 2)
    strength = st.slider(
        t("why.steer_strength"),
        WEAKEST / STRENGTHS[-1],
        STRONGEST / STRENGTHS[-1],
        step=0.01,
        help=t("why.steer_strength_help", bound=STRAINED),
        key="why.strength",
    )
    return float(strength), None if tried is None else tried.usual


def _concepts(question: Question) -> dict[str, int]:
    """Concepts, and the feature that is best at being about to name each; those that
    are read best come first."""
    report = cache.concept_report(question.source)
    found = [
        (reading.score.f1, result.concept, reading.features[0].feature)
        for result in (report.concepts if report else ())
        for reading in result.readings
        if reading.reading == "about_to" and reading.features
    ]
    return {name: feature for _, name, feature in sorted(found, reverse=True)}


def _first(question: Question) -> int:
    """The feature that does the most for the answer: 0 where none is active."""
    helpful = (
        part.number
        for part in question.attribution().features
        if part.kind == "feature" and part.effect > 0 and part.number is not None
    )
    return next(helpful, 0)


def parse_features(typed: str, d_sae: int) -> list[int]:
    """The numbers in "12, 340", each once.

    Raises:
        InputError: anything else, too many, or one that is not there.
    """
    words = typed[:MAX_TYPED].replace(",", " ").split()
    if not 1 <= len(words) <= MAX_FEATURES or not all(
        word.isascii() and word.isdecimal() for word in words
    ):
        raise InputError("why_features", typed=typed[:40], most=MAX_FEATURES)
    features = list(dict.fromkeys(map(int, words)))
    for feature in features:
        if feature >= d_sae:
            raise InputError(
                "features_unknown", feature=str(feature)[:20], last=d_sae - 1
            )
    return features


def _write(
    place: DeltaGenerator, strip: SteeredStrip, strength: float, usual: float | None
) -> None:
    """Draw the texts in `place`, and write on until all end.

    A click elsewhere interrupts this at a drawing; they have everything so far.
    """
    drawn_at = 0.0
    while strip.step():
        if time.monotonic() - drawn_at > DRAW_EVERY_S:
            place.html(_texts(strip, strength, None))
            drawn_at = time.monotonic()
    place.html(_texts(strip, strength, strip.samples(usual)))


def _texts(strip: SteeredStrip, strength: float, samples: list[Sample] | None) -> str:
    def one(place: int) -> str:
        factor = strip.strengths[place]
        title = (
            t("why.steer_title", strength=signed(factor * strength))
            if factor
            else t("why.steer_unsteered")
        )
        return _TEXT.format(
            title=html.escape(title),
            text=html.escape(strip.writings[place].text),
            gauge="" if samples is None else _gauge(samples[place]),
        )

    return _TEXTS.format(all="".join(map(one, range(len(strip.strengths)))))


def _gauge(sample: Sample) -> str:
    if sample.loss is None or sample.ratio is None:
        return ""
    figures = t("why.steer_loss", loss=signed(sample.loss), ratio=signed(sample.ratio))
    verdict = t(f"why.verdict_{sample.verdict}")
    return f"{html.escape(figures)}<br>{html.escape(verdict)}"
