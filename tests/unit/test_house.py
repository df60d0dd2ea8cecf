"""The annotated tree of README is what is there."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
HEADING = "## What is where"
# Below these, README leaves it at a word on the whole.
WITHIN = "tinysae/"
LEAVES = ("tinysae/words/", "tinysae/embedded/assets/")


def drawn() -> Iterator[str]:
    """Every path of README's tree, folders with a slash at the end."""
    text = (ROOT / "README.md").read_text("utf-8").split(HEADING, 1)[1]
    above: list[str] = []
    for line in text.split("```")[1].strip("\n").splitlines():
        # A description of its own line goes on with that of the line before.
        name = re.match(r"( *)(\S+)( {2,}|$)", line)
        if name is None or len(name[1]) > 2 * len(above):
            continue
        above[len(name[1]) // 2 :] = [name[2]]
        yield "".join(above)


def tracked() -> set[str]:
    """Files at the root and folders below `tinysae/`, as git has them."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    paths: set[str] = set()
    for line in listed.stdout.splitlines():
        parts = line.split("/")
        if parts[0].startswith(".") or not (ROOT / line).exists():
            continue
        if line.startswith(WITHIN):
            folders = ["/".join(parts[:n]) + "/" for n in range(1, len(parts))]
            paths |= {f for f in folders if not is_below_a_leaf(f)}
            if len(parts) == 2 and not line.endswith("/__init__.py"):
                paths.add(line)
        elif len(parts) > 1:
            paths.add(f"{parts[0]}/")
        elif line.endswith(".py"):
            paths.add(line)
    return paths


def is_below_a_leaf(folder: str) -> bool:
    return any(folder.startswith(leaf) and folder != leaf for leaf in LEAVES)


def test_everything_in_readmes_tree_is_there():
    gone = [path for path in drawn() if not (ROOT / path).exists()]
    assert gone == []


def test_every_room_is_in_readmes_tree():
    assert tracked() - set(drawn()) == set()
