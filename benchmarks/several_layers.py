"""Whether attribution predicts ablation where several layers follow the hook.

Part of `benchmarks/attribution.py`. The model is made here, from a seed: a Llama of
`N_LAYERS` layers (RMSNorm, grouped queries) with the storybook's tokenizer, trained on
its stories for under a minute, and a TopK SAE of its second layer's output. Both are
small and worse than anything one would ship: what is tested is the estimate.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from tinysae.config import TextChoice, TrainConfig
from tinysae.data.corpus import batched, token_chunks
from tinysae.data.storybook.generator import stories
from tinysae.features.why.attribution import attribute
from tinysae.features.why.intervene import Effect, correlation, measure, same_sign
from tinysae.library.shipped import ASSETS
from tinysae.model.sources import STORYBOOK, load_model
from tinysae.model.text.logprobs import next_log_probs
from tinysae.sae.load import load_sae

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from tinysae.model.sources import LoadedModel
    from tinysae.sae.load import SAE

N_LAYERS, HOOK_LAYER = 5, 1
WIDTH, N_CTX = 96, 128
BATCH, STEPS, LR = 16, 160, 3e-3
SAE_TOKENS, D_SAE, K = 200_000, 512, 16
N_PROMPTS, PROMPT_TOKENS, PROMPT_SEED = 40, 40, 2_000_207
# Features of a prompt's last tokens, whatever the estimate says of them.
LAST_TOKENS = 4


def measured() -> dict[str, float]:
    """`several_layers_correlation` and `several_layers_sign`: of predicted and
    measured effects of single features, pooled over `N_PROMPTS` held-out prompts."""
    with tempfile.TemporaryDirectory(prefix="tinysae-layers-") as folder:
        model = trained_model(Path(folder) / "model")
        sae = trained_sae(model, Path(folder) / "sae")
    effects = [effect for prompt in prompts(model) for effect in of(model, sae, prompt)]
    found = correlation(effects)
    assert found is not None
    print(f"{N_LAYERS} layers, hook after layer {HOOK_LAYER}: {len(effects)} features,")
    print(f"correlation {found:.3f}, the same sign in {same_sign(effects):.3f}\n")
    return {
        "several_layers_correlation": round(found, 3),
        "several_layers_sign": round(same_sign(effects), 3),
    }


def new_llama(storybook: LoadedModel) -> PreTrainedModel:
    """A small Llama of the storybook's vocabulary, untrained."""
    from transformers import LlamaConfig, LlamaForCausalLM

    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=storybook.d_vocab,
            hidden_size=WIDTH,
            intermediate_size=3 * WIDTH,
            num_hidden_layers=N_LAYERS,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=N_CTX,
            bos_token_id=storybook.bos_id,
            eos_token_id=storybook.bos_id,
        )
    )


def trained_model(
    folder: Path,
    new_model: Callable[[LoadedModel], PreTrainedModel] = new_llama,
    steps: int = STEPS,
) -> LoadedModel:
    """A small model that has read some stories."""
    from torch.nn.functional import cross_entropy

    folder.mkdir(parents=True)
    for path in (ASSETS / STORYBOOK).glob("tokenizer*.json"):
        shutil.copyfile(path, folder / path.name)
    storybook = load_model(STORYBOOK)
    torch.manual_seed(0)
    model: Any = new_model(storybook)
    optimizer = torch.optim.AdamW(model.parameters(), lr=LR, weight_decay=0.1)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LR, total_steps=steps)
    chunks = token_chunks(storybook, TextChoice(path=STORYBOOK), N_CTX, seed=0)
    loss = torch.tensor(torch.inf)
    for batch in islice(batched(chunks, BATCH), steps):
        ids = torch.from_numpy(batch).long()
        logits = model(ids, use_cache=False).logits[:, :-1]
        loss = cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    print(f"loss after {steps} steps: {loss.item():.2f} nats a token")
    model.save_pretrained(folder)
    return load_model(str(folder))


def trained_sae(model: LoadedModel, folder: Path) -> SAE:
    """A TopK SAE of what layer `HOOK_LAYER` leaves behind."""
    from contextlib import closing

    from tinysae.sae.train import SAETraining

    config = TrainConfig(
        model_name=model.source,
        hook_name=f"blocks.{HOOK_LAYER}.hook_resid_post",
        architecture="topk",
        d_sae=D_SAE,
        k=float(K),
        lr=2e-3,
        context_size=N_CTX,
        training_tokens=SAE_TOKENS,
        train_batch_size_tokens=1024,
    )
    with closing(SAETraining(config, model)) as training:
        training.estimate_norm(lambda _: True)
        training.run(lambda *_: True)
        folder.mkdir(parents=True)
        training.save(folder)
    return load_sae(folder)


def prompts(model: LoadedModel) -> list[tuple[int, ...]]:
    """The beginnings of held-out stories."""
    told = (model.encode(story.text) for story in stories(PROMPT_SEED, held_out=True))
    return [tuple(ids[:PROMPT_TOKENS]) for ids in islice(told, N_PROMPTS)]


def of(model: LoadedModel, sae: SAE, ids: tuple[int, ...]) -> list[Effect]:
    """Every feature at the last tokens, on the likeliest token against the second."""
    best, second = next_log_probs(model, ids).topk(2).indices.tolist()
    found = attribute(model, ids, best, second, sae=sae)
    parts = [
        part
        for part in found.features
        if part.kind == "feature"
        and (part.position or 0) >= found.n_tokens - LAST_TOKENS
    ]
    return measure(model, found, parts, sae)
