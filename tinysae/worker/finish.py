"""The last stage: an SAE's figures on held-out text, its index, its features' names."""

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinysae.errors import TinysaeError
from tinysae.jobs.files import write_json
from tinysae.jobs.reporter import Reporter
from tinysae.jobs.status import State
from tinysae.runs.checkpoints import checkpoints
from tinysae.runs.live import remove_live_indexes
from tinysae.runs.store import EVAL_NAME, Run
from tinysae.worker.held_out import (
    CHOOSING_SEED,
    EVALUATION_SEED,
    INDEX_SEED,
    REPORTING_SEED,
    HeldOut,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tinysae.features.index.reader import FeatureIndex
    from tinysae.features.names.concepts import ConceptReport, FeatureScores
    from tinysae.library.saved import AnySAE
    from tinysae.model.sources import LoadedModel
    from tinysae.sae.evaluate import Evaluation
    from tinysae.sae.load import SAE

logger = logging.getLogger(__name__)

CONTEXTS_AT_ONCE = 16
EVALUATION_TOKENS = 200_000
# Three whole forwards each, unembedding included: the slow part of an evaluation.
CE_BATCHES = 12
INDEX_TOKENS = 300_000
CONCEPT_TOKENS = 200_000


def finish(
    run: Run, model: "LoadedModel", last_state: State, reporter: Reporter
) -> None:
    """Evaluation, index and names of the run's SAE, then `last_state`."""
    from tinysae.sae.load import load_sae

    sae = load_sae(run.sae_dir)
    reporter.begin("evaluating", EVALUATION_TOKENS)
    _measure(run, sae, model, lambda done: reporter.go_on(reporter.done + done))
    index = index_features(run, model, HeldOut.of(run.config), reporter)
    _keep_last_moment(run, index)
    remove_live_indexes(run)
    run.say(last_state)


def evaluate_again(
    run: Run, progress: Callable[[int], object] | None = None
) -> dict[str, Any]:
    """Measures the run's SAE on held-out text; returns what `eval.json` then holds.

    `progress` hears how many tokens each batch had, of `EVALUATION_TOKENS`.

    Raises:
        TinysaeError: the run has no SAE (yet), or its model cannot be loaded.
        OSError: the file cannot be written.
    """
    from tinysae.model.sources import load_model
    from tinysae.sae.load import load_sae

    sae, model = load_sae(run.sae_dir), load_model(run.model_name)
    return _measure(run, sae, model, progress)


def _measure(
    run: Run,
    sae: "SAE",
    model: "LoadedModel",
    progress: Callable[[int], object] | None,
) -> dict[str, Any]:
    figures = evaluated(sae, model, HeldOut.of(run.config), progress).to_json()
    write_json(run.path / EVAL_NAME, figures)
    return figures


def _keep_last_moment(run: Run, index: "FeatureIndex") -> None:
    """The features' history ends with what they are."""
    from tinysae.features.index.history import keep_moment

    for checkpoint in checkpoints(run)[-1:]:
        try:
            keep_moment(run.history_dir, checkpoint.step, index)
        except (OSError, TinysaeError):
            logger.exception("the last look at the features is not kept")


def index_features(
    job: "AnySAE", model: "LoadedModel", held_out: HeldOut, reporter: Reporter
) -> "FeatureIndex":
    """The index of the job's SAE, of held-out text, and its features' names."""
    from tinysae.data.storybook import CONCEPTS
    from tinysae.features.index.build import check_fit
    from tinysae.sae.load import load_sae

    sae = load_sae(job.sae_dir)
    # Before anything is read: an SAE from elsewhere may be of another model.
    check_fit(sae, model)
    # As long as what it was trained on: an SAE from elsewhere says so, or does not.
    size = sae.context_size if type(sae.context_size) is int else None
    size = min(size or held_out.context_size, model.n_ctx)
    held_out = replace(held_out, context_size=size)
    reporter.begin("indexing", INDEX_TOKENS)

    def progress(done: int, _total: int) -> None:
        reporter.go_on(done)

    index = build_features(sae, model, held_out, job.features_dir, progress=progress)
    reporter.begin("labelling", len(CONCEPTS))
    name_features(sae, model, held_out, index, job.features_dir, progress)
    reporter.end()
    return index


def build_features(
    sae: "SAE",
    model: "LoadedModel",
    held_out: HeldOut,
    out_dir: Path,
    *,
    n_tokens: int | None = None,
    **options: Any,
) -> "FeatureIndex":
    """The index of `sae` on `n_tokens` held-out tokens (`INDEX_TOKENS`); `options` are
    `build_index`'s."""
    from tinysae.features.index.build import build_index

    n_tokens = INDEX_TOKENS if n_tokens is None else n_tokens
    chunks = held_out.contexts(model, INDEX_SEED, n_tokens)
    return build_index(sae, model, chunks, out_dir, n_tokens=n_tokens, **options)


def name_features(
    sae: "SAE",
    model: "LoadedModel",
    held_out: HeldOut,
    index: "FeatureIndex",
    folder: Path,
    progress: Callable[[int, int], object] | None = None,
) -> None:
    """Writes what each of the features is called, and what they read of the concepts of
    a text that has any, beside their `index` in `folder`."""
    from tinysae.data.texts.storybook import STORYBOOK
    from tinysae.features.names.concepts import write_concepts
    from tinysae.features.names.labels import labels, write_labels

    scores = None
    if held_out.text.path == STORYBOOK:
        report, scores = concepts_read(sae, model, held_out, progress)
        write_concepts(folder, report)
    write_labels(folder, labels(index.table()["top_tokens"], scores))


def evaluated(
    sae: "SAE",
    model: "LoadedModel",
    held_out: HeldOut,
    progress: Callable[[int], object] | None = None,
) -> "Evaluation":
    """The figures of `sae` on `EVALUATION_TOKENS` held-out tokens."""
    from tinysae.data.corpus import batched
    from tinysae.sae.evaluate import evaluate

    contexts = held_out.contexts(model, EVALUATION_SEED, EVALUATION_TOKENS)
    return evaluate(
        sae,
        model,
        batched(contexts, CONTEXTS_AT_ONCE),
        n_ce_batches=CE_BATCHES,
        progress=progress,
    )


def concepts_read(
    sae: "SAE",
    model: "LoadedModel",
    held_out: HeldOut,
    progress: Callable[[int, int], object] | None = None,
) -> "tuple[ConceptReport, FeatureScores]":
    """What `sae` reads of the storybook's concepts, in held-out stories."""
    from tinysae.features.names.concepts import concept_scores

    return concept_scores(sae, model, *concept_contexts(model, held_out), progress)


def concept_contexts(
    model: "LoadedModel", held_out: HeldOut
) -> "tuple[NDArray[np.int32], NDArray[np.int32]]":
    """Contexts [n, context_size] for the choice of features; others for the scores."""
    import numpy as np

    choosing, reporting = (
        np.stack(list(held_out.contexts(model, seed, CONCEPT_TOKENS // 2)))
        for seed in (CHOOSING_SEED, REPORTING_SEED)
    )
    return choosing, reporting
