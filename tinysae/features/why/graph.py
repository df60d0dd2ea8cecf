r"""An answer as a graph over all layers: what each thing that the model computes takes
directly from the things before it.

Nodes are the tokens' embeddings, heads and MLPs at each position, the active features
and the error of every SAE at hand, and the answer. An edge is linear attribution

    weight(source -> target) = source . d target / d source

with every other node between them held (the gradient stops at each node), norms' scales
and attention's patterns frozen as they are (Ameisen et al. 2025, "Circuit tracing";
`safety-research/circuit-tracer`). Features and the answer are then linear in what they
read, so that what comes in, with biases, is their value. What is left out:

- a pattern's own reasons: why a head looks where it looks;
- an MLP bends: its edges are by the slope where it is. Of a head or an MLP, which write
  many numbers, the value is what they write along the answer's total slope;
- biases, the SAEs' own included, are no nodes.

Heads and MLPs that are nodes here are not in circuit-tracer, whose transcoders take the
MLPs' place: its scores are computed by its definitions all the same.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from tinysae.features.fit import check_same_model
from tinysae.features.why.graph_scores import influence
from tinysae.features.why.intervene import LEADING_COST
from tinysae.model.circuit import (
    changing,
    d_head,
    frozen_norms,
    frozen_patterns,
    head_place,
    n_heads,
)
from tinysae.model.cores import cores_for
from tinysae.model.forward import only_last
from tinysae.model.hooks import hooked

if TYPE_CHECKING:
    from torch import Tensor

    from tinysae.model.circuit import Change
    from tinysae.model.sources import LoadedModel
    from tinysae.sae.load import SAE

NodeKind = Literal["token", "head", "mlp", "feature", "error", "answer"]
# Nodes whose own sources are looked for: each costs a pass backwards.
MAX_TRACED, AT_ONCE = 96, 16


class Node(NamedTuple):
    """Something that the model computes.

    Attributes:
        kind: "error" is what an SAE misses.
        position: the token at which it is, BOS being 0.
        layer: of a head, an MLP, an SAE's hook.
        number: of a head or a feature; a token's id.
        hook_name: of a feature's or an error's SAE.
        activation: of a feature.
    """

    kind: NodeKind
    position: int
    layer: int | None = None
    number: int | None = None
    hook_name: str | None = None
    activation: float | None = None


@dataclass(frozen=True, eq=False)
class Graph:
    """Of a logit, or the difference of two.

    Attributes:
        ids: the text, without BOS.
        target: the token whose logit it is; other: the one subtracted, if any.
        prob: of `target` as the next token.
        nodes: tokens first, the answer last.
        edges: weights [n_nodes, n_nodes], from the column's node to the row's.
    """

    ids: tuple[int, ...]
    target: int
    other: int | None
    prob: float
    nodes: tuple[Node, ...]
    edges: "Tensor"


def graph_of(
    model: "LoadedModel",
    ids: Sequence[int],
    target: int,
    other: int | None,
    saes: "Sequence[SAE]" = (),
) -> Graph:
    """The graph of the logit of `target` after `ids` (minus that of `other`).

    Args:
        saes: of this model, at different hooks; none is heads and MLPs.

    Raises:
        InputError: as `attribute`; an SAE of another model.
    """
    import torch

    tokens = model.to_input(ids)
    model.check_ids([target] if other is None else [target, other])
    for sae in saes:
        check_same_model(sae, model)
    # In the order in which the model comes to them, which `changing` relies on.
    every_hook = list(model.hooks)
    in_order = sorted(saes, key=lambda sae: every_hook.index(sae.hook_name))
    at_hook = {sae.hook_name: sae for sae in in_order}
    pass_cost = 3 * model.n_parameters * tokens.numel()
    n_traced = min(MAX_TRACED, int(LEADING_COST / pass_cost))
    plain: Any = model.plain
    with (
        model.lock,
        cores_for(pass_cost),
        torch.enable_grad(),
        frozen_norms(plain),
        frozen_patterns(model),
    ):
        total = _Run(model, tokens, at_hook, target, other, cuts=False)
        run = _Run(model, tokens, at_hook, target, other, cuts=True)
        nodes = run.nodes()
        goals = dict(zip(total.leaves, total.slopes(total.answer), strict=True))
        answer = len(nodes) - 1
        rows = {answer: run.row(run.answer)}
        while len(rows) - 1 < n_traced:
            weight = influence(rows, answer)
            order = weight.argsort(descending=True).tolist()
            new = [
                at
                for at in order
                if weight[at] > 0 and at not in rows and _is_traced(nodes[at])
            ][: min(AT_ONCE, n_traced + 1 - len(rows))]
            if not new:
                break
            for at in new:
                rows[at] = run.row(run.value(nodes[at], goals))
    kept = [at for at, node in enumerate(nodes) if at in rows or not _is_traced(node)]
    edges = torch.zeros(len(kept), len(kept))
    for row, at in enumerate(kept):
        if at in rows:
            edges[row] = rows[at][kept]
    prob = float(run.logits.detach().softmax(-1)[target])
    every = tuple(nodes[at] for at in kept)
    return Graph(tuple(map(int, ids)), target, other, prob, every, edges)


def _is_traced(node: Node) -> bool:
    """Tokens come from nowhere, and what an SAE misses is not explained."""
    return node.kind not in ("token", "error")


# Where a node's numbers are: what it is, and its layer or hook.
_Key = tuple[str, Any]


class _Run:
    """A forward in which all nodes are kept; with `cuts`, nothing goes through one."""

    def __init__(
        self,
        model: "LoadedModel",
        tokens: "Tensor",
        saes: "dict[str, SAE]",
        target: int,
        other: int | None,
        *,
        cuts: bool,
    ) -> None:
        self.tokens, self.saes, self.n_heads = tokens[0].tolist(), saes, n_heads(model)
        self.width, self.cuts = d_head(model), cuts
        # What comes in at each place, and what goes on from it.
        self.before: dict[_Key, Tensor] = {}
        self.leaves: dict[_Key, Tensor] = {}
        with ExitStack() as stack:
            for around in self._places(model):
                stack.enter_context(around)
            output = model.plain(tokens, use_cache=False, **only_last(model))
        self.logits = output.logits[0, -1].float()
        answer = self.logits[target]
        self.answer = answer if other is None else answer - self.logits[other]
        self.acts = {
            hook: sae.encode(self.before["sae", hook].float().cpu())
            for hook, sae in saes.items()
        }

    def _places(self, model: "LoadedModel") -> "Iterator[Any]":
        first = model.hooks["blocks.0.hook_resid_pre"]
        yield hooked(model.plain, first, self._keep(("token", None)))
        for layer in range(model.n_layers):
            place = head_place(model, layer)
            yield hooked(model.plain, place, self._keep(("head", layer)))
            hook = f"blocks.{layer}.hook_mlp_out"
            if hook in model.hooks and hook not in self.saes:
                place = model.hooks[hook]
                yield hooked(model.plain, place, self._keep(("mlp", layer)))
        for hook in self.saes:
            yield changing(model, hook, self._keep(("sae", hook)))

    def _keep(self, key: _Key) -> "Change":
        def change(x: "Tensor") -> "Tensor":
            self.before[key] = x[0]
            is_start = self.cuts or not x.requires_grad
            kept = x.detach().requires_grad_() if is_start else x
            self.leaves[key] = kept
            return kept

        return change

    def nodes(self) -> list[Node]:
        """Every node, in the order of `row`."""
        found: list[Node] = []
        positions = range(len(self.tokens))
        for (kind, where), leaf in self.leaves.items():
            if kind == "token":
                found += [Node("token", p, None, self.tokens[p]) for p in positions]
            elif kind == "head":
                heads = range(leaf.shape[-1] // self.width)
                found += [Node("head", p, where, h) for p in positions for h in heads]
            elif kind == "mlp":
                found += [Node("mlp", p, where) for p in positions]
            else:
                layer = int(where.split(".")[1])
                acts = self.acts[where].detach()
                found += [
                    Node("feature", p, layer, f, where, float(acts[p, f]))
                    for p, f in acts.nonzero().tolist()
                ]
                found += [Node("error", p, layer, None, where) for p in positions]
        return [*found, Node("answer", len(self.tokens) - 1)]

    def slopes(self, end: "Tensor") -> "list[Tensor]":
        """Of `end` by what goes on from each place, [pos, d]; zeros where nothing of
        it comes to `end`."""
        import torch

        leaves = list(self.leaves.values())
        grads = torch.autograd.grad(end, leaves, retain_graph=True, allow_unused=True)
        return [
            torch.zeros_like(leaf[0]) if grad is None else grad[0]
            for leaf, grad in zip(leaves, grads, strict=True)
        ]

    def row(self, end: "Tensor") -> "Tensor":
        """What `end` takes directly from every node, [n_nodes]."""
        import torch

        parts: list[Tensor] = []
        keys = list(self.leaves)
        for key, slope in zip(keys, self.slopes(end), strict=True):
            by = slope.float().cpu()
            x = self.leaves[key].detach()[0].float().cpu()
            if key[0] == "sae":
                parts += self._of_sae(key[1], x, by)
            elif key[0] == "head":
                apart = (x * by).view(len(x), -1, self.width)
                parts.append(apart.sum(-1).flatten())
            else:
                parts.append((x * by).sum(-1))
        return torch.cat([*parts, torch.zeros(1)])

    def _of_sae(self, hook: str, x: "Tensor", by: "Tensor") -> "list[Tensor]":
        import torch

        sae, acts = self.saes[hook], self.acts[hook].detach()
        rows = sae.W_dec
        if sae.rescale_acts_by_decoder_norm:
            rows = rows / rows.norm(dim=-1, keepdim=True)
        with torch.no_grad():
            position, feature = acts.nonzero(as_tuple=True)
            along = (rows[feature] * by[position]).sum(-1)
            missed = x - sae.decode(acts)
        return [acts[position, feature] * along, (missed * by).sum(-1)]

    def value(self, node: Node, goals: "dict[_Key, Tensor]") -> "Tensor":
        """What `node` is, as one number with its gradient.

        Args:
            goals: the answer's total slope at each place, along which heads and MLPs
                are measured.
        """
        if node.kind == "answer":
            return self.answer
        if node.kind == "feature":
            return self.acts[node.hook_name or ""][node.position, node.number]
        key: _Key = (node.kind, node.layer)
        x, goal = self.before[key][node.position], goals[key][node.position]
        if node.kind == "head":
            at = slice(
                (node.number or 0) * self.width, (1 + (node.number or 0)) * self.width
            )
            x, goal = x[at], goal[at]
        return (x * goal).sum()
