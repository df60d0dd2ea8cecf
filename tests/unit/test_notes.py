"""Bookmarks and notes: nothing is lost, nothing wrong is let in."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.builders import HOSTILE
from tinysae.errors import DamagedError, InputError
from tinysae.features.names.notes import MAX_NOTE_CHARACTERS, Note, Notes

OWN, OTHER = "a" * 64, "b" * 64


@pytest.fixture
def notes(tiny_home: Path) -> Notes:
    assert tiny_home.is_dir()
    return Notes(OWN, d_sae=40)


def test_what_is_kept_is_there_for_the_next_reader(notes: Notes) -> None:
    assert notes.all() == {}
    notes.keep(3, bookmarked=True)
    notes.keep(3, text="names of girls")
    notes.keep(5, text="maybe")
    assert Notes(OWN, 40).of(3) == Note("names of girls", bookmarked=True)
    assert notes.bookmarked() == [3]
    assert Notes(OTHER, 40).all() == {}


@pytest.mark.parametrize("key", ["1" * 400, "-1", "1.0", "٣", "", "40"])
def test_a_key_that_is_no_feature_of_the_sae_is_refused(notes: Notes, key: str) -> None:
    data = {
        "kind": "tinysae-notes",
        "format": 1,
        "sae_fingerprint": OWN,
        "notes": {key: {"text": "x", "bookmarked": False}},
    }
    with pytest.raises(InputError):
        notes.merge(json.dumps(data).encode())
    assert notes.all() == {}


def test_what_is_emptied_leaves_nothing(notes: Notes) -> None:
    notes.keep(3, text="x", bookmarked=True)
    notes.keep(3, text="  ", bookmarked=False)
    assert notes.all() == {}
    assert json.loads(notes.path.read_text())["notes"] == {}


@pytest.mark.parametrize("text", [*HOSTILE, "릴리 👩‍👧", "a\nb", "\ud800"])
def test_any_text_comes_back_as_it_was(notes: Notes, text: str) -> None:
    notes.keep(0, text=text)
    kept = notes.of(0).text
    # Half a character is nothing that could be written.
    assert kept == text.replace("\ud800", "\ufffd")
    another = Notes(OWN, 40)
    notes.keep(0, text="")
    another.merge(
        json.dumps(
            {
                "kind": "tinysae-notes",
                "format": 1,
                "sae_fingerprint": OWN,
                "notes": {"0": {"text": text, "bookmarked": False}},
            }
        ).encode()
    )
    assert another.of(0).text == kept


def test_an_import_adds_and_takes_nothing_away(notes: Notes) -> None:
    notes.keep(1, text="theirs", bookmarked=True)
    notes.keep(2, text="same")
    notes.keep(3, text="only theirs")
    exported = notes.to_json()
    notes.keep(1, text="mine", bookmarked=False)
    notes.keep(3, text="")
    notes.keep(4, bookmarked=True)
    assert notes.merge(exported) == 2
    assert notes.all() == {
        1: Note("mine\n\ntheirs", bookmarked=True),
        2: Note("same"),
        3: Note("only theirs"),
        4: Note("", bookmarked=True),
    }
    assert notes.merge(exported) == 0


def bad_files() -> dict[str, bytes]:
    good = {
        "kind": "tinysae-notes",
        "format": 1,
        "sae_fingerprint": OWN,
        "notes": {"0": {"text": "x", "bookmarked": True}},
    }

    def changed(**changes: object) -> bytes:
        return json.dumps({**good, **changes}).encode()

    return {
        "nothing": b"",
        "no JSON": b"\x89PNG\r\n",
        "not UTF-8": b'{"kind": "\xff"}',
        "a list": b"[]",
        "deep": b"[" * 100_000,
        "another kind": changed(kind="other"),
        "another format": changed(format=2),
        "a feature too many": changed(notes={"40": {"text": "", "bookmarked": True}}),
        "no number": changed(notes={"../x": {"text": "", "bookmarked": True}}),
        "other digits": changed(notes={"５": {"text": "", "bookmarked": True}}),
        "a number as text": changed(notes={"1": {"text": 1, "bookmarked": True}}),
        "a text as flag": changed(notes={"1": {"text": "", "bookmarked": "yes"}}),
        "a novel": changed(
            notes={"1": {"text": "x" * (MAX_NOTE_CHARACTERS + 1), "bookmarked": True}}
        ),
        "no fingerprint": json.dumps(
            {k: v for k, v in good.items() if k != "sae_fingerprint"}
        ).encode(),
    }


@pytest.mark.parametrize("data", bad_files().values(), ids=bad_files().keys())
def test_a_wrong_file_changes_nothing(notes: Notes, data: bytes) -> None:
    notes.keep(0, text="mine")
    before = notes.path.read_bytes()
    with pytest.raises(InputError, match="not a file of notes"):
        notes.merge(data)
    assert notes.path.read_bytes() == before


def test_notes_of_another_sae_are_refused(notes: Notes) -> None:
    others = Notes(OTHER, 40)
    others.keep(0, bookmarked=True)
    with pytest.raises(InputError, match="another SAE"):
        notes.merge(others.to_json())


def test_a_note_that_would_grow_too_long_leaves_all_as_they_were(notes: Notes) -> None:
    notes.keep(0, text="a" * MAX_NOTE_CHARACTERS)
    notes.keep(1, text="")
    exported = notes.to_json()
    notes.keep(0, text="b" * MAX_NOTE_CHARACTERS)
    before = notes.path.read_bytes()
    with pytest.raises(InputError, match="feature 0"):
        notes.merge(exported)
    with pytest.raises(InputError, match="feature 2"):
        notes.keep(2, text="x" * (MAX_NOTE_CHARACTERS + 1))
    assert notes.path.read_bytes() == before


def test_a_damaged_store_is_a_sentence_and_stays(notes: Notes) -> None:
    notes.keep(0, text="x")
    notes.path.write_text("{", encoding="utf-8")
    for act in (notes.all, notes.to_json, lambda: notes.keep(0, bookmarked=True)):
        with pytest.raises(DamagedError, match="notes"):
            act()
    assert notes.path.read_text() == "{"


@pytest.mark.parametrize("name", ["../x", "", "A" * 64, "a" * 63])
def test_only_a_fingerprint_names_a_file(name: str) -> None:
    with pytest.raises(DamagedError):
        Notes(name, 40)


def test_an_unknown_feature_is_refused(notes: Notes) -> None:
    with pytest.raises(InputError, match="no feature"):
        notes.keep(40, bookmarked=True)


def test_windows_that_write_at_once_lose_nothing(notes: Notes) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda f: Notes(OWN, 40).keep(f, text=str(f)), range(40)))
    assert notes.all() == {f: Note(str(f)) for f in range(40)}
