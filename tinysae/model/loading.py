"""Files on this disk -> a `LoadedModel`: no code, no pickle, no network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from tinysae.errors import DamagedError, TinysaeError
from tinysae.model.folder import (
    check_layers,
    check_memory,
    checked_files,
    count_parameters,
)
from tinysae.model.gguf_header import check_gguf_package, count_gguf_numbers
from tinysae.model.lean import lean_copy
from tinysae.model.libraries import LOADING, import_libraries
from tinysae.model.loaded import LoadedModel

# What configurations call the longest context, the usual name first. BLOOM and MPT
# have no table of positions, and others of these.
N_CTX_NAMES = ("max_position_embeddings", "max_seq_len", "n_positions", "seq_length")
# Far beyond any model's.
MAX_N_CTX = 1 << 30


def load_files(source: str, place: Path, device: str) -> LoadedModel:
    """The model in `place`: a Hugging Face folder, or a GGUF file.

    Raises:
        MissingError: a file, the memory or the package for it is not there.
        DamagedError: a file cannot be read, or is not a causal language model.
    """
    if place.is_file():
        n_numbers = count_gguf_numbers(place)
        check_gguf_package(place)
        folder, config, extra = place.parent, {}, {"gguf_file": place.name}
        check_memory(n_numbers, place.name)
    else:
        folder, config, extra = place, checked_files(place), {}
        check_memory(count_parameters(place), place.name)
        check_layers(config, place)
    with LOADING:
        try:
            return _loaded(source, folder, config, extra, device)
        except TinysaeError:
            raise
        except Exception as problem:
            # A config may say anything of itself, and each library believes another
            # part of it.
            raise DamagedError(
                "model_unsupported", folder=place.name, kind=_kind(config)
            ) from problem


def _loaded(
    source: str,
    folder: Path,
    config: dict[str, Any],
    extra: dict[str, Any],
    device: str,
) -> LoadedModel:
    """`load_files` of files that have been looked at; `extra` is for transformers."""
    name = extra.get("gguf_file", folder.name)
    import_libraries()
    from tokenizers import Tokenizer
    from transformers.utils import logging

    # Its progress bars are for downloads; here they would fill the server's log.
    logging.disable_progress_bar()
    tokenizer = _tokenizer(folder, extra)
    # Any: transformers' modules are not typed well enough to say more.
    model: Any = _weights(folder, config, extra)
    if not _is_known(model):
        raise DamagedError("model_unsupported", folder=name, kind=_kind(config))
    model.to(device)
    # The Bridge rebuilds the model it is given around its hooks, so this is copied
    # before.
    plain: Any = lean_copy(model)

    # Its own from here on: the Bridge reads another.
    backend: Tokenizer = tokenizer.backend_tokenizer
    backend.encode_special_tokens = True
    backend.no_truncation()
    backend.no_padding()

    n_embedded = plain.get_input_embeddings().weight.shape[0]
    if backend.get_vocab_size(with_added_tokens=True) > n_embedded:
        raise DamagedError("model_vocabulary", folder=name)
    eos_ids = _ids(tokenizer.eos_token_id, config.get("eos_token_id"))
    starts = _ids(tokenizer.bos_token_id, config.get("bos_token_id")) or eos_ids
    starts = [token_id for token_id in starts if token_id < n_embedded]
    if not starts:
        raise DamagedError("model_no_bos", folder=name)

    shape = model.config.get_text_config()
    n_ctx = _n_ctx(shape, tokenizer)
    if n_ctx is None:
        raise DamagedError("model_unsupported", folder=name, kind=_kind(config))
    return LoadedModel(
        source=source,
        make_bridge=partial(_bridge, model, folder, extra, device),
        plain=plain,
        backend=backend,
        d_model=shape.hidden_size,
        n_layers=shape.num_hidden_layers,
        n_ctx=n_ctx,
        d_vocab=n_embedded,
        n_parameters=sum(parameter.numel() for parameter in plain.parameters()),
        bos_id=starts[0],
        eos_ids=frozenset(eos_ids),
    )


def _n_ctx(shape: Any, tokenizer: Any) -> int | None:
    """The longest context that the model was made for; None where nothing says."""
    for name in N_CTX_NAMES:
        n_ctx = getattr(shape, name, None)
        if isinstance(n_ctx, int) and n_ctx > 0:
            return n_ctx
    limit = tokenizer.model_max_length
    # transformers' word for "no limit" is a number beyond any.
    return int(limit) if 0 < limit <= MAX_N_CTX else None


def _is_known(model: Any) -> bool:
    """Whether TransformerLens has a view of models of this kind."""
    from transformer_lens.factories.architecture_adapter_factory import (
        SUPPORTED_ARCHITECTURES,
    )

    return type(model).__name__ in SUPPORTED_ARCHITECTURES


def _bridge(model: Any, folder: Path, extra: Mapping[str, Any], device: str) -> Any:
    from transformer_lens.model_bridge import TransformerBridge

    try:
        bridge = TransformerBridge.boot_transformers(
            str(folder),
            hf_model=model,
            tokenizer=_tokenizer(folder, extra),
            device=device,
        )
        return bridge.eval()
    except Exception as problem:
        kind = type(model).__name__[:60]
        raise DamagedError(
            "model_unsupported", folder=folder.name, kind=kind
        ) from problem


def _tokenizer(folder: Path, extra: Mapping[str, Any]) -> Any:
    from tokenizers import Tokenizer
    from transformers import AutoTokenizer

    def read(**settings: Any) -> Any:
        return AutoTokenizer.from_pretrained(
            str(folder), local_files_only=True, trust_remote_code=False, **settings
        )

    try:
        try:
            # As the Bridge wants it: without this it would read the files once more.
            tokenizer = read(add_bos_token=True, **extra)
        except ValueError:
            # No BOS, or one that cannot be put in front.
            tokenizer = read(**extra)
        # Only the Rust tokenizers can give back exact pieces.
        if not isinstance(tokenizer.backend_tokenizer, Tokenizer):
            raise TypeError("not a Rust tokenizer")
    except Exception as problem:
        raise DamagedError(
            "model_file_damaged",
            folder=folder.name,
            file=extra.get("gguf_file", "tokenizer.json"),
        ) from problem
    return tokenizer


def _weights(folder: Path, config: Mapping[str, Any], extra: Mapping[str, Any]) -> Any:
    import torch
    from transformers import AutoModelForCausalLM

    try:
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            str(folder),
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            dtype=torch.float32,
            # The Bridge reads attention scores, which only this one computes.
            attn_implementation="eager",
            output_loading_info=True,
            **extra,
        )
    except Exception as problem:
        raise DamagedError(
            "model_unsupported", folder=folder.name, kind=_kind(config)
        ) from problem
    model, report = loaded
    # Not the file, mapped: who saves another model over it would end this process.
    for tensor in (*model.parameters(), *model.buffers()):
        tensor.data = tensor.data.clone()
    # transformers fills gaps with random numbers and a warning: never good here.
    gaps = sorted({*report["missing_keys"], *report["mismatched_keys"]}, key=str)
    if gaps:
        raise DamagedError(
            "model_weights_missing", folder=folder.name, weight=str(gaps[0])
        )
    return model.eval()


def _kind(config: Mapping[str, Any]) -> str:
    return str(config.get("model_type", "?"))[:60]


def _ids(*candidates: int | Sequence[int] | None) -> list[int]:
    """All ids among `candidates`, in order: configs name one, several or none."""
    ids: list[int] = []
    for candidate in candidates:
        listed = candidate if isinstance(candidate, list | tuple) else [candidate]
        ids += [token_id for token_id in listed if isinstance(token_id, int)]
    return ids
