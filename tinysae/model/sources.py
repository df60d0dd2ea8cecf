"""Where models come from: the embedded one, this disk, the Hugging Face hub's cache.

Nothing here touches the network, runs code that a model brings along, or opens a
pickle. Adding a kind of source: one function, one entry in `ORIGINS`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from tinysae.errors import DamagedError, MissingError
from tinysae.model.loaded import LoadedModel
from tinysae.model.loading import load_files
from tinysae.model.names import folder_of, hub_name
from tinysae.model.tokenizer_apart import try_tokenizer

logger = logging.getLogger(__name__)

STORYBOOK = "storybook"
STORYBOOK_DIR = (
    Path(__file__).resolve().parents[1] / "embedded" / "assets" / "storybook"
)

# What a person may type as a source: a path, never a novel.
MAX_SOURCE_CHARACTERS = 4096


def _embedded(source: str) -> Path | None:
    return STORYBOOK_DIR if source == STORYBOOK else None


def _local(source: str) -> Path | None:
    """A Hugging Face folder or a GGUF file, by its path."""
    try:
        path = Path(source[:MAX_SOURCE_CHARACTERS]).expanduser().resolve()
        is_gguf = path.suffix.lower() == ".gguf" and path.is_file()
        if source.strip() and (path.is_dir() or is_gguf):
            return path
    except (OSError, RuntimeError, ValueError):
        # Too long a name, no such home, a NUL in it: not a path in any case.
        pass
    return None


def _hub(source: str) -> Path | None:
    """A model of the hub that was downloaded before."""
    name = hub_name(source)
    return None if name is None else folder_of(name, source)


# Each says where the model of a source is on this machine: a Hugging Face folder or a
# GGUF file; None when the source is not of its kind. The first that knows it decides.
# A source of its kind that is not there is a `MissingError` that says what to do.
ORIGINS: tuple[Callable[[str], Path | None], ...] = (_embedded, _local, _hub)


def is_only_here(source: str) -> bool:
    """Whether `source` means a path of this computer, if anything: no link says one."""
    return source != STORYBOOK and hub_name(source) is None


def is_at_hand(source: str) -> bool:
    """Whether `source` is on this machine (not whether it can be read)."""
    try:
        _place_of(source)
    except MissingError:
        return False
    return True


def load_model(source: str, *, device: str = "cpu") -> LoadedModel:
    """The model of `source`: "storybook", a folder or GGUF file on this disk, or the
    name of a model of the hub that was downloaded.

    Raises:
        MissingError: there is no such model, file or memory; with what to do.
        DamagedError: a file cannot be read, or is not a causal language model; of the
            embedded model, whatever is wrong, with how to get it back.
    """
    try:
        place = _place_of(source)
        if source != STORYBOOK:
            try_tokenizer(place)
        return load_files(source, place, device)
    except (MissingError, DamagedError) as problem:
        if source != STORYBOOK:
            raise
        # What helps for a folder of one's own does not help for what came along.
        logger.warning("%s", problem, exc_info=problem.__cause__)
        raise DamagedError("storybook_damaged", path=str(STORYBOOK_DIR)) from problem


def _place_of(source: str) -> Path:
    for origin in ORIGINS:
        if (place := origin(source)) is not None:
            return place
    raise MissingError("model_missing", source=source[:200])
