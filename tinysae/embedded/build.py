"""The embedded SAEs and the indexes of their features, made as any run's are.

A run in a folder of its own goes through the same worker as everybody's; what it leaves
then becomes the assets.
"""

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, NamedTuple

from tinysae.config import TrainConfig
from tinysae.embedded.cards import sae_card
from tinysae.errors import DamagedError, TinysaeError
from tinysae.features.names.label_file import read_labels
from tinysae.features.names.showcase import showcases, write_showcases
from tinysae.jobs.files import read_json, staged_folder, write_json
from tinysae.jobs.job import TOOK_NAME
from tinysae.jobs.status import JobStatus, write_status
from tinysae.library.shipped import (
    ASSETS,
    POST_FEATURES_DIR,
    POST_SAE_DIR,
    STORYBOOK_FEATURES_DIR,
    STORYBOOK_RUN_DIR,
    STORYBOOK_SAE_DIR,
)
from tinysae.model.sources import STORYBOOK
from tinysae.runs.store import EVAL_NAME, Run
from tinysae.sae.narrow import keep_busiest
from tinysae.worker import finish, life
from tinysae.worker.held_out import HeldOut

SHIPPED_TOKENS: Final = 10_000_000
POST_TOKENS: Final = 4_500_000
BATCH: Final = 2048
RUN_POINTS: Final = 250
CONFIG_NAME: Final = "config.json"


def shipped_config(*, tokens: int = SHIPPED_TOKENS, **changes: Any) -> TrainConfig:
    """How the shipped SAE is trained, learning ever less over the last fifth."""
    settings: dict[str, Any] = {
        "name": "storybook",
        # What the MLP reads: the token's own meaning is in it, of which the MLP's
        # output keeps half; see `sae_card.md`.
        "hook_name": "blocks.0.hook_resid_mid",
        # Nested, so that what a wide feature means is not cut up among narrow ones:
        # twice as many have a simple rule; see `sae_card.md`.
        "architecture": "matryoshka_batchtopk",
        "d_sae": 4096,
        "matryoshka_widths": "512, 1024, 2048",
        "k": 24.0,
        "lr": 2e-3,
        "lr_decay_steps": tokens // BATCH // 5,
        "training_tokens": tokens,
        "train_batch_size_tokens": BATCH,
    }
    return TrainConfig(**{**settings, **changes})


def post_config(*, tokens: int = POST_TOKENS, **changes: Any) -> TrainConfig:
    """How the second one is trained: of what the block leaves behind.

    Only the final LayerNorm and the unembedding come after it, so that what a feature
    adds to a logit is exact. Fewer features, because both have to be small, and none
    nested.
    """
    settings: dict[str, Any] = {
        "name": "storybook-post",
        "hook_name": "blocks.0.hook_resid_post",
        "architecture": "batchtopk",
        "d_sae": 768,
        "matryoshka_widths": "",
        "k": 20.0,
    }
    return shipped_config(tokens=tokens, **{**settings, **changes})


