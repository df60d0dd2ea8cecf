"""Real trainings for `benchmarks/doctor.py`: a run's folder without the folder."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.several_layers import N_CTX, trained_model
from tinysae.config import TextChoice, TrainConfig
from tinysae.data.corpus import batched
from tinysae.data.repeated import text_facts
from tinysae.data.storybook.generator import stories
from tinysae.data.texts.text import is_held_out
from tinysae.errors import TinysaeError
from tinysae.library.shipped import ASSETS
from tinysae.model.sources import STORYBOOK, load_model
from tinysae.runs.doctor.case import Case
from tinysae.sae.evaluate import evaluate
from tinysae.sae.load import load_sae
from tinysae.sae.rows import ACTIVATION_SCALE, TEXT, EvalMetrics, StepMetrics
from tinysae.sae.train import SAETraining
from tinysae.worker.held_out import EVALUATION_SEED, HeldOut
from tinysae.worker.look import LOOK_CONTEXTS, LOOKS_PER_RUN

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from tinysae.model.sources import LoadedModel

# A tenth of what a run is measured on: figures to two digits, in seconds.
EVALUATION_TOKENS, CONTEXTS_AT_ONCE, CE_BATCHES = 20_000, 16, 3
# Small, quick and well trained: what a fault changes is the fault.
DEFAULTS: Mapping[str, Any] = {
    "hook_name": "blocks.0.hook_resid_mid",
    "architecture": "batchtopk",
    "d_sae": 512,
    "k": 24.0,
    "training_tokens": 80_000,
    "train_batch_size_tokens": 256,
    "n_batches_for_norm_estimate": 16,
    "n_batches_in_buffer": 32,
    "store_batch_size_prompts": 8,
    "dead_feature_window": 100,
}
# A figure of runs on other texts: the explained variance of the storybook's.
STORIES = "explained_variance_of_stories"
STORIES_SEED = 4_000_037
# Of the model with a first token as long as those of large models are.
FIRST_TOKEN_TIMES = 60.0
# Of a block's MLP that hardly adds anything.
QUIET = 1e-3
QUIET_BLOCK = 2
# Enough for activations that mean something: after 60, ten directions have nearly all
# of their variance, and most features nothing to fire on.
MODEL_STEPS = 160


@dataclass(frozen=True)
class Wanted:
    """A run: of which model, on which text, with which settings on the defaults'."""

    model: str = STORYBOOK
    settings: Mapping[str, Any] = field(default_factory=dict)
    text: str = STORYBOOK
    """"storybook", or one of `Models.texts`."""


class Models:
    """Models and texts, made when they are first asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._loaded: dict[str, LoadedModel] = {}

    def loaded(self, name: str) -> LoadedModel:
        if name not in self._loaded:
            self._loaded[name] = getattr(self, f"_{name}")()
        return self._loaded[name]

    def _storybook(self) -> LoadedModel:
        return load_model(STORYBOOK)

    def _first_token(self) -> LoadedModel:
        """The storybook with a first token as long as in large models."""
        from safetensors.torch import load_file, save_file

        folder = shutil.copytree(ASSETS / STORYBOOK, self._folder / "first_token")
        weights = load_file(folder / "model.safetensors")
        name = next(name for name in weights if name.endswith("wpe.weight"))
        positions = weights[name].float().clone()
        positions[0] *= (
            FIRST_TOKEN_TIMES / positions[0].norm() * positions[1:].norm(dim=-1).mean()
        )
        weights[name] = positions.to(weights[name].dtype)
        save_file(weights, folder / "model.safetensors", {"format": "pt"})
        return load_model(str(folder))

    def _layers(self) -> LoadedModel:
        """Five layers, trained here."""
        return trained_model(self._folder / "layers", steps=MODEL_STEPS)

    def _tiny(self) -> LoadedModel:
        """Two layers of GPT-2's kind, trained here."""
        return trained_model(self._folder / "tiny", _new_gpt2, MODEL_STEPS)

    def _quiet(self) -> LoadedModel:
        """The same, with an MLP that adds next to nothing."""
        from safetensors.torch import load_file, save_file

        self.loaded("layers")
        folder = shutil.copytree(self._folder / "layers", self._folder / "quiet")
        weights = load_file(folder / "model.safetensors")
        weights[f"model.layers.{QUIET_BLOCK}.mlp.down_proj.weight"] *= QUIET
        save_file(weights, folder / "model.safetensors", {"format": "pt"})
        return load_model(str(folder))

    @cached_property
    def texts(self) -> dict[str, Path]:
        """A text of a few stories; and one of which a single story is held out."""
        few, lone = self._folder / "few.jsonl", self._folder / "lone.jsonl"
        told = (story.text for story in stories(STORIES_SEED))
        _write(few, [next(told) for _ in range(FEW_STORIES)])
        trained_on: list[str] = []
        apart: list[str] = []
        for story in told:
            (apart if is_held_out(story) else trained_on).append(story)
            if len(trained_on) >= MANY_STORIES and len(apart) >= LONE_STORIES:
                break
        _write(lone, trained_on[:MANY_STORIES] + apart[:LONE_STORIES])
        return {"few": few, "lone": lone}


