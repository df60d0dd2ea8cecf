"""A GGUF file's tables are believed as far as its size goes, without its package."""

import random
import struct
import time
from pathlib import Path

import pytest

from benchmarks.fuzz_samples import write_gguf
from benchmarks.mutations import wrong
from tinysae.errors import DamagedError
from tinysae.model.gguf_header import MAX_ENTRIES, count_gguf_numbers

# Two tensors, of 8 x 3 and of 8.
N_NUMBERS = 32
HUGE = 2**62


@pytest.fixture
def file(tmp_path: Path) -> Path:
    write_gguf(tmp_path)
    return tmp_path / "model.gguf"


def test_the_numbers_of_all_tensors_are_counted(file: Path) -> None:
    assert count_gguf_numbers(file) == N_NUMBERS


@pytest.mark.parametrize("part", range(1, 12))
def test_a_file_cut_short_is_damaged(file: Path, part: int) -> None:
    data = file.read_bytes()
    # The tensors' own bytes are the loading library's business.
    file.write_bytes(data[: (len(data) - 128) * part // 12])
    with pytest.raises(DamagedError, match=r"model\.gguf"):
        count_gguf_numbers(file)


@pytest.mark.parametrize(
    ("place", "lie"),
    [
        (4, struct.pack("<I", 1)),
        (4, struct.pack("<I", 99)),
        # How many tensors, how many entries, and how long the first name is.
        (8, struct.pack("<Q", HUGE)),
        (16, struct.pack("<Q", HUGE)),
        (24, struct.pack("<Q", HUGE)),
        (24, struct.pack("<Q", 2**64 - 1)),
    ],
)
def test_a_count_or_a_length_that_lies_is_refused_at_once(
    file: Path, place: int, lie: bytes
) -> None:
    data = file.read_bytes()
    file.write_bytes(data[:place] + lie + data[place + len(lie) :])
    begun = time.process_time()
    with pytest.raises(DamagedError):
        count_gguf_numbers(file)
    assert time.process_time() - begun < 1


def test_more_numbers_than_the_file_has_bits_for_are_refused(file: Path) -> None:
    data = file.read_bytes()
    at = data.index(b"token_embd.weight") + len("token_embd.weight") + 4
    file.write_bytes(data[:at] + struct.pack("<Q", 2**40) + data[at + 8 :])
    with pytest.raises(DamagedError):
        count_gguf_numbers(file)


def test_empty_strings_without_an_end_are_refused(file: Path) -> None:
    many = struct.pack("<Q", MAX_ENTRIES + 1)
    entry = struct.pack("<Q", 1) + b"a" + struct.pack("<II", 9, 8) + many
    file.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + entry + bytes(10**6))
    with pytest.raises(DamagedError):
        count_gguf_numbers(file)


def test_a_file_of_the_other_order_of_bytes_is_read(file: Path) -> None:
    name, shape = b"a", (4, 2)
    tensor = struct.pack(">Q", len(name)) + name + struct.pack(">IQQ", 2, *shape)
    tensor += struct.pack(">IQ", 0, 0)
    file.write_bytes(b"GGUF" + struct.pack(">IQQ", 3, 1, 0) + tensor + bytes(64))
    assert count_gguf_numbers(file) == 8


def test_whatever_is_wrong_with_it_is_a_count_or_a_sentence(file: Path) -> None:
    sample = file.read_bytes()
    n_read = 0
    for seed in range(500):
        file.write_bytes(wrong(file.name, sample, random.Random(seed)))
        try:
            assert count_gguf_numbers(file) >= 0
            n_read += 1
        except DamagedError:
            pass
    assert 0 < n_read < 500
