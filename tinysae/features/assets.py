"""The SAE that tinysae comes with: what links call it and where its files are.

By itself, so that a page can ask before anything that reads an index is imported.
"""

from tinysae.model.sources import STORYBOOK_DIR

# No run is ever called that: a run's id begins with its date.
STORYBOOK_SAE = "storybook"
ASSETS = STORYBOOK_DIR.parent
STORYBOOK_SAE_DIR = ASSETS / "storybook-sae"
STORYBOOK_FEATURES_DIR = ASSETS / "storybook-features"
