"""A tiny random language model on disk: nothing is downloaded, built in a blink."""

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    GPTNeoConfig,
    GPTNeoForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

from tinysae.model.libraries import LOADING

BOS = "<|endoftext|>"
N_CTX = 64
CORPUS = (
    "Once upon a time, there was a little girl named Lily. She lived in a big house.",
    "One day, a boy named Tom found a red ball. He was happy and ran to the park.",
)


def save_tokenizer(folder: Path) -> int:
    """Byte-level BPE with `BOS`, trained on `CORPUS`; returns its size."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=[BOS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS * 2, trainer)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=BOS, eos_token=BOS, unk_token=BOS
    ).save_pretrained(folder)
    return tokenizer.get_vocab_size()


def save_model(model: PreTrainedModel, folder: Path) -> None:
    """Random weights, large enough that its distributions are far from flat."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(0, 0.25, generator=generator)
    model.save_pretrained(folder)


def build_tiny_model(folder: Path, **changes: Any) -> Path:
    """A GPT-Neo of two layers (one sees only 8 tokens back) saved in `folder`."""
    n_vocabulary = save_tokenizer(folder)
    config = GPTNeoConfig(
        **{
            "vocab_size": n_vocabulary,
            "hidden_size": 32,
            "num_layers": 2,
            "num_heads": 4,
            "max_position_embeddings": N_CTX,
            "attention_types": [[["global", "local"], 1]],
            "window_size": 8,
            "bos_token_id": 0,
            "eos_token_id": 0,
            **changes,
        }
    )
    # The warm-up of a page's test may be loading a model just now.
    with LOADING:
        model = GPTNeoForCausalLM(config)
    save_model(model, folder)
    return folder
