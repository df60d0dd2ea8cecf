"""Which of torch's devices an SAE is trained on."""

from tinysae.errors import SettingError


def resolve_device(name: str) -> str:
    """The torch device for a setting: auto is cuda if there, else mps, else cpu.

    Raises:
        SettingError: a device that this machine does not have.
    """
    import torch

    there = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if name == "auto":
        return next(device for device, is_there in there.items() if is_there)
    if not there[name]:
        choices = ", ".join(device for device, is_there in there.items() if is_there)
        raise SettingError(
            "setting_choice", field="device", value=name, choices=choices
        )
    return name
