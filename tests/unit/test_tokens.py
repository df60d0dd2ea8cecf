"""What a token strip sends to the browser, and what it believes of what comes back."""

import json
import random
import re
import zlib
from typing import Any

import pytest

from tests.conftest import ROOT
from tinysae.lessons.calls.probabilities import points
from tinysae.model.sources import LoadedModel
from tinysae.model.text.logprobs import token_stats
from tinysae.render.numbers import ordinal, percent, signed
from tinysae.render.palette import (
    BACKGROUND,
    DIVERGING,
    SEQUENTIAL,
    Scale,
    Theme,
    contrast,
)
from tinysae.ui.parts import tokens as strips
from tinysae.ui.parts.tokens import StripToken, pack
from tinysae.ui.write.heatmap import heatmap_tokens

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(1)>"
OPTIONS: dict[str, Any] = {
    "scale": "sequential",
    "low": -6.0,
    "high": 0.0,
    "legend": "Log-probability of each token, given all before it",
}


def unpacked(packed: bytes) -> dict[str, Any]:
    return json.loads(zlib.decompress(packed))


def test_tokens_arrive_exactly() -> None:
    texts = [" she", "", "한", "\n", "\x00", "👩\u200d👩", HOSTILE, "\u2028"]
    packed, fingerprint = pack(
        tuple(StripToken(text, 0.0, ((HOSTILE, HOSTILE),)) for text in texts),
        **OPTIONS,
    )
    data = unpacked(packed)
    assert [token[0] for token in data["tokens"]] == texts
    assert data["tokens"][0][3] == [[HOSTILE, HOSTILE]]
    assert data["fingerprint"] == fingerprint


def test_value_becomes_a_colour_of_the_scale() -> None:
    values = [None, -99.0, -6.0, -3.0, 0.0, 5.0, float("nan")]
    packed, _ = pack(tuple(StripToken("a", value, ()) for value in values), **OPTIONS)
    steps = [token[1] for token in unpacked(packed)["tokens"]]
    assert steps == [None, 0, 0, 4, 8, 8, 0]


def test_scale_says_its_ends_with_a_real_minus() -> None:
    data = unpacked(pack((), **OPTIONS)[0])
    assert (data["low"], data["high"], data["steps"]) == ("−6", "0", len(SEQUENTIAL))


@pytest.mark.parametrize("scale", [SEQUENTIAL, DIVERGING])
@pytest.mark.parametrize("theme", [0, 1])
def test_every_colour_carries_legible_text(scale: Any, theme: int) -> None:
    letter = "s" if scale is SEQUENTIAL else "d"
    rules = strips._colour_rules()
    for step in range(len(scale)):
        rule = re.search(
            rf"\.{letter}{step}{{--ground:light-dark\((.+?),(.+?)\);"
            r"--ink:light-dark\((.+?),(.+?)\)}",
            rules,
        )
        assert rule is not None
        background, ink = rule.groups()[theme], rule.groups()[2 + theme]
        assert contrast(background, ink) >= 4.5


@pytest.mark.parametrize("scale", [SEQUENTIAL, DIVERGING])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_what_was_given_is_paler_and_legible(scale: Scale, theme: Theme) -> None:
    css = (ROOT / "tinysae/ui/parts/tokens.css").read_text()
    rule = css[css.index(".token.given") :]
    found = re.search(
        r"transparent\) (\d+)%.*?light-dark\((#\w+), (#\w+)\)", rule, re.S
    )
    assert found is not None
    share, ink = int(found[1]) / 100, found[3] if theme == "dark" else found[2]
    for colour in scale.steps(theme):
        parts = zip(channels(colour), channels(BACKGROUND[theme]), strict=True)
        mixed = [round(share * own + (1 - share) * below) for own, below in parts]
        assert contrast("#" + bytes(mixed).hex(), ink) >= 4.5


def channels(colour: str) -> bytes:
    return bytes.fromhex(colour.removeprefix("#"))


