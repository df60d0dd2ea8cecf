"""`python -m tinysae compare`, and the table of `runs`: the experiments page without
Streamlit."""

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING

from tinysae.cli.arguments import HELP, Commands
from tinysae.cli.output import say, write, write_line
from tinysae.errors import InputError

if TYPE_CHECKING:
    from tinysae.features.matching import Matching
    from tinysae.library.feature_source import FeatureSource

# Pairs that are printed.
N_PRINTED = 10
DEFAULT_COLUMNS = ("name", "state", "architecture", "d_sae", "ce_loss_score", "l0")


def add_commands(commands: Commands) -> None:
    """Adds `compare` to the parser's commands."""
    compare = commands.add_parser(
        "compare", help="which features two SAEs of one model both found"
    )
    compare.add_argument("sae", help=HELP)
    compare.add_argument("other", help="another one, of the same model")
    compare.set_defaults(command=_compare)


def _compare(options: argparse.Namespace) -> int:
    from tinysae.features.matching import BOTH, match
    from tinysae.library.named_sae import named_source

    sources = named_source(options.sae), named_source(options.other)
    saes = [source.load_sae() for source in sources]
    if saes[0].d_in != saes[1].d_in or sources[0].model != sources[1].model:
        raise InputError("compare_two_models", one=options.sae, other=options.other)
    if saes[0].hook_name != saes[1].hook_name:
        say(f"read at two places: {saes[0].hook_name}, {saes[1].hook_name}")
    matching = match(saes[0].W_dec.numpy(), saes[1].W_dec.numpy())
    _print_figures([source.id for source in sources])
    for source, side in zip(sources, matching.sides, strict=True):
        counts = ", ".join(f"{fate} {n:,}" for fate, n in side.counts().items())
        write_line(f"{source.name}: {counts}")
    write_line(
        f"found by both (cosine {BOTH:g}): {matching.n_both:,}, "
        f"{matching.agreement:.1%} of the smaller SAE; "
        f"mean of the largest cosines {matching.mean_max_cosine:.3f}"
    )
    _print_pairs(sources, matching)
    return 0


def _print_figures(ids: list[str]) -> None:
    """The held-out figures that either has, side by side."""
    from tinysae.library.all_compared import all_compared
    from tinysae.runs.compare import FIGURES, value_text

    entries = {entry.id: entry for entry in all_compared()}
    pair = [entries.get(each) for each in ids]
    for name in FIGURES:
        values = [entry and entry.figures.get(name) for entry in pair]
        if values != [None, None]:
            one, other = (value_text(value) or "-" for value in values)
            write_line(f"{name:<20}  {one:>12}  {other:>12}")


def _print_pairs(
    sources: "tuple[FeatureSource, FeatureSource]", matching: "Matching"
) -> None:
    """The nearest pairs, by their names."""
    named = [_namer(source) for source in sources]
    side = matching.sides[0]
    for n in side.of_fate("both")[:N_PRINTED].tolist():
        other = int(side.nearest[n])
        names = f"{named[0](n)} | {named[1](other)}"
        write_line(f"{n:>6}  {other:>6}  {side.cosine[n]:.3f}  {names}")


def _namer(source: "FeatureSource") -> Callable[[int], str]:
    """A feature's number -> what it is called."""
    from tinysae.features.names.label_file import labels_or_none
    from tinysae.features.names.labels import namer

    return namer(labels_or_none(source.index_dir), "en")


def print_table(asked: str | None, *, as_csv: bool) -> int:
    """All SAEs as a table of the columns that were asked for (`runs.compare.columns`),
    the newest first.

    Raises:
        InputError: there is no such column.
    """
    from tinysae.library.all_compared import all_compared, with_named
    from tinysae.render.csv_text import csv_text
    from tinysae.runs.compare import NAMED, columns, value_text

    names = _columns(asked, columns())
    entries = map(with_named, all_compared()) if NAMED in names else all_compared()
    rows = [[entry.id, *map(entry.value, names)] for entry in entries]
    head = ["id", *names]
    if as_csv:
        write(csv_text(head, rows))
        return 0
    texts = [head, *([value_text(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    for row in texts:
        cells = (f"{cell:<{wide}}" for cell, wide in zip(row, widths, strict=True))
        write_line("  ".join(cells).rstrip())
    return 0


def _columns(asked: str | None, known: list[str]) -> list[str]:
    if asked is None:
        return list(DEFAULT_COLUMNS)
    names = [name.strip() for name in asked.split(",") if name.strip()]
    for name in names:
        if name not in known:
            raise InputError("no_column", name=name[:80], known=", ".join(known))
    return names
