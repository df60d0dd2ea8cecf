"""The embedded model, rebuilt from a seed: its tokenizer and its training.

The result is an ordinary Hugging Face folder, loaded like any other model.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tinysae.data.packing import pack
from tinysae.data.storybook.generator import stories
from tinysae.data.storybook.words import BOY_NAMES, GIRL_NAMES, PET_NAMES
from tinysae.embedded.cards import write_model_card
from tinysae.embedded.recipe import END, END_ID, VOCABULARY, Recipe

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from torch import Tensor
    from torch.optim import Optimizer
    from transformers import GPTNeoForCausalLM, PreTrainedModel

TOKENIZER_STORIES: Final = 8_000
"""Enough that every name is frequent; more changes no merge that matters."""
TOKENIZER_SEED_OFFSET: Final = 1_000_003
"""The tokenizer, the training and the held-out stories read different streams."""
HELD_OUT_CONTEXTS: Final = 600
"""150k tokens: the loss is then known to within half a percent."""
STORIES_AT_ONCE: Final = 512
SHIPPED_TOKENS: Final = 12_697_600
"""What the shipped model was trained on."""
V_GAIN: Final = 0.3
"""Keeps what attention adds at first below the embeddings it is added to."""

Progress = Callable[[dict[str, Any]], None]


def build(
    out_dir: Path,
    *,
    tokens: int | None = None,
    seed: int = 0,
    progress: Progress | None = None,
    recipe: Recipe | None = None,
) -> dict[str, Any]:
    """Trains tokenizer and model from `seed` on `tokens` tokens and saves them.

    The same seed and number of torch threads give the same weights. `progress` gets
    ``{"phase": "tokenizer" | "training" | "evaluation", ...}``; while training also
    step, n_steps, tokens, loss (nats a token, mean since the last call) and tokens_s.
    Returns what is saved as ``storybook.json``. The defaults are the shipped model's.

    Raises:
        ValueError: fewer tokens than one step takes.
    """
    import torch

    recipe = recipe or Recipe()
    report = progress or (lambda _: None)
    tokens = tokens or SHIPPED_TOKENS
    n_steps = tokens // (recipe.batch * recipe.context)
    if n_steps < 1:
        need = recipe.batch * recipe.context
        raise ValueError(f"tokens is {tokens}; one step takes {need}")
    started = time.monotonic()
    report({"phase": "tokenizer"})
    tokenizer = train_tokenizer(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = new_model(recipe)
    _train(model, tokenizer, n_steps, seed, recipe, report)
    report({"phase": "evaluation"})
    losses = {"held_out": mean_loss(model, held_out_contexts(tokenizer, seed, recipe))}
    facts = {
        "format": 1,
        "seed": seed,
        "tokens": n_steps * recipe.batch * recipe.context,
        "minutes": round((time.monotonic() - started) / 60, 1),
        "threads": torch.get_num_threads(),
        "recipe": asdict(recipe),
        "losses": losses,
    }
    _save(out_dir, model, tokenizer, facts)
    return facts


def train_tokenizer(seed: int) -> Tokenizer:
    """A byte-level BPE tokenizer in which every " Name" is one token.

    Raises:
        RuntimeError: a name is not (a name too rare among the stories).
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    # Without the whole alphabet, bytes that no story holds could not be written.
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[END],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    sample = islice(stories(seed + TOKENIZER_SEED_OFFSET), TOKENIZER_STORIES)
    tokenizer.train_from_iterator((story.text for story in sample), trainer)
    for name in (*GIRL_NAMES, *BOY_NAMES, *PET_NAMES):
        if len(tokenizer.encode(f" {name}").ids) != 1:
            raise RuntimeError(f"the name {name} is not one token")
    return tokenizer


def new_model(recipe: Recipe) -> GPTNeoForCausalLM:
    """An untrained one-layer GPT-Neo, of the shape of TinyStories-1Layer-21M.

    Its attention starts out copying (W_O = `copying` * W_V^T), after Trockman & Kolter
    2023, "Mimetic initialization of self-attention layers": a story's names and things
    come again, and from noise that takes a third more tokens to be found out.
    """
    from torch import no_grad
    from torch.nn.init import orthogonal_
    from transformers import GPTNeoConfig, GPTNeoForCausalLM

    model = GPTNeoForCausalLM(
        GPTNeoConfig(
            vocab_size=VOCABULARY,
            max_position_embeddings=recipe.context,
            hidden_size=recipe.d_model,
            intermediate_size=4 * recipe.d_model,
            num_layers=1,
            num_heads=recipe.n_heads,
            attention_types=[[["global"], 1]],
            window_size=recipe.context,
            resid_dropout=0.0,
            embed_dropout=0.0,
            attention_dropout=0.0,
            bos_token_id=END_ID,
            eos_token_id=END_ID,
            pad_token_id=END_ID,
        )
    )
    attention: Any = model.get_submodule("transformer.h.0.attn.attention")
    with no_grad():
        orthogonal_(attention.v_proj.weight, gain=V_GAIN)
        attention.out_proj.weight.copy_(recipe.copying * attention.v_proj.weight.T)
    return model


