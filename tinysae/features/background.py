"""Work that goes on beside other work: what holds the interpreter beside loops that let
go of it."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def in_background(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
    """What `work` gives, or raises, by a thread of its own that ends with it."""
    thread = ThreadPoolExecutor(1, work.__name__)
    future = thread.submit(work, *args, **kwargs)
    thread.shutdown(wait=False)
    return future
