"""What a job is doing, in plain words: for its log and for a terminal."""

from collections.abc import Mapping

from tinysae.jobs.status import State

# What is done in a state, and what is counted there.
_WORDS: Mapping[State, tuple[str, str]] = {
    "norm": ("measuring how large the activations are", "batches"),
    "training": ("training", "tokens"),
    "evaluating": ("measuring the SAE", "tokens"),
    "indexing": ("finding what each feature fires on", "tokens"),
    "labelling": ("naming the features", "concepts"),
    "downloading": ("downloading", "bytes"),
    "converting": ("checking and saving", "files"),
    "uploading": ("uploading", "bytes"),
}


def doing(state: State) -> str:
    """What a job in that state does."""
    return _WORDS[state][0] if state in _WORDS else state


def begun(state: State, done: int, total: int) -> str:
    """That a state begins, and how much there is to do."""
    if not total:
        return doing(state)
    unit = _WORDS[state][1] if state in _WORDS else "steps"
    before = f", {done:,} of them done before" if done else ""
    return f"{doing(state)}: {total:,} {unit}{before}"
