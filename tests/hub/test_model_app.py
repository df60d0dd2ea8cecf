"""The tutorial's model: from the hub to the playground, a training, its features."""

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import OpenPage
from tests.hub.repos import TUTORIAL_MODEL, tutorial_model, wait_for_download
from tests.hub.server import Hub
from tinysae.config import TrainConfig
from tinysae.features.index.reader import open_index
from tinysae.model.catalogue import Pin, write_pin
from tinysae.model.sources import is_at_hand
from tinysae.runs.store import create_run
from tinysae.worker import finish, life, load, look

SOURCE = "tiny-stories-1L-21M"


@pytest.fixture(autouse=True)
def here(hub: Hub, sees_hub: None, tiny_home: Path) -> Iterator[None]:  # noqa: ARG001
    """The hub has the tutorial's model, whose pickle is pinned."""
    assert tiny_home.is_dir()
    folder = tutorial_model(hub.folder(TUTORIAL_MODEL))
    sha256 = hashlib.sha256((folder / "pytorch_model.bin").read_bytes()).hexdigest()
    write_pin(TUTORIAL_MODEL, Pin(hub.commit(TUTORIAL_MODEL), sha256))
    yield
    shutil.rmtree(hub.root, ignore_errors=True)


@pytest.mark.slow
def test_tutorial_model_is_downloaded_played_with_trained_on_and_explored(
    open_page: OpenPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    # 50,257 logits a token: as few as there can be.
    for name in ("EVALUATION_TOKENS", "INDEX_TOKENS", "CONCEPT_TOKENS"):
        monkeypatch.setattr(finish, name, 2048)
    monkeypatch.setattr(load, "be_nice", lambda: None)
    monkeypatch.setattr(look, "LOOKS_PER_RUN", 1)
    monkeypatch.setattr(look, "LOOK_CONTEXTS", 1)
    page = open_page("pages/playground.py")
    page.selectbox(key="shell.model").set_value(SOURCE).run()
    assert not page.exception
    page.button(key="shell.model_download").click().run()
    assert wait_for_download(SOURCE).state == "done"
    page.run()
    assert not page.exception
    assert not page.error
    assert is_at_hand(SOURCE)

    run = create_run(
        TrainConfig(
            model_name=SOURCE,
            hook_name="blocks.0.hook_mlp_out",
            d_sae=64,
            context_size=32,
            training_tokens=2048,
            train_batch_size_tokens=256,
            n_batches_in_buffer=4,
            store_batch_size_prompts=4,
            lr_decay_steps=0,
            l1_warm_up_steps=0,
        )
    )
    life.train(run)
    assert run.status.state == "done"
    index = open_index(run.features_dir)
    assert (index.info.model, index.info.d_sae) == (SOURCE, 64)
    explorer = open_page("pages/features.py", run=run.id)
    assert not explorer.exception
    assert not explorer.error
