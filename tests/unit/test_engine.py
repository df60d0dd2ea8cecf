"""Which engine computes the steps, and what becomes of one that is not there."""

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from tests.unit.test_step import batch_of, copied, trainer_of
from tinysae.config import TrainConfig
from tinysae.model import blas
from tinysae.model.sources import LoadedModel
from tinysae.sae.step.engine import (
    DENSE,
    SPARSE,
    EngineChoice,
    choose_engine,
    make_step,
    numba_problem,
)
from tinysae.sae.step.kernels import trial
from tinysae.sae.train import SAETraining

# A trainer that was copied has this to say.
pytestmark = pytest.mark.filterwarnings("ignore:Seems like `optimizer.step")


def test_numba_is_the_engine_here() -> None:
    choice = choose_engine(trainer_of("standard"))
    assert choice.name == SPARSE, choice.reason
    assert choice.reason == ""
    assert choice.product in blas.PRODUCTS


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"lp_norm": 0.5}, "lp_norm"),
        ({"dtype": "float64"}, "dtype"),
        ({"normalize_activations": "layer_norm"}, "normalization"),
    ],
)
def test_saelens_trains_what_ours_does_not(more: dict[str, Any], reason: str) -> None:
    trainer = trainer_of("standard", **more)
    theirs = copied(trainer)
    choice = choose_engine(trainer)
    assert choice.name == DENSE
    assert choice.reason == reason
    x = batch_of()
    found, output = make_step(trainer, choice).step(x), theirs.step(x)
    assert found.loss == output.loss.item()


def test_timing_saelens_leaves_the_random_numbers_alone(
    tiny_model: LoadedModel,
) -> None:
    config = TrainConfig(
        hook_name="blocks.0.hook_mlp_out",
        architecture="matryoshka_batchtopk",
        d_sae=64,
        k=4,
        context_size=16,
        train_batch_size_tokens=64,
        training_tokens=640,
        matryoshka_widths="8, 32",
        l1_warm_up_steps=0,
        l0_warm_up_steps=0,
        lr_decay_steps=0,
    )
    training = SAETraining(config, tiny_model)
    state = torch.get_rng_state()
    assert training.dense_step_seconds() > 0
    assert torch.equal(torch.get_rng_state(), state)
    training.close()


@pytest.fixture(params=["missing", "broken"])
def no_compiler(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    if request.param == "missing":
        # What Python does with a module that is None: `import` fails.
        monkeypatch.setitem(sys.modules, trial.__name__, None)
    else:
        monkeypatch.setattr(trial, "try_kernels", lambda: 1 / 0)
    numba_problem.cache_clear()
    yield
    numba_problem.cache_clear()


@pytest.mark.usefixtures("no_compiler")
def test_where_the_compiler_fails_saelens_trains_and_the_run_says_why() -> None:
    choice = choose_engine(trainer_of("standard"))
    assert choice == EngineChoice(DENSE, "numba_fails", "")


def test_a_run_goes_on_with_what_it_began_with(
    caplog: pytest.LogCaptureFixture,
) -> None:
    before = EngineChoice(SPARSE, "", "torch")
    made_with = {"device": "cpu", **before.to_json()}
    assert EngineChoice.from_json(made_with) == before
    assert choose_engine(trainer_of("topk"), before) == before
    dense = EngineChoice(DENSE, "numba_fails", "")
    assert choose_engine(trainer_of("topk"), dense) == dense
    assert not caplog.records
    assert EngineChoice.from_json({"device": "cpu"}) is None
    assert EngineChoice.from_json({**made_with, "encoder_product": 3}) is None


def test_a_step_that_is_no_more_is_replaced_and_the_log_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    before = EngineChoice("sparse (torch)", "no_numba", "torch")
    choice = choose_engine(trainer_of("topk"), before)
    assert choice == EngineChoice(SPARSE, "", "torch")
    assert "sparse (torch)" in caplog.text
    assert SPARSE in caplog.text


@pytest.mark.usefixtures("no_compiler")
def test_a_step_that_fails_by_now_is_replaced_and_the_log_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    before = EngineChoice("sparse (torch)", "no_numba", "torch")
    assert choose_engine(trainer_of("topk"), before).reason == "numba_fails"
    assert DENSE in caplog.text


def test_a_product_that_is_not_there_is_replaced(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert blas.choose_product("magic") in blas.PRODUCTS
    monkeypatch.setitem(blas.PRODUCTS, "onednn", lambda a, b: a @ b.T * 1.001)
    assert not blas.is_right(blas.PRODUCTS["onednn"])
    assert blas.choose_product("onednn") != "onednn"


def test_the_choice_of_the_product_is_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    chosen = blas.choose_product()
    monkeypatch.setattr(blas, "_fastest", lambda: pytest.fail("timed again"))
    assert blas.choose_product() == chosen
    path = tmp_path / "tinysae" / blas.CACHE_NAME
    assert chosen in path.read_text()


@pytest.mark.parametrize("content", ["{", "[]", '{"x": 1}'])
def test_a_damaged_or_unwritable_cache_costs_time_only(
    content: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "tinysae").mkdir()
    (tmp_path / "tinysae" / blas.CACHE_NAME).write_text(content)
    assert blas.choose_product() in blas.PRODUCTS
    # A file where the folder should be: nobody can write there, not even root.
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "tinysae" / blas.CACHE_NAME))
    assert blas.choose_product() in blas.PRODUCTS


def test_kernels_compile_where_no_cache_can_be_kept() -> None:
    program = (
        "from numba.core import caching\n"
        "caching.CacheImpl._locator_classes = []\n"
        "from tinysae.sae.step.engine import numba_problem\n"
        "print(repr(numba_problem()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "''"
