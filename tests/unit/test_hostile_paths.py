"""What strangers type, make or link to ends in a sentence, never in our own error."""

import base64
import json
import os
import struct
import threading
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.builders import write_sae
from tests.unit.tiny_model import build_tiny_model
from tinysae.config import TextChoice, TrainConfig
from tinysae.data.texts import open_text
from tinysae.data.texts.local import MAX_FILES, found_files
from tinysae.errors import (
    BusyError,
    DamagedError,
    InputError,
    MissingError,
    TinysaeError,
)
from tinysae.jobs.files import MAX_DEPTH, open_regular, parsed_json
from tinysae.jobs.status import JobStatus, write_status
from tinysae.lessons.progress import keep_answer, keep_place, read_progress
from tinysae.library.imports import import_zip_at
from tinysae.library.saved import add_sae, saved_saes
from tinysae.model.catalogue import PINS_NAME, Pin, write_pin
from tinysae.model.folder import check_layers, checked_files, count_parameters
from tinysae.model.sources import is_at_hand, load_model
from tinysae.model.text.state import unpacked
from tinysae.model.tokenizer_apart import try_tokenizer
from tinysae.runs import trash
from tinysae.runs.live import request_live_index
from tinysae.runs.store import create_run
from tinysae.sae.load import load_sae
from tinysae.words import LANGUAGES

PATHS = [
    *("~nosuchuser", "~nosuchuser/sae.zip", "x" * 300, "/" + "x/" * 2000, "x" * 5000),
    *("a\0b", "\ud800", "", " ", ".", "/", "/dev/zero", "/dev/null", "/dev/stdin"),
    *("/proc/self/mem", "/proc/self/pagemap", "/proc/self/fd/0", "/proc/self"),
    *("HERE/pipe", "HERE/pipe.zip", "HERE/pipe.txt", "HERE/circle", "HERE/zero.zip"),
    *("HERE/circle.zip", "HERE/pipes", "HERE/zeros", "HERE/circles", "HERE/circle.txt"),
]


@pytest.fixture
def here(tiny_home: Path) -> Path:
    """A folder of pipes, devices and links that lead in a circle."""
    makers: dict[str, Callable[[Path], None]] = {
        "pipe": os.mkfifo,
        "zero": lambda path: path.symlink_to("/dev/zero"),
        "circle": lambda path: path.symlink_to(path),
    }
    names = ("cfg.json", "sae_weights.safetensors", "config.json", "tokenizer.json")
    for kind, make in makers.items():
        for name in ("", ".zip", ".txt", ".gguf"):
            make(tiny_home / f"{kind}{name}")
        folder = tiny_home / f"{kind}s"
        folder.mkdir()
        for name in (*names, "model.safetensors", "story.txt", "story.jsonl"):
            make(folder / name)
    return tiny_home


def sentence(problem: TinysaeError) -> None:
    for language in LANGUAGES:
        assert 10 < len(problem.in_language(language).encode()) < 3000


def only_says(ask: Callable[[], object]) -> None:
    try:
        ask()
    except TinysaeError as problem:
        sentence(problem)


@pytest.mark.parametrize("path", PATHS, ids=lambda path: repr(path)[:30])
def test_a_path_that_leads_nowhere_is_said(path: str, here: Path) -> None:
    path = path.replace("HERE", str(here))
    for ask in (add_sae, import_zip_at, load_model):
        with pytest.raises(TinysaeError) as caught:
            ask(path)
        sentence(caught.value)
    only_says(lambda: is_at_hand(path))
    if path not in (".", "/"):
        only_says(lambda: open_text(TextChoice(path)))


def test_a_pipe_or_a_device_is_no_file_to_read(here: Path) -> None:
    for name in ("pipe", "zero", "circle", "none", "pipes"):
        with pytest.raises(OSError, match=name):
            open_regular(here / name)


