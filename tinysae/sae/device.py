"""Which of torch's devices an SAE is trained on, and how exactly its products are."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tinysae.errors import SettingError
from tinysae.setting import Precision

TURN_S = 2e-4


def resolve_device(name: str) -> str:
    """The torch device for a setting: auto is cuda if there, else mps, else cpu.

    Raises:
        SettingError: a device that this machine does not have.
    """
    there = _devices()
    if name == "auto":
        return there[0]
    if name not in there:
        raise SettingError(
            "setting_choice", field="device", value=name, choices=", ".join(there)
        )
    return name


def device_at_hand(name: str) -> str:
    """As `resolve_device`, with auto in place of a device that is not there: what was
    trained on a GPU can be read without one."""
    return resolve_device(name if name in _devices() else "auto")


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
def quick_turns(device: str) -> Iterator[None]:
    """While inside, this process's threads take turns at Python more often than usual,
    unless `device` is the CPU.

    A GPU's step is many short calls, after each of which the thread that tells and
    reads the text may take its turn: by default for 5 ms, as long as a whole step.
    """
    before = sys.getswitchinterval()
    sys.setswitchinterval(before if device == "cpu" else TURN_S)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


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
