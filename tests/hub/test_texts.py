"""Texts of the hub, through the real `datasets` library and the loopback hub."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.hub.conftest import CHILD_S, Child
from tests.hub.repos import END_ID, TUTORIAL_DATASET, tutorial_model
from tests.hub.server import Hub
from tests.unit.test_worker import wait_for
from tinysae.config import TextChoice, TrainConfig
from tinysae.data.texts import hub_dataset as hub_texts
from tinysae.errors import NetworkError
from tinysae.hub.cache import repo_dir
from tinysae.jobs.lock import is_locked
from tinysae.model.sources import load_model
from tinysae.runs.store import start_run

READ = """
import json, sys
from tinysae.config import TextChoice
from tinysae.data.texts import open_text
from tinysae.errors import TinysaeError
def read(path, **how):
    try:
        return list(open_text(TextChoice(path, **how)).rows())
    except TinysaeError as error:
        return error.key.removeprefix("error.")
"""


def parquet(hub: Hub, repo_id: str, n_shards: int = 2, n_rows: int = 1500) -> list[str]:
    """A dataset of shards of a few hundred KB; its rows."""
    data = hub.folder(repo_id, "dataset") / "data"
    data.mkdir()
    rows = [[f"{s}-{n} " + "x" * 300 for n in range(n_rows)] for s in range(n_shards)]
    for shard, texts in enumerate(rows):
        name = f"train-{shard:05}-of-{n_shards:05}.parquet"
        pq.write_table(pa.table({"text": texts}), data / name, compression="none")
    return sum(rows, [])


def test_rows_come_in_shards_and_a_failure_is_tried_again(
    hub: Hub, child: Child
) -> None:
    rows = parquet(hub, "ada/text")
    hub.fault("/cdn/", status=500)
    hub.fault("train-00001", cut_after=5000)
    assert child(READ + 'print(json.dumps(read("ada/text")))') == rows
    failed = [asked for asked in hub.asked if "/cdn/dataset/ada/text" in asked.path]
    assert len(failed) >= 4


@pytest.mark.slow
def test_a_dataset_is_downloaded_and_then_read_offline(hub: Hub, child: Child) -> None:
    rows = parquet(hub, "ada/text", n_shards=1)
    code = READ + 'print(json.dumps(read("ada/text", streaming=False)))'
    assert child(code) == rows
    n_asked = len(hub.asked)
    assert child(code, HF_HUB_OFFLINE="1") == rows
    # A look at it streams, which reads what was prepared.
    code = READ + 'print(json.dumps(read("ada/text")))'
    assert child(code, HF_HUB_OFFLINE="1") == rows
    assert len(hub.asked) == n_asked


@pytest.mark.slow
def test_a_download_tells_how_far_it_is_and_goes_on_after_a_stop(
    hub: Hub, child: Child
) -> None:
    rows = parquet(hub, "ada/text", n_rows=6000)
    code = (
        READ
        + """
class Enough(Exception): pass
heard = []
def progress(done, total):
    heard.append((done, total))
    if sys.argv[1] == "stop" and 0 < done < total:
        raise Enough
text = open_text(TextChoice("ada/text", streaming=False))
try:
    text.bring(progress)
except Enough:
    pass
is_whole = bool(heard) and heard[-1][0] == heard[-1][1]
rows = read("ada/text", streaming=False) if is_whole or not heard else []
print(json.dumps([heard, rows]))
"""
    )
    heard, _ = child(code, "stop")
    begun, size = heard[-1]
    assert 0 < begun < size
    heard, found = child(code, "go on")
    # What had arrived is counted first, and asked for no more.
    assert heard[0] == [begun, size]
    assert [done for done, _ in heard] == sorted(done for done, _ in heard)
    assert heard[-1] == [size, size]
    assert found == rows
    asked = [a for a in hub.asked if "/cdn/dataset/ada/text" in a.path]
    assert [a.range for a in asked if a.method == "GET"][:2] == [
        None,
        f"bytes={begun}-",
    ]
    # It is here: nothing is brought any more.
    assert child(code, "again") == [[], rows]


def test_a_look_at_a_dataset_downloads_nothing_whole(
    hub: Hub, child: Child, tiny_model_dir: Path
) -> None:
    rows = parquet(hub, "ada/text")
    # The library asks the dataset viewer, at another name of the hub's, how many rows
    # there are: that is what makes the estimate.
    info = {"splits": {"train": {"name": "train", "num_examples": len(rows)}}}
    hub.infos["ada/text"] = {"default": info}
    found = child(
        """
