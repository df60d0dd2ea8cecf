"""What the playground shows of a text: the story, its heatmap, what could come next."""

from __future__ import annotations

import html
import math
import time
from typing import TYPE_CHECKING, Any

import streamlit as st

from tinysae.model.generate import BOUNDS
from tinysae.numbers import ordinal, percent, signed
from tinysae.texts import visible
from tinysae.ui.cache import feature_table, loaded_sae
from tinysae.ui.chips import bar, chips
from tinysae.ui.distribution import Candidate, distribution_chart
from tinysae.ui.i18n import language, t
from tinysae.ui.page import page_link, plain, shown_errors
from tinysae.ui.tokens import StripToken, token_strip

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

    from tinysae.features.sources import FeatureSource
    from tinysae.model.generate import GenerateSettings, Prompt, Writing
    from tinysae.model.logprobs import TokenStats
    from tinysae.model.sources import LoadedModel

# Log-prob of the heatmap's palest colour: a token the model gave 1 chance in 55.
LOWEST_LOG_PROB = -4.0
N_CANDIDATES = 12
N_FEATURES = 8
# In pixels.
LINK_WIDTH = 132
# The browser draws no more often than this, and the model is faster.
DRAW_EVERY_S = 0.03

_STORY = (
    '<div style="white-space:pre-wrap;overflow-wrap:anywhere;font-size:1.125rem;'
    'line-height:1.7"><span style="color:light-dark(#5F6A68,#9AA5A3)">{given}</span>'
    "<span>{written}</span></div>"
)


def note(sentence: str, place: Any = st) -> None:
    """A small remark, in the full colour of text: `st.caption` is too pale for AA."""
    place.markdown(f":small[{plain(sentence)}]")


def number(
    place: DeltaGenerator, name: str, saved: GenerateSettings, **options: Any
) -> Any:
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


def show_notices(model: LoadedModel, prompt: Prompt) -> None:
    """Say what is special about the prompt, if anything is."""
    if not prompt.ids:
        st.info(plain(t("playground.prompt_empty")))
    if prompt.n_cut:
        notice = t(
            "playground.prompt_cut",
            n=f"{len(prompt.ids) + prompt.n_cut:,}",
            limit=model.n_ctx - 1,
            cut=f"{prompt.n_cut:,}",
            kept=len(prompt.ids),
        )
        st.info(plain(notice))
    if prompt.special:
        notice = t("playground.prompt_special", tokens=", ".join(prompt.special))
        st.info(plain(notice))


def show_next_token(
    model: LoadedModel, prompt: Prompt, settings: GenerateSettings
) -> None:
    """The likeliest tokens after the prompt, before and after the settings."""
    from tinysae.model.generate import next_token_probs
    from tinysae.model.logprobs import next_log_probs

    log_probs = next_log_probs(model, prompt.ids).cpu()
    drawn = next_token_probs(log_probs, settings)
    best = log_probs.topk(min(N_CANDIDATES, len(log_probs))).indices.tolist()
    distribution_chart(
        [
            Candidate(_alone(model, i), float(log_probs[i].exp()), float(drawn[i]))
            for i in best
        ],
        key="playground_next",
    )
    n_drawable = int((drawn > 0).sum())
    note(t("playground.n_drawable", n=f"{n_drawable:,}", total=f"{model.d_vocab:,}"))


def show_writing(place: DeltaGenerator, model: LoadedModel, writing: Writing) -> None:
    """Draw the story in `place`, and write on until it ends.

    A click elsewhere interrupts this at a drawing; `writing` has everything so far.
    """
    given = ("…" if writing.prompt.n_cut else "") + model.decode(writing.prompt.ids)
    drawn_at = 0.0
    while writing.step():
        if time.monotonic() - drawn_at > DRAW_EVERY_S:
            with place.container():
                _story(given, writing.text)
                note(t("playground.writing", n=len(writing.ids)))
            drawn_at = time.monotonic()
    with place.container():
        _story(given, writing.text)
        ended = t(
            f"playground.ended_{writing.reason}",
            n=len(writing.ids),
            limit=model.n_ctx - 1,
        )
        note(ended)


@st.fragment
def show_heatmap(model: LoadedModel, prompt: Prompt, writing: Writing | None) -> None:
    """The strip of the text that is on the page, coloured by log-prob, and the features
    that are active at the token somebody clicked.

    A click runs only this again, and not the rest of the page.
    """
    from tinysae.model.logprobs import token_stats

    if writing is not None:
        prompt = writing.prompt
    ids = [*prompt.ids, *(writing.ids if writing else ())]
    if not ids:
        return
    st.subheader(t("playground.heatmap"))
    position = token_strip(
        heatmap_tokens(model, token_stats(model, ids), n_given=len(prompt.ids)),
        key="playground_heatmap",
        scale="sequential",
        low=LOWEST_LOG_PROB,
        high=0.0,
        legend=t("playground.heatmap_legend"),
        selectable=True,
    )
    note(t("playground.heatmap_note"))
    with shown_errors():
        show_features(model, ids, position)


