"""What may go wrong on a first day: each is a plain sentence, or simply works."""

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from benchmarks.clicks import LOADED_MS, expect_feature, expect_still, write
from tests.browser.conftest import ROOT, Server, Visit, start_server, visit
from tinysae.words import LANGUAGES, Language, text

# What `streamlit run app.py` needs of a checkout.
APP = ("app.py", "pages", "static", "tinysae", ".streamlit")
ASSETS = Path("tinysae", "embedded", "assets")
READERS_AT_ONCE = 8
WITHOUT_STORAGE = """
for (const name of ["localStorage", "sessionStorage", "indexedDB"]) {
  Object.defineProperty(window, name, {
    get() { throw new DOMException("denied", "SecurityError"); },
  });
}
"""


@contextmanager
def running(home: Path, log: Path, root: Path = ROOT) -> Iterator[Server]:
    """A cold server, which is stopped at the end."""
    server = start_server(home, log, root=root)
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the app, in a folder called as people call theirs."""
    root = tmp_path_factory.mktemp("bad-days") / "내 책 folder" / "tinysae"
    root.mkdir(parents=True)
    for name in APP:
        if (ROOT / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, root / name, ignore=ignored)
        else:
            shutil.copy(ROOT / name, root / name)
    return root


@pytest.fixture(scope="module")
def copy(checkout: Path) -> Iterator[Server]:
    """A server of `checkout`, its home beside it."""
    with running(checkout.parent / "집", checkout.parent / "log", checkout) as server:
        yield server


@contextmanager
def damaged(checkout: Path, file: str, *, is_there: bool = True) -> Iterator[None]:
    """Half of an asset of `checkout`, or nothing of it, until the end."""
    path = checkout / ASSETS / file
    whole = path.read_bytes()
    # Another file, rather than less of this one: a server may have mapped it.
    path.unlink()
    if is_there:
        path.write_bytes(whole[: len(whole) // 2])
    # What a server knows of the index and its SAE, it knows until this changes.
    (checkout / ASSETS / "storybook-features" / "index.json").touch()
    try:
        yield
    finally:
        path.write_bytes(whole)


def open_page(page: Page, server: Server, name: str, query: str = "") -> None:
    path = "" if name == "home" else name
    page.goto(f"{server.url}/{path}?{query}")
    heading = page.get_by_role("heading", level=1)
    expect(heading.first).to_be_visible(timeout=LOADED_MS)


def awaited(page: Page, name: str) -> Locator:
    """What is there once the page does what it is for."""
    main = page.get_by_test_id("stMain")
    return {
        "home": main.locator(".tokens .token"),
        "playground": main.get_by_role("option"),
        "train": main.get_by_role("button", name=text("train.start", "en")),
        "features": main.locator(".card"),
    }[name].first


def expect_works(reader: Visit, server: Server, *names: str) -> None:
    for name in names:
        open_page(reader.page, server, name)
        expect(awaited(reader.page, name)).to_be_visible(timeout=LOADED_MS)
        alert = reader.page.get_by_test_id("stAlert")
        expect(alert).to_have_count(0, timeout=LOADED_MS)
        expect_no_traceback(reader)


def expect_said(reader: Visit, sentence: str) -> None:
    """The page says it, once and to the letter, so that a command can be copied."""
    alert = reader.page.get_by_test_id("stAlert")
    expect(alert).to_have_text([sentence], timeout=LOADED_MS)
    expect_no_traceback(reader)


def expect_no_traceback(reader: Visit) -> None:
    expect(reader.page.get_by_test_id("stException")).to_have_count(0)
    expect(reader.page.locator("body")).not_to_contain_text("Traceback")
    reader.assert_clean()


def press_start(page: Page, server: Server, language: Language) -> None:
    open_page(page, server, "train", f"lang={language}")
    expect_still(page)
    label = text("train.start", language)
    page.get_by_role("button", name=label, exact=True).click(timeout=LOADED_MS)


def unwritable(home: Path, reason: int, language: Language) -> str:
    values = {"path": str(home), "reason": os.strerror(reason)}
    key = "home_full" if reason == errno.ENOSPC else "home_unwritable"
    return text(f"error.{key}", language, **values)


@pytest.mark.slow
def test_a_home_that_cannot_be_written_is_said_at_start(
    tmp_path: Path, browser: Browser
) -> None:
    # Root may write everywhere, but not below a file.
    (tmp_path / "file").touch()
    home = tmp_path / "file" / "home"
    with running(home, tmp_path / "log") as server, visit(browser) as reader:
        expect_works(reader, server, "home", "train")
        for language in LANGUAGES:
            press_start(reader.page, server, language)
            expect_said(reader, unwritable(home, errno.ENOTDIR, language))


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk without a free byte."""
    place = tmp_path / "disk"
    place.mkdir()
    if sys.platform != "linux" or os.geteuid() != 0 or not shutil.which("mount"):
        pytest.skip("only root of a Linux may mount a disk to fill")
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)]
    mounted = subprocess.run(command, capture_output=True, text=True)
    if mounted.returncode != 0:
        pytest.skip(f"no disk can be mounted here: {mounted.stderr.strip()}")
    try:
        (place / "filler").write_bytes(bytes(shutil.disk_usage(place).free))
        assert shutil.disk_usage(place).free == 0
        yield place
    finally:
        # Lazily: a worker that should not be there would keep it busy.
        subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.mark.slow
