"""The hub of the tests, and Python processes that see it instead of the real one.

huggingface_hub and datasets read `HF_ENDPOINT` and the cache's place when they are
imported: what is driven against the hub runs in a process of its own (`child`).
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants

from tests.hub.server import Hub, serving

ROOT = Path(__file__).parents[2]
# Also of a machine on which everybody tests at once.
CHILD_S = 600

Child = Callable[..., Any]


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    """An empty hub on 127.0.0.1."""
    with serving(tmp_path / "hub") as running:
        yield running


def hub_environment(url: str, hf_home: Path, **more: str) -> dict[str, str]:
    """The environment of a process whose hub is at `url`, without anybody's token."""
    clean = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("HF_", "HUGGING_FACE", "HUGGINGFACE", "TRANSFORMERS_"))
    }
    return {
        **clean,
        "HF_ENDPOINT": url,
        "HF_HOME": str(hf_home),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        # The package is run from its checkout.
        "PYTHONPATH": str(ROOT),
        **more,
    }


@pytest.fixture
def hub_env(hub: Hub, tmp_path: Path) -> dict[str, str]:
    """The environment for processes of this test: a cache and a home of its own."""
    return hub_environment(
        hub.url, tmp_path / "hf", TINYSAE_HOME=str(tmp_path / "home")
    )


@pytest.fixture
def sees_hub(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """This process, and what it starts, see the hub and a cache of their own."""
    cache = tmp_path / "hf"
    for name, value in hub_environment(hub.url, cache).items():
        monkeypatch.setenv(name, value)
    for name in ("HF_TOKEN", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache / "hub"))


@pytest.fixture
def child(hub_env: dict[str, str]) -> Child:
    """`child(code, *arguments, **environment)`: the JSON that the code prints last.

    The arguments are in its `sys.argv[1:]`.
    """

    def run(code: str, *arguments: object, **environment: str) -> Any:
        done = subprocess.run(
            [sys.executable, "-c", code, *map(str, arguments)],
            env={**hub_env, **environment},
            capture_output=True,
            text=True,
            timeout=CHILD_S,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    return run