import json, socket, sys
known = socket.getaddrinfo
def resolved(host, *arguments, **named):
    return known(host.removeprefix("datasets-server."), *arguments, **named)
socket.getaddrinfo = resolved
from tinysae.config import TextChoice
from tinysae.data import preview as looks
from tinysae.data.preview import preview
from tinysae.model.sources import load_model
# The name of this process's own viewer is not known to another.
looks.beginning_apart = lambda choice, *most: looks.beginning(
    looks.open_text(choice), *most
)
model = load_model(sys.argv[1])
found = preview(model, TextChoice("ada/text", streaming=False), 32)
print(json.dumps([found.rows[0], found.n_tokens, found.is_counted]))
""",
        tiny_model_dir,
        HF_ENDPOINT=hub.cdn,
    )
    first, n_tokens, is_counted = found
    assert rows[0].startswith(first.removesuffix("…"))
    assert not is_counted
    assert any(asked.path.startswith("/info?") for asked in hub.asked)
    # Every row has about as many tokens: the beginning's mean is the whole's.
    assert n_tokens == pytest.approx(_n_tokens(tiny_model_dir, rows), rel=0.05)
    assert not any("train-00001" in a.path for a in hub.asked if "/cdn/" in a.path)


def _n_tokens(folder: Path, rows: list[str]) -> int:
    model = load_model(str(folder))
    return sum(map(len, model.encode_many(rows)))


def test_what_cannot_be_read_is_a_sentence_and_nothing_is_run(
    hub: Hub, child: Child, tmp_path: Path
) -> None:
    parquet(hub, "ada/text")
    whole = next(hub.folder("ada/text", "dataset").rglob("*.parquet")).read_bytes()
    ran = tmp_path / "ran"
    contents = {
        "ada/script/script.py": f"open({str(ran)!r}, 'w')".encode(),
        "ada/images/a.png": b"\x89PNG",
        "ada/empty/README.md": b"nothing",
        "ada/torn/a.parquet": whole[: len(whole) // 2],
        "ada/numbers/a.jsonl": b'{"a": 1, "b": 2}\n' * 10,
        "ada/private/a.jsonl": b'{"text": "a"}\n',
        "ada/pickle/a.pkl": b"\x80\x04cos\nsystem\n(S'false'\ntR.",
    }
    for path, content in contents.items():
        owner, name, file = path.split("/")
        (hub.folder(f"{owner}/{name}", "dataset") / file).write_bytes(content)
    hub.private.add("ada/private")
    told = child(
        READ
        + """
names = "none script images empty torn numbers private pickle".split()
told = {name: read(f"ada/{name}") for name in names}
told["split"] = read("ada/text", split="test")
told["subset"] = read("ada/text", subset="other")
told["column"] = read("ada/text", column="other")
told["tokens"] = read("ada/text", is_tokenized=True)
print(json.dumps(told))
"""
    )
    assert told.pop("pickle") in ("text_dataset_no_files", "text_dataset_format")
    assert told == {
        "none": "text_dataset_missing",
        "script": "text_dataset_script",
        "images": "text_dataset_format",
        "empty": "text_dataset_no_files",
        "torn": "text_dataset_damaged",
        "numbers": "text_without_text",
        "private": "text_dataset_missing",
        "split": "text_dataset_part",
        "subset": "text_dataset_part",
        "column": "text_column_missing",
        "tokens": "text_without_tokens",
    }
    assert not ran.exists()


def test_a_hub_that_is_away_is_a_sentence(hub: Hub, child: Child) -> None:
    assert hub.url
    parquet(hub, "ada/text")
    code = READ + 'print(json.dumps(read("ada/text")))'
    assert child(code, HF_HUB_OFFLINE="1") == "text_network"
    # Connections that are closed without an answer.
    hub.fault("ada/text", drop=True, times=1000)
    assert child(code) == "text_network"


@pytest.mark.slow
def test_the_tutorial_trains_on_its_own_tokens(
    hub: Hub, child: Child, tmp_path: Path
) -> None:
    """The preset's settings but for their sizes, in the worker, to the index."""
    data = hub.folder(TUTORIAL_DATASET, "dataset") / "data"
    data.mkdir()
    tokens = np.random.default_rng(0).integers(0, 5000, (400, 512))
    tokens[:, ::100] = END_ID
    table = pa.table({"input_ids": tokens.tolist()})
    pq.write_table(table, data / "train-00000-of-00001.parquet")
    folder = tmp_path / "model"
    folder.mkdir()
    # A local folder has to be safe already; the catalogue's pickle is another matter.
    tutorial_model(folder)
    told = child(
        """
import json, sys
import torch
from pathlib import Path
from safetensors.torch import save_file
folder = Path(sys.argv[1])
weights = torch.load(folder / "pytorch_model.bin", weights_only=True)
(folder / "pytorch_model.bin").unlink()
(folder / "training_args.bin").unlink()
kept = {k: v.contiguous() for k, v in weights.items() if k != "lm_head.weight"}
save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
from dataclasses import replace
from tinysae.worker import finish, life, look
from tinysae.presets import PRESETS
from tinysae.runs.store import create_run
finish.EVALUATION_TOKENS = finish.INDEX_TOKENS = 4096
look.LOOK_CONTEXTS = 1
config = replace(
    PRESETS[-1].config, model_name=str(folder), context_size=128, d_sae=64,
    training_tokens=4096, train_batch_size_tokens=512, n_batches_in_buffer=4,
    n_batches_for_norm_estimate=2, l1_warm_up_steps=1, l0_warm_up_steps=0,
    lr_decay_steps=1, store_batch_size_prompts=4,
)
run = create_run(config)
life.train(run)
index = json.loads((run.path / "sae" / "runner_cfg.json").read_text())
print(json.dumps([
    run.status.state, str(run.status.error), run.evaluation()["n_tokens"],
    run.features_dir.is_dir(), bool(run.made_with()["data_fingerprint"]),
    index["dataset_path"], index["is_dataset_tokenized"],
]))
""",
        folder,
    )
    n_tokens = told.pop(2)
    assert told == ["done", "None", True, True, TUTORIAL_DATASET, True]
    assert n_tokens > 0


