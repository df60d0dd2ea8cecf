"""Models, texts and SAEs of one's own, by clicking: in, and out again.

One server for all of it, whose hub is the one of `tests/hub`.
"""

import json
import re
import zipfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from playwright.sync_api import Browser, Locator, Page, expect
from tokenizers import Tokenizer

from benchmarks.clicks import (
    LOADED_MS,
    answered,
    button,
    expect_still,
    open_from_home,
    way_to_features,
)
from tests.browser.conftest import Server, start_server, visit
from tests.browser.test_main_job import fill_setting
from tests.builders import D_MODEL, HOOK_NAME, finished_run, index_run, write_model
from tests.hub.conftest import hub_environment
from tests.hub.repos import TUTORIAL_MODEL, tutorial_model
from tests.hub.server import Hub, serving
from tinysae.data.storybook.generator import stories
from tinysae.model.catalogue import pin_of
from tinysae.model.sources import STORYBOOK_DIR
from tinysae.runs.store import list_runs
from tinysae.words import text

TUTORIAL = "tiny-stories-1L-21M"
PICKLE = "pytorch_model.bin"
# Its weights wait here, with as much of them on the way as one look at a bar needs.
PAUSE_AFTER = 4_000_000
# More tokens than the text has, which begins anew then; and so few features that no map
# of them is worth the seconds that UMAP takes to be compiled.
CHANGES = {"training_tokens": 60_000, "d_sae": 64}
# A training or an index, and what a stalled transfer takes to begin.
WAIT_S = 800


class Place(NamedTuple):
    """A server and the hub that it sees."""

    server: Server
    hub: Hub


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("sources")
    with serving(folder / "hub") as hub:
        tutorial_model(hub.folder(TUTORIAL_MODEL))
        environment = hub_environment(hub.url, folder / "hf")
        server = start_server(
            folder / "home", folder / "server.log", environment=environment
        )
        yield Place(server, hub)
        server.stop()