def test_a_full_disk_is_said_at_start(
    tmp_path: Path, browser: Browser, full_disk: Path
) -> None:
    with running(full_disk, tmp_path / "log") as server, visit(browser) as reader:
        press_start(reader.page, server, "en")
        expect_said(reader, unwritable(full_disk, errno.ENOSPC, "en"))
        expect_works(reader, server, "train")


@pytest.mark.slow
def test_a_path_with_spaces_and_korean_letters_is_a_path(
    copy: Server, browser: Browser
) -> None:
    with visit(browser) as reader:
        expect_works(reader, copy, "home", "playground")
        write(reader.page)
        expect_no_traceback(reader)


def embedded(key: str, folder: Path) -> str:
    return text(f"error.{key}", "en", path=str(folder))


@pytest.mark.slow
def test_without_the_model_pages_that_need_it_say_so_until_it_is_back(
    checkout: Path, tmp_path: Path, browser: Browser
) -> None:
    said = embedded("storybook_damaged", checkout / ASSETS / "storybook")
    with (
        running(tmp_path / "home", tmp_path / "log", checkout) as cold,
        visit(browser) as reader,
    ):
        with damaged(checkout, "storybook/model.safetensors"):
            for name in ("home", "playground", "train"):
                open_page(reader.page, cold, name)
                expect_said(reader, said)
            expect(awaited(reader.page, "train")).to_be_disabled(timeout=LOADED_MS)
            expect_works(reader, cold, "features")
        expect_works(reader, cold, "playground", "train")
        expect(awaited(reader.page, "train")).to_be_enabled(timeout=LOADED_MS)


@pytest.mark.slow
def test_without_its_showcase_home_says_so_and_the_rest_works(
    checkout: Path, copy: Server, browser: Browser
) -> None:
    file = "storybook-features/showcase.json"
    with damaged(checkout, file, is_there=False), visit(browser) as reader:
        open_page(reader.page, copy, "home")
        expect_said(reader, embedded("features_embedded", checkout / ASSETS))
        expect_works(reader, copy, "train", "features")


@pytest.mark.slow
def test_without_the_index_features_says_so_and_the_rest_works(
    checkout: Path, copy: Server, browser: Browser
) -> None:
    file = "storybook-features/features.parquet"
    with damaged(checkout, file), visit(browser) as reader:
        for query in ("", "run=storybook&feature=4"):
            open_page(reader.page, copy, "features", query)
            expect_said(reader, embedded("features_embedded", checkout / ASSETS))
        # Home says it where a word's features would stand, beside its story.
        open_page(reader.page, copy, "home")
        expect_said(reader, embedded("features_embedded", checkout / ASSETS))
        expect(awaited(reader.page, "home")).to_be_visible(timeout=LOADED_MS)
        expect_works(reader, copy, "train")


@pytest.mark.slow
def test_without_the_sae_features_and_a_token_say_so_and_stories_go_on(
    checkout: Path, copy: Server, browser: Browser
) -> None:
    said = embedded("features_embedded", checkout / ASSETS)
    file = "storybook-sae/sae_weights.safetensors"
    with damaged(checkout, file), visit(browser) as reader:
        for name in ("features", "home"):
            open_page(reader.page, copy, name)
            expect_said(reader, said)
        expect_works(reader, copy, "train")
        # Where the features of a word would stand; stories are written all the same.
        open_page(reader.page, copy, "playground")
        expect_said(reader, said)
        write(reader.page)
        expect_said(reader, said)


@pytest.mark.slow
def test_without_storage_in_the_browser_the_pages_work(
    copy: Server, browser: Browser
) -> None:
    with visit(browser) as reader:
        page = reader.page
        page.add_init_script(WITHOUT_STORAGE)
        expect_works(reader, copy, "home", "playground")
        with pytest.raises(Exception, match="SecurityError"):
            page.evaluate("localStorage")
        write(page)
        open_page(page, copy, "features", "run=storybook&feature=4")
        expect_feature(page, 4)
        expect(page.get_by_role("listbox").first).to_be_visible(timeout=LOADED_MS)
        expect_no_traceback(reader)


@pytest.mark.slow
def test_many_browsers_at_once_on_a_cold_server_all_get_the_model(
    tmp_path: Path, new_browser: Browser
) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(running(tmp_path / "home", tmp_path / "log"))
        readers = [
            stack.enter_context(visit(new_browser)) for _ in range(READERS_AT_ONCE)
        ]
        for reader in readers:
            # Nobody waits for the one before.
            reader.page.goto(server.url, wait_until="commit")
        for reader in readers:
            title = reader.page.get_by_role("heading", level=1)
            expect(title).to_have_text(text("home.title", "en"), timeout=LOADED_MS)
        for reader in readers:
            main = reader.page.get_by_test_id("stMain")
            ready = main.get_by_text(text("home.model_ready", "en"))
            expect(ready).to_be_visible(timeout=LOADED_MS)
            expect_no_traceback(reader)
