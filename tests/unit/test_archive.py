"""An SAE as a zip: it comes back byte for byte, and a hostile one writes nothing."""

import io
import json
import os
import stat
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tests.builders import write_sae
from tinysae.errors import InputError, TinysaeError
from tinysae.library import archive
from tinysae.library.archive import write_zip
from tinysae.library.imports import import_zip, import_zip_at
from tinysae.library.saved import saes_dir, saved_saes

pytestmark = pytest.mark.usefixtures("tiny_home")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = write_sae(tmp_path / "elsewhere" / "mine")
    save_file({"sparsity": torch.zeros(40)}, path / "sparsity.safetensors")
    (path / "runner_cfg.json").write_text("{}")
    return path


# In a zip's list of files, of a stored one that is empty: 20 is the version.
ENTRY_OF_A = (b"PK\1\2", 20, 0, 20, 0, 0, 0, 0, 33, *(0, 0, 0), 1, *(0,) * 6)


def zipped(files: dict[str, bytes]) -> io.BytesIO:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        for name, data in files.items():
            made.writestr(name, data)
    return out


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def refused(file: io.BytesIO, key: str) -> None:
    with pytest.raises(TinysaeError) as caught:
        import_zip(file, "evil.zip")
    assert caught.value.key == f"error.{key}"
    # Neither an SAE nor a part of one, nor a hidden folder.
    assert not saes_dir().exists() or not list(saes_dir().iterdir())


def test_a_zip_comes_back_byte_for_byte(folder: Path, tmp_path: Path) -> None:
    once, again = io.BytesIO(), io.BytesIO()
    write_zip(folder, once, "mine", card="# Mine")
    write_zip(folder, again, "mine", card="# Mine")
    assert once.getvalue() == again.getvalue()
    names = zipfile.ZipFile(once).namelist()
    assert names[0] == "mine/README.md"
    saved = import_zip(once, "../my sae!.zip")
    assert saved.directory == saes_dir() / "my-sae"
    assert contents(saved.directory) == contents(folder)
    # The same weights are the same SAE, from wherever they come.
    (tmp_path / "b.zip").write_bytes(once.getvalue())
    assert import_zip_at(str(tmp_path / "b.zip")).id == saved.id
    assert len(saved_saes()) == 1
    write_sae(folder, seed=1)
    other = io.BytesIO()
    write_zip(folder, other, "mine")
    assert import_zip(other, "my sae.zip").directory.name == "my-sae-2"


def test_only_the_four_files_are_taken(folder: Path) -> None:
    files = {f"a/b/{name}": data for name, data in contents(folder).items()}
    extra = {"a/b/trainer_state.pt": b"x", "a/evil.py": b"x", "a/b/cfg.json.bak": b"x"}
    saved = import_zip(zipped({**files, **extra}), "x.zip")
    assert set(contents(saved.directory)) == set(contents(folder))


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("../../outside/cfg.json", "zip_leads_out"),
        ("/etc/cfg.json", "zip_leads_out"),
        ("a\\..\\cfg.json", "zip_leads_out"),
        ("C:/cfg.json", "zip_leads_out"),
    ],
)
def test_a_name_that_leads_out_is_refused(folder: Path, name: str, key: str) -> None:
    refused(zipped({**contents(folder), name: b"{}"}), key)


def test_a_link_is_refused(folder: Path) -> None:
    file = zipped(contents(folder))
    with zipfile.ZipFile(file, "a") as made:
        link = zipfile.ZipInfo("sub/sparsity.safetensors")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        made.writestr(link, "/etc/passwd")
    refused(file, "zip_link")


def test_a_bomb_is_refused_before_it_is_unpacked(folder: Path) -> None:
    files = contents(folder) | {"sae_weights.safetensors": bytes(50_000_000)}
    file = zipped(files)
    assert len(file.getvalue()) < 1_000_000
    refused(file, "zip_bomb")


@pytest.mark.parametrize("is_large", [False, True])
def test_a_list_of_files_longer_than_any_saes_is_not_read(is_large: bool) -> None:
    """zipfile makes an object of each entry before anybody can count them: 70 MB of
    list took 9 s and 560 MB."""
    entry = struct.pack("<4s4B4H3L5H2L", *ENTRY_OF_A) + b"a"
    entries = entry * (30_000 if is_large else 1_500)
    n = min(len(entries) // len(entry), 0xFFFF)
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, n, n, len(entries), 0, 0)
    refused(io.BytesIO(entries + end), "zip_damaged" if is_large else "zip_too_many")


