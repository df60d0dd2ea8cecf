"""Which of the storybook's concepts the embedded SAE's features read, and which not.

    python benchmarks/concepts.py

Prints a table, worst concept first, and as its last line one JSON object:

- concepts_found: share of the concepts that at most three features together read with
  an F1 of 0.8 or more; see `tinysae.features.names.concepts` for how they
  are chosen, and on which stories they are then scored;
- concepts_found_single: the share that one feature alone reads so well;
- concepts_by_linear_probe: the ceiling, the share that logistic regression on the same
  activations reads (all 256 numbers of a token, weights fitted for each concept);
- concepts_by_neurons, concepts_by_neuron: the floor, the shares that three and one of
  the MLP's neurons read, chosen in the same way.

Why a concept is missed stands in the last column. "not there": the probe misses it too.
"precision", "recall": which of the two the features lack. A low recall with a high
precision is a concept that is split over more than three features.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.common import measuring, print_last
from tinysae.config import TrainConfig
from tinysae.data.corpus import batched
from tinysae.data.storybook.words import CONCEPTS
from tinysae.features.names.concept_search import ConceptSearch
from tinysae.features.names.concept_tokens import (
    CONTEXTS_AT_ONCE,
    READINGS,
    ConceptTokens,
    FeaturePairs,
    concept_tokens,
    counted_targets,
    encoded,
    feature_pairs,
    hooked,
)
from tinysae.features.names.concepts import (
    FOUND_AT,
    ConceptReport,
    ConceptResult,
    Detector,
    Score,
    score,
)
from tinysae.library.shipped import STORYBOOK_SAE_DIR
from tinysae.model.forward import activations_at
from tinysae.model.hooks import HookPlace
from tinysae.model.sources import LoadedModel, load_model
from tinysae.sae.load import load_sae
from tinysae.worker.finish import concept_contexts
from tinysae.worker.held_out import HeldOut

SOURCES = [
    "benchmarks/concepts.py",
    "tinysae/features/names/concepts.py",
    "tinysae/embedded/assets/storybook-sae/sae_weights.safetensors",
]
MLP_OUT = "blocks.0.hook_mlp_out"
# Enough for the probe's loss to stand still; a smaller batch or more rounds change the
# share by less than a concept.
PROBE_ROUNDS, PROBE_BATCH, PROBE_LR = 12, 2048, 1e-2


class Stories(NamedTuple):
    chunks: NDArray[np.int32]
    tokens: ConceptTokens


def main() -> int:
    print_last(measured())
    return 0


def measured() -> dict[str, float]:
    """Takes the figures of the module's docstring down, and returns them."""
    with measuring("concepts", SOURCES) as figures:
        figures |= shares()
    return figures


def shares() -> dict[str, float]:
    """The figures; prints the table."""
    config = TrainConfig.loads(
        (STORYBOOK_SAE_DIR / "config.json").read_text(encoding="utf-8")
    )
    model, sae = load_model(config.model_name), load_sae(STORYBOOK_SAE_DIR)
    token_bytes = model.vocabulary.token_bytes
    choosing, reporting = (
        Stories(chunks, concept_tokens(chunks, token_bytes, model.bos_id))
        for chunks in concept_contexts(model, HeldOut.of(config))
    )
    xs = [
        hooked(model, chunks, tokens.rows, sae.hook_name)
        for chunks, tokens in (choosing, reporting)
    ]
    features = found_by(
        choosing, reporting, [feature_pairs(encoded(sae, x), sae.d_sae) for x in xs]
    )
    probe = probe_scores(xs, choosing.tokens, reporting.tokens)
    neurons = found_by(
        choosing, reporting, [neuron_pairs(model, s) for s in (choosing, reporting)]
    )
    print_table(features, probe, neurons)
    return {
        "concepts_found": round(features.found, 4),
        "concepts_found_single": round(features.found_single, 4),
        "concepts_by_linear_probe": round(
            float(np.mean([best.f1 >= FOUND_AT for best in probe.values()])), 4
        ),
        "concepts_by_neurons": round(neurons.found, 4),
        "concepts_by_neuron": round(neurons.found_single, 4),
        "concepts_counted": len(features.concepts),
    }


def found_by(
    choosing: Stories, reporting: Stories, pairs: list[FeaturePairs]
) -> ConceptReport:
    search = ConceptSearch(choosing.tokens, pairs[0], reporting.tokens, pairs[1])
    n_tokens = choosing.chunks.size + reporting.chunks.size
    return ConceptReport("", n_tokens, search.results())


