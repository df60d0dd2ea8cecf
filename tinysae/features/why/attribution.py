r"""Why did it say that? A token's logit, taken apart into what adds up to it.

The last residual stream is a sum: the embeddings, what every head and MLP of every
layer wrote, and at an SAE's hook

    x = sum_f a_f d_f + b_dec + error

Between it and the logit of token t stands the final LayerNorm. With its scale s frozen
at what it is on this text it is linear, so that the logit is a sum as well (Elhage et
al. 2021, "A mathematical framework for transformer circuits"):

    logit_t = sum_parts  part . v_t  +  bias      v_t = d logit_t / d x_last, s frozen

`Part.direct` is such a term: exact, and together they are the logit. What a part does
through the layers that come after it is estimated,

    effect = part . (d logit_t / d x_at_its_place)

which is gradient times activation (Syed et al. 2023, "Attribution patching outperforms
automated circuit discovery"): a first-order estimate, exact where nothing follows.

Whether the gradient sees the norms' scales as frozen or goes through them was chosen by
measurement: of what features do when they are switched off, it foretells in a single
layer more with frozen ones (before the MLP, a correlation of 0.90 rather than 0.83),
and where other layers follow far more with live ones (of a five-layer Llama, 0.99
rather than 0.58; `benchmarks/several_layers.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from tinysae.features.fit import check_same_model
from tinysae.features.why.gradients import Gradients, Seen, gradients_of
from tinysae.model.circuit import d_head, frozen_norms, head_place, n_heads
from tinysae.model.cores import cores_for

if TYPE_CHECKING:
    from torch import Tensor

    from tinysae.model.sources import LoadedModel
    from tinysae.sae.load import SAE

Kind = Literal[
    "token",
    "position",
    "head",
    "attention_bias",
    "mlp",
    "feature",
    "sae_bias",
    "sae_error",
    "final_bias",
]


class Part(NamedTuple):
    """Something that adds to the logit.

    Attributes:
        kind: "token" and "position" are the embeddings; "attention_bias" is what a
            layer's attention adds beside its heads; "final_bias" is the final
            LayerNorm's and the unembedding's.
        direct: what it adds to the logit itself; over all parts the sum is the logit.
        effect: what it adds with all that it does through later layers (estimated).
        layer: of a head, an attention's bias, an MLP.
        number: of a head or a feature.
        position: of a feature: which token of the input, BOS being 0.
        activation: of a feature.
        hook_name: of a feature or an error in a picture: its SAE's.
    """

    kind: Kind
    direct: float
    effect: float
    layer: int | None = None
    number: int | None = None
    position: int | None = None
    activation: float | None = None
    hook_name: str | None = None


@dataclass(frozen=True)
class Attribution:
    """A logit, or the difference of two, at one position of a text.

    Attributes:
        ids: the text up to the position, without BOS.
        target: the token whose logit it is.
        other: the token whose logit was subtracted; None for the logit itself.
        logit: as the model computes it.
        prob: of `target` as the next token.
        components: the logit as what the model's own parts add.
        features: the same with an SAE in place of the components that it reads; none
            without an SAE. Features come first, the largest effect first.
        hook_name: of the SAE.
        is_exact: effects equal direct contributions, because nothing but the final
            LayerNorm comes after the SAE's hook.
    """

    ids: tuple[int, ...]
    target: int
    other: int | None
    logit: float
    prob: float
    components: tuple[Part, ...]
    features: tuple[Part, ...]
    hook_name: str | None
    is_exact: bool

    @property
    def n_tokens(self) -> int:
        """Of the input, BOS included: the position that was asked about is the last."""
        return 1 + len(self.ids)

    def remainder(self, parts: Sequence[Part]) -> float:
        """What `parts` leave of the logit: rounding, unless the model caps its logits
        or adds something that is no part of any layer."""
        return self.logit - sum(part.direct for part in parts)


def attribute(
    model: "LoadedModel",
    ids: Sequence[int],
    target: int,
    other: int | None = None,
    *,
    sae: "SAE | None" = None,
) -> Attribution:
    """Takes the logit of `target` after `ids` apart (minus that of `other`, if given).

    Args:
        model: whose logit.
        ids: the text, without BOS, which is read before it.
        target: the token that comes next, or could.
        other: the token it is compared with.
        sae: of this model, at any hook of it.

    Raises:
        InputError: no such token, a text beyond the context, an SAE of another model,
            or a model that does not show what its layers write.
    """
    import torch

    tokens = model.to_input(ids)
    wanted = [target] if other is None else [target, other]
    model.check_ids(wanted)
    if sae is not None:
        check_same_model(sae, model)
    plain: Any = model.plain
    # Forwards and backwards: thrice the products of a forward.
    cores = cores_for(3 * model.n_parameters * tokens.numel())
    hook_name = sae.hook_name if sae else None
    with model.lock, cores, torch.enable_grad():
        with frozen_norms(plain):
            logit, seen, gradients = gradients_of(model, tokens, wanted, hook_name)
            bias = _final_bias(model, wanted)
        if model.n_layers > 1:
            _, _, live = gradients_of(model, tokens, wanted, hook_name)
            gradients = _mixed(model, gradients, live, hook_name)
        components = _components(model, tokens, seen, gradients)
    components.append(Part("final_bias", bias, bias))
    features: list[Part] = []
    if sae is not None:
        layer, name = _hook_parts(sae.hook_name)
        kept = [part for part in components if not _is_read(part, layer, name)]
        features = _features(sae, seen, gradients) + kept
    return Attribution(
        ids=tuple(int(token) for token in ids),
        target=target,
        other=other,
        logit=float(logit.detach()),
        prob=float(seen.logits.detach().float().softmax(-1)[target]),
        components=tuple(components),
        features=tuple(features),
        hook_name=hook_name,
        is_exact=sae is not None and is_last(model, sae.hook_name),
    )


def _mixed(
    model: "LoadedModel", frozen: Gradients, live: Gradients, hook_name: str | None
) -> Gradients:
    """The slopes of the effects, with live norms wherever another layer follows.

    What adds directly is exact with the final norm's scale as it is.
    """
    follows = hook_name is not None and _hook_parts(hook_name)[0] < model.n_layers - 1
    return live._replace(v=frozen.v, hook=live.hook if follows else frozen.hook)


def is_last(model: "LoadedModel", hook_name: str) -> bool:
    """Whether only the skip and the final LayerNorm come after `hook_name`."""
    layer, name = _hook_parts(hook_name)
    return layer == model.n_layers - 1 and name in ("hook_resid_post", "hook_mlp_out")


def _components(
    model: "LoadedModel", tokens: "Tensor", seen: Seen, grads: Gradients
) -> list[Part]:
    """What the model's own parts add, in the order in which they are added."""
    import torch

    plain: Any = model.plain
    v = grads.v

    def part(kind: Kind, x: "Tensor", grad: "Tensor", layer: int | None = None) -> Part:
        """A part that adds `x` [pos, d_model] where the gradient is `grad`."""
        return Part(kind, float(x[-1] @ v), float((x * grad).sum()), layer)

    token = plain.get_input_embeddings()(tokens)[0].detach()
    pre = seen.pre[0][0].detach()
    parts = [
        part("token", token, grads.pre[0]),
        part("position", pre - token, grads.pre[0]),
    ]
    for layer in range(model.n_layers):
        start, end = seen.pre[layer][0].detach(), seen.post[layer][0].detach()
        attention = seen.attn[layer][0].detach()
        shape = (n_heads(model), d_head(model))
        heads = seen.heads[layer][0].detach()
        # How the output projection carries v back to the heads.
        last = heads[-1].clone().requires_grad_()
        project = plain.get_submodule(head_place(model, layer).module)
        back = torch.autograd.grad(project(last[None])[0] @ v, last)[0]
        direct = (heads[-1] * back).view(shape).sum(-1)
        effect = (heads * grads.heads[layer]).sum(0).view(shape).sum(-1)
        parts += [
            Part("head", d, e, layer, number)
            for number, (d, e) in enumerate(
                zip(direct.tolist(), effect.tolist(), strict=True)
            )
        ]
        whole = part("attention_bias", attention, grads.attn[layer], layer)
        parts.append(
            whole._replace(
                direct=whole.direct - float(direct.sum()),
                effect=whole.effect - float(effect.sum()),
            )
        )
        parts.append(part("mlp", end - start - attention, grads.post[layer], layer))
    return parts