ODD_TENSORS: dict[str, Any] = {
    "a scalar": lambda _: torch.tensor(1.0),
    "no numbers": lambda _: torch.zeros(0),
    "one dimension more": lambda found: found[None],
    "half of it": lambda found: found[: len(found) // 2].clone(),
    "complex": lambda found: found.to(torch.complex64),
    "float8": lambda found: found.to(torch.float8_e4m3fn),
    "infinite": lambda found: found.fill_(torch.inf),
}
ODD_SIZES = [0, -1, 1, 40.5, 10**400, 1 << 62, "40x", "", None, [40], True]


@pytest.mark.parametrize("odd", ODD_TENSORS)
@pytest.mark.parametrize("name", ["W_enc", "W_dec", "b_enc", "b_dec"])
def test_an_sae_of_odd_tensors_is_damaged(name: str, odd: str, tmp_path: Path) -> None:
    weights = write_sae(tmp_path) / "sae_weights.safetensors"
    tensors = load_file(weights)
    save_file({**tensors, name: ODD_TENSORS[odd](tensors[name])}, weights)
    with pytest.raises(DamagedError):
        load_sae(tmp_path)


@pytest.mark.parametrize("size", ODD_SIZES, ids=lambda size: repr(size)[:20])
@pytest.mark.parametrize("name", ["d_in", "d_sae", "k"])
def test_an_sae_of_odd_sizes_is_damaged(name: str, size: object, tmp_path: Path):
    path = write_sae(tmp_path, architecture="topk", k=4)
    cfg = json.loads((path / "cfg.json").read_text())
    (path / "cfg.json").write_text(json.dumps({**cfg, name: size}))
    if (name, repr(size)) == ("k", "1"):
        assert load_sae(path).k == 1
        return
    with pytest.raises(DamagedError):
        load_sae(path)


def test_an_sae_without_any_feature_is_damaged(tmp_path: Path) -> None:
    path = write_sae(tmp_path, d_sae=1)
    cfg = json.loads((path / "cfg.json").read_text())
    (path / "cfg.json").write_text(json.dumps({**cfg, "d_sae": 0}))
    empty = {"W_enc": torch.zeros(32, 0), "W_dec": torch.zeros(0, 32)}
    save_file(
        {**empty, "b_enc": torch.zeros(0), "b_dec": torch.zeros(32)},
        path / "sae_weights.safetensors",
    )
    with pytest.raises(DamagedError):
        load_sae(path)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "latin-1"])
def test_a_cfg_in_another_encoding_is_damaged(encoding: str, tmp_path: Path) -> None:
    path = write_sae(tmp_path, title="é") / "cfg.json"
    text = path.read_text(encoding="utf-8").encode().decode("unicode-escape")
    path.write_text(text, encoding=encoding)
    with pytest.raises(DamagedError):
        load_sae(tmp_path)


def test_an_sae_longer_than_the_memory_is_not_read(tmp_path: Path) -> None:
    weights = write_sae(tmp_path) / "sae_weights.safetensors"
    with weights.open("r+b") as file:
        # Nothing is written: a file with a hole takes no space.
        file.truncate(1 << 42)
    with pytest.raises(DamagedError):
        load_sae(tmp_path)
    with pytest.raises(DamagedError):
        add_sae(str(tmp_path))


def test_an_sae_of_a_million_tensors_is_damaged_at_once(tmp_path: Path) -> None:
    weights = write_sae(tmp_path) / "sae_weights.safetensors"
    data = weights.read_bytes()
    (n_header,) = struct.unpack_from("<Q", data)
    header, rest = json.loads(data[8 : 8 + n_header]), data[8 + n_header :]
    # Which the library would hold, each, in a tensor of its own: 14 s and 1.6 GB.
    empty = {"dtype": "F32", "shape": [0], "data_offsets": [len(rest), len(rest)]}
    text = json.dumps(header | {f"z{n}": empty for n in range(30_000)}).encode()
    weights.write_bytes(struct.pack("<Q", len(text)) + text + rest)
    with pytest.raises(DamagedError):
        load_sae(tmp_path)


