"""The argument that says which SAE: the same for every command."""

import argparse

from tinysae.library.shipped import STORYBOOK_POST, STORYBOOK_SAE

HELP = (
    f"an SAE: “{STORYBOOK_SAE}” or “{STORYBOOK_POST}”, a run's or a saved SAE's id or "
    "title, or an SAELens folder"
)


def add_sae_argument(parser: argparse.ArgumentParser) -> None:
    """Adds the `sae` that a command is about; `library.named_sae` finds it."""
    parser.add_argument("sae", help=HELP)


def add_sae_option(parser: argparse.ArgumentParser, default: str) -> None:
    """Adds `--sae`, to a command that is about something else."""
    parser.add_argument("--sae", default=default, help=f"{HELP} ({default})")
