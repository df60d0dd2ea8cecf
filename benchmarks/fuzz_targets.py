"""What people bring and links carry, by reader: a small valid sample, and its reading.

A target's sample (`fuzz_samples.py`, `fuzz_jobs.py`) lies in a folder that is also the
home (`TINYSAE_HOME`); `read` does with it what pages and commands do, and may raise a
`TinysaeError`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import fuzz_jobs as jobs
from benchmarks import fuzz_samples as samples


class Target(NamedTuple):
    """A reader.

    write: makes the sample in a folder. read: of that folder. share: of the inputs,
    less where each of them takes a process of its own or a library's whole loading.
    wrong: which files are made wrong, a pattern.
    """

    write: Callable[[Path], object]
    read: Callable[[Path], object]
    wrong: str
    share: float = 1.0


def _read_run(home: Path) -> None:  # noqa: ARG001
    from tinysae.library.feature_source import feature_sources
    from tinysae.runs.doctor.case import case_of
    from tinysae.runs.doctor.registry import diagnose
    from tinysae.runs.store import list_runs, open_run
    from tinysae.runs.tracking import tracked
    from tinysae.sae.estimate import Estimate

    list_runs()
    feature_sources()
    run = open_run(jobs.RUN_ID)
    status = run.status
    _shown(run.title, status.error, status.error_values, run.created_at, run.keys)
    f"{status.share:.0%} {status.done:,} {status.total:,} {status.eta_s or 0:.1f}"
    Estimate.from_json(run.estimate())
    for number in ((run.evaluation() or {}) | (run.took() or {})).values():
        f"{number:.3f}"
    tracked(run)
    for found in diagnose(case_of(run)):
        _shown(found.to_json())
    _shown(run.made_with())


def _read_remarks(home: Path) -> None:  # noqa: ARG001
    from tinysae.runs.compare import compared
    from tinysae.runs.remarks import keep_remarks, remarks
    from tinysae.runs.store import open_run

    run = open_run(jobs.RUN_ID)
    _shown(compared(run))
    _each(lambda: _shown(remarks(run)))
    keep_remarks(run, tags="c, d")


def _read_sweep(home: Path) -> None:  # noqa: ARG001
    from tinysae.runs.axes import called, labels_of
    from tinysae.runs.store import open_run
    from tinysae.runs.sweep import list_sweeps, open_sweep, sweep_of

    _shown(sweep_of(open_run(jobs.RUN_ID)))
    list_sweeps()
    sweep = open_sweep(jobs.SWEEP_ID)
    _shown(sweep.title, sweep.status, sweep.keys)
    for run in sweep.points():
        _shown(called(labels_of(run.config, sweep.axes)))


def _read_plan(home: Path) -> None:
    from tinysae.runs.axes import names_hooks, points_of, with_hooks
    from tinysae.runs.sweep import read_plan, streams

    base, axes = read_plan(home / "plan.json")
    hooks = ["blocks.0.hook_mlp_out", "blocks.1.hook_mlp_out"]
    known = {
        name: with_hooks(values, hooks) if names_hooks(name, values) else values
        for name, values in axes.items()
    }
    _shown(streams(points_of(base, known)))


def _read_notes(home: Path) -> None:  # noqa: ARG001
    from tinysae.errors import TinysaeError
    from tinysae.features.names.notes import Notes

    notes = Notes(samples.FINGERPRINT, samples.D_SAE)
    given = notes.path.read_bytes()
    try:
        _shown(notes.all(), notes.bookmarked(), notes.to_json())
    except TinysaeError:
        notes.path.unlink()
    # As a file that is imported.
    notes.merge(given)
    notes.keep(1, text="more")


def _read_lessons(home: Path) -> None:  # noqa: ARG001
    from tinysae.lessons.lesson_file import lesson_ids, load_lesson
    from tinysae.lessons.progress import keep_place, read_progress

    _shown(read_progress(), lesson_ids())
    keep_place("first", 3)
    _shown(load_lesson("own"))


def _read_sae(home: Path) -> None:
    import torch

    from tinysae.library.archive import check_folder
    from tinysae.library.saved import add_sae, saved_saes
    from tinysae.library.saved_text import suggested

    for saved in saved_saes():
        _shown(saved.title, saved.created_at, suggested(saved))
    sae = check_folder(home / "saes" / "own")
    sae.decode(sae.encode(torch.zeros(2, sae.d_in)))
    add_sae(str(home / "saes" / "own"))


def _read_zip(home: Path) -> None:
    from tinysae.library.imports import import_zip_at

    import_zip_at(str(home / "own.zip"))


def _read_model(home: Path) -> None:
    from tinysae.model.sources import is_at_hand, load_model
    from tinysae.model.text.logprobs import next_log_probs

    source = str(home / "model")
    is_at_hand(source)
    model = load_model(source)
    ids = model.encode(samples.TEXT + "\ud800 나비 <|endoftext|>")
    _shown(model.token_texts(ids), model.decode(ids), model.vocabulary.text(0))
    next_log_probs(model, [model.bos_id, *ids][:16])


def _read_gguf(home: Path) -> None:
    from tinysae.model.gguf_header import count_gguf_numbers
    from tinysae.model.sources import load_model

    file = home / "model.gguf"
    count_gguf_numbers(file)
    # What follows takes a package that need not be here.
    _each(lambda: load_model(str(file)))


def _read_index(home: Path) -> None:
    from tinysae.features.index.format import FILES, INDEX_NAME
    from tinysae.features.index.history import watched
    from tinysae.features.index.reader import open_index
    from tinysae.features.index.search import by_words, find_tokens
    from tinysae.features.names.label_file import read_labels
    from tinysae.jobs.files import read_json

    # Who makes a file wrong makes its size right.
    folder = home / "features"
    about: Any = None
    try:
        about = read_json(folder / INDEX_NAME)
        for name in FILES:
            about["files"][name] = (folder / name).stat().st_size
        (folder / INDEX_NAME).write_text(json.dumps(about))
    except (ValueError, LookupError, TypeError):
        # Then that is what is wrong.
        pass
    watched(home / "history", 5, 280)
    _shown(by_words(read_labels(folder), {}, "cats"))
    index = open_index(folder)
    index.table()
    index.layout()
    index.heads(5, 4)
    index.partners()
    find_tokens(index.vocabulary, " cat")
    for feature in range(3):
        _shown(index.feature(feature), index.bos_text)
    index.promoted([0, 1])
    for token in (0, 5):
        index.raised_by(token)
        index.lowered_by(token)
        index.firing_on(token)


def _read_labels(home: Path) -> None:
    from tinysae.features.index.search import by_words
    from tinysae.features.names.label_file import read_labels
    from tinysae.features.names.labels import label_sentence
    from tinysae.words import LANGUAGES

    found = read_labels(home)
    for label in found:
        _shown(*(label_sentence(label, language) for language in LANGUAGES))
    _shown(by_words(found, {}, "cats"))


def _read_themes(home: Path) -> None:
    from tinysae.features.names.theme_file import read_themes, theme_name
    from tinysae.words import LANGUAGES

    found = read_themes(home)
    assert sum(map(len, found.members)) <= len(found.of)
    for theme in map(found.theme, range(len(found.of) + 1)):
        if theme is not None:
            _shown(*(theme_name(theme, language) for language in LANGUAGES))


def _newest(folder: Path) -> Path:
    """The file that was made wrong, where each is read by itself."""
    return max(folder.glob("*.*"), key=lambda path: path.stat().st_mtime_ns)


def _read_texts(home: Path, name: str, apart: bool) -> None:
    from tinysae.config import TextChoice
    from tinysae.data.texts import open_text
    from tinysae.data.texts.apart import beginning, beginning_apart

    is_tokenized = name.startswith("ids")
    choice = TextChoice(str(home / name), is_tokenized=is_tokenized)
    if apart:
        _shown(beginning_apart(choice, 500, 500_000))
    else:
        _shown(beginning(open_text(choice), 500, 500_000))


def _read_plain(home: Path) -> None:
    _read_texts(home, _newest(home).name, apart=False)


def _read_table(home: Path) -> None:
    _read_texts(home, _newest(home).name, apart=True)


def _read_suite(home: Path) -> None:
    from tinysae.model.text.suite import read_csv

    _shown(read_csv(home / "suite.csv"))


def _read_link(home: Path) -> None:
    from tinysae.model.text.state import packed, unpacked

    packed(unpacked((home / "play.link").read_text("utf-8", "surrogateescape")))


def _read_paths(home: Path) -> None:
    from tinysae.config import TextChoice
    from tinysae.data.texts import open_text
    from tinysae.features.names.notes import Notes
    from tinysae.library.imports import import_zip_at
    from tinysae.library.saved import add_sae
    from tinysae.model.sources import is_at_hand, load_model
    from tinysae.runs.store import open_run

    typed = _newest(home).read_text("utf-8", "surrogateescape")
    try:
        (path,) = json.loads(typed)
        path = str(path)
    except (ValueError, TypeError, RecursionError):
        path = typed
    for read in (add_sae, import_zip_at, is_at_hand, open_run):
        _each(partial(read, path))
    _each(lambda: Notes(path, samples.D_SAE))
    # That one is not what somebody brought, and takes its time.
    if path != "storybook":
        _each(lambda: load_model(path))
        _each(lambda: open_text(TextChoice(path)))


def _read_others(home: Path) -> None:
    from tinysae.features.names.showcase import read_showcases
    from tinysae.library.saved import saved_saes
    from tinysae.library.transfers import transfers
    from tinysae.model.catalogue import pin_of

    for transfer in transfers():
        _shown(transfer.title, transfer.status, transfer.argument, transfer.keys)
    _shown(saved_saes().unreadable, pin_of("EleutherAI/pythia-14m"))
    _shown(read_showcases(home))


def _each(read: Callable[[], object]) -> None:
    """One of several readings; a sentence of one keeps no other from being tried."""
    from tinysae.errors import TinysaeError

    try:
        read()
    except TinysaeError as sentence:
        _shown(sentence)


def _shown(*values: object) -> None:
    """Says them, as a page or a terminal would have to send them."""
    for value in values:
        str(value)


RUN_FILES = f"runs/{jobs.RUN_ID}"
TARGETS: dict[str, Target] = {
    "config": Target(jobs.write_run, _read_run, f"{RUN_FILES}/config.json"),
    "status": Target(jobs.write_run, _read_run, f"{RUN_FILES}/status.json"),
    "metrics": Target(jobs.write_run, _read_run, f"{RUN_FILES}/*s.jsonl"),
    "eval": Target(jobs.write_run, _read_run, f"{RUN_FILES}/[etw]*.json"),
    "remarks": Target(jobs.write_remarks, _read_remarks, f"{RUN_FILES}/remarks.json"),
    "sweep": Target(jobs.write_sweep, _read_sweep, "**/sweep.json"),
    "plan": Target(jobs.write_plan, _read_plan, "plan.json"),
    "notes": Target(samples.write_notes, _read_notes, "notes/*.json"),
    "lessons": Target(samples.write_lessons, _read_lessons, "**/*.json"),
    "home": Target(samples.write_others, _read_others, "**/*.json"),
    "sae": Target(samples.write_sae, _read_sae, "saes/own/*.*"),
    "zip": Target(samples.write_zip, _read_zip, "own.zip"),
    "index": Target(samples.write_index, _read_index, "[fh]*/*.*"),
    "texts": Target(samples.write_plain, _read_plain, "*.*"),
    "tables": Target(samples.write_tables, _read_table, "*.*", 0.1),
    "suite": Target(samples.write_suite, _read_suite, "suite.csv"),
    "link": Target(samples.write_link, _read_link, "play.link"),
    "paths": Target(samples.write_paths, _read_paths, "*.json"),
    "model": Target(samples.write_model, _read_model, "model/*.*", 0.1),
    "gguf": Target(samples.write_gguf, _read_gguf, "model.gguf", 0.5),
    "labels": Target(samples.write_labels, _read_labels, "labels.json.gz", 0.5),
    "themes": Target(samples.write_themes, _read_themes, "themes.json"),
}