def test_what_is_selected_is_no_reason_to_draw_the_text_again() -> None:
    tokens = (StripToken("Once", 1.0, ()), StripToken(" upon", 0.0, ()))
    scale: dict[str, Any] = {"scale": "sequential", "low": 0, "high": 1, "legend": None}
    _, first = pack(tokens, **scale, follows=True, selected=0, replay=True)
    _, second = pack(tokens, **scale, follows=True, selected=1)
    _, other = pack(tokens[:1], **scale, follows=True)
    assert first == second != other


def test_256_tokens_with_their_cards_fit_in_25_kib(tiny_model: LoadedModel) -> None:
    # 63 tokens fill the tiny model; four such texts with figures of their own.
    rng = random.Random(0)
    tokens = tuple(
        token
        for _ in range(5)
        for token in heatmap_tokens(
            tiny_model,
            token_stats(
                tiny_model, [rng.randrange(tiny_model.d_vocab) for _ in range(63)]
            ),
            n_given=20,
        )
    )[:256]
    packed, _ = pack(tokens, **OPTIONS)
    definition = strips._FILES / "tokens.js", strips._FILES / "tokens.css"
    code = sum(len(file.read_bytes()) for file in definition)
    code += len(strips._colour_rules())
    assert len(packed) + code <= 25 * 1024


def test_javascript_makes_no_markup_of_text() -> None:
    code = (strips._FILES / "tokens.js").read_text(encoding="utf-8")
    for sink in ("innerHTML", "outerHTML", "insertAdjacent", "document.write", "eval("):
        assert sink not in code


@pytest.mark.parametrize(
    ("message", "position"),
    [
        ([7, 2], 2),
        # The third says how often one was selected.
        ([7, 2, 5], 2),
        ([8, 2], None),
        ([7, 3], None),
        ([7, -1], None),
        ([7, "0"], None),
        ([7], None),
        ("7", None),
        (None, None),
        ({"a": 1}, None),
    ],
)
def test_only_a_position_in_this_very_text_is_believed(
    message: Any, position: int | None
) -> None:
    assert strips._selected(message, fingerprint=7, n_tokens=3) == position


def test_card_of_a_token_says_the_models_figures(tiny_model: LoadedModel) -> None:
    ids = tiny_model.encode("Once upon 한")
    stats = token_stats(tiny_model, ids)
    drawn = heatmap_tokens(tiny_model, stats, n_given=2)
    assert "".join(token.text for token in drawn) == "Once upon 한"
    assert [token.highlighted for token in drawn] == [i == 2 for i in range(len(ids))]
    for index, token in enumerate(drawn):
        details = dict(token.details)
        assert token.value == pytest.approx(stats.log_prob[index])
        assert details["Log-probability"] == signed(stats.log_prob[index])
        assert details["Probability"] == percent(stats.prob[index])
        place = ordinal(int(stats.rank[index]) + 1)
        assert details["Rank"] == f"{place} of {tiny_model.d_vocab}"
        assert len(token.details[-5:]) == 5
    # The first of the three bytes of 한 (U+D55C).
    assert dict(drawn[-3].details)["Part of a character, bytes"] == "ED"


def test_numbers_are_written_as_people_read_them() -> None:
    shares = (1, 0.9997, 0.7012, 0.0123, 0.00034, 0.00001, 0)
    assert [percent(x) for x in shares] == [
        "100%",
        ">99.9%",
        "70.1%",
        "1.2%",
        "0.03%",
        "<0.01%",
        "0%",
    ]
    assert [ordinal(n) for n in (1, 2, 3, 4, 11, 12, 13, 21, 111, 1022)] == [
        "1st",
        "2nd",
        "3rd",
        "4th",
        "11th",
        "12th",
        "13th",
        "21st",
        "111th",
        "1,022nd",
    ]
    assert percent(-0.085) == "−8.5%"
    assert [points(x) for x in (-0.0004, 0.0, -0.015)] == ["+0.0", "+0.0", "−1.5"]
    assert [signed(x) for x in (-0.361, -0.001, 2)] == ["−0.36", "0.00", "2.00"]
