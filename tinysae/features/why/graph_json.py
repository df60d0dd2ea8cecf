"""A graph as circuit-tracer's front end and Neuronpedia read it.

Nodes' fields and ids are those of circuit-tracer's `frontend/graph_models.py`, schema
version 1: `LAYER_FEATURE_POSITION`, "E" for the embeddings' layer, one layer above the
last for the answer. What it does not know is told apart by its number: another SAE of
the same layer (`STRIDE` further for each), heads and MLPs.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tinysae.features.why.graph_scores import NODE_SHARE, Pruned, pruned, scores_of

if TYPE_CHECKING:
    from tinysae.features.why.graph import Graph, Node
    from tinysae.model.sources import LoadedModel

# Between the numbers of things of one layer.
STRIDE = 1_000_000
HEADS, MLPS = 900 * STRIDE, 901 * STRIDE
_TYPES = {
    "token": "embedding",
    "head": "attention head",
    "mlp": "mlp",
    "feature": "cross layer transcoder",
    "error": "mlp reconstruction error",
    "answer": "logit",
}


def graph_json(
    model: "LoadedModel",
    graph: "Graph",
    name: "Callable[[Node], str]" = lambda _: "",
    slug: str = "inside",
) -> dict[str, Any]:
    """What of `graph` is left after pruning, ready for `json.dumps`.

    Args:
        name: of a feature; nothing where it has none.
        slug: the graph's name.
    """
    few = pruned(graph)
    scores = scores_of(graph)
    texts = ["<BOS>", *model.token_texts(graph.ids)]
    every = [_entry(model, graph, few, at, name, texts) for at in few.nodes]
    ids = {at: entry["node_id"] for at, entry in zip(few.nodes, every, strict=True)}
    about = (
        f"Of the logit of {texts_of(model, graph)}, by tinysae: SAE features with "
        f"their errors, heads and MLPs. Replacement score {scores.replacement:.3f}, "
        f"completeness score {scores.completeness:.3f}."
    )
    return {
        "metadata": {
            "slug": slug,
            "scan": model.source,
            "transcoder_list": [],
            "prompt_tokens": texts,
            "prompt": model.decode(graph.ids),
            "node_threshold": NODE_SHARE,
            "schema_version": 1,
            "info": {"description": about, "generator": {"name": "tinysae"}},
        },
        "qParams": {
            "pinnedIds": [],
            "supernodes": [],
            "linkType": "both",
            "clickedId": "",
            "sg_pos": "",
        },
        "nodes": every,
        "links": [
            {
                "source": ids[source],
                "target": ids[to],
                "weight": float(graph.edges[to, source]),
            }
            for to, source in few.edges
        ],
    }


def texts_of(model: "LoadedModel", graph: "Graph") -> str:
    """The answer, and what it is compared with."""
    said = f"“{model.token_text(graph.target)}”"
    if graph.other is not None:
        said += f" minus that of “{model.token_text(graph.other)}”"
    return said


def _entry(
    model: "LoadedModel",
    graph: "Graph",
    few: Pruned,
    at: int,
    name: "Callable[[Node], str]",
    texts: list[str],
) -> dict[str, Any]:
    node = graph.nodes[at]
    layer, number, said = _place(model, graph, node, name, texts)
    is_answer = node.kind == "answer"
    is_numbered = layer.isdecimal() and not is_answer
    feature = number
    if is_numbered and number >= 0:
        # Cantor's pairing, which the front end takes apart again.
        both = int(layer) + number
        feature = both * (both + 1) // 2 + number
    shown = "L" if is_answer else layer
    # Of a feature the number is enough; anything else is told apart by its position.
    last = 0 if node.kind == "feature" else node.position
    return {
        "node_id": f"{layer}_{number}_{node.position}",
        "feature": node.position if node.kind == "token" else feature,
        "layer": layer,
        "ctx_idx": node.position,
        "feature_type": _TYPES[node.kind],
        "token_prob": graph.prob if is_answer else 0.0,
        "is_target_logit": is_answer,
        "run_idx": 0,
        "reverse_ctx_idx": 0,
        "jsNodeId": f"{shown}_{number}-{last}",
        "clerp": said,
        "influence": None if is_answer else few.share[at],
        "activation": node.activation,
    }


def _place(
    model: "LoadedModel",
    graph: "Graph",
    node: "Node",
    name: "Callable[[Node], str]",
    texts: list[str],
) -> tuple[str, int, str]:
    """Its layer, its number there, and what it is called."""
    layer, number = str(node.layer), node.number or 0
    if node.kind == "token":
        return "E", number, f"Emb: “{texts[node.position]}”"
    if node.kind == "answer":
        said = f"Output {texts_of(model, graph)} (p={graph.prob:.3f})"
        return str(model.n_layers + 1), graph.target, said
    if node.kind == "head":
        return layer, HEADS + number, f"Head {layer}.{number}"
    if node.kind == "mlp":
        return layer, MLPS, f"MLP {layer}"
    hooks = sorted(
        {
            other.hook_name
            for other in graph.nodes
            if other.layer == node.layer and other.hook_name
        }
    )
    which = hooks.index(node.hook_name or "")
    if node.kind == "error":
        return layer, -1 - which, f"What the SAE of {node.hook_name} misses"
    return layer, which * STRIDE + number, name(node)
