"""A strip of tokens, each coloured by a value, with its details on hover and focus.

The tokens are drawn in the browser by `tokens.js` with `textContent` only, so that no
text can become markup. With the keyboard: Tab enters the strip, arrows move, Enter or
Space selects, Escape closes the card. Where a strip has a place beside it for what is
selected, the arrows select, too.
"""

import json
import zlib
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import lru_cache
from importlib.resources import files
from typing import (
    TYPE_CHECKING,
    Any,
    Literal,
    NamedTuple,
    Required,
    TypedDict,
    Unpack,
)

import streamlit as st
from streamlit.components.v2 import component

from tinysae.render.palette import DIVERGING, SEQUENTIAL, Scale, ink_on
from tinysae.render.visible import encodable
from tinysae.ui.shell.i18n import t
from tinysae.ui.shell.page import plain

if TYPE_CHECKING:
    from torch import Tensor

ScaleName = Literal["sequential", "diverging"]
SCALES: dict[ScaleName, Scale] = {"sequential": SEQUENTIAL, "diverging": DIVERGING}


class StripToken(NamedTuple):
    """One token of a strip.

    Attributes:
        text: its exact text; empty while a character of several tokens is incomplete.
        value: what colours it; None for no colour.
        details: the card's rows (label, value); a row without a label is a heading.
            Percentages under a heading also get a bar.
        highlighted: underlined.
    """

    text: str
    value: float | None
    details: tuple[tuple[str, str], ...]
    highlighted: bool = False


class Look(TypedDict, total=False):
    """How a strip is drawn.

    scale: the palette's scale for the values.
    low, high: values of the scale's first colour and of its last; those outside get the
        colour of the nearest end.
    legend: the sentence beside the scale, which also names the strip to screen readers;
        None draws no scale.
    selectable: a click, Enter or Space selects a token. The selection stays until the
        tokens change.
    ends: what the scale says at its ends instead of `low` and `high`.
    spaces: mark every space, and where each token begins.
    label: names the strip to screen readers, instead of `legend`.
    n_given: of the first tokens, which are drawn paler.
    n_to_come: tokens for which room is kept at the end.
    is_story: set like a text to read, closer than a text to study.
    replay: the others appear one after the other, unless the reader's system asks for
        less motion.
    selected: the position of the one that is; only where the page follows it.
    """

    scale: Required[ScaleName]
    low: Required[float]
    high: Required[float]
    legend: Required[str | None]
    selectable: bool
    ends: tuple[str, str] | None
    spaces: bool
    label: str | None
    n_given: int
    n_to_come: int
    is_story: bool
    replay: bool
    selected: int | None


def token_strip(
    tokens: Sequence[StripToken],
    *,
    key: str,
    on_select: Callable[[int], None] | None = None,
    **look: Unpack[Look],
) -> int | None:
    """Draw `tokens`; where they are selectable, the position of the one that was
    clicked.

    Args:
        tokens: what to draw, in reading order.
        key: of the component; one strip a key.
        on_select: called with the position of a token that is selected, by an arrow,
            too: something beside the strip follows it.
        look: see `Look`.
    """
    look["label"] = look.get("label") or look["legend"] or t("tokens.label")
    packed, fingerprint = pack(tuple(tokens), follows=on_select is not None, **look)
    is_story, n_to_come = look.get("is_story", False), look.get("n_to_come", 0)

    def tell() -> None:
        said = st.session_state[key].get("selected")
        position = _selected(said, fingerprint, len(tokens))
        if on_select is not None and position is not None:
            on_select(position)

    with st.container(key=f"strip_{key}") if is_story else nullcontext():
        if is_story:
            # Text needs no script: unseen (page.css), it takes the room that the strip
            # will. What is still being written keeps room by itself.
            whole = "".join(token.text for token in tokens)
            st.markdown("" if n_to_come else plain(whole))
        result = _COMPONENT(key=key, data=packed, on_selected_change=tell)
    return _selected(result.get("selected"), fingerprint, len(tokens))


