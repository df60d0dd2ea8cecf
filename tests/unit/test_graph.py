"""The graph over layers: what comes in is what there is, by circuit-tracer's rules."""

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch

from tests.builders import write_sae
from tests.unit.tokenizer_families import FAMILIES, build_family
from tinysae.features.why.attribution import attribute
from tinysae.features.why.gradients import watched
from tinysae.features.why.graph import Graph, Node, graph_of
from tinysae.features.why.graph_scores import influence, pruned, scores_of
from tinysae.library.shipped import POST_SAE_DIR, STORYBOOK_SAE_DIR
from tinysae.model.circuit import frozen_norms, frozen_patterns
from tinysae.model.sources import STORYBOOK, load_model
from tinysae.model.text.logprobs import next_log_probs
from tinysae.sae.load import load_sae
from tinysae.words import text

if TYPE_CHECKING:
    from tinysae.model.sources import LoadedModel

HOOKS = ("blocks.0.hook_resid_post", "blocks.1.hook_mlp_out")
# Of a logit, in float32.
ROUNDING = 1e-3


def of_family(name: str, folder: Path) -> tuple["LoadedModel", list, Graph]:
    model = load_model(str(build_family(name, folder)))
    saes = []
    for number, hook in enumerate(HOOKS):
        metadata = {"hook_name": hook, "model_name": model.source}
        own = write_sae(folder / f"sae{number}", metadata=metadata, seed=number)
        saes.append(load_sae(own))
    ids = model.encode("Once upon a time")
    return model, saes, graph_of(model, ids, 7, 9, saes)


@pytest.fixture(scope="module")
def storybook() -> tuple["LoadedModel", Graph]:
    model = load_model(STORYBOOK)
    ids = model.encode(text("why.prompt_example", "en"))
    best, second = next_log_probs(model, ids).topk(2).indices.tolist()
    saes = [load_sae(POST_SAE_DIR), load_sae(STORYBOOK_SAE_DIR)]
    return model, graph_of(model, ids, best, second, saes)


def test_the_answer_takes_directly_what_the_sum_of_parts_says(
    storybook: tuple["LoadedModel", Graph],
) -> None:
    model, graph = storybook
    sae = load_sae(POST_SAE_DIR)
    found = attribute(model, graph.ids, graph.target, graph.other, sae=sae)
    wanted = {
        part.number: part.direct for part in found.features if part.kind == "feature"
    }
    for node, weight in zip(graph.nodes, graph.edges[-1].tolist(), strict=True):
        if node.kind == "feature" and node.hook_name == sae.hook_name:
            if node.position == len(graph.ids):
                assert weight == pytest.approx(wanted[node.number], abs=ROUNDING)
        elif node.kind != "error":
            # The SAE of the block's output stands between.
            assert weight == 0


def test_features_of_several_saes_and_what_they_miss_are_nodes(
    storybook: tuple["LoadedModel", Graph],
) -> None:
    _, graph = storybook
    hooks = {node.hook_name for node in graph.nodes if node.kind == "feature"}
    assert hooks == {"blocks.0.hook_resid_post", "blocks.0.hook_resid_mid"}
    kinds = [node.kind for node in graph.nodes]
    assert kinds.count("token") == len(graph.ids) + 1
    assert kinds.count("error") == 2 * (len(graph.ids) + 1)
    assert kinds[-1] == "answer"


@pytest.mark.parametrize("name", FAMILIES)
def test_edges_go_only_forwards_and_end_in_tokens_and_errors(
    name: str, tmp_path: Path
) -> None:
    _, _, graph = of_family(name, tmp_path)
    assert graph.edges.any()
    for to, node in enumerate(graph.nodes):
        for source in graph.edges[to].nonzero()[:, 0].tolist():
            assert graph.nodes[source].position <= node.position
        if node.kind in ("token", "error"):
            assert not graph.edges[to].any()
    reached = torch.eye(len(graph.nodes))
    for _ in graph.nodes:
        reached = (reached @ (graph.edges != 0).float()).clamp(max=1)
    assert not reached.any()


@pytest.mark.parametrize("name", FAMILIES)
def test_patterns_are_held_so_that_a_head_is_the_sum_of_what_it_takes(
    name: str, tmp_path: Path
) -> None:
    """Without biases, the first layer's heads are linear in the embeddings."""
    model = load_model(str(build_family(name, tmp_path)))
    with torch.no_grad():
        for parameter, values in model.plain.named_parameters():
            if parameter.endswith("bias"):
                values.zero_()
    tokens = model.to_input(model.encode("a girl"))
    with model.lock, torch.enable_grad(), frozen_norms(model.plain):
        for around, is_linear in (
            (frozen_patterns(model), True),
            (nullcontext(), False),
        ):
            with around:
                seen = watched(model, tokens, None)
            head = seen.heads[0][0, -1].sum()
            (slope,) = torch.autograd.grad(head, seen.pre[0])
            taken = float((slope * seen.pre[0]).detach().sum())
            assert (taken == pytest.approx(head.item(), rel=1e-3)) == is_linear


@pytest.mark.parametrize("name", FAMILIES)
def test_without_an_sae_it_is_heads_and_mlps(name: str, tmp_path: Path) -> None:
    model = load_model(str(build_family(name, tmp_path)))
    graph = graph_of(model, model.encode("Once upon"), 7, 9)
    assert {node.kind for node in graph.nodes} == {"token", "head", "mlp", "answer"}
    scores = scores_of(graph)
    assert scores == (pytest.approx(1.0), pytest.approx(1.0))


def test_influence_is_the_sum_over_paths() -> None:
    """answer <- a (3), b (1); a <- token (2), error (2); b <- token (5)."""
    rows = {
        4: torch.tensor([0.0, 0, 3, -1, 0]),
        2: torch.tensor([2.0, -2, 0, 0, 0]),
        3: torch.tensor([5.0, 0, 0, 0, 0]),
    }
    found = influence(rows, 4).tolist()
    assert found == pytest.approx([0.375 + 0.25, 0.375, 0.75, 0.25, 0.0])


def test_scores_are_circuit_tracers() -> None:
    nodes = (
        *(Node("token", 0), Node("error", 0, 0, None, HOOKS[0])),
        *(Node("feature", 0, 0, 1, HOOKS[0], 1.0), Node("feature", 0, 0, 2, HOOKS[0])),
        Node("answer", 0),
    )
    edges = torch.zeros(5, 5)
    edges[4, 2], edges[4, 3] = 3.0, -1.0
    edges[2, 0], edges[2, 1] = 2.0, -2.0
    edges[3, 0] = 5.0
    scores = scores_of(Graph((1,), 1, None, 0.5, nodes, edges))
    assert scores.replacement == pytest.approx(0.625)
    # Answer 1, a 0.75 of which half is explained, b 0.25; token and error have no
    # incoming edges, which counts as explained.
    reached = 1 + 0.75 + 0.25 + 0.625 + 0.375
    assert scores.completeness == pytest.approx((reached - 0.375) / reached)


def test_what_is_pruned_leads_somewhere(storybook: tuple["LoadedModel", Graph]) -> None:
    _, graph = storybook
    few = pruned(graph)
    kept = set(few.nodes)
    assert len(kept) < len(graph.nodes)
    targets = {to for to, _ in few.edges}
    sources = {source for _, source in few.edges}
    for at in kept:
        kind = graph.nodes[at].kind
        if kind not in ("token", "answer"):
            assert at in sources
        if kind in ("feature", "head", "mlp"):
            assert at in targets
    assert {*targets, *sources} <= kept
    assert max(few.share) == pytest.approx(1.0)
