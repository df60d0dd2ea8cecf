"""What the arguments of several commands share."""

import argparse
from typing import TypeAlias

from tinysae.library.shipped import STORYBOOK_POST, STORYBOOK_SAE

# A name that argparse does not make public; in quotes, as it cannot be indexed.
Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"
"""The parser's commands, to which each module adds its own."""

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
