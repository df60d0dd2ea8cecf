"""The same weights as a bare, faster Hugging Face model.

TransformerLens's Bridge rebuilds the model it is given around its hooks and needs slow
("eager") attention, whose scores can be read. What needs no hooks (writing text,
log-probs, the activations at one place) runs on a copy of the modules that shares
every tensor: no memory, half the time.
"""

import copy
import types
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel


def lean_copy(model: "PreTrainedModel") -> "PreTrainedModel":
    """A copy of `model` with shared tensors, fused attention and fused GELU.

    Its numbers agree with `model`'s to rounding (tested).
    """
    from torch import nn
    from transformers.activations import NewGELUActivation
    from transformers.models.gpt_neo.modeling_gpt_neo import GPTNeoSelfAttention

    tensors = [*model.parameters(), *model.buffers()]
    lean = copy.deepcopy(model, {id(tensor): tensor for tensor in tensors})
    for module in list(lean.modules()):
        if isinstance(module, GPTNeoSelfAttention):
            module._attn = types.MethodType(_gpt_neo_attention, module)
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
