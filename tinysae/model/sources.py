"""Where models come from: the embedded one, or a Hugging Face folder on this disk.

Nothing here touches the network, runs code that a folder brings along, or opens a
pickle. Adding a kind of source: one branch in `_directory_of`.
"""

from __future__ import annotations

import json
import logging
import struct
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinysae.errors import DamagedError, InputError, MissingError
from tinysae.model.hooks import HookPlace, verified_hooks
from tinysae.model.lean import lean_copy
from tinysae.model.libraries import LOADING, import_libraries
from tinysae.model.texts import (
    ByteStream,
    TextStream,
    WindowStream,
    bytes_of_tokens,
    token_texts,
)

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from torch import Tensor
    from transformer_lens.model_bridge import TransformerBridge
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

logger = logging.getLogger(__name__)

STORYBOOK = "storybook"
STORYBOOK_DIR = Path(__file__).resolve().parents[1] / "assets" / "storybook"

# What a person may type as a source: a path, never a novel.
MAX_SOURCE_CHARACTERS = 4096
# A safetensors header larger than this is not one (its own library's limit).
MAX_HEADER_BYTES = 100_000_000
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A language model ready to run, shared by everybody in this process.

    Attributes:
        source: what it was loaded from: "storybook" or a folder.
        bridge: TransformerLens's view of it, with hooks; weights are Hugging Face's
            own (LayerNorm is not folded).
        plain: the same weights as a bare Hugging Face model with fast attention, for
            generation, log-probs and activations: see `tinysae.model.lean`.
        tokenizer: Hugging Face's tokenizer.
        backend: the same tokenizer in Rust, which reads special tokens as plain text.
        bos_id: the token every text starts with.
        hooks: where in `plain` each hook is; the names are TransformerLens's.
        hook_widths: hook name -> width d of its activations [batch, pos, d].
        lock: whoever runs the model holds it; the functions of this package do.
    """

    source: str
    bridge: TransformerBridge
    plain: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    backend: Tokenizer
    d_model: int
    n_layers: int
    n_ctx: int
    d_vocab: int
    n_parameters: int
    bos_id: int
    eos_ids: frozenset[int]
    hooks: Mapping[str, HookPlace]
    hook_widths: dict[str, int]
    token_bytes: Sequence[bytes] | None
    lock: threading.RLock = field(default_factory=threading.RLock)

    def encode(self, text: str) -> list[int]:
        """Token ids of `text`, without BOS; special tokens in it are plain text."""
        return self.backend.encode(encodable(text), add_special_tokens=False).ids

    def encode_many(self, texts: Iterable[str]) -> list[list[int]]:
        """`encode` of each text, on all cores."""
        encodings = self.backend.encode_batch_fast(
            [encodable(text) for text in texts], add_special_tokens=False
        )
        return [encoding.ids for encoding in encodings]

    def decode(self, ids: Sequence[int]) -> str:
        """The text of `ids`; bytes that are no character become U+FFFD."""
        return "".join(self.token_texts(ids))

    def token_texts(self, ids: Sequence[int]) -> list[str]:
        """The piece of text of each token; joined they are `decode(ids)` exactly.

        A character cut in two by the tokenizer (Korean, emoji) stands whole at the
        token that completes it; the tokens before it hold the empty string.
        """
        return token_texts(self.text_stream(), ids)

    def token_text(self, token_id: int) -> str:
        """The text of a token by itself, never empty.

        Bytes that are no character are said in hexadecimal, and a number without a text
        (an embedding may be larger than its vocabulary) as that number.
        """
        if self.token_bytes is None:
            return self.decode([token_id]) or f"<{token_id}>"
        raw = self.token_bytes[token_id]
        try:
            return raw.decode() or f"<{token_id}>"
        except UnicodeDecodeError:
            return f"<{raw.hex(' ').upper()}>"

    def text_stream(self) -> TextStream:
        """A fresh `TextStream`, for text that is shown while it is written."""
        if self.token_bytes is not None:
            return ByteStream(self.token_bytes)
        return WindowStream(self.backend)

    def to_input(self, ids: Sequence[int]) -> Tensor:
        """What the model reads for a text: [1, 1 + len(ids)], BOS first.

        Raises:
            InputError: an id that is not in the vocabulary, or more than the context.
        """
        import torch

        if len(ids) + 1 > self.n_ctx:
            raise InputError("text_beyond_context", n=len(ids), limit=self.n_ctx - 1)
        if any(not 0 <= token_id < self.d_vocab for token_id in ids):
            raise InputError("token_out_of_range", limit=self.d_vocab - 1)
        return torch.tensor([[self.bos_id, *ids]], device=self.plain.device)

    @property
    def special_tokens(self) -> list[str]:
        """Texts that stand for a special token to other programs ("<|endoftext|>")."""
        added = self.backend.get_added_tokens_decoder().values()
        return sorted(token.content for token in added if token.special)

    @property
    def W_U(self) -> Tensor:
        """The unembedding, [d_model, d_vocab]."""
        unembed: Any = self.plain.get_output_embeddings()
        return unembed.weight.detach().T

    @property
    def final_norm_weight(self) -> Tensor | None:
        """The last normalisation's weight, [d_model]; None when it has none."""
        norm = getattr(self.bridge, "ln_final", None)
        weight = getattr(getattr(norm, "original_component", None), "weight", None)
        return None if weight is None else weight.detach()


def is_at_hand(source: str) -> bool:
    """Whether `source` is on this machine (not whether it can be read)."""
    try:
        _directory_of(source)
    except MissingError:
        return False
    return True


