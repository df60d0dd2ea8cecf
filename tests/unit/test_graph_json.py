"""The graph's file, held against what circuit-tracer and Neuronpedia ask for.

`FIELDS` are those of circuit-tracer's `frontend/graph_models.py` (Metadata, QParams,
Node, Link), and which of them Neuronpedia's `graph-schema.json` requires.
"""

import json
from typing import Any

import pytest

from tinysae.features.why.graph import graph_of
from tinysae.features.why.graph_json import HEADS, graph_json
from tinysae.library.shipped import POST_SAE_DIR, STORYBOOK_SAE_DIR
from tinysae.model.sources import STORYBOOK, load_model
from tinysae.model.text.logprobs import next_log_probs
from tinysae.sae.load import load_sae
from tinysae.words import text

NUMBER = (int, float)
FIELDS: dict[str, dict[str, tuple[type, ...]]] = {
    "metadata": {
        "slug": (str,),
        "scan": (str,),
        "transcoder_list": (list,),
        "prompt_tokens": (list,),
        "prompt": (str,),
        "node_threshold": NUMBER,
        "schema_version": (int,),
        "info": (dict,),
    },
    "qParams": {
        "pinnedIds": (list,),
        "supernodes": (list,),
        "linkType": (str,),
        "clickedId": (str,),
        "sg_pos": (str,),
    },
    "nodes": {
        "node_id": (str,),
        "feature": (int,),
        "layer": (str,),
        "ctx_idx": (int,),
        "feature_type": (str,),
        "token_prob": NUMBER,
        "is_target_logit": (bool,),
        "run_idx": (int,),
        "reverse_ctx_idx": (int,),
        "jsNodeId": (str,),
        "clerp": (str,),
        "influence": (*NUMBER, type(None)),
        "activation": (*NUMBER, type(None)),
    },
    "links": {"source": (str,), "target": (str,), "weight": NUMBER},
}


@pytest.fixture(scope="module")
def written() -> dict[str, Any]:
    model = load_model(STORYBOOK)
    ids = model.encode(text("why.prompt_example", "en"))
    best, second = next_log_probs(model, ids).topk(2).indices.tolist()
    saes = [load_sae(POST_SAE_DIR), load_sae(STORYBOOK_SAE_DIR)]
    graph = graph_of(model, ids, best, second, saes)
    made = graph_json(model, graph, lambda node: f"feature {node.number}")
    return json.loads(json.dumps(made, allow_nan=False))


def test_it_has_the_fields_of_circuit_tracer_and_no_other(
    written: dict[str, Any],
) -> None:
    assert set(written) == set(FIELDS)
    for name, fields in FIELDS.items():
        entries = written[name] if isinstance(written[name], list) else [written[name]]
        assert entries
        for entry in entries:
            assert set(entry) == set(fields)
            for field, kinds in fields.items():
                assert type(entry[field]) in kinds, (name, field, entry[field])


def test_ids_are_unique_and_read_as_the_front_end_reads_them(
    written: dict[str, Any],
) -> None:
    nodes = written["nodes"]
    assert len({node["node_id"] for node in nodes}) == len(nodes)
    shown = [node["jsNodeId"] for node in nodes if node["feature_type"] != "embedding"]
    features = {
        (node["layer"], node["feature"])
        for node in nodes
        if node["feature_type"] == "cross layer transcoder"
    }
    others = [n for n in nodes if n["feature_type"] == "mlp reconstruction error"]
    assert len(set(shown)) >= len(features) + len(others)
    for node in nodes:
        layer, number, position = node["node_id"].split("_")
        assert (layer, int(position)) == (node["layer"], node["ctx_idx"])
        if node["feature_type"] in ("cross layer transcoder", "attention head"):
            # The pairing taken apart.
            pair = node["feature"]
            both = int(((8 * pair + 1) ** 0.5 - 1) // 2)
            assert pair - both * (both + 1) // 2 == int(number) or int(number) >= HEADS


def test_links_join_its_nodes_up_to_the_answer(written: dict[str, Any]) -> None:
    by_id = {node["node_id"]: node for node in written["nodes"]}
    for link in written["links"]:
        source, target = by_id[link["source"]], by_id[link["target"]]
        assert source["ctx_idx"] <= target["ctx_idx"]
        assert target["feature_type"] not in ("embedding", "mlp reconstruction error")
    (answer,) = (node for node in written["nodes"] if node["is_target_logit"])
    assert answer["feature_type"] == "logit"
    assert "Lily" in answer["clerp"]
    assert any(link["target"] == answer["node_id"] for link in written["links"])
    assert written["metadata"]["prompt_tokens"][answer["ctx_idx"]] == " said"
