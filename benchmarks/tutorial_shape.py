"""The shape of roneneldan/TinyStories-1Layer-21M, the tutorial's model, unlearnt.

Its config's keys and GPT-2's 50,257 tokens in GPT-2's files, of which the first merges
are learnt from stories and the others only fill the number up.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import GPTNeoConfig, GPTNeoForCausalLM

from tinysae.data.storybook.generator import stories

HIDDEN_SIZE, N_HEADS = 1024, 16
END = "<|endoftext|>"
N_MERGES = 50_000
# Merges that are learnt from stories.
N_LEARNT = 1_500
END_ID = 256 + N_MERGES
N_CTX = 2048


def random_tutorial_model(folder: Path) -> Path:
    """`folder` with the model's tokenizer, its config and random weights."""
    folder.mkdir(exist_ok=True)
    gpt2_tokenizer(folder)
    torch.manual_seed(0)
    config = GPTNeoConfig(**tutorial_config(HIDDEN_SIZE, N_HEADS))
    GPTNeoForCausalLM(config).save_pretrained(folder)
    return folder


def tutorial_config(hidden_size: int, num_heads: int) -> dict[str, Any]:
    """What its `config.json` says, at these widths."""
    return {
        "architectures": ["GPTNeoForCausalLM"],
        "activation_function": "gelu_new",
        "attention_dropout": 0,
        "attention_layers": ["global"],
        "attention_types": [[["global"], 1]],
        "bos_token_id": END_ID,
        "embed_dropout": 0,
        "eos_token_id": END_ID,
        "gradient_checkpointing": False,
        "hidden_size": hidden_size,
        "initializer_range": 0.02,
        "intermediate_size": None,
        "layer_norm_epsilon": 1e-05,
        "max_position_embeddings": N_CTX,
        "model_type": "gpt_neo",
        "num_heads": num_heads,
        "num_layers": 1,
        "resid_dropout": 0,
        "summary_activation": None,
        "summary_first_dropout": 0.1,
        "summary_proj_to_labels": True,
        "summary_type": "cls_index",
        "summary_use_proj": True,
        "torch_dtype": "float32",
        "transformers_version": "4.28.1",
        "use_cache": True,
        "vocab_size": END_ID + 1,
        "window_size": 256,
    }


def gpt2_tokenizer(folder: Path) -> None:
    """GPT-2's tokenizer files, with as many tokens and its special token's number."""
    learner = Tokenizer(models.BPE())
    learner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    learner.train_from_iterator(
        (story.text for story in islice(stories(0), 200)),
        trainers.BpeTrainer(
            vocab_size=256 + N_LEARNT, initial_alphabet=alphabet, show_progress=False
        ),
    )
    learnt = json.loads(learner.to_str())["model"]
    merges = list(_merges(alphabet, [tuple(pair) for pair in learnt["merges"]]))
    tokens = [*alphabet, *(left + right for left, right in merges), END]
    vocabulary = {token: index for index, token in enumerate(tokens)}
    special = {"content": END, "special": True, "normalized": True, "lstrip": False}
    special |= {"rstrip": False, "single_word": False}
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
    write_json(folder / "vocab.json", vocabulary)
    (folder / "merges.txt").write_text(
        "\n".join(["#version: 0.2", *(" ".join(pair) for pair in merges), ""]),
        encoding="utf-8",
    )
    write_json(
        folder / "tokenizer.json",
        {
            "version": "1.0",
            "added_tokens": [{"id": END_ID, **special}],
            "pre_tokenizer": byte_level,
            "post_processor": byte_level,
            "decoder": byte_level,
            "model": {
                "type": "BPE",
                "unk_token": None,
                "continuing_subword_prefix": "",
                "end_of_word_suffix": "",
                "fuse_unk": False,
                "vocab": vocabulary,
                "merges": [" ".join(pair) for pair in merges],
            },
        },
    )
    named = dict.fromkeys(("bos_token", "eos_token", "unk_token"), END)
    write_json(folder / "special_tokens_map.json", named)
    write_json(
        folder / "tokenizer_config.json",
        {
            **named,
            "add_prefix_space": False,
            "errors": "replace",
            "model_max_length": N_CTX,
            "tokenizer_class": "GPT2Tokenizer",
        },
    )


def _merges(
    alphabet: list[str], learnt: list[tuple[str, str]]
) -> Iterator[tuple[str, str]]:
    """`N_MERGES` pairs whose joined texts all differ: the learnt ones come first."""
    known = {*alphabet, *(left + right for left, right in learnt)}
    yield from learnt
    missing = N_MERGES - len(learnt)
    pieces = [left + right for left, right in learnt]
    for left in pieces:
        for right in alphabet:
            if left + right not in known:
                known.add(left + right)
                yield left, right
                missing -= 1
                if not missing:
                    return


def write_json(path: Path, data: Any) -> None:
    path.write_text(json.dumps(data, ensure_ascii=False), encoding="utf-8")
