"""Who may ask the server, by the headers that a browser sends and no page can forge."""

from typing import Any

import pytest
from streamlit import config

from tinysae.ui.shell.guard import is_allowed

HERE = ("127.0.0.1", 50_000)


def asked(
    kind: str = "websocket",
    *,
    host: str | None = "localhost:8501",
    origin: str | None = None,
    client: Any = HERE,
    method: str = "GET",
) -> bool:
    given = {b"host": host, b"origin": origin}
    headers = [(key, value.encode()) for key, value in given.items() if value]
    return is_allowed(
        {"type": kind, "method": method, "headers": headers, "client": client}
    )


@pytest.fixture
def configured(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """What the configuration says of names and pages, to be changed."""
    names = ("server.allowedHosts", "server.corsAllowedOrigins")
    options = {name: list(config.get_option(name)) for name in names}
    monkeypatch.setattr(config, "get_option", options.__getitem__)
    return options


def test_the_apps_own_page_may_open_the_websocket():
    assert asked(origin="http://localhost:8501")
    assert asked(host="[::1]:8501", origin="http://[::1]:8501")


@pytest.mark.parametrize(
    "origin",
    [
        "http://localhost:8502",
        "http://localhost",
        "http://127.0.0.1:8501",
        "http://localhost:8501.evil.example",
        "http://evil.example",
        "null",
        "http://[",
        "",
        None,
    ],
)
def test_no_other_page_and_no_client_without_origin_opens_the_websocket(origin):
    assert not asked(origin=origin)


def test_a_visit_has_no_origin_and_what_changes_something_needs_one():
    assert asked("http")
    assert not asked("http", method="PUT")
    assert not asked("http", method="PUT", origin="http://localhost:8502")
    assert asked("http", method="PUT", origin="http://localhost:8501")


@pytest.mark.parametrize("client", ["127.0.0.1", "::1", "::ffff:127.0.0.1"])
def test_this_machine_is_known_by_each_of_its_own_addresses(client: str):
    assert asked(origin="http://localhost:8501", client=(client, 50_000))
    assert not asked(origin="http://localhost:8501", client=("::ffff:192.0.2.7", 4))


@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_a_name_that_somebody_made_mean_this_machine_is_not_answered(kind: str):
    for host in ("evil.example:8501", "localhost.evil.example", "me@localhost", None):
        assert not asked(kind, host=host, origin=f"http://{host}")
    assert not asked("http", host="evil.example:8501")
    assert not asked("http", host=None)


def test_another_machine_cannot_mean_this_ones_loopback_address(
    configured: dict[str, list[str]],
):
    configured["server.allowedHosts"] = ["*"]
    elsewhere = ("192.0.2.7", 4)
    assert not asked("http", client=elsewhere)
    for host in ("localhost.:8501", "LocalHost", "127.0.0.1.", "[::1]:8501"):
        assert not asked("http", client=elsewhere, host=host)
    assert asked("http", client=elsewhere, host="tinysae.example:8501")
    assert not asked(client=elsewhere, origin="http://localhost:8501")


def test_an_origin_may_be_allowed_in_the_configuration(
    configured: dict[str, list[str]],
):
    proxy = "https://lab.example"
    configured["server.corsAllowedOrigins"] = [proxy]
    assert asked(origin=proxy)
    assert not asked(origin="https://other.example")
