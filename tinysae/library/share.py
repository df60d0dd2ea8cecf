"""What an SAE is taken along as: a zip, or the files of a hub repository.

Both have SAELens's own files, byte for byte, and a model card written from what is
known of the SAE. An upload is put together first, to be looked at; that sends nothing.
"""

import re
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from tinysae.errors import DamagedError, InputError
from tinysae.hub.names import check_place, check_repo_id
from tinysae.jobs.files import (
    copy_file,
    make_folder,
    read_json,
    shown_path,
    write_text,
)
from tinysae.jobs.home import home_errors
from tinysae.library.archive import sae_files, write_zip
from tinysae.library.card import LICENCES, CardFacts, model_card, without_place
from tinysae.library.saved import AnySAE, SavedSAE
from tinysae.library.text_read import TextRead, text_name
from tinysae.library.transfers import Transfer, new_transfer, transfers_dir
from tinysae.sae.load import CFG_NAME, RUNNER_CFG_NAME
from tinysae.words import Language

if TYPE_CHECKING:
    from tinysae.features.index.reader import FeatureIndex
    from tinysae.features.names.labels import Label

CARD_NAME, DASHBOARD_NAME = "README.md", "dashboard.html"
# Of a dashboard nobody chose features for: 60 KB each.
N_FEATURES = 24
MESSAGE = "Upload an SAE with tinysae"


def zip_name(run: AnySAE) -> str:
    """What the zip of a run's or a saved SAE is called, without its ending."""
    safe = re.sub(r"[^A-Za-z0-9._-]+", "-", run.title).strip("-.")[:60]
    return safe or "sae"


def zip_sae(run: AnySAE, out: IO[bytes], language: Language = "en") -> None:
    """Writes the zip of a run's SAE, or of a saved one, into `out`.

    Raises:
        MissingError, DamagedError: there is no SAE, or its cfg.json cannot be read.
    """
    name = zip_name(run)
    card = model_card(_facts(run, folder=name), language)
    write_zip(run.sae_dir, out, name, card=card)


def plan_upload(
    run: AnySAE,
    repo_id: str,
    *,
    folder: str = "",
    private: bool = True,
    licence: str = LICENCES[0],
    with_dashboard: bool = True,
    language: Language = "en",
) -> Transfer:
    """Puts together what an upload would bring, and sends nothing.

    Args:
        run: a run or a saved SAE.
        repo_id: “owner/name”; the repository is made by the upload if need be.
        folder: the SAE's folder there, which SAELens takes for its id; by default its
            hook's name.
        licence: one of `card.LICENCES`.
        with_dashboard: with some of its features as one HTML file, if it has an index.

    Raises:
        InputError: a name that the hub would not take.
        MissingError, DamagedError: there is no SAE; its files cannot be read; the home
            cannot be written.
    """
    repo_id = check_repo_id(repo_id)
    if licence not in LICENCES:
        raise InputError(
            "repo_licence", licence=licence[:80], known=", ".join(LICENCES)
        )
    folder = check_place(folder or hook_name(run), "")[0]
    with home_errors():
        make_folder(transfers_dir())
        with tempfile.TemporaryDirectory(dir=transfers_dir(), prefix=".") as place:
            files = Path(place) / "files"
            at = files / folder
            at.mkdir(parents=True)
            for path in sae_files(run.sae_dir):
                copy_file(path, at / path.name)
            shown: dict[str, Any] = {}
            if with_dashboard and (made := _dashboard(run, language)):
                html, read = made
                write_text(at / DASHBOARD_NAME, html)
                shown = {
                    "dashboard": f"{folder}/{DASHBOARD_NAME}",
                    "dashboard_text": text_name(read.path, language),
                    "is_unseen": read.is_held_out,
                }
            facts = _facts(
                run,
                repo_id=repo_id,
                folder=folder,
                licence=licence,
                **shown,
            )
            write_text(files / CARD_NAME, model_card(facts, language))
            request = {"repo_id": repo_id, "private": private, "run": run.id}
            return new_transfer("upload", {**request, "message": MESSAGE}, files)


def planned_card(transfer: Transfer) -> str:
    """The model card of an upload that was planned."""
    return (transfer.files_dir / CARD_NAME).read_text(encoding="utf-8")


def hook_name(run: AnySAE) -> str:
    """Where the SAE reads the model, as its own configuration says.

    Raises:
        DamagedError: it cannot be read.
    """
    metadata = _cfg(run).get("metadata")
    name = metadata.get("hook_name") if isinstance(metadata, dict) else None
    return re.sub(r"[^A-Za-z0-9._-]+", "-", str(name or "sae")).strip("-.")[:100]


def local_paths(run: AnySAE) -> list[str]:
    """What the SAE's own files tell of this machine's folders, which the card hides.

    Raises:
        DamagedError: one of them cannot be read.
    """
    told = set(_strings(_cfg(run)))
    if (run.sae_dir / RUNNER_CFG_NAME).is_file():
        told |= set(_strings(_cfg(run, RUNNER_CFG_NAME)))
    return sorted(value for value in told if without_place(value) != value)


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _strings(inner)


def _cfg(run: AnySAE, name: str = CFG_NAME) -> dict[str, Any]:
    try:
        return read_json(run.sae_dir / name)
    except (OSError, ValueError) as problem:
        raise DamagedError("sae_damaged", path=shown_path(run.sae_dir)) from problem


def _facts(run: AnySAE, **places: Any) -> CardFacts:
    cfg = _cfg(run)
    if isinstance(run, SavedSAE):
        return CardFacts(run.title, cfg, **places)
    return CardFacts(
        run.title,
        cfg,
        config=run.config,
        figures=run.evaluation() or {},
        made_with=run.made_with(),
        **places,
    )


def _dashboard(run: AnySAE, language: Language) -> tuple[str, TextRead] | None:
    """Some of its features as one document, and the text that they were collected from;
    None when there is no index to read."""
    from tinysae.features.names.label_file import labels_or_none
    from tinysae.features.names.notes import Notes
    from tinysae.features.names.theme_file import themes_or_none
    from tinysae.library.export import ExportOptions, export_html
    from tinysae.library.feature_source import run_source

    source = run_source(run)
    if source.readiness != "ready":
        return None
    index = source.open()
    # The features are there without them.
    labels = labels_or_none(source.index_dir)
    kept = Notes(index.info.sae_fingerprint, index.info.d_sae).all()
    marked = [feature for feature, note in kept.items() if note.bookmarked]
    chosen = sorted(marked) or _best(index, labels)
    if not chosen:
        return None
    text = source.text_read(index.info)
    themes = themes_or_none(source.index_dir)
    how = ExportOptions(source.name, language, labels, text=text, themes=themes)
    return export_html(index, chosen, how), text


def _best(index: "FeatureIndex", labels: "Sequence[Label]") -> list[int]:
    """Those that read a concept best, then those that fire most strongly."""
    table = index.table()
    live = [int(f) for f in table["n_fired"].to_numpy().nonzero()[0]]
    strength = table["max_act"].to_numpy()

    def rank(feature: int) -> tuple[float, float]:
        f1 = labels[feature].f1 if feature < len(labels) else None
        return -(f1 or 0.0), -float(strength[feature])

    return sorted(live, key=rank)[:N_FEATURES]
