"""`python -m tinysae index|search|export`: the explorer without Streamlit."""

import argparse
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from tinysae.errors import InputError
from tinysae.render.visible import visible
from tinysae.words import LANGUAGES

if TYPE_CHECKING:
    from tinysae.features.index.reader import FeatureIndex
    from tinysae.features.names.labels import Label
    from tinysae.library.feature_source import FeatureSource

N_PRINTED = 20
N_TOP_TOKENS = 5


def add_commands(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
) -> None:
    """Adds `search` and `export` to the parser's commands."""
    search = commands.add_parser("search", help="find features of an SAE")
    _add_source(search)
    way = search.add_mutually_exclusive_group(required=True)
    way.add_argument("--text", help="features that fire on this text, and where")
    way.add_argument("--raises", metavar="TOKEN", help="features that raise a token")
    way.add_argument("--lowers", metavar="TOKEN", help="features that lower a token")
    way.add_argument("--fires-on", metavar="TOKEN", help="features that fire on it")
    way.add_argument("--words", help="features whose label or note has these words")
    way.add_argument("--concept", help="features labelled with this concept")
    search.set_defaults(command=_search)

    export = commands.add_parser("export", help="save features as one HTML file")
    _add_source(export)
    export.add_argument("features", nargs="*", type=int, help="their numbers")
    export.add_argument("--bookmarked", action="store_true", help="the bookmarked too")
    export.add_argument("--out", type=Path, default=Path("features.html"))
    export.add_argument("--language", choices=LANGUAGES, default="en")
    export.set_defaults(command=_export)


def _add_source(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "sae", help="a run, “storybook”, a saved SAE's id or an SAELens folder"
    )


def source_of(name: str) -> "FeatureSource":
    """The source of that id; a path is taken note of first.

    Raises:
        TinysaeError: there is none.
    """
    from tinysae.library.feature_source import feature_source
    from tinysae.library.saved import add_sae

    return feature_source(add_sae(name).id if is_folder(name) else name)


def is_folder(name: str) -> bool:
    """Whether `name` is meant as a path and not as an id."""
    return "/" in name or os.path.isdir(name)


def _labels(source: "FeatureSource") -> "list[Label]":
    from tinysae.features.names.labels import read_labels

    return read_labels(source.index_dir)


def _search(options: argparse.Namespace) -> int:
    from tinysae.features.index.search import find_tokens

    source = source_of(options.sae)
    index, labels = source.open(), _labels(source)
    if options.text is not None:
        rows = _by_text(source, index, options.text)
    elif options.words is not None or options.concept is not None:
        rows = _by_name(index, labels, options)
    else:
        query = options.raises or options.lowers or options.fires_on or ""
        token = find_tokens(index.vocabulary, query)
        _print(f"token {token.token} “{visible(token.text)}”")
        if options.fires_on is not None:
            rows = (
                (each.feature, f"{each.n_fired:,} times, {each.precision:.1%} of them")
                for each in index.firing_on(token.token)
            )
        else:
            ask = index.raised_by if options.raises is not None else index.lowered_by
            rows = ((each.feature, f"{each.value:+.3f}") for each in ask(token.token))
    _print_rows(index, labels, rows)
    return 0


def _by_text(
    source: "FeatureSource", index: "FeatureIndex", text: str
) -> Iterable[tuple[int, str]]:
    from tinysae.features.index.search import by_text
    from tinysae.model.sources import load_model
    from tinysae.sae.load import load_sae

    found = by_text(load_sae(source.sae_dir), load_model(index.info.model), text)
    _print(f"{found.n_features:,} features on {len(found.tokens):,} tokens")
    for hit in found.hits:
        token = visible(found.tokens[hit.position])
        yield hit.feature, f"{hit.max_act:.2f} at {hit.position} “{token}”"


def _by_name(
    index: "FeatureIndex", labels: "list[Label]", options: argparse.Namespace
) -> Iterable[tuple[int, str]]:
    from tinysae.features.index.search import by_concept, by_words
    from tinysae.features.names.notes import Notes

    if options.concept is not None:
        return [(feature, "") for feature in by_concept(labels, options.concept)]
    notes = Notes(index.info.sae_fingerprint, index.info.d_sae).all()
    found = by_words(labels, notes, options.words)
    return [(hit.feature, hit.where) for hit in found]


def _print_rows(
    index: "FeatureIndex", labels: "list[Label]", rows: Iterable[tuple[int, str]]
) -> None:
    from tinysae.features.names.labels import label_sentence

    n = 0
    for feature, what in rows:
        n += 1
        if n > N_PRINTED:
            break
        tokens = index.feature(feature).tokens[:N_TOP_TOKENS]
        label = label_sentence(labels[feature], "en") if labels else ""
        top = " ".join(visible(token.text) for token in tokens)
        _print(f"{feature:>6}  {what:<28}  {label or top}")
    if not n:
        _print("none")


def _export(options: argparse.Namespace) -> int:
    from tinysae.features.names.notes import Notes
    from tinysae.library.export import ExportOptions, write_export

    source = source_of(options.sae)
    index = source.open()
    notes = Notes(index.info.sae_fingerprint, index.info.d_sae)
    features = [*options.features]
    if options.bookmarked:
        features += notes.bookmarked()
    how = ExportOptions(source.name, options.language, _labels(source), notes.all())
    try:
        write_export(options.out, index, features, how)
    except OSError as problem:
        raise InputError(
            "export_unwritable", path=str(options.out), reason=problem.strerror
        ) from problem
    _print(str(options.out))
    return 0


def _print(line: str) -> None:
    sys.stdout.write(f"{line}\n")
