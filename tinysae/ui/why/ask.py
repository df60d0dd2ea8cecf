"""The question that the Why page answers: which text, which token, whose features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import streamlit as st

from tinysae.checked_numbers import typed_whole
from tinysae.errors import InputError, TinysaeError
from tinysae.library.feature_source import FeatureSource
from tinysae.render.numbers import percent
from tinysae.ui.shell import cache
from tinysae.ui.shell.i18n import t
from tinysae.ui.shell.page import empty_state, more, note, plain

if TYPE_CHECKING:
    from torch import Tensor

    from tinysae.features.index.records import Context
    from tinysae.features.why.attribution import Attribution
    from tinysae.model.sources import LoadedModel
    from tinysae.sae.load import SAE
    from tinysae.ui.shell.chosen import Chosen

MAX_CHARACTERS = 2_000
# What comes next, beside the text.
_NEXT_PX = 330
# Typed for "no comparison".
NONE = ("-", "\N{MINUS SIGN}")
# A link's parameter -> the widget it fills in.
LINKED = {"text": "why.prompt", "target": "why.target", "other": "why.other"}
_READ = "why.link_read"


@dataclass(frozen=True, eq=False)
class Question:
    """What was asked, and the model's own answer.

    Attributes:
        model: that reads the text.
        sae: whose features explain it.
        source: where the SAE is from.
        ids: the text's tokens, without BOS.
        log_probs: of the next token, [d_vocab].
        target: the token that is explained.
        other: the one it is compared with, if any.
    """

    model: LoadedModel
    sae: SAE
    source: FeatureSource
    ids: tuple[int, ...]
    log_probs: Tensor
    target: int
    other: int | None

    def attribution(self) -> Attribution:
        """The logit of `target` (minus that of `other`), taken apart."""
        from tinysae.features.why.attribution import attribute

        return attribute(self.model, self.ids, self.target, self.other, sae=self.sae)

    def says(self) -> str:
        """What comes next and its rival, with their probabilities, in a line."""
        values = {
            "target": self.word(self.target),
            "prob": percent(float(self.log_probs[self.target].exp())),
        }
        if self.other is None:
            return t("why.says", **values)
        values["other"] = self.word(self.other)
        values["other_prob"] = percent(float(self.log_probs[self.other].exp()))
        return t("why.says_rather", **values)

    def word(self, token_id: int) -> str:
        """What is explained or compared, as a sentence says it."""
        from tinysae.render.visible import as_words

        told = [each for each in (self.target, self.other) if each is not None]
        words = as_words([self.model.token_text(each) for each in told])
        return words[told.index(token_id)]

    def token(self, token_id: int) -> str:
        """A token's text, as people read it."""
        from tinysae.render.visible import visible

        return visible(self.model.token_text(token_id))


def ask(here: Chosen) -> Question | None:
    """The sentence, and in one line its next word and rival; None, with what to do,
    while there is no text or no SAE.

    Raises:
        InputError, MissingError, DamagedError: a token, a text, an SAE or a model that
            cannot be used.
    """
    _read_link(here.source)
    top = st.container(
        key="why_ask", horizontal=True, vertical_alignment="center", gap="small"
    )
    text = top.text_area(
        t("why.prompt"),
        key="why.prompt",
        max_chars=MAX_CHARACTERS,
        height=68,
        label_visibility="collapsed",
    )
    with top.container(key="why_next", width=_NEXT_PX, gap="xxsmall"):
        said = st.empty()
        with more("why_more", t("why.change_words")):
            typed = st.text_input(
                t("why.target"),
                key="why.target",
                help=t("why.target_help"),
                placeholder=t("why.target_empty"),
            )
            rather = st.text_input(
                t("why.other"),
                key="why.other",
                help=t("why.other_help"),
                placeholder=t("why.other_empty"),
            )
    source = here.source
    if source is None:
        empty_state("why.no_sae", page="train", link_key="common.no_sae_link")
        return None
    sae = cache.loaded_sae(source)
    model = cache.loaded_model(source.model)
    from tinysae.model.text.logprobs import next_log_probs
    from tinysae.model.text.prompt import prepare_prompt

    prompt = prepare_prompt(model, text[:MAX_CHARACTERS], 0)
    ids = prompt.ids
    if not ids:
        said.markdown(plain(t("why.prompt_empty")))
        return None
    if prompt.n_cut:
        note(t("why.prompt_cut", cut=f"{prompt.n_cut:,}", kept=len(ids)))
    log_probs = next_log_probs(model, ids).cpu()
    target = _token(model, typed, log_probs)
    if target is None:
        target = int(log_probs.argmax())
    other: int | None = None
    if rather.strip() not in NONE:
        other = _token(model, rather, log_probs)
        if other is None:
            best = log_probs.topk(2).indices.tolist()
            other = next(token for token in best if token != target)
    if other == target:
        other = None
    question = Question(model, sae, source, ids, log_probs, target, other)
    said.markdown(plain(question.says()))
    return question


def _read_link(source: FeatureSource | None) -> None:
    """What the link says fills in the fields, once a visit; without one, the example
    does."""
    linked = {name: st.query_params.get(name) for name in (*LINKED, "feature")}
    if linked["feature"]:
        linked["run"] = st.query_params.get("run")
    # Widgets' own keys are gone after a change of page.
    is_new = "why.prompt" not in st.session_state
    if any(linked.values()) and (is_new or st.session_state.get(_READ) != linked):
        st.session_state[_READ] = linked
        for name, key in LINKED.items():
            st.session_state[key] = (linked[name] or "")[:MAX_CHARACTERS]
        if not linked["text"]:
            st.session_state["why.prompt"] = _linked_example(source)
    first = {"why.prompt": t("why.prompt_example"), "why.target": "", "why.other": ""}
    for key, value in first.items():
        st.session_state[key] = st.session_state.get(key, value)


def _linked_example(source: FeatureSource | None) -> str:
    """The linked feature's strongest text, up to where it is strongest; the page's
    example where there is none."""
    feature = st.query_params.get("feature", "")
    if source is None:
        return t("why.prompt_example")
    try:
        index = cache.feature_index(source)
        number = typed_whole(feature, index.info.d_sae)
        if number is not None:
            model = cache.loaded_model(source.model)
            contexts = index.feature(number).contexts
            texts = (own_text(model, context) for context in contexts)
            return next(filter(None, texts), t("why.prompt_example"))
    except TinysaeError:
        # What is wrong with the SAE is said where it is opened.
        pass
    return t("why.prompt_example")


def own_text(model: LoadedModel, context: Context) -> str:
    """Of a context the text in which the feature is strongest, up to there; nothing
    when it is strongest between two texts.

    Raises:
        InputError: the context is of another model.
    """
    end = context.position + 1
    # A context begins with BOS, which also stands between its texts.
    is_bos = context.tokens[:end] == context.tokens[0]
    start = int(is_bos.nonzero()[0][-1]) + 1
    ids = context.tokens[start:end].tolist()
    model.check_ids(ids)
    return model.decode(ids)[-MAX_CHARACTERS:]


def _token(model: LoadedModel, typed: str, log_probs: Tensor) -> int | None:
    from tinysae.model.text.typed_token import one_token

    return one_token(model, typed, log_probs) if typed else None


def linked_feature(sae: SAE) -> int | None:
    """The link's feature; None when it names none.

    Raises:
        InputError: it is not one of this SAE's.
    """
    linked = st.query_params.get("feature")
    if not linked:
        return None
    if (feature := typed_whole(linked, sae.d_sae)) is not None:
        return feature
    raise InputError("features_unknown", feature=linked[:40], last=sae.d_sae - 1)
