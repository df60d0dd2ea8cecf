"""How many features are called by a rule that can be trusted, and at what cost.

    python benchmarks/names.py

Indexes the embedded SAE's held-out text anew and learns the features' rules on one half
of it (`tinysae.features.names.rules`, which says how they are scored on the other).
Prints as its last line one JSON object:

- detection_85, detection_75: share of the live features whose rule tells active from
  inactive contexts with a balanced accuracy of 0.85, of 0.75; detection: the median;
- f1, correlation: medians, of a rule with the feature's firing and with its strength;
- unique: share of the live features with a name that no other has;
- no_rule: share of the live features whose name says that there is no simple rule;
- ms_a_feature: to learn and score, CPU time of one thread, all compiled;
- shuffled: the median detection when every feature fires as often, but anywhere.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np

from benchmarks.common import measuring, print_last
from tinysae.config import TrainConfig
from tinysae.features.index.pair_store import Band, PairStore
from tinysae.features.names.labels import label_sentence, labels
from tinysae.features.names.rule_learner import RuleLearner
from tinysae.features.names.rules import Rule, learnt
from tinysae.features.names.surroundings import Surroundings
from tinysae.library.shipped import STORYBOOK_SAE_DIR
from tinysae.model.sources import load_model
from tinysae.sae.load import load_sae
from tinysae.words import LANGUAGES
from tinysae.worker.finish import build_features
from tinysae.worker.held_out import HeldOut

SOURCES = [
    "benchmarks/names.py",
    "tinysae/features/names/rule*.py",
    "tinysae/features/names/surroundings.py",
    "tinysae/embedded/assets/storybook-sae/sae_weights.safetensors",
]
FEATURES_AT_ONCE = 16


class Measured(RuleLearner):
    """Learns as a run does, then again to be timed, and once from shuffled firings."""

    def __call__(self, store: PairStore) -> None:
        text = self.text(store)
        bands = all_bands(store)
        self.rules = list(learnt(bands, text))
        started = time.process_time()
        self.rules = list(learnt(bands, text))
        self.seconds = time.process_time() - started
        self.is_live = store.n_fired() > 0
        self.shuffled = list(learnt(anywhere(bands, text), text))


def all_bands(store: PairStore) -> list[Band]:
    d_sae = len(store.n_fired())
    return [
        store.band(begin, min(begin + FEATURES_AT_ONCE, d_sae))
        for begin in range(0, d_sae, FEATURES_AT_ONCE)
    ]


def anywhere(bands: Sequence[Band], text: Surroundings) -> list[Band]:
    """The bands with every feature's firings at tokens drawn by chance."""
    rng = np.random.default_rng(0)
    is_text = (text.learnt_in >= 0) | text.is_scored
    tokens = np.flatnonzero(is_text).astype(np.int32)
    moved: list[Band] = []
    for band in bands:
        counts = np.diff(band.first).tolist()
        drawn = [np.sort(rng.choice(tokens, n, replace=False)) for n in counts]
        moved.append(band._replace(position=np.concatenate(drawn)))
    return moved


def detections(rules: Sequence[Rule], is_live: np.ndarray) -> np.ndarray:
    """Of the live features; one half where there is no rule or nothing to tell."""
    found = [0.5 if rule.detection is None else rule.detection for rule in rules]
    return np.asarray(found)[is_live]


def main() -> int:
    with measuring("names", SOURCES) as figures:
        figures |= shares()
    print_last(figures)
    return 0


def shares() -> dict[str, float]:
    """The figures of the module's docstring."""
    config = TrainConfig.loads((STORYBOOK_SAE_DIR / "config.json").read_text("utf-8"))
    model, sae = load_model(config.model_name), load_sae(STORYBOOK_SAE_DIR)
    own = Measured(model.vocabulary, model.bos_id, has_concepts=True)
    with tempfile.TemporaryDirectory(prefix="tinysae-") as folder:
        out = Path(folder) / "features"
        how = {"layout": "pca", "on_read": own}
        table = build_features(sae, model, HeldOut.of(config), out, **how).table()
    named = labels(table["top_tokens"], None, own.rules, table["promoted"].tolist())
    live = np.flatnonzero(own.is_live).tolist()
    found = detections(own.rules, own.is_live)
    unique = min(
        len({label_sentence(named[at], language) for at in live})
        for language in LANGUAGES
    )
    return {
        "detection_85": round(float((found >= 0.85).mean()), 4),
        "detection_75": round(float((found >= 0.75).mean()), 4),
        "detection": round(float(np.median(found)), 4),
        "f1": round(float(np.median([own.rules[at].f1 or 0.0 for at in live])), 4),
        "correlation": round(
            float(np.median([own.rules[at].correlation or 0.0 for at in live])), 4
        ),
        "unique": round(unique / len(live), 4),
        "no_rule": round(float(np.mean([not named[at].has_rule for at in live])), 4),
        "ms_a_feature": round(own.seconds / len(own.rules) * 1e3, 3),
        "shuffled": round(float(np.median(detections(own.shuffled, own.is_live))), 4),
        "live": len(live),
    }


if __name__ == "__main__":
    sys.exit(main())
