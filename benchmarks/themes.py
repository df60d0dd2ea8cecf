"""Whether the themes of the embedded SAE's features agree with what these read.

    python benchmarks/themes.py

Groups the features anew from the index and labels that come along, and holds their
themes against concepts: of each concept that features read with an F1 of 0.5 or more,
on stories other than those they were chosen on (`concepts.json`), the kind of words.
Prints as its last line one JSON object:

- agree: share of those features whose theme is that kind; agree_shuffled: the same when
  the themes are dealt out among them by chance, the best of ten times;
- rand, rand_shuffled: the adjusted Rand index of themes and kinds, and so dealt out;
- rand_without_kinds: the same index where only the words themselves, and who fires with
  whom, make the groups: how much of it lies in our table of kinds of words;
- read: how many features that is;
- themes, in_a_theme: how many there are; share of the live features that have one;
- seconds: CPU time of one thread, all imported.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from sklearn.metrics import adjusted_rand_score

from benchmarks.common import measuring, print_last
from tinysae.data.storybook.words import KINDS
from tinysae.errors import MissingError
from tinysae.features.index.reader import FeatureIndex, open_index
from tinysae.features.names.concepts import read_concepts
from tinysae.features.names.label_file import read_labels
from tinysae.features.names.theme_file import Theme, Themes, theme_name
from tinysae.features.names.themes import N_TOKENS, Shares, grouped, themes_of
from tinysae.library.shipped import STORYBOOK_FEATURES_DIR

SOURCES = [
    "benchmarks/themes.py",
    "tinysae/data/storybook/kinds.json",
    "tinysae/features/names/theme*.py",
    "tinysae/embedded/assets/storybook-sae/sae_weights.safetensors",
]
READ_AT = 0.5
N_DEALS = 10


def kinds_read(folder: Path) -> dict[int, str]:
    """The kind of the concept that a feature reads best."""
    report = read_concepts(folder)
    if report is None:
        raise MissingError("features_missing", path=str(folder))
    kind_of = {concept: kind for kind, own in KINDS.items() for concept in own}
    best: dict[int, tuple[float, str]] = {}
    for result in report.concepts:
        for detector in result.readings:
            if detector.score.f1 >= READ_AT:
                read = (detector.score.f1, kind_of[result.concept])
                for each in detector.features:
                    best[each.feature] = max(read, best.get(each.feature, read))
    return {feature: kind for feature, (_, kind) in best.items()}


def compared(themes: Themes, kinds: dict[int, str]) -> dict[str, float]:
    """How far the themes of the features that have one are the kinds they read."""
    pairs = [(themes.theme(feature), kind) for feature, kind in kinds.items()]
    own = [(theme, Theme(kind)) for theme, kind in pairs if theme is not None]
    mine, truth = ([str(pair[at]) for pair in own] for at in (0, 1))
    rng = np.random.default_rng(0)
    dealt = [rng.permutation(mine).tolist() for _ in range(N_DEALS)]
    return {
        "agree": share_equal(mine, truth),
        "agree_shuffled": max(share_equal(each, truth) for each in dealt),
        "rand": adjusted_rand_score(mine, truth),
        "rand_shuffled": max(adjusted_rand_score(each, truth) for each in dealt),
        "read": len(own),
    }


def share_equal(one: Sequence[str], other: Sequence[str]) -> float:
    return float(np.mean([a == b for a, b in zip(one, other, strict=True)]))


def words_alone(index: FeatureIndex) -> Themes:
    """Themes of words as they are written, which are of no kind."""
    heads = index.heads(N_TOKENS, 1)
    topics = [
        Shares(
            {
                Theme(index.vocabulary.text(token), is_kind=False): share
                for token, share in zip(own, shares, strict=True)
                if share > 0
            }
        )
        for own, shares in zip(
            heads.tokens.tolist(), heads.mass_share.tolist(), strict=True
        )
    ]
    return grouped(topics, index.partners(), 0)


def figures() -> dict[str, float]:
    """The figures of the module's docstring."""
    index = open_index(STORYBOOK_FEATURES_DIR)
    labels = read_labels(STORYBOOK_FEATURES_DIR)
    kinds = kinds_read(STORYBOOK_FEATURES_DIR)
    themes_of(index, labels)
    started = time.process_time()
    themes = themes_of(index, labels)
    seconds = time.process_time() - started
    live = np.flatnonzero(index.table()["n_fired"]).tolist()
    alone = compared(words_alone(index), kinds)
    found: dict[str, float] = {
        **compared(themes, kinds),
        "rand_without_kinds": alone["rand"],
        "themes": len(themes.themes),
        "in_a_theme": float(np.mean([themes.theme(at) is not None for at in live])),
        "seconds": seconds,
    }
    for theme, members in zip(themes.themes, themes.members, strict=True):
        print(f"{len(members):6}  {theme_name(theme, 'en')}")
    return {name: round(value, 4) for name, value in found.items()}


def main() -> int:
    with measuring("themes", SOURCES) as measured:
        measured |= figures()
    print_last(measured)
    return 0


if __name__ == "__main__":
    sys.exit(main())
