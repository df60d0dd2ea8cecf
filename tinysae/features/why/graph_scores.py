"""How much the nodes of a graph matter, what may be pruned, and what the SAEs explain.

By circuit-tracer's definitions (Ameisen et al. 2025). Each node's incoming edges are
divided by the sum of their sizes; a node's influence is what reaches the answer along
all paths, multiplied along each and added up.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor

    from tinysae.features.why.graph import Graph

# Shares of all influence that the nodes and the edges that are kept have together.
NODE_SHARE, EDGE_SHARE = 0.8, 0.98
_SMALLEST = 1e-10


class Scores(NamedTuple):
    """Both 0 to 1.

    Attributes:
        replacement: of the influence that begins at a token or an error, the tokens'
            share: paths from the text to the answer through features, heads and MLPs.
        completeness: the share of what comes in that is no error, mean over the nodes
            by their influence.
    """

    replacement: float
    completeness: float


class Pruned(NamedTuple):
    """What is left: places of nodes, pairs (target, source) of places, and each node's
    cumulative share of influence, 1 being the last."""

    nodes: list[int]
    edges: list[tuple[int, int]]
    share: list[float]


def influence(rows: "Mapping[int, Tensor]", answer: int) -> "Tensor":
    """Of every node on the answer, [n_nodes].

    Args:
        rows: place -> what comes in there, [n_nodes]; nothing for the others.
        answer: its place.
    """
    import torch

    at = sorted(rows)
    shares = torch.stack([rows[place].abs() for place in at])
    shares = shares / shares.sum(1, keepdim=True).clamp(min=_SMALLEST)
    reached = torch.zeros(shares.shape[1])
    reached[answer] = 1.0
    total = torch.zeros_like(reached)
    # The graph has no circles: the longest path has no more steps than it has rows.
    for _ in at:
        reached = reached[at] @ shares
        if not reached.any():
            break
        total += reached
    return total


def scores_of(graph: "Graph") -> Scores:
    import torch

    answer = len(graph.nodes) - 1
    weight = influence(_rows(graph.edges), answer)
    is_error = torch.tensor([node.kind == "error" for node in graph.nodes])
    is_token = torch.tensor([node.kind == "token" for node in graph.nodes])
    from_token, from_error = weight[is_token].sum(), weight[is_error].sum()
    sizes = graph.edges.abs()
    shares = sizes / sizes.sum(1, keepdim=True).clamp(min=_SMALLEST)
    explained = 1 - shares[:, is_error].sum(1)
    weight[answer] += 1
    return Scores(
        float(from_token / (from_token + from_error).clamp(min=_SMALLEST)),
        float((explained * weight).sum() / weight.sum()),
    )


def pruned(
    graph: "Graph", node_share: float = NODE_SHARE, edge_share: float = EDGE_SHARE
) -> Pruned:
    """Without nodes and edges that hardly matter; tokens and the answer stay."""
    import torch

    n, answer = len(graph.nodes), len(graph.nodes) - 1
    weight = influence(_rows(graph.edges), answer)
    stays = torch.tensor([node.kind in ("token", "answer") for node in graph.nodes])
    keep = (weight >= _least(weight, node_share)) | stays
    edges = graph.edges.clone()
    edges[~keep] = 0
    edges[:, ~keep] = 0
    inner = influence(_rows(edges), answer)
    inner[answer] += 1
    sizes = edges.abs()
    shares = sizes / sizes.sum(1, keepdim=True).clamp(min=_SMALLEST)
    score = shares * inner[:, None]
    is_edge = (score >= _least(score.flatten(), edge_share)) & (score > 0)
    # What leads nowhere or, but for errors, comes from nowhere goes, until all is said.
    needs = torch.tensor([node.kind not in ("token", "error") for node in graph.nodes])
    for _ in range(n):
        alive = keep & (stays | (is_edge.any(0) & (is_edge.any(1) | ~needs)))
        if bool((alive == keep).all()):
            break
        keep = alive
        is_edge[~keep] = False
        is_edge[:, ~keep] = False
    order = weight.argsort(descending=True)
    share = torch.zeros(n)
    share[order] = weight[order].cumsum(0) / weight.sum().clamp(min=_SMALLEST)
    pairs = [(int(to), int(source)) for to, source in is_edge.nonzero().tolist()]
    return Pruned(keep.nonzero()[:, 0].tolist(), pairs, share.tolist())


def _rows(edges: "Tensor") -> "dict[int, Tensor]":
    return {at: row for at, row in enumerate(edges) if row.any()}


def _least(values: "Tensor", share: float) -> "Tensor":
    """The smallest of the largest that have `share` of the whole."""
    import torch

    largest = values.sort(descending=True).values
    sums = largest.cumsum(0) / largest.sum().clamp(min=_SMALLEST)
    return largest[min(int(torch.searchsorted(sums, share)), len(sums) - 1)]
