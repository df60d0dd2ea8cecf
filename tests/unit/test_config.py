import dataclasses
import json
import math
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import settings as run_with
from hypothesis import strategies as st

from tinysae.config import (
    COSINES,
    KEEPS_WHOLE_K,
    Architecture,
    TrainConfig,
    choices,
    is_read,
    reads,
    settings,
)
from tinysae.errors import DamagedError, SettingError
from tinysae.presets import PRESETS, RETIRED, Preset

ARCHITECTURES: tuple[Architecture, ...] = get_args(Architecture)


@st.composite
def configs(draw: st.DrawFn) -> TrainConfig:
    """Any config that the checks let through: each field within its own bounds."""
    d_sae = draw(st.integers(1, 1 << 12))
    batch, steps = draw(st.integers(1, 1 << 13)), draw(st.integers(1, 2000))
    warm_up = draw(st.integers(0, steps))
    decay = draw(st.integers(0, steps - warm_up))
    between = steps - warm_up - decay
    architecture = draw(st.sampled_from(ARCHITECTURES))
    k = draw(st.floats(1, d_sae))
    lr = draw(st.floats(1e-9, 1.0))
    levels = draw(st.sets(st.integers(1, max(1, d_sae - 1)), max_size=5))
    ruled: dict[str, Any] = {
        "d_sae": d_sae,
        "architecture": architecture,
        "training_tokens": batch * steps + draw(st.integers(0, batch - 1)),
        "train_batch_size_tokens": batch,
        "k": float(int(k)) if architecture in KEEPS_WHOLE_K else k,
        "matryoshka_widths": ", ".join(map(str, sorted(levels - {d_sae}))),
        "target_l0": draw(st.floats(1e-3, d_sae)),
        "wanted_l0": draw(st.sampled_from((0.0, draw(st.floats(1e-3, d_sae))))),
        "lr": lr,
        "lr_end": draw(st.floats(0, lr)),
        "lr_scheduler_name": draw(
            st.sampled_from(("constant", *(COSINES if between else ())))
        ),
        "n_restart_cycles": draw(st.integers(1, min(1000, max(1, between)))),
        "lr_warm_up_steps": warm_up,
        "lr_decay_steps": decay,
        "l1_warm_up_steps": draw(st.integers(0, steps)),
        "l0_warm_up_steps": draw(st.integers(0, steps)),
        "n_checkpoints": draw(st.integers(0, min(1000, steps))),
        "wandb_project": draw(st.from_regex("[A-Za-z0-9._-]{1,20}", fullmatch=True)),
        "wandb_entity": draw(st.from_regex("[A-Za-z0-9._-]{0,20}", fullmatch=True)),
    }
    free = {name: draw(values_of(name)) for name in settings() if name not in ruled}
    return TrainConfig(**ruled, **free)


def values_of(name: str) -> st.SearchStrategy[Any]:
    setting, default = settings()[name], getattr(TrainConfig(), name)
    if accepted := choices(name):
        return st.sampled_from(accepted)
    if isinstance(default, bool):
        return st.booleans()
    if isinstance(default, str):
        return st.text(max_size=20)
    assert setting.low is not None
    assert setting.high is not None
    if isinstance(default, int):
        return st.integers(int(setting.low), int(setting.high))
    return st.floats(setting.low, setting.high)


# A busy machine may take long over one of them.
@run_with(deadline=None)
@given(configs())
def test_a_config_survives_its_own_json(config: TrainConfig) -> None:
    assert TrainConfig.from_json(config.to_json()) == config
    assert TrainConfig.loads(json.dumps(config.to_json(), allow_nan=False)) == config


@run_with(deadline=None)
@given(st.data())
def test_a_form_with_one_setting_changed_is_a_config_or_names_a_setting(
    data: st.DataObject,
) -> None:
    config = data.draw(configs())
    name = data.draw(st.sampled_from(list(settings())))
    problem = None
    try:
        dataclasses.replace(config, **{name: data.draw(values_of(name))})
    except SettingError as error:
        problem = error
    if problem is not None:
        field = str(problem.values["field"])
        assert field in settings()
        assert field in problem.in_language("en")
        assert field in problem.in_language("ko")


