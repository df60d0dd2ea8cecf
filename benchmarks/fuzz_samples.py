"""Small valid samples of what people bring and links carry, for `fuzz_targets.py`.

Each is made in a folder that is also the home (`TINYSAE_HOME`).
"""

from __future__ import annotations

import gzip
import json
import os
import struct
from pathlib import Path

from benchmarks.fuzz_jobs import RUN_ID

FINGERPRINT, D_SAE, D_MODEL = "0" * 64, 12, 8
TEXT = "Once upon a time there was a cat named Lily. "


def write_notes(home: Path) -> None:
    from tinysae.features.names.notes import Notes

    os.environ["TINYSAE_HOME"] = str(home)
    notes = Notes(FINGERPRINT, D_SAE)
    notes.keep(3, text="about “cats”", bookmarked=True)
    notes.keep(5, bookmarked=True)


def write_lessons(home: Path) -> None:
    from importlib.resources import files

    from tinysae.lessons.progress import keep_answer

    os.environ["TINYSAE_HOME"] = str(home)
    keep_answer("first", 1, {"n": 2.0, "answer": "Lily"})
    keep_answer("own", 2, {"n": 1})
    (home / "lessons").mkdir()
    shipped = sorted(
        (path for path in files("tinysae.lessons").iterdir() if ".json" in path.name),
        key=lambda path: path.name,
    )
    (home / "lessons" / "own.json").write_bytes(shipped[0].read_bytes())


def write_sae(home: Path) -> None:
    import numpy as np
    from safetensors.numpy import save_file

    folder = home / "saes" / "own"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    W_dec = rng.normal(size=(D_SAE, D_MODEL)).astype(np.float32)
    weights = {"W_enc": W_dec.T.copy(), "W_dec": W_dec}
    weights |= {"b_enc": np.zeros(D_SAE, np.float32) - 1}
    weights |= {"b_dec": np.zeros(D_MODEL, np.float32)}
    save_file(weights, folder / "sae_weights.safetensors")
    sparsity = {"sparsity": np.zeros(D_SAE, np.float32)}
    save_file(sparsity, folder / "sparsity.safetensors")
    cfg = {
        "architecture": "standard",
        "d_in": D_MODEL,
        "d_sae": D_SAE,
        "normalize_activations": "none",
        "apply_b_dec_to_input": False,
        "metadata": {
            "hook_name": "blocks.0.hook_mlp_out",
            "model_name": "storybook",
            "context_size": 16,
        },
    }
    (folder / "cfg.json").write_text(json.dumps(cfg))
    (folder / "runner_cfg.json").write_text(json.dumps({"dataset_path": "storybook"}))


def write_zip(home: Path) -> None:
    from tinysae.library.archive import write_zip

    write_sae(home)
    with (home / "own.zip").open("wb") as out:
        write_zip(home / "saes" / "own", out, "own", card="# An SAE")


def write_model(home: Path) -> Path:
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

    folder = home / "model"
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    end = "<|endoftext|>"
    trainer = trainers.BpeTrainer(
        vocab_size=280,
        special_tokens=[end],
        initial_alphabet=alphabet,
        show_progress=False,
    )
    tokenizer.train_from_iterator([TEXT], trainer)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=end, eos_token=end, unk_token=end
    ).save_pretrained(folder)
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=tokenizer.get_vocab_size(),
        n_embd=D_MODEL,
        n_layer=1,
        n_head=2,
        n_positions=32,
        bos_token_id=0,
        eos_token_id=0,
    )
    GPT2LMHeadModel(config).save_pretrained(folder)
    return folder


# Kinds of values in a GGUF file.
U32, F32, STRING, ARRAY = 4, 6, 8, 9


def write_gguf(home: Path) -> None:
    """A whole one, by hand: three kinds of entries, two tensors, float32."""
    heads = (
        _string("general.architecture") + _u32(STRING) + _string("gpt2"),
        _string("gpt2.block_count") + _u32(U32, 1),
        _string("gpt2.attention.layer_norm_epsilon")
        + _u32(F32)
        + struct.pack("<f", 1e-5),
        _string("tokenizer.ggml.scores")
        + _u32(ARRAY, F32)
        + struct.pack("<Q3f", 3, *(0.0, 1.0, 2.0)),
        _string("tokenizer.ggml.tokens")
        + _u32(ARRAY, STRING)
        + struct.pack("<Q", 3)
        + b"".join(map(_string, ("a", "나", " cat"))),
    )
    tensors = (
        _string("token_embd.weight") + _u32(2) + struct.pack("<QQIQ", 8, 3, 0, 0),
        _string("output_norm.weight") + _u32(1) + struct.pack("<QIQ", 8, 0, 96),
    )
    sizes = struct.pack("<QQ", len(tensors), len(heads))
    data = b"GGUF" + _u32(3) + sizes + b"".join(heads + tensors)
    data += bytes(-len(data) % 32) + bytes(96 + 32)
    (home / "model.gguf").write_bytes(data)


def _u32(*numbers: int) -> bytes:
    return struct.pack(f"<{len(numbers)}I", *numbers)


def _string(text: str) -> bytes:
    return struct.pack("<Q", len(text.encode())) + text.encode()


# Of what a rule is about, by the kind of its clause.
CLAUSES = {
    "token": (" cat", "."),
    "word": ("cat", "   "),
    "after": ("the", '"'),
    "phrase": ("the cat", "a ."),
    "next": ("cat", "\n"),
    "before": ("once", ","),
    "recent": ("Lily",),
    "shape": ("number", "word"),
    "fires_on": ("pet",),
    "about_to": ("pet",),
}


