"""What the Hugging Face hub's client raises, as sentences that say what to do.

Its own messages are not passed on: an address in them may carry a signature.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tinysae.errors import DamagedError, InputError, MissingError, TinysaeError

# The hub has less of a file than it announced.
RANGE_NOT_SATISFIABLE = 416
# Ask again later.
BUSY_STATUSES = (408, 429)


@contextmanager
def hub_errors(name: str) -> Iterator[None]:
    """Turns what is raised inside into a sentence about `name`, a model's or a
    repository's as somebody typed it. What is no matter of the hub stays what it is.
    """
    try:
        yield
    except TinysaeError:
        raise
    except Exception as problem:
        # The client wraps what went wrong with one file of several.
        wraps = type(problem) is RuntimeError and problem.__cause__ is not None
        error = _sentence(name, problem.__cause__ if wraps else problem)
        if error is None:
            raise
        raise error from problem


def no_network() -> tuple[type[Exception], ...]:
    """What the client, offline or not, and its HTTP library raise when nobody answers,
    or breaks off."""
    # Which library that is, is the client's affair: it has changed before.
    from huggingface_hub.utils import httpx

    return (httpx.TransportError, ConnectionError, TimeoutError)


def status_of(problem: BaseException) -> int | None:
    """The status of the answer that was an error, if it was one."""
    return getattr(getattr(problem, "response", None), "status_code", None)


def may_pass(problem: BaseException) -> bool:
    """Whether that, or what it came from, is a network or a hub out of order: trying
    again may help."""
    from huggingface_hub.errors import LocalEntryNotFoundError

    if isinstance(problem, (LocalEntryNotFoundError, *no_network())):
        return True
    status = status_of(problem)
    if status is not None:
        return status >= 500 or status in BUSY_STATUSES
    return problem.__cause__ is not None and may_pass(problem.__cause__)


def _sentence(name: str, problem: Any) -> TinysaeError | None:
    from huggingface_hub import errors

    if isinstance(problem, errors.GatedRepoError):
        return MissingError("hub_gated", name=name)
    if isinstance(problem, errors.RepositoryNotFoundError):
        return MissingError("hub_unknown", name=name)
    if isinstance(problem, errors.RevisionNotFoundError):
        return MissingError("hub_revision", name=name)
    if isinstance(problem, errors.HFValidationError):
        return InputError("hub_name", source=name)
    if isinstance(problem, errors.HfHubHTTPError):
        return _of_answer(name, problem.response.status_code)
    if isinstance(problem, (errors.LocalEntryNotFoundError, *no_network())):
        return MissingError("hub_unreachable", name=name)
    if not isinstance(problem, OSError):
        return None
    if problem.errno == errno.ENOSPC:
        return MissingError("download_full")
    # It has no kind of its own for a file that came shorter than announced.
    if "Consistency check failed" in str(problem):
        return DamagedError("download_damaged")
    return None


def _of_answer(name: str, status: int) -> TinysaeError:
    if status == RANGE_NOT_SATISFIABLE:
        return DamagedError("download_damaged")
    if status == 401:
        return MissingError("hub_token", name=name)
    if status == 403:
        return MissingError("hub_forbidden", name=name)
    return MissingError("hub_trouble", name=name, status=status)
