"""A few features worth seeing first, chosen from an index by rule, with a text each.

A name that is right, and an absence that is felt: a feature is shown where its label
reads a concept with an F1 of at least `MIN_F1` on stories that it was not chosen on,
and where switching it off takes at least `MIN_LOST` nats from what comes next. They are
chosen when the index is made and kept beside it as JSON, so that a page shows one
before anything that reads an index is imported.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from tinysae.checked_numbers import is_number, whole
from tinysae.errors import DamagedError, MissingError
from tinysae.jobs.files import read_json, write_json

if TYPE_CHECKING:
    from tinysae.features.index.reader import FeatureIndex
    from tinysae.features.index.records import Context, FeatureRecord
    from tinysae.features.names.labels import Label
    from tinysae.features.why.ablation import Absence
    from tinysae.model.sources import LoadedModel
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
# Several tokens of one kind say more than one token does, and many cannot be read.
N_KINDS = (2.5, 20.0)
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
        promotes: tokens, those that the model expects less without it, the first most.
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
    """The `n` features whose absence is felt most, of those that are named well.

    `named_well` has the rule for the name. Of features with the same name only the
    first stays; none is shown where none is good enough.

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
    good = [f for f in wanted.tolist() if f < len(labels) and _is_good(labels[f])]
    measured: list[tuple[FeatureRecord, Absence]] = []
    for record in named_well([index.feature(feature) for feature in good]):
        texts = [context.tokens.tolist() for context in record.contexts]
        measured.append((record, absence(sae, model, texts, record.feature)))
    chosen: dict[str, Showcase] = {}
    for record, missing in sorted(measured, key=lambda pair: -pair[1].lost):
        if missing.lost >= MIN_LOST:
            shown = _showcase(record, index, missing)
            chosen.setdefault(labels[record.feature].text, shown)
    return list(chosen.values())[:n]


def _is_good(label: "Label") -> bool:
    return label.kind == "fires_on" and (label.f1 or 0.0) >= MIN_F1


def named_well(records: "list[FeatureRecord]") -> "list[FeatureRecord]":
    """Those of `records` in whose tokens a reader recognises the name: they fire on
    several kinds of token (`_n_kinds`), and all that are shown are whole words."""
    words = _whole_words(records)
    low, high = N_KINDS
    return [
        record
        for record in records
        if low <= _n_kinds(record) <= high
        and words.issuperset(token.token for token in record.tokens[:N_TOKENS])
    ]


def _whole_words(records: "list[FeatureRecord]") -> set[int]:
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


def _n_kinds(record: "FeatureRecord") -> float:
    """How many tokens the activation is spread over: e to the entropy of its shares."""
    shares = [token.mass_share for token in record.tokens if token.mass_share > 0]
    rest = 1 - sum(shares)
    if rest > 1e-6:
        shares.append(rest)
    return math.exp(-sum(share * math.log(share) for share in shares))


def _showcase(
    record: "FeatureRecord", index: "FeatureIndex", missing: "Absence"
) -> Showcase:
    bos_id = index.info.bos_id
    best = max((excerpt(context, bos_id) for context in record.contexts), key=_n_active)
    expected = map(index.vocabulary.text, missing.fallen)
    return Showcase(
        feature=record.feature,
        density=record.density,
        fires_on=[token.text for token in record.tokens[:N_TOKENS]],
        promotes=list(islice(expected, N_TOKENS)),
        texts=best.texts,
        activations=[round(value, 4) for value in best.activations.tolist()],
        max_act=record.max_act,
        lost=round(missing.lost, 4),
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
