"""circuit-tracer's own scores and pruning beside ours, of the same graphs.

    python -m pip install --no-deps --target build/circuit-tracer circuit-tracer==0.5.0
    PYTHONPATH=build/circuit-tracer python benchmarks/circuit_tracer_side.py

The graphs are those that Inside gives away: of the storybook's example and of held-out
stories, with both shipped SAEs. circuit-tracer reads no SAEs of ours and no model whose
MLPs it has no transcoders for, so that its attribution cannot be run beside ours; what
it makes of a graph can: `compute_graph_scores` and `prune_graph` see our nodes in its
order, heads and MLPs among the features. Prints the largest gaps; exits with 1 where a
score differs by more than `MOST`, or a node or an edge is kept by one of them alone.
"""

from __future__ import annotations

import sys
from itertools import islice
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import torch

from tinysae.data.storybook.generator import stories
from tinysae.features.why.graph import Graph, graph_of
from tinysae.features.why.graph_scores import pruned, scores_of
from tinysae.library.shipped import POST_SAE_DIR, STORYBOOK_SAE_DIR
from tinysae.model.sources import STORYBOOK, load_model
from tinysae.model.text.logprobs import next_log_probs
from tinysae.sae.load import load_sae
from tinysae.words import text

if TYPE_CHECKING:
    from tinysae.model.sources import LoadedModel

SEED, N_STORIES, N_TOKENS = 2_000_003, 9, 24
# Of a score, in float32.
MOST = 1e-5


def main() -> int:
    theirs = _circuit_tracer()
    model = load_model(STORYBOOK)
    saes = [load_sae(POST_SAE_DIR), load_sae(STORYBOOK_SAE_DIR)]
    gap, n_nodes, n_edges, n_other = 0.0, 0, 0, 0
    for ids in _prompts(model):
        best, second = next_log_probs(model, ids).topk(2).indices.tolist()
        graph = graph_of(model, ids, best, second, saes)
        as_theirs, order = _in_their_order(graph, len(saes))
        ours, found = scores_of(graph), theirs.compute_graph_scores(as_theirs)
        gap = max(gap, *(abs(a - b) for a, b in zip(ours, found, strict=True)))
        few, kept = pruned(graph), theirs.prune_graph(as_theirs)
        nodes = {order[at] for at in kept.node_mask.nonzero()[:, 0].tolist()}
        edges = {
            (order[to], order[source])
            for to, source in kept.edge_mask.nonzero().tolist()
            if graph.edges[order[to], order[source]]
        }
        n_nodes, n_edges = n_nodes + len(few.nodes), n_edges + len(few.edges)
        n_other += len(nodes ^ set(few.nodes)) + len(edges ^ set(few.edges))
        print(
            f"{len(graph.nodes):5} nodes: replacement {ours.replacement:.4f}, "
            f"{found[0]:.4f}; completeness {ours.completeness:.4f}, {found[1]:.4f}; "
            f"kept {len(few.nodes)}, {len(nodes)} nodes, {len(few.edges)}, "
            f"{len(edges)} edges"
        )
    print(
        f"largest gap of a score {gap:.1e}; of {n_nodes} nodes and {n_edges} edges "
        f"{n_other} are kept by one of the two alone"
    )
    return int(gap > MOST or n_other > 0)


def _prompts(model: LoadedModel) -> list[tuple[int, ...]]:
    told = islice(stories(SEED, held_out=True), N_STORIES)
    cut = [tuple(model.encode(story.text)[:N_TOKENS]) for story in told]
    return [tuple(model.encode(text("why.prompt_example", "en"))), *cut]


def _in_their_order(graph: Graph, n_hooks: int) -> tuple[Any, list[int]]:
    """`graph` as their functions see one, and the place of each of its nodes in ours:
    features (and heads and MLPs), errors, tokens, the answer."""
    kinds = ("feature", "head", "mlp"), ("error",), ("token",), ("answer",)
    order = [
        at
        for group in kinds
        for at, node in enumerate(graph.nodes)
        if node.kind in group
    ]
    n_errors = sum(node.kind == "error" for node in graph.nodes)
    n_tokens = len(graph.ids) + 1
    assert n_errors == n_hooks * n_tokens
    return (
        SimpleNamespace(
            logit_targets=[graph.target],
            logit_probabilities=torch.ones(1),
            input_tokens=torch.zeros(n_tokens),
            selected_features=torch.zeros(len(order) - n_errors - n_tokens - 1),
            # As many rows of errors as there are SAEs.
            cfg=SimpleNamespace(n_layers=n_hooks),
            adjacency_matrix=graph.edges[order][:, order],
        ),
        order,
    )


def _circuit_tracer() -> Any:
    """Its `graph` module alone: the package itself imports what no graph needs."""
    from importlib import import_module
    from importlib.util import find_spec

    spec = find_spec("circuit_tracer")
    if spec is None:
        raise SystemExit(__doc__)
    package = ModuleType("circuit_tracer")
    package.__path__ = list(spec.submodule_search_locations or [])
    package.__spec__ = spec
    sys.modules["circuit_tracer"] = package
    return import_module("circuit_tracer.graph")


if __name__ == "__main__":
    sys.exit(main())
