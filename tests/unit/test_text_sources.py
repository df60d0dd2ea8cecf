"""Texts of every kind: what is read, what is kept apart, and what is refused."""

import codecs
import json
import resource
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tinysae.config import TextChoice
from tinysae.data.corpus import token_chunks
from tinysae.data.preview import preview
from tinysae.data.texts import open_text, pasted
from tinysae.data.texts.text import (
    Document,
    Text,
    is_held_out,
    mixed,
    piece_size,
    pieces,
)
from tinysae.errors import InputError, MissingError, TinysaeError
from tinysae.model.sources import LoadedModel

ROWS = [f"Once upon a time there was cat number {n}." for n in range(400)]


def rows(path: Path | str, **how: object) -> list[Document]:
    return list(open_text(TextChoice(str(path), **how)).rows())  # type: ignore[arg-type]


def refused(path: Path | str, **how: object) -> str:
    with pytest.raises(TinysaeError) as caught:
        rows(path, **how)
    return caught.value.key.removeprefix("error.")


def jsonl(path: Path, texts: list[str]) -> Path:
    lines = (json.dumps({"id": 1, "text": text}) for text in texts)
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def arrow(path: Path, table: pa.Table, *, stream: bool) -> Path:
    make = pa.ipc.new_stream if stream else pa.ipc.new_file
    with make(str(path), table.schema) as writer:
        writer.write_table(table)
    return path


def test_every_format_gives_the_same_rows(tmp_path: Path) -> None:
    table = pa.table({"id": list(range(len(ROWS))), "text": ROWS})
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=70)
    assert rows(tmp_path / "a.parquet") == ROWS
    assert rows(jsonl(tmp_path / "a.jsonl", ROWS)) == ROWS
    assert rows(arrow(tmp_path / "a.arrow", table, stream=True)) == ROWS
    assert rows(arrow(tmp_path / "b.arrow", table, stream=False)) == ROWS
    text = "<|endoftext|>".join(ROWS)
    (tmp_path / "a.txt").write_bytes(codecs.BOM_UTF8 + text.encode())
    assert rows(tmp_path / "a.txt") == ROWS


def test_a_folder_is_read_in_order_without_what_is_hidden(tmp_path: Path) -> None:
    folder = tmp_path / "texts"
    (folder / "inner").mkdir(parents=True)
    (folder / ".git").mkdir()
    for name in ("b.txt", "a.txt", "inner/c.txt", ".git/d.txt", "image.png"):
        (folder / name).write_text(name)
    (folder / "empty.txt").touch()
    assert rows(folder) == ["a.txt", "b.txt", "inner/c.txt"]


def test_a_separator_is_found_across_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tinysae.data.texts import local as files

    monkeypatch.setattr(files, "READ_BYTES", 40)
    (tmp_path / "a.txt").write_text("é" + "<|endoftext|>".join(ROWS), encoding="utf-8")
    joined = "".join(map(str, rows(tmp_path / "a.txt")))
    assert joined == "é" + "".join(ROWS)


@pytest.mark.parametrize(
    ("name", "content", "key"),
    [
        ("a.txt", b"", "text_empty"),
        ("a.txt", b"MZ\0\1\2", "text_binary"),
        ("a.txt", "caf\xe9 au lait".encode("latin-1"), "text_not_utf8"),
        ("a.txt", "hello".encode("utf-16"), "text_not_utf8"),
        ("a.txt", b"half \xe2\x82", "text_not_utf8"),
        ("a.pdf", b"%PDF", "text_file_kind"),
        ("a.jsonl", b"not json\n" * 50, "text_bad_lines"),
        ("a.jsonl", b"[" * 100_000, "text_bad_lines"),
        ("a.jsonl", b'{"a": 1, "b": 2}\n', "text_without_text"),
        ("a.jsonl", b'{"ids": [1, 2, 3]}\n', "text_is_tokenized"),
        ("a.jsonl", b'{"x": "a", "y": "b"}\n', "text_many_columns"),
        ("a.parquet", b"PAR1 and then nothing", "text_table_damaged"),
        ("a.arrow", b"ARROW1 and then nothing", "text_table_damaged"),
    ],
)
def test_what_cannot_be_read_is_a_sentence(
    tmp_path: Path, name: str, content: bytes, key: str
) -> None:
    (tmp_path / name).write_bytes(content)
    assert refused(tmp_path / name) == key