@pytest.mark.parametrize("value", [100, 100_000, 10**9, 10.0**300])
@pytest.mark.parametrize("name", ["num_layers", "num_hidden_layers", "n_layer"])
def test_a_model_with_more_layers_than_tensors_is_not_built(
    name: str, value: float, tmp_path: Path
) -> None:
    """transformers would build each of them first: minutes, under everybody's lock."""
    weights = {f"layer.{n}": torch.zeros(1) for n in range(60)}
    save_file(weights, tmp_path / "model.safetensors")
    for config in ({name: 60}, {name: "60"}, {}):
        check_layers(config, tmp_path)
    for config in ({name: value}, {"text_config": {name: value}}):
        with pytest.raises(DamagedError):
            check_layers(config, tmp_path)


def test_a_tokenizer_that_ends_its_process_is_damaged(model_files: Path) -> None:
    """Four times each "a" becomes a thousand: the library asks for terabytes, and ends
    the process that asked."""
    path = model_files / "tokenizer.json"
    was = path.read_text()
    more = {"type": "Replace", "pattern": {"String": "a"}, "content": "a" * 1000}
    grows = {"type": "Sequence", "normalizers": [more] * 4}
    try_tokenizer(model_files)
    path.write_text(json.dumps(json.loads(was) | {"normalizer": grows}))
    try:
        with pytest.raises(DamagedError) as caught:
            load_model(str(model_files))
    finally:
        path.write_text(was)
    assert caught.value.values["file"] == "tokenizer.json"


HEADERS: list[Any] = [
    *([], {}, None, 1, "x", {"a": 1}, {"a": {}}, {"__metadata__": 3, "a": []}),
    *(
        {"a": {"dtype": "F32", "shape": shape, "data_offsets": offsets}}
        for shape in ([10**400], [-1], ["4"], 4, None, [1 << 40] * 40, [0], [], [True])
        for offsets in ([0, 8], [0, 10**400], [8, 0], [-8, 8], [0], "08", None)
    ),
]


@pytest.fixture(scope="module")
def model_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tiny_model(tmp_path_factory.mktemp("model"))


@pytest.mark.parametrize("header", HEADERS, ids=lambda header: repr(header)[:60])
def test_a_model_of_an_odd_header_is_damaged_or_counted(
    header: object, model_files: Path
) -> None:
    text = json.dumps(header).encode()
    (model_files / "model.safetensors").write_bytes(
        struct.pack("<Q", len(text)) + text + bytes(8)
    )
    only_says(lambda: checked_files(model_files))
    assert 0 <= count_parameters(model_files) <= 1 << 20


@pytest.mark.parametrize(
    "changes",
    [
        {"num_attention_heads": 0, "num_heads": 0, "n_head": 0},
        {"num_hidden_layers": 0, "num_layers": 0, "n_layer": 0},
        {"vocab_size": 0},
        {"vocab_size": -1},
        {"hidden_size": 0, "n_embd": 0},
        {"max_position_embeddings": 10**400, "n_positions": 10**400},
        {"model_type": ["gpt2"]},
        {"architectures": 3},
        {"eos_token_id": 10**400, "bos_token_id": -1},
    ],
    ids=repr,
)
def test_a_model_of_odd_counts_is_said(changes: dict[str, Any], tmp_path: Path) -> None:
    folder = build_tiny_model(tmp_path)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **changes}))
    only_says(lambda: load_model(str(folder)))


@pytest.mark.parametrize("text", [b"[" * 99_999, b"[" * 500 + b"]" * 500, b"\xff"])
def test_json_of_a_stranger_is_read_or_a_value_error(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"nested|decode|JSON|Expecting"):
        parsed_json(text)


def test_json_may_be_nested_and_its_brackets_may_be_text() -> None:
    deep = b"[" * MAX_DEPTH + b"]" * MAX_DEPTH
    assert parsed_json(deep)
    assert parsed_json(b'{"a": "' + b"[{" * 200 + b'\\"\\\\"}')["a"][:2] == "[{"
    # Half of a character can be neither shown nor sent.
    assert parsed_json(b'["\\ud83d\\ude00", "a\\ud800"]') == ["\U0001f600", "a\ufffd"]


def link_of(data: bytes) -> str:
    return base64.urlsafe_b64encode(zlib.compress(data, 9)).decode().rstrip("=")


