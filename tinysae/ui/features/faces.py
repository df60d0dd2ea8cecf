"""A feature's face: what the browser draws of it in the list and beside the list.

Faces are sent ahead of being looked at, so that an arrow key waits for nobody. A face
is plain JSON, short, in the reader's language; everything else about a feature is drawn
by the server, below.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from tinysae.features.names.labels import SURE_FROM, label_scores, sureness
from tinysae.features.passages import of_one_text, others, varied
from tinysae.render.numbers import percent, signed
from tinysae.render.palette import SEQUENTIAL
from tinysae.render.visible import as_word, in_place, shortened
from tinysae.ui.parts.token_words import first_words, token_words
from tinysae.ui.shell.i18n import language, t

if TYPE_CHECKING:
    from tinysae.features.index.records import Context, FeatureRecord, TokenLogit
    from tinysae.features.names.labels import Label

# Tokens before and after the strongest, in the panel's strips and a card's.
AROUND, IN_A_CARD = (13, 8), (5, 8)
N_STRIPS, N_PUSHED, N_WORDS = 6, 8, 3
# Of a name that a card has room for, beside what it was found by.
IN_A_CARD_LETTERS = 38
# Contexts of a range of activations that are drawn, and the ranges.
N_OF_A_BIN, N_BINS = 1, 6

# Above it "1 in 1" or "1 in 2" would round a third of the share away.
OFTEN = 0.1

Face = dict[str, Any]


def face(
    record: "FeatureRecord",
    name: str,
    label: "Label | None",
    theme: str | None = None,
) -> Face:
    """What is drawn of `record`; every text in it is untrusted. theme: what its theme
    is called, "" if it has none; None where there are no themes."""
    strongest = varied(record, N_STRIPS)
    pushes = record.promoted["raw"]
    words = first_words((token.text for token in pushes), N_WORDS)
    return {
        "feature": record.feature,
        "title": t("features.one", feature=record.feature),
        "name": name,
        "short": shortened(name, IN_A_CARD_LETTERS),
        "sure": _how_sure(label),
        "mark": sure_mark(label),
        "theme": theme,
        "often": t("features.dead_short")
        if record.is_dead
        else t("features.often", share=percent(record.density)),
        "said": said(record, name, words),
        "words": words,
        "card": _strip(strongest[0], record.max_act, IN_A_CARD) if strongest else [],
        "strongest": [_passage(one, record.max_act) for one in strongest],
        "alike": _alike(record, strongest),
        "quantiles": list(_quantiles(record)),
        "towards": _pushed(pushes),
        "away": _pushed(record.suppressed["raw"]),
        "counts": record.histogram.counts.tolist(),
        "high": f"{record.max_act:.2f}",
    }


def said(record: "FeatureRecord", name: str, words: Sequence[str]) -> str:
    """One sentence that tells what the panel shows, made from the data."""
    # In quotation marks: some are commas.
    pushed = ", ".join(f"“{word}”" for word in words)
    if record.is_dead:
        return t("features.said_dead", words=pushed)
    tokens = ", ".join(f"“{as_word(x.text)}”" for x in record.tokens[:2])
    if record.density > OFTEN:
        share = percent(record.density)
        return t("features.said_often", share=share, tokens=tokens, words=pushed)
    return t(
        "features.said",
        name=name,
        tokens=tokens,
        n=f"{round(1 / record.density):,}",
        words=pushed,
    )


def sure_mark(label: "Label | None") -> str:
    """How sure its name is, as some of three dots."""
    n = 0 if label is None else sureness(label)
    return "●" * n + "○" * (len(SURE_FROM) - n)


def _how_sure(label: "Label | None") -> str:
    """The numbers behind that."""
    if label is not None and label.clauses:
        return label_scores(label, language())
    if label is None or label.f1 is None:
        return t("features.sure_none")
    return t(
        "features.sure_f1",
        precision=percent(label.precision or 0.0),
        recall=percent(label.recall or 0.0),
        f1=f"{label.f1:.2f}",
    )


def _alike(record: "FeatureRecord", shown: "Sequence[Context]") -> str:
    """Why there are fewer passages than there is room for; else nothing."""
    n = len(others(record, shown)) if len(shown) < N_STRIPS else 0
    return t("features.alike", n=n) if n else ""


def _quantiles(record: "FeatureRecord") -> Iterator[list[Any]]:
    """A passage of each of some ranges of activation, the strongest range first."""
    groups = [group for group in record.bin_contexts if group.contexts]
    step = max(1, (len(groups) - 1) / max(1, N_BINS - 1))
    places = {round(at * step) for at in range(N_BINS)}
    for group in (group for at, group in enumerate(groups) if at in places):
        for context in group.contexts[:N_OF_A_BIN]:
            yield _passage(context, record.max_act)


def _passage(context: "Context", max_act: float) -> list[Any]:
    """[the activation at its place, its tokens]."""
    value = f"{context.activations[context.position]:.2f}"
    return [value, _strip(context, max_act, AROUND)]


def _strip(
    context: "Context", max_act: float, around: tuple[int, int]
) -> list[str | list[Any]]:
    """Its tokens: a text where the feature is off, else [text, colour, activation,
    whether it is the place that the passage was kept for]."""
    before, after = around
    context = of_one_text(context)
    at = context.position
    first = max(0, at - before)
    # A passage begins with a word: not inside of one, nor with what ends a sentence.
    while first < at and not _begins_word(context.texts[first]):
        first += 1
    strip: list[str | list[Any]] = []
    for place in range(first, min(at + after + 1, len(context.texts))):
        text, value = in_place(context.texts[place]), float(context.activations[place])
        text = text if strip else text.lstrip(" ")
        colour = SEQUENTIAL.step(value, 0.0, max_act)
        is_place = int(place == at)
        strip.append([text, colour, f"{value:.2f}", is_place] if value > 0 else text)
    return strip


def _begins_word(text: str) -> bool:
    return text[:1] == " " and any(letter.isalpha() for letter in text)


def _pushed(tokens: Sequence["TokenLogit"]) -> list[list[Any]]:
    """[text, logit as it is read, logit]."""
    shown = tokens[:N_PUSHED]
    words = token_words([x.text for x in shown])
    return [
        [word, signed(x.logit), round(x.logit, 3)]
        for word, x in zip(words, shown, strict=True)
    ]
