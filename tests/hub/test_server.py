"""The loopback hub, asked by the real huggingface_hub and datasets."""

import hashlib
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tests.hub.conftest import Child
from tests.hub.server import TOKEN, USER, Hub

DOWNLOAD = """
import json, sys
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError
try:
    print(json.dumps(snapshot_download(sys.argv[1])))
except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as problem:
    print(json.dumps(type(problem).__name__))
"""
BODY = bytes(range(256)) * 300


def _repo(hub: Hub, repo_id: str = "ada/model") -> Path:
    folder = hub.folder(repo_id)
    (folder / "config.json").write_text('{"a": 1}')
    (folder / "sub").mkdir()
    (folder / "sub" / "model.safetensors").write_bytes(BODY)
    return folder


def test_snapshot_comes_whole_and_again_offline(hub: Hub, child: Child) -> None:
    _repo(hub)
    first = Path(child(DOWNLOAD, "ada/model"))
    assert first.name == hub.commit("ada/model")
    assert (first / "sub" / "model.safetensors").read_bytes() == BODY
    asked = len(hub.asked)
    assert child(DOWNLOAD, "ada/model", HF_HUB_OFFLINE="1") == str(first)
    assert len(hub.asked) == asked


def test_unknown_private_and_gated_are_told_apart(hub: Hub, child: Child) -> None:
    _repo(hub)
    _repo(hub, "ada/gated")
    hub.private.add("ada/model")
    hub.gated.add("ada/gated")
    assert child(DOWNLOAD, "ada/none") == "RepositoryNotFoundError"
    assert child(DOWNLOAD, "ada/model") == "RepositoryNotFoundError"
    assert child(DOWNLOAD, "ada/gated") == "GatedRepoError"
    assert Path(child(DOWNLOAD, "ada/model", HF_TOKEN=TOKEN)).is_dir()


def test_faults_are_met_once_and_recovered_from(hub: Hub, child: Child) -> None:
    _repo(hub)
    hub.fault("/cdn/", cut_after=40_000)
    path = Path(child(DOWNLOAD, "ada/model")) / "sub" / "model.safetensors"
    assert path.read_bytes() == BODY
    assert len([asked for asked in hub.asked if "/cdn/" in asked.path]) == 2


def test_short_file_is_noticed_by_the_client(hub: Hub, child: Child) -> None:
    _repo(hub)
    hub.fault("/cdn/", truncate_to=1000)
    assert child(DOWNLOAD, "ada/model") == "OSError"


def test_upload_comes_back_byte_for_byte(
    hub: Hub, child: Child, tmp_path: Path
) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "README.md").write_text("---\nlicense: mit\n---\nHello\n")
    (folder / "weights.safetensors").write_bytes(BODY)
    told = child(
        """
import json, sys
from huggingface_hub import HfApi
api = HfApi()
name = api.whoami()["name"]
api.create_repo(f"{name}/sae")
api.create_repo(f"{name}/sae", exist_ok=True)
commit = api.upload_folder(repo_id=f"{name}/sae", folder_path=sys.argv[1])
print(json.dumps([name, commit.oid]))
""",
        folder,
        HF_TOKEN=TOKEN,
    )
    assert told == [USER, hub.commit(f"{USER}/sae")]
    there = hub.folder(f"{USER}/sae")
    for name in ("README.md", "weights.safetensors"):
        assert (there / name).read_bytes() == (folder / name).read_bytes()
    sha256 = hashlib.sha256(BODY).hexdigest()
    assert any(a.method == "PUT" and sha256 in a.path for a in hub.asked)


def test_upload_without_a_token_is_refused(hub: Hub, child: Child) -> None:
    told = child(
        """
import json
from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError
try:
    HfApi().create_repo("reader/sae")
except HfHubHTTPError as problem:
    print(json.dumps(problem.response.status_code))
"""
    )
    assert told == 401
    assert not (hub.root / "models").exists()


def test_dataset_streams_in_shards(hub: Hub, child: Child) -> None:
    data = hub.folder("ada/text", "dataset") / "data"
    data.mkdir()
    for shard in range(2):
        rows = [f"row {shard}-{row}" for row in range(5)]
        pq.write_table(
            pa.table({"text": rows}), data / f"train-0000{shard}-of-00002.parquet"
        )
    rows = child(
        """
import json
from datasets import load_dataset
rows = load_dataset("ada/text", split="train", streaming=True)
print(json.dumps([row["text"] for row in rows]))
"""
    )
    assert rows == [f"row {shard}-{row}" for shard in range(2) for row in range(5)]
    assert json.dumps([a.path for a in hub.asked]).count("/cdn/dataset/ada/text") >= 2