@pytest.fixture(autouse=True)
def home(place: Place, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The server's home is this process's too."""
    monkeypatch.setenv("TINYSAE_HOME", str(place.server.home))
    return place.server.home


def own(page: Page) -> Locator:
    """The page, its sidebar and popovers, without Streamlit's own buttons."""
    return page.locator(
        "[data-testid=stMain], [data-testid=stSidebar], [data-testid=stPopoverBody]"
    )


def said(page: Page, key: str, **values: object) -> Locator:
    return own(page).get_by_text(text(key, "en", **values))


def sees(page: Page, key: str, **values: object) -> None:
    expect(said(page, key, **values).first).to_be_visible(timeout=LOADED_MS)


def press(page: Page, key: str, **values: object) -> None:
    name = text(key, "en", **values)
    own(page).get_by_role("button", name=name, exact=True).click(timeout=LOADED_MS)


def choose(page: Page, key: str) -> None:
    radio = page.get_by_role("radio", name=text(key, "en"), exact=True)
    expect(radio).to_be_visible(timeout=LOADED_MS)
    expect_still(page)
    if not radio.is_checked():
        with answered(page):
            radio.click()
    expect(radio).to_be_checked(timeout=LOADED_MS)


def type_model(page: Page, source: str) -> None:
    box = page.get_by_role("combobox", name=text("models.model", "en"), exact=True)
    expect(box).to_be_visible(timeout=LOADED_MS)
    expect_still(page)
    box.click()
    box.fill(source)
    # Its own entry, or the one that adds what was typed.
    with answered(page):
        page.get_by_role("option", name=source).first.click()


def fill(page: Page, key: str, value: str) -> None:
    field = page.get_by_role("textbox", name=text(key, "en"), exact=True)
    expect(field).to_be_visible(timeout=LOADED_MS)
    expect_still(page)
    field.fill(value)
    with answered(page):
        field.press("Control+Enter" if "\n" in value else "Enter")


def see_tokens(page: Page) -> None:
    strip = page.get_by_role("listbox").get_by_role("option")
    expect(strip.first).to_be_visible(timeout=LOADED_MS)


@pytest.mark.slow
def test_the_tutorials_model_is_trusted_downloaded_stopped_resumed_and_writes(
    place: Place, browser: Browser
) -> None:
    server, hub = place
    weights = hub.folder(TUTORIAL_MODEL) / PICKLE
    with visit(browser) as reader:
        page = reader.page
        open_from_home(page, server.url, "playground")
        see_tokens(page)
        type_model(page, TUTORIAL)
        sees(page, "models.needed")
        press(page, "models.download_size", size=265)
        # It is a pickle: what would be trusted is said to the digit first.
        sees(page, "models.pickle", model=TUTORIAL, repo=TUTORIAL_MODEL)
        box = page.get_by_test_id("stCode").first
        expect(box).to_contain_text(hub.commit(TUTORIAL_MODEL))
        expect(box).to_contain_text(hub.files(weights.parent)[PICKLE].sha256 or "-")
        assert pin_of(TUTORIAL_MODEL) is None
        assert not any(PICKLE in asked.path for asked in hub.asked)

        fault = hub.fault(f"/cdn/model/{TUTORIAL_MODEL}/", pause_after=PAUSE_AFTER)
        press(page, "models.trust")
        assert fault.reached.wait(WAIT_S)
        bar = own(page).get_by_role("progressbar")
        expect(bar).to_be_visible(timeout=LOADED_MS)
        expect(page.get_by_text(re.compile(r"\d of \d+ MB"))).to_be_visible(
            timeout=LOADED_MS
        )
        # The hub says nothing just now, and is not waited for.
        press(page, "models.cancel")
        goes_on = page.get_by_role(
            "button", name=re.compile(r"[1-9] of \d+ MB are here")
        )
        expect(goes_on).to_be_visible(timeout=LOADED_MS)
        fault.go_on.set()
        goes_on.click()
        see_tokens(page)
        asked = [a for a in hub.asked if f"/cdn/model/{TUTORIAL_MODEL}/" in a.path]
        first, second = [each.range for each in asked if each.method == "GET"]
        assert first is None
        assert re.fullmatch(r"bytes=[1-9]\d*-", str(second))

        press(page, "playground.generate")
        written = page.locator(".token.highlighted")
        expect(written.first).to_be_visible(timeout=LOADED_MS)
        expect(button(page, "playground.stop")).to_have_count(0, timeout=LOADED_MS)
        reader.assert_clean()


def test_a_folder_is_a_model_and_a_wrong_name_is_a_sentence(
    place: Place, browser: Browser, tiny_model_dir: Path
) -> None:
    with visit(browser) as reader:
        page = reader.page
        open_from_home(page, place.server.url, "playground")
        see_tokens(page)
        for wrong in ("/no/such/folder", "no name at all"):
            type_model(page, wrong)
            sees(page, "error.model_missing", source=wrong)
        type_model(page, "ada/none")
        press(page, "models.download")
        sees(page, "error.hub_unknown", name="ada/none")
        type_model(page, str(tiny_model_dir))
        expect(said(page, "models.needed")).to_have_count(0, timeout=LOADED_MS)
        see_tokens(page)
        reader.assert_clean()


@pytest.mark.slow
def test_a_file_is_looked_at_and_a_pasted_text_trained_on(
    place: Place, browser: Browser, home: Path, tmp_path: Path
) -> None:
    told = [story.text for story in islice(stories(5), 200)]
    file = tmp_path / "told.jsonl"
    file.write_text("".join(json.dumps({"text": one}) + "\n" for one in told))
    tokenizer = Tokenizer.from_file(str(STORYBOOK_DIR / "tokenizer.json"))
    n_tokens = sum(
        len(tokenizer.encode(one, add_special_tokens=False).ids) for one in told
    )
    with visit(browser) as reader:
        page = reader.page
        open_from_home(page, place.server.url, "train")
        press(page, "train.more")
        choose(page, "texts.kind_local")
        fill(page, "texts.path", "/no/such.jsonl")
        sees(page, "error.text_path_missing", path="/no/such.jsonl")
        expect(button(page, "train.start")).to_be_disabled()

        fill(page, "texts.path", str(file))
        expect(button(page, "train.start")).to_be_enabled(timeout=LOADED_MS)
        press(page, "texts.preview")
        sees(
            page,
            "texts.tokens_counted",
            n=f"{n_tokens:,}",
            train=f"{n_tokens * 9 // 10:,}",
        )
        expect(page.get_by_text(told[0][:80])).to_be_visible()
        packing = page.get_by_role("img", name=text("texts.packing_title", "en"))
        expect(packing).to_be_visible()

        choose(page, "texts.kind_pasted")
        sees(page, "texts.none_yet")
        fill(page, "texts.paste", "\n\n".join(told))
        expect(button(page, "train.start")).to_be_enabled(timeout=LOADED_MS)
        for field, value in CHANGES.items():
            fill_setting(page, field, value)
        expect_still(page)
        before = len(list_runs())
        press(page, "train.start")
        expect(button(page, "train.stop")).to_be_visible(timeout=LOADED_MS)
        # While it trains there is a link to explore what it knows so far.
        expect(button(page, "train.stop")).to_have_count(0, timeout=WAIT_S * 1000)
        explore = way_to_features(page)
        expect(explore).to_be_visible(timeout=LOADED_MS)
        run, *others = list_runs()
        assert len(others) == before
        assert run.status.state == "done"
        assert run.config.dataset_path.startswith("pasted:")
        pasted = home / "texts" / f"{run.config.dataset_path[len('pasted:') :]}.txt"
        assert pasted.read_text(encoding="utf-8") == "\n\n".join(told)
        reader.assert_clean()


def saelens_sae(folder: Path, d_sae: int, model_name: str = "tiny") -> Any:
    """An SAE as SAELens makes and saves it."""
    from sae_lens import StandardSAE, StandardSAEConfig

    sae = StandardSAE(StandardSAEConfig(d_in=D_MODEL, d_sae=d_sae))
    sae.cfg.metadata.hook_name, sae.cfg.metadata.model_name = HOOK_NAME, model_name
    sae.save_model(folder)
    return sae


def open_form(page: Page) -> Locator:
    """The form to open a zip; there is another file field on the page."""
    more = page.get_by_role("button", name=text("common.more", "en"))
    expect(more).to_be_visible(timeout=LOADED_MS)
    expect_still(page)
    more.click()
    choose(page, "saes.from_zip")
    form = page.get_by_test_id("stForm")
    expect(form.get_by_text(text("saes.zip", "en"))).to_be_visible(timeout=LOADED_MS)
    return form


def hand_in(form: Locator, file: Path) -> None:
    form.locator("input[type=file]").set_input_files(file)
    expect(form.get_by_text(file.name)).to_be_visible(timeout=LOADED_MS)
    # What is still on its way would not go with the form.
    expect(form.get_by_role("progressbar")).to_have_count(0, timeout=LOADED_MS)
    form.get_by_role("button", name=text("features.open_sae_now", "en")).click()


@pytest.mark.slow
def test_a_zip_that_saelens_saved_opens_and_one_that_leads_out_does_not(
    place: Place,
    browser: Browser,
    home: Path,
    tmp_path: Path,
    tiny_model_dir: Path,
    short_text: Path,
) -> None:
    saelens_sae(tmp_path / "mine", d_sae=48, model_name=str(tiny_model_dir))
    with zipfile.ZipFile(tmp_path / "mine.zip", "w") as archive:
        for path in (tmp_path / "mine").iterdir():
            archive.write(path, f"mine/{path.name}")
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as archive:
        archive.writestr("../../evil", "x")
    with visit(browser) as reader:
        page = reader.page
        open_from_home(page, place.server.url, "features")
        hand_in(open_form(page), tmp_path / "evil.zip")
        # In the popover, which stands over the page.
        evil = page.get_by_text(text("error.zip_leads_out", "en", name="../../evil"))
        expect(evil).to_be_visible(timeout=LOADED_MS)
        assert not [p for p in (home / "saes").glob("*") if p.is_dir()]
        assert not list(tmp_path.parent.rglob("evil"))

        page.reload()
        hand_in(open_form(page), tmp_path / "mine.zip")
        collect = button(page, "features.collect")
        expect(collect).to_be_visible(timeout=LOADED_MS)
        choose(page, "texts.kind_local")
        fill(page, "texts.path", str(short_text))
        expect(collect).to_be_enabled(timeout=LOADED_MS)
        collect.click()
        cards = page.locator(".card")
        expect(cards.first).to_be_visible(timeout=WAIT_S * 1000)
        assert (home / "saes" / "mine" / "cfg.json").is_file()
        reader.assert_clean()


def test_an_sae_is_taken_along_as_saelens_reads_it_and_an_upload_shown_first(
    place: Place, browser: Browser, tmp_path: Path
) -> None:
    from sae_lens import SAE

    run = finished_run(write_model(tmp_path / "model"), with_features=False)
    saved = saelens_sae(run.sae_dir, d_sae=40)
    index_run(run)
    n_asked = len(place.hub.asked)
    with visit(browser) as reader:
        page = reader.page
        page.goto(f"{place.server.url}/train?run={run.id}")
        page.get_by_text(text("saes.share", "en"), exact=True).click(timeout=LOADED_MS)
        with page.expect_download(timeout=LOADED_MS) as coming:
            press(page, "saes.zip_out")
        with zipfile.ZipFile(coming.value.path()) as archive:
            archive.extractall(tmp_path / "taken")
        (folder,) = (tmp_path / "taken").iterdir()
        loaded = SAE.load_from_disk(folder)
        assert loaded.cfg.to_dict() == saved.cfg.to_dict()
        weights = loaded.state_dict()
        assert weights.keys() == saved.state_dict().keys()
        for name, tensor in saved.state_dict().items():
            assert np.array_equal(tensor.numpy(), weights[name].numpy())
        assert loaded.cfg.metadata.hook_name == HOOK_NAME

        fill(page, "saes.repo", "not a name")
        sees(page, "error.repo_name", repo="not a name")
        fill(page, "saes.repo", "reader/mine")
        sees(page, "saes.discard")
        # The table is a canvas with a copy for screen readers.
        cells = page.get_by_test_id("stDataFrame").locator("td")
        inside = ("cfg.json", "sae_weights.safetensors", "dashboard.html")
        for name in ("README.md", *(f"{HOOK_NAME}/{name}" for name in inside)):
            expect(cells.filter(has_text=name)).to_have_count(1)
        page.get_by_text(text("saes.card", "en"), exact=True).click()
        card = page.get_by_test_id("stCode").filter(has_text="library_name: saelens")
        expect(card).to_contain_text("SAE.from_pretrained")
        expect(card).to_contain_text("reader/mine")
        expect(button(page, "saes.send")).to_be_disabled()
        sees(page, "error.repo_no_token")
        press(page, "saes.discard")
        expect(card).to_have_count(0, timeout=LOADED_MS)
        assert len(place.hub.asked) == n_asked
        assert not reader.outside
        assert not reader.errors
