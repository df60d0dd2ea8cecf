"""What every feature is called, found without anybody's help: `labels.json.gz`.

A feature that reads a storybook concept with an F1 of at least `MIN_F1` (on stories
other than those it was chosen on) has that concept (`kind`); any other has the
`N_TOKENS` tokens with most of its activation. Beside that stands what the feature's
rule says (`rules`), from which its name is made in either language: the same file
serves both. No two features of an SAE have one name.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal

from tinysae.features.names.concept_tokens import target_name
from tinysae.features.names.rule_words import (
    N_SHORT,
    clause_words,
    concept_name,
    is_word,
    joined,
    piece,
)
from tinysae.features.names.rules import (
    MAX_WHAT,
    Clause,
    Rule,
)
from tinysae.render.visible import visible
from tinysae.words import LANGUAGES, Language, text

if TYPE_CHECKING:
    from tinysae.features.names.concept_search import FeatureScores

LabelKind = Literal["fires_on", "about_to", "tokens", "explained"]
MIN_F1: Final = 0.5
"""Below, the concept is missed or mistaken more often than it is read."""
N_TOKENS: Final = 3
LEAST_DETECTION: Final = 0.6
"""A rule that tells contexts apart worse says nothing of its feature."""
N_PUSHES: Final = 3
SURE_FROM: Final = (LEAST_DETECTION, 0.75, 0.85)
"""Detection from which a name is hardly, fairly and very sure; or F1, of a label by a
concept from before there were rules."""
_DIGITS: Final = 3
MAX_TEXT: Final = 200
"""Characters of a label, whoever proposes it."""


@dataclass(frozen=True)
class Label:
    """What a feature is called.

    text: a concept's name, or top tokens; data, the same in every language, and
    untrusted. concept, precision, recall, f1: of a label by concept only. tokens: those
    it is strongest on, where no rule is good. clauses, detection, firing_f1,
    correlation: of its rule (`rules.Rule`). pushes: words that it makes likelier.
    n_given, n_clauses, n_pushes, number: how much of that the short name says, to be
    the only one (number 0: needs none).
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
    n_given: int = 1
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
        return Label(" ·".join(own[:N_TOKENS])[:MAX_TEXT], "tokens")
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
    if label.has_rule:
        for n in range(2, max(len(clause.given) for clause in label.clauses) + 1):
            label = replace(label, n_given=n)
            yield label
        for n in range(2, len(label.clauses) + 1):
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
        clauses = label.clauses[: label.n_clauses]
        name = _clauses(clauses, language, label.n_given)
        if sureness(label) == 1:
            # Every third context that it tells of is told wrongly.
            name = text("names.hardly_sure", language, name=name)
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
    return _begun(name, language)


def namer(labels: Sequence[Label], language: Language) -> Callable[[int], str]:
    """A feature's number -> its short name; empty for one that has none."""

    def named(feature: int) -> str:
        known = feature < len(labels)
        return label_sentence(labels[feature], language) if known else ""

    return named


def _begun(said: str, language: Language) -> str:
    """With a capital at its beginning, which Korean has not: there a foreign word that
    comes first is the model's, as it is."""
    return said[:1].upper() + said[1:] if language == "en" else said


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


def sureness(label: Label) -> int:
    """How sure its name is: how many of `SURE_FROM` its score reaches."""
    score = label.detection if label.clauses else label.f1
    return sum((score or 0.0) >= least for least in SURE_FROM)


def score_percent(label: Label) -> str:
    """The detection of its rule, in short; nothing where there is none."""
    return "" if label.detection is None else f"{label.detection:.0%}"


def _clauses(clauses: Sequence[Clause], language: Language, n_given: int) -> str:
    first, *others = (
        clause_words(each, language, N_SHORT, n_given) for each in clauses
    )
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
