"""`python -m tinysae inside`: what the page Inside draws, as lines and as a graph."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from tinysae.cli.arguments import Commands, add_sae_option
from tinysae.cli.asked import asked, loaded
from tinysae.cli.output import asked_file, shown_token, write_line
from tinysae.library.shipped import STORYBOOK_POST
from tinysae.render.visible import visible

if TYPE_CHECKING:
    from collections.abc import Callable

    from tinysae.features.why.graph import Node
    from tinysae.features.why.picture import Picture
    from tinysae.library.feature_source import FeatureSource
    from tinysae.model.sources import LoadedModel
    from tinysae.sae.load import SAE

N_PATHS = 5


def add_commands(commands: Commands) -> None:
    """Adds `inside` to the parser's commands."""
    inside = commands.add_parser(
        "inside", help="the strongest paths from words to the next word, measured"
    )
    inside.add_argument("prompt")
    inside.add_argument("target", nargs="?", help="a token (the likeliest)")
    inside.add_argument("--other", help="a token that it is compared with (the second)")
    inside.add_argument(
        "--top", type=int, default=N_PATHS, metavar="N", help=f"{N_PATHS}"
    )
    inside.add_argument(
        "--out", type=Path, help="the graph, in circuit-tracer's JSON format"
    )
    add_sae_option(inside, STORYBOOK_POST)
    inside.set_defaults(command=_inside)


def _inside(options: argparse.Namespace) -> int:
    from tinysae.features.why.cuts import lost, without
    from tinysae.features.why.picture import Cut, picture_of

    source, sae, model = loaded(options)
    question = asked(model, options.prompt)
    likely = question.log_probs.topk(2).indices.tolist()
    target = question.token(options.target)
    target = likely[0] if target is None else target
    other = question.token(options.other)
    if other is None:
        other = next(each for each in likely if each != target)
    drawn = picture_of(model, question.ids, target, other, sae)
    found = drawn.attribution
    write_line(
        f"“{shown_token(model, target)}”  {found.prob:.2%}, its logit over that "
        f"of “{shown_token(model, other)}” {found.logit:.3f}"
    )
    n = min(max(1, options.top), len(drawn.arcs))
    cuts = [Cut(arcs=(place,)) for place in range(n)]
    named = _names(source)
    write_line(f"\n{'foretold':>9}{'measured':>10}  path")
    for place, by in enumerate(lost(drawn, without(model, drawn, cuts, sae))):
        path = _path(model, drawn, place, named)
        write_line(f"{drawn.arcs[place].effect:9.3f}{by:10.3f}  {path}")
    if options.out:
        _write_graph(options.out, model, found.ids, target, other, sae, named)
    return 0


def _path(
    model: "LoadedModel", drawn: "Picture", place: int, named: "Callable[[int], str]"
) -> str:
    """From a word by a head, and through the feature that takes most of it on."""
    words = ["start", *map(visible, model.token_texts(drawn.attribution.ids))]
    arc = drawn.arcs[place]
    said = f"“{words[arc.source]}” ({arc.source}) → head {arc.layer}.{arc.head}"
    through = [thread for thread in drawn.threads if thread.arc == place]
    if not through:
        return said
    sign = 1 if arc.effect >= 0 else -1
    lamp = drawn.lamps[max(through, key=lambda thread: sign * thread.effect).lamp]
    number = lamp.number or 0
    name = named(number)
    return f"{said} → feature {number}{f' ({name})' if name else ''}"


def _names(source: "FeatureSource") -> "Callable[[int], str]":
    from tinysae.features.names.label_file import labels_or_none
    from tinysae.features.names.labels import namer

    # What a feature adds is known without its name.
    return namer(labels_or_none(source.index_dir), "en")


def _write_graph(
    path: Path,
    model: "LoadedModel",
    ids: tuple[int, ...],
    target: int,
    other: int,
    sae: "SAE",
    named: "Callable[[int], str]",
) -> None:
    from tinysae.features.why.graph import graph_of
    from tinysae.features.why.graph_json import graph_json
    from tinysae.features.why.graph_scores import scores_of
    from tinysae.jobs.files import write_text

    graph = graph_of(model, ids, target, other, [sae])

    def name(node: "Node") -> str:
        return named(node.number or 0)

    made = graph_json(model, graph, name, path.stem)
    with asked_file(path):
        write_text(path, json.dumps(made, ensure_ascii=False, indent=1) + "\n")
    scores = scores_of(graph)
    write_line(
        f"\n{path}: {len(made['nodes'])} nodes, {len(made['links'])} links; "
        f"replacement {scores.replacement:.3f}, completeness {scores.completeness:.3f}"
    )
