"""`python -m tinysae storybook`: what comes with tinysae, made anew."""

import argparse
import json
from pathlib import Path

from tinysae.cli.arguments import Commands
from tinysae.cli.output import write_line
from tinysae.jobs.work import log_to_stderr


def add_commands(commands: Commands) -> None:
    """Adds `storybook` to the parser's commands."""
    storybook = commands.add_parser(
        "storybook", help="rebuild the embedded model and its SAE from their seeds"
    )
    storybook.add_argument(
        "--only",
        choices=["model", "sae", "post", "features", "themes", "stories"],
        help="SAEs of the model that is there (post: the second alone); or indexes of "
        "the SAEs that are there, with names and themes; or the themes alone; or the "
        "stories that a first visitor sees",
    )
    storybook.add_argument("--out", type=Path, help="a folder (the embedded assets)")
    storybook.add_argument("--tokens", type=int, help="how many to train the model on")
    storybook.add_argument(
        "--sae-tokens", type=int, help="how many to train the SAE on"
    )
    storybook.add_argument("--seed", type=int, default=0)
    storybook.set_defaults(command=_storybook)


def _storybook(options: argparse.Namespace) -> int:
    from tinysae.embedded import build as embedded
    from tinysae.embedded.stories import build_stories
    from tinysae.library.shipped import ASSETS

    out = options.out or ASSETS
    if options.only == "themes":
        embedded.build_themes(out)
        embedded.build_themes(out, post=True)
        return 0
    if options.only == "features":
        embedded.build_features(out)
        embedded.build_features(out, post=True)
    if options.only in ("features", "stories"):
        build_stories(out)
        return 0
    if options.only not in ("sae", "post"):
        from tinysae.embedded.train_model import build

        build(out / "storybook", tokens=options.tokens, seed=options.seed)
    if options.only != "model":
        log_to_stderr()
        for post in (True,) if options.only == "post" else (False, True):
            figures = embedded.build_sae(
                out, tokens=options.sae_tokens, seed=options.seed, post=post
            )
            write_line(json.dumps(figures))
        if options.only != "post":
            build_stories(out)
    return 0