def _new_gpt2(storybook: LoadedModel) -> PreTrainedModel:
    from transformers import GPT2Config, GPT2LMHeadModel

    return GPT2LMHeadModel(
        GPT2Config(
            vocab_size=storybook.d_vocab,
            n_embd=64,
            n_layer=2,
            n_head=4,
            n_positions=N_CTX,
            bos_token_id=storybook.bos_id,
            eos_token_id=storybook.bos_id,
        )
    )


FEW_STORIES, MANY_STORIES, LONE_STORIES = 60, 600, 2


def _write(path: Path, texts: list[str]) -> None:
    lines = (json.dumps({"text": text}) for text in texts)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def trained(
    models: Models, wanted: Wanted, seed: int, config: TrainConfig | None = None
) -> Case:
    """What a run's folder would hold of it; `config` in the place of its settings."""
    model = models.loaded(wanted.model)
    if config is None:
        path = (
            models.texts.get(wanted.text, wanted.text)
            if wanted.text != STORYBOOK
            else STORYBOOK
        )
        config = TrainConfig(
            **{
                **DEFAULTS,
                **wanted.settings,
                "model_name": model.source,
                "dataset_path": str(path),
                "seed": seed,
            }
        )
    with closing(SAETraining(config, model)) as training:
        if training.needs_norm:
            training.estimate_norm(lambda _: True)
        return _case(training, model, config)


def _case(training: SAETraining, model: LoadedModel, config: TrainConfig) -> Case:
    rows: list[StepMetrics] = []
    looks: list[EvalMetrics] = []
    held_out = HeldOut.of(config)
    text = training.held_out_text(
        held_out.contexts(model, EVALUATION_SEED, LOOK_CONTEXTS * config.context_size)
    )
    every = max(1, config.total_training_steps // LOOKS_PER_RUN)

    def progress(_: int, row: StepMetrics | None) -> bool:
        if row is not None:
            rows.append(row)
        if training.n_steps % every == 0:
            looks.append(training.look(text))
        return True

    facts = text_facts(
        model, config.text, seed=config.seed, n_tokens=config.training_tokens
    )
    case = Case(
        config,
        rows,
        looks,
        made_with={ACTIVATION_SCALE: training.activation_scale, TEXT: facts},
    )
    try:
        training.run(progress)
    except TinysaeError as problem:
        return replace(case, error=problem.key)
    return replace(case, figures=_figures(training, model, held_out))


def _figures(
    training: SAETraining, model: LoadedModel, held_out: HeldOut
) -> dict[str, float]:
    """Of its saved SAE."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "sae"
        folder.mkdir()
        training.save(folder)
        sae = load_sae(folder)

    def measured(text: HeldOut) -> dict[str, float]:
        contexts = text.contexts(model, EVALUATION_SEED, EVALUATION_TOKENS)
        batches = batched(contexts, CONTEXTS_AT_ONCE)
        return evaluate(sae, model, batches, n_ce_batches=CE_BATCHES).to_json()

    figures = measured(held_out)
    if held_out.text.path != STORYBOOK:
        stories_too = replace(held_out, text=TextChoice(path=STORYBOOK))
        figures[STORIES] = measured(stories_too)["explained_variance"]
    return figures
