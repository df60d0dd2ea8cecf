"""The beginning of a text that somebody brought, read in a process of its own.

A file or dataset that strangers made may crash the libraries that read it, or make them
ask for more memory than there is. A training reads in a process of its own anyway; a
look before it is read here, so that the server never is the one that ends.

usage: python -m tinysae.data.texts.apart < request.json > beginning.json
"""

import json
import logging
import os
import subprocess
import sys
from typing import Any, NamedTuple

from tinysae import errors
from tinysae.config import TextChoice
from tinysae.data.texts import open_text
from tinysae.data.texts.hub_dataset import is_of_hub
from tinysae.data.texts.text import Document, Text
from tinysae.errors import DamagedError, TinysaeError
from tinysae.jobs.launch import CHECKOUT, HUB_KEYS, worker_environment
from tinysae.jobs.limits import limit_this_process

logger = logging.getLogger(__name__)

# More than any look needs; what asks for more is refused.
MEMORY_BYTES = 1 << 30
# A hub that does not answer is asked again for half a minute.
PATIENCE_S = 120
CPU_S = 60


class Beginning(NamedTuple):
    """The first rows of a text, and what it says of the whole.

    Attributes:
        rows: its first documents, each cut after `max_length`.
        length: of the documents as they stand there, in characters or token ids.
        is_whole: there are no others.
        n_bytes, n_bytes_read, n_rows, is_endless, n_unreadable: `Text`'s.
    """

    rows: list[Document]
    length: int
    is_whole: bool
    n_bytes: int | None
    n_bytes_read: int
    n_rows: int | None
    is_endless: bool
    n_unreadable: int


def beginning(text: Text, max_rows: int, max_length: int) -> Beginning:
    """At most `max_rows` rows of `text` with at most about `max_length` in all.

    Raises:
        TinysaeError: it cannot be read.
    """
    rows: list[Document] = []
    length, is_whole = 0, True
    for row in text.rows():
        # A row may be a whole book: its first part says as much.
        rows.append(row[:max_length])
        length += len(row)
        if len(rows) == max_rows or length >= max_length:
            is_whole = False
            break
    return Beginning(
        rows,
        length,
        is_whole,
        text.n_bytes,
        text.n_bytes_read,
        text.count_rows(),
        text.is_endless,
        text.n_unreadable,
    )


def beginning_apart(choice: TextChoice, max_rows: int, max_length: int) -> Beginning:
    """`beginning` of the text that was chosen, read in a process of its own.

    Raises:
        TinysaeError: it cannot be read; among them DamagedError where the process ended
            or asked for too much.
    """
    request = {"choice": choice._asdict(), "limits": [max_rows, max_length]}
    damaged = DamagedError("text_unreadable_here", text=choice.path[:200])
    keys = HUB_KEYS if is_of_hub(choice) else ()
    try:
        done = subprocess.run(
            [sys.executable, "-m", __name__],
            input=json.dumps(request),
            capture_output=True,
            cwd=CHECKOUT,
            env=worker_environment(os.environ, keys),
            text=True,
            errors="replace",
            timeout=PATIENCE_S,
        )
    except subprocess.TimeoutExpired as problem:
        raise damaged from problem
    try:
        answer = json.loads(done.stdout)
    except ValueError as problem:
        # Whatever ended it told its own stderr.
        logger.warning("a text could not be looked at:\n%s", done.stderr[-4000:])
        raise damaged from problem
    if "error" in answer:
        kind = getattr(errors, answer["kind"], TinysaeError)
        raise kind(answer["error"].removeprefix("error."), **answer["values"])
    return Beginning(**answer)


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    try:
        text = open_text(TextChoice(**request["choice"]))
        return beginning(text, *request["limits"])._asdict()
    except TinysaeError as error:
        values, kind = errors.plain_values(error.values), type(error).__name__
        return {"error": error.key, "values": values, "kind": kind}


def main() -> None:
    """Answers the request that stands in stdin."""
    limit_this_process(MEMORY_BYTES, CPU_S)
    # What libraries print is no part of the answer.
    answer, sys.stdout = sys.stdout, sys.stderr
    json.dump(_answer(json.load(sys.stdin)), answer)
    answer.flush()


if __name__ == "__main__":
    main()