def load_model(source: str, *, device: str = "cpu") -> LoadedModel:
    """The model of `source`: "storybook", or a Hugging Face folder on this disk.

    Raises:
        MissingError: there is no such folder, or a file is missing in it.
        DamagedError: a file cannot be read, or is not a causal language model; of the
            embedded model, whatever is wrong, with how to get it back.
    """
    try:
        folder = _directory_of(source)
        config = _checked_files(folder)
        with LOADING:
            return _loaded(source, folder, config, device)
    except (MissingError, DamagedError) as problem:
        if source != STORYBOOK:
            raise
        # What helps for a folder of one's own does not help for what came along.
        logger.warning("%s", problem, exc_info=problem.__cause__)
        raise DamagedError("storybook_damaged", path=str(STORYBOOK_DIR)) from problem


def _loaded(
    source: str, folder: Path, config: dict[str, Any], device: str
) -> LoadedModel:
    """`load_model` of a folder whose files have been looked at."""
    name = folder.name
    import_libraries()
    from tokenizers import Tokenizer
    from transformer_lens.model_bridge import TransformerBridge
    from transformers.utils import logging

    # Its progress bars are for downloads; here they would fill the server's log.
    logging.disable_progress_bar()
    tokenizer = _tokenizer(folder)
    # Any: transformers' modules are not typed well enough to say more.
    model: Any = _weights(folder, config)
    model.to(device)
    plain: Any = lean_copy(model)
    try:
        # The Bridge rebuilds the model it is given around its hooks, so `plain` is
        # copied before.
        bridge = TransformerBridge.boot_transformers(
            str(folder), hf_model=model, tokenizer=tokenizer, device=device
        )
        bridge.eval()
    except Exception as problem:
        raise DamagedError(
            "model_unsupported", folder=name, kind=_kind(config)
        ) from problem

    backend = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
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

    places, widths = verified_hooks(bridge, plain, starts[0])
    return LoadedModel(
        source=source,
        bridge=bridge,
        plain=plain,
        tokenizer=tokenizer,
        backend=backend,
        d_model=bridge.cfg.d_model,
        n_layers=bridge.cfg.n_layers,
        n_ctx=bridge.cfg.n_ctx,
        d_vocab=n_embedded,
        n_parameters=sum(parameter.numel() for parameter in plain.parameters()),
        bos_id=starts[0],
        eos_ids=frozenset(eos_ids),
        hooks=places,
        hook_widths=widths,
        token_bytes=bytes_of_tokens(backend, n_embedded),
    )


def _directory_of(source: str) -> Path:
    if source == STORYBOOK:
        return STORYBOOK_DIR
    try:
        folder = Path(source[:MAX_SOURCE_CHARACTERS]).expanduser().resolve()
        if source.strip() and folder.is_dir():
            return folder
    except (OSError, RuntimeError, ValueError):
        # Too long a name, no such home, a NUL in it: not a folder in any case.
        pass
    raise MissingError("model_missing", source=source[:200])


def _checked_files(folder: Path) -> dict[str, Any]:
    """The config, after everything that loading would open has been looked at."""
    if not (folder / "config.json").is_file():
        raise MissingError("model_file_missing", folder=folder.name, file="config.json")
    config = _json(folder / "config.json")
    has_tokenizer = (folder / "tokenizer.json").is_file() or all(
        (folder / file).is_file() for file in ("vocab.json", "merges.txt")
    )
    if not has_tokenizer:
        raise MissingError(
            "model_file_missing", folder=folder.name, file="tokenizer.json"
        )
    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        if any(any(folder.glob(pattern)) for pattern in PICKLES):
            raise MissingError("model_only_pickles", folder=folder.name)
        raise MissingError(
            "model_file_missing", folder=folder.name, file="model.safetensors"
        )
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        shards = _json(index).get("weight_map")
        if not isinstance(shards, dict):
            raise DamagedError(
                "model_file_damaged", folder=folder.name, file=index.name
            )
        for shard in sorted(set(map(str, shards.values()))):
            if folder / shard not in weights:
                raise MissingError("model_file_missing", folder=folder.name, file=shard)
    for file in weights:
        if not _is_whole(file):
            raise DamagedError("model_file_damaged", folder=folder.name, file=file.name)
    return config


def _json(file: Path) -> dict[str, Any]:
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as problem:
        raise DamagedError(
            "model_file_damaged", folder=file.parent.name, file=file.name
        ) from problem
    if not isinstance(data, dict):
        raise DamagedError(
            "model_file_damaged", folder=file.parent.name, file=file.name
        )
    return data


def _is_whole(file: Path) -> bool:
    """Whether a safetensors file is as long as its header says: no torn download."""
    try:
        with file.open("rb") as stream:
            (n_header,) = struct.unpack("<Q", stream.read(8))
            if n_header > MAX_HEADER_BYTES:
                return False
            header = json.loads(stream.read(n_header))
        ends = [
            entry["data_offsets"][1]
            for name, entry in header.items()
            if name != "__metadata__"
        ]
        return file.stat().st_size == 8 + n_header + max(ends, default=0)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, struct.error):
        return False


def _tokenizer(folder: Path) -> Any:
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(
            str(folder), local_files_only=True, trust_remote_code=False
        )
        # Only the Rust tokenizers can give back exact pieces.
        tokenizer.backend_tokenizer.to_str()
    except Exception as problem:
        raise DamagedError(
            "model_file_damaged", folder=folder.name, file="tokenizer.json"
        ) from problem
    return tokenizer


def _weights(folder: Path, config: Mapping[str, Any]) -> Any:
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
        )
    except Exception as problem:
        raise DamagedError(
            "model_unsupported", folder=folder.name, kind=_kind(config)
        ) from problem
    model, report = loaded
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


def encodable(text: str) -> str:
    """`text` with lone surrogates, which no encoding has, as U+FFFD."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
