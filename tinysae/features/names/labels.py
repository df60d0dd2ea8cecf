"""What every feature is called, found without anybody's help: `labels.json`.

A feature that reads a storybook concept with an F1 of at least `MIN_F1` (on stories
other than those it was chosen on) has that concept (`kind`); any other has the
`N_TOKENS` tokens with most of its activation. Beside that stands what the feature's
rule says (`rules`), from which its name is made in either language: the same file
serves both. No two features of an SAE have one name.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from math import log10
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from tinysae.checked_numbers import is_number
from tinysae.errors import DamagedError
from tinysae.features.names.concept_tokens import target_name
from tinysae.features.names.rule_words import (
    clause_words,
    concept_name,
    is_word,
    joined,
    piece,
)
from tinysae.features.names.rules import (
    CLAUSE_KINDS,
    MAX_WHAT,
    MOST_TOLD,
    N_CLAUSES,
    Clause,
    Rule,
)
from tinysae.features.names.surroundings import PLACES
from tinysae.jobs.files import read_json, write_text
from tinysae.render.visible import visible
from tinysae.words import LANGUAGES, Language, text

if TYPE_CHECKING:
    from tinysae.features.names.concept_search import FeatureScores

LabelKind = Literal["fires_on", "about_to", "tokens", "explained"]
LABELS_NAME: Final = "labels.json"
FORMAT: Final = 2
OLD_FORMAT: Final = 1
"""Without rules: what was made before there were any is still read."""
MIN_F1: Final = 0.5
"""Below, the concept is missed or mistaken more often than it is read."""
N_TOKENS: Final = 3
LEAST_DETECTION: Final = 0.6
"""A rule that tells contexts apart worse says nothing of its feature."""
N_PUSHES: Final = 3
_DIGITS: Final = 3
MAX_TEXT: Final = 200
"""Characters of a label, whoever proposes it."""
MAX_FILE_BYTES: Final = 1_000_000_000
"""Of a million features, each called by as many letters of any script."""
# A feature of this density is neither one word's nor grammar; by every power of ten
# from there it is less clear.
_CLEAR_DENSITY, _DENSITY_COST, _SIGN_COST = 0.003, 0.05, 0.1


@dataclass(frozen=True)
class Label:
    """What a feature is called.

    text: a concept's name, or top tokens; data, the same in every language, and
    untrusted. concept, precision, recall, f1: of a label by concept only. tokens: those
    it is strongest on, where no rule is good. clauses, detection, firing_f1,
    correlation: of its rule (`rules.Rule`). pushes: words that it makes likelier.
    n_clauses, n_pushes, number: how much of that the short name says, to be the
    only one (number 0: needs none).
    """

    text: str
    kind: LabelKind
    concept: str | None = None
    precision: float | None = None
    recall: float | None = None
    f1: float | None = None
    tokens: tuple[str, ...] = ()
    clauses: tuple[Clause, ...] = ()
    detection: float | None = None
    firing_f1: float | None = None
    correlation: float | None = None
    pushes: tuple[str, ...] = ()
    n_clauses: int = 1
    n_pushes: int = 0
    number: int = 0

    @property
    def has_rule(self) -> bool:
        """Whether its rule is good enough to be its name."""
        return bool(self.clauses) and (self.detection or 0.0) >= LEAST_DETECTION

    def names(self) -> tuple[str, ...]:
        """Its short name in every language, by which it is looked for."""
        return tuple(label_sentence(self, language) for language in LANGUAGES)


def labels(
    tokens: Iterable[Sequence[str]],
    scores: "FeatureScores | None",
    rules: Sequence[Rule] = (),
    pushes: Sequence[Sequence[str]] = (),
) -> list[Label]:
    """Every feature's label.

    Args:
        tokens: for each feature, the tokens it fires on, largest mass first.
        scores: what each reads; None for a text whose concepts nobody knows.
        rules: each one's rule; none where none were learnt.
        pushes: the tokens each makes likelier, the most so first.
    """
    named: list[Label] = []
    for feature, own in enumerate(tokens):
        label = _label_of(feature, own, scores)
        if rules and label.text:
            rule = rules[feature]
            words = [token for token in pushes[feature] if is_word(token)]
            label = replace(
                label,
                tokens=tuple(token[:MAX_WHAT] for token in own[:N_TOKENS]),
                clauses=rule.clauses,
                detection=_rounded(rule.detection),
                firing_f1=_rounded(rule.f1),
                correlation=_rounded(rule.correlation),
                pushes=tuple(word[:MAX_WHAT] for word in words[:N_PUSHES]),
            )
        named.append(label)
    return _told_apart(named) if rules else named


def _label_of(
    feature: int, own: Sequence[str], scores: "FeatureScores | None"
) -> Label:
    if scores is None or scores.f1[feature] < MIN_F1:
        return Label(_text_of(own[:N_TOKENS]), "tokens")
    concept, reading = target_name(int(scores.target[feature]))
    return Label(
        concept,
        reading,
        concept,
        round(float(scores.precision[feature]), _DIGITS),
        round(float(scores.recall[feature]), _DIGITS),
        round(float(scores.f1[feature]), _DIGITS),
    )


def _rounded(score: float | None) -> float | None:
    return None if score is None else round(score, _DIGITS)


def _told_apart(named: Sequence[Label]) -> list[Label]:
    """The labels, each saying as much as it takes to be the only one of its name."""
    made, taken = list(named), set[str]()
    # The clearest keep the shortest names.
    order = sorted(range(len(made)), key=lambda at: -(made[at].detection or 0.0))
    for at in order:
        label = made[at]
        if not label.text:
            continue
        made[at] = next(
            longer for longer in _ever_longer(label) if taken.isdisjoint(longer.names())
        )
        taken.update(made[at].names())
    return made


def _ever_longer(label: Label) -> Iterable[Label]:
    yield label
    for n in range(2, len(label.clauses) + 1 if label.has_rule else 0):
        yield replace(label, n_clauses=n)
    for n in range(1, len(label.pushes) + 1):
        yield replace(label, n_pushes=n)
    longest = replace(label, n_pushes=len(label.pushes))
    number = 2
    while True:
        yield replace(longest, number=number)
        number += 1


def label_sentence(label: Label, language: Language) -> str:
    """The feature's short name, as plain untrusted text; a feature that never fires
    may have nothing to be called by."""
    if not label.tokens:
        return _without_rule(label, language)
    if label.has_rule:
        name = _clauses(label.clauses[: label.n_clauses], language)
    else:
        own = dict.fromkeys(piece(token, language) for token in label.tokens)
        name = text("names.no_rule", language, what=joined(own, language))
    if label.n_pushes:
        what = joined(
            [piece(word, language) for word in label.pushes[: label.n_pushes]], language
        )
        name = text("names.pushes", language, name=name, what=what)
    if label.number:
        name = text("names.numbered", language, name=name, n=label.number)
    return name[:1].upper() + name[1:]


def label_explanation(label: Label, language: Language) -> str:
    """All that the rule says and how sure that is, as plain untrusted text; nothing
    where there is no rule."""
    if not label.clauses:
        return ""
    said = [_clauses(label.clauses, language, MOST_TOLD)]
    if label.pushes:
        what = joined([piece(word, language) for word in label.pushes], language)
        said.append(text("names.pushes_alone", language, what=what))
    told = ". ".join(each[:1].upper() + each[1:] for each in said)
    return f"{told}. {label_scores(label, language)}"


def label_scores(label: Label, language: Language) -> str:
    """How far the rule can be trusted."""
    if label.detection is None:
        return text("names.unscored", language)
    return text(
        "names.scores",
        language,
        detection=f"{label.detection:.0%}",
        f1=f"{label.firing_f1 or 0.0:.2f}",
        correlation=f"{label.correlation or 0.0:.2f}",
    )


def _clauses(
    clauses: Sequence[Clause], language: Language, n_words: int | None = None
) -> str:
    how = () if n_words is None else (n_words,)
    first, *others = (clause_words(clause, language, *how) for clause in clauses)
    for other in others:
        first = text("names.also", language, first=first, second=other)
    return first


def _without_rule(label: Label, language: Language) -> str:
    what = visible(label.text)
    if not what:
        return ""
    if label.concept is not None:
        what = concept_name(label.concept, language)
    return text(f"features.label_{label.kind}", language, what=what)


def clearness(label: Label, density: float) -> float:
    """How good a feature is to begin with, the higher the better: its name is to be
    trusted, it is neither rare nor everywhere, and it is about words.

    density: share of all tokens on which it fires, 0 for a feature that never does.
    """
    if not label.text or density <= 0:
        return 0.0
    sure = label.f1 or 0.0 if label.detection is None else label.detection
    f1 = label.f1 if label.firing_f1 is None else label.firing_f1
    clear = (sure + (f1 or 0.0)) / 2 - _DENSITY_COST * abs(
        log10(density / _CLEAR_DENSITY)
    )
    first = label.clauses[0].what[:1] if label.has_rule else label.tokens[:1]
    return clear - _SIGN_COST * (not all(map(is_word, first)))


def write_labels(folder: Path, labels: Sequence[Label]) -> None:
    """Writes `labels.json` beside an index: one label a feature.

    Raises:
        OSError: the folder cannot be written.
    """
    rows = [_packed(label) for label in labels]
    columns = {field.name: [row[field.name] for row in rows] for field in fields(Label)}
    data = {"format": FORMAT, "columns": columns}
    # Compact: what comes with the code is downloaded with it.
    compact = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    write_text(folder / LABELS_NAME, compact)


def _packed(label: Label) -> dict[str, Any]:
    """A label's values as JSON, 0 where they are as in a label without anything."""
    row = asdict(label)
    row["clauses"] = [[c.kind, c.place, c.n, *c.what] for c in label.clauses]
    if label.text == _text_of(label.tokens):
        row["text"] = ""
    blank = {field.name: field.default for field in fields(Label)}
    blank |= {"text": "", "kind": "tokens", "clauses": []}
    return {name: 0 if row[name] == blank[name] else row[name] for name in row}


