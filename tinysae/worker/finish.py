"""The last stage: an SAE's figures on held-out text, its index, its features' names."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinysae.errors import TinysaeError
from tinysae.jobs.files import write_json
from tinysae.jobs.reporter import Counted, Reporter
from tinysae.jobs.status import State
from tinysae.library.all_compared import keep_figures
from tinysae.library.shipped import SHIPPED
from tinysae.runs.checkpoints import checkpoints
from tinysae.runs.compare import Ground
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
    from tinysae.features.names.concept_search import FeatureScores
    from tinysae.features.names.concepts import ConceptReport
    from tinysae.features.names.rule_learner import RuleLearner
    from tinysae.features.names.rules import Rule
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
    measure(run, model, reporter)
    explore(run, model, last_state, reporter)


def measure(run: Run, model: "LoadedModel", reporter: Reporter) -> None:
    """The figures of the run's SAE on held-out text."""
    from tinysae.sae.load import load_sae

    _measure(run, load_sae(run.sae_dir), model, Counted(reporter, "evaluating"))


def explore(
    run: Run, model: "LoadedModel", last_state: State, reporter: Reporter
) -> None:
    """Index and names of its features, then `last_state`."""
    index = index_features(run, model, reporter)
    _keep_last_moment(run, index)
    remove_live_indexes(run)
    run.say(last_state)


def evaluate_again(
    sae: "AnySAE", progress: Callable[[int, int], object] | None = None
) -> dict[str, Any]:
    """Measures an SAE on held-out text; returns what a run's `eval.json` then holds.

    `progress` hears (tokens done, tokens in all).

    Raises:
        TinysaeError: the run has no SAE (yet), or its model cannot be loaded.
        OSError: the file cannot be written.
    """
    from tinysae.model.sources import load_model
    from tinysae.sae.load import load_sae

    weights, model = load_sae(sae.sae_dir), load_model(sae.model_name)
    return _measure(sae, weights, model, progress)


def _measure(
    job: "AnySAE",
    sae: "SAE",
    model: "LoadedModel",
    progress: Callable[[int, int], object] | None,
) -> dict[str, Any]:
    held_out = _in_its_contexts(HeldOut.of_sae(job), sae, model)
    figures = evaluated(sae, model, held_out, progress).to_json()
    if isinstance(job, Run):
        write_json(job.path / EVAL_NAME, figures)
    elif job.directory not in SHIPPED.values():
        ground = (job.model_name, sae.hook_name, held_out.text, held_out.context_size)
        keep_figures(job, figures, Ground(*ground))
    return figures


def _in_its_contexts(held_out: HeldOut, sae: "SAE", model: "LoadedModel") -> HeldOut:
    """As long as what the SAE was trained on: one from elsewhere says so, or does
    not."""
    size = sae.context_size if type(sae.context_size) is int else None
    size = min(size or held_out.context_size, model.n_ctx)
    return replace(held_out, context_size=size)


def _keep_last_moment(run: Run, index: "FeatureIndex") -> None:
    """The features' history ends with what they are."""
    from tinysae.features.index.history import keep_moment

    for checkpoint in checkpoints(run)[-1:]:
        try:
            keep_moment(run.history_dir, checkpoint.step, index)
        except (OSError, TinysaeError):
            logger.exception("the last look at the features is not kept")


def index_features(
    job: "AnySAE", model: "LoadedModel", reporter: Reporter
) -> "FeatureIndex":
    """The index of the job's SAE, of held-out text, and its features' names."""
    from tinysae.data.storybook.words import CONCEPTS
    from tinysae.features.fit import check_fit
    from tinysae.sae.load import load_sae

    sae = load_sae(job.sae_dir)
    # Before anything is read: an SAE from elsewhere may be of another model.
    check_fit(sae, model)
    held_out = _in_its_contexts(HeldOut.of_sae(job), sae, model)
    logger.info("%s reads %s", model.source, held_out.text.path)
    progress = Counted(reporter, "indexing")
    learner = rule_learner(model, held_out, tell=progress.rest)
    index = build_features(
        *(sae, model, held_out, job.features_dir), progress=progress, on_read=learner
    )
    reporter.begin("labelling", len(CONCEPTS) if _has_concepts(held_out) else 0)
    name_features(
        *(sae, model, held_out, index, job.features_dir, learner.rules),
        lambda done, _: reporter.go_on(done),
    )
    reporter.end()
    return index