def test_a_truncated_parquet_is_a_sentence(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ROWS}), tmp_path / "a.parquet")
    whole = (tmp_path / "a.parquet").read_bytes()
    (tmp_path / "a.parquet").write_bytes(whole[: len(whole) // 2])
    assert refused(tmp_path / "a.parquet") == "text_table_damaged"


def test_a_few_bad_lines_are_passed_over_and_counted(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "a.jsonl", ROWS)
    path.write_text(path.read_text() + '\n{"text": "torn')
    text = open_text(TextChoice(str(path)))
    assert list(text.rows()) == ROWS
    assert text.n_unreadable == 1


def test_a_link_out_of_the_folder_is_refused_and_one_inside_is_read(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "texts"
    folder.mkdir()
    (folder / "a.txt").write_text("inside")
    (folder / "b.txt").symlink_to(folder / "a.txt")
    assert rows(folder) == ["inside", "inside"]
    (tmp_path / "secret.txt").write_text("outside")
    (folder / "c.txt").symlink_to(tmp_path / "secret.txt")
    assert refused(folder) == "text_link_out"


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("/nowhere/at/all", "text_path_missing"),
        ("~nobody-at-all/x", "text_path_missing"),
        ("/" + "x" * 5000, "text_path_missing"),
        ("/a\0b", "text_path_missing"),
        ("", "unknown_text"),
        ("what is this?", "unknown_text"),
        ("a/b/c", "unknown_text"),
        ("pasted:../../etc/passwd", "text_paste_missing"),
        ("pasted:" + "0" * 64, "text_paste_missing"),
    ],
)
def test_a_name_of_nothing_is_a_sentence(tiny_home: Path, path: str, key: str) -> None:
    assert tiny_home.is_dir()
    assert refused(path) == key


def test_the_column_is_the_one_asked_for(tmp_path: Path) -> None:
    table = pa.table({"title": ["t"], "text": ["x"], "n": [1], "ids": [[1, 2]]})
    pq.write_table(table, tmp_path / "a.parquet")
    path = tmp_path / "a.parquet"
    assert rows(path) == ["x"]
    assert rows(path, column="title") == ["t"]
    assert rows(path, is_tokenized=True) == [[1, 2]]
    assert refused(path, column="none") == "text_column_missing"
    assert refused(path, column="n") == "text_column_no_text"
    assert refused(path, column="text", is_tokenized=True) == "text_column_no_tokens"


def test_pasted_text_is_kept_once_and_read_again(tiny_home: Path) -> None:
    name = pasted.keep("Lily saw a dog.\r\nThe dog ran. \ud800")
    assert pasted.keep("Lily saw a dog.\r\nThe dog ran. \ud800") == name
    assert len(list((tiny_home / "texts").iterdir())) == 1
    assert rows(name) == ["Lily saw a dog.\nThe dog ran. \ufffd"]
    for text, key in (("  \n", "text_empty"), ("x" * 5_000_001, "text_paste_too_long")):
        with pytest.raises(InputError) as caught:
            pasted.keep(text)
        assert caught.value.key == f"error.{key}"


def test_pieces_are_the_text_cut_at_its_paragraphs() -> None:
    text = "\n\n".join(f"{n} " + "word " * 30 for n in range(50))
    cut = list(pieces(text, 700))
    assert all(0 < len(piece) <= 700 for piece in cut)
    assert "".join("".join(cut).split()) == "".join(text.split())  # type: ignore[arg-type]
    assert all(str(piece)[0].isdigit() for piece in cut)
    assert list(pieces("x" * 1500, 700)) == ["x" * 700, "x" * 700, "x" * 100]
    assert list(pieces(list(range(5)), 2)) == [[0, 1], [2, 3], [4]]
    assert piece_size(None) == piece_size(10**9) > piece_size(10**6) > piece_size(10)


class Cats(Text):
    def rows(self) -> Iterator[Document]:
        return iter(ROWS)


def test_held_out_documents_are_never_trained_on() -> None:
    text = Cats()
    kept = list(text.documents(3, held_out=True))
    n = len(ROWS) - len(kept)
    trained = list(islice(text.documents(7), 3 * n))
    assert set(kept) | set(trained) == set(ROWS)
    assert not set(kept) & set(trained)
    assert all(map(is_held_out, kept))
    assert 20 < len(kept) < 60
    # Each epoch has every document once, in an order of its own, which the seed tells.
    epochs = [trained[start : start + n] for start in (0, n, 2 * n)]
    assert all(
        sorted(map(str, epoch)) == sorted(map(str, epochs[0])) for epoch in epochs
    )
    assert len({tuple(epoch) for epoch in epochs}) == 3
    assert list(islice(text.documents(7), 3 * n)) == trained
    assert list(islice(text.documents(8), n)) != epochs[0]


def test_mixing_keeps_every_document() -> None:
    import random

    many = [str(n) for n in range(10_000)]
    assert sorted(mixed(many, random.Random(0))) == sorted(many)


def test_contexts_of_a_file_begin_anywhere_and_stay_the_same(
    tiny_model: LoadedModel, tmp_path: Path
) -> None:
    choice = TextChoice(str(jsonl(tmp_path / "a.jsonl", ROWS)))

    def contexts(start: int, n: int) -> list[list[int]]:
        chunks = token_chunks(tiny_model, choice, 32, seed=5, start=start)
        return [chunk.tolist() for chunk in islice(chunks, n)]

    # Past the end of the text, which is read again.
    whole = contexts(0, 3000)
    assert contexts(2000, 1000) == whole[2000:]
    assert all(chunk[0] == tiny_model.bos_id and len(chunk) == 32 for chunk in whole)


def test_tokenized_rows_are_parted_where_a_document_begins(
    tiny_model: LoadedModel, tmp_path: Path
) -> None:
    bos = tiny_model.bos_id
    ids = [[bos, 5, 6, 7, bos, 8, 9, bos]] * 40
    # Content alone decides what is held out: rows that differ, so that some are not.
    ids = [[*row, 10 + n] for n, row in enumerate(ids)]
    pq.write_table(pa.table({"input_ids": ids}), tmp_path / "a.parquet")
    choice = TextChoice(str(tmp_path / "a.parquet"), is_tokenized=True)
    context = next(token_chunks(tiny_model, choice, 9, seed=0)).tolist()
    assert context[:7] == [bos, 5, 6, 7, bos, 8, 9]
    assert context[7] == bos


@pytest.mark.parametrize("token", [-1, 10**6, 2**40])
def test_tokens_of_another_tokenizer_are_refused(
    tiny_model: LoadedModel, tmp_path: Path, token: int
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(f'{{"ids": [1, 2, {token}]}}\n' * 20)
    choice = TextChoice(str(path), is_tokenized=True)
    with pytest.raises(InputError) as caught:
        preview(tiny_model, choice, 16)
    assert caught.value.key == "error.text_other_tokenizer"
    assert caught.value.values["token"] == token


def test_a_text_too_short_for_its_held_out_context_says_so(
    tiny_model: LoadedModel, tiny_home: Path
) -> None:
    assert tiny_home.is_dir()
    choice = TextChoice(pasted.keep("Lily saw a dog."))
    with pytest.raises(InputError) as caught:
        token_chunks(tiny_model, choice, 64, seed=0, held_out=True)
    assert caught.value.key == "error.text_too_short"


def test_a_million_tiny_rows_are_read_in_bounded_memory(
    tiny_model: LoadedModel, tmp_path: Path
) -> None:
    with (tmp_path / "a.jsonl").open("w") as file:
        file.writelines(f'{{"text": "{n}"}}\n' for n in range(1_000_000))
    text = open_text(TextChoice(str(tmp_path / "a.jsonl")))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert sum(1 for _ in text.documents(0, held_out=True)) == pytest.approx(
        1e5, rel=0.05
    )
    next(token_chunks(tiny_model, text, 64, seed=0))
    grown_mb = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert grown_mb < 200


def test_one_huge_row_is_read_in_pieces(
    tiny_model: LoadedModel, tmp_path: Path
) -> None:
    words = " ".join(ROWS * 500)
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"text": words}))
    text = open_text(TextChoice(str(path)))
    longest = max(map(len, text.documents(0, held_out=True)))
    assert longest <= 20_000
    chunk = next(token_chunks(tiny_model, text, 64, seed=0, held_out=True))
    assert len(chunk) == 64


