"""Explanations proposed by a language model of the user's choice, if they want any.

Any endpoint that speaks OpenAI's chat completions will do, on this machine or another.
Off unless a URL and a model are given. The key is read from the environment
(`TINYSAE_EXPLAIN_KEY`) when it is needed, and goes nowhere but into the request.
"""

import http.client
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from tinysae.errors import InputError
from tinysae.features.index.reader import open_index
from tinysae.features.index.records import FeatureRecord
from tinysae.features.names.label_file import read_labels, write_labels
from tinysae.features.names.labels import MAX_TEXT, Label

KEY_VARIABLE: Final = "TINYSAE_EXPLAIN_KEY"
TIMEOUT_S: Final = 30.0
MAX_RESPONSE: Final = 1 << 20
"""Bytes; an answer of some words needs a thousandth of it."""
N_CONTEXTS: Final = 10
RADIUS: Final = 12
"""Tokens shown on either side of the one on which the feature is strongest."""
MAX_ANSWER_TOKENS: Final = 60
_TASK: Final = (
    "You name features of a sparse autoencoder. In each excerpt, the token on which "
    "the feature is strongest stands between « and ». Answer with what the feature "
    "responds to, in at most ten words, and nothing else."
)


@dataclass(frozen=True)
class Endpoint:
    """Where explanations come from.

    url: the API's base, such as ``http://localhost:11434/v1``. model: its name there.

    Raises:
        InputError: the URL is not one of http or https, or a name is missing.
    """

    url: str
    model: str

    def __post_init__(self) -> None:
        try:
            parts = urlsplit(self.url)
            is_url = parts.scheme in ("http", "https") and bool(parts.hostname)
            # A key typed into the URL would be stored and logged with it.
            is_url = is_url and parts.username is None and parts.password is None
        except ValueError:
            is_url = False
        if not (is_url and self.model):
            raise InputError("explain_endpoint", url=_without_login(self.url))


class _NoRedirects(HTTPRedirectHandler):
    """A redirect would take the key to somebody whom the user did not choose."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def explained(endpoint: Endpoint, record: FeatureRecord) -> Label:
    """A label that the endpoint's model proposes for a feature.

    Raises:
        InputError: the endpoint cannot be reached, takes too long, refuses, or answers
            something else than a completion.
    """
    body = {
        "model": endpoint.model,
        "max_tokens": MAX_ANSWER_TOKENS,
        "temperature": 0,
        "messages": [
            {"role": "system", "content": _TASK},
            {"role": "user", "content": "\n".join(_excerpts(record))},
        ],
    }
    headers = {"Content-Type": "application/json"}
    if key := os.environ.get(KEY_VARIABLE):
        headers["Authorization"] = f"Bearer {key}"
    request = Request(
        f"{endpoint.url.rstrip('/')}/chat/completions",
        json.dumps(body).encode(),
        headers,
    )
    try:
        with build_opener(_NoRedirects).open(request, timeout=TIMEOUT_S) as response:
            data = response.read(MAX_RESPONSE + 1)
    except HTTPError as problem:
        raise InputError(
            "explain_refused", url=endpoint.url[:200], status=problem.code
        ) from None
    except (URLError, OSError, ValueError, http.client.HTTPException):
        # Without its cause: a header that is no header would be quoted in it.
        raise InputError("explain_unreachable", url=endpoint.url[:200]) from None
    text = _answer(data)
    if not text:
        raise InputError("explain_answer", url=endpoint.url[:200])
    return Label(text, "explained")


def explain_features(
    folder: Path, endpoint: Endpoint, features: Sequence[int]
) -> list[Label]:
    """Explains features of the index in `folder` and keeps the labels beside it.

    What was explained before something went wrong is kept. Returns the new labels.

    Raises:
        InputError: there is no such feature, or as `explained` says.
        MissingError, DamagedError: of the index or its labels.
    """
    index = open_index(folder)
    # An index from before there were labels has none.
    labels = read_labels(folder) or [Label("", "tokens")] * index.info.d_sae
    new: list[Label] = []
    try:
        for feature in features:
            label = explained(endpoint, index.feature(feature))
            labels[feature] = label
            new.append(label)
    finally:
        if new:
            write_labels(folder, labels)
    return new


def _excerpts(record: FeatureRecord) -> Sequence[str]:
    excerpts: list[str] = []
    for context in record.contexts[:N_CONTEXTS]:
        window = context.window(RADIUS)
        texts = list(window.texts)
        texts[window.position] = f"«{texts[window.position]}»"
        excerpts.append(json.dumps("".join(texts), ensure_ascii=False))
    return excerpts


def _answer(data: bytes) -> str:
    """The completion's text on one line, cut to a label's length; "" for none."""
    if len(data) > MAX_RESPONSE:
        return ""
    try:
        text = json.loads(data)["choices"][0]["message"]["content"]
        return " ".join(text.split())[:MAX_TEXT]
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        return ""


def _without_login(url: str) -> str:
    return url.rpartition("@")[2][:200]