def _final_bias(model: "LoadedModel", wanted: Sequence[int]) -> float:
    """What the final LayerNorm's and the unembedding's biases give: the logit of a
    residual stream of nothing."""
    import torch

    bridge: Any = model.bridge
    norm = bridge.adapter.component_mapping["ln_final"].name
    plain: Any = model.plain
    with torch.no_grad():
        nothing = torch.zeros(1, model.d_model, device=plain.device)
        normed = plain.get_submodule(norm)(nothing)
        logits = plain.get_output_embeddings()(normed)[0].float()
    return float(logits[wanted[0]] - (logits[wanted[1]] if len(wanted) > 1 else 0))


def _features(sae: "SAE", seen: Seen, grads: Gradients) -> list[Part]:
    """The active features, largest effect first, then the SAE's bias and its error.

    Features at tokens before the position are parts only where they reach it.
    """
    import torch

    assert seen.hook is not None
    assert grads.hook is not None
    x = seen.hook.detach()[0].float().cpu()
    grad, v = grads.hook.float().cpu(), grads.v.float().cpu()
    with torch.no_grad():
        acts = sae.encode(x)
        directions = sae.W_dec
        if sae.rescale_acts_by_decoder_norm:
            directions = directions / directions.norm(dim=-1, keepdim=True)
        reached = grad.abs().amax(-1) > 0
        reached[-1] = True
        position, feature = (acts * reached[:, None]).nonzero(as_tuple=True)
        value = acts[position, feature]
        effect = value * (directions[feature] * grad[position]).sum(-1)
        direct = value * (directions[feature] @ v) * (position == len(x) - 1)
        error = x - sae.decode(acts)
        bias = float(sae.b_dec @ v), float(sae.b_dec @ grad.sum(0))
        missed = float(error[-1] @ v), float((error * grad).sum())
    columns = (direct, effect, feature, position, value)
    parts = [
        Part("feature", d, e, None, f, p, a)
        for d, e, f, p, a in zip(*(c.tolist() for c in columns), strict=True)
    ]
    parts.sort(key=lambda part: -abs(part.effect))
    return [*parts, Part("sae_bias", *bias), Part("sae_error", *missed)]


def _hook_parts(hook_name: str) -> tuple[int, str]:
    """The layer of a hook and what it is there."""
    _, layer, name = hook_name.split(".")
    return int(layer), name


def _is_read(part: Part, layer: int, name: str) -> bool:
    """Whether what a component writes is part of what an SAE at a hook reads."""
    if part.kind == "final_bias":
        return False
    in_attention = part.kind in ("head", "attention_bias")
    if name == "hook_attn_out":
        return in_attention and part.layer == layer
    if name == "hook_mlp_out":
        return part.kind == "mlp" and part.layer == layer
    if part.layer is None:
        return True
    if part.layer != layer:
        return part.layer < layer
    return name == "hook_resid_post" or (name == "hook_resid_mid" and in_attention)
