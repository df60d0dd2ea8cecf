"""All SAEs that there are to compare: runs, those that came along, those from
elsewhere."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from tinysae.checked_numbers import whole
from tinysae.config import TextChoice
from tinysae.errors import TinysaeError
from tinysae.jobs.files import make_folder, read_json, write_json
from tinysae.jobs.home import home_errors
from tinysae.jobs.listed import Listed, listed
from tinysae.library.feature_source import FeatureSource, feature_source
from tinysae.library.saved import SavedSAE, saved_saes
from tinysae.library.shipped import (
    POST_SAE_DIR,
    STORYBOOK_POST,
    STORYBOOK_RUN_DIR,
    STORYBOOK_SAE,
    embedded_remedy,
)
from tinysae.runs.compare import NAMED, Compared, Ground, compared
from tinysae.runs.store import EVAL_NAME, Run, list_runs, run_in
from tinysae.sae.load import CFG_NAME, MAX_CFG_BYTES

GROUND = "measured_on"
"""In the figures of an SAE from elsewhere: on what they were measured; a run's settings
say that of its own."""

# What links call them -> where their settings and figures are.
_SHIPPED = {STORYBOOK_SAE: STORYBOOK_RUN_DIR, STORYBOOK_POST: POST_SAE_DIR}
# The newest: of each some small files are read at every look.
MOST = 500


def all_compared() -> Listed[Compared]:
    """The newest runs first, then what came along, then those from elsewhere; what
    cannot be read is left out.

    Raises:
        DamagedError: what came along cannot be read.
    """
    runs, saved = list_runs(), saved_saes()
    of_runs = listed(runs[:MOST], compared, lambda run: run.path)
    of_saved = listed(saved[:MOST], compared_saved, lambda sae: sae.directory)
    return Listed(
        [*of_runs, *compared_shipped(), *of_saved],
        (each for part in (runs, of_runs, saved, of_saved) for each in part.unreadable),
    )


def compared_shipped() -> list[Compared]:
    """The SAEs that came along, with the settings that they were made with.

    Raises:
        DamagedError: they cannot be read; how to get them back.
    """
    with embedded_remedy():
        return [
            # When these files were copied here says nothing of when it was made.
            replace(
                compared(Run(name, path, run_in(path).config), "shipped"), created_at=0
            )
            for name, path in _SHIPPED.items()
        ]


def compared_saved(sae: SavedSAE) -> Compared:
    """One from elsewhere: what its files say of it, and what it was measured at here
    (`python -m tinysae evaluate`).

    Raises:
        OSError, ValueError: its configuration cannot be read.
    """
    cfg = read_json(sae.directory / CFG_NAME, MAX_CFG_BYTES)
    metadata = cfg.get("metadata")
    hook = metadata.get("hook_name") if isinstance(metadata, dict) else None
    said = {
        "model_name": sae.model_name,
        "hook_name": str(hook or ""),
        "architecture": str(cfg.get("architecture") or ""),
        "d_sae": whole(cfg.get("d_sae"), low=1),
    }
    return Compared(
        id=sae.id,
        name=sae.title,
        kind="saved",
        created_at=sae.created_at,
        state="done",
        settings={name: value for name, value in said.items() if value},
        figures=sae.read_numbers(EVAL_NAME) or {},
        ground=_ground((sae.read_json(EVAL_NAME) or {}).get(GROUND)),
    )


def keep_figures(sae: SavedSAE, figures: Mapping[str, Any], ground: Ground) -> None:
    """Keeps what an SAE from elsewhere was measured at, and on what, beside its index.

    Raises:
        MissingError: the home folder cannot be written.
    """
    noted = {**ground._asdict(), "text": ground.text._asdict()}
    with home_errors():
        make_folder(sae.path)
        write_json(sae.path / EVAL_NAME, {**figures, GROUND: noted})


def share_named(source: FeatureSource) -> float | None:
    """The share of an SAE's features with a name that fits; None where none were named.

    Raises:
        DamagedError: from `read_labels`.
    """
    from tinysae.features.names.label_file import read_labels
    from tinysae.features.names.labels import sureness

    labels = read_labels(source.index_dir)
    return sum(sureness(each) > 0 for each in labels) / len(labels) if labels else None


def named_share(
    entry: Compared, read: Callable[[FeatureSource], float | None] = share_named
) -> float | None:
    """`share_named` of an entry; None too where its features are yet to be collected,
    cannot be read or have gone meanwhile.

    Args:
        entry: of which SAE.
        read: `share_named`, or what keeps what it has read.
    """
    with suppress(TinysaeError):
        source = feature_source(entry.id)
        return read(source) if source.readiness == "ready" else None
    return None


def with_named(
    entry: Compared, read: Callable[[FeatureSource], float | None] = share_named
) -> Compared:
    """`entry` with its `named_share` among its figures, where it has one."""
    share = named_share(entry, read)
    return entry if share is None else entry.with_figure(NAMED, share)


def _ground(data: Any) -> Ground | None:
    """What `keep_figures` noted; None for anything else."""
    match data:
        case {
            "model_name": str(model),
            "hook_name": str(hook),
            "text": dict(text),
            "context_size": int(size),
        }:
            try:
                return Ground(model, hook, TextChoice(**text), size)
            except TypeError:
                return None
    return None