def test_a_config_of_an_earlier_version_is_read() -> None:
    data = TrainConfig(architecture="standard", l1_coefficient=3).to_json()
    added = {"dtype", "lr_scheduler_name", "lr_end", "n_checkpoints", "l0_coefficient"}
    old = {key: value for key, value in data.items() if key not in added}
    assert TrainConfig.from_json(old) == TrainConfig(
        architecture="standard", l1_coefficient=3
    )


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("lr", math.nan),
        ("lr", math.inf),
        ("lr", 1e9),
        ("lr", 10**400),
        ("seed", 10**400),
        ("lr", "0.1"),
        ("d_sae", 0),
        ("d_sae", -5),
        ("d_sae", True),
        ("k", None),
        ("training_tokens", 1.5),
        ("context_size", 1),
        ("architecture", "dense"),
        ("architecture", ["standard"]),
        ("apply_b_dec_to_input", "yes"),
        ("name", "a" * 81),
        ("seed", 2**63),
        ("dtype", "float16"),
        ("lr_scheduler_name", "cosine"),
        ("normalize_activations", "layer_norm"),
        ("matryoshka_widths", [128, 512]),
        ("jumprelu_bandwidth", 0),
        ("n_checkpoints", -1),
    ],
)
def test_a_forged_setting_is_refused_by_name(field: str, value: Any) -> None:
    with pytest.raises(SettingError) as caught:
        TrainConfig(**{field: value})
    assert caught.value.values["field"] == field
    assert field in str(caught.value)


TEN_STEPS: dict[str, Any] = {"training_tokens": 1000, "train_batch_size_tokens": 100}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"d_sae": 8, "k": 9}, "k"),
        ({"architecture": "topk", "d_sae": 8, "k": 9}, "k"),
        ({"architecture": "matryoshka_batchtopk", "d_sae": 8, "k": 9}, "k"),
        ({"architecture": "topk", "k": 7.5}, "k"),
        ({"training_tokens": 100, "train_batch_size_tokens": 200}, "training_tokens"),
        ({**TEN_STEPS, "lr_warm_up_steps": 11}, "lr_warm_up_steps"),
        ({**TEN_STEPS, "lr_decay_steps": 11}, "lr_decay_steps"),
        ({**TEN_STEPS, "lr_warm_up_steps": 6, "lr_decay_steps": 6}, "lr_decay_steps"),
        (
            {**TEN_STEPS, "architecture": "standard", "l1_warm_up_steps": 11},
            "l1_warm_up_steps",
        ),
        (
            {**TEN_STEPS, "architecture": "jumprelu", "l0_warm_up_steps": 11},
            "l0_warm_up_steps",
        ),
        ({**TEN_STEPS, "n_checkpoints": 11}, "n_checkpoints"),
        (
            {"lr_scheduler_name": "cosineannealing", "lr": 1e-3, "lr_end": 2e-3},
            "lr_end",
        ),
        (
            {
                **TEN_STEPS,
                "lr_scheduler_name": "cosineannealing",
                "lr_warm_up_steps": 5,
                "lr_decay_steps": 5,
            },
            "lr_scheduler_name",
        ),
        (
            {
                **TEN_STEPS,
                "lr_scheduler_name": "cosineannealingwarmrestarts",
                "lr_decay_steps": 5,
                "n_restart_cycles": 6,
            },
            "n_restart_cycles",
        ),
        (
            {
                "architecture": "jumprelu",
                "jumprelu_sparsity_loss_mode": "quadratic",
                "target_l0": 9,
                "d_sae": 8,
            },
            "target_l0",
        ),
    ],
)
def test_settings_that_contradict_each_other_are_refused_by_name(
    changes: dict[str, Any], field: str
) -> None:
    with pytest.raises(SettingError) as caught:
        TrainConfig(**changes)
    assert caught.value.values["field"] == field
    assert field in str(caught.value)


