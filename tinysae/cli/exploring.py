"""`python -m tinysae index|evaluate|search|export|explain`: the features page without
Streamlit."""

import argparse
import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from tinysae.cli.arguments import Commands, add_sae_argument
from tinysae.cli.job_here import add_lock_option, do_here
from tinysae.cli.output import asked_file, counted, say, write_line
from tinysae.cli.training import add_settings, chosen_settings
from tinysae.errors import InputError
from tinysae.jobs.work import log_to_stderr
from tinysae.library.named_sae import named_sae, named_source
from tinysae.library.shipped import SHIPPED
from tinysae.render.visible import visible
from tinysae.words import LANGUAGES, text

if TYPE_CHECKING:
    from tinysae.features.index.reader import FeatureIndex
    from tinysae.features.names.labels import Label
    from tinysae.library.feature_source import FeatureSource
    from tinysae.library.saved import SavedSAE

N_PRINTED = 20
N_TOP_TOKENS = 5
# The settings of a run that say which text is read, and how.
TEXT_SETTINGS = (
    *("dataset_path", "dataset_column", "dataset_name", "dataset_split"),
    *("is_dataset_tokenized", "streaming"),
)


def add_commands(commands: Commands) -> None:
    """Adds `index`, `evaluate`, `search`, `export` and `explain` to the parser's
    commands."""
    index = commands.add_parser("index", help="collect an SAE's features")
    add_sae_argument(index)
    index.add_argument("--model", help="what reads an SAE from elsewhere")
    add_settings(index, TEXT_SETTINGS)
    add_lock_option(index)
    index.set_defaults(command=_index)

    evaluate = commands.add_parser("evaluate", help="measure an SAE (again)")
    add_sae_argument(evaluate)
    evaluate.set_defaults(command=_evaluate)

    search = commands.add_parser("search", help="find features of an SAE")
    add_sae_argument(search)
    way = search.add_mutually_exclusive_group(required=True)
    way.add_argument("--text", help="features that fire on this text, and where")
    way.add_argument("--raises", metavar="TOKEN", help="features that raise a token")
    way.add_argument("--lowers", metavar="TOKEN", help="features that lower a token")
    way.add_argument("--fires-on", metavar="TOKEN", help="features that fire on it")
    way.add_argument("--words", help="features whose label or note has these words")
    way.add_argument("--concept", help="features labelled with this concept")
    search.set_defaults(command=_search)

    export = commands.add_parser("export", help="save features as one HTML file")
    add_sae_argument(export)
    export.add_argument("features", nargs="*", type=int, help="their numbers")
    export.add_argument("--bookmarked", action="store_true", help="the bookmarked too")
    export.add_argument("--out", type=Path, default=Path("features.html"))
    export.add_argument("--language", choices=LANGUAGES, default="en")
    export.set_defaults(command=_export)

    explain = commands.add_parser(
        "explain", help="ask a language model of your choice what features mean"
    )
    add_sae_argument(explain)
    explain.add_argument("features", nargs="+", type=int, metavar="FEATURE")
    explain.add_argument("--url", required=True, help="an OpenAI-compatible API")
    explain.add_argument("--model", required=True, help="its name there")
    explain.set_defaults(command=_explain)


def _index(options: argparse.Namespace) -> int:
    from tinysae.config import TrainConfig
    from tinysae.library.saved import SavedSAE, add_sae
    from tinysae.library.saved_text import choose_text
    from tinysae.worker import life

    log_to_stderr()
    _check_own(options.sae)
    sae = named_sae(options.sae)
    text_settings = chosen_settings(options)
    if isinstance(sae, SavedSAE):
        if options.model:
            sae = add_sae(str(sae.directory), options.model)
        if text_settings:
            choose_text(sae, TrainConfig(**text_settings).text)
        _say_text(sae)
        status = do_here(sae, options.lock_fd, life.index_saved)
    elif text_settings:
        raise InputError("index_text_of_run", name=sae.title)
    else:
        status = do_here(sae, options.lock_fd, life.index)
    if status == 0:
        # What the other commands call it, which a folder does not tell.
        write_line(sae.id)
    return status


