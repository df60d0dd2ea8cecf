"""A few features worth seeing first, chosen from an index by rule, with a text each.

They are chosen when the index is made and kept beside it as JSON, so that a page shows
one before anything that reads an index is imported.
"""

import math
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tinysae.checked_numbers import is_number, whole
from tinysae.errors import DamagedError, MissingError
from tinysae.jobs.files import read_json, write_json

if TYPE_CHECKING:
    from tinysae.features.index.reader import FeatureIndex
    from tinysae.features.index.records import Context, FeatureRecord

FORMAT = 1
SHOWCASE_NAME = "showcase.json"
N_SHOWN = 12
# Rarer features are names of one thing, more frequent ones are grammar.
DENSITIES = (0.003, 0.03)
# Several tokens of one kind say more than one token does, and many cannot be read.
N_KINDS = (4.0, 12.0)
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
        promotes: tokens, those whose logit it raises most first.
        texts: tokens of a story; joined, the text.
        activations: the feature's, at each of them.
        max_act: its strongest on any text.
    """

    feature: int
    density: float
    fires_on: list[str]
    promotes: list[str]
    texts: list[str]
    activations: list[float]
    max_act: float


def showcases(index: "FeatureIndex", n: int = N_SHOWN) -> list[Showcase]:
    """The `n` features that read most easily, the best first; none where none does.

    `choose` has the rule; it is asked about those that fire on 0.3% to 3% of all
    tokens.
    """
    low, high = DENSITIES
    table = index.table()
    wanted = table["feature"][table["density"].between(low, high)]
    records = [index.feature(feature) for feature in wanted.tolist()]
    return [_showcase(record, index.info.bos_id) for record in choose(records, n)]


def choose(records: "list[FeatureRecord]", n: int) -> "list[FeatureRecord]":
    """The `n` of `records` that read most easily, the best first.

    A feature must fire on several kinds of token (`_n_kinds`), and the tokens of it
    that are shown, fired on and promoted, must all be whole words (`_whole_words`).
    Those that do are ranked by `clarity` times `kept`; where that is 0 they are left
    out, and of features that fire most on the same token only the first stays.
    """
    words = _whole_words(records)
    scored = [(clarity(r) * kept(r), r) for r in records if _is_readable(r, words)]
    scored.sort(key=lambda pair: pair[0], reverse=True)
    chosen: dict[int, FeatureRecord] = {}
    for score, record in scored:
        if score > 0:
            chosen.setdefault(record.tokens[0].token, record)
    return list(chosen.values())[:n]


def clarity(record: "FeatureRecord") -> float:
    """From 0 to 1: activation on tokens that make it fire, weighed by how often they
    do. 1 is a feature whose every activation can be told from the token alone."""
    return sum(token.mass_share * token.precision for token in record.tokens)


def kept(record: "FeatureRecord") -> float:
    """From 0 to 1: how often what it promotes is what comes, in its contexts.

    The share of its activation that is on tokens before one of the promoted tokens that
    are shown.
    """
    promoted = {token.token for token in record.promoted["raw"][:N_TOKENS]}
    total = before_promoted = 0.0
    for context in record.contexts:
        # What comes after the last token is not known.
        values, following = context.activations[:-1], context.tokens[1:]
        for value, token in zip(values.tolist(), following.tolist(), strict=True):
            total += value
            before_promoted += value if token in promoted else 0.0
    return before_promoted / total if total else 0.0


def _is_readable(record: "FeatureRecord", words: set[int]) -> bool:
    shown = (*record.tokens[:N_TOKENS], *record.promoted["raw"][:N_TOKENS])
    is_several = N_KINDS[0] <= _n_kinds(record) <= N_KINDS[1]
    return is_several and words.issuperset(each.token for each in shown)


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


def _showcase(record: "FeatureRecord", bos_id: int) -> Showcase:
    best = max((excerpt(context, bos_id) for context in record.contexts), key=_n_active)
    return Showcase(
        feature=record.feature,
        density=record.density,
        fires_on=[token.text for token in record.tokens[:N_TOKENS]],
        promotes=[token.text for token in record.promoted["raw"][:N_TOKENS]],
        texts=best.texts,
        activations=[round(value, 4) for value in best.activations.tolist()],
        max_act=record.max_act,
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
    ):
        raise ValueError(SHOWCASE_NAME)
    return showcase
