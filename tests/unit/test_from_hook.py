"""Going on from a hook; that it gives what whole forwards give is in `test_sources`, of
every architecture there."""

import itertools
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
import torch

from tinysae.model.forward import activations, logits_with
from tinysae.model.from_hook import FromHook

if TYPE_CHECKING:
    from tinysae.model.sources import LoadedModel

# Of the tiny model's block: what has been computed when the hook is reached.
BEFORE = {
    "blocks.0.hook_resid_pre": set[str](),
    # Inside the attention, whose last product it is.
    "blocks.0.hook_attn_out": {"ln_1"},
    "blocks.0.hook_resid_mid": {"ln_1", "attn"},
    "blocks.0.hook_mlp_out": {"ln_1", "attn", "ln_2", "mlp"},
    "blocks.0.hook_resid_post": {"ln_1", "attn", "ln_2", "mlp"},
}


def tokens_of(model: "LoadedModel") -> torch.Tensor:
    return torch.arange(40).reshape(2, 20) % model.d_vocab


@pytest.mark.parametrize("hook_name", BEFORE)
def test_what_comes_before_the_hook_is_computed_once(
    tiny_model: "LoadedModel", hook_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = FromHook(tiny_model, tokens_of(tiny_model), hook_name)
    block = tiny_model.plain.get_submodule("transformer.h.0")
    calls: Counter[str] = Counter()

    def watch(name: str, module: Any) -> None:
        own = module.forward

        def forward(*args: Any, **kwargs: Any) -> Any:
            calls[name] += 1
            return own(*args, **kwargs)

        monkeypatch.setattr(module, "forward", forward)

    for name, module in block.named_children():
        watch(name, module)
    for _ in range(3):
        here.logits(here.x * 2)
    behind = {name for name, _ in block.named_children()} - BEFORE[hook_name]
    assert calls == dict.fromkeys(behind, 3)


def test_a_model_that_never_does_the_same_twice_is_run_as_a_whole(
    tiny_model: "LoadedModel", monkeypatch: pytest.MonkeyPatch
) -> None:
    norm: Any = tiny_model.plain.get_submodule("transformer.ln_f")
    tokens, hook_name = tokens_of(tiny_model), "blocks.0.hook_mlp_out"
    monkeypatch.setattr("tinysae.model.from_hook._is_exact", {})
    own, calls = norm.forward, itertools.count()
    with monkeypatch.context() as patched:
        patched.setattr(norm, "forward", lambda x: own(x) * (1 + next(calls)))
        here = FromHook(tiny_model, tokens, hook_name)
    assert torch.equal(here.x, activations(tiny_model, tokens, hook_name))
    attention = tiny_model.plain.get_submodule("transformer.h.0.attn")
    runs: list[Any] = []
    handle = attention.register_forward_hook(lambda *inout: runs.append(inout[2]))
    half = here.x / 2
    found = here.logits(half)
    handle.remove()
    assert len(runs) == 1
    assert torch.equal(found, logits_with(tiny_model, tokens, hook_name, half))


def test_modules_are_as_they_were(tiny_model: "LoadedModel") -> None:
    before = {
        name: (module.__dict__.get("forward"), dict(module._forward_hooks))
        for name, module in tiny_model.plain.named_modules()
    }
    here = FromHook(tiny_model, tokens_of(tiny_model), "blocks.0.hook_resid_mid")
    with pytest.raises(RuntimeError):
        here.logits(torch.zeros(1, 2, 3))
    for name, module in tiny_model.plain.named_modules():
        own = (module.__dict__.get("forward"), dict(module._forward_hooks))
        assert own == before[name], name
