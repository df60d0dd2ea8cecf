"""`results.json`: what was measured, when, where, how, and of which code.

An entry a benchmark, under its name; a run with options that make it another one
(fewer kills, one row of several) has an entry of its own, under the name and those
options, and leaves the whole one's as it is.
"""

from __future__ import annotations

import ast
import hashlib
import json
import subprocess
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NotRequired, TypedDict

from tinysae.jobs.files import write_text

ROOT = Path(__file__).resolve().parents[1]

RESULTS = ROOT / "benchmarks" / "results.json"
# What a run itself may change: it does not make a checkout another one.
GENERATED = ("benchmarks/results.json", "README.md", "docs/figures.md")


class Entry(TypedDict):
    """One benchmark's latest run.

    figures: by name, as on the run's last line. command: exactly what was run, from the
    root. commit: with a "+" where files differed from it; None where nobody wrote it
    down. date: of the start, in UTC. cores, load_at_start: how many there were, and how
    many were busy in the minute before. seed: what the run drew from. minutes: how long
    it took. sources: paths and patterns of what was measured, from the root;
    sources_hash: `hash_of` them at the start. note: what else a reader
    has to know, in each row.
    """

    figures: dict[str, float]
    command: str
    commit: str | None
    date: str | None
    cpu: str | None
    cores: int | None
    load_at_start: float | None
    seed: int | None
    minutes: float | None
    sources: list[str]
    sources_hash: str | None
    note: NotRequired[str]


def read(path: Path = RESULTS) -> dict[str, Entry]:
    """All entries by name; none where there is no such file."""
    if not path.exists():
        return {}
    return json.loads(path.read_text(encoding="utf-8"))


def write(name: str, entry: Entry, path: Path = RESULTS) -> None:
    """Replaces one entry; the file has the old ones or the new ones, never a half."""
    entries = read(path) | {name: entry}
    text = json.dumps(dict(sorted(entries.items())), ensure_ascii=False, indent=1)
    write_text(path, f"{text}\n")


def is_stale(entry: Entry, root: Path = ROOT) -> bool:
    """Whether the code has changed since; also where nobody knows."""
    return entry["sources_hash"] != hash_of(entry["sources"], root)


def commit(root: Path = ROOT) -> str | None:
    """The checkout's, short; None where there is no git."""

    def git(*words: str) -> str:
        command = ["git", "-C", str(root), *words]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    try:
        own = [f":(exclude){path}" for path in GENERATED]
        differs = git("status", "--porcelain", "--untracked-files=no", "--", ".", *own)
        return git("rev-parse", "--short=10", "HEAD") + ("+" if differs else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def files_of(source: str, root: Path = ROOT) -> list[Path]:
    """The files that a path or a pattern like `tinysae/sae/step/*.py` names."""
    return sorted(path for path in root.glob(source) if path.is_file())


def hash_of(sources: Iterable[str], root: Path = ROOT) -> str:
    """Of what the sources do: comments, docstrings, layout and files' names are nothing
    to it; other files than Python's count to the byte.

    The same in every version of Python: it reads the syntax tree's own fields.
    """
    digests = []
    for path in {path for source in sources for path in files_of(source, root)}:
        digests.append(_digest(path.read_bytes(), is_python=path.suffix == ".py"))
    return hashlib.sha256("\n".join(sorted(digests)).encode()).hexdigest()[:16]


@cache
def _digest(data: bytes, *, is_python: bool) -> str:
    """Kept: many benchmarks name the same files."""
    if is_python:
        data = repr(_meaning(ast.parse(data))).encode()
    return hashlib.sha256(data).hexdigest()


def _meaning(node: Any) -> Any:
    """A syntax tree as nested tuples, without docstrings and fields that are empty."""
    if isinstance(node, list):
        return tuple(_meaning(one) for one in node if not _is_docstring(one))
    if not isinstance(node, ast.AST):
        return node
    # Python 3.12 gave functions a field that is empty in all older code.
    fields = [(name, value) for name, value in ast.iter_fields(node) if value != []]
    return (type(node).__name__, *((name, _meaning(value)) for name, value in fields))


def _is_docstring(node: Any) -> bool:
    """A string that nobody uses: a function's, a field's."""
    match node:
        case ast.Expr(value=ast.Constant(value=str())):
            return True
        case _:
            return False


def sources_of(script: Path) -> Sequence[str]:
    """The list `SOURCES` of a benchmark, read without running it.

    Raises:
        ValueError: it has none.
    """
    for node in ast.parse(script.read_bytes()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "SOURCES":
            return ast.literal_eval(node.value)
    raise ValueError(f"{script.name} names no SOURCES")
