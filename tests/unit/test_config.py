import dataclasses
import math
from typing import Any

import pytest

from tinysae.config import PRESETS, TrainConfig, choices, reads, settings
from tinysae.errors import DamagedError, SettingError


def test_a_config_survives_its_own_json() -> None:
    config = TrainConfig(name="첫 학습", d_sae=64, architecture="standard", lr=0.01)
    assert TrainConfig.from_json(config.to_json()) == config


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("lr", math.nan),
        ("lr", math.inf),
        ("lr", 1e9),
        ("lr", "0.1"),
        ("d_sae", 0),
        ("d_sae", -5),
        ("d_sae", True),
        ("k", None),
        ("training_tokens", 1.5),
        ("context_size", 1),
        ("architecture", "dense"),
        ("apply_b_dec_to_input", "yes"),
        ("name", "a" * 81),
        ("seed", 2**63),
    ],
)
def test_a_forged_setting_is_refused_by_name(field: str, value: Any) -> None:
    with pytest.raises(SettingError) as caught:
        TrainConfig(**{field: value})
    assert caught.value.values["field"] == field
    assert field in str(caught.value)


def test_settings_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(SettingError, match="k is"):
        TrainConfig(d_sae=8, k=9)
    with pytest.raises(SettingError, match="training_tokens"):
        TrainConfig(training_tokens=100, train_batch_size_tokens=200)
    with pytest.raises(SettingError, match="lr_decay_steps"):
        TrainConfig(
            training_tokens=1000,
            train_batch_size_tokens=100,
            lr_warm_up_steps=6,
            lr_decay_steps=6,
        )


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
            assert setting.label(language)
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
        config = TrainConfig(**preset.changes)
        assert config.lr_decay_steps == config.total_training_steps // 5


def test_only_the_settings_of_an_architecture_are_read() -> None:
    assert reads("standard", "l1_coefficient")
    assert not reads("standard", "k")
    assert reads("batchtopk", "k")
    assert not reads("batchtopk", "l1_coefficient")
