"""What a reader keeps about features: bookmarks and notes, one small file an SAE.

The file lies in `<home>/notes/<the SAE's fingerprint>.json`, so that it outlives an
index that is built again. The same JSON is what is exported and imported: a reader's
notes may come back, or somebody else's come in.
"""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from tinysae.checked_numbers import typed_whole
from tinysae.errors import DamagedError, InputError
from tinysae.jobs.files import changing, parsed_json, read_json, write_json
from tinysae.jobs.home import home, home_errors
from tinysae.render.visible import encodable

FORMAT = 1
KIND = "tinysae-notes"
# A note is a remark, not a book; all notes together are read whenever one is.
MAX_NOTE_CHARACTERS = 4_000
MAX_NOTES = 20_000
MAX_FILE_BYTES = 10_000_000
_FINGERPRINT = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Note:
    """What a reader keeps about one feature; `text` is untrusted."""

    text: str = ""
    bookmarked: bool = False

    @property
    def is_empty(self) -> bool:
        return not self.text and not self.bookmarked


class Notes:
    """The notes about one SAE's features; every change is on disk when it returns.

    Args:
        sae_fingerprint: `SAE.fingerprint`, which names the file.
        d_sae: how many features there are to keep something about.
    """

    def __init__(self, sae_fingerprint: str, d_sae: int) -> None:
        if not _FINGERPRINT.fullmatch(sae_fingerprint):
            raise DamagedError("notes_damaged", path=sae_fingerprint[:80])
        self._fingerprint, self._d_sae = sae_fingerprint, d_sae

    @property
    def path(self) -> Path:
        return home() / "notes" / f"{self._fingerprint}.json"

    def all(self) -> dict[int, Note]:
        """Every feature something is kept about, by its number.

        Raises:
            DamagedError: the file is not what it should be; it is left as it is.
        """
        try:
            data = read_json(self.path, MAX_FILE_BYTES)
            notes = _checked(data, self._d_sae)
            if data["sae_fingerprint"] != self._fingerprint:
                raise ValueError("of another SAE")
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, KeyError) as problem:
            raise DamagedError("notes_damaged", path=str(self.path)) from problem
        return notes

    def of(self, feature: int) -> Note:
        """What is kept about `feature`; an empty note when nothing is."""
        return self.all().get(feature, Note())

    def bookmarked(self) -> list[int]:
        """The features with a bookmark, in their order."""
        return sorted(f for f, note in self.all().items() if note.bookmarked)

    def keep(
        self, feature: int, *, text: str | None = None, bookmarked: bool | None = None
    ) -> Note:
        """Changes what is given about `feature`; returns what is kept now.

        Raises:
            InputError: no such feature, or a note that is too long.
            DamagedError: the file that is there cannot be read.
            MissingError: the home folder cannot be written.
        """
        if not 0 <= feature < self._d_sae:
            raise InputError("features_unknown", feature=feature, last=self._d_sae - 1)
        with self._changing() as notes:
            note = notes.get(feature, Note())
            if text is not None:
                note = replace(note, text=_bounded(text, feature))
            if bookmarked is not None:
                note = replace(note, bookmarked=bookmarked)
            notes[feature] = note
        return note

    def to_json(self) -> bytes:
        """All notes as the file that `merge` reads.

        Raises:
            DamagedError: the file that is there cannot be read.
        """
        return _dumped(self._as_json(self.all()))

    def merge(self, data: bytes) -> int:
        """Adds the notes of an exported file; returns how many features it changed.

        Nothing that was there goes: a bookmark on either side stays, and where both
        have a note the other's is added under one's own, unless it is in it already.

        Raises:
            InputError: not such a file, of another SAE, or more than is kept.
            DamagedError, MissingError: as `keep`.
        """
        theirs = self._read(data)
        n_changed = 0
        with self._changing() as notes:
            for feature, their in theirs.items():
                own = notes.get(feature, Note())
                text = own.text
                if their.text not in own.text:
                    parts = [part for part in (own.text, their.text) if part]
                    text = _bounded("\n\n".join(parts), feature)
                merged = Note(text, own.bookmarked or their.bookmarked)
                n_changed += merged != own
                notes[feature] = merged
        return n_changed

    def _read(self, data: bytes) -> dict[int, Note]:
        if len(data) > MAX_FILE_BYTES:
            raise InputError("notes_too_large", limit=MAX_FILE_BYTES // 1_000_000)
        try:
            parsed = parsed_json(data)
            notes = _checked(parsed, self._d_sae)
            fingerprint = parsed["sae_fingerprint"]
        except (ValueError, KeyError) as problem:
            raise InputError("notes_not_a_file") from problem
        if fingerprint != self._fingerprint:
            raise InputError("notes_of_another_sae")
        return notes

    @contextmanager
    def _changing(self) -> Iterator[dict[int, Note]]:
        """All notes, to be changed; written at the end unless something was raised."""
        with home_errors(), changing(self.path):
            notes = self.all()
            yield notes
            kept = {f: note for f, note in notes.items() if not note.is_empty}
            data = self._as_json(kept)
            if len(kept) > MAX_NOTES or len(_dumped(data)) > MAX_FILE_BYTES:
                raise InputError("notes_too_many", limit=f"{MAX_NOTES:,}")
            write_json(self.path, data)

    def _as_json(self, notes: Mapping[int, Note]) -> dict[str, Any]:
        return {
            "kind": KIND,
            "format": FORMAT,
            "sae_fingerprint": self._fingerprint,
            "notes": {
                str(feature): asdict(note) for feature, note in sorted(notes.items())
            },
        }


def _dumped(data: Mapping[str, Any]) -> bytes:
    return json.dumps(data, ensure_ascii=False, indent=1).encode()


def _bounded(text: str, feature: int) -> str:
    text = encodable(text.strip())
    if len(text) > MAX_NOTE_CHARACTERS:
        raise InputError(
            "note_too_long", feature=feature, limit=f"{MAX_NOTE_CHARACTERS:,}"
        )
    return text


def _checked(data: Any, d_sae: int) -> dict[int, Note]:
    """The notes in `data`.

    Raises:
        ValueError: it is not what `Notes` writes.
    """
    match data:
        case {"kind": str(kind), "format": int(version), "notes": dict(notes)} if (
            kind == KIND and version == FORMAT and len(notes) <= MAX_NOTES
        ):
            return {_number(f, d_sae): _note(note) for f, note in notes.items()}
    raise ValueError("not notes")


def _number(key: str, d_sae: int) -> int:
    if (feature := typed_whole(key, d_sae)) is None:
        raise ValueError(f"no feature {key[:20]}")
    return feature


def _note(data: Any) -> Note:
    match data:
        case {"text": str(text), "bookmarked": bool(bookmarked)} if (
            len(text) <= MAX_NOTE_CHARACTERS
        ):
            return Note(encodable(text), bookmarked)
    raise ValueError("not a note")
