"""A Chromium that keeps the code of the pages from one visit to the next."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Page, Playwright

from benchmarks.browser import chromium_options

# One process draws all visits, so that what it has read of the pages' code need not be
# read again: a fifth of what a visit takes.
ONE_RENDERER = ("--renderer-process-limit=1", "--process-per-site")


class KeptProfile:
    """What `visit` asks of a `Browser`, with one profile, in `folder`, for all visits.

    Streamlit's page stays in it, read and compiled, which is 1.0 of the 2.4 s of CPU
    that a visit took. What a page remembers (cookies, storage) goes with its visit.
    """

    def __init__(self, playwright: Playwright, folder: Path) -> None:
        options = chromium_options()
        options["args"] = [*options["args"], *ONE_RENDERER]
        self._context = playwright.chromium.launch_persistent_context(folder, **options)
        # What clears the profile is nobody's page.
        (desk,) = self._context.pages
        self._desk = self._context.new_cdp_session(desk)
        self._is_taken = False

    def new_context(
        self, *, color_scheme: Any, locale: str, viewport: Any
    ) -> "KeptVisit":
        # Two at a time would share what their pages remember.
        assert not self._is_taken, "the visit before is not over"
        self._is_taken = True
        page = self._context.new_page()
        page.emulate_media(color_scheme=color_scheme)
        page.set_viewport_size(viewport)
        # As Playwright does where a context has its language from the start.
        speaks = self._context.new_cdp_session(page)
        agent = page.evaluate("navigator.userAgent")
        speaks.send("Emulation.setLocaleOverride", {"locale": locale})
        speaks.send(
            "Emulation.setUserAgentOverride",
            {"userAgent": agent, "acceptLanguage": locale},
        )
        return KeptVisit(self, page)

    def end_visit(self, origins: set[str]) -> None:
        """Forgets what pages of `origins` have left behind."""
        self._context.set_offline(False)
        for page in self._context.pages[1:]:
            page.close()
        for origin in origins:
            self._desk.send(
                "Storage.clearDataForOrigin", {"origin": origin, "storageTypes": "all"}
            )
        self._is_taken = False

    def close(self) -> None:
        self._context.close()


@dataclass
class KeptVisit:
    """What `visit` asks of a `BrowserContext`."""

    profile: KeptProfile
    page: Page
    origins: set[str] = field(default_factory=set)

    def set_default_timeout(self, timeout: float) -> None:
        self.page.set_default_timeout(timeout)

    def new_page(self) -> Page:
        self.page.on("framenavigated", lambda frame: self._note(frame.url))
        return self.page

    def _note(self, address: str) -> None:
        parts = urlsplit(address)
        if parts.scheme.startswith("http"):
            self.origins.add(f"{parts.scheme}://{parts.netloc}")

    def close(self) -> None:
        self.profile.end_visit(self.origins)
