"""Reading an SAE from SAELens's directory without SAELens: JSON and safetensors."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

from tinysae.checked_numbers import MAX_WHOLE, whole
from tinysae.errors import DamagedError, MissingError
from tinysae.jobs.files import read_bytes, read_json, sha256_of, shown_path
from tinysae.model.tensor_header import tensor_header

if TYPE_CHECKING:
    import torch
    from torch import Tensor

CFG_NAME = "cfg.json"
WEIGHTS_NAME = "sae_weights.safetensors"
SPARSITY_NAME = "sparsity.safetensors"
RUNNER_CFG_NAME = "runner_cfg.json"
InferenceArchitecture = Literal["standard", "jumprelu", "topk", "gated"]
# A configuration is a page of text.
MAX_CFG_BYTES = 1_000_000
# Of ten tensors at the most; see `tensor_header`.
MAX_HEADER_BYTES = 1_000_000
# Of the weights: as they are in the file, and as tensors.
COPIES = 2


class Magnitude(NamedTuple):
    """The half of a gated SAE that says how strongly a feature is on."""

    r_mag: "Tensor"
    """[d_sae]: the logarithm of W_enc's factor."""
    b_mag: "Tensor"
    """[d_sae]"""


@dataclass(frozen=True, eq=False)
class SAE:
    """An SAE ready to encode raw activations of `hook_name`.

    W_enc [d_in, d_sae], b_enc [d_sae] (gated: SAELens's b_gate), W_dec [d_sae, d_in],
    b_dec [d_in], threshold [d_sae] (jumprelu), k (topk), magnitude (gated).
    """

    architecture: InferenceArchitecture
    hook_name: str
    model_name: str
    context_size: int | None
    W_enc: "Tensor"
    b_enc: "Tensor"
    W_dec: "Tensor"
    b_dec: "Tensor"
    threshold: "Tensor | None"
    k: int | None
    magnitude: Magnitude | None
    apply_b_dec_to_input: bool
    rescale_acts_by_decoder_norm: bool
    fingerprint: str
    """sha256 of the weights' file: what an index belongs to."""

    @property
    def d_in(self) -> int:
        return self.W_enc.shape[0]

    @property
    def d_sae(self) -> int:
        return self.W_enc.shape[1]

    def to(self, device: "torch.device | str") -> "SAE":
        """The same SAE on another device."""
        moved: dict[str, Any] = {
            name: value.to(device)
            for name, value in vars(self).items()
            if hasattr(value, "to")
        }
        if self.magnitude is not None:
            moved["magnitude"] = Magnitude(
                *(part.to(device) for part in self.magnitude)
            )
        return replace(self, **moved)

    def encode(self, x: "Tensor") -> "Tensor":
        """Feature activations [..., d_sae] of activations `x` [..., d_in].

        standard: ReLU; jumprelu: ReLU where above the threshold (Rajamanoharan et al.
        2024, eq. 4); topk: the k largest, ReLU (Gao et al. 2024, eq. 4); gated: ReLU of
        the magnitude where the gate is open (Rajamanoharan et al. 2024, "Improving
        dictionary learning with gated SAEs", eq. 3-6).
        """
        import torch

        centred = x - self.b_dec if self.apply_b_dec_to_input else x
        projected = centred @ self.W_enc
        pre = projected + self.b_enc
        if self.magnitude is not None:
            r_mag, b_mag = self.magnitude
            return torch.relu(projected * r_mag.exp() + b_mag) * (pre > 0)
        if self.rescale_acts_by_decoder_norm:
            pre = pre * self.W_dec.norm(dim=-1)
        if self.threshold is not None:
            return torch.relu(pre) * (pre > self.threshold)
        if self.k is not None:
            top = pre.topk(self.k, dim=-1)
            return torch.zeros_like(pre).scatter(
                -1, top.indices, torch.relu(top.values)
            )
        return torch.relu(pre)

    def decode(self, acts: "Tensor") -> "Tensor":
        """Reconstructed activations [..., d_in] of feature activations [..., d_sae]."""
        if self.rescale_acts_by_decoder_norm:
            acts = acts / self.W_dec.norm(dim=-1)
        return acts @ self.W_dec + self.b_dec

    def only(self, features: Sequence[int]) -> "tuple[SAE, Sequence[int]]":
        """An SAE that encodes `features` alone, and where in it they are.

        Where a feature's activation depends on the others', as that of the k largest
        does, it stays whole.
        """
        if self.architecture not in _EACH_BY_ITSELF:
            return self, features
        at = list(features)
        few = replace(
            self,
            W_enc=self.W_enc[:, at],
            b_enc=self.b_enc[at],
            W_dec=self.W_dec[at],
            threshold=None if self.threshold is None else self.threshold[at],
            magnitude=self.magnitude and Magnitude(*(m[at] for m in self.magnitude)),
        )
        return few, range(len(at))


