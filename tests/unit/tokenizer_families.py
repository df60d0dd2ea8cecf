"""Tiny models that differ as the models of the world do: in how text becomes tokens,
and in what stands between layers. Nothing is downloaded.

Each has the alphabets of `TEXTS`: byte-level BPE and SentencePiece's BPE, which falls
back on bytes, can read anything; unigram and WordPiece what they were trained on.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from tokenizers import (
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    trainers,
)
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    PhiConfig,
    PhiForCausalLM,
    PreTrainedTokenizerFast,
)

from tests.unit.tiny_model import save_model
from tinysae.model.libraries import LOADING


class Text(NamedTuple):
    """A text, and a word that goes on from it after a space."""

    prompt: str
    answer: str


TEXTS = (
    Text("Once upon a time, there was a little girl named", "Lily"),
    Text("Жила одна девочка. Её звали", "Лиля"),
    Text("옛날 옛적에 아이가 살았어요. 이름은", "릴리"),
    Text("كانت هناك فتاة صغيرة اسمها", "ليلى"),
    Text("एक समय की बात है. लड़की का नाम था", "लिली"),
)
CORPUS = [f"{prompt} {answer}, {prompt} {answer}." for prompt, answer in TEXTS] + [
    "Lily named a girl.",
    "She was a happy girl, and little Lily ran.",
]
# A text of bytes is long.
N_CTX = 128
SPECIAL = ("<unk>", "<s>", "</s>")


def _byte_level() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    return tokenizer


def _sentencepiece_bpe() -> Tokenizer:
    """As Llama's: bytes first, then pieces of which single characters come last."""
    trained = Tokenizer(models.BPE())
    # Marks are pieces of their own.
    trained.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Metaspace(), pre_tokenizers.Punctuation()]
    )
    trainer = trainers.BpeTrainer(vocab_size=200, show_progress=False)
    # Two scripts are pieces; the others are bytes.
    trained.train_from_iterator([*CORPUS[:2], *CORPUS[5:]] * 2, trainer)
    learned = json.loads(trained.to_str())["model"]
    pieces = sorted(learned["vocab"], key=lambda piece: (len(piece) == 1, piece))
    every = [*SPECIAL, *(f"<0x{byte:02X}>" for byte in range(256)), *pieces]
    tokenizer = Tokenizer(
        models.BPE(
            {piece: token for token, piece in enumerate(every)},
            [tuple(merge) for merge in learned["merges"]],
            unk_token="<unk>",
            fuse_unk=True,
            byte_fallback=True,
        )
    )
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    tokenizer.add_special_tokens(list(SPECIAL))
    return tokenizer


def _unigram() -> Tokenizer:
    """As T5's and XLNet's."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Replace(Regex(" {2,}"), " ")
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=200,
        special_tokens=list(SPECIAL),
        unk_token="<unk>",
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS * 5, trainer)
    return tokenizer


def _wordpiece() -> Tokenizer:
    """As BERT's."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    trainer = trainers.WordPieceTrainer(
        vocab_size=300, special_tokens=list(SPECIAL), show_progress=False
    )
    tokenizer.train_from_iterator(CORPUS * 2, trainer)
    return tokenizer


def _gpt_neox(**sizes: Any) -> GPTNeoXForCausalLM:
    """Attention and MLP side by side, rotary positions, LayerNorm."""
    return GPTNeoXForCausalLM(
        GPTNeoXConfig(
            hidden_size=32,
            num_hidden_layers=3,
            num_attention_heads=4,
            intermediate_size=64,
            max_position_embeddings=N_CTX,
            use_parallel_residual=True,
            **sizes,
        )
    )


def _llama(**sizes: Any) -> LlamaForCausalLM:
    """RMSNorm, four heads of queries that share two of keys, a gated MLP."""
    return LlamaForCausalLM(
        LlamaConfig(
            hidden_size=32,
            num_hidden_layers=4,
            num_attention_heads=4,
            num_key_value_heads=2,
            intermediate_size=64,
            max_position_embeddings=N_CTX,
            **sizes,
        )
    )


def _phi(**sizes: Any) -> PhiForCausalLM:
    """Attention and MLP side by side after one LayerNorm."""
    return PhiForCausalLM(
        PhiConfig(
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=4,
            intermediate_size=64,
            max_position_embeddings=N_CTX,
            **sizes,
        )
    )


def _gpt2(**sizes: Any) -> GPT2LMHeadModel:
    return GPT2LMHeadModel(
        GPT2Config(n_embd=32, n_layer=2, n_head=4, n_positions=N_CTX, **sizes)
    )


FAMILIES: dict[str, tuple[Callable[[], Tokenizer], Callable[..., Any]]] = {
    "byte-level": (_byte_level, _gpt_neox),
    "sentencepiece": (_sentencepiece_bpe, _llama),
    "unigram": (_unigram, _phi),
    "wordpiece": (_wordpiece, _gpt2),
}


def build_family(name: str, folder: Path) -> Path:
    """A random model of that family, saved in `folder`."""
    make_tokenizer, make_model = FAMILIES[name]
    tokenizer = make_tokenizer()
    unk, bos, eos = SPECIAL
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=bos, eos_token=eos, unk_token=unk
    ).save_pretrained(folder)
    with LOADING:
        model = make_model(
            vocab_size=tokenizer.get_vocab_size(),
            bos_token_id=tokenizer.token_to_id(bos),
            eos_token_id=tokenizer.token_to_id(eos),
        )
    save_model(model, folder)
    return folder
