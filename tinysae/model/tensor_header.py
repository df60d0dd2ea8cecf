"""A safetensors file's header, looked at before its library opens the file.

The format: https://huggingface.co/docs/safetensors. The library is memory-safe and
holds offsets against the file's size, so it may read what strangers made in this
process. But it takes a header of 100 MB: a million empty tensors, for which it needs
14 s and 1.6 GB. So a header is no longer than a model's, and its shapes are looked at.
"""

import math
import os
import struct
from pathlib import Path
from typing import Any

from tinysae.checked_numbers import whole
from tinysae.jobs.files import open_regular, parsed_json

# About 100 bytes a tensor: several times what the largest models' files have.
MAX_HEADER_BYTES = 10_000_000
# PyTorch itself takes no tensor of more.
MAX_DIMENSIONS = 64


def tensor_header(
    file: Path, max_bytes: int = MAX_HEADER_BYTES
) -> dict[str, Any] | None:
    """The entry of each tensor by its name, if the file is as long as they say (it is
    not torn), with no more numbers than there are bits in it. None: anything else.

    Args:
        max_bytes: of the header.
    """
    try:
        with open_regular(file) as stream:
            n_bytes = os.fstat(stream.fileno()).st_size
            (n_header,) = struct.unpack("<Q", stream.read(8))
            if n_header > min(max_bytes, n_bytes):
                return None
            header = parsed_json(stream.read(n_header))
        header.pop("__metadata__", None)
        ends = [entry["data_offsets"][1] for entry in header.values()]
        is_whole = n_bytes == 8 + n_header + max(ends, default=0)
        n_numbers = sum(map(n_numbers_of, header.values()))
    except (OSError, ValueError, LookupError, TypeError, AttributeError, struct.error):
        return None
    return header if is_whole and n_numbers <= 8 * n_bytes else None


def n_numbers_of(entry: dict[str, Any]) -> int:
    """How many numbers the tensor of that entry holds.

    Raises:
        ValueError, LookupError: it has no tensor's shape.
    """
    shape = entry["shape"]
    is_shape = isinstance(shape, list) and len(shape) <= MAX_DIMENSIONS
    if not is_shape or any(whole(size) is None for size in shape):
        raise ValueError("shape")
    return math.prod(shape)
