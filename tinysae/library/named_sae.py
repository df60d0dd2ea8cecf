"""What a person calls an SAE -> the SAE: one way for every command."""

import os

from tinysae.errors import InputError, MissingError
from tinysae.jobs.files import typed_path
from tinysae.jobs.job import JOB_ID
from tinysae.library.feature_source import FeatureSource, feature_source, run_source
from tinysae.library.saved import (
    AnySAE,
    add_sae,
    is_saved_id,
    sae_in,
    saved_sae,
    saved_saes,
)
from tinysae.library.shipped import SHIPPED
from tinysae.runs.store import list_runs, open_run, runs_dir


def named_source(name: str) -> FeatureSource:
    """The features of the SAE that is called so.

    Raises:
        TinysaeError: as `named_sae`.
    """
    return feature_source(name) if name in SHIPPED else run_source(named_sae(name))


def named_sae(name: str) -> AnySAE:
    """The SAE that is called so: by its id, by its folder, which is taken note of, or
    by a title that no other has.

    Raises:
        InputError: several have that title.
        MissingError: nothing is called so.
        DamagedError: what is called so cannot be read.
    """
    if name in SHIPPED:
        return sae_in(SHIPPED[name])
    if JOB_ID.fullmatch(name) and (runs_dir() / name).is_dir():
        return open_run(name)
    if is_folder(name):
        return add_sae(name)
    if is_saved_id(name):
        return saved_sae(name)
    alike = [sae for sae in (*list_runs(), *saved_saes()) if sae.title == name]
    if len(alike) > 1:
        ids = ", ".join(sae.id for sae in alike)
        raise InputError("sae_name_shared", name=name[:80], ids=ids)
    if alike:
        return alike[0]
    if is_path(name):
        # Says what is missing there.
        return add_sae(name)
    raise MissingError("sae_name_unknown", name=name[:80])


def is_path(name: str) -> bool:
    """Whether `name` is written as a path is."""
    return "/" in name


def is_folder(name: str) -> bool:
    """Whether there is a folder of that name."""
    path = typed_path(name)
    # `Path.is_dir` raises for what the system does not take as a name.
    return path is not None and os.path.isdir(path)