def test_a_file_larger_than_any_sae_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "LIMITS", {**archive.LIMITS, "cfg.json": 10})
    refused(zipped(contents(folder)), "zip_too_large")


def _twice(files: dict[str, bytes]) -> io.BytesIO:
    file = zipped(files)
    with (
        zipfile.ZipFile(file, "a") as made,
        pytest.warns(UserWarning, match="Duplicate"),
    ):
        made.writestr("cfg.json", b"{}")
    return file


def _torn(files: dict[str, bytes]) -> io.BytesIO:
    whole = zipped(files).getvalue()
    return io.BytesIO(whole[: len(whole) // 2])


def _flipped(files: dict[str, bytes]) -> io.BytesIO:
    """One byte of the weights is another: the zip's own checksum says so."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        for name, data in files.items():
            made.writestr(name, data)
    data = bytearray(out.getvalue())
    data[data.index(files["sae_weights.safetensors"]) + 3000] ^= 1
    return io.BytesIO(data)


@pytest.mark.parametrize(
    ("made", "key"),
    [
        (_twice, "zip_twice"),
        (_torn, "zip_damaged"),
        (_flipped, "zip_damaged"),
        (lambda _: io.BytesIO(b"no zip"), "zip_damaged"),
        (lambda _: zipped({"a.txt": b""}), "zip_no_sae"),
        (lambda f: zipped({"cfg.json": f["cfg.json"]}), "zip_no_sae"),
        (lambda f: zipped({f"{i}.txt": b"" for i in range(1001)} | f), "zip_too_many"),
        (
            lambda f: zipped({f"{a}/{n}": d for a in "xy" for n, d in f.items()}),
            "zip_many_saes",
        ),
        (
            lambda f: zipped(
                f | {"sae_weights.safetensors": f["sae_weights.safetensors"][:-9]}
            ),
            "import_damaged",
        ),
        (lambda f: zipped(f | {"sparsity.safetensors": b"gone"}), "import_damaged"),
        (lambda f: zipped(f | {"cfg.json": b"[" * 100_000}), "import_damaged"),
        (lambda f: zipped(f | {"cfg.json": b'{"d_in": 1e999}'}), "import_damaged"),
    ],
)
def test_what_is_no_sae_is_refused_and_leaves_nothing(
    folder: Path, made: Callable[[dict[str, bytes]], io.BytesIO], key: str
) -> None:
    refused(made(contents(folder)), key)


def test_an_endless_width_is_a_sentence(folder: Path) -> None:
    cfg = json.loads((folder / "cfg.json").read_text())
    text = json.dumps({**cfg, "d_in": float("inf")})
    refused(zipped(contents(folder) | {"cfg.json": text.encode()}), "import_damaged")


def test_a_path_that_is_no_file_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(TinysaeError) as caught:
        import_zip_at(str(tmp_path / "none.zip"))
    assert caught.value.key == "error.zip_missing"
    with pytest.raises(InputError):
        import_zip_at("a\0b.zip")


def test_only_what_a_killed_import_left_is_cleared_away(folder: Path) -> None:
    out = io.BytesIO()
    write_zip(folder, out, "mine", card="# Mine")
    others, left, fresh = (
        saes_dir() / name for name in (".git", ".import-mine.abc", ".import-mine.def")
    )
    for place in (others, left, fresh):
        place.mkdir(parents=True)
        (place / "file").write_text("x")
    for place in (others, left):
        os.utime(place, (0, 0))
    import_zip(out, "mine.zip")
    found = {path.name for path in saes_dir().iterdir()}
    assert found == {"mine", others.name, fresh.name}
    assert (others / "file").is_file()


def test_an_entry_without_a_name_is_a_damaged_zip():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        made.writestr(zipfile.ZipInfo(""), b"x")
    with pytest.raises(InputError) as caught:
        import_zip(out, "a.zip")
    assert caught.value.key == "error.zip_damaged"


@pytest.mark.parametrize("kind", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_zip_that_no_exporter_packs_so_is_refused(kind: int):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", kind) as made:
        made.writestr("a/cfg.json", b"{}")
        made.writestr("a/sae_weights.safetensors", b"x")
    # Damaged inside, one of them says so with an OSError, as a full disk does.
    with pytest.raises(InputError) as caught:
        import_zip(out, "a.zip")
    assert caught.value.key == "error.zip_damaged"