def _say_text(sae: "SavedSAE") -> None:
    from tinysae.library.saved_text import suggested
    from tinysae.library.text_read import text_name

    choice, why = suggested(sae)
    say(f"{sae.model_name} reads {text_name(choice.path, 'en')}")
    if why != "chosen":
        say(text(f"features.collect_{why}", "en"))


def _check_own(name: str) -> None:
    """Raises InputError for an SAE that came along: its files stay as they are."""
    if name in SHIPPED:
        raise InputError("sae_is_shipped", sae=name)


def _evaluate(options: argparse.Namespace) -> int:
    from tqdm import tqdm

    from tinysae.worker import finish

    sae = named_sae(options.sae)
    # None: no bar where no terminal is.
    with tqdm(desc="evaluating", unit=" tokens", disable=None) as bar:

        def progress(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        figures = finish.evaluate_again(sae, progress)
    write_line(json.dumps(figures, indent=1))
    return 0


def _search(options: argparse.Namespace) -> int:
    from tinysae.features.index.search import find_tokens
    from tinysae.features.names.label_file import read_labels

    source = named_source(options.sae)
    index, labels = source.open(), read_labels(source.index_dir)
    if options.text is not None:
        rows = _by_text(source, index, options.text)
    elif options.words is not None or options.concept is not None:
        rows = _by_name(index, labels, options)
    else:
        query = options.raises or options.lowers or options.fires_on or ""
        token = find_tokens(index.vocabulary, query)
        write_line(f"token {token.token} “{visible(token.text)}”")
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

    search = by_text(load_sae(source.sae_dir), load_model(index.info.model), text)
    found = counted(search.n_features, "feature")
    write_line(f"{found} on {counted(len(search.tokens), 'token')}")
    for hit in search.hits:
        word = visible(search.words[hit.position])
        yield hit.feature, f"{hit.max_act:.2f} at {hit.position} “{word}”"


def _by_name(
    index: "FeatureIndex", labels: "list[Label]", options: argparse.Namespace
) -> Iterable[tuple[int, str]]:
    from tinysae.features.index.search import by_concept, by_words
    from tinysae.features.names.notes import Notes

    if options.concept is not None:
        return [(feature, "") for feature in by_concept(labels, options.concept)]
    notes = Notes(index.info.sae_fingerprint, index.info.d_sae).all()
    hits = by_words(labels, notes, options.words)
    return [(hit.feature, hit.where) for hit in hits]


def _print_rows(
    index: "FeatureIndex", labels: "list[Label]", rows: Iterable[tuple[int, str]]
) -> None:
    from tinysae.features.names.labels import namer, score_percent

    n, named = 0, namer(labels, "en")
    for feature, what in rows:
        n += 1
        if n > N_PRINTED:
            break
        tokens = index.feature(feature).tokens[:N_TOP_TOKENS]
        top = " ".join(visible(token.text) for token in tokens)
        sure = score_percent(labels[feature]) if labels else ""
        write_line(f"{feature:>6}  {what:<28}  {sure:>4}  {named(feature) or top}")
    if not n:
        write_line("none")


def _export(options: argparse.Namespace) -> int:
    from tinysae.features.names.label_file import read_labels
    from tinysae.features.names.notes import Notes
    from tinysae.features.names.theme_file import themes_or_none
    from tinysae.library.export import ExportOptions, write_export

    source = named_source(options.sae)
    index = source.open()
    notes = Notes(index.info.sae_fingerprint, index.info.d_sae)
    features = [*options.features]
    if options.bookmarked:
        features += notes.bookmarked()
    how = ExportOptions(
        source.name,
        options.language,
        read_labels(source.index_dir),
        notes.all(),
        source.text_read(index.info),
        themes_or_none(source.index_dir),
    )
    with asked_file(options.out):
        write_export(options.out, index, features, how)
    write_line(str(options.out))
    return 0


def _explain(options: argparse.Namespace) -> int:
    from tinysae.features.names.explain import Endpoint, explain_features

    endpoint = Endpoint(options.url, options.model)
    _check_own(options.sae)
    folder = named_sae(options.sae).features_dir
    new = explain_features(folder, endpoint, options.features)
    for feature, label in zip(options.features, new, strict=True):
        write_line(f"{feature}  {label.text}")
    return 0