_EACH_BY_ITSELF: tuple[InferenceArchitecture, ...] = ("standard", "jumprelu", "gated")
_PER_FEATURE: dict[InferenceArchitecture, tuple[str, ...]] = {
    "standard": ("b_enc",),
    "topk": ("b_enc",),
    "jumprelu": ("b_enc", "threshold"),
    "gated": ("b_gate", "r_mag", "b_mag"),
}


def load_sae(path: Path) -> SAE:
    """The SAE in an SAELens directory.

    Raises:
        MissingError: the directory or one of its files is not there, or the memory
            for it.
        DamagedError: a file cannot be read, does not fit the other, or holds weights
            that are not finite.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        cfg = read_json(path / CFG_NAME, MAX_CFG_BYTES)
        size = weights_size(path)
        _check_memory(path, size)
        if tensor_header(path / WEIGHTS_NAME, MAX_HEADER_BYTES) is None:
            raise ValueError("header")
        data = read_bytes(path / WEIGHTS_NAME, size)
        return _sae(cfg, load(data), sha256_of(data))
    except OSError as problem:
        raise MissingError("sae_missing", path=shown_path(path)) from problem
    except (
        *(ValueError, KeyError, TypeError, AttributeError, SafetensorError),
        # Numbers of a kind that torch can hold and not look at (float8).
        RuntimeError,
    ) as why:
        raise DamagedError("sae_damaged", path=shown_path(path)) from why


def weights_size(path: Path) -> int:
    """Bytes of the weights in an SAELens directory, before one of them is read: a file
    may be longer than what was ever written into it, and one that the system makes up
    as it is read says 0.

    Raises:
        OSError: they are not there.
        DamagedError: they have no length, or one that this machine could never hold.
    """
    # Comes with TransformerLens's and SAELens's own needs.
    import psutil

    size = (path / WEIGHTS_NAME).stat().st_size
    if not 0 < size <= psutil.virtual_memory().total:
        raise DamagedError("sae_damaged", path=shown_path(path))
    return size


def _check_memory(path: Path, size: int) -> None:
    import psutil

    needed, there = COPIES * size, psutil.virtual_memory().available
    if needed > there:
        said = {"needed": f"{needed / 1e9:.1f}", "there": f"{there / 1e9:.1f}"}
        raise MissingError("sae_memory", path=shown_path(path), **said)


def _sae(cfg: dict[str, Any], weights: "dict[str, Tensor]", fingerprint: str) -> SAE:
    architecture = cfg["architecture"]
    if architecture not in get_args(InferenceArchitecture):
        known = ", ".join(get_args(InferenceArchitecture))
        raise DamagedError(
            "sae_architecture", architecture=str(architecture)[:40], known=known
        )
    if cfg.get("normalize_activations", "none") != "none":
        value = str(cfg["normalize_activations"])[:40]
        raise DamagedError("sae_not_folded", value=value)
    metadata = cfg.get("metadata") or {}
    d_in, d_sae = _count(cfg, "d_in"), _count(cfg, "d_sae")
    k = _count(cfg, "k", most=d_sae) if architecture == "topk" else None
    shapes: dict[str, tuple[int, ...]] = {
        "W_enc": (d_in, d_sae),
        "W_dec": (d_sae, d_in),
        "b_dec": (d_in,),
        **dict.fromkeys(_PER_FEATURE[architecture], (d_sae,)),
    }
    for name, shape in shapes.items():
        weight = weights[name]
        if tuple(weight.shape) != shape or not weight.is_floating_point():
            raise ValueError(name)
        if not weight.isfinite().all():
            raise ValueError(name)
    # Whatever they were trained in (bfloat16): the model's activations are float32.
    tensors = {name: weights[name].float() for name in shapes}
    is_gated = architecture == "gated"
    return SAE(
        architecture=architecture,
        hook_name=str(metadata["hook_name"]),
        model_name=str(metadata.get("model_name", "")),
        context_size=whole(metadata.get("context_size"), low=1),
        W_enc=tensors["W_enc"],
        b_enc=tensors["b_gate" if is_gated else "b_enc"],
        W_dec=tensors["W_dec"],
        b_dec=tensors["b_dec"],
        threshold=tensors.get("threshold"),
        k=k,
        magnitude=Magnitude(tensors["r_mag"], tensors["b_mag"]) if is_gated else None,
        apply_b_dec_to_input=bool(cfg.get("apply_b_dec_to_input", True)),
        rescale_acts_by_decoder_norm=bool(
            cfg.get("rescale_acts_by_decoder_norm", False)
        ),
        fingerprint=fingerprint,
    )


def _count(cfg: dict[str, Any], name: str, most: int = MAX_WHOLE) -> int:
    """A number of `cfg` that counts something that is there.

    Raises:
        KeyError, ValueError: it is none.
    """
    # Some write whole numbers as texts.
    value = cfg[name]
    count = whole(int(value) if isinstance(value, str) else value, 1, most)
    if count is None:
        raise ValueError(name)
    return count
