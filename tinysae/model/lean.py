"""The same weights as a bare, faster Hugging Face model.

TransformerLens's Bridge rebuilds the model it is given around its hooks and needs slow
("eager") attention, whose scores can be read. What needs no hooks (writing text,
log-probs, the activations at one place) runs on a copy of the modules that shares
every tensor: no memory, a quarter of the time.
"""

import copy
import types
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

# Rows below which oneDNN's start costs more than its faster product gains.
FEW_ROWS = 16


def lean_copy(model: "PreTrainedModel") -> "PreTrainedModel":
    """A copy of `model` with shared tensors, fused attention and fused GELU, and with
    oneDNN's products where they are this machine's fastest.

    Its numbers agree with `model`'s to rounding (tested).
    """
    from torch import nn
    from transformers.activations import NewGELUActivation
    from transformers.models.gpt_neo.modeling_gpt_neo import (
        GPTNeoMLP,
        GPTNeoSelfAttention,
    )

    from tinysae.model import blas

    tensors = [*model.parameters(), *model.buffers()]
    lean = copy.deepcopy(model, {id(tensor): tensor for tensor in tensors})
    has_onednn = lean.device.type == "cpu" and blas.choose_product() == "onednn"
    for module in list(lean.modules()):
        if isinstance(module, GPTNeoSelfAttention):
            module._attn = types.MethodType(_gpt_neo_attention, module)
        if has_onednn and isinstance(module, nn.Linear):
            module.forward = types.MethodType(_linear, module)
        if has_onednn and isinstance(module, GPTNeoMLP):
            module.forward = types.MethodType(_gpt_neo_mlp, module)
        for name, child in list(module.named_children()):
            # The same formula as one kernel; transformers writes it out in eight.
            if isinstance(child, NewGELUActivation):
                setattr(module, name, nn.GELU(approximate="tanh"))
    if lean.config.model_type == "gpt_neo":
        # transformers has only eager attention for it. Its choice was made when the
        # modules were built; from here on the name only says which mask is prepared,
        # and the function above wants none.
        lean.config._attn_implementation = "sdpa"
    elif lean._supports_sdpa:
        lean.set_attn_implementation("sdpa")
    return lean.eval()


def _gpt_neo_attention(
    self: Any,
    query: "Tensor",
    key: "Tensor",
    value: "Tensor",
    attention_mask: "Tensor | None" = None,  # noqa: ARG001
) -> tuple["Tensor", None]:
    """`GPTNeoSelfAttention._attn` without padding, as one fused kernel.

    GPT-Neo does not scale its scores. Tensors are [batch, head, pos, d_head]; `key`
    may be longer than `query`, whose positions are the last ones.
    """
    from torch.nn.functional import scaled_dot_product_attention

    n_query, n_key = query.shape[-2], key.shape[-2]
    sees_all = self.attention_type == "global" or n_key <= self.config.window_size
    if sees_all and n_query == 1:
        mask, is_causal = None, False
    elif sees_all and n_query == n_key:
        mask, is_causal = None, True
    else:
        mask = self.bias[:, :, n_key - n_query : n_key, :n_key]
        is_causal = False
    output = scaled_dot_product_attention(
        query, key, value, attn_mask=mask, is_causal=is_causal, scale=1.0
    )
    return output, None


def _linear(self: Any, x: "Tensor") -> "Tensor":
    """`nn.Linear.forward` by oneDNN: on AMD, twice as fast as torch's MKL."""
    from torch.nn.functional import linear

    if not _is_for_onednn(self, x):
        return linear(x, self.weight, self.bias)
    return _by_onednn(self, x, "none", "")


def _gpt_neo_mlp(self: Any, x: "Tensor") -> "Tensor":
    """`GPTNeoMLP.forward` without dropout, with the GELU inside the first product."""
    from torch import nn

    is_watched = self.act._forward_hooks or self.c_fc._forward_hooks
    can_fuse = isinstance(self.act, nn.GELU) and self.act.approximate == "tanh"
    if can_fuse and not is_watched and _is_for_onednn(self.c_fc, x):
        return self.c_proj(_by_onednn(self.c_fc, x, "gelu", "tanh"))
    return self.dropout(self.c_proj(self.act(self.c_fc(x))))


def _is_for_onednn(linear: Any, x: "Tensor") -> bool:
    import torch

    return (
        not torch.is_grad_enabled()
        and x.numel() // x.shape[-1] >= FEW_ROWS
        and x.dtype == linear.weight.dtype == torch.float32
        and x.device.type == "cpu"
    )


def _by_onednn(linear: Any, x: "Tensor", function: str, variant: str) -> "Tensor":
    import torch

    # What torch.compile makes of nn.Linear and the function after it on a CPU.
    return torch.ops.mkldnn._linear_pointwise(
        x, linear.weight, linear.bias, function, [], variant
    )