def show_features(model: LoadedModel, ids: list[int], position: int | None) -> None:
    """The features of an SAE that are active at `ids[position]`, each with a link.

    Raises:
        InputError: the SAE is of another model.
        MissingError, DamagedError: the SAE or its index cannot be read.
    """
    st.subheader(t("playground.features"))
    if position is None:
        note(t("playground.features_none_chosen"))
        return
    from tinysae.features.at_token import active_features

    source = _feature_source()
    with source.remedy():
        sae, table = loaded_sae(source), feature_table(source)
    active = active_features(sae, model, ids, position)
    if not active:
        note(t("playground.features_none_active"))
        return
    note(
        t(
            "playground.features_count",
            n=f"{len(active):,}",
            total=f"{len(table):,}",
            token=visible(model.token_texts(ids)[position]),
        )
    )
    strongest = active[0].activation
    for feature, activation in active[:N_FEATURES]:
        row = table.iloc[feature]
        with st.container(gap="xxsmall"):
            with st.container(horizontal=True, vertical_alignment="center", wrap=False):
                # As wide for all, so that the bars begin on one line.
                with st.container(width=LINK_WIDTH):
                    page_link(
                        "features",
                        t("playground.feature_link", feature=feature),
                        run=source.id,
                        feature=str(feature),
                    )
                st.html(bar(activation / strongest, f"{activation:.2f}"))
            st.html(
                chips(t("playground.feature_fires"), row["top_tokens"])
                + chips(t("playground.feature_promotes"), row["promoted"])
            )


def _feature_source() -> FeatureSource:
    """Whose features to look for: the embedded SAE's, or those chosen instead."""
    from tinysae.features.sources import feature_sources
    from tinysae.ui.sources import source_label

    ready = [source for source in feature_sources() if source.readiness == "ready"]
    sources = {source.id: source for source in reversed(ready)}
    if len(sources) == 1:
        return next(iter(sources.values()))
    labels = {source.id: source_label(source) for source in ready}
    chosen = st.selectbox(
        t("playground.features_source"),
        list(sources),
        format_func=labels.__getitem__,
        key="_features_source",
    )
    return sources[chosen]


def heatmap_tokens(
    model: LoadedModel, stats: TokenStats, n_given: int
) -> list[StripToken]:
    """A strip's tokens for `stats`; the first after `n_given` is highlighted."""
    texts = model.token_texts(stats.ids.tolist())
    alone = {
        int(token_id): _alone(model, int(token_id))
        for token_id in set(stats.top_ids.flat)
    }
    ranks = ordinal if language() == "en" else "{:,}".format
    tokens: list[StripToken] = []
    for index, text in enumerate(texts):
        rank = int(stats.rank[index]) + 1
        details = [
            (t("playground.log_prob"), signed(float(stats.log_prob[index]))),
            (t("playground.prob"), percent(float(stats.prob[index]))),
            (
                t("playground.rank"),
                t("playground.rank_of", rank=ranks(rank), total=f"{model.d_vocab:,}"),
            ),
        ]
        if not text and model.token_bytes is not None:
            part = model.token_bytes[int(stats.ids[index])].hex(" ").upper()
            details.append((t("playground.part_of_character"), part))
        details.append(("", t("playground.alternatives")))
        for token_id, log_prob in zip(
            stats.top_ids[index], stats.top_log_probs[index], strict=True
        ):
            share = percent(math.exp(log_prob))
            details.append((alone[int(token_id)], share))
        tokens.append(
            StripToken(text, float(stats.log_prob[index]), details, index == n_given)
        )
    return tokens


def _alone(model: LoadedModel, token_id: int) -> str:
    """The text of a token by itself, never empty.

    Bytes that are no character are said in hexadecimal, and a number without a text
    (an embedding may be larger than its vocabulary) as that number.
    """
    if model.token_bytes is None:
        return model.decode([token_id]) or f"<{token_id}>"
    raw = model.token_bytes[token_id]
    try:
        return raw.decode() or f"<{token_id}>"
    except UnicodeDecodeError:
        return f"<{raw.hex(' ').upper()}>"


def _story(given: str, written: str) -> None:
    st.html(_STORY.format(given=html.escape(given), written=html.escape(written)))
