"""Repositories for the hub of the tests, built when they are asked for.

`tutorial_model` has the shape of roneneldan/TinyStories-1Layer-21M: its list of files,
its config's keys, GPT-2's 50,257 tokens in GPT-2's files, and weights as the pickle
that it ships. Only the widths are small, and the weights random.
"""

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import GPTNeoConfig, GPTNeoForCausalLM

from tinysae.data.storybook import stories
from tinysae.model.libraries import LOADING

TUTORIAL_MODEL = "roneneldan/TinyStories-1Layer-21M"
TUTORIAL_DATASET = "apollo-research/roneneldan-TinyStories-tokenizer-gpt2"
END = "<|endoftext|>"
N_MERGES = 50_000
# Merges that are learnt from stories; the others only fill GPT-2's number up.
N_LEARNT = 1_500
END_ID = 256 + N_MERGES
N_CTX = 2048

GITATTRIBUTES = """\
*.bin filter=lfs diff=lfs merge=lfs -text
*.parquet filter=lfs diff=lfs merge=lfs -text
*.safetensors filter=lfs diff=lfs merge=lfs -text
"""


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
    _write(folder / "vocab.json", vocabulary)
    (folder / "merges.txt").write_text(
        "\n".join(["#version: 0.2", *(" ".join(pair) for pair in merges), ""]),
        encoding="utf-8",
    )
    _write(
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
    _write(folder / "special_tokens_map.json", named)
    _write(
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


def tutorial_model(folder: Path, *, hidden_size: int = 32, num_heads: int = 4) -> Path:
    """The tutorial's model in small: 50,257 tokens, one layer, 2,048 positions."""
    gpt2_tokenizer(folder)
    config: dict[str, Any] = {
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
    _write(folder / "config.json", config)
    _write(
        folder / "generation_config.json",
        {"bos_token_id": END_ID, "eos_token_id": END_ID, "_from_model_config": True},
    )
    with LOADING:
        model = GPTNeoForCausalLM(GPTNeoConfig(**config))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(0, 0.25, generator=generator)
    weights = dict(model.state_dict())
    # What transformers saved at the time beside the weights.
    prefix = "transformer.h.0.attn.attention"
    weights[f"{prefix}.bias"] = torch.tril(
        torch.ones(1, 1, N_CTX, N_CTX, dtype=torch.bool)
    )
    weights[f"{prefix}.masked_bias"] = torch.tensor(-1e9)
    torch.save(weights, folder / "pytorch_model.bin")
    # Arguments of the training: a pickle with code in it, which nobody must open.
    (folder / "training_args.bin").write_bytes(b"\x80\x04cos\nsystem\n(S'false'\ntR.")
    (folder / ".gitattributes").write_text(GITATTRIBUTES)
    (folder / "README.md").write_text("A model of the tests, with random weights.\n")
    return folder


def _write(path: Path, data: Any) -> None:
    path.write_text(json.dumps(data, ensure_ascii=False), encoding="utf-8")