def neuron_pairs(model: LoadedModel, stories: Stories) -> FeaturePairs:
    """What the MLP's neurons write, after the nonlinearity, where it is above 0."""
    place = HookPlace(f"{model.hooks[MLP_OUT].module}.act", is_input=False)

    def acts() -> Iterator[NDArray[np.float32]]:
        rows = np.zeros(stories.chunks.size, np.bool_)
        rows[stories.tokens.rows] = True
        kept = rows.reshape(stories.chunks.shape)
        for tokens, keep in zip(
            batched(stories.chunks, CONTEXTS_AT_ONCE),
            batched(kept, CONTEXTS_AT_ONCE),
            strict=True,
        ):
            seen = activations_at(model, torch.from_numpy(tokens).long(), place)
            yield seen.numpy()[keep]

    parts = list(acts())
    return feature_pairs(parts, parts[0].shape[1])


def probe_scores(
    xs: list[torch.Tensor],
    choosing: ConceptTokens,
    reporting: ConceptTokens,
) -> dict[str, Score]:
    """Logistic regression's score for each concept, fitted where features are chosen.

    The reading with the higher F1 there is the one that is reported.
    """
    counted = counted_targets(choosing, reporting)
    mean, scale = xs[0].mean(0), xs[0].std(0)
    fitted, told = ((x - mean) / scale for x in xs)
    labels = torch.from_numpy(choosing.labels[:, counted]).float()
    torch.manual_seed(0)
    probe = torch.nn.Linear(fitted.shape[1], len(counted))
    optimizer = torch.optim.Adam(probe.parameters(), lr=PROBE_LR)
    n_steps = PROBE_ROUNDS * (len(fitted) // PROBE_BATCH)
    falling = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.02, n_steps)
    for _ in range(PROBE_ROUNDS):
        order = torch.randperm(len(fitted))
        for batch in order[: len(order) // PROBE_BATCH * PROBE_BATCH].split(
            PROBE_BATCH
        ):
            loss = torch.nn.functional.binary_cross_entropy_with_logits(
                probe(fitted[batch]), labels[batch]
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            falling.step()
    with torch.no_grad():
        here, there = probe(fitted).numpy(), probe(told).numpy()
    best: dict[str, tuple[float, Score]] = {}
    for column, target in enumerate(counted.tolist()):
        concept = tuple(CONCEPTS)[target % len(CONCEPTS)]
        f1, threshold = best_threshold(here[:, column], choosing.labels[:, target])
        reported = score(there[:, column] >= threshold, reporting.labels[:, target])
        if concept not in best or f1 > best[concept][0]:
            best[concept] = f1, reported
    return {concept: reported for concept, (_, reported) in best.items()}


def best_threshold(
    logits: NDArray[np.float32], positive: NDArray[np.bool_]
) -> tuple[float, float]:
    order = np.argsort(-logits, kind="stable")
    hits = np.cumsum(positive[order])
    f1 = 2 * hits / (np.arange(1, len(order) + 1) + positive.sum())
    return float(f1.max()), float(logits[order[f1.argmax()]])


def print_table(
    report: ConceptReport, probe: dict[str, Score], neurons: ConceptReport
) -> None:
    by_neurons = {result.concept: result for result in neurons.concepts}
    print(
        f"{'concept':18} {'examples':>8} {'F1':>5} {'prec.':>5} {'recall':>6} "
        f"{'single':>6} {'probe':>5} {'neur.':>5}  features"
    )
    for result in sorted(report.concepts, key=lambda r: r.together.score.f1):
        found = result.together.score
        ceiling = probe[result.concept].f1
        print(
            f"{result.concept:18} {result.n_examples:8,} {found.f1:5.2f} "
            f"{found.precision:5.2f} {found.recall:6.2f} {result.single.score.f1:6.2f} "
            f"{ceiling:5.2f} {by_neurons[result.concept].together.score.f1:5.2f}  "
            f"{_features(result.together):38} {_why(result, ceiling)}"
        )
    for name in READINGS:
        those = [r for r in report.concepts if r.together.reading == name]
        print(f"read best as {name}: {len(those)}")


def _features(detector: Detector) -> str:
    numbers = " ".join(str(at.feature) for at in detector.features)
    return f"{detector.reading} {numbers}"


def _why(result: ConceptResult, ceiling: float) -> str:
    found = result.together.score
    if found.f1 >= FOUND_AT:
        return ""
    if ceiling < FOUND_AT:
        return "not there"
    return "recall" if found.recall < found.precision else "precision"


if __name__ == "__main__":
    sys.exit(main())
