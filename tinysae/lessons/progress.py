"""How far a reader is, kept in the home folder: it survives a restart."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from tinysae.checked_numbers import is_number, typed_whole, whole
from tinysae.jobs.files import changing, read_json, write_json
from tinysae.jobs.home import home, home_errors
from tinysae.lessons.lesson import MAX_STEPS

PROGRESS_NAME: Final = "lessons.json"
FORMAT: Final = 1

Chosen = dict[str, str | float]


@dataclass
class Progress:
    """Of one lesson: the step it stands at (the one after the last is the summary), and
    what was chosen in steps that were answered, by step number."""

    step: int = 1
    answered: dict[int, Chosen] = field(default_factory=dict)

    def is_done(self, n_steps: int) -> bool:
        """Whether the reader came to the summary, or has every answer."""
        is_answered = all(step in self.answered for step in range(1, n_steps + 1))
        return self.step > n_steps or is_answered


def read_progress() -> dict[str, Progress]:
    """By lesson; what cannot be read counts as not begun: only a place is lost."""
    try:
        lessons = read_json(home() / PROGRESS_NAME)["lessons"]
    except (OSError, ValueError, KeyError):
        return {}
    if not isinstance(lessons, dict):
        return {}
    read = {name: _one(entry) for name, entry in lessons.items()}
    return {name: progress for name, progress in read.items() if progress is not None}


def keep_place(lesson_id: str, step: int) -> None:
    """Remembers the step at which the reader is in a lesson.

    Raises:
        TinysaeError: the home folder cannot be written.
    """
    now = read_progress().get(lesson_id)
    # It is asked at every click.
    if now is not None and now.step == step:
        return
    with _changing() as progress:
        progress.setdefault(lesson_id, Progress()).step = step


def keep_answer(lesson_id: str, step: int, chosen: Chosen) -> None:
    """Remembers what was chosen in a step when its answer was read.

    Raises:
        TinysaeError: the home folder cannot be written.
    """
    if read_progress().get(lesson_id, Progress()).answered.get(step) == chosen:
        return
    with _changing() as progress:
        progress.setdefault(lesson_id, Progress(step)).answered[step] = chosen


@contextmanager
def _changing() -> Generator[dict[str, Progress]]:
    """How far the reader is in every lesson, to be changed; written at the end."""
    path = home() / PROGRESS_NAME
    with home_errors(), changing(path):
        progress = read_progress()
        yield progress
        lessons = {name: _as_json(each) for name, each in progress.items()}
        write_json(path, {"format": FORMAT, "lessons": lessons})


def _as_json(progress: Progress) -> dict[str, Any]:
    answered = {str(step): chosen for step, chosen in progress.answered.items()}
    return {"step": progress.step, "answered": answered}


def _one(entry: object) -> Progress | None:
    match entry:
        case {"step": step, "answered": dict(answered)}:
            read = {
                number: {
                    str(name): value
                    for name, value in chosen.items()
                    if isinstance(value, str) or is_number(value)
                }
                for key, chosen in answered.items()
                if isinstance(chosen, dict)
                if (number := typed_whole(key, MAX_STEPS + 1)) is not None
            }
            return Progress(min(whole(step) or 1, MAX_STEPS + 1), read)
    return None