def contexts(
    tokenizer: Tokenizer, seed: int, context: int, *, held_out: bool = False
) -> Iterator[Tensor]:
    """Token ids of packed stories without end: int64 [context] each, END first."""
    import torch

    def documents() -> Iterator[list[int]]:
        told = stories(seed, held_out=held_out)
        while True:
            texts = [story.text for story in islice(told, STORIES_AT_ONCE)]
            for encoding in tokenizer.encode_batch_fast(texts):
                yield encoding.ids

    for ids in pack(documents(), context, END_ID):
        yield torch.from_numpy(ids).long()


def held_out_contexts(
    tokenizer: Tokenizer, seed: int, recipe: Recipe, n_contexts: int | None = None
) -> Tensor:
    """Packed held-out stories: int64 [n_contexts, context]."""
    import torch

    source = contexts(tokenizer, seed, recipe.context, held_out=True)
    return torch.stack(list(islice(source, n_contexts or HELD_OUT_CONTEXTS)))


def mean_loss(model: PreTrainedModel, ids: Tensor) -> float:
    """Mean loss in nats a token of `ids` [n_contexts, context], but for the first."""
    import torch

    from tinysae.model.lean import lean_copy

    lean = lean_copy(model)
    total = 0.0
    with torch.inference_mode():
        for batch in ids.split(32):
            total += float(_loss(lean, batch)) * len(batch)
    return total / len(ids)


def _loss(model: Any, ids: Tensor) -> Tensor:
    from torch.nn.functional import cross_entropy

    logits = model(input_ids=ids, use_cache=False).logits[:, :-1]
    return cross_entropy(logits.flatten(0, 1).float(), ids[:, 1:].flatten())


def _train(
    model: GPTNeoForCausalLM,
    tokenizer: Tokenizer,
    n_steps: int,
    seed: int,
    recipe: Recipe,
    report: Progress,
) -> None:
    import torch

    from tinysae.model.lean import lean_copy

    lean = lean_copy(model).train()
    optimizer = _optimizer(model, recipe)
    source = contexts(tokenizer, seed, recipe.context)
    report_every = max(1, n_steps // 100)
    started, since = time.monotonic(), 0.0
    for step in range(1, n_steps + 1):
        for group in optimizer.param_groups:
            group["lr"] = _learning_rate(step, n_steps, recipe)
        ids = torch.stack(list(islice(source, recipe.batch)))
        with torch.autocast("cpu", torch.bfloat16, enabled=recipe.bfloat16):
            loss = _loss(lean, ids)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        since += float(loss.detach())
        if step % report_every == 0 or step == n_steps:
            n_tokens = step * recipe.batch * recipe.context
            n_losses = (step - 1) % report_every + 1
            report(
                {
                    "phase": "training",
                    "step": step,
                    "n_steps": n_steps,
                    "tokens": n_tokens,
                    "loss": since / n_losses,
                    "tokens_s": n_tokens / (time.monotonic() - started),
                }
            )
            since = 0.0
    model.eval()


def _optimizer(model: GPTNeoForCausalLM, recipe: Recipe) -> Optimizer:
    from torch.optim import AdamW

    parameters = list(model.parameters())
    groups = [
        {
            "params": [p for p in parameters if p.ndim > 1],
            "weight_decay": recipe.weight_decay,
        },
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return AdamW(groups, lr=recipe.learning_rate, betas=(0.9, 0.98), fused=True)


def _learning_rate(step: int, n_steps: int, recipe: Recipe) -> float:
    warm_up = min(1.0, step / recipe.warm_up_steps)
    left = (n_steps - step + 1) / max(1.0, recipe.decay * n_steps)
    return recipe.learning_rate * min(warm_up, left)


def _save(
    out_dir: Path, model: GPTNeoForCausalLM, tokenizer: Tokenizer, facts: dict[str, Any]
) -> None:
    from transformers import PreTrainedTokenizerFast

    out_dir.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(out_dir)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=END,
        eos_token=END,
        unk_token=END,
        pad_token=END,
        model_max_length=model.config.max_position_embeddings,
        clean_up_tokenization_spaces=False,
    ).save_pretrained(out_dir)
    write_model_card(out_dir, facts)
