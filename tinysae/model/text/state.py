"""Everything a reader has chosen in the playground, and the link that carries it.

A link is untrusted: it is bounded before and after it is unpacked, and every value in
it is checked like one that was typed.
"""

import base64
import binascii
import json
import zlib
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

from tinysae.checked_numbers import whole
from tinysae.errors import InputError
from tinysae.jobs.files import parsed_json
from tinysae.model.sources import STORYBOOK, is_only_here
from tinysae.model.text.generate import MAX_SAMPLES, GenerateSettings
from tinysae.model.text.prompt import Keep
from tinysae.render.visible import encodable

View = Literal["write", "ranks", "compare"]
Colour = Literal["log_prob", "prob", "rank", "entropy", "surprise"]

FORMAT = 1
# Browsers, servers and chats take a link of this length; a text of ten pages packs
# into it.
MAX_LINK_CHARACTERS = 8_000
MAX_STATE_BYTES = 1_000_000

UNNAMED = ""
"""In a link: a model of the computer that it was made on, which the rest of the address
says, if anything."""

_CHOICES: dict[str, tuple[Any, ...]] = {
    "view": get_args(View),
    "colour": get_args(Colour),
    "keep": get_args(Keep),
}


@dataclass(frozen=True, kw_only=True)
class State:
    """What is on the page.

    Attributes:
        view: which of the playground's three parts.
        prompt: the text, not cut.
        settings: how tokens are chosen.
        n_samples: how many texts to write.
        keep: which part of a text that does not fit is read.
        colour: what colours the heatmap.
        answers: the expected answers, one a line.
        prepend_space: whether answers get a space before them.
        other: the text that the prompt is compared with.
        model: the source of the model (`model.sources`). A link carries names only:
            it must not make a page open a path, which is `UNNAMED` there.
        is_written: whether the samples of these settings were written: a link to them
            writes them again.

    Raises:
        InputError: a value of the wrong kind or out of bounds.
    """

    view: View = "write"
    prompt: str = ""
    settings: GenerateSettings = field(default_factory=GenerateSettings)
    n_samples: int = 5
    keep: Keep = "end"
    colour: Colour = "log_prob"
    answers: str = " Lily"
    prepend_space: bool = True
    other: str = ""
    model: str = STORYBOOK
    is_written: bool = False

    def __post_init__(self) -> None:
        texts = (self.prompt, self.answers, self.other, self.model)
        chosen = all(getattr(self, name) in _CHOICES[name] for name in _CHOICES)
        is_count = type(self.n_samples) is int and 1 <= self.n_samples <= MAX_SAMPLES
        if not (
            chosen
            and is_count
            and all(isinstance(text, str) for text in texts)
            and isinstance(self.prepend_space, bool)
            and isinstance(self.is_written, bool)
        ):
            raise InputError("link_damaged")


def packed(state: State) -> str:
    """`state` as the value of a link's parameter.

    Raises:
        InputError: its texts are too long for a link.
    """
    default = asdict(State())
    changed = {
        name: value for name, value in asdict(state).items() if value != default[name]
    }
    if is_only_here(state.model):
        changed["model"] = UNNAMED
    # ASCII JSON keeps even half of a character.
    data = json.dumps({"format": FORMAT, **changed}, separators=(",", ":")).encode()
    text = base64.urlsafe_b64encode(zlib.compress(data, 9)).decode().rstrip("=")
    if len(text) > MAX_LINK_CHARACTERS:
        raise InputError(
            "link_too_long", n=f"{len(text):,}", limit=f"{MAX_LINK_CHARACTERS:,}"
        )
    return text


def unpacked(text: str) -> State:
    """The state in a link's parameter.

    Raises:
        InputError: it is too long, of another version of tinysae, or not whole.
    """
    if len(text) > MAX_LINK_CHARACTERS:
        raise InputError(
            "link_too_long", n=f"{len(text):,}", limit=f"{MAX_LINK_CHARACTERS:,}"
        )
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        # A few bytes can unpack into gigabytes.
        data = parsed_json(zlib.decompressobj().decompress(raw, MAX_STATE_BYTES))
    except (ValueError, binascii.Error, zlib.error) as problem:
        raise InputError("link_damaged") from problem
    if not isinstance(data, dict):
        raise InputError("link_damaged")
    if whole(data.pop("format", None)) != FORMAT:
        raise InputError("link_version")
    try:
        # Half of a character is nothing that a page can show.
        for name, value in data.items():
            if isinstance(value, str):
                data[name] = encodable(value)
        settings = GenerateSettings(**data.pop("settings", {}))
        state = State(**data, settings=settings)
    except TypeError as problem:
        # Names that no field has, or kinds that cannot be compared.
        raise InputError("link_damaged") from problem
    if state.model != UNNAMED and is_only_here(state.model):
        raise InputError("link_damaged")
    return state
