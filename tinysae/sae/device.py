"""Which of torch's devices an SAE is trained on, and how exactly its products are."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tinysae.errors import SettingError
from tinysae.setting import Precision

if TYPE_CHECKING:
    from tinysae.model.sources import LoadedModel


def resolve_device(name: str) -> str:
    """The torch device for a setting: auto is cuda if there, else cpu.

    Never mps, which was not tried and has no float64 (SAELens keeps BatchTopK's
    threshold in it): who wants it says so.

    Raises:
        SettingError: a device that this machine does not have.
    """
    there = _devices()
    if name == "auto":
        return next(device for device in there if device != "mps")
    if name not in there:
        raise SettingError(
            "setting_choice", field="device", value=name, choices=", ".join(there)
        )
    return name


def device_at_hand(name: str) -> str:
    """As `resolve_device`, with auto in place of a device that is not there: what was
    trained on a GPU can be read without one."""
    return resolve_device(name if name in _devices() else "auto")


def device_of(model: "LoadedModel", name: str) -> str:
    """Where `model` is, for an SAE to be on the same device.

    Raises:
        SettingError: the settings say another device, or one that is not there.
    """
    there = model.plain.device.type
    if name != "auto" and resolve_device(name) != there:
        raise SettingError("setting_choice", field="device", value=name, choices=there)
    return there


def _devices() -> list[str]:
    """Those that there are, the fastest first."""
    import torch

    there = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    return [device for device, is_there in there.items() if is_there]


def is_autocast(precision: Precision, device: str) -> bool:
    """Whether the SAE's own products are computed in bfloat16."""
    return device == "cuda" and precision == "bfloat16"


@contextmanager
def rounded_products(precision: Precision, device: str) -> Iterator[None]:
    """While inside, CUDA's products of float32 matrices may round their inputs to ten
    bits (TF32), unless `precision` is float32. Nothing changes on other devices.

    torch keeps that for the whole process, threads that read ahead included: it has to
    hold from the first activation to the last step, or a run that is resumed would see
    other last bits than one that is not.
    """
    import torch

    if device != "cuda":
        yield
        return
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest" if precision == "float32" else "high")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
