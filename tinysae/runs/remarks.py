"""What a reader keeps about a run: a note and tags, one small file in its folder."""

from dataclasses import dataclass
from typing import Any, cast

from tinysae.errors import DamagedError, InputError
from tinysae.jobs.files import changing, read_json, shown_path, write_json
from tinysae.jobs.home import home_errors
from tinysae.render.visible import encodable
from tinysae.runs.store import Run

FORMAT = 1
NAME = "remarks.json"
# A remark, not a book.
MAX_NOTE = 2_000
MAX_TAGS, MAX_TAG = 12, 40
MAX_BYTES = 100_000


@dataclass(frozen=True)
class Remarks:
    """About one run; all of it is untrusted text."""

    note: str = ""
    tags: tuple[str, ...] = ()


def remarks(run: Run) -> Remarks:
    """What is kept about `run`; nothing where nothing is.

    Raises:
        DamagedError: the file is not what it should be; it is left as it is.
    """
    path = run.path / NAME
    try:
        return _checked(read_json(path, MAX_BYTES))
    except FileNotFoundError:
        return Remarks()
    except (OSError, ValueError) as problem:
        raise DamagedError("remarks_damaged", path=shown_path(path)) from problem


def keep_remarks(
    run: Run, *, note: str | None = None, tags: str | None = None
) -> Remarks:
    """Changes what is given; it is on disk on return.

    Args:
        run: one in the home folder; what came along is not written to.
        note: any text.
        tags: as a person types them, with commas between.

    Raises:
        InputError: it is too long, or too many.
        DamagedError: the file that is there cannot be read.
        MissingError: the folder cannot be written.
    """
    path = run.path / NAME
    with home_errors(), changing(path):
        kept = remarks(run)
        kept = Remarks(
            kept.note if note is None else _note(note),
            kept.tags if tags is None else _tags(tags),
        )
        write_json(path, {"format": FORMAT, "note": kept.note, "tags": [*kept.tags]})
    return kept


def _note(typed: str) -> str:
    note = encodable(typed.strip())
    if len(note) > MAX_NOTE:
        raise InputError("remarks_note_too_long", limit=f"{MAX_NOTE:,}")
    return note


def _tags(typed: str) -> tuple[str, ...]:
    """The tags in a line, each once, in their order."""
    found = dict.fromkeys(" ".join(tag.split()) for tag in encodable(typed).split(","))
    tags = tuple(tag for tag in found if tag)
    if len(tags) > MAX_TAGS or any(len(tag) > MAX_TAG for tag in tags):
        raise InputError("remarks_tags_too_many", most=MAX_TAGS, letters=MAX_TAG)
    return tags


def _checked(data: dict[str, Any]) -> Remarks:
    """What `keep_remarks` wrote.

    Raises:
        ValueError: it is something else.
    """
    note, found = data.get("note"), data.get("tags")
    tags = cast("list[object]", found) if isinstance(found, list) else [None]
    texts = [each for each in (note, *tags) if isinstance(each, str)]
    is_whole = data.get("format") == FORMAT and len(texts) == 1 + len(tags)
    if not is_whole or len(tags) > MAX_TAGS or len(texts[0]) > MAX_NOTE:
        raise ValueError("no remarks")
    if any(len(tag) > MAX_TAG for tag in texts[1:]):
        raise ValueError("no tags")
    return Remarks(texts[0], tuple(texts[1:]))
