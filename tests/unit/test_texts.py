"""Tokens where their spaces would not be seen."""

import pytest

from tinysae.render.visible import visible


@pytest.mark.parametrize(
    ("token", "shown"),
    [
        (" Lily", "␣Lily"),
        ("Lily", "Lily"),
        ("  ", "␣␣"),
        (" in the ", "␣in the␣"),
        ("\n", "↵"),
        ("\t", "⇥"),
        ("\x1b[31m", "\\x1b[31m"),
        ("한", "한"),
        ("👩\u200d👧", "👩\u200d👧"),
        ("\u200b", "◌"),
        ("\u202e", "◌"),
        ("", ""),
        ("<b>", "<b>"),
    ],
)
def test_a_token_can_be_seen(token: str, shown: str) -> None:
    assert visible(token) == shown
