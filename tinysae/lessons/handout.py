"""A lesson as it went, as one HTML file: `handout.html`, filled in."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tinysae.lessons.calls.results import Bars, Result
from tinysae.lessons.lesson import Lesson, Step
from tinysae.render.html_file import html_file
from tinysae.words import Language, text


class Entry(NamedTuple):
    """A step as it went: what the reader chose, what was found, its answer, and the
    sentence about its claim; None for what was not done."""

    step: Step
    chosen: Mapping[str, object]
    result: Result | None
    answer: str | None
    claim: str | None


def handout(
    lesson: Lesson,
    entries: Sequence[Entry],
    name: str,
    model: str,
    language: Language,
) -> str:
    """The document. name: whose features were asked; untrusted, as are all texts."""

    def named(kind: str, name: str) -> str:
        return (
            name if name.startswith("#") else text(f"lessons.{kind}_{name}", language)
        )

    def labels(view: Bars) -> list[str]:
        own = view.labels
        return [named("bar", label) for label in own] if view.named else own

    def chosen(entry: Entry) -> str:
        return ", ".join(
            f"{each.label[language]}: {each.said(entry.chosen[each.name], language)}"
            for each in entry.step.inputs
            if each.name in entry.chosen
        )

    return html_file(
        "lessons/handout.html",
        lesson.title[language],
        language,
        lesson=lesson,
        entries=entries,
        name=name,
        model=model,
        named=named,
        labels=labels,
        chosen=chosen,
    )
