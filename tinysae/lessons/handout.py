"""A lesson as it went, as one HTML file that opens anywhere and asks nobody anything.

In the style and under the policy of `library.export`: no script, everything escaped.
"""

import html
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tinysae.lessons.calls.results import Bars, Result, Strip, Table, View
from tinysae.lessons.lesson import Lesson, Step
from tinysae.library.export import css
from tinysae.render import svg
from tinysae.render.csp import FILE_POLICY, policy_tag
from tinysae.render.palette import SEQUENTIAL
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
    title = html.escape(lesson.title[language])
    about = _t("handout_about", language, name=name, model=model)
    steps = "".join(
        _step(number, entry, language) for number, entry in enumerate(entries, 1)
    )
    return (
        f'<!DOCTYPE html>\n<html lang="{language}"><head><meta charset="utf-8">'
        f"{policy_tag(FILE_POLICY)}"
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="referrer" content="no-referrer">'
        f"<title>{title}</title><style>{css()}</style></head><body><main>"
        f"<h1>{title}</h1><p>{html.escape(lesson.lead[language])}</p>"
        f'<p class="quiet">{about}</p>{steps}</main></body></html>\n'
    )


def _t(key: str, language: Language, /, **values: object) -> str:
    return html.escape(text(f"lessons.{key}", language, **values))


def _step(number: int, entry: Entry, language: Language) -> str:
    step = entry.step
    parts = [
        f"<h2>{number}. {html.escape(step.title[language])}</h2>",
        f"<p>{html.escape(step.text[language])}</p>",
    ]
    if entry.chosen:
        chosen = ", ".join(
            f"{each.label[language]}: {each.said(entry.chosen[each.name], language)}"
            for each in step.inputs
            if each.name in entry.chosen
        )
        said = _t("handout_chosen", language, chosen=chosen)
        parts.append(f'<p class="quiet">{said}</p>')
    if entry.result is not None:
        parts += [_view(view, language) for view in entry.result.views]
    parts.append(f'<p class="label">{html.escape(step.question[language])}</p>')
    parts += [
        f"<p>{html.escape(said)}</p>" for said in (entry.answer, entry.claim) if said
    ]
    return f"<article>{''.join(parts)}</article>"


def _view(view: View, language: Language) -> str:
    title = text(f"lessons.view_{view.title}", language)
    head = f"<h3>{html.escape(title)}</h3>"
    match view:
        case Strip():
            return head + _strip(view)
        case Bars():
            labels = view.labels
            if view.named:
                labels = [_bar(label, language) for label in labels]
            return head + svg.bars(labels, view.values, title=title)
        case Table():
            heads = "".join(
                f"<th>{html.escape(_column(name, language))}</th>"
                for name in view.columns
            )
            rows = "".join(
                "<tr>" + "".join(f"<td>{html.escape(c)}</td>" for c in row) + "</tr>"
                for row in view.rows
            )
            return (
                f'{head}<div class="wide"><table><thead><tr>{heads}</tr></thead>'
                f"<tbody>{rows}</tbody></table></div>"
            )


def _bar(name: str, language: Language) -> str:
    return name if name.startswith("#") else text(f"lessons.bar_{name}", language)


def _column(name: str, language: Language) -> str:
    return name if name.startswith("#") else text(f"lessons.column_{name}", language)


def _strip(view: Strip) -> str:
    # Without values any scale will do.
    high = view.high or 1.0
    tokens = [
        html.escape(token)
        if value is None
        else f'<span class="s{SEQUENTIAL.step(value, 0.0, high)}" '
        f'title="{value:.3g}">{html.escape(token)}</span>'
        for token, value in zip(view.texts, view.values, strict=True)
    ]
    return f'<p class="strip"><bdi>{"".join(tokens)}</bdi></p>'
