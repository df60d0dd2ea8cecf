"""Our reading, evaluation and training of SAEs against SAELens's own."""

import itertools
import json
from pathlib import Path
from statistics import mean
from types import SimpleNamespace
from typing import Any, get_args

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from tinysae.config import Architecture, TrainConfig
from tinysae.errors import DamagedError, MissingError, SettingError, TinysaeError
from tinysae.model.from_hook import FromHook
from tinysae.sae import batches as batches_module
from tinysae.sae import evaluate as evaluate_module
from tinysae.sae.evaluate import DENSE_ABOVE, evaluate, with_parts
from tinysae.sae.load import load_sae
from tinysae.sae.train import SAETraining

HOOK = "blocks.0.hook_mlp_out"


def small_config(**changes: Any) -> TrainConfig:
    return TrainConfig(
        **{
            "d_sae": 48,
            "k": 4,
            "context_size": 16,
            "training_tokens": 20 * 64,
            "train_batch_size_tokens": 64,
            "n_batches_in_buffer": 4,
            "n_batches_for_norm_estimate": 3,
            "store_batch_size_prompts": 4,
            "lr": 1e-3,
            **changes,
        }
    )


def run_to_end(config: TrainConfig, model: Any) -> tuple[SAETraining, list[Any]]:
    training = SAETraining(config, model)
    rows: list[Any] = []
    if training.needs_norm:
        assert training.estimate_norm(lambda _: True)
    assert training.run(lambda _, row: rows.append(row) or True)
    return training, [row for row in rows if row is not None]


@pytest.mark.parametrize("architecture", get_args(Architecture))
def test_saelens_loads_what_we_save_and_encodes_as_we_do(
    architecture: str, tiny_model: Any, tmp_path: Path
) -> None:
    from sae_lens import SAE

    training, _ = run_to_end(small_config(architecture=architecture), tiny_model)
    training.save(tmp_path)
    theirs: Any = SAE.load_from_disk(tmp_path)
    ours = load_sae(tmp_path)
    x = torch.randn(7, ours.d_in)
    with torch.no_grad():
        acts = theirs.encode(x)
        assert (acts > 0).any()
        torch.testing.assert_close(ours.encode(x), acts)
        torch.testing.assert_close(ours.decode(acts), theirs.decode(acts))
    assert theirs.cfg.metadata.hook_name == ours.hook_name == HOOK
    assert theirs.cfg.metadata.context_size == 16


def test_an_saelens_topk_directory_is_read(tmp_path: Path) -> None:
    from sae_lens import TopKSAE, TopKSAEConfig

    config = TopKSAEConfig(d_in=8, d_sae=24, k=3, rescale_acts_by_decoder_norm=True)
    config.metadata.hook_name = HOOK
    theirs = TopKSAE(config)
    theirs.save_model(tmp_path)
    x = torch.randn(5, 8)
    ours = load_sae(tmp_path)
    with torch.no_grad():
        acts = theirs.encode(x).to_dense()
        torch.testing.assert_close(ours.encode(x), acts)
        torch.testing.assert_close(ours.decode(acts), theirs.decode(acts))


def test_the_same_seed_gives_the_same_rows(tiny_model: Any) -> None:
    first = run_to_end(small_config(), tiny_model)[1]
    assert run_to_end(small_config(), tiny_model)[1] == first
    assert run_to_end(small_config(seed=7), tiny_model)[1] != first