def write_labels(home: Path) -> None:
    """Of every kind, with rules."""
    from typing import get_args

    from tinysae.features.names.label_file import FORMAT, LABELS_NAME
    from tinysae.features.names.labels import LabelKind

    scores = dict.fromkeys(("precision", "recall", "f1", "detection", "firing_f1"), 0.9)
    told = {"tokens": [" cat", "   "], "pushes": [" dog"], "n_pushes": 2, "number": 2}
    kinds = get_args(LabelKind)
    labels = [
        {
            "text": "cats",
            "kind": kinds[n % len(kinds)],
            "concept": "pet",
            "clauses": [{"kind": kind, "what": what, "n": 3, "place": "in_speech"}],
            "n_clauses": 2,
            **scores,
            **told,
        }
        for n, (kind, what) in enumerate(CLAUSES.items())
    ]
    data = json.dumps({"format": FORMAT, "labels": labels}).encode()
    (home / LABELS_NAME).write_bytes(gzip.compress(data, mtime=0))


def write_themes(home: Path) -> None:
    """Of both ways to be called."""
    from tinysae.features.names.theme_file import Theme, Themes, write_themes

    themes = Theme("animals"), Theme("function", is_kind=False)
    write_themes(home, Themes(themes, (0, 1, -1, 0)))


def write_index(home: Path) -> None:
    import numpy as np
    import pyarrow.parquet as pq

    from tinysae.features.index.build import build_index
    from tinysae.features.index.format import ROWS_A_GROUP
    from tinysae.features.index.history import keep_moment
    from tinysae.features.names.label_file import write_labels
    from tinysae.features.names.labels import Label
    from tinysae.model.sources import load_model
    from tinysae.sae.load import load_sae

    write_sae(home)
    model = load_model(str(write_model(home)))
    ids = (model.encode(TEXT) * 20)[: 16 * 15]
    chunks = np.asarray(ids, np.int32).reshape(-1, 16)
    index = build_index(
        load_sae(home / "saes" / "own"),
        model,
        iter(chunks),
        home / "features",
        n_tokens=chunks.size,
        layout="pca",
    )
    keep_moment(home / "history", 5, index)
    # Its writer gives each page a checksum; who means harm does not.
    features = home / "features" / "features.parquet"
    table = pq.read_table(features)
    pq.write_table(table, features, row_group_size=ROWS_A_GROUP)
    named = Label("cats", "fires_on", precision=0.5, recall=0.5, f1=0.5)
    write_labels(home / "features", [named] * D_SAE)


def _rows() -> list[str]:
    return [f"{TEXT}{n} 나비 🦋" for n in range(50)]


def write_plain(home: Path) -> None:
    (home / "text.txt").write_text("<|endoftext|>".join(_rows()))
    lines = (json.dumps({"text": row, "n": n}) for n, row in enumerate(_rows()))
    (home / "text.jsonl").write_text("\n".join(lines))
    ids = (json.dumps({"input_ids": [n, 2, 3]}) for n in range(50))
    (home / "ids.jsonl").write_text("\n".join(ids))


def write_tables(home: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table({"text": _rows(), "n": list(range(50))})
    pq.write_table(table, home / "text.parquet", compression="zstd", row_group_size=20)
    pq.write_table(pa.table({"ids": [[1, 2, 3]] * 50}), home / "ids.parquet")
    with pa.ipc.new_file(str(home / "text.arrow"), table.schema) as out:
        out.write_table(table, max_chunksize=20)
    with pa.ipc.new_stream(str(home / "stream.arrow"), table.schema) as out:
        out.write_table(table)


def write_suite(home: Path) -> None:
    rows = "".join(f'"{TEXT}{n}", Lily\n' for n in range(20))
    (home / "suite.csv").write_text(f"prompt,answer\n{rows}")


def write_link(home: Path) -> None:
    from tinysae.model.text.generate import GenerateSettings
    from tinysae.model.text.state import State, packed

    settings = GenerateSettings(temperature=0.5, top_k=5, top_p=0.9, seed=3)
    state = State(view="ranks", prompt=TEXT, settings=settings, n_samples=3, keep="end")
    (home / "play.link").write_text(packed(state))


PATHS = (
    *("/", "/dev/zero", "/proc/self/mem", "/proc/self/pagemap", "~nosuchuser/a.txt"),
    *("~", "a" * 300, "/" * 5000, "a\0b.txt", "file:///etc/passwd", "C:\\a.txt"),
    *("\ud800.txt", "..", "./", "name/model", "org/name@main", "/dev/stdin.zip"),
    *("../" * 99 + "dev/urandom", "/proc/1/root/a.jsonl", "storybook", "%2e%2e/a.zip"),
)


def write_paths(home: Path) -> None:
    for number, path in enumerate(PATHS):
        (home / f"{number:02}.json").write_text(json.dumps([path]))


def write_others(home: Path) -> None:
    from tinysae.jobs.files import make_folder, write_json

    transfer = home / "transfers" / RUN_ID
    make_folder(transfer)
    request = {"kind": "hub", "repo_id": "a/b", "subfolder": "", "revision": "main"}
    write_json(transfer / "request.json", request)
    write_json(transfer / "result.json", {"sae": "sae-1", "url": "https://x/y"})
    pin = {"revision": "1" * 40, "sha256": "2" * 64}
    write_json(home / "model_pins.json", {"EleutherAI/pythia-14m": pin})
    index = home / "indexes" / FINGERPRINT
    make_folder(index)
    write_json(index / "source.json", {"path": str(home / "saes"), "model": "x"})
    shown = {
        "feature": 1,
        "max_act": 2.0,
        "density": 0.1,
        "texts": ["a", "b"],
        "activations": [1.0, 0.0],
        "fires_on": ["a"],
        "promotes": ["b"],
        "lost": 0.5,
    }
    write_json(home / "showcase.json", {"format": 1, "features": [shown]})
