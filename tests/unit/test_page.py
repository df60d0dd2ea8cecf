"""What came from outside is shown literally; what goes wrong is said plainly."""

import re

import pytest
from streamlit.testing.v1 import AppTest

from tinysae.ui.shell.page import plain


def test_a_plain_sentence_stays_readable_without_marks():
    assert plain("Hello there") == "Hello there"
    assert plain("") == ""


def test_a_label_is_said_without_backslashes():
    said = 'The character\'s name, or "hers"; 5% of what?'
    assert plain(said) == said


@pytest.mark.parametrize(
    "hostile",
    [
        "</script><script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "**bold** _it_ `code` ~~gone~~ # head",
        "[link](https://example.com) ![img](x)",
        "$x^2$ :red[text] :material/home: :smile:",
        "a -> b <- c -- d >= e",
        "www.example.com me@example.com https://example.com",
        "1. one",
        "| a | b |",
        "back\\slash",
    ],
)
def test_every_mark_is_escaped(hostile: str):
    shown = plain(hostile)
    # Without backslash escapes and word joiners it is the text itself.
    assert re.sub(r"\\(.)", r"\1", shown.replace("\u2060", "")) == hostile
    # No mark is left that is not escaped.
    assert not re.search(r"(?<!\\)[<>*_`\[\]$:#|~]", shown.replace("\\\\", ""))


WORDS = (":smile:", "www.example.com", "me@example.com", "https://x.example")


@pytest.mark.parametrize("word", WORDS)
def test_what_is_read_after_escapes_is_broken_up(word: str):
    assert word not in plain(word).replace("\\", "")


def test_a_command_can_be_copied_as_it_is():
    said = "a -> b with “python -m tinysae storybook --only sae”, or _not_."
    shown = plain(said)
    assert "“`python -m tinysae storybook --only sae`”" in shown
    assert shown.replace("\\", "").replace("\u2060", "").replace("`", "") == said


@pytest.mark.parametrize(
    "hostile",
    ["“git `x` **b**”", "“python :red[x]”", "“git <b>”", "“git a\n# b”", "“rm -r a”"],
)
def test_what_only_begins_like_a_command_is_no_code(hostile: str):
    assert not re.search(r"(?<!\\)[`*<\[#]", plain(hostile))


def test_lines_and_their_beginnings_are_kept():
    assert plain("one\n    two") == "one  \n&nbsp;&nbsp;&nbsp;&nbsp;two"


def failing(kind: str) -> None:
    import streamlit as st

    from tinysae.errors import MissingError
    from tinysae.ui.shell.page import shown_errors

    with shown_errors():
        if kind == "known":
            raise MissingError("unknown_run", run="<b>x</b>")
        if kind == "bug":
            raise ZeroDivisionError("secret detail")
        if kind == "stop":
            st.stop()
    st.write("after")


def test_a_known_error_is_its_sentence_and_the_page_goes_on():
    page = AppTest.from_function(failing, args=("known",)).run()
    assert len(page.error) == 1
    assert "\\<b\\>x" in page.error[0].value
    assert page.markdown[0].value == "after"


def test_a_bug_is_a_plain_sentence_and_a_traceback_in_the_log(
    caplog: pytest.LogCaptureFixture,
):
    page = AppTest.from_function(failing, args=("bug",)).run()
    assert not page.exception
    assert "Something went wrong" in page.error[0].value
    assert "secret detail" not in page.error[0].value
    assert "ZeroDivisionError" in caplog.text
    assert page.markdown[0].value == "after"


def test_streamlits_own_control_flow_passes():
    page = AppTest.from_function(failing, args=("stop",)).run()
    assert not page.error
    assert not page.markdown
