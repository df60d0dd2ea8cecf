"""Print the path of a Chromium for the browser tests; install one if there is none.

In this order: `$CHROMIUM`, one on the PATH, Playwright's own, Debian's (as root with
apt), a new one of Playwright's.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

# Debian's without windows first: the same pages cost it a fifth less.
SHELL = "chromium-headless-shell"
NAMES = (
    SHELL,
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
)
MAC = Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome")


def on_path() -> str | None:
    """A Chromium or Chrome that is installed, or None."""
    for name in NAMES:
        if found := shutil.which(name):
            return found
    return str(MAC) if MAC.is_file() else None


def playwrights_own() -> str | None:
    """The Chromium that Playwright has downloaded before, or None."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if Path(path).is_file() else None


def run(*command: str) -> bool:
    """Whether `command` succeeded; what it prints goes to stderr."""
    try:
        return subprocess.run(command, stdout=sys.stderr).returncode == 0
    except OSError:
        return False


def from_apt() -> str | None:
    """Debian's Chromium, with a font that has Korean letters; None without apt."""
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return None
    os.environ["DEBIAN_FRONTEND"] = "noninteractive"
    run("apt-get", "update")
    install = ("apt-get", "install", "-y", "fonts-noto-cjk")
    # Where a release has no such package, the whole browser.
    _ = run(*install, SHELL) or run(*install, "chromium")
    return on_path()


def downloaded() -> str | None:
    """Playwright's Chromium after a download, or None."""
    run(sys.executable, "-m", "playwright", "install", "chromium")
    return playwrights_own()


def main() -> int:
    """Print the path; exit status 1 with a hint when there is none."""
    if given := os.environ.get("CHROMIUM"):
        if not shutil.which(given):
            print(f"$CHROMIUM is not a program: {given}", file=sys.stderr)
            return 1
        print(given)
        return 0
    for find in (on_path, playwrights_own, from_apt, downloaded):
        if path := find():
            print(path)
            return 0
    print(
        "The browser tests need Chromium: install it, or set CHROMIUM=/path/to/it.",
        file=sys.stderr,
    )
    return 1


if __name__ == "__main__":
    sys.exit(main())
