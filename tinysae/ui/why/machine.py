"""The machine, drawn: a picture of one answer, which plays and is taken apart.

Drawn in the browser by `machine.js`, with `textContent` only; all numbers of it come
from `features.why.picture`. Nothing here knows the page.
"""

import json
import zlib
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any, NamedTuple

from streamlit.components.v2 import component

from tinysae.features.why.picture import Cut, Picture, hook_height
from tinysae.render.palette import NEGATIVE, POSITIVE
from tinysae.render.visible import encodable
from tinysae.ui.shell.i18n import t

# What a part is called in the browser: w8 a word, h0.3 a head, a12 an arc, l2 a lamp.
_TEMPLATES = {
    "pro": ("token",),
    "con": ("token",),
    "word": ("word",),
    "head": ("layer", "head"),
    "arc": ("layer", "head", "source", "to", "share"),
    "adds": ("effect", "token", "other"),
    "adds_about": ("effect", "token", "other"),
    "without": ("token", "other", "before", "after", "lost", "foretold"),
    "instead": ("token", "p"),
    "save": ("kind",),
    "step_layer": ("layer",),
    "row_layer": ("layer",),
    "word_label": ("word", "effect"),
    "head_label": ("layer", "head", "effect"),
    "lamp_label": ("name", "effect"),
}
_COMPARED = ("adds", "adds_about", "without")
_SENTENCES = (
    *("play", "pause", "less", "share", "hint", "click", "measuring", "open"),
    *("writes", "next_word"),
    *("step_words", "step_attention", "step_lamps", "step_answer"),
    *("row_words", "row_heads", "row_lamps", "row_answers"),
    *("about_words", "about_attention", "about_lamps"),
)


class Lamp(NamedTuple):
    """How a lamp is shown.

    Attributes:
        name: what it is called.
        second: a second, paler line; or nothing.
        about: a sentence on what it is; or nothing.
        light: 0 to 1; None for what is no feature.
    """

    name: str
    second: str
    about: str
    light: float | None


class Answer(NamedTuple):
    """A word that could come next, and its probability."""

    text: str
    p: float


class Without(NamedTuple):
    """What is measured without a part.

    Attributes:
        lost: by the logit (or difference).
        p: the answers' probabilities, in their order.
        best: the likeliest word then.
        instead: that, with what it was before, where it is none of the answers.
    """

    lost: float
    p: tuple[float, ...]
    best: Answer
    was: float | None = None


class Opened(NamedTuple):
    """A feature that the reader wants to open, and the row of lamps that it is of."""

    row: int
    feature: int


def cuts_of(picture: Picture) -> dict[str, Cut]:
    """Every part that can be taken out, the largest effect first."""
    cuts = {f"a{place}": Cut(arcs=(place,)) for place in range(len(picture.arcs))}
    cuts |= {f"l{place}": Cut(lamps=(place,)) for place in range(len(picture.lamps))}
    cuts |= {f"w{at}": cut for at, cut in picture.words.items()}
    cuts |= {f"h{layer}.{head}": cut for (layer, head), cut in picture.heads.items()}
    return dict(sorted(cuts.items(), key=lambda item: -abs(picture.effect(item[1]))))


def asked_part(key: str, version: int) -> str | None:
    """The part whose measurement the browser asked for, of this very picture."""
    return _said(_state(key).get("asked"), version, str)


def wanted_words(key: str, version: int) -> int:
    """How many words the browser asked to be written on after this very picture."""
    return _said(_state(key).get("write"), version, int) or 0


def machine_data(
    picture: Picture,
    *,
    version: int,
    sentence: str,
    words: Sequence[str],
    answers: Sequence[Answer],
    lamps: Sequence[Lamp],
    measured: Mapping[str, Without],
    n_layers: int,
    is_difference: bool = False,
) -> dict[str, Any]:
    """All that is drawn, as the browser reads it.

    Args:
        picture: the numbers.
        version: of what is drawn: another one begins anew.
        sentence: what is seen.
        words: a text a token, BOS first.
        answers: the explained one first, then the one it is compared with, if any.
        lamps: how each lamp is shown.
        measured: by the name of a part.
        n_layers: of the model.
        is_difference: between two sentences, of which nothing is measured.
    """
    of_sum = picture.attribution.hook_name if picture.attribution.is_exact else None
    data = {
        "print": version,
        "sentence": sentence,
        "words": list(words),
        "answers": [answer._asdict() for answer in answers],
        "rival": picture.attribution.other is not None,
        "lamps": [
            {
                **shown._asdict(),
                # What it adds, where that is the sum's own part.
                "effect": part.direct if part.hook_name == of_sum else part.effect,
                "exact": part.hook_name == of_sum,
                "row": picture.hooks.index(part.hook_name or ""),
                "foretold": part.effect,
                "number": part.number,
            }
            for part, shown in zip(picture.lamps, lamps, strict=True)
        ],
        "arcs": [arc._asdict() for arc in picture.arcs],
        "threads": picture.threads,
        "carried": {at: picture.effect(cut) for at, cut in picture.words.items()},
        "heads": {
            f"h{layer}.{head}": picture.effect(cut)
            for (layer, head), cut in picture.heads.items()
        },
        "most": max((abs(arc.effect) for arc in picture.arcs), default=1.0),
        "cuts": {name: _cut(each) for name, each in measured.items()},
        "n_layers": n_layers,
        # Heads of a hook's layer and below stand under its lamps.
        "hooks": [hook_height(hook) for hook in picture.hooks],
        "links": picture.links,
        "say": {
            **_say(answers, picture.attribution.other is not None),
            **(_differing() if is_difference else {}),
        },
    }
    return _rounded(data)


