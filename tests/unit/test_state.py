"""A link carries the playground's whole state, and a bad link harms nobody."""

import base64
import json
import zlib
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinysae.errors import InputError, SettingError
from tinysae.model.text.generate import GenerateSettings
from tinysae.model.text.state import (
    MAX_LINK_CHARACTERS,
    UNNAMED,
    State,
    packed,
    unpacked,
)


def link(data: Any) -> str:
    raw = data if isinstance(data, bytes) else json.dumps(data).encode()
    return base64.urlsafe_b64encode(zlib.compress(raw)).decode()


@given(st.text(max_size=300), st.text(max_size=20))
def test_any_text_comes_back(prompt: str, answers: str) -> None:
    state = State(prompt=prompt, answers=answers, other=prompt[::-1])
    assert unpacked(packed(state)) == state


def test_halves_of_characters_become_whole_ones() -> None:
    state = State(prompt="a\ud800b\udfff")
    assert unpacked(packed(state)) == State(prompt="a\ufffdb\ufffd")


def test_every_choice_comes_back() -> None:
    settings = GenerateSettings(
        temperature=0.35, top_k=7, top_p=0.9, seed=2**53 - 1, repetition_penalty=1.2
    )
    state = State(
        view="compare",
        settings=settings,
        n_samples=10,
        keep="start",
        colour="surprise",
        prepend_space=False,
    )
    assert unpacked(packed(state)) == state


def test_a_state_that_no_link_can_carry_is_said_to_be_so() -> None:
    # Digits of a hash hardly pack.
    prompt = "".join(
        f"{zlib.crc32(bytes([i % 256, i // 256])):x}" for i in range(5_000)
    )
    with pytest.raises(InputError) as caught:
        packed(State(prompt=prompt))
    assert caught.value.key == "error.link_too_long"


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("a" * 1_000_000, "link_too_long"),
        ("%%%", "link_damaged"),
        ("AAAA", "link_damaged"),
        ("ä", "link_damaged"),
        (packed(State(prompt="Once upon a time"))[:-9], "link_damaged"),
        (link([1]), "link_damaged"),
        (link({"format": 2}), "link_version"),
        (link({}), "link_version"),
        (link({"format": 1, "view": "admin"}), "link_damaged"),
        (link({"format": 1, "view": ["write"]}), "link_damaged"),
        (link({"format": 1, "prompt": 5}), "link_damaged"),
        (link({"format": 1, "n_samples": 11}), "link_damaged"),
        (link({"format": 1, "n_samples": True}), "link_damaged"),
        (link({"format": 1, "stranger": 1}), "link_damaged"),
        (link({"format": 1, "settings": {"stranger": 1}}), "link_damaged"),
        (link({"format": 1, "settings": 7}), "link_damaged"),
        (link(b"[" * 200_000), "link_damaged"),
    ],
)
def test_a_link_that_is_none_is_refused_with_its_reason(text: str, key: str) -> None:
    with pytest.raises(InputError) as caught:
        unpacked(text)
    assert caught.value.key == f"error.{key}"


def test_a_link_cannot_set_what_nobody_could_choose() -> None:
    with pytest.raises(SettingError):
        unpacked(link({"format": 1, "settings": {"temperature": 99}}))


# A float holds none of these: whoever makes one of them fails in a way of its own.
NO_NUMBERS = ["1" * 400, "-" + "1" * 400, "NaN", "Infinity", "-Infinity"]


@pytest.mark.parametrize("number", NO_NUMBERS)
@pytest.mark.parametrize("name", [field.name for field in fields(GenerateSettings)])
def test_a_number_in_a_link_that_no_float_holds_is_refused(
    name: str, number: str
) -> None:
    with pytest.raises(SettingError) as caught:
        unpacked(link(f'{{"format":1,"settings":{{"{name}":{number}}}}}'.encode()))
    assert caught.value.values["field"] == name
    with pytest.raises(InputError):
        unpacked(link(f'{{"format":1,"n_samples":{number}}}'.encode()))
    with pytest.raises(InputError):
        unpacked(link(f'{{"format":{number}}}'.encode()))


def test_a_few_bytes_do_not_unpack_into_gigabytes() -> None:
    bomb = link(b" " * 5_000_000)
    assert len(bomb) < MAX_LINK_CHARACTERS
    with pytest.raises(InputError):
        unpacked(bomb)


def test_a_link_names_no_path_and_says_that_there_was_one() -> None:
    state = State(prompt="Once", model="/srv/models/mine", is_written=True)
    link = packed(state)
    assert unpacked(link) == replace(state, model=UNNAMED)
    raw = base64.urlsafe_b64decode(link + "=" * (-len(link) % 4))
    assert b"srv" not in zlib.decompress(raw)
