"""The rest of a forward, from a hook on: what comes before it is computed once.

An SAE is judged by what the model makes of its reconstruction, beside what it makes of
zeros and of what was there. All of these have everything before the hook in common: on
a model of one layer, two thirds of a forward that ends with the MLP's output.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from tinysae.model.forward import activations, logits_with, place_of, running
from tinysae.model.hooks import HookPlace, Reached, hooked, instead
from tinysae.model.lean import FEW_ROWS

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

    from tinysae.model.sources import LoadedModel

# Of the try that shows whether a model can be gone on with: as many as `lean` tells
# apart, and more than one context.
_TRIED_CONTEXTS = 2

# By hook name.
_is_exact: "WeakKeyDictionary[LoadedModel, dict[str, bool]]" = WeakKeyDictionary()


class FromHook:
    """A forward of `tokens` [batch, pos] that has come to the hook, to be gone on with
    as often as one likes.

    Gives the same bits as `forward.activations` and `forward.logits_with`: of a model
    that does not (tried once, on a few tokens), all is computed every time.

    Attributes:
        x: activations [batch, pos, d] at the hook.

    Raises:
        InputError: the model has no such hook.
    """

    def __init__(self, model: "LoadedModel", tokens: "Tensor", hook_name: str) -> None:
        self._model, self._tokens = model, tokens.to(model.plain.device)
        self._place = place_of(model, hook_name)
        known = _is_exact.setdefault(model, {})
        if hook_name not in known:
            known[hook_name] = _is_exact_at(model, hook_name)
        self.x, self._outputs = _come_to(model, self._place, self._tokens)
        if not known[hook_name]:
            self.x, self._outputs = activations(model, self._tokens, hook_name), {}

    def logits(self, replacement: "Tensor | None" = None) -> "Tensor":
        """Logits [batch, pos, d_vocab], with `replacement` [batch, pos, d] at the hook
        if there is one."""
        return _go_on(
            self._model, self._place, self._tokens, self._outputs, replacement
        )


def _come_to(
    model: "LoadedModel", place: HookPlace, tokens: "Tensor"
) -> "tuple[Tensor, dict[str, Any]]":
    """What is at `place`, and the outputs, by module, with which a forward comes there
    again without computing anything."""
    plain = model.plain
    outputs: dict[str, Any] = {}
    repeated: set[str] = set()
    seen: list[Tensor] = []

    def remember(name: str, _: Any, __: Any, output: Any) -> None:
        if name in outputs:
            repeated.add(name)
        outputs[name] = output

    def read(x: "Tensor") -> None:
        seen.append(x)
        raise Reached

    with running(model, tokens.numel()), ExitStack() as stack:
        for name in _along(plain, place.module):
            module = plain.get_submodule(name)
            handle = module.register_forward_hook(partial(remember, name))
            stack.callback(handle.remove)
        stack.enter_context(hooked(plain, place, read))
        with suppress(Reached):
            plain(tokens, use_cache=False)
    if not seen:
        raise RuntimeError(f"the forward never came to {place.module}")
    kept = {name: out for name, out in outputs.items() if name not in repeated}
    return seen[0], _only_last_block(plain, place.module, kept)


def _go_on(
    model: "LoadedModel",
    place: HookPlace,
    tokens: "Tensor",
    outputs: Mapping[str, Any],
    replacement: "Tensor | None",
) -> "Tensor":
    """Logits [batch, pos, d_vocab], with `outputs` for what comes before the hook."""
    plain = model.plain
    with running(model, tokens.numel()), ExitStack() as stack:
        for name, output in outputs.items():
            module = plain.get_submodule(name)
            stack.enter_context(instead(module, _once(output, module.forward)))
        if replacement is not None:
            moved = replacement.to(plain.device)
            stack.enter_context(hooked(plain, place, lambda _: moved))
        return plain(tokens, use_cache=False).logits


def _along(plain: "PreTrainedModel", path: str) -> Iterator[str]:
    """The module at `path` and those beside its way: with their outputs known, only
    what is on the way itself is run. What is inside them is left alone: who is watched
    may be computed otherwise (`model.lean`)."""
    yield path
    parts = path.split(".")
    for n in range(len(parts)):
        above, below = ".".join(parts[:n]), parts[n]
        for name, _ in plain.get_submodule(above).named_children():
            if name != below:
                yield f"{above}.{name}".removeprefix(".")


def _only_last_block(
    plain: "PreTrainedModel", path: str, outputs: dict[str, Any]
) -> dict[str, Any]:
    """The same, but of the blocks before the hook's only what the last one gave: all
    give that, and nobody looks at what the next does not take."""
    from torch import nn

    parts = path.split(".")
    for n in range(len(parts)):
        above = ".".join(parts[:n])
        if isinstance(plain.get_submodule(above), nn.ModuleList):
            blocks = [f"{above}.{i}" for i in range(int(parts[n]))]
            if blocks and all(block in outputs for block in blocks):
                outputs |= dict.fromkeys(blocks, outputs[blocks[-1]])
    return outputs


def _once(output: Any, own: Callable[..., Any]) -> Callable[..., Any]:
    """A forward that gives `output` the first time; later ones, of a module that is
    used behind the hook too, are its own."""
    is_first = True

    def forward(*args: Any, **kwargs: Any) -> Any:
        nonlocal is_first
        if is_first:
            is_first = False
            return output
        return own(*args, **kwargs)

    return forward


def _is_exact_at(model: "LoadedModel", hook_name: str) -> bool:
    """Whether going on gives what whole forwards give, again and again."""
    import torch

    n = min(FEW_ROWS, model.n_ctx)
    ids = torch.arange(_TRIED_CONTEXTS * n, device=model.plain.device) % model.d_vocab
    tokens = ids.reshape(_TRIED_CONTEXTS, n)
    place = place_of(model, hook_name)
    x, outputs = _come_to(model, place, tokens)
    tried = (None, torch.zeros_like(x), None)
    return torch.equal(x, activations(model, tokens, hook_name)) and all(
        torch.equal(
            logits_with(model, tokens, hook_name, replacement),
            _go_on(model, place, tokens, outputs, replacement),
        )
        for replacement in tried
    )
