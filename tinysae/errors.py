"""The only exceptions whose text a user sees.

An error names a sentence of the catalogue (`tinysae/words/errors_*.json`) and the
values in it, so that the page shows it in the reader's language and the command line in
English. Anything else that is raised is a bug.
"""

from collections.abc import Mapping

from tinysae.render.visible import encodable
from tinysae.words import Language, text


class TinysaeError(Exception):
    """What happened and what to do about it, as one plain sentence.

    Args:
        key: the sentence, without its `error.` prefix: `"unknown_run"`.
        values: what the sentence fills in.
    """

    def __init__(self, key: str, /, **values: object) -> None:
        self.key = f"error.{key}"
        self.values = values
        super().__init__(self.in_language("en"))

    def in_language(self, language: Language) -> str:
        """The sentence in `language`, as plain text (escape it before any markup)."""
        sentence = text(self.key, language, **self.values)
        # What it repeats may be half of a character, which cannot be sent or printed.
        return encodable(sentence)


def plain_values(values: Mapping[str, object]) -> dict[str, int | float | str]:
    """What a sentence fills in, as JSON holds it: for another process to say it."""
    return {
        key: value if isinstance(value, int | float | str) else str(value)
        for key, value in values.items()
    }


class InputError(TinysaeError):
    """Something a person typed, uploaded or linked is not usable."""


class SettingError(InputError):
    """A setting is out of range; `values["field"]` names it."""


class MissingError(TinysaeError):
    """A run, feature, model or file that is not there (any more)."""


class DamagedError(TinysaeError):
    """A file that is there but cannot be read for what it should be."""


class NetworkError(TinysaeError):
    """The network, or who should answer, is out of order; later it may work."""


class BusyError(TinysaeError):
    """Somebody else holds what is needed just now."""
