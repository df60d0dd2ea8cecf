"""Write README's and docs/figures.md's tables from benchmarks/results.json.

    make readme

A figure whose code has changed since it was measured says so in its row; how many do is
printed. `tests/unit/test_figures.py` fails while the files say anything else.
"""

import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Formatter

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.results import Entry, is_stale, read  # noqa: E402
from benchmarks.rows import GROUPS, MAIN, Row  # noqa: E402

DOCUMENTS = ("README.md", "docs/figures.md")
UNKNOWN = "measured at a commit nobody noted; its code may have changed since"
NOT_MEASURED = "—"

Entries = Mapping[str, Entry]


def main() -> int:
    entries = read()
    for name in DOCUMENTS:
        path = ROOT / name
        path.write_text(document(path.read_text("utf-8"), entries), "utf-8")
    every = [row for group in GROUPS for row in group.rows]
    rows = measured(every, entries)
    marked = sum(bool(mark(row, entries)) for row in rows)
    print(f"{len(rows)} rows, {len(every) - len(rows)} not measured yet")
    print(f"{marked} marked: measured before their code changed, or nobody knows when")
    return 0


def document(text: str, entries: Entries) -> str:
    """`text` with what stands between its markers written anew."""
    for name, body in (
        ("main", table(MAIN, entries) + "\n\n" + made_by(MAIN, entries)),
        ("all", "\n\n".join(sections(entries))),
    ):
        begin, end = f"<!-- figures: {name} -->", "<!-- figures end -->"
        between = re.compile(f"(?<={re.escape(begin)}\n).*?(?={end})", re.DOTALL)
        text = between.sub(lambda _, body=body: f"\n{body}\n\n", text)
    return text


def sections(entries: Entries) -> list[str]:
    """A part for each group: its title, its table, and how each was measured."""
    return [
        f"## {group.title}\n\n{table(group.rows, entries)}\n\n"
        f"{made_by(group.rows, entries)}"
        for group in GROUPS
        if measured(group.rows, entries)
    ]


def table(rows: Sequence[Row], entries: Entries) -> str:
    """Rows of which nothing has been measured are left out."""
    lines = ["| what | measured |", "|---|---|"]
    for row in measured(rows, entries):
        remark = mark(row, entries)
        value = filled(row.measured, entries) + (f" ({remark})" if remark else "")
        lines.append(f"| {filled(row.what, entries)} | {value} |")
    return "\n".join(lines)


def measured(rows: Sequence[Row], entries: Entries) -> list[Row]:
    """The rows of which something has been measured."""
    return [
        row
        for row in rows
        if any(value is not None for value in figures_in(row.measured, entries))
    ]


def figures_in(template: str, entries: Entries) -> list[float | None]:
    """The figures that the text wants; None for one that there is not."""
    found: list[float | None] = []
    for _, field, _, _ in Formatter().parse(template):
        if field is not None:
            name, _, key = field.rstrip("]").partition("[")
            entry = entries.get(name)
            found.append(entry["figures"].get(key) if entry else None)
    return found


def filled(template: str, entries: Entries) -> str:
    """The text with figures in their places, `NOT_MEASURED` for those there are not."""
    figures = iter(figures_in(template, entries))
    parts: list[str] = []
    for literal, field, spec, _ in Formatter().parse(template):
        parts.append(literal)
        if field is not None:
            value = next(figures)
            parts.append(NOT_MEASURED if value is None else format(value, spec or ""))
    return "".join(parts)


def names_in(*rows: Row) -> list[str]:
    """The entries that the rows' figures come from, in their order."""
    templates = "".join(row.measured + row.what for row in rows)
    fields = (field for _, field, _, _ in Formatter().parse(templates))
    return list(dict.fromkeys(field.partition("[")[0] for field in fields if field))


def mark(row: Row, entries: Entries) -> str:
    """What a reader has to know of the row's figures; nothing when they are fresh."""
    named = [entries[name] for name in names_in(row) if name in entries]
    stale = (aged(entry["commit"]) for entry in named if is_stale(entry))
    notes = (entry["note"] for entry in named if "note" in entry)
    return "; ".join(dict.fromkeys([*stale, *notes]))


def aged(commit: str | None) -> str:
    """What is said of a figure whose code has changed since."""
    return f"measured at {commit}, before its code changed" if commit else UNKNOWN


def made_by(rows: Sequence[Row], entries: Entries) -> str:
    """A line for each entry: command, time, commit, machine, seed."""
    lines = (made(entries[name]) for name in names_in(*rows) if name in entries)
    return "\n".join(f"- {line}" for line in dict.fromkeys(lines))


def made(entry: Entry) -> str:
    """How an entry came about, in words."""
    if entry["commit"] is None:
        return f"`{entry['command']}`: nobody noted when and on which CPU"
    parts = [
        f"`{entry['command']}`: {entry['date']} UTC",
        f"commit {entry['commit']}",
        f"{entry['cpu']}, {entry['cores']} cores",
        f"load {entry['load_at_start']:g} at the start",
        f"{entry['minutes']:g} min",
    ]
    parts += [] if entry["seed"] is None else [f"seed {entry['seed']}"]
    return ", ".join(parts)


if __name__ == "__main__":
    sys.exit(main())