def build_sae(
    assets: Path = ASSETS,
    *,
    tokens: int | None = None,
    seed: int = 0,
    post: bool = False,
    **changes: Any,
) -> dict[str, Any]:
    """Trains, evaluates and indexes an SAE of the model in `assets`, and puts it there.

    Nothing is replaced before all of it is there. `changes` are to `shipped_config`,
    or to `post_config` where it is the second SAE that is made (`post`). Returns what
    is saved as ``eval.json``.

    Raises:
        TinysaeError: what the status of a run would say on the page.
        OSError: the assets cannot be written.
    """
    is_shipped = assets == ASSETS
    model = STORYBOOK if is_shipped else str(assets / STORYBOOK)
    made = _made(post)
    length = {} if tokens is None else {"tokens": tokens}
    config = made.config(**length, seed=seed, **{"model_name": model, **changes})
    with tempfile.TemporaryDirectory(prefix="tinysae-") as folder:
        wide = replace(config, d_sae=config.d_sae + config.d_sae // 8 * made.is_first)
        run = Run("embedded", Path(folder), wide)
        run.say("queued")
        life.train(run)
        status = run.status
        if status.state != "done":
            key = (status.error or "error.worker_failed").removeprefix("error.")
            raise TinysaeError(key, **(status.error_values or {}))
        return _put(run, config, assets, made)


def _put(run: Run, config: TrainConfig, assets: Path, made: "_Made") -> dict[str, Any]:
    """What `run` has made among the assets, as `config` says it is."""
    if run.config.d_sae > config.d_sae:
        keep_busiest(run.sae_dir, config.d_sae)
        finish.evaluate_again(run)
        saved = run.path / CONFIG_NAME
        write_json(saved, {**read_json(saved), "d_sae": config.d_sae})
    figures = read_json(run.path / EVAL_NAME)
    index = _build_features(run.sae_dir, config, run.path / "shipped", made)
    with staged_folder(assets / made.sae_name) as stage:
        for source in (*run.sae_dir.iterdir(), run.path / EVAL_NAME):
            shutil.copyfile(source, stage / source.name)
        write_json(stage / CONFIG_NAME, config.to_json())
        card = sae_card(config, figures, post=not made.is_first)
        (stage / "README.md").write_text(card, encoding="utf-8")
    with staged_folder(assets / made.features_name) as stage:
        shutil.copytree(index, stage, dirs_exist_ok=True)
    if made.is_first:
        with staged_folder(assets / STORYBOOK_RUN_DIR.name) as stage:
            copy_run(run, stage)
    return figures


def copy_run(run: Run, folder: Path) -> None:
    """The curves and figures of `run`, for the training page to show before anybody
    has trained: as many points as a chart draws.

    Raises:
        OSError: they cannot be read or written.
    """
    for path in (run.evals_path, run.path / EVAL_NAME, run.path / CONFIG_NAME):
        shutil.copyfile(path, folder / path.name)
    write_status(folder, JobStatus("done"))
    write_json(folder / TOOK_NAME, run.took() or {})
    lines = run.metrics_path.read_text(encoding="utf-8").splitlines(keepends=True)
    every = max(1, len(lines) // RUN_POINTS)
    kept = lines[::every]
    if kept[-1] != lines[-1]:
        kept.append(lines[-1])
    (folder / run.metrics_path.name).write_text("".join(kept), encoding="utf-8")


def build_features(assets: Path = ASSETS, *, post: bool = False) -> None:
    """Indexes an SAE in `assets` anew, with what it was trained on.

    Raises:
        TinysaeError: the SAE or its settings cannot be read.
        OSError: the assets cannot be written.
    """
    made = _made(post)
    sae_dir = assets / made.sae_name
    try:
        config = TrainConfig.loads((sae_dir / CONFIG_NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError) as problem:
        raise DamagedError("sae_damaged", path=str(sae_dir)) from problem
    with tempfile.TemporaryDirectory(prefix="tinysae-") as folder:
        index = _build_features(sae_dir, config, Path(folder) / "shipped", made)
        with staged_folder(assets / made.features_name) as stage:
            shutil.copytree(index, stage, dirs_exist_ok=True)


def build_themes(assets: Path = ASSETS, *, post: bool = False) -> None:
    """Groups the features of an SAE in `assets` anew, as its index and labels are.

    Raises:
        MissingError, DamagedError: there are none, or they cannot be read.
        OSError: the assets cannot be written.
    """
    from tinysae.features.index.reader import open_index
    from tinysae.features.names.theme_file import write_themes
    from tinysae.features.names.themes import themes_of

    folder = assets / _made(post).features_name
    write_themes(folder, themes_of(open_index(folder), read_labels(folder)))


def _build_features(
    sae_dir: Path, config: TrainConfig, out_dir: Path, made: "_Made"
) -> Path:
    """What is shipped of the features, in `out_dir`."""
    from tinysae.model.sources import load_model
    from tinysae.sae.load import load_sae

    sae, model = load_sae(sae_dir), load_model(config.model_name)
    held_out = HeldOut.of(config)
    learner = finish.rule_learner(model, held_out)
    index = finish.build_features(
        *(sae, model, held_out, out_dir), on_read=learner, **made.index_options
    )
    finish.name_features(sae, model, held_out, index, out_dir, learner.rules)
    if made.is_first:
        write_showcases(out_dir, showcases(index, read_labels(out_dir), sae, model))
    return out_dir


class _Made(NamedTuple):
    """An SAE that comes along: its folders among the assets, and how it is made.

    index_options: of its index, less of everything than a run's has: this one is
    downloaded with the code. is_first: whether it is the one that pages open with. Its
    features are shown on the home page; and an eighth more are trained, of which those
    that fire least often, a third of them never, are left out.
    """

    sae_name: str
    features_name: str
    config: Callable[..., TrainConfig]
    index_options: dict[str, Any]
    is_first: bool


def _made(post: bool) -> _Made:
    if post:
        # Less again: it is there so that a feature of the Why page can be looked up.
        index = {
            "contexts_per_feature": 4,
            "contexts_per_bin": 1,
            "features_per_token": 8,
            "n_tokens": 120_000,
        }
        names = POST_SAE_DIR.name, POST_FEATURES_DIR.name
        return _Made(*names, post_config, index, is_first=False)
    index = {
        "contexts_per_feature": 10,
        "contexts_per_bin": 3,
        "features_per_token": 20,
    }
    names = STORYBOOK_SAE_DIR.name, STORYBOOK_FEATURES_DIR.name
    return _Made(*names, shipped_config, index, is_first=True)
