"""Whether the package can be found one's way in: short modules, each name used once.

usage: python scripts/check_modules.py   (a part of `make lint`)

A module has at most `MOST_LINES` lines. One that has more is named in `LONGER` with
what it has and why, and may only become shorter: when it does, its number is lowered
here. In a room of `tinysae/` (a folder below it, with all that is in it) no two modules
have one name.
"""

import sys
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[1]
MOST_LINES = 350
# module -> (the lines it has, why it is not cut)
LONGER: dict[str, tuple[int, str]] = {
    "tinysae/features/names/rule_kernels.py": (
        504,
        "numba's cache sees changes of one file only: what is called stays beside it",
    ),
}


def problems() -> list[str]:
    """What is wrong, a line each; empty when nothing is."""
    modules = sorted((ROOT / "tinysae").rglob("*.py"))
    return [*_too_long(modules), *_named_twice(modules)]


def _too_long(modules: list[Path]) -> list[str]:
    lines = {_name(path): path.read_text("utf-8").count("\n") for path in modules}
    said: list[str] = []
    for name, n in lines.items():
        most, _ = LONGER.get(name, (MOST_LINES, ""))
        if n > most:
            said.append(f"{name}: {n} lines, {most} at the most")
        elif name in LONGER and n < most:
            said.append(f"{name}: {n} lines; lower the {most} of LONGER")
    gone = LONGER.keys() - lines.keys()
    return said + [f"{name}: in LONGER, but not there" for name in gone]


def _named_twice(modules: list[Path]) -> list[str]:
    places: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for path in modules:
        room = path.relative_to(ROOT / "tinysae").parts[0]
        if path.name != "__init__.py":
            places[room, path.name].append(_name(path))
    return [f"one name: {', '.join(names)}" for names in places.values() if names[1:]]


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


if __name__ == "__main__":
    sys.exit("\n".join(problems()) or 0)
