"""SAELens's list of published SAEs: read without it, and no pickle is opened."""

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

from tinysae.errors import InputError, MissingError
from tinysae.library.registry import (
    READABLE,
    REFUSED,
    find_entries,
    registry,
    registry_entry,
)
from tinysae.model.catalogue import entry_of


def test_the_list_is_saelens_own() -> None:
    from sae_lens.loading.pretrained_saes_directory import (
        get_pretrained_saes_directory,
    )

    theirs = get_pretrained_saes_directory()
    ours = {(e.release, e.sae_id): e for e in registry()}
    pairs = {(r, i) for r, one in theirs.items() for i in one.saes_map}
    assert set(ours) == {(str(r), str(i)) for r, i in pairs}
    for (release, sae_id), entry in ours.items():
        one = theirs[release]
        assert entry.repo_id == one.repo_id
        assert entry.loader == (one.conversion_func or "sae_lens")
        assert entry.path == str(one.saes_map[sae_id])


def test_it_is_read_without_importing_saelens() -> None:
    code = (
        "import sys; from tinysae.library.registry import find_entries;"
        "find_entries('gpt2', 3); sys.exit('sae_lens' in sys.modules)"
    )
    root = Path(__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", code], cwd=root).returncode == 0


def _calls(function: object) -> set[str]:
    """What a function of SAELens calls, by its dotted name; with its options."""
    tree = ast.parse(inspect.getsource(function))  # pyright: ignore[reportArgumentType]
    return {
        ast.unparse(node).replace("\n", " ")
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
    }


def test_what_unpickles_is_what_saelens_loads_with_torch() -> None:
    from sae_lens.loading import pretrained_sae_loaders as loaders

    named = loaders.NAMED_PRETRAINED_SAE_LOADERS
    assert set(named) == {*READABLE, *REFUSED}
    functions = {
        name: one
        for name, one in vars(loaders).items()
        if inspect.isfunction(one) and one.__module__ == loaders.__name__
    }
    for name, loader in named.items():
        # Whatever it calls in that module, too.
        seen, left = set[object](), [loader]
        calls = set[str]()
        while left:
            function = left.pop()
            if function in seen:
                continue
            seen.add(function)
            found = _calls(function)
            calls |= found
            names = {call.split("(")[0] for call in found}
            left += [functions[called] for called in names & functions.keys()]
        unpickles = any(
            c.startswith(("torch.load(", "pickle.", "joblib.")) or "allow_pickle" in c
            for c in calls
        )
        assert unpickles == (REFUSED.get(name) == "unpickles"), name


def test_numpy_refuses_a_pickle_in_an_npz(tmp_path: Path) -> None:
    # The loader of Gemma Scope calls `numpy.load` as this does.
    import numpy as np

    path = tmp_path / "params.npz"
    np.savez(path, w=np.array([{"a": 1}], dtype=object))
    with np.load(path) as data, pytest.raises(ValueError, match="pickle"):
        data["w"]


@pytest.mark.parametrize(
    ("release", "key"),
    [
        ("gpt2-small-hook-z-kk", "registry_unpickles"),
        ("goodfire-llama-3.3-70b-instruct", "registry_unpickles"),
        ("gemma-scope-2-4b-pt-transcoders-all", "registry_transcoder"),
        ("mwhanna-qwen3-4b-transcoders", "registry_transcoder"),
        ("temporal-sae-gemma-2-2b", "registry_architecture"),
    ],
)
def test_what_cannot_be_opened_says_why(release: str, key: str) -> None:
    entry = next(e for e in registry() if e.release == release)
    with pytest.raises(InputError) as caught:
        entry.check()
    assert caught.value.key == f"error.{key}"


def test_a_search_finds_every_word_and_what_opens_first() -> None:
    found, n = find_entries("GPT2 blocks.5 hook_resid_pre", 1000)
    assert len(found) == n >= 1
    assert all("blocks.5" in f"{e.release} {e.sae_id}" for e in found)
    refusals = [e.refusal is not None for e in find_entries("gpt2", 1000)[0]]
    assert refusals == sorted(refusals)
    # Without a word, the first are of models that anybody can load.
    first, _ = find_entries("", 5)
    assert len(first) == 5
    assert all(entry_of(entry.model) and not entry.refusal for entry in first)
    assert find_entries("no such thing", 5) == ([], 0)
    with pytest.raises(MissingError):
        registry_entry("gpt2-small-res-jb", "nothing")