def test_a_link_nested_to_the_edge_is_damaged() -> None:
    for depth in (50, 90, 200, 500, 900, 950, 990, 5000):
        value = "[" * depth + "]" * depth
        data = f'{{"format": 1, "settings": {{"top_k": {value}}}}}'.encode()
        with pytest.raises(TinysaeError) as caught:
            unpacked(link_of(data))
        sentence(caught.value)


@pytest.mark.parametrize("number", ["9" * 400, "NaN", "-Infinity", "1e999", "true"])
def test_every_number_of_a_link_is_checked(number: str) -> None:
    settings = (
        *("temperature", "top_k", "top_p", "repetition_penalty", "freq_penalty"),
        *("max_new_tokens", "seed"),
    )
    fields = [f'"settings": {{"{name}": {number}}}' for name in settings]
    for field in (*fields, f'"n_samples": {number}', f'"format": {number}'):
        data = f'{{"format": 1, {field}}}'.encode()
        with pytest.raises(TinysaeError) as caught:
            unpacked(link_of(data))
        sentence(caught.value)


def test_a_run_is_not_restored_onto_another(tiny_home: Path) -> None:
    run = create_run(TrainConfig(name="first"))
    write_status(run.path, JobStatus("stopped"))
    trash.delete(run)
    create_run(TrainConfig(name="second")).path.rename(run.path)
    with pytest.raises(BusyError) as caught:
        trash.restore(run.id)
    assert "space" not in str(caught.value)
    assert [found.id for found in trash.deleted_runs()] == [run.id]
    write_status(run.path, JobStatus("stopped"))
    with pytest.raises(BusyError) as caught:
        trash.delete(run)
    assert "space" not in str(caught.value)
    assert tiny_home.is_dir()


def test_asking_to_stop_says_where_nothing_can_be_written(tiny_home: Path) -> None:
    assert tiny_home.is_dir()
    run = create_run(TrainConfig())
    # Root may write everywhere, but not into a file's place.
    for name in ("stop.request", "explore.request"):
        (run.path / name).mkdir()
    for ask in (run.request_stop, lambda: request_live_index(run)):
        with pytest.raises(MissingError) as caught:
            ask()
        assert "space" not in str(caught.value)
        sentence(caught.value)


def test_a_name_that_is_no_text_can_be_shown(tiny_home: Path) -> None:
    folder = tiny_home / "saes" / os.fsdecode(b"sae-\xff\xfe")
    write_sae(folder)
    (saved,) = saved_saes()
    assert saved.title.encode()


def together(*works: Callable[[int], None], n: int = 40) -> None:
    """Each in a thread of its own, `n` times."""
    gate = threading.Barrier(len(works))

    def run(work: Callable[[int], None]) -> None:
        gate.wait()
        for number in range(n):
            work(number)

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_two_windows_keep_each_others_answers(tiny_home: Path) -> None:
    assert tiny_home.is_dir()

    def window(lesson: str) -> Callable[[int], None]:
        def answer(number: int) -> None:
            keep_place(lesson, number % 20 + 1)
            keep_answer(lesson, number % 20 + 1, {"name": f"{number}"})

        return answer

    together(window("names"), window("features"), n=20)
    progress = read_progress()
    for lesson in ("names", "features"):
        assert len(progress[lesson].answered) == 20
        assert progress[lesson].step == 20


def test_two_windows_keep_each_others_pins(tiny_home: Path) -> None:
    def window(owner: str) -> Callable[[int], None]:
        return lambda number: write_pin(
            f"{owner}/model-{number}", Pin("a" * 40, "b" * 64)
        )

    together(window("ada"), window("grace"), n=20)
    assert len(json.loads((tiny_home / PINS_NAME).read_text())) == 40


def test_a_whole_disk_is_walked_no_further_than_a_text_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    n_walked = 0

    def disk(path: Path) -> Iterator[tuple[str, list[str], list[str]]]:
        nonlocal n_walked
        while True:
            n_walked += 1_000
            yield str(path), [], [f"{n}.so" for n in range(1_000)]

    monkeypatch.setattr("tinysae.data.texts.local.os.walk", disk)
    with pytest.raises(InputError) as caught:
        found_files(tmp_path)
    assert caught.value.key == "error.text_many_files"
    assert n_walked <= 2 * MAX_FILES
