"""The points of a sweep: values as people write them, and settings that go together."""

from typing import Any

import pytest

from tinysae.config import TrainConfig
from tinysae.errors import InputError, SettingError
from tinysae.runs.axes import MAX_POINTS, points_of, seeds, values_of
from tinysae.runs.sweep import streams

L1 = TrainConfig(architecture="standard")


@pytest.mark.parametrize(
    ("name", "text", "values"),
    [
        ("l1_coefficient", "1, 2, 5,10", [1.0, 2.0, 5.0, 10.0]),
        ("l1_coefficient", "1..16 x2", [1.0, 2.0, 4.0, 8.0, 16.0]),
        ("l1_coefficient", "1..10 *3", [1.0, 3.0, 9.0]),
        ("l1_coefficient", "0.1..10 in 3", [0.1, 1.0, 10.0]),
        ("l1_coefficient", "1..3 +1, 20", [1.0, 2.0, 3.0, 20.0]),
        ("lr", "1e-5..1e-3 x10", [1e-5, 1e-4, 1e-3]),
        ("d_sae", "128..512x2", [128, 256, 512]),
        ("d_sae", "100..1000 in 4", [100, 215, 464, 1000]),
        ("d_sae", "512, 512", [512]),
        ("training_tokens", "1_000_000", [1_000_000]),
        ("architecture", "topk, standard", ["topk", "standard"]),
        ("apply_b_dec_to_input", "true,false", [True, False]),
        ("k", "8", [8.0]),
    ],
)
def test_values_are_read_as_people_write_them(
    name: str, text: str, values: list[Any]
) -> None:
    found = values_of(name, text)
    assert found == values
    assert [type(value) for value in found] == [type(value) for value in values]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("l1_coefficient", "one"),
        ("l1_coefficient", "1..16"),
        ("l1_coefficient", "16..1 x2"),
        ("l1_coefficient", "1..16 x1"),
        ("l1_coefficient", "0..16 x2"),
        ("l1_coefficient", "1..16 +0"),
        ("l1_coefficient", "1..16 in 1"),
        ("l1_coefficient", "nan"),
        ("l1_coefficient", "inf"),
        ("architecture", "topk..gated x2"),
    ],
)
def test_what_is_no_value_is_quoted(name: str, text: str) -> None:
    with pytest.raises(InputError, match="cannot be read") as raised:
        values_of(name, text)
    assert raised.value.values["field"] == name


def test_a_range_has_an_end() -> None:
    with pytest.raises(InputError, match="2 to 64"):
        values_of("l1_coefficient", "0..1e300 +1")


@pytest.mark.parametrize("name", ["name", "no_such", "__class__", "x" * 10_000])
def test_only_settings_can_be_varied(name: str) -> None:
    with pytest.raises(InputError, match="no setting"):
        values_of(name, "1,2")


def test_points_are_every_combination_and_called_by_their_values() -> None:
    axes = {"l1_coefficient": [1.0, 2.0], "d_sae": [256, 512, 1024]}
    points = points_of(L1, axes)
    found = [(point.l1_coefficient, point.d_sae) for point in points]
    assert found == [(c, d) for c in (1.0, 2.0) for d in (256, 512, 1024)]
    assert points[1].title == "l1_coefficient 1, d_sae 512"
    named = points_of(TrainConfig(architecture="standard", name="mine"), axes)
    assert named[1].title == "mine: l1_coefficient 1, d_sae 512"


def test_what_cannot_go_together_is_named_before_anything_starts() -> None:
    with pytest.raises(SettingError, match="k is 600") as raised:
        points_of(TrainConfig(), {"k": [8.0, 600.0], "d_sae": [512, 1024]})
    assert raised.value.values["field"] == "k"
    with pytest.raises(SettingError, match="d_sae is many"):
        points_of(L1, {"d_sae": [64, "many"]})


@pytest.mark.parametrize(
    ("axes", "said"),
    [
        ({}, "one setting at least"),
        ({"k": []}, "No values"),
        ({"d_sae": [64]}, "1 training;"),
        ({"d_sae": [64] * 5}, "1 training;"),
        ({"d_sae": list(range(1, MAX_POINTS + 2))}, "65 trainings"),
        ({"d_sae": list(range(1, 10)), "lr": [10**-n for n in range(1, 9)]}, "72"),
        ({"k": [8.0, 16.0]}, "means nothing for standard"),
    ],
)
def test_a_grid_has_bounds(axes: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        points_of(L1, axes)


def test_points_that_would_be_one_training_are_one() -> None:
    axes = {"architecture": ["standard", "topk"], "k": [8.0, 16.0]}
    points = points_of(TrainConfig(), axes)
    assert [(p.architecture, p.k) for p in points] == [
        ("standard", 8.0),
        ("topk", 8.0),
        ("topk", 16.0),
    ]
    assert points[0].title == "architecture standard"


def test_schedules_keep_their_share_of_a_run_of_another_length() -> None:
    base = TrainConfig(
        architecture="standard",
        training_tokens=100 * 2048,
        l1_warm_up_steps=5,
        lr_decay_steps=20,
    )
    short, long = points_of(base, {"training_tokens": [20 * 2048, 200 * 2048]})
    assert (short.l1_warm_up_steps, short.lr_decay_steps) == (1, 4)
    assert (long.l1_warm_up_steps, long.lr_decay_steps) == (10, 40)


def test_seeds_go_on_from_the_bases() -> None:
    assert seeds(TrainConfig(seed=7), 3) == [7, 8, 9]
    for n in (0, MAX_POINTS + 1):
        with pytest.raises(InputError, match="2 to 64"):
            seeds(TrainConfig(), n)


def test_points_share_a_stream_unless_what_they_read_differs() -> None:
    axes = {"l1_coefficient": [1.0, 2.0], "d_sae": [64, 128], "lr": [1e-3, 1e-4]}
    assert [len(party) for party in streams(points_of(L1, axes))] == [8]
    # One forward serves all hooks.
    hooks = {"hook_name": ["blocks.0.hook_mlp_out", "blocks.0.hook_resid_mid"]}
    assert [len(party) for party in streams(points_of(L1, hooks))] == [2]
    for name, values in {
        "seed": [1, 2],
        "context_size": [64, 128],
        "train_batch_size_tokens": [512, 1024],
        "normalize_activations": ["none", "expected_average_only_in"],
        "exclude_special_tokens": [True, False],
        "n_batches_in_buffer": [8, 16],
    }.items():
        found = streams(points_of(L1, {name: values, "l1_coefficient": [1.0, 2.0]}))
        assert [len(party) for party in found] == [2, 2], name


def test_what_goes_to_wandb_is_trained_alone() -> None:
    base = TrainConfig(architecture="standard", log_to_wandb=True)
    found = streams(points_of(base, {"l1_coefficient": [1.0, 2.0, 3.0]}))
    assert [len(party) for party in found] == [1, 1, 1]
