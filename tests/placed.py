"""A GPU for machines without one: tensors on a device of their own, with numbers.

torch's "meta" device has tensors that hold no numbers. Here they do, on the CPU, and
say that they are on "meta". So code can be run as on a GPU: two devices in one
operation are refused, a tensor on "meta" is no numpy array, and what crosses over is
written down.
"""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, NamedTuple
from unittest import mock

import torch
from torch.overrides import TorchFunctionMode
from torch.utils import _python_dispatch as dispatch
from torch.utils._pytree import tree_leaves, tree_map, tree_map_only

DEVICE = torch.device("meta")
CPU = torch.device("cpu")
aten: Any = torch.ops.aten
# They take the places to read or write, few numbers, from any device.
_INDEXING = (aten.index.Tensor, aten.index_put_.default, aten.index_put.default)


class Crossing(NamedTuple):
    """What went from one device to the other."""

    to: str
    n: int
    dtype: torch.dtype


crossings: list[Crossing] = []


class Placed(torch.Tensor):
    """A tensor on `DEVICE`; its numbers are in `numbers`, on the CPU."""

    numbers: torch.Tensor

    @staticmethod
    def __new__(cls, numbers: torch.Tensor) -> "Placed":
        made: Any = torch.Tensor._make_wrapper_subclass(
            cls,
            numbers.shape,
            strides=numbers.stride(),
            storage_offset=numbers.storage_offset(),
            dtype=numbers.dtype,
            device=DEVICE,
        )
        made.numbers = numbers
        return made

    @property
    def data(self) -> torch.Tensor:
        return self.detach()

    @data.setter
    def data(self, new: "Placed") -> None:
        self.numbers = new.numbers
        own: Any = torch.Tensor.data
        own.__set__(self, new)

    @classmethod
    def __torch_dispatch__(
        cls, func: Any, _: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        return _computed(func, args, kwargs or {})


class _Mode(dispatch.TorchDispatchMode):
    """Tensors that are made on `DEVICE` have numbers too."""

    def __torch_dispatch__(
        self, func: Any, _: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        return _computed(func, args, kwargs or {})


class _Lists(TorchFunctionMode):
    """What becomes a tensor or a list out of the other mode's sight: in two steps."""

    def __torch_function__(
        self, func: Any, _: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        if func is torch.Tensor.tolist:
            return func(args[0].cpu())
        if func is torch.Tensor.new_tensor:
            own, *args = args
            kwargs = {"dtype": own.dtype, "device": own.device, **kwargs}
        elif func is not torch.tensor:
            return func(*args, **kwargs)
        device = kwargs.pop("device", None)
        made = torch.tensor(*args, **kwargs)
        return made if device is None else made.to(device)


@contextmanager
def device_there() -> Iterator[list[Crossing]]:
    """While inside, `DEVICE` computes, in this thread; yields what crosses over."""
    crossings.clear()
    with (
        _Mode(),
        _Lists(),
        # torch has no autocast there, not even one that is switched off.
        mock.patch.object(torch, "autocast", _autocast),
        # In which operations would come before they are taken apart.
        mock.patch.object(torch, "inference_mode", torch.no_grad),
    ):
        yield crossings


def _autocast(device_type: str, **options: Any) -> Any:
    if device_type == DEVICE.type:
        return nullcontext()
    return torch.amp.autocast_mode.autocast(device_type, **options)


def _computed(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    given = [x for x in tree_leaves((args, kwargs)) if isinstance(x, torch.Tensor)]
    placed = [x for x in given if isinstance(x, Placed)]
    device = kwargs.get("device")
    if not placed and device != DEVICE:
        return func(*args, **kwargs)
    numbers = [tree_map_only(Placed, lambda x: x.numbers, part) for part in args]
    named = tree_map_only(Placed, lambda x: x.numbers, kwargs)
    if func is aten._local_scalar_dense.default:
        _crossed("cpu", given[0])
        return func(*numbers)
    if func is aten.copy_.default and len(placed) == 1 and given[1].ndim:
        is_up = isinstance(args[0], Placed)
        _crossed("device" if is_up else "cpu", given[1])
        func(*numbers, **named)
        return args[0]
    if device is not None:
        named["device"] = CPU
    goes_up = device == DEVICE or (device is None and bool(placed))
    if func is aten._to_copy.default and device is not None:
        if goes_up != bool(placed):
            _crossed("device" if goes_up else "cpu", given[0])
    elif func not in _INDEXING and any(
        x.ndim and not isinstance(x, Placed) for x in given
    ):
        raise RuntimeError(f"tensors on two devices: {func}")
    made = func(*numbers, **named)
    if not goes_up:
        return made

    def place(x: Any) -> Any:
        return Placed(x) if isinstance(x, torch.Tensor) else x

    return dispatch.return_and_correct_aliasing(
        func, args, kwargs, tree_map(place, made)
    )


def _crossed(to: str, x: torch.Tensor) -> None:
    crossings.append(Crossing(to, x.numel(), x.dtype))
