"""How far a reader is, kept in the home folder: it survives a restart."""

from dataclasses import dataclass, field
from typing import Any, Final

from tinysae.checked_numbers import is_number, whole
from tinysae.jobs.files import make_folder, read_json, write_json
from tinysae.jobs.home import home, home_error
from tinysae.lessons.lesson import MAX_STEPS

PROGRESS_NAME: Final = "lessons.json"
FORMAT: Final = 1


@dataclass
class Progress:
    """Of one lesson: the step it stands at, and what was chosen in steps that were
    answered, by step number."""

    step: int = 1
    answered: dict[int, dict[str, str | float]] = field(default_factory=dict)


def read_progress() -> dict[str, Progress]:
    """By lesson; what cannot be read counts as not begun: only a place is lost."""
    try:
        data = read_json(home() / PROGRESS_NAME)
        return {name: _one(entry) for name, entry in data["lessons"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def write_progress(progress: dict[str, Progress]) -> None:
    """Keeps it.

    Raises:
        TinysaeError: the home folder cannot be written.
    """
    lessons = {
        name: {
            "step": each.step,
            "answered": {str(step): chosen for step, chosen in each.answered.items()},
        }
        for name, each in progress.items()
    }
    try:
        make_folder(home())
        write_json(home() / PROGRESS_NAME, {"format": FORMAT, "lessons": lessons})
    except OSError as problem:
        raise home_error(problem) from problem


def _one(entry: dict[str, Any]) -> Progress:
    step = whole(entry["step"]) or 1
    answered: dict[int, dict[str, str | float]] = {
        int(number): {
            str(name): value
            for name, value in chosen.items()
            if isinstance(value, str) or is_number(value)
        }
        for number, chosen in entry["answered"].items()
    }
    return Progress(min(step, MAX_STEPS), answered)
