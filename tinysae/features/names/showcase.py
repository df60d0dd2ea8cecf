"""A few features worth seeing first, chosen from an index by rule, with a text each.

A name that is right, and an absence that is felt: a feature is shown where its label
reads a concept with an F1 of at least `MIN_F1` on stories that it was not chosen on,
and where switching it off takes at least `MIN_LOST` nats from what comes next. They are
chosen when the index is made and kept beside it as JSON, so that a page shows one
before anything that reads an index is imported.
"""

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tinysae.checked_numbers import is_number, whole
from tinysae.errors import DamagedError, MissingError
from tinysae.jobs.files import read_json, write_json

if TYPE_CHECKING:
    from tinysae.features.index.reader import FeatureIndex
    from tinysae.features.index.records import Context, FeatureRecord, FiringToken
    from tinysae.features.names.labels import Label
    from tinysae.features.why.ablation import Absence
    from tinysae.model.sources import LoadedModel
    from tinysae.model.text.vocabulary import Vocabulary
    from tinysae.sae.load import SAE

FORMAT = 1
SHOWCASE_NAME = "showcase.json"
N_SHOWN = 12
# Rarer features are names of one thing, more frequent ones are grammar.
DENSITIES = (0.0008, 0.03)
MIN_F1 = 0.8
# Of the log-prob of what comes next, mean over the tokens on which the feature is on:
# a tenth of a nat is a tenth of its probability.
MIN_LOST = 0.1
# Of the feature's activation, from which a token is one of those it fires on.
MIN_SHARE = 0.02
# One word is no kind of word; and what is expected has to be told in words, too.
LEAST_FIRES_ON, LEAST_EXPECTED = 2, 3
# Of what is expected, among how many the words are looked for.
N_FALLEN = 12
N_TOKENS = 6
# A text of a few lines, also on a phone.
TOKENS_AROUND = 36
_ENDS_SENTENCE = re.compile(r'[.!?]"?$|^"$')


@dataclass(frozen=True)
class Showcase:
    """A feature and a text in which it is at work; all texts are untrusted.

    Attributes:
        feature: its number.
        density: share of all tokens on which it fires.
        fires_on: tokens, those with the most of its activation first.
        promotes: words that the model expects less without it, the first most.
        texts: tokens of a story; joined, the text.
        activations: the feature's, at each of them.
        max_act: its strongest on any text.
        lost: nats that what comes next loses of its log-prob without it, where it is
            on; None in files of an earlier version.
    """

    feature: int
    density: float
    fires_on: list[str]
    promotes: list[str]
    texts: list[str]
    activations: list[float]
    max_act: float
    lost: float | None = None


def showcases(
    index: "FeatureIndex",
    labels: "Sequence[Label]",
    sae: "SAE",
    model: "LoadedModel",
    n: int = N_SHOWN,
) -> list[Showcase]:
    """The `n` features whose absence is felt most, of those that are named right.

    `is_right` and `is_recognised` have the rule for the name. Of features with the
    same name only the first stays; none is shown where none is good enough.

    Args:
        index: of the SAE.
        labels: one a feature.
        sae: whose features they are.
        model: its model, by which the absence is measured: in the feature's own
            strongest contexts.
    """
    from tinysae.features.why.ablation import absence

    low, high = DENSITIES
    table = index.table()
    wanted = table["feature"][table["density"].between(low, high)]
    good = [f for f in wanted.tolist() if f < len(labels) and is_right(labels[f])]
    records = [index.feature(feature) for feature in good]
    words = whole_words(records)
    candidates: list[tuple[str, Showcase]] = []
    for record in records:
        if not is_recognised(record, words):
            continue
        texts = [context.tokens.tolist() for context in record.contexts]
        missing = absence(sae, model, texts, record.feature)
        comes = expected(missing, index.vocabulary)
        if missing.lost >= MIN_LOST and len(comes) >= LEAST_EXPECTED:
            shown = _showcase(record, index.info.bos_id, missing.lost, comes)
            candidates.append((labels[record.feature].text, shown))
    candidates.sort(key=lambda pair: -(pair[1].lost or 0.0))
    chosen: dict[str, Showcase] = {}
    for name, shown in candidates:
        chosen.setdefault(name, shown)
    return list(chosen.values())[:n]


def is_right(label: "Label") -> bool:
    """Whether the name says what the feature fires on, with an F1 of `MIN_F1`."""
    return label.kind == "fires_on" and (label.f1 or 0.0) >= MIN_F1


