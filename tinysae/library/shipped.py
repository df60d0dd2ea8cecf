"""The SAEs that tinysae comes with: what links call them and where their files are.

By itself, so that a page can ask before anything that reads an index is imported.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from tinysae.errors import DamagedError, MissingError
from tinysae.model.sources import STORYBOOK_DIR

# No run is ever called that: a run's id begins with its date.
STORYBOOK_SAE = "storybook"
# Of the residual stream after the block: what its features add to the logits is exact.
STORYBOOK_POST = "storybook-post"
ASSETS = STORYBOOK_DIR.parent
STORYBOOK_SAE_DIR = ASSETS / "storybook-sae"
# How that SAE was trained: a run's settings, curves and figures.
STORYBOOK_RUN_DIR = ASSETS / "storybook-run"
STORYBOOK_FEATURES_DIR = ASSETS / "storybook-features"
POST_SAE_DIR = ASSETS / "storybook-post-sae"
POST_FEATURES_DIR = ASSETS / "storybook-post-features"
SHIPPED = {STORYBOOK_SAE: STORYBOOK_SAE_DIR, STORYBOOK_POST: POST_SAE_DIR}
"""What links call them -> where they are."""


@contextmanager
def embedded_remedy() -> Iterator[None]:
    """What turns out missing or damaged inside is told with how to get it back: what
    helps for a run does not help for what came with tinysae.

    Raises:
        DamagedError: something is.
    """
    try:
        yield
    except (MissingError, DamagedError) as problem:
        raise DamagedError("features_embedded", path=str(ASSETS)) from problem