@pytest.mark.slow
def test_a_run_downloads_its_dataset_first_and_can_be_stopped_meanwhile(
    hub: Hub,
    sees_hub: None,  # noqa: ARG001
    tiny_home: Path,
    tiny_model_dir: Path,
) -> None:
    assert tiny_home.is_dir()
    parquet(hub, "ada/text", n_rows=6000)
    # The server says nothing in the middle, and is not waited for.
    fault = hub.fault("/cdn/dataset/ada/text", pause_after=1_000_000)
    run = start_run(
        TrainConfig(
            model_name=str(tiny_model_dir),
            dataset_path="ada/text",
            streaming=False,
        )
    )
    assert fault.reached.wait(CHILD_S)
    wait_for(lambda: run.status.state == "downloading", "the download")
    run.request_stop()
    wait_for(lambda: not is_locked(run.path), "the stop")
    fault.go_on.set()
    assert run.status.state == "stopped", run.log_path.read_text()
    part = repo_dir("ada/text", "dataset") / "blobs"
    assert any(file.stat().st_size for file in part.glob("*.incomplete"))


class Unsteady:
    """A streamed dataset of `n` tables that breaks off after some of them."""

    def __init__(self, n: int, fails_at: list[int]) -> None:
        self.n, self.at, self.fails_at = n, 0, fails_at

    def with_format(self, _kind: str) -> "Unsteady":
        return self

    def state_dict(self) -> dict[str, int]:
        return {"at": self.at}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.at = state["at"]

    def iter(self, _size: int):
        while self.at < self.n:
            if self.fails_at and self.at == self.fails_at[0]:
                self.fails_at.pop(0)
                raise ConnectionError("gone")
            self.at += 1
            yield pa.table({"text": [f"row {self.at}"]})


@pytest.fixture
def dataset(monkeypatch: pytest.MonkeyPatch) -> hub_texts.HubDataset:
    found = object.__new__(hub_texts.HubDataset)
    monkeypatch.setattr(found, "_choice", TextChoice("ada/text"), raising=False)
    monkeypatch.setattr(hub_texts, "READING_PAUSES_S", (0.0, 0.0))
    return found


def test_reading_goes_on_from_where_it_broke_off(
    dataset: hub_texts.HubDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = Unsteady(6, [0, 2, 2, 5])
    monkeypatch.setattr(dataset, "_source", lambda: source)
    assert list(dataset.rows()) == [f"row {n}" for n in range(1, 7)]


def test_a_hub_that_stays_away_ends_the_reading_with_a_sentence(
    dataset: hub_texts.HubDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = Unsteady(6, [3, 3, 3])
    monkeypatch.setattr(dataset, "_source", lambda: source)
    read = []
    with pytest.raises(NetworkError) as caught:
        read.extend(dataset.rows())
    assert caught.value.key == "error.text_network"
