"""The whole state of a training in one folder: safetensors and JSON, never a pickle.

What is not saved follows from the settings and the counters: the schedules of the
learning rate and of the coefficients are stepped again to where they were, and the
shuffled stream of activations is entered at the batch that comes next
(`tinysae.data.activations`).
"""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinysae.checked_numbers import is_number_within
from tinysae.errors import DamagedError
from tinysae.jobs.files import read_json, write_json

if TYPE_CHECKING:
    from torch import Tensor

    from tinysae.sae.sparsity_control import SparsityControl

FORMAT = 1
STATE_NAME = "state.safetensors"
NUMBERS_NAME = "state.json"
_CONTROL = "sparsity_control"
_COUNTERS = ("n_training_steps", "n_training_samples", "n_frac_active_samples")
_STATISTICS = ("act_freq_scores", "n_forward_passes_since_fired")
_MOMENTS = ("exp_avg", "exp_avg_sq")


def write_checkpoint(
    trainer: Any,
    n_batches_read: int,
    folder: Path,
    control: "SparsityControl | None" = None,
) -> None:
    """Writes the state of SAELens's `trainer`, which has read that many batches, and of
    what steers its coefficient.

    Raises:
        OSError: the folder cannot be written.
    """
    from safetensors.torch import save_file

    tensors: dict[str, Tensor] = {
        f"sae.{name}": value for name, value in trainer.sae.state_dict().items()
    }
    for name, parameter in trainer.sae.named_parameters():
        state = trainer.optimizer.state.get(parameter, {})
        tensors |= {f"adam.{m}.{name}": state[m] for m in _MOMENTS if m in state}
    tensors |= {name: getattr(trainer, name) for name in _STATISTICS}
    save_file(
        {name: value.detach().cpu().contiguous() for name, value in tensors.items()},
        folder / STATE_NAME,
    )
    numbers = {
        "format": FORMAT,
        "architecture": trainer.sae.cfg.architecture(),
        "scaling_factor": trainer.activation_scaler.scaling_factor,
        "n_batches_read": n_batches_read,
        **{name: int(getattr(trainer, name)) for name in _COUNTERS},
    }
    if control is not None:
        numbers[_CONTROL] = control.state()
    write_json(folder / NUMBERS_NAME, numbers)


def load_checkpoint(
    trainer: Any, folder: Path, control: "SparsityControl | None" = None
) -> int:
    """Puts a fresh `trainer`, and what steers it, where the saved ones were; returns
    the batches that had been read.

    Raises:
        DamagedError: a file is missing, cannot be read, is not finite, or belongs to
            another architecture or size; the error names what differs.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        numbers = read_json(folder / NUMBERS_NAME)
        tensors = load((folder / STATE_NAME).read_bytes())
        _check(trainer, numbers, tensors, folder)
        _restore(trainer, numbers, tensors)
        if control is not None:
            control.restore(numbers[_CONTROL])
            control.steer(trainer)
        return int(numbers["n_batches_read"])
    except (OSError, ValueError, TypeError, KeyError, SafetensorError) as problem:
        raise DamagedError("checkpoint_damaged", path=str(folder)) from problem


def _check(
    trainer: Any, numbers: dict[str, Any], tensors: "dict[str, Tensor]", folder: Path
) -> None:
    def must_be(field: str, saved: object, wanted: object) -> None:
        if saved != wanted:
            raise DamagedError(
                "checkpoint_mismatch",
                field=field,
                found=str(saved)[:80],
                wanted=str(wanted),
                path=str(folder),
            )

    must_be("format", numbers.get("format"), FORMAT)
    must_be("architecture", numbers.get("architecture"), trainer.sae.cfg.architecture())
    for name in (*_COUNTERS, "n_batches_read"):
        if not isinstance(numbers[name], int) or numbers[name] < 0:
            raise ValueError(name)
    scale = numbers["scaling_factor"]
    if scale is not None and not is_number_within(scale, float, 0, None):
        raise ValueError("scaling_factor")
    wanted = {f"sae.{k}": v for k, v in trainer.sae.state_dict().items()}
    if numbers["n_training_steps"]:
        wanted |= {
            f"adam.{moment}.{name}": parameter
            for name, parameter in trainer.sae.named_parameters()
            for moment in _MOMENTS
        }
    wanted |= {name: getattr(trainer, name) for name in _STATISTICS}
    must_be("tensors", sorted(tensors), sorted(wanted))
    for name, value in wanted.items():
        must_be(name, list(tensors[name].shape), list(value.shape))
        if not tensors[name].isfinite().all():
            raise ValueError(name)


def _restore(
    trainer: Any, numbers: dict[str, Any], tensors: "dict[str, Tensor]"
) -> None:
    import torch

    device = trainer.sae.device
    steps = numbers["n_training_steps"]
    trainer.sae.load_state_dict(
        {k: tensors[f"sae.{k}"] for k in trainer.sae.state_dict()}
    )
    if steps:
        # Fused, Adam counts its steps where it computes them.
        is_fused = trainer.optimizer.param_groups[0]["fused"]
        counted_on = device if is_fused else "cpu"
        for name, parameter in trainer.sae.named_parameters():
            trainer.optimizer.state[parameter] = {
                "step": torch.tensor(float(steps), device=counted_on),
                **{m: tensors[f"adam.{m}.{name}"].to(device) for m in _MOMENTS},
            }
    for name in _STATISTICS:
        setattr(trainer, name, tensors[name].to(device))
    for name in _COUNTERS:
        setattr(trainer, name, numbers[name])
    trainer.activation_scaler.scaling_factor = numbers["scaling_factor"]
    with warnings.catch_warnings():
        # "Call optimizer.step() first": its steps were taken by the saved trainer.
        warnings.simplefilter("ignore")
        for _ in range(steps):
            trainer.lr_scheduler.step()
    for scheduler in trainer.coefficient_schedulers.values():
        scheduler.load_state_dict({"current_step": steps})