def is_recognised(record: "FeatureRecord", words: set[int]) -> bool:
    """Whether a reader recognises a name in the feature's tokens: there are several,
    and those that are shown are among `words`."""
    tokens = fires_on(record)
    return len(tokens) >= LEAST_FIRES_ON and words.issuperset(t.token for t in tokens)


def fires_on(record: "FeatureRecord") -> "list[FiringToken]":
    """The tokens with at least `MIN_SHARE` of the activation, the most first."""
    leading = record.tokens[:N_TOKENS]
    return [token for token in leading if token.mass_share >= MIN_SHARE]


def expected(missing: "Absence", vocabulary: "Vocabulary") -> list[str]:
    """Of the tokens that the model expects less without the feature, the words."""
    texts = map(vocabulary.text, missing.fallen[:N_FALLEN])
    words = [text for text in texts if text[:1] == " " and text[1:].isalpha()]
    return words[:N_TOKENS]


def whole_words(records: "list[FeatureRecord]") -> set[int]:
    """Tokens of a space and letters, seen in a context without more letters after them.

    The last sets " play" apart from " hone", which only ever begins " honey".
    """
    # Features share contexts; one of each is enough.
    contexts = {context.chunk: context for r in records for context in r.contexts}
    return {
        token
        for context in contexts.values()
        for token, text, following in zip(
            context.tokens.tolist(), context.texts, context.texts[1:], strict=False
        )
        if text[:1] == " " and text[1:].isalpha() and not following[:1].isalpha()
    }


def _showcase(
    record: "FeatureRecord", bos_id: int, lost: float, comes: list[str]
) -> Showcase:
    best = max((excerpt(context, bos_id) for context in record.contexts), key=_n_active)
    return Showcase(
        feature=record.feature,
        density=record.density,
        fires_on=[token.text for token in fires_on(record)],
        promotes=comes,
        texts=best.texts,
        activations=[round(value, 4) for value in best.activations.tolist()],
        max_act=record.max_act,
        lost=round(lost, 4),
    )


def _n_active(context: "Context") -> int:
    return int((context.activations > 0).sum())


def excerpt(context: "Context", bos_id: int) -> "Context":
    """The whole sentences of one story around where the feature is strongest."""
    tokens, at = context.tokens.tolist(), context.position
    first, last = max(0, at - TOKENS_AROUND), min(len(tokens), at + TOKENS_AROUND + 1)
    while bos_id in tokens[first:at]:
        first = tokens.index(bos_id, first) + 1
    if bos_id in tokens[at:last]:
        last = tokens.index(bos_id, at)
    ends = [
        place + 1
        for place in range(first, last)
        if _ENDS_SENTENCE.search(context.texts[place])
        # A closing quotation mark goes with the full stop before it.
        and context.texts[place + 1 : place + 2] != ['"']
    ]
    if first and tokens[first - 1] != bos_id:
        first = next((end for end in ends if end <= at), first)
    last = next((end for end in reversed(ends) if end > at), last)
    return context._replace(
        position=at - first,
        tokens=context.tokens[first:last],
        texts=context.texts[first:last],
        activations=context.activations[first:last],
    )


def write_showcases(folder: Path, shown: list[Showcase]) -> None:
    """Writes them beside the index in `folder`.

    Raises:
        OSError: the file cannot be written.
    """
    entries = [asdict(showcase) for showcase in shown]
    write_json(folder / SHOWCASE_NAME, {"format": FORMAT, "features": entries})


def read_showcases(folder: Path) -> list[Showcase]:
    """What `write_showcases` wrote; empty where no feature was worth showing.

    Raises:
        MissingError: there is no file.
        DamagedError: the file is not what it should be.
    """
    path = folder / SHOWCASE_NAME
    try:
        data = read_json(path)
        if data["format"] != FORMAT or not isinstance(data["features"], list):
            raise ValueError(path.name)
        return [_checked(Showcase(**entry)) for entry in data["features"]]
    except FileNotFoundError as problem:
        raise MissingError("features_missing", path=str(folder)) from problem
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as problem:
        raise DamagedError("features_damaged", file=SHOWCASE_NAME) from problem


def _checked(showcase: Showcase) -> Showcase:
    texts = (showcase.texts, showcase.fires_on, showcase.promotes)
    numbers = [showcase.max_act, showcase.density, *showcase.activations]
    if not (
        whole(showcase.feature) is not None
        and all(isinstance(each, list) for each in texts)
        and all(isinstance(text, str) for each in texts for text in each)
        and all(map(is_number, numbers))
        and 0 < len(showcase.texts) == len(showcase.activations)
        and showcase.max_act > 0
        and (showcase.lost is None or is_number(showcase.lost))
    ):
        raise ValueError(SHOWCASE_NAME)
    return showcase