def build_features(
    sae: "SAE",
    model: "LoadedModel",
    held_out: HeldOut,
    out_dir: Path,
    *,
    n_tokens: int | None = None,
    progress: Callable[[int, int], object] | None = None,
    on_read: "RuleLearner | None" = None,
    **options: Any,
) -> "FeatureIndex":
    """The index of `sae` on `n_tokens` held-out tokens (`INDEX_TOKENS`), or on those
    that there are; what else is learnt from it, and `build_index`'s `options`."""
    import numpy as np

    from tinysae.features.index.build import build_index

    wanted = INDEX_TOKENS if n_tokens is None else n_tokens
    chunks = held_out.contexts(model, INDEX_SEED, wanted)
    total = sum(map(len, chunks))
    if progress is not None:
        progress(0, total)
    if on_read is not None and chunks:
        on_read.begin(np.stack(chunks))
    return build_index(
        *(sae, model, chunks, out_dir),
        n_tokens=total,
        text=held_out.text.path,
        is_held_out=held_out.is_unseen,
        progress=progress,
        on_read=on_read,
        **options,
    )


def name_features(
    sae: "SAE",
    model: "LoadedModel",
    held_out: HeldOut,
    index: "FeatureIndex",
    folder: Path,
    rules: "Sequence[Rule]",
    progress: Callable[[int, int], object] | None = None,
) -> None:
    """Writes what each of the features is called, by its rule, their themes, and what
    they read of the concepts of a text that has any, beside their `index` in
    `folder`."""
    from tinysae.features.names.concepts import write_concepts
    from tinysae.features.names.label_file import write_labels
    from tinysae.features.names.labels import labels
    from tinysae.features.names.theme_file import write_themes
    from tinysae.features.names.themes import themes_of

    scores = None
    if _has_concepts(held_out):
        report, scores = concepts_read(sae, model, held_out, progress)
        write_concepts(folder, report)
    table = index.table()
    named = labels(table["top_tokens"], scores, rules, table["promoted"].tolist())
    write_labels(folder, named)
    write_themes(folder, themes_of(index, named))


def rule_learner(
    model: "LoadedModel",
    held_out: HeldOut,
    *,
    tell: Callable[[float], object] = lambda _: None,
) -> "RuleLearner":
    """What learns the features' rules while their index is made (its `on_read`);
    `tell` as in `rules_of`."""
    from tinysae.features.names.rule_learner import RuleLearner

    has_concepts = _has_concepts(held_out)
    return RuleLearner(
        model.vocabulary, model.bos_id, has_concepts=has_concepts, tell=tell
    )


def _has_concepts(held_out: HeldOut) -> bool:
    from tinysae.data.texts.storybook import STORYBOOK

    return held_out.text.path == STORYBOOK


def evaluated(
    sae: "SAE",
    model: "LoadedModel",
    held_out: HeldOut,
    progress: Callable[[int, int], object] | None = None,
) -> "Evaluation":
    """The figures of `sae` on `EVALUATION_TOKENS` held-out tokens, or on those that
    there are; `progress` hears (tokens done, tokens in all)."""
    from tinysae.data.corpus import batched
    from tinysae.sae.evaluate import evaluate

    contexts = held_out.contexts(model, EVALUATION_SEED, EVALUATION_TOKENS)
    total, done = sum(map(len, contexts)), 0

    def tell(n_new: int) -> None:
        nonlocal done
        done += n_new
        if progress is not None:
            progress(done, total)

    tell(0)
    return evaluate(
        sae.to(model.plain.device),
        model,
        batched(contexts, CONTEXTS_AT_ONCE),
        n_ce_batches=CE_BATCHES,
        progress=tell,
    )


def concepts_read(
    sae: "SAE",
    model: "LoadedModel",
    held_out: HeldOut,
    progress: Callable[[int, int], object] | None = None,
) -> "tuple[ConceptReport, FeatureScores]":
    """What `sae` reads of the storybook's concepts, in held-out stories."""
    from tinysae.features.names.concept_search import concept_scores

    return concept_scores(sae, model, *concept_contexts(model, held_out), progress)


def concept_contexts(
    model: "LoadedModel", held_out: HeldOut
) -> "tuple[NDArray[np.int32], NDArray[np.int32]]":
    """Contexts [n, context_size] for the choice of features; others for the scores."""
    import numpy as np

    choosing, reporting = (
        np.stack(held_out.contexts(model, seed, CONCEPT_TOKENS // 2))
        for seed in (CHOOSING_SEED, REPORTING_SEED)
    )
    return choosing, reporting