@pytest.mark.parametrize(
    "widths",
    ["0, 4", "4, 4", "8, 4", "4, 16", "17", "4,", "4 8", "-4", "4.5", "a", "1" * 4000],
)
def test_widths_that_do_not_rise_to_d_sae_are_refused(widths: str) -> None:
    with pytest.raises(SettingError, match="matryoshka_widths") as caught:
        TrainConfig(
            architecture="matryoshka_batchtopk",
            d_sae=16,
            k=2,
            matryoshka_widths=widths,
        )
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("widths", "levels"),
    [
        ("4, 8", [4, 8, 16]),
        (" 1,15 ", [1, 15, 16]),
        ("", [1, 4, 16]),
        (" ", [1, 4, 16]),
    ],
)
def test_widths_are_read_and_end_with_all_features(
    widths: str, levels: list[int]
) -> None:
    config = TrainConfig(d_sae=16, k=2, matryoshka_widths=widths)
    assert config.matryoshka_levels == levels


def test_what_an_architecture_does_not_read_is_not_held_against_it() -> None:
    TrainConfig(architecture="standard", d_sae=8, k=24.5, matryoshka_widths="x")
    TrainConfig(**TEN_STEPS, l1_warm_up_steps=11, l0_warm_up_steps=11, lr_end=1.0)
    TrainConfig(architecture="jumprelu", d_sae=8, target_l0=9)


def test_an_unknown_or_older_json_is_refused() -> None:
    data = TrainConfig().to_json()
    with pytest.raises(DamagedError):
        TrainConfig.from_json({**data, "format": 0})
    with pytest.raises(DamagedError, match="expansion"):
        TrainConfig.from_json({**data, "expansion": 4})
    with pytest.raises(DamagedError):
        TrainConfig.loads("{")


def test_every_field_has_words_in_both_languages() -> None:
    assert list(settings()) == [field.name for field in dataclasses.fields(TrainConfig)]
    for name, setting in settings().items():
        for language in ("en", "ko"):
            assert setting.label(language).endswith(f" ({name})") or name == "name"
            assert setting.help(language).strip().endswith((".", "요."))
        assert any("가" <= letter <= "힣" for letter in setting.help("ko")), name


def test_numbers_are_bounded_and_defaults_are_within() -> None:
    for name, setting in settings().items():
        default = getattr(TrainConfig(), name)
        if isinstance(default, int | float) and not isinstance(default, bool):
            assert setting.low is not None, name
            assert setting.high is not None, name
            assert setting.low <= default <= setting.high, name
        elif choices(name):
            assert default in choices(name)


def test_presets_are_valid_and_scheduled() -> None:
    for preset in PRESETS:
        config = preset.config
        assert config.lr_decay_steps == config.total_training_steps // 5
        assert config.l1_warm_up_steps == config.total_training_steps // 20
    assert [preset.key for preset in PRESETS] == ["look", "good", "tutorial"]
    assert PRESETS[0].needs == ("storybook", "storybook")


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.key)
def test_a_preset_of_another_length_has_a_schedule_of_that_length(
    preset: Preset,
) -> None:
    given = {"training_tokens": 60_000, "train_batch_size_tokens": 1000}
    config = TrainConfig(**preset.changed(given))
    assert config.total_training_steps == 60
    assert (config.lr_decay_steps, config.l1_warm_up_steps) == (12, 3)
    assert preset.changed({**given, "lr_decay_steps": 1})["lr_decay_steps"] == 1
    assert preset.changed({"lr": 1e-3}) == {**preset.changes, "lr": 1e-3}


def test_the_defaults_are_those_of_configs_that_leave_them_out() -> None:
    """A run's folder, or a command, means what it meant when it was written."""
    numbers = {
        "hook_name": "blocks.0.hook_mlp_out",
        "architecture": "batchtopk",
        "d_sae": 1024,
        "k": 24.0,
        "lr": 2e-3,
        "training_tokens": 500_000,
        "train_batch_size_tokens": 2048,
    }
    config = TrainConfig.from_json({"format": 1})
    assert {name: getattr(config, name) for name in numbers} == numbers


