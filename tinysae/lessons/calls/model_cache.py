"""What is computed once a model, and goes when the model does."""

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import Any, Concatenate, ParamSpec, TypeVar, cast
from weakref import WeakKeyDictionary, ref

M = TypeVar("M")
P = ParamSpec("P")
R = TypeVar("R")

Function = Callable[Concatenate[M, P], R]


def kept_with_model(maxsize: int) -> Callable[[Function[M, P, R]], Function[M, P, R]]:
    """As `functools.lru_cache`, for functions whose first argument is a model, with
    `maxsize` results of each; it keeps no model alive."""

    def kept(function: Function[M, P, R]) -> Function[M, P, R]:
        results = WeakKeyDictionary[Any, Callable[..., R]]()

        @wraps(function)
        def with_cache(model: M, /, *args: P.args, **kwargs: P.kwargs) -> R:
            if model not in results:
                # It is there for as long as somebody can ask.
                own = cast("Callable[[], M]", ref(model))
                results[model] = lru_cache(maxsize)(
                    lambda *args, **kwargs: function(own(), *args, **kwargs)
                )
            return results[model](*args, **kwargs)

        return with_cache

    return kept