def _unpacked(row: Mapping[str, Any]) -> dict[str, Any]:
    # A score of nought is 0.0.
    own = {
        name: value
        for name, value in row.items()
        if not (type(value) is int and value == 0)
    }
    own.setdefault("kind", "tokens")
    own.setdefault("text", _text_of(own.get("tokens", ())))
    own["clauses"] = [
        {"kind": kind, "place": place, "n": n, "what": what}
        for kind, place, n, *what in own.get("clauses", [])
    ]
    return own


def _text_of(tokens: Sequence[str]) -> str:
    return " ·".join(tokens)[:MAX_TEXT]


def read_labels(folder: Path) -> list[Label]:
    """The labels beside an index, by feature; none where there is no file.

    Raises:
        DamagedError: the file is not what `write_labels` writes.
    """
    try:
        data = read_json(folder / LABELS_NAME, MAX_FILE_BYTES)
        if data["format"] == OLD_FORMAT:
            return [_label(label) for label in data["labels"]]
        if data["format"] != FORMAT:
            raise ValueError("format")
        columns = data["columns"]
        rows = zip(*columns.values(), strict=True)
        return [_label(_unpacked(dict(zip(columns, row, strict=True)))) for row in rows]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as why:
        raise DamagedError("features_damaged", file=LABELS_NAME) from why