@pytest.mark.parametrize("preset", PRESETS[:2], ids=lambda preset: preset.key)
def test_a_preset_looks_at_another_model_where_every_model_can_be(
    preset: Preset,
) -> None:
    assert preset.on("storybook") == preset
    assert preset.config.hook_name == "blocks.0.hook_resid_mid"
    other = preset.on("another").config
    assert (other.model_name, other.hook_name) == ("another", TrainConfig().hook_name)
    assert other.d_sae == preset.config.d_sae


def test_the_tutorials_preset_has_the_tutorials_numbers() -> None:
    preset = PRESETS[-1]
    assert preset.needs == (
        "tiny-stories-1L-21M",
        "apollo-research/roneneldan-TinyStories-tokenizer-gpt2",
    )
    config = preset.config
    assert config.total_training_steps == 30_000
    numbers = {
        "hook_name": "blocks.0.hook_mlp_out",
        "context_size": 512,
        "training_tokens": 122_880_000,
        "train_batch_size_tokens": 4096,
        "architecture": "standard",
        "d_sae": 16_384,
        "dtype": "float32",
        "normalize_activations": "expected_average_only_in",
        "n_batches_for_norm_estimate": 1000,
        "apply_b_dec_to_input": False,
        "decoder_init_norm": 0.1,
        "l1_coefficient": 5.0,
        "l1_warm_up_steps": 1500,
        "lp_norm": 1.0,
        "lr": 5e-5,
        "lr_scheduler_name": "constant",
        "lr_warm_up_steps": 0,
        "lr_decay_steps": 6000,
        "adam_beta1": 0.9,
        "adam_beta2": 0.999,
        "n_batches_in_buffer": 64,
        "store_batch_size_prompts": 16,
        "feature_sampling_window": 1000,
        "dead_feature_window": 1000,
        "n_checkpoints": 0,
        "seed": 42,
    }
    assert {name: getattr(config, name) for name in numbers} == numbers


def test_only_the_settings_of_an_architecture_are_read() -> None:
    assert reads("standard", "l1_coefficient")
    assert reads("gated", "l1_coefficient")
    assert not reads("gated", "lp_norm")
    assert not reads("standard", "k")
    assert reads("batchtopk", "k")
    assert not reads("batchtopk", "l1_coefficient")


def test_a_setting_of_another_choice_is_not_read() -> None:
    jumprelu = {"architecture": "jumprelu", "jumprelu_sparsity_loss_mode": "step"}
    assert not is_read("target_l0", jumprelu)
    assert is_read(
        "target_l0", {**jumprelu, "jumprelu_sparsity_loss_mode": "quadratic"}
    )
    assert is_read("lr", jumprelu)
    assert not is_read("k", jumprelu)
    values = TrainConfig().to_json()
    assert not is_read("lr_end", values)
    assert is_read("lr_end", {**values, "lr_scheduler_name": "cosineannealing"})


def test_a_setting_that_is_not_read_decides_about_no_other() -> None:
    quadratic = {"jumprelu_sparsity_loss_mode": "quadratic"}
    assert is_read("wanted_l0", {**quadratic, "architecture": "standard"})
    assert not is_read("wanted_l0", {**quadratic, "architecture": "jumprelu"})


def test_more_features_than_there_are_cannot_be_wanted() -> None:
    with pytest.raises(SettingError):
        TrainConfig(architecture="gated", d_sae=8, wanted_l0=9)
    assert TrainConfig(architecture="topk", d_sae=24, wanted_l0=99).wanted_l0 == 99


def test_what_decides_about_a_setting_stands_before_it() -> None:
    names = list(settings())
    for name, setting in settings().items():
        if setting.only_when is not None:
            decider, wanted = setting.only_when
            assert set(wanted) < set(choices(decider) or (True, False))
            assert names.index(decider) < names.index(name)


def test_a_retired_option_is_no_setting_and_says_what_to_use() -> None:
    for option in RETIRED:
        assert option.name not in settings()
        assert option.now is None or option.now in settings()
        assert option.why("en").endswith(".")
        assert option.why("ko").endswith("요.")
    assert len({option.name for option in RETIRED}) == len(RETIRED)
