"""Which text the features of an SAE from elsewhere are read on.

What somebody chose is kept beside its index; until then it is what its own files
name, if that is at hand, else the embedded stories.
"""

from pathlib import Path
from typing import Any, Literal, NamedTuple

from tinysae.config import TextChoice, TrainConfig
from tinysae.data.texts import open_text
from tinysae.data.texts.local import is_local_path
from tinysae.data.texts.storybook import STORYBOOK
from tinysae.errors import TinysaeError
from tinysae.jobs.files import make_folder, read_json, write_json
from tinysae.jobs.home import home_errors
from tinysae.library.saved import SavedSAE, saes_dir
from tinysae.sae.load import CFG_NAME, MAX_CFG_BYTES, RUNNER_CFG_NAME

CHOICE_NAME = "text.json"
EMBEDDED = TextChoice(STORYBOOK)


class Suggested(NamedTuple):
    """A text, and why that one: somebody has "chosen" it; it is what the "run" trained
    on of which the SAE was kept; the SAE's own files "named" it; or "default"."""

    text: TextChoice
    why: Literal["chosen", "run", "named", "default"]


def text_of(saved: SavedSAE) -> TextChoice:
    """The text that its features are to be read on, which may not be there any more."""
    return suggested(saved).text


def suggested(saved: SavedSAE) -> Suggested:
    """`text_of`, and why."""
    if (chosen := _choice(saved.read_json(CHOICE_NAME))) is not None:
        return Suggested(chosen, "chosen")
    if (run := saved.run) is not None:
        return Suggested(run.config.text, "run")
    named = _named(saved)
    if named is not None and _is_at_hand(named, saved):
        return Suggested(named, "named")
    return Suggested(EMBEDDED, "default")


def choose_text(saved: SavedSAE, text: TextChoice) -> None:
    """Keeps which text its features are to be read on.

    Raises:
        MissingError: the home cannot be written.
    """
    with home_errors():
        make_folder(saved.path)
        write_json(saved.path / CHOICE_NAME, text._asdict())


def _choice(data: object) -> TextChoice | None:
    """What `choose_text` wrote; None for anything else."""
    if not isinstance(data, dict):
        return None
    try:
        choice = TextChoice(**data)
        return as_settings(choice).text
    except (TypeError, TinysaeError):
        return None


def as_settings(choice: TextChoice) -> TrainConfig:
    """A run's settings that read that text: they know what may be chosen.

    Raises:
        SettingError: one of them cannot be so.
    """
    return TrainConfig(
        dataset_path=choice.path,
        is_dataset_tokenized=choice.is_tokenized,
        dataset_column=choice.column,
        dataset_name=choice.subset,
        dataset_split=choice.split,
        streaming=choice.streaming,
    )


def _named(saved: SavedSAE) -> TextChoice | None:
    """What SAELens's files say that it was trained on."""
    runner = _read(saved.directory / RUNNER_CFG_NAME)
    metadata = _read(saved.directory / CFG_NAME).get("metadata")
    path = runner.get("dataset_path")
    if path is None and isinstance(metadata, dict):
        path = metadata.get("dataset_path")
    is_tokenized = runner.get("is_dataset_tokenized") is True
    return _choice({"path": path, "is_tokenized": is_tokenized})


def _is_at_hand(text: TextChoice, saved: SavedSAE) -> bool:
    if text == EMBEDDED:
        return True
    # Files that came from a stranger must not choose what is read of this machine: an
    # index of it may be shared.
    is_imported = saved.directory.resolve().parent == saes_dir().resolve()
    if is_imported or not is_local_path(text.path):
        return False
    try:
        open_text(text)
    except TinysaeError:
        return False
    return True


def _read(path: Path) -> dict[str, Any]:
    try:
        return read_json(path) if path.stat().st_size <= MAX_CFG_BYTES else {}
    except (OSError, ValueError, RecursionError):
        return {}