def test_a_preview_counts_a_small_text_and_estimates_a_large_one(
    tiny_model: LoadedModel, tmp_path: Path
) -> None:
    small = jsonl(tmp_path / "small.jsonl", ROWS)
    counted = sum(map(len, tiny_model.encode_many(ROWS)))
    found = preview(tiny_model, TextChoice(str(small)), 32)
    assert (found.n_tokens, found.is_counted) == (counted, True)
    assert found.rows == ROWS[:5]
    assert all(sum(lengths) == 32 for lengths in found.contexts)
    table = pa.table({"text": ROWS * 10})
    pq.write_table(table, tmp_path / "large.parquet")
    found = preview(tiny_model, TextChoice(str(tmp_path / "large.parquet")), 32)
    assert not found.is_counted
    assert found.n_tokens == pytest.approx(10 * counted, rel=0.05)
    endless = preview(tiny_model, TextChoice("storybook"), 32)
    assert (endless.n_tokens, endless.is_endless) == (None, True)


@pytest.mark.parametrize("kind", ["txt", "separated", "jsonl", "escaped", "tokens"])
def test_a_preview_estimates_by_bytes_whatever_a_character_takes(
    tiny_model: LoadedModel, tmp_path: Path, kind: str
) -> None:
    stories = [f"{n}번 고양이가 숲에서 잠을 잤습니다." for n in range(30_000)]
    tokens = tiny_model.encode_many(stories)
    file = tmp_path / ("large.txt" if kind in ("txt", "separated") else "large.jsonl")
    if file.suffix == ".txt":
        between = "\n\n" if kind == "txt" else "<|endoftext|>"
        file.write_text(between.join(stories), encoding="utf-8")
    else:
        # Beside the text, as datasets have it, what is not read of a row.
        values = tokens if kind == "tokens" else stories
        lines = (
            json.dumps(
                {"id": n, "x": "x" * 99, "text": v}, ensure_ascii=kind != "jsonl"
            )
            for n, v in enumerate(values)
        )
        file.write_text("\n".join(lines), encoding="utf-8")
    choice = TextChoice(
        str(file),
        is_tokenized=kind == "tokens",
        column="text" * (file.suffix == ".jsonl"),
    )
    text = open_text(choice)
    exact = sum(
        len(row if kind == "tokens" else tiny_model.encode(str(row)))
        for row in text.rows()
    )
    found = preview(tiny_model, choice, 32)
    assert not found.is_counted
    assert found.n_tokens == pytest.approx(exact, rel=0.05)


def test_a_new_kind_of_text_is_one_module(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The toy source of docs/internals.md, put beside the others."""
    import re
    import sys

    import tinysae.data.texts as package

    guide = (Path(__file__).parents[2] / "docs" / "internals.md").read_text(
        encoding="utf-8"
    )
    toy = re.search(r"```python\n(# tinysae/data/texts/counting.*?)```", guide, re.S)
    assert toy
    (tmp_path / "counting.py").write_text(toy[1])
    monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path)])
    fresh: Callable[[], None] = package._openers.cache_clear
    fresh()
    try:
        assert rows("counting")[:2] == ["1 and then 2.", "2 and then 3."]
        with pytest.raises(MissingError):
            rows("what is this?")
    finally:
        fresh()
        sys.modules.pop(f"{package.__name__}.counting", None)
