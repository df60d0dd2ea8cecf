"""Models that are known to work here, and what each is good for.

All but the embedded one come from the Hugging Face hub, by the names that
TransformerLens has for them. Weights that a repository ships as a pickle only are
read only if that is pinned (`Pin`), by a click where the page says what would be
trusted, or by `python -m tinysae pin`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from tinysae.hub.cache import is_commit
from tinysae.jobs.files import changing, read_json, write_json
from tinysae.jobs.home import home, home_errors

PINS_NAME = "model_pins.json"
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Pin:
    """The one pickle of a repository that may be converted.

    Attributes:
        revision: the repository's commit, 40 hexadecimal digits.
        sha256: of its `pytorch_model.bin`, 64 of them.
    """

    revision: str
    sha256: str


@dataclass(frozen=True)
class Entry:
    """A model of the catalogue.

    Attributes:
        source: what settings, links and `load_model` call it.
        repo_id: where it is on the hub; None for the embedded one.
        n_parameters: how many, embeddings included.
        megabytes: about what a download takes.
        licence: as its page says; None when it says nothing.
        key: names the line on what it is good for (`models.for_<key>`).
        names: other names for it; its repository's is always one.
        pin: its pickle, if that is known.
    """

    source: str
    repo_id: str | None
    n_parameters: int
    megabytes: int
    licence: str | None
    key: str
    names: tuple[str, ...] = ()
    pin: Pin | None = None


def _tiny_stories(
    size: str, alias: str, n_parameters: int, key: str, licence: str | None = None
) -> Entry:
    repo_id = f"roneneldan/TinyStories-{size}"
    # Four bytes a parameter; the source is the name that SAELens's tutorials use.
    megabytes = round(n_parameters * 4 / 1e6)
    return Entry(alias, repo_id, n_parameters, megabytes, licence, key)


CATALOGUE: tuple[Entry, ...] = (
    Entry("storybook", None, 1_379_328, 0, "MIT", "storybook"),
    _tiny_stories("1Layer-21M", "tiny-stories-1L-21M", 66_155_520, "tutorial"),
    _tiny_stories("1M", "tiny-stories-1M", 3_745_984, "smallest"),
    _tiny_stories("3M", "tiny-stories-3M", 8_278_400, "small"),
    _tiny_stories("8M", "tiny-stories-8M", 19_702_528, "small"),
    _tiny_stories("28M", "tiny-stories-28M", 51_987_968, "stories"),
    _tiny_stories("33M", "tiny-stories-33M", 68_514_048, "stories", "MIT"),
    _tiny_stories("2Layers-33M", "tiny-stories-2L-33M", 78_748_672, "two_layers"),
    Entry(
        "pythia-14m",
        "EleutherAI/pythia-14m",
        14_067_712,
        53,
        "Apache 2.0",
        "pythia_small",
    ),
    Entry(
        "pythia-70m",
        "EleutherAI/pythia-70m",
        70_426_624,
        166,
        "Apache 2.0",
        "pythia",
    ),
    Entry(
        "gpt2",
        "openai-community/gpt2",
        124_439_808,
        548,
        "MIT",
        "gpt2",
        names=("gpt2-small",),
    ),
    Entry(
        "HuggingFaceTB/SmolLM2-135M",
        "HuggingFaceTB/SmolLM2-135M",
        134_515_008,
        269,
        "Apache 2.0",
        "smollm",
    ),
)
_BY_NAME: Mapping[str, Entry] = {
    name: entry
    for entry in CATALOGUE
    for name in (entry.source, entry.repo_id, *entry.names)
    if name
}


def entry_of(source: str) -> Entry | None:
    """The catalogue's entry that `source` names, by any of its names."""
    return _BY_NAME.get(source.strip())


def same_model(one: str, other: str) -> bool:
    """Whether two sources name one model, perhaps by different names."""
    entries = entry_of(one), entry_of(other)
    return one == other or (entries[0] is not None and entries[0] is entries[1])


def pin_of(repo_id: str) -> Pin | None:
    """The pin of a catalogue's repository: the entry's own, else the one that was
    written down on this machine."""
    entry = next((e for e in CATALOGUE if e.repo_id == repo_id), None)
    if entry is None:
        return None
    return entry.pin or pin_from(_pins().get(repo_id))


def write_pin(repo_id: str, pin: Pin) -> None:
    """Remembers `pin` on this machine.

    Raises:
        MissingError: the home folder cannot be written.
    """
    path = home() / PINS_NAME
    with home_errors(), changing(path):
        write_json(path, {**_pins(), repo_id: asdict(pin)})


def pin_from(data: object) -> Pin | None:
    """The pin that a file of ours holds; None if it is none."""
    if not isinstance(data, dict):
        return None
    revision, sha256 = str(data.get("revision")), str(data.get("sha256"))
    is_whole = is_commit(revision) and _SHA256.fullmatch(sha256)
    return Pin(revision, sha256) if is_whole else None


def _pins() -> dict[str, Any]:
    try:
        return read_json(home() / PINS_NAME)
    except (OSError, ValueError):
        return {}