# Few and many features that fire, and a gate: one encoder after another.
@pytest.mark.parametrize("architecture", ["batchtopk", "standard", "gated"])
def test_evaluation_agrees_with_run_evals(
    architecture: str,
    tiny_model: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from sae_lens import SAE
    from sae_lens.evals import get_eval_everything_config, run_evals
    from sae_lens.training.activation_scaler import ActivationScaler

    # Two contexts at a time, of which there are six, and three tokens' softmaxes.
    monkeypatch.setattr(evaluate_module, "LOGITS_AT_ONCE", 2 * 16 * tiny_model.d_vocab)
    monkeypatch.setattr(evaluate_module, "SOFTMAXES_AT_ONCE", 3 * tiny_model.d_vocab)
    training, _ = run_to_end(small_config(architecture=architecture), tiny_model)
    training.save(tmp_path)
    generator = np.random.default_rng(0)
    batches = generator.integers(1, tiny_model.d_vocab, (4, 6, 16)).astype(np.int32)
    batches[:, :, 0] = tiny_model.bos_id
    batches[:, 2, 9] = tiny_model.bos_id

    class Store:
        context_size, store_batch_size_prompts = 16, 6
        _next = 0

        def reset_input_dataset(self) -> None:
            self._next = 0

        def get_batch_tokens(self, _: int) -> torch.Tensor:
            self._next += 1
            return torch.from_numpy(batches[self._next - 1]).long()

    store: Any = Store()
    theirs, features = run_evals(
        SAE.load_from_disk(tmp_path),
        store,
        tiny_model.bridge,
        ActivationScaler(),
        get_eval_everything_config(6, len(batches), len(batches)),
        exclude_special_tokens=[tiny_model.bos_id],
    )
    ours = evaluate(load_sae(tmp_path), tiny_model, batches, n_ce_batches=len(batches))
    performance = theirs["model_performance_preservation"]
    behaviour = theirs["model_behavior_preservation"]
    quality = theirs["reconstruction_quality"]
    bias = theirs["shrinkage"]
    # Theirs is the mean of the batches', ours is of all tokens together.
    mean_bias = mean(
        evaluate(
            load_sae(tmp_path), tiny_model, batch[None], n_ce_batches=1
        ).relative_reconstruction_bias
        for batch in batches
    )
    for value, reference in (
        (ours.ce_loss_score, performance["ce_loss_score"]),
        (ours.ce_loss_clean, performance["ce_loss_without_sae"]),
        (ours.ce_loss_sae, performance["ce_loss_with_sae"]),
        (ours.ce_loss_zero, performance["ce_loss_with_ablation"]),
        (ours.kl_div_score, behaviour["kl_div_score"]),
        (ours.kl_div_sae, behaviour["kl_div_with_sae"]),
        (ours.kl_div_zero, behaviour["kl_div_with_ablation"]),
        (ours.explained_variance, quality["explained_variance"]),
        (ours.mse, quality["mse"]),
        (ours.l0, theirs["sparsity"]["l0"]),
        (mean_bias, bias["relative_reconstruction_bias"]),
    ):
        # A random model's cross-entropies hardly differ, so that the score of their
        # differences has four digits of float32's seven; the others have six or more.
        assert value == pytest.approx(reference, rel=2e-4)
    densities = np.asarray(features["feature_density"])
    assert ours.n_dead == int((densities == 0).sum())
    assert ours.n_dense == int((densities > DENSE_ABOVE).sum())
    assert ours.to_json()["dense_share"] == ours.n_dense / ours.d_sae


def test_an_evaluation_where_nothing_changes_is_a_sentence(
    tiny_model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    training = SAETraining(small_config(normalize_activations="none"), tiny_model)
    training.save(tmp_path)
    sae = load_sae(tmp_path)

    def nothing_there(model: Any, tokens: Any, hook: str) -> Any:
        x, parts = with_parts(model, tokens, hook)
        return torch.zeros_like(x), parts

    monkeypatch.setattr(evaluate_module, "with_parts", nothing_there)
    with pytest.raises(TinysaeError, match="all zero"):
        evaluate(sae, tiny_model, [np.ones((2, 16), np.int32)], n_ce_batches=1)


@pytest.mark.parametrize("architecture", ["standard", "batchtopk"])
def test_a_look_is_an_evaluation_and_asks_for_what_stays_once(
    architecture: str, tiny_model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    training = SAETraining(small_config(architecture=architecture), tiny_model)
    assert training.estimate_norm(lambda _: True)
    contexts = list(
        np.random.default_rng(0).integers(0, tiny_model.d_vocab, (6, 16), np.int32)
    )
    text, whole = training.held_out_text(contexts), FromHook.logits
    replaced: list[bool] = []

    def counted(here: FromHook, replacement: Any) -> Any:
        replaced.append(replacement is not None)
        return whole(here, replacement)

    monkeypatch.setattr(FromHook, "logits", counted)
    first = training.look(text)
    assert replaced.count(False) == 2
    assert training.run(lambda _, __: True)
    replaced.clear()
    again = training.look(text)
    assert replaced == [True, True]
    assert again["explained_variance"] != first["explained_variance"]

    sae, scale = training._sae.eval(), training._trainer.activation_scaler
    seen: Any = SimpleNamespace(
        **{name: getattr(sae.cfg, name) for name in ("d_in", "d_sae")},
        hook_name=HOOK,
        encode=lambda x: sae.encode(scale(x)),
        decode=lambda acts: scale.unscale(sae.decode(acts)),
    )
    batches = [np.stack(contexts[:4]), np.stack(contexts[4:])]
    evaluation = evaluate(seen, tiny_model, batches, n_ce_batches=2)
    for name in ("ce_loss_score", "explained_variance", "l0"):
        assert again[name] == pytest.approx(getattr(evaluation, name), rel=1e-5), name


def test_a_stop_keeps_a_usable_sae(tiny_model: Any, tmp_path: Path) -> None:
    training = SAETraining(small_config(), tiny_model)
    assert training.estimate_norm(lambda _: True)
    assert not training.run(lambda n_tokens, _: n_tokens < 5 * 64)
    training.save(tmp_path)
    assert load_sae(tmp_path).d_sae == 48
    assert json.loads((tmp_path / "runner_cfg.json").read_text())["training_tokens"]


def test_a_stop_during_the_norm_leaves_weights_that_read_raw_activations(
    tiny_model: Any, tmp_path: Path
) -> None:
    training = SAETraining(small_config(), tiny_model)
    assert not training.estimate_norm(lambda _: False)
    training.save(tmp_path)
    assert load_sae(tmp_path).d_sae == 48


def test_a_loss_that_is_no_number_ends_training_with_a_sentence(
    tiny_model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    infinite = torch.full((64, tiny_model.d_model), torch.nan)
    monkeypatch.setattr(
        batches_module, "shuffled", lambda *_, **__: itertools.repeat(infinite)
    )
    training = SAETraining(small_config(normalize_activations="none"), tiny_model)
    with pytest.raises(TinysaeError, match="learning rate"):
        training.run(lambda *_: True)
    training = SAETraining(small_config(), tiny_model)
    with pytest.raises(TinysaeError, match="not numbers"):
        training.estimate_norm(lambda _: True)


def test_an_unknown_hook_or_device_is_refused(tiny_model: Any) -> None:
    with pytest.raises(SettingError, match="hook_name"):
        SAETraining(small_config(hook_name="blocks.9.hook_mlp_out"), tiny_model)
    with pytest.raises(SettingError, match="context_size"):
        run_to_end(small_config(context_size=8192), tiny_model)
    if not torch.cuda.is_available():
        with pytest.raises(SettingError, match="device"):
            SAETraining(small_config(device="cuda"), tiny_model)


def damage_missing(folder: Path) -> None:
    (folder / "sae_weights.safetensors").unlink()


def damage_torn(folder: Path) -> None:
    path = folder / "sae_weights.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def damage_nan(folder: Path) -> None:
    path = folder / "sae_weights.safetensors"
    weights = load_file(path)
    weights["b_dec"][0] = torch.nan
    save_file(weights, path)


def damage_width(folder: Path) -> None:
    cfg = json.loads((folder / "cfg.json").read_text())
    (folder / "cfg.json").write_text(json.dumps({**cfg, "d_in": 3}))


def damage_cfg(folder: Path) -> None:
    (folder / "cfg.json").write_text("[]")


def damage_unfolded(folder: Path) -> None:
    cfg = json.loads((folder / "cfg.json").read_text())
    cfg["normalize_activations"] = "layer_norm"
    (folder / "cfg.json").write_text(json.dumps(cfg))


def damage_k(folder: Path) -> None:
    cfg = json.loads((folder / "cfg.json").read_text())
    cfg = {**cfg, "architecture": "topk", "k": cfg["d_sae"] + 1}
    (folder / "cfg.json").write_text(json.dumps(cfg))


def damage_gate(folder: Path) -> None:
    cfg = json.loads((folder / "cfg.json").read_text())
    (folder / "cfg.json").write_text(json.dumps({**cfg, "architecture": "gated"}))


def damage_architecture(folder: Path) -> None:
    cfg = json.loads((folder / "cfg.json").read_text())
    (folder / "cfg.json").write_text(json.dumps({**cfg, "architecture": "<b>x</b>"}))


@pytest.mark.parametrize(
    "damage",
    [
        damage_missing,
        damage_torn,
        damage_nan,
        damage_width,
        damage_cfg,
        damage_unfolded,
        damage_k,
        damage_gate,
        damage_architecture,
    ],
)
def test_a_damaged_sae_is_a_sentence(
    damage: Any, tiny_model: Any, tmp_path: Path
) -> None:
    training = SAETraining(
        small_config(normalize_activations="none", training_tokens=64), tiny_model
    )
    training.save(tmp_path)
    damage(tmp_path)
    with pytest.raises((MissingError, DamagedError)):
        load_sae(tmp_path)
