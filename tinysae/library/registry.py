"""SAELens's list of published SAEs, and which of them can be opened here.

The list is `pretrained_saes.yaml` of the installed sae_lens, read as what it is: the
web process imports no sae_lens. Each release names the loader that SAELens would use;
what those loaders do was read in `sae_lens/loading/pretrained_sae_loaders.py`, and a
test reads them again.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from tinysae.checked_numbers import number
from tinysae.errors import DamagedError, InputError, MissingError
from tinysae.model.catalogue import entry_of

# Why an entry cannot be opened. "unpickles": its loader calls `torch.load`, and a
# pickle can run any program. "transcoder": it predicts other activations than it reads.
# "architecture": `sae.load` does not know it. "unknown": a loader of a SAELens newer
# than this table.
Refusal = Literal["unpickles", "transcoder", "architecture", "unknown"]

SAELENS = "sae_lens"
# SAELens's loaders that read safetensors, or numpy's arrays with pickles refused, which
# is `numpy.load`'s default; and the files that each of them reads.
READABLE: dict[str, tuple[str, ...]] = {
    SAELENS: ("cfg.json", "sae_weights.safetensors", "sparsity.safetensors"),
    "gemma_2": ("params.npz",),
    "gemma_3": ("config.json", "params.safetensors"),
    "llama_scope": ("hyperparams.json", "checkpoints/final.safetensors"),
    "llama_scope_r1_distill": ("config.json", "sae_weights.safetensors"),
    "sparsify": ("cfg.json", "sae.safetensors"),
}
REFUSED: dict[str, Refusal] = {
    "connor_rob_hook_z": "unpickles",
    "deepseek_r1": "unpickles",
    "dictionary_learning_1": "unpickles",
    "goodfire": "unpickles",
    "qwen_scope": "unpickles",
    "gemma_2_transcoder": "transcoder",
    "mntss_clt_layer_transcoder": "transcoder",
    "mwhanna_transcoder": "transcoder",
    "temporal": "architecture",
}


@dataclass(frozen=True)
class RegistryEntry:
    """One published SAE.

    release, sae_id: what `SAE.from_pretrained` calls it.
    model: SAELens's name of the model it reads.
    repo_id, path: where it is on the hub.
    loader: SAELens's name of what reads it.
    l0: features active a token, as published; None if that was not said.
    """

    release: str
    sae_id: str
    model: str
    repo_id: str
    path: str
    loader: str
    l0: float | None

    @property
    def refusal(self) -> Refusal | None:
        """Why it cannot be opened here; None if it can."""
        if self.loader in REFUSED:
            return REFUSED[self.loader]
        if self.loader not in READABLE:
            return "unknown"
        # As SAELens's loader of Gemma Scope 2 tells them apart.
        is_other = "transcoder" in self.path or "clt" in self.path
        return "transcoder" if self.loader == "gemma_3" and is_other else None

    @property
    def files(self) -> tuple[str, ...]:
        """The files in its repository that its loader reads, the last ones perhaps
        not there."""
        return tuple(f"{self.path}/{name}" for name in READABLE[self.loader])

    def check(self) -> None:
        """
        Raises:
            InputError: it cannot be opened here; the sentence says why.
        """
        if self.refusal is not None:
            raise InputError(
                f"registry_{self.refusal}", sae=self.sae_id, loader=self.loader
            )


@cache
def registry() -> tuple[RegistryEntry, ...]:
    """All published SAEs, in SAELens's order. Takes half a second, once.

    Raises:
        DamagedError: the installed sae_lens has no list that can be read.
    """
    import yaml

    try:
        text = _list_file().read_text(encoding="utf-8")
        # Neither loader makes anything but plain data; libyaml's is five times faster.
        data = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        return tuple(_entries(data))
    except (OSError, yaml.YAMLError, KeyError, TypeError, AttributeError) as problem:
        raise DamagedError("registry_damaged") from problem


def _list_file() -> Path:
    spec = find_spec("sae_lens")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("sae_lens")
    return Path(spec.origin).with_name("pretrained_saes.yaml")


def _entries(data: dict[str, Any]) -> Iterator[RegistryEntry]:
    for release, value in data.items():
        for one in value["saes"]:
            yield RegistryEntry(
                release=str(release),
                sae_id=str(one["id"]),
                model=str(value["model"]),
                repo_id=str(value["repo_id"]),
                path=str(one["path"]),
                loader=str(value.get("conversion_func") or SAELENS),
                l0=number(one.get("l0")) or None,
            )


def find_entries(query: str, limit: int) -> tuple[list[RegistryEntry], int]:
    """Entries that have every word of `query` in their release, id or model.

    Those that can be opened come first, and of these the ones of models of the list
    here; else in SAELens's order.

    Returns:
        The first `limit` of them, and how many there are.
    """
    words = query.lower().split()
    entries = [
        entry
        for entry in registry()
        if all(
            word in f"{entry.release} {entry.sae_id} {entry.model}".lower()
            for word in words
        )
    ]
    entries.sort(
        key=lambda entry: (entry.refusal is not None, entry_of(entry.model) is None)
    )
    return entries[:limit], len(entries)


def registry_entry(release: str, sae_id: str) -> RegistryEntry:
    """
    Raises:
        MissingError: SAELens's list has no such SAE.
    """
    for entry in registry():
        if (entry.release, entry.sae_id) == (release, sae_id):
            return entry
    raise MissingError("registry_no_entry", release=release[:80], sae=sae_id[:80])
