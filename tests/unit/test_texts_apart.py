"""What strangers made is looked at in a process of its own, which may end."""

import json
import struct
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tinysae.config import TextChoice
from tinysae.data.preview import preview
from tinysae.data.texts import open_text
from tinysae.data.texts.apart import Beginning, beginning, beginning_apart
from tinysae.errors import DamagedError, MissingError, TinysaeError
from tinysae.model.sources import LoadedModel

ROWS = [f"Once upon a time there was cat number {n}." for n in range(400)]


def lying(path: Path) -> Path:
    """An .arrow file whose last offset points far behind its end."""
    with pa.ipc.new_file(str(path), pa.schema([("text", pa.string())])) as writer:
        writer.write_table(pa.table({"text": ROWS}))
    data = path.read_bytes()
    ends = [sum(map(len, ROWS[:n])) for n in range(len(ROWS) + 1)]
    offsets = struct.pack(f"<{len(ends)}i", *ends)
    assert data.count(offsets) == 1
    ends[-1] = 2**31 - 1
    path.write_bytes(data.replace(offsets, struct.pack(f"<{len(ends)}i", *ends)))
    return path


def greedy(path: Path) -> Path:
    """A small .parquet file whose first rows take gigabytes."""
    text = pa.DictionaryArray.from_arrays([0] * 2048, ["a" * (1 << 21)])
    pq.write_table(
        pa.table({"text": text}),
        path,
        compression="zstd",
        dictionary_pagesize_limit=1 << 22,
        store_schema=False,
    )
    assert path.stat().st_size < 100_000
    return path


@pytest.mark.parametrize("make", [lying, greedy])
def test_a_file_that_would_end_the_server_ends_in_a_sentence(
    tmp_path: Path, tiny_model: LoadedModel, make
):
    suffix = ".arrow" if make is lying else ".parquet"
    choice = TextChoice(str(make(tmp_path / f"a{suffix}")))
    with pytest.raises(DamagedError):
        preview(tiny_model, choice, 32)


def test_a_training_never_follows_offsets_out_of_a_file(tmp_path: Path):
    choice = TextChoice(str(lying(tmp_path / "a.arrow")))
    with pytest.raises(DamagedError) as caught:
        list(open_text(choice).rows())
    assert caught.value.key == "error.text_table_damaged"


def test_apart_is_read_what_is_read_here(tmp_path: Path):
    file = tmp_path / "a.jsonl"
    odd = ["나비가 \ud83d 앉았다", "\x00\x1b[31m", *ROWS]
    file.write_text("\n".join(json.dumps({"text": row}) for row in odd))
    choice = TextChoice(str(file))
    here = beginning(open_text(choice), 50, 10_000)
    assert beginning_apart(choice, 50, 10_000) == here
    assert isinstance(here, Beginning)
    assert (len(here.rows), here.is_whole) == (50, False)


def test_a_sentence_from_apart_is_the_same_sentence(tmp_path: Path):
    choice = TextChoice(str(tmp_path / "none.txt"))
    with pytest.raises(TinysaeError) as here:
        open_text(choice)
    with pytest.raises(MissingError) as apart:
        beginning_apart(choice, 1, 1)
    assert str(apart.value) == str(here.value)
    assert apart.value.values == here.value.values


def test_a_look_that_takes_too_long_ends_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "a.txt").write_text("Lily saw a dog.")
    monkeypatch.setattr("tinysae.data.texts.apart.PATIENCE_S", 0)
    with pytest.raises(DamagedError) as caught:
        beginning_apart(TextChoice(str(tmp_path / "a.txt")), 1, 1)
    assert caught.value.key == "error.text_unreadable_here"
