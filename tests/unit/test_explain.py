"""Explanations by an endpoint: what is asked, what is believed, where the key goes."""

import json
import logging
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.builders import finished_run, write_model
from tinysae.__main__ import main
from tinysae.errors import InputError
from tinysae.features.index.records import Context, FeatureRecord, Histogram
from tinysae.features.names import explain
from tinysae.features.names.explain import KEY_VARIABLE, Endpoint, explained
from tinysae.features.names.label_file import read_labels
from tinysae.features.names.labels import MAX_TEXT, Label

KEY = "sk-very-secret"


class Server:
    """A loopback endpoint that keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, str], Any]] = []
        self.answer: Callable[[BaseHTTPRequestHandler], None] = completion("animals")
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                server.asked.append((self.path, dict(self.headers), json.loads(body)))
                server.answer(self)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.http = HTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.01,))
        self.thread.start()

    @property
    def endpoint(self) -> Endpoint:
        return Endpoint(f"http://127.0.0.1:{self.http.server_port}/v1/", "tiny")


def respond(status: int, body: bytes, **headers: str) -> Any:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def completion(text: Any) -> Any:
    body = {"choices": [{"message": {"role": "assistant", "content": text}}]}
    return respond(200, json.dumps(body).encode())


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.http.shutdown()
    server.thread.join()
    server.http.server_close()


def record() -> FeatureRecord:
    texts = ["The", " dog", " \n", "ran"]
    context = Context(
        0, 1, np.arange(4), texts, np.asarray([0, 2, 0, 0], dtype=np.float32)
    )
    fields = dict.fromkeys(FeatureRecord.__dataclass_fields__)
    histogram = Histogram(np.zeros(1), np.zeros(0, dtype=np.int64))
    made: Any = {**fields, "feature": 3, "contexts": [context], "histogram": histogram}
    return FeatureRecord(**made)


def test_the_answer_becomes_a_label(
    server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    caplog.set_level(logging.DEBUG)
    server.answer = completion("  the word\n dog " + "x" * 1000)
    label = explained(server.endpoint, record())
    assert label.kind == "explained"
    assert label.text.startswith("the word dog x")
    assert len(label.text) == MAX_TEXT
    ((path, headers, body),) = server.asked
    assert path == "/v1/chat/completions"
    assert headers["Authorization"] == f"Bearer {KEY}"
    assert body["model"] == "tiny"
    assert json.loads(body["messages"][1]["content"]) == "The« dog» \nran"
    assert KEY not in caplog.text


def test_no_key_is_sent_where_there_is_none(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    explained(server.endpoint, record())
    assert "Authorization" not in server.asked[0][1]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (respond(401, b"no"), "HTTP 401"),
        # Not followed: the key would go along.
        (respond(302, b"", Location="http://127.0.0.1:1/"), "HTTP 302"),
        (respond(200, b"<html>"), "not with an explanation"),
        (respond(200, b"{}"), "not with an explanation"),
        (respond(200, b'{"choices": []}'), "not with an explanation"),
        (completion(None), "not with an explanation"),
        (completion(" \n"), "not with an explanation"),
        (completion("x" * explain.MAX_RESPONSE), "not with an explanation"),
        (lambda handler: handler.connection.close(), "could not be reached"),
    ],
)
def test_whatever_is_no_completion_is_told_without_the_key(
    answer: Any, message: str, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    server.answer = answer
    with pytest.raises(InputError, match=message) as caught:
        explained(server.endpoint, record())
    assert KEY not in repr(caught.value)
    assert caught.value.__cause__ is None


def test_a_server_that_never_answers_is_given_up(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(explain, "TIMEOUT_S", 0.05)
    given_up = threading.Event()

    def never(_: BaseHTTPRequestHandler) -> None:
        given_up.wait()

    server.answer = never
    try:
        with pytest.raises(InputError, match="could not be reached"):
            explained(server.endpoint, record())
    finally:
        given_up.set()


def test_the_command_keeps_what_was_explained(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TINYSAE_HOME", str(tmp_path))
    run = finished_run(write_model(tmp_path / "model"))
    url = f"http://127.0.0.1:{server.http.server_port}/v1"
    command = ["explain", run.id, "2", "999999", "--url", url, "--model", "tiny"]
    assert main(command) == 1
    labels = read_labels(run.features_dir)
    assert labels[2] == Label("animals", "explained")
    assert len(labels) == 40


@pytest.mark.parametrize(
    ("url", "model"),
    [
        ("ftp://a/v1", "m"),
        ("file:///etc/passwd", "m"),
        ("", "m"),
        ("http://", "m"),
        ("http://[", "m"),
        ("http://user:secret@host/v1", "m"),
        ("http://host/v1", ""),
    ],
)
def test_what_is_no_endpoint_is_refused(url: str, model: str) -> None:
    with pytest.raises(InputError, match="OpenAI-compatible") as caught:
        Endpoint(url, model)
    assert "secret" not in str(caught.value)
