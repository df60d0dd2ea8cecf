"""The texts that a model can read, a module a kind.

A module here is a kind of text: its `opened` answers a choice that it knows with a
`Text`, and any other with None. Being in this folder is all that registers it.
"""

from collections.abc import Callable
from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from tinysae.config import TextChoice
from tinysae.data.texts.text import Text
from tinysae.errors import MissingError

Opener = Callable[[TextChoice], Text | None]


def open_text(choice: TextChoice) -> Text:
    """The text that was chosen. Only what says what it is has been read of it.

    Raises:
        TinysaeError: no kind of text knows that name, or it cannot be read.
    """
    for opened in _openers():
        text = opened(choice)
        if text is not None:
            return text
    raise MissingError("unknown_text", dataset=choice.path[:200])


@cache
def _openers() -> tuple[Opener, ...]:
    names = sorted(module.name for module in iter_modules(__path__))
    modules = [import_module(f"{__name__}.{name}") for name in names]
    return tuple(module.opened for module in modules if hasattr(module, "opened"))
