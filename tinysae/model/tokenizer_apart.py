"""A model's tokenizer, tried in a process of its own before it is loaded in this one.

tokenizers is a native library: it is memory-safe, but what it cannot allocate ends its
process, and a normalizer of a few lines makes gigabytes of a word. What was read, and
wrote tokens of a text, within limits there does so here, too. It is quick: the
library alone, without torch. (Weights and configs need no such process: see
`tensor_header`, `gguf_header` and `loading`, which hold claims against files' sizes.)

usage: python -m tinysae.model.tokenizer_apart < tokenizer.json
"""

import logging
import os
import string
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

from tinysae.errors import DamagedError
from tinysae.jobs.files import open_regular
from tinysae.jobs.launch import CHECKOUT, anybodys_environment
from tinysae.jobs.limits import limit_this_process

logger = logging.getLogger(__name__)

TOKENIZER_NAME = "tokenizer.json"
# Several times the largest of the hub's.
MAX_BYTES = 200_000_000
MEMORY_BYTES = 2 << 30
CPU_S = 30
# On a machine that is busy with other things.
PATIENCE_S = 300
# Each of ASCII's characters, and a few of others.
SAMPLE = f"Once upon a time, {string.printable} \u00e9\u017e\u044f\uac00\u3042"


def try_tokenizer(folder: Path) -> None:
    """
    Raises:
        DamagedError: the folder's tokenizer.json cannot be read within the limits.
    """
    path = folder / TOKENIZER_NAME
    try:
        about = path.stat()
    except OSError:
        # Then there is another kind, read by Python, or none.
        return
    _try(path, about.st_size, about.st_mtime_ns)


@lru_cache(64)
def _try(path: Path, size: int, modified_ns: int) -> None:  # noqa: ARG001
    """`try_tokenizer` of a file as it is now; what went well is remembered."""
    damaged = DamagedError(
        "model_file_damaged", folder=path.parent.name, file=path.name
    )
    if size > MAX_BYTES:
        raise damaged
    try:
        with open_regular(path) as file:
            done = subprocess.run(
                [sys.executable, "-m", __name__],
                stdin=file,
                capture_output=True,
                cwd=CHECKOUT,
                # Its own account of where it failed takes longer than the failing.
                env={**anybodys_environment(), "RUST_BACKTRACE": "0"},
                timeout=PATIENCE_S,
            )
    except (OSError, subprocess.TimeoutExpired) as problem:
        raise damaged from problem
    if done.returncode:
        said = done.stderr[-2000:].decode(errors="replace")
        logger.warning("the tokenizer %s cannot be read:\n%s", path, said)
        raise damaged


def main() -> None:
    """Reads the tokenizer that stands in stdin and writes a text's tokens with it."""
    limit_this_process(MEMORY_BYTES, CPU_S)
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_buffer(sys.stdin.buffer.read(MAX_BYTES))
    # As `loading` has it.
    tokenizer.encode_special_tokens = True
    tokenizer.no_truncation()
    tokenizer.no_padding()
    tokenizer.decode(tokenizer.encode(SAMPLE, add_special_tokens=False).ids)


if __name__ == "__main__":
    main()