def _label(data: Mapping[str, Any]) -> Label:
    own = dict(data)
    for name in ("tokens", "pushes"):
        own[name] = _texts(own.get(name, []))
    own["clauses"] = tuple(_clause(clause) for clause in own.get("clauses", []))
    label = Label(**own)
    is_text = isinstance(label.text, str) and len(label.text) <= MAX_TEXT
    if label.kind not in get_args(LabelKind) or not is_text:
        raise ValueError("label")
    if not (label.concept is None or isinstance(label.concept, str)):
        raise ValueError("concept")
    scores = (label.precision, label.recall, label.f1)
    for number in (*scores, label.detection, label.firing_f1, label.correlation):
        if not (number is None or is_number(number)):
            raise ValueError("score")
    if len(label.clauses) > N_CLAUSES:
        raise ValueError("clauses")
    for number in (label.n_clauses, label.n_pushes, label.number):
        if not (type(number) is int and number >= 0):
            raise ValueError("number")
    return label


def _clause(data: Mapping[str, Any]) -> Clause:
    clause = Clause(**{**data, "what": _texts(data["what"])})
    is_known = clause.kind in CLAUSE_KINDS and clause.place in PLACES
    if not is_known or not clause.what or type(clause.n) is not int:
        raise ValueError("clause")
    return clause


def _texts(data: Any) -> tuple[str, ...]:
    if not isinstance(data, list) or len(data) > MOST_TOLD:
        raise ValueError("texts")
    if not all(isinstance(each, str) and len(each) <= MAX_WHAT for each in data):
        raise ValueError("text")
    return tuple(data)
