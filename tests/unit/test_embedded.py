"""The embedded SAE: what is shipped, how it is found, and how it is made again."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.builders import finished_run, write_model
from tinysae.config import TrainConfig
from tinysae.embedded.build import (
    build_sae,
    post_config,
    shipped_config,
)
from tinysae.embedded.cards import sae_card
from tinysae.errors import DamagedError, TinysaeError
from tinysae.features.index.reader import open_index
from tinysae.features.names.label_file import read_labels
from tinysae.features.names.showcase import read_showcases, showcases
from tinysae.jobs.files import read_json
from tinysae.jobs.job import JOB_ID, new_job_id
from tinysae.jobs.status import JobStatus, write_status
from tinysae.library import feature_source as sources
from tinysae.library.feature_source import (
    default_source,
    embedded_source,
    feature_source,
    feature_sources,
    post_source,
)
from tinysae.library.shipped import (
    ASSETS,
    POST_FEATURES_DIR,
    POST_SAE_DIR,
    STORYBOOK_FEATURES_DIR,
    STORYBOOK_POST,
    STORYBOOK_RUN_DIR,
    STORYBOOK_SAE,
    STORYBOOK_SAE_DIR,
)
from tinysae.model.sources import STORYBOOK, load_model
from tinysae.runs.metrics import read_metrics
from tinysae.runs.store import create_run, run_in
from tinysae.sae.load import load_sae

SMALL: dict[str, Any] = {
    "d_sae": 32,
    "k": 4.0,
    "matryoshka_widths": "",
    "context_size": 16,
    "train_batch_size_tokens": 64,
    "n_batches_in_buffer": 4,
    "n_batches_for_norm_estimate": 3,
    "store_batch_size_prompts": 4,
    "lr_decay_steps": 0,
}


def test_the_shipped_sae_is_as_good_as_promised() -> None:
    figures = read_json(STORYBOOK_SAE_DIR / "eval.json")
    assert figures["n_tokens"] > 190_000
    assert figures["ce_loss_score"] >= 0.95
    assert figures["l0"] <= 32
    assert figures["dead_share"] < 0.05
    index = embedded_source().open()
    assert index.info.d_sae == figures["d_sae"] == 4096
    assert index.info.hook_name == "blocks.0.hook_resid_mid"
    assert index.info.model == "storybook"


def test_the_shipped_settings_are_those_of_the_command() -> None:
    saved = (STORYBOOK_SAE_DIR / "config.json").read_text(encoding="utf-8")
    assert TrainConfig.loads(saved) == shipped_config(seed=0)


def test_the_card_says_what_the_evaluation_says() -> None:
    figures = read_json(STORYBOOK_SAE_DIR / "eval.json")
    card = (STORYBOOK_SAE_DIR / "README.md").read_text(encoding="utf-8")
    assert card == sae_card(shipped_config(seed=0), figures)


def test_the_second_sae_is_as_its_command_and_its_card_say() -> None:
    saved = (POST_SAE_DIR / "config.json").read_text(encoding="utf-8")
    assert TrainConfig.loads(saved) == post_config(seed=0)
    figures = read_json(POST_SAE_DIR / "eval.json")
    assert figures["ce_loss_score"] >= 0.99
    assert figures["dead_share"] < 0.05
    card = (POST_SAE_DIR / "README.md").read_text(encoding="utf-8")
    assert card == sae_card(post_config(seed=0), figures, post=True)
    index = post_source().open()
    assert index.info.d_sae == figures["d_sae"]
    assert index.info.hook_name == "blocks.0.hook_resid_post"


def test_the_assets_stay_small() -> None:
    files = [path for path in ASSETS.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 30e6
    kinds = {".json", ".jsonl", ".gz", ".safetensors", ".parquet", ".md", ".csv"}
    assert {path.suffix for path in files} <= kinds


@pytest.mark.slow
def test_what_home_shows_is_what_the_rule_chooses() -> None:
    shown = read_showcases(STORYBOOK_FEATURES_DIR)
    chosen = showcases(
        open_index(STORYBOOK_FEATURES_DIR),
        read_labels(STORYBOOK_FEATURES_DIR),
        load_sae(STORYBOOK_SAE_DIR),
        load_model(STORYBOOK),
    )
    # Nats to another machine's rounding.
    assert [replace(each, lost=None) for each in shown] == [
        replace(each, lost=None) for each in chosen
    ]
    assert [each.lost for each in shown] == pytest.approx(
        [each.lost for each in chosen], abs=1e-3
    )


def test_no_run_has_the_embedded_saes_name() -> None:
    # A run's id begins with a date, and only such a one is ever made.
    assert JOB_ID.fullmatch(new_job_id())
    assert new_job_id()[:8].isdigit()
    assert not STORYBOOK_SAE[:1].isdigit()


def test_the_newest_finished_run_comes_before_the_embedded_sae(
    tiny_home: Path,
) -> None:
    assert feature_sources() == [embedded_source(), post_source()]
    assert feature_source(STORYBOOK_POST) == post_source()
    assert default_source(feature_sources()) == feature_source(STORYBOOK_SAE)
    run = finished_run(write_model(tiny_home / "model"))
    unfinished = create_run(TrainConfig())
    write_status(unfinished.path, JobStatus("stopped"))
    found = feature_sources()
    embedded = {STORYBOOK_SAE, STORYBOOK_POST}
    assert {source.id for source in found} == {run.id, unfinished.id, *embedded}
    assert found[-1].is_embedded
    assert default_source(found).id == run.id


@pytest.mark.parametrize("file", ["index.json", "features.parquet"])
@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(b"x")])
def test_a_damaged_asset_says_how_to_get_it_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, damage: Any
) -> None:
    shutil.copytree(STORYBOOK_FEATURES_DIR, tmp_path / "features")
    monkeypatch.setattr(sources, "STORYBOOK_FEATURES_DIR", tmp_path / "features")
    damage(tmp_path / "features" / file)
    with pytest.raises(DamagedError, match="python -m tinysae storybook --only sae"):
        embedded_source().open()


def test_the_run_that_comes_along_is_of_the_shipped_recipe() -> None:
    run, shipped = run_in(STORYBOOK_RUN_DIR), shipped_config(seed=0)
    assert run.config == shipped
    rows = read_metrics(run.metrics_path).rows
    assert (
        rows[-1]["n_tokens"]
        >= shipped.training_tokens - shipped.train_batch_size_tokens
    )
    ours, theirs = (
        run.evaluation(),
        json.loads((STORYBOOK_SAE_DIR / "eval.json").read_text()),
    )
    assert ours is not None
    for name in ("ce_loss_score", "explained_variance"):
        assert ours[name] == pytest.approx(theirs[name], abs=0.002)


@pytest.mark.slow
def test_the_command_makes_an_sae_an_index_and_a_showcase(tmp_path: Path) -> None:
    write_model(tmp_path / "storybook")
    figures = build_sae(tmp_path, tokens=30 * 64, seed=1, **SMALL)
    sae_dir = tmp_path / STORYBOOK_SAE_DIR.name
    assert {path.name for path in sae_dir.iterdir()} == {
        "README.md",
        "cfg.json",
        "config.json",
        "eval.json",
        "runner_cfg.json",
        "sae_weights.safetensors",
        "sparsity.safetensors",
    }
    assert json.loads((sae_dir / "eval.json").read_text()) == figures
    features_dir = tmp_path / STORYBOOK_FEATURES_DIR.name
    assert open_index(features_dir).info.d_sae == 32
    # The tiny model has hardly a whole word.
    assert read_showcases(features_dir) == []
    run_dir = tmp_path / STORYBOOK_RUN_DIR.name
    assert {path.name for path in tmp_path.iterdir()} == {
        "storybook",
        sae_dir.name,
        features_dir.name,
        run_dir.name,
    }
    run = run_in(run_dir)
    assert run.status.state == "done"
    assert read_metrics(run.metrics_path).rows[-1]["step"] == 29


def test_the_second_sae_comes_without_a_showcase(
    tmp_path: Path, short_text: Path
) -> None:
    write_model(tmp_path / "storybook")
    text = {"dataset_path": str(short_text)}
    figures = build_sae(tmp_path, tokens=30 * 64, seed=1, post=True, **SMALL, **text)
    folders = {"storybook", POST_SAE_DIR.name, POST_FEATURES_DIR.name}
    assert {path.name for path in tmp_path.iterdir()} == folders
    assert json.loads((tmp_path / POST_SAE_DIR.name / "eval.json").read_text()) == (
        figures
    )
    index = open_index(tmp_path / POST_FEATURES_DIR.name)
    assert index.info.hook_name == "blocks.0.hook_resid_post"
    assert not (tmp_path / POST_FEATURES_DIR.name / "showcase.json").exists()


def test_a_failure_leaves_what_was_there(tmp_path: Path) -> None:
    sae_dir = tmp_path / STORYBOOK_SAE_DIR.name
    sae_dir.mkdir()
    (sae_dir / "kept").touch()
    with pytest.raises(TinysaeError):
        build_sae(tmp_path, tokens=30 * 64, **SMALL)
    assert [path.name for path in sae_dir.iterdir()] == ["kept"]
    assert [path.name for path in tmp_path.iterdir()] == [sae_dir.name]


def test_home_is_painted_without_anything_heavy() -> None:
    script = (
        "import sys, tinysae.ui.home.front, tinysae.ui.home.showcase;"
        "import tinysae.ui.shell.page;"
        "assert not {'torch', 'numpy', 'pandas', 'pyarrow'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
