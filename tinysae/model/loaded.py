"""A language model that is ready to run, and how text becomes its tokens and back."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tinysae.errors import InputError
from tinysae.model.hooks import HookPlace, verified_hooks
from tinysae.model.libraries import LOADING
from tinysae.model.text.pieces import (
    ByteStream,
    TextStream,
    WindowStream,
    is_byte_level,
    token_texts,
)
from tinysae.model.text.vocabulary import Vocabulary, vocabulary_of
from tinysae.render.visible import encodable

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from torch import Tensor
    from transformer_lens.model_bridge import TransformerBridge
    from transformers import PreTrainedModel


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A language model ready to run, shared by everybody in this process.

    Attributes:
        source: what it was loaded from, as it was typed (`model.sources`).
        make_bridge: makes `bridge`, under `libraries.LOADING`.
        plain: the same weights as a bare Hugging Face model with fast attention, for
            generation, log-probs and activations: see `tinysae.model.lean`.
        backend: the tokenizer, which reads special tokens as plain text.
        bos_id: the token every text starts with.
        lock: whoever runs the model holds it; the functions of this package do. Taken
            before `libraries.LOADING`, never after it.
    """

    source: str
    make_bridge: Callable[[], TransformerBridge]
    plain: PreTrainedModel
    backend: Tokenizer
    d_model: int
    n_layers: int
    n_ctx: int
    d_vocab: int
    n_parameters: int
    bos_id: int
    eos_ids: frozenset[int]
    lock: threading.RLock = field(default_factory=threading.RLock)
    _made: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def bridge(self) -> TransformerBridge:
        """TransformerLens's view of the model, with hooks, made when it is first asked
        for; weights are Hugging Face's own (LayerNorm is not folded).

        Raises:
            DamagedError: TransformerLens cannot view it.
        """
        return self._once("bridge", self.make_bridge)

    @property
    def hooks(self) -> Mapping[str, HookPlace]:
        """Where in `plain` each hook is; the names are TransformerLens's."""
        return self._verified[0]

    @property
    def hook_widths(self) -> dict[str, int]:
        """Hook name -> width d of its activations [batch, pos, d]."""
        return self._verified[1]

    @property
    def vocabulary(self) -> Vocabulary:
        """What every token stands for by itself: [d_vocab]."""
        return self._once(
            "vocabulary", lambda: vocabulary_of(self.backend, self.d_vocab)
        )

    @property
    def _verified(self) -> tuple[dict[str, HookPlace], dict[str, int]]:
        return self._once(
            "hooks", lambda: verified_hooks(self.bridge, self.plain, self.bos_id)
        )

    def find_hooks(self) -> None:
        """Finds the hooks now, rather than when they are first asked for."""
        _ = self._verified

    def _once(self, name: str, make: Callable[[], Any]) -> Any:
        if name not in self._made:
            with self.lock, LOADING:
                if name not in self._made:
                    self._made[name] = make()
        return self._made[name]

    def encode(self, text: str) -> list[int]:
        """Token ids of `text`, without BOS; special tokens in it are plain text."""
        return self.backend.encode(encodable(text), add_special_tokens=False).ids

    def encode_many(self, texts: Iterable[str]) -> list[list[int]]:
        """`encode` of each text, on all cores."""
        encodings = self.backend.encode_batch_fast(
            [encodable(text) for text in texts], add_special_tokens=False
        )
        return [encoding.ids for encoding in encodings]

    def decode(self, ids: Sequence[int], after: Sequence[int] = ()) -> str:
        """The text of `ids`; bytes that are no character become U+FFFD.

        With `after`, what they add to the text of those ids: most tokenizers leave out
        the space with which a text begins, and it would be gone between the two.
        """
        return "".join(self.token_texts(ids, after))

    def token_texts(self, ids: Sequence[int], after: Sequence[int] = ()) -> list[str]:
        """The piece of text of each token; joined they are `decode` exactly.

        A character cut in two by the tokenizer (Korean, emoji) stands whole at the
        token that completes it; the tokens before it hold the empty string.
        """
        return token_texts(self.text_stream(after), ids)

    def token_text(self, token_id: int) -> str:
        """The text of a token by itself: see `Vocabulary.text`."""
        return self.vocabulary.text(token_id)

    def text_stream(self, after: Sequence[int] = ()) -> TextStream:
        """A fresh `TextStream`, for text that is shown while it is written after the
        text of other ids."""
        stream: TextStream = (
            ByteStream(self.vocabulary.token_bytes)
            if is_byte_level(self.backend)
            else WindowStream(self.backend)
        )
        token_texts(stream, after)
        return stream

    def to_input(self, ids: Sequence[int]) -> Tensor:
        """What the model reads for a text: [1, 1 + len(ids)], BOS first.

        Raises:
            InputError: an id that is not in the vocabulary, or more than the context.
        """
        import torch

        if len(ids) + 1 > self.n_ctx:
            raise InputError("text_beyond_context", n=len(ids), limit=self.n_ctx - 1)
        self.check_ids(ids)
        return torch.tensor([[self.bos_id, *ids]], device=self.plain.device)

    def check_ids(self, ids: Sequence[int]) -> None:
        """Refuses what is no token of this model.

        Raises:
            InputError: an id that is not in the vocabulary; it names the last one.
        """
        if any(not 0 <= token_id < self.d_vocab for token_id in ids):
            raise InputError("token_out_of_range", limit=self.d_vocab - 1)

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
