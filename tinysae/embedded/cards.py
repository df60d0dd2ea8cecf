"""The cards beside the embedded model and SAEs: what each is and how good it is."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinysae.embedded.recipe import END, VOCABULARY
from tinysae.library.shipped import POST_SAE_DIR, STORYBOOK_SAE_DIR

if TYPE_CHECKING:
    from tinysae.config import TrainConfig


def write_model_card(out_dir: Path, facts: dict[str, Any]) -> None:
    """Write ``storybook.json`` and the card that says the same in words.

    `facts` may also hold what `benchmarks/storybook.py` measured: "figures" and
    "samples".
    """
    text = json.dumps(facts, indent=2, ensure_ascii=False)
    (out_dir / "storybook.json").write_text(text + "\n", encoding="utf-8")
    (out_dir / "README.md").write_text(_model_card(facts), encoding="utf-8")


def _model_card(facts: dict[str, Any]) -> str:
    recipe = facts["recipe"]
    lines = [
        "---",
        "license: mit",
        "language: en",
        "pipeline_tag: text-generation",
        "---",
        "",
        "# storybook",
        "",
        "A one-layer GPT-Neo that tells simple children's stories, made for looking",
        "inside: small enough to train, and to take apart, on a laptop. It has the",
        "architecture of roneneldan/TinyStories-1Layer-21M and saw no text but that of",
        "`tinysae.data.storybook`, a generator with 42 plots; it knows nothing of the",
        "world and writes nothing but such stories.",
        "",
        f"- d_model {recipe['d_model']}, {recipe['n_heads']} heads, MLP"
        f" {4 * recipe['d_model']}, context {recipe['context']}, tied embeddings",
        f"- byte-level BPE of {VOCABULARY:,} tokens: any text can be written; every"
        ' " Name" of the stories is one token',
        f"- `{END}` starts every text and stands between stories",
        f"- trained on {facts['tokens']:,} tokens in {facts['minutes']} minutes on"
        f" {facts['threads']} shared CPU threads, seed {facts['seed']}",
        f"- held-out loss {facts['losses']['held_out']:.3f} nats a token, on stories"
        " whose protagonist, second character and main thing never meet in training",
        f"- rebuilt by `python -m tinysae storybook` with tokens {facts['tokens']} and"
        f" seed {facts['seed']}",
        "",
    ]
    if "figures" in facts:
        lines += ["## Figures", "", "Measured by `benchmarks/storybook.py`.", ""]
        lines += ["| figure | value |", "|---|---|"]
        lines += [f"| {name} | {value} |" for name, value in facts["figures"].items()]
        lines += [""]
    if "samples" in facts:
        lines += ["## Samples", "", "Temperature 0.8, not chosen.", ""]
        lines += [f"> {' '.join(text.split())}\n" for text in facts["samples"]]
    return "\n".join(lines).rstrip() + "\n"


def sae_card(config: "TrainConfig", figures: dict[str, Any]) -> str:
    """The README beside the weights: what it is, how to load it, how good it is."""
    return f"""\
{_card_begin("The storybook SAE")}
A sparse autoencoder with {config.d_sae:,} features, of what the embedded model's MLP
reads, before its LayerNorm (`{config.hook_name}`). It loads with SAELens:

{_card_figures(STORYBOOK_SAE_DIR.name, config, figures)}
- chosen by the share of the storybook's concepts that at most three features read with
  F1 >= 0.8 (143 concepts, `benchmarks/concepts.py`). With the same settings but 0.8M
  tokens and k 16, 0.51; Matryoshka BatchTopK, 0.8M tokens: 0.42 (widths 64, 256, 1024;
  k 16) and 0.45 (128, 512; k 20), with 924 and 679 features dead; 2.5M tokens, k 20:
  0.76. The SAE shipped before, 2,048 features of the MLP's output: 0.17, where a linear
  probe reads 0.66; here one reads 0.99, after the block (`hook_resid_post`) 0.69. TopK,
  JumpReLU and other widths were not tried at this hook
- rebuilt by `python -m tinysae storybook --only sae`
"""


def post_card(config: "TrainConfig", figures: dict[str, Any]) -> str:
    """The README beside the second SAE's weights."""
    return f"""\
{_card_begin("The storybook SAE of the block's output")}
A sparse autoencoder with {config.d_sae:,} features, of the embedded model's residual
stream after its only block (`{config.hook_name}`). Only the final LayerNorm and the
unembedding come after it: what a feature adds to a logit is exact, with the
LayerNorm's scale taken as it is. It loads with SAELens:

{_card_figures(POST_SAE_DIR.name, config, figures)}
- beside the one of `hook_resid_mid`: that one reads what the token means, this one what
  the model is about to say; `python benchmarks/attribution.py` compares what the two
  carry of a name
- rebuilt by `python -m tinysae storybook --only post`
"""


def _card_begin(title: str) -> str:
    return f"""\
---
license: mit
library_name: saelens
---

# {title}
"""


def _card_figures(folder: str, config: "TrainConfig", figures: dict[str, Any]) -> str:
    """How it is loaded, how it was trained, and what it was measured at."""
    tokens = config.total_training_steps * config.train_batch_size_tokens
    return f"""\
```python
from sae_lens import SAE

sae = SAE.load_from_disk("tinysae/embedded/assets/{folder}")
```

- {config.architecture}, k {config.k:g} (SAELens saves it as JumpReLU), {tokens:,}
  training tokens, batches of {config.train_batch_size_tokens:,}, lr {config.lr:g} that
  falls over the last fifth, seed {config.seed}; every setting is in `config.json`
- on {figures["n_tokens"]:,} tokens of held-out stories: CE loss recovered
  {figures["ce_loss_score"]:.4f}, L0 {figures["l0"]:.1f}, explained variance
  {figures["explained_variance"]:.3f}, {figures["n_dead"]} features dead"""
