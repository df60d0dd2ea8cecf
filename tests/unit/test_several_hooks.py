"""SAEs at several hooks: one forward of the model serves all, and each is as alone."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from tests.unit.test_sweep import (
    _home,  # noqa: F401
    assert_same,
    base,  # noqa: F401
    done_here,
    trained_alone,
    unindexed,  # noqa: F401
)
from tinysae.config import TrainConfig
from tinysae.data.branches import Branches
from tinysae.errors import InputError, NetworkError
from tinysae.model import forward
from tinysae.model.forward import activations, activations_of_hooks
from tinysae.model.loaded import LoadedModel
from tinysae.runs.axes import every_layer, names_hooks, with_hooks
from tinysae.runs.sweep import create_sweep, streams
from tinysae.sae import estimate_sweep
from tinysae.sae.train import SAETraining

HOOKS = ["blocks.1.hook_resid_post", "blocks.0.hook_mlp_out", "blocks.1.hook_resid_pre"]
"""Not in the order in which a forward comes to them."""


def test_one_forward_gives_what_one_for_each_hook_gives(
    tiny_model: LoadedModel,
) -> None:
    tokens = torch.arange(48).reshape(3, 16) % tiny_model.d_vocab
    names = list(tiny_model.hook_widths)
    found = activations_of_hooks(tiny_model, tokens, names)
    assert len(found) == len(names)
    for name, acts in zip(names, found, strict=True):
        assert torch.equal(acts, activations(tiny_model, tokens, name)), name


def test_the_forward_ends_at_the_last_hook(
    tiny_model: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = tiny_model.plain.get_output_embeddings()
    monkeypatch.setattr(head, "forward", lambda _: pytest.fail("came to the end"))
    tokens = torch.zeros((1, 4), dtype=torch.long)
    assert len(activations_of_hooks(tiny_model, tokens, HOOKS)) == len(HOOKS)
    with pytest.raises(InputError):
        activations_of_hooks(tiny_model, tokens, [*HOOKS, "blocks.9.hook_mlp_out"])


@pytest.mark.usefixtures("unindexed")
@pytest.mark.parametrize(
    ("axes", "changes"),
    [
        ({"hook_name": HOOKS}, {"exclude_special_tokens": True}),
        (
            {"hook_name": HOOKS[:2], "training_tokens": [10 * 64, 30 * 64]},
            {"normalize_activations": "none", "architecture": "batchtopk"},
        ),
    ],
)
def test_every_point_is_what_it_is_alone_and_the_text_is_read_once(
    axes: Any,
    changes: dict[str, Any],
    base: TrainConfig,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sweep = create_sweep(replace(base, **changes), axes)
    forwards: list[list[str]] = []
    real = forward.activations_of_hooks

    def counted(model: LoadedModel, tokens: Any, hook_names: list[str]) -> Any:
        forwards.append(list(hook_names))
        return real(model, tokens, hook_names)

    with monkeypatch.context() as patch:
        patch.setattr(forward, "activations_of_hooks", counted)
        done_here(sweep)
    assert [run.status.state for run in sweep.points()] == ["done"] * len(
        sweep.points()
    )
    of_all = [names for names in forwards if len(names) > 1]
    assert of_all
    assert all(names == axes["hook_name"] for names in of_all)
    config = sweep.base
    n_read = config.total_training_steps * config.train_batch_size_tokens
    if config.normalize_activations != "none":
        n_read += config.n_batches_for_norm_estimate * config.train_batch_size_tokens
    # As many as one run would read, and what is read ahead into its buffer.
    room = 4 * config.n_batches_in_buffer * config.train_batch_size_tokens
    a_forward = config.store_batch_size_prompts * config.context_size
    assert n_read <= len(of_all) * a_forward <= n_read + room
    for run in sweep.points():
        assert_same(run, trained_alone(run.config))


@pytest.mark.slow
@pytest.mark.usefixtures("unindexed")
def test_a_hook_whose_points_are_stopped_is_kept_for_no_more_and_goes_on(
    base: TrainConfig,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sweep = create_sweep(base, {"hook_name": HOOKS[:2]})
    stopped, other = sweep.points()
    left: list[int] = []
    with monkeypatch.context() as patch:
        real_step, real_leave = SAETraining.step, Branches.leave

        def step(training: SAETraining, batch: torch.Tensor) -> Any:
            row = real_step(training, batch)
            if training.config == stopped.config and training.n_steps == 7:
                stopped.request_stop()
            return row

        def leave(branches: Branches[Any], at: int) -> None:
            left.append(other.status.state == "training")
            real_leave(branches, at)

        patch.setattr(SAETraining, "step", step)
        patch.setattr(Branches, "leave", leave)
        done_here(sweep)
    assert (stopped.status.state, other.status.state) == ("stopped", "done")
    # Its place was given up while the other went on.
    assert left[0]
    done_here(sweep)
    for run in sweep.points():
        assert_same(run, trained_alone(run.config))


def test_points_at_several_hooks_are_read_for_at_once(base: TrainConfig) -> None:  # noqa: F811
    points = [replace(base, hook_name=name) for name in HOOKS]
    assert streams(points) == [points]
    assert len(streams([*points, replace(base, seed=9)])) == 2
    # A buffer for each hook.
    alike = [replace(base, d_sae=n) for n in (31, 32, 33)]

    def needed(configs: list[TrainConfig]) -> int:
        return estimate_sweep.together_bytes(configs, lambda _: 32, 0)

    wider = [
        replace(point, d_sae=each.d_sae)
        for point, each in zip(points, alike, strict=True)
    ]
    a_buffer = 3 * base.n_batches_in_buffer * base.train_batch_size_tokens * 32 // 2 * 4
    assert needed(wider) - needed(alike) == 2 * a_buffer


def test_the_deepest_hook_is_where_the_forward_ends(
    tiny_model: LoadedModel,
    base: TrainConfig,  # noqa: F811
) -> None:
    points = [replace(base, hook_name=name) for name in HOOKS]
    hooks = list(tiny_model.hook_widths)
    assert estimate_sweep.deepest(points[1:], hooks) == points[2]
    assert estimate_sweep.deepest(points, hooks) == points[0]
    with pytest.raises(InputError):
        estimate_sweep.deepest([replace(base, hook_name="nowhere")], hooks)


def test_a_pattern_names_the_hook_of_every_layer(tiny_model: LoadedModel) -> None:
    hooks = list(tiny_model.hook_widths)
    pattern = every_layer("blocks.1.hook_mlp_out", hooks)
    assert names_hooks("hook_name", [pattern])
    assert not names_hooks("hook_name", HOOKS)
    assert not names_hooks("dataset_path", ["*.txt"])
    expected = ["blocks.0.hook_mlp_out", "blocks.1.hook_mlp_out"]
    assert with_hooks([pattern], hooks) == expected
    assert with_hooks(["blocks.1.hook_mlp_out", pattern], hooks) == expected[::-1]
    one_layer = [name for name in hooks if name.startswith("blocks.0.")]
    assert with_hooks([every_layer(one_layer[0], one_layer)], one_layer) == one_layer
    with pytest.raises(InputError):
        with_hooks(["blocks.*.nothing"], hooks)


def test_branches_hand_every_row_to_every_thread() -> None:
    made: list[int] = []

    def rows(start: int) -> Iterator[list[int]]:
        for n in range(start, 500):
            made.append(n)
            yield [n, -n, n * n]

    branches = Branches(rows, 3)
    found: dict[int, list[int]] = {}

    def read(at: int) -> None:
        found[at] = list(branches.branch(at, 3))

    threads = [threading.Thread(target=read, args=(at,)) for at in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    n = np.arange(3, 500)
    assert made == n.tolist()
    assert found == {0: n.tolist(), 1: (-n).tolist(), 2: (n * n).tolist()}


def test_branches_keep_nothing_for_who_has_left_and_all_begin_at_one_place() -> None:
    branches = Branches(lambda start: iter([[n, n] for n in range(start, 9)]), 2)
    first = branches.branch(0, 2)
    with pytest.raises(ValueError, match="begins at 3"):
        branches.branch(1, 3)
    second = branches.branch(1, 2)
    assert (next(first), next(first), next(second)) == (2, 3, 2)
    branches.leave(1)
    assert list(second) == []
    assert list(first) == [4, 5, 6, 7, 8]


def test_what_goes_wrong_with_a_row_is_raised_to_everybody_who_comes_to_it() -> None:
    def rows(start: int) -> Iterator[list[int]]:
        yield [start, start]
        raise NetworkError("text_network", dataset="a")

    branches = Branches(rows, 2)
    for branch in (branches.branch(0, 5), branches.branch(1, 5)):
        assert next(branch) == 5
        with pytest.raises(NetworkError):
            next(branch)
