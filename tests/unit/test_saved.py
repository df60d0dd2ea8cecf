"""SAEs from elsewhere: found, remembered, indexed as a run's is, or refused."""

import json
import shutil
from pathlib import Path

import pytest

from tests.builders import HOOK_NAME, write_sae
from tinysae import __main__
from tinysae.errors import DamagedError, InputError, MissingError
from tinysae.jobs.reporter import Reporter
from tinysae.library.feature_source import feature_source, feature_sources
from tinysae.library.saved import add_sae, saes_dir, saved_sae, saved_saes
from tinysae.model.sources import STORYBOOK
from tinysae.sae.from_saelens import convert_folder
from tinysae.sae.load import load_sae
from tinysae.worker import finish, life, load


@pytest.fixture(autouse=True)
def _in_this_process(monkeypatch: pytest.MonkeyPatch, tiny_home: Path) -> None:
    assert tiny_home.is_dir()
    monkeypatch.setattr(load, "be_nice", lambda: None)
    monkeypatch.setattr(finish, "INDEX_TOKENS", 4096)


@pytest.fixture
def folder(tmp_path: Path, tiny_model_dir: Path) -> Path:
    metadata = {"hook_name": HOOK_NAME, "model_name": str(tiny_model_dir)}
    return write_sae(tmp_path / "elsewhere" / "my sae", metadata=metadata)


def test_a_folder_that_was_added_is_there_from_then_on(folder: Path) -> None:
    before = sorted(folder.iterdir())
    added = add_sae(f" {folder} ")
    assert saved_saes() == [added]
    assert saved_sae(added.id) == added
    assert added.title == "my sae"
    assert added.status.state == "stopped"
    source = feature_source(added.id)
    assert (source.name, source.readiness) == ("my sae", "no_index")
    assert source.is_saved
    assert source in feature_sources()
    assert sorted(folder.iterdir()) == before


def test_a_folder_under_saes_needs_no_adding(folder: Path) -> None:
    shutil.copytree(folder, saes_dir() / "mine")
    (saes_dir() / "no SAE").mkdir()
    (found,) = saved_saes()
    assert found.title == "mine"
    # The same weights are the same SAE, wherever else they lie.
    assert add_sae(str(folder)).id == found.id
    assert len(saved_saes()) == 1


def test_it_is_read_with_the_model_it_names_if_that_is_here(
    folder: Path, tmp_path: Path, tiny_model_dir: Path
) -> None:
    assert add_sae(str(folder)).model_name == str(tiny_model_dir)
    assert add_sae(str(folder), "storybook").model_name == STORYBOOK
    metadata = {"hook_name": HOOK_NAME, "model_name": "somebody/far-away"}
    other = write_sae(tmp_path / "other", seed=1, metadata=metadata)
    assert add_sae(str(other)).model_name == STORYBOOK


def test_the_command_line_indexes_and_searches_it(
    folder: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert __main__.main(["index", str(folder)]) == 0
    source = feature_source(add_sae(str(folder)).id)
    assert source.readiness == "ready"
    index = source.open()
    assert index.info.d_sae == 40
    assert index.info.context_size == 64
    capsys.readouterr()
    text = index.feature(1).promoted["raw"][0].text
    assert __main__.main(["search", source.id, "--raises", text]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("token ")
    assert __main__.main(["search", str(folder), "--text", "Once upon"]) == 0
    assert "features on 3 tokens" in capsys.readouterr().out
    out = tmp_path / "x.html"
    assert __main__.main(["export", source.id, "1", "5", "--out", str(out)]) == 0
    assert 'id="f5"' in out.read_text(encoding="utf-8")
    nowhere = str(tmp_path / "none" / "x.html")
    assert __main__.main(["export", source.id, "1", "--out", nowhere]) == 1


def test_a_stop_leaves_no_index_and_can_be_gone_on_from(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    added = add_sae(str(folder))
    # As if the button had been pressed in the middle.
    begin = Reporter.begin
    monkeypatch.setattr(
        Reporter,
        "begin",
        lambda self, *args: (begin(self, *args), added.request_stop()),
    )
    life.index_saved(added)
    assert added.status.state == "stopped"
    assert feature_source(added.id).readiness == "no_index"
    monkeypatch.undo()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"d_in": 8}, "'d_in': 8"),
        ({"metadata": {"hook_name": "blocks.7.hook_x", "model_name": ""}}, "blocks.7"),
    ],
)
def test_what_does_not_fit_the_model_is_a_sentence(
    tmp_path: Path,
    tiny_model_dir: Path,
    changes: dict[str, object],
    said: str,
) -> None:
    folder = write_sae(tmp_path / "narrow", **changes)  # pyright: ignore[reportArgumentType]
    added = add_sae(str(folder), str(tiny_model_dir))
    life.index_saved(added)
    status = added.status
    assert status.state == "failed"
    assert status.error in ("error.features_width", "error.features_no_hook")
    assert said in str(status.error_values)


@pytest.mark.parametrize("path", ["", "  ", "x" * 5000, "a\0b"])
def test_what_is_no_path_is_refused(path: str) -> None:
    with pytest.raises(InputError, match=r"cfg\.json"):
        add_sae(path)


def test_what_is_no_sae_is_refused(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(MissingError):
        add_sae(str(tmp_path / "none"))
    (folder / "cfg.json").write_text("{", encoding="utf-8")
    with pytest.raises(DamagedError):
        add_sae(str(folder))
    assert saved_saes() == []


def test_a_moved_folder_is_a_sentence(folder: Path) -> None:
    added = add_sae(str(folder))
    shutil.rmtree(folder)
    assert saved_saes() == []
    with pytest.raises(MissingError, match="not on this machine"):
        feature_source(added.id)


@pytest.mark.parametrize("source", [b"{", b"[]", b'{"path": 3}', b"\xff"])
def test_a_damaged_entry_is_left_out(folder: Path, source: bytes) -> None:
    added = add_sae(str(folder))
    (added.path / "source.json").write_bytes(source)
    assert saved_saes() == []


def test_weights_that_changed_are_another_sae(folder: Path) -> None:
    first = add_sae(str(folder))
    write_sae(folder, seed=1, metadata=json.loads((folder / "cfg.json").read_text()))
    (now,) = saved_saes()
    assert now.id != first.id


def test_an_sae_of_an_older_saelens_is_read_as_saelens_reads_it(
    folder: Path, tmp_path: Path
) -> None:
    before = load_sae(folder)
    # As SAELens wrote it before its version 6.
    old = {"hook_point": HOOK_NAME, "d_in": 32, "d_sae": 40, "dtype": "torch.float32"}
    (folder / "cfg.json").write_text(json.dumps({**old, "model_name": "gpt2-small"}))
    with pytest.raises(DamagedError):
        load_sae(folder)
    convert_folder(folder, tmp_path / "out")
    after = load_sae(tmp_path / "out")
    assert (after.hook_name, after.model_name) == (HOOK_NAME, "gpt2-small")
    # What its old settings said by default.
    assert after.apply_b_dec_to_input
    for name in ("W_enc", "b_enc", "W_dec", "b_dec"):
        assert getattr(after, name).equal(getattr(before, name))
