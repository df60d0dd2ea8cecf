"""The rest of a forward, from a hook on: what comes before it is computed once.

An SAE is judged by what the model makes of its reconstruction, beside what it makes of
zeros and of what was there. All of these have everything before the hook in common: on
a model of one layer, two thirds of a forward that ends with the MLP's output.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from tinysae.model.forward import activations, logits_with, place_of
from tinysae.model.hooks import instead
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
        self._model, self._tokens, self._hook_name = model, tokens, hook_name
        known = _is_exact.setdefault(model, {})
        if hook_name not in known:
            known[hook_name] = _is_exact_at(model, hook_name)
        self._outputs: dict[str, Any] = {}
        if known[hook_name]:
            self.x, self._outputs = _come_to(model, tokens, hook_name)
        else:
            self.x = activations(model, tokens, hook_name)

    def logits(self, replacement: "Tensor | None" = None) -> "Tensor":
        """Logits [batch, pos, d_vocab], with `replacement` [batch, pos, d] at the hook
        if there is one."""
        with _known(self._model, self._outputs):
            return logits_with(self._model, self._tokens, self._hook_name, replacement)


def _come_to(
    model: "LoadedModel", tokens: "Tensor", hook_name: str
) -> "tuple[Tensor, dict[str, Any]]":
    """What is at the hook, and the outputs, by module, with which a forward comes there
    again without computing anything."""
    plain, path = model.plain, place_of(model, hook_name).module
    outputs: dict[str, Any] = {}
    repeated: set[str] = set()

    def remember(name: str, _: Any, __: Any, output: Any) -> None:
        if name in outputs:
            repeated.add(name)
        outputs[name] = output

    with model.lock, ExitStack() as stack:
        for name in _along(plain, path):
            module = plain.get_submodule(name)
            handle = module.register_forward_hook(partial(remember, name))
            stack.callback(handle.remove)
        x = activations(model, tokens, hook_name)
    kept = {name: out for name, out in outputs.items() if name not in repeated}
    return x, _only_last_block(plain, path, kept)


@contextmanager
def _known(model: "LoadedModel", outputs: Mapping[str, Any]) -> Iterator[None]:
    """Inside, one forward takes these modules' outputs as they are, by name."""
    with model.lock, ExitStack() as stack:
        for name, output in outputs.items():
            module = model.plain.get_submodule(name)
            stack.enter_context(instead(module, _once(output, module.forward)))
        yield


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
    x, outputs = _come_to(model, tokens, hook_name)

    def is_same(replacement: "Tensor | None") -> bool:
        whole = logits_with(model, tokens, hook_name, replacement)
        with _known(model, outputs):
            gone_on = logits_with(model, tokens, hook_name, replacement)
        return torch.equal(whole, gone_on)

    return torch.equal(x, activations(model, tokens, hook_name)) and all(
        map(is_same, (None, torch.zeros_like(x), None))
    )
