"""`python -m tinysae`: what the pages do, without a browser."""

import argparse
import os
import sys
from collections.abc import Sequence

from tinysae.cli import (
    asking,
    exploring,
    fetching,
    inside,
    rebuilding,
    sharing,
    training,
    writing,
)
from tinysae.cli.arguments import Commands
from tinysae.cli.output import say
from tinysae.errors import TinysaeError
from tinysae.jobs import ready
from tinysae.worker import compiled

GROUPS = (writing, asking, inside, training, exploring, sharing, fetching, rebuilding)
# Their processes are started by pages: no command of theirs is for people.
WORKERS = (sharing, fetching)
# As a shell reports a program that wrote to a reader who had gone.
READER_GONE = 141


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns the process's exit status."""
    try:
        status = _run(sys.argv[1:] if arguments is None else arguments)
        # What still waits in the buffer fails here, where it is understood.
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read this does no more (`| head`): nothing else is written, at the
        # interpreter's end neither.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return READER_GONE
    return status


def _run(words: Sequence[str]) -> int:
    if len(words) == 2 and words[0] == ready.COMMAND:
        from tinysae.worker.libraries import libraries

        words = ready.awaited(int(words[1]), libraries())
    if list(words) == [compiled.COMMAND]:
        compiled.compile_all()
        return 0
    try:
        options = _parser(words).parse_args(words)
    except SystemExit:
        # Help, which waits in the buffer too.
        sys.stdout.flush()
        raise
    try:
        return options.command(options)
    except TinysaeError as error:
        say(str(error))
        return 1


def _parser(words: Sequence[str]) -> argparse.ArgumentParser:
    parser, commands = _empty()
    for group in WORKERS:
        group.add_worker_commands(commands)
    if words and words[0] in commands.choices:
        return parser
    parser, commands = _empty()
    for group in GROUPS:
        group.add_commands(commands)
    return parser


def _empty() -> tuple[argparse.ArgumentParser, Commands]:
    parser = argparse.ArgumentParser(prog="python -m tinysae", description=__doc__)
    return parser, parser.add_subparsers(required=True, metavar="COMMAND")


if __name__ == "__main__":
    sys.exit(main())