# As `cache.text_figures`: most of a page's strips are what they were at its last run.
@lru_cache(64)
def pack(
    tokens: tuple[StripToken, ...], *, follows: bool = False, **look: Unpack[Look]
) -> tuple[bytes, int]:
    """What `tokens.js` draws, as deflated JSON, and its fingerprint.

    The fingerprint is of what is drawn: another token may be selected in it.

    Five alternatives a token say much the same over and over: deflate takes 256 tokens
    from 40 to 10 KiB.
    """
    scale, low, high = look["scale"], look["low"], look["high"]
    colours, ends = SCALES[scale], look.get("ends")
    data = {
        "label": look.get("label"),
        "legend": look["legend"],
        "low": ends[0] if ends else _number(low),
        "high": ends[1] if ends else _number(high),
        "spaces": look.get("spaces", False),
        "scale": scale[0],
        "steps": len(colours),
        "selectable": follows or look.get("selectable", False),
        "follows": follows,
        "given": look.get("n_given", 0),
        "room": look.get("n_to_come", 0),
        "story": look.get("is_story", False),
        "tokens": [
            [
                token.text,
                None if token.value is None else colours.step(token.value, low, high),
                int(token.highlighted),
                [list(row) for row in token.details],
            ]
            for token in tokens
        ],
    }
    fingerprint = zlib.crc32(_compact(data))
    # Neither is a reason to draw the same text again.
    passing = {
        "fingerprint": fingerprint,
        "replay": look.get("replay", False),
        "selected": look.get("selected"),
    }
    return zlib.compress(_compact({**data, **passing})), fingerprint


# Below the text CircuitsVis leaves room for the card of its last line, which is set
# closer here: half of it is enough.
_LOWER_CARD = (
    '<style>[style*="padding-bottom: 350px"]{padding-bottom:11.5rem!important}'
    "table{border-spacing:0}td,th{font-size:.8125rem;line-height:1;padding:0 .3rem}"
    "hr{display:none}</style>"
)


def circuitsvis_log_probs(
    tokens: "Tensor", log_probs: "Tensor", to_string: Callable[[int], str]
) -> str:
    """CircuitsVis's `token_log_probs` as the body of an HTML document; see `framed`.

    Args:
        tokens: BOS and the text, [1 + n].
        log_probs: of what follows each of them, [1 + n, d_vocab].
        to_string: the text of a token.
    """
    from circuitsvis.logits import token_log_probs

    drawn = token_log_probs(tokens, log_probs, to_string).local_src
    return _LOWER_CARD + _inlined(drawn)


def circuitsvis_attention(tokens: Sequence[str], attention: "Tensor") -> str:
    """CircuitsVis's `attention_heads` as the body of an HTML document.

    Args:
        tokens: BOS and the text, 1 + n of them.
        attention: of each head, [head, 1 + n, 1 + n].
    """
    from circuitsvis.attention import attention_heads

    # Three digits say all that a colour can.
    rounded = [
        [[round(value, 3) for value in row] for row in head]
        for head in attention.tolist()
    ]
    return _inlined(attention_heads(rounded, list(tokens)).local_src)


def _inlined(source: str) -> str:
    """CircuitsVis's HTML with its library in it, such that no token can end its script.

    `str()` of what it returns would fetch the library from another host instead.
    """
    head, call, properties = source.rpartition("CircuitsVis.render(")
    properties, end, tail = properties.rpartition("</script>")
    return head + call + properties.replace("<", "\\u003c") + end + tail


def _compact(data: Any) -> bytes:
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=False)
    return encodable(text).encode()


def _number(value: float) -> str:
    return f"{value:g}".replace("-", "\N{MINUS SIGN}")


def _selected(value: object, fingerprint: int, n_tokens: int) -> int | None:
    """The position in a browser's message, unless it is forged or of another text."""
    match value:
        case [int(print_), int(position), *_] if (
            print_ == fingerprint and 0 <= position < n_tokens
        ):
            return position
    return None


def _colour_rules() -> str:
    """One CSS rule a colour: `.s0` to `.s8` sequential, `.d0` to `.d8` diverging.

    `light-dark()` follows the theme at once, without a rerun. Variables, because what
    the model was given wears them paler.
    """
    bar = f"light-dark({SEQUENTIAL.light[2]},{SEQUENTIAL.dark[2]})"
    rules = [f".strip{{--bar:{bar}}}"]
    for name, scale in SCALES.items():
        for step, (light, dark) in enumerate(zip(scale.light, scale.dark, strict=True)):
            rules.append(
                f".{name[0]}{step}{{--ground:light-dark({light},{dark});"
                f"--ink:light-dark({ink_on(light)},{ink_on(dark)})}}"
            )
    return "\n".join(rules)


_FILES = files("tinysae.ui.parts")
_COMPONENT = component(
    "tinysae_tokens",
    js=(_FILES / "tokens.js").read_text(encoding="utf-8"),
    css=(_FILES / "tokens.css").read_text(encoding="utf-8") + _colour_rules(),
)
