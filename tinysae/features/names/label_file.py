"""The file of an SAE's labels beside its index, and who reads it: untrusted."""

import gzip
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, get_args

from tinysae.checked_numbers import is_number
from tinysae.errors import DamagedError
from tinysae.features.names.labels import MAX_TEXT, Label, LabelKind
from tinysae.features.names.rule_words import can_be_told
from tinysae.features.names.rules import (
    ALL_KINDS,
    MAX_WHAT,
    MOST_TOLD,
    N_CLAUSES,
    N_CONDITIONS,
    Clause,
    Condition,
)
from tinysae.features.names.surroundings import PLACES
from tinysae.jobs.files import parsed_json, read_bytes, write_bytes

LABELS_NAME: Final = "labels.json.gz"
"""Rules of thousands of features repeat one another: packed, they take a tenth."""
OLD_NAME: Final = "labels.json"
FORMAT: Final = 2
OLD_FORMAT: Final = 1
"""Without rules: what was made before there were any is still read."""
MAX_FILE_BYTES: Final = 20_000_000
"""More than the labels of 65,536 features take; in memory it is twenty times that."""
# "any" is in files from before a clause had several conditions.
_KINDS: Final = ("any", *ALL_KINDS)
_PLACES: Final = ("anywhere", *PLACES)
# zlib's name for gzip's own header.
_GZIP: Final = 31


def write_labels(folder: Path, labels: Sequence[Label]) -> None:
    """Writes the labels beside an index, one a feature: JSON, packed by gzip.

    Raises:
        OSError: the folder cannot be written.
    """
    blank = asdict(Label("", "tokens"))
    entries: list[dict[str, Any]] = []
    for label in labels:
        own = asdict(label)
        entries.append({k: v for k, v in own.items() if v != blank.get(k) or k in _ALL})
    data = json.dumps({"format": FORMAT, "labels": entries}, separators=(",", ":"))
    # The same labels are the same bytes, whenever they are written.
    write_bytes(folder / LABELS_NAME, gzip.compress(data.encode(), mtime=0))
    (folder / OLD_NAME).unlink(missing_ok=True)


# Written even when they are as a label's without anything.
_ALL: Final = ("text", "kind")


def labels_path(folder: Path) -> Path:
    """Where the labels beside an index are, or would be."""
    packed, old = folder / LABELS_NAME, folder / OLD_NAME
    return packed if packed.exists() or not old.exists() else old


def _read(path: Path) -> Any:
    raw = read_bytes(path, MAX_FILE_BYTES)
    if path.name == LABELS_NAME:
        # A few bytes can unpack into gigabytes.
        unpacking = zlib.decompressobj(wbits=_GZIP)
        raw = unpacking.decompress(raw, MAX_FILE_BYTES)
        if not unpacking.eof:
            raise ValueError("cut short, or too large")
    return parsed_json(raw)


def read_labels(folder: Path) -> list[Label]:
    """The labels beside an index, by feature; none where there is no file.

    Raises:
        DamagedError: the file is not what `write_labels` writes.
    """
    path = labels_path(folder)
    try:
        data = _read(path)
        if data["format"] not in (FORMAT, OLD_FORMAT):
            raise ValueError("format")
        return [_label(label) for label in data["labels"]]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError, zlib.error) as why:
        raise DamagedError("features_damaged", file=path.name) from why


def labels_or_none(folder: Path) -> list[Label]:
    """`read_labels` for whoever can do without: none where they cannot be read."""
    try:
        return read_labels(folder)
    except DamagedError:
        return []


def _label(data: Mapping[str, Any]) -> Label:
    own = dict(data)
    for name in ("tokens", "pushes"):
        own[name] = _texts(own.get(name, []))
    own["clauses"] = tuple(_clause(clause) for clause in own.get("clauses", []))
    label = Label(**own)
    is_text = isinstance(label.text, str) and len(label.text) <= MAX_TEXT
    if label.kind not in get_args(LabelKind) or not is_text:
        raise ValueError("label")
    if not (label.concept is None or isinstance(label.concept, str)):
        raise ValueError("concept")
    scores = (label.precision, label.recall, label.f1)
    for number in (*scores, label.detection, label.firing_f1, label.correlation):
        if not (number is None or is_number(number)):
            raise ValueError("score")
    if len(label.clauses) > N_CLAUSES:
        raise ValueError("clauses")
    counts = (label.n_given, label.n_clauses, label.n_pushes, label.number)
    for number in counts:
        if not (type(number) is int and number >= 0):
            raise ValueError("number")
    return label


def _clause(data: Mapping[str, Any]) -> Clause:
    given = tuple(
        Condition(**{**each, "what": _texts(each["what"])})
        for each in data.get("given", [])
    )
    clause = Clause(**{**data, "what": _texts(data["what"]), "given": given})
    if clause.place not in _PLACES or len(given) >= N_CONDITIONS:
        raise ValueError("clause")
    for part in (clause, *given):
        if part.kind not in _KINDS or not part.what or type(part.n) is not int:
            raise ValueError("condition")
    if not can_be_told(clause):
        raise ValueError("words")
    return clause


def _texts(data: Any) -> tuple[str, ...]:
    if not isinstance(data, list) or len(data) > MOST_TOLD:
        raise ValueError("texts")
    if not all(isinstance(each, str) and len(each) <= MAX_WHAT for each in data):
        raise ValueError("text")
    return tuple(data)