def written_on(
    first: Mapping[str, Any], written: Sequence[Mapping[str, Any]], *, is_all: bool
) -> dict[str, Any]:
    """The first picture's data with that of the words which are written on.

    Args:
        is_all: whether no more words can be had.
    """
    data = {**first, "written": list(written), "all": is_all}
    return {**data, "version": zlib.crc32(packed(data))}


def machine(data: Mapping[str, Any], *, key: str) -> Opened | None:
    """Draw what `written_on` made; the feature that is to be opened, if any."""
    result = _COMPONENT(
        key=key,
        data=zlib.compress(packed(data)),
        on_asked_change=lambda: None,
        on_opened_change=lambda: None,
        on_write_change=lambda: None,
    )
    for each in (data, *data["written"]):
        place = _said(result.get("opened"), each["print"], int)
        if place is not None and 0 <= place < len(each["lamps"]):
            lamp = each["lamps"][place]
            if lamp["number"] is not None:
                return Opened(lamp["row"], lamp["number"])
    return None


def _cut(without: Without) -> dict[str, Any]:
    best = without.best._asdict()
    instead = None if without.was is None else {**best, "was": without.was}
    return {"lost": without.lost, "p": without.p, "best": best, "instead": instead}


def _say(answers: Sequence[Answer], has_rival: bool) -> dict[str, str]:
    """The component's sentences; values that only the browser knows stay `{names}`."""
    said = {name: t(f"why.machine_{name}") for name in _SENTENCES}
    for name, values in _TEMPLATES.items():
        # A difference of two logits is not the logit of one.
        key = f"{name}_over" if has_rival and name in _COMPARED else name
        said[name] = t(f"why.machine_{key}", **{v: f"{{{v}}}" for v in values})
    rival = answers[1].text if has_rival else t("why.machine_others")
    return {**said, "rival": rival}


def _differing() -> dict[str, str]:
    """What is said otherwise of a difference."""
    adds = t("why.compare_adds", effect="{effect}")
    click = t("why.compare_unmeasured")
    return {
        **{"adds": adds, "adds_about": adds, "click": click, "measuring": click},
        **{"pro": t("why.compare_more"), "con": t("why.compare_less")},
        "hint": t("why.compare_hint"),
    }


def packed(data: Any) -> bytes:
    """As JSON; halves of characters are replaced."""
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=False)
    return encodable(text).encode()


def _rounded(data: Any) -> Any:
    """Six digits are more than a picture shows."""
    if isinstance(data, float):
        return float(f"{data:.6g}")
    if isinstance(data, Mapping):
        return {name: _rounded(value) for name, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [_rounded(value) for value in data]
    return data


def _state(key: str) -> Mapping[str, Any]:
    import streamlit as st

    return st.session_state.get(key) or {}


def _said(value: object, version: int, kind: type) -> Any:
    """What the browser said, unless it is forged or of another picture."""
    match value:
        case [int(of), said, *_] if of == version and type(said) is kind:
            return said
    return None


_FILES = files("tinysae.ui.why")
# One script: where things stand, what is said of them, how they look, the machine.
_SCRIPTS = ("layout", "say", "paths", "draw", "save", "write")


def script(last: str) -> str:
    """All of the machine, and what starts it where it is: "page" or "file"."""
    names = [*(f"machine_{name}.js" for name in _SCRIPTS), "machine.js"]
    names.append(f"machine_{last}.js")
    return "\n".join((_FILES / name).read_text(encoding="utf-8") for name in names)


def style() -> str:
    """Its style sheet; the page's own colours are variables of it."""
    return (_FILES / "machine.css").read_text(encoding="utf-8") + _COLOURS


_COLOURS = (
    f".machine{{--pro:{POSITIVE};--con:{NEGATIVE};"
    "--lamp:light-dark(#F2A516,#FFC24A);--lamp-edge:light-dark(#9A6A0B,#C9962F);"
    "--faint:light-dark(#5F6A68,#9AA5A3)}"
)
_COMPONENT = component("tinysae_machine", js=script("page"), css=style())
