"""What is imported is what the requirements name, and all of it is pinned."""

import ast
import re
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RUN, DEV = ("requirements.txt",), ("requirements.txt", "requirements-dev.txt")
OURS = {"tinysae", "tests", "benchmarks", "scripts", "pages"}
# Imported only where they are found, or in an environment of their own.
OPTIONAL = {"gguf"}
ELSEWHERE = ROOT / "benchmarks" / "peers"


def sources(*places: str) -> Iterator[Path]:
    for place in places:
        path = ROOT / place
        found = [path] if path.is_file() else sorted(path.rglob("*.py"))
        yield from (one for one in found if ELSEWHERE not in one.parents)


def imported(*places: str) -> dict[str, str]:
    """Distribution -> one file that imports it."""
    local = {path.stem for path in sources(*places)}
    homes = packages_distributions()
    found: dict[str, str] = {}
    for path in sources(*places):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            for module in modules_of(node):
                name = module.split(".")[0]
                known = sys.stdlib_module_names | OURS | OPTIONAL | local
                if name not in known:
                    where = str(path.relative_to(ROOT))
                    found[plain(homes.get(name, [name])[0])] = where
    return found


def modules_of(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and not node.level and node.module:
        return [node.module]
    return []


def named(*files: str) -> set[str]:
    """The distributions that these files of requirements or constraints name."""
    lines = [
        line for file in files for line in (ROOT / file).read_text("utf-8").splitlines()
    ]
    return {plain(line) for line in lines if re.match("[A-Za-z0-9]", line)}


def plain(requirement: str) -> str:
    """Its name alone, as indexes write it."""
    name = re.match("[A-Za-z0-9._-]+", requirement)
    assert name is not None, requirement
    return re.sub("[-_.]+", "-", name[0]).lower()


@pytest.mark.parametrize(
    ("places", "files"),
    [
        (("app.py", "pages", "tinysae"), RUN),
        (("tests", "benchmarks", "scripts"), DEV),
    ],
    ids=["run", "develop"],
)
def test_what_is_imported_is_named(
    places: tuple[str, ...], files: tuple[str, ...]
) -> None:
    found = imported(*places)
    assert {name: found[name] for name in found.keys() - named(*files)} == {}


def test_what_is_named_to_run_is_imported() -> None:
    assert named(*RUN) <= imported("app.py", "pages", "tinysae").keys()


def test_what_is_named_is_pinned() -> None:
    assert named(*DEV) <= named("constraints.txt")
    pins = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    assert all("==" in pin for pin in pins if not pin.startswith("#"))
