"""A sweep's axes: settings, and the values that each is to have.

As text, values stand one after another, "1, 2, 5, 10", or as a range: "1..16 x2" goes
up by a factor, "100..500 +100" by steps, "0.5..8 in 5" in so many by equal ratios. A
hook's name may stand for several: "blocks.*.hook_mlp_out" is that of every layer.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from fnmatch import fnmatchcase
from itertools import product
from typing import Any

from tinysae.config import TrainConfig, is_read, settings
from tinysae.errors import InputError
from tinysae.setting import IN_STEPS, NAME_LIMIT, PATH_LIMIT

MAX_POINTS = 64
"""Of one sweep: what one looks through, and what a night of training holds."""
# What a number written by hand has; ranges come to no more than that.
_DIGITS = 4
_RANGE = re.compile(r"(\S+?)\s*\.\.\s*(\S+)\s*(x|\*|\+|in\s)\s*(\S+)")
# What a person calls a run says nothing of how it is trained.
_NO_AXES = ("name",)
_HOOK, _ANY = "hook_name", "*"

Axes = Mapping[str, Sequence[Any]]
"""Settings and their values, in the order in which they are gone through."""


def values_of(name: str, text: str) -> list[Any]:
    """The values that `text` names for the setting, each once, unchecked but for their
    kind.

    Raises:
        InputError: no such setting, no values, or what cannot be read as one.
    """
    kind = _axis(name)
    found: list[Any] = []
    for part in text[:PATH_LIMIT].split(","):
        if part := part.strip():
            found += _range(name, part) if ".." in part else [_value(name, kind, part)]
    return list(dict.fromkeys(found))


def names_hooks(name: str, values: Any) -> bool:
    """Whether these values of the setting, a text or a list, name hooks by a pattern,
    which takes a model to be understood: `with_hooks`."""
    return name == _HOOK and any(_ANY in str(value) for value in values)


def with_hooks(values: Iterable[Any], hooks: Iterable[str]) -> list[Any]:
    """`values` of the setting hook_name, in place of each pattern those of a model's
    `hooks` that it is about.

    Raises:
        InputError: a pattern is about none.
    """
    known, found = list(hooks), list[Any]()
    for value in values:
        if _ANY not in (pattern := str(value)):
            found.append(value)
        elif alike := [hook for hook in known if fnmatchcase(hook, pattern)]:
            found += alike
        else:
            choices = ", ".join(known)
            raise InputError("unknown_hook", hook=pattern[:NAME_LIMIT], choices=choices)
    return list(dict.fromkeys(found))


def every_layer(hook_name: str, hooks: Iterable[str]) -> str:
    """The pattern of that hook in every layer; of a model of one layer, of all of its
    hooks."""
    layer, kind = hook_name.rpartition(".")[::2]
    if sum(hook.endswith(f".{kind}") for hook in hooks) > 1:
        return f"blocks.{_ANY}.{kind}"
    return f"{layer}.{_ANY}"


def seeds(base: TrainConfig, n: int) -> list[int]:
    """The base's seed and those after it, `n` of them.

    Raises:
        InputError: none, or more than a sweep has points.
    """
    if not 1 <= n <= MAX_POINTS:
        raise InputError("sweep_points", n=n, most=MAX_POINTS)
    return [base.seed + more for more in range(n)]


def points_of(base: TrainConfig, axes: Axes) -> list[TrainConfig]:
    """The settings of every point, the last axis running fastest; each is called by its
    own values. Points that would be the same training are one.

    Raises:
        InputError: no such setting; one that no point would read; none, one or too
            many points.
        SettingError: a point's settings do not go together; the first such is named.
    """
    if not axes:
        raise InputError("sweep_no_axes")
    for name, values in axes.items():
        _axis(name)
        if not values:
            raise InputError("sweep_no_values", field=name)
    _check_number(math.prod(map(len, axes.values())))
    points: dict[tuple[Any, ...], TrainConfig] = {}
    for values in product(*axes.values()):
        point = _point(base, dict(zip(axes, values, strict=True)), varied(axes))
        points.setdefault(_what_is_read(point), point)
    found = list(points.values())
    _check_read(axes, found)
    _check_number(len(found))
    return found


def varied(axes: Axes) -> Axes:
    """Those of more than one value, by which points are told apart."""
    return {name: values for name, values in axes.items() if len(values) > 1}


def labels_of(config: TrainConfig, axes: Axes) -> dict[str, Any]:
    """The values that a point has of those axes that mean something for it."""
    given = asdict(config)
    return {name: given[name] for name in axes if is_read(name, given)}


def called(values: Mapping[str, Any]) -> str:
    """A point by its values: "l1_coefficient 2, d_sae 512". A hook says itself what it
    is: where there is room for a word alone, it tells the layers apart."""
    return ", ".join(
        str(value)
        if name == _HOOK
        else f"{name} {value:g}"
        if isinstance(value, float)
        else f"{name} {value}"
        for name, value in values.items()
    )


def _axis(name: str) -> Any:
    """The kind of the setting's values."""
    if name not in settings() or name in _NO_AXES:
        raise InputError("sweep_unknown_setting", field=name[:NAME_LIMIT])
    return settings()[name].kind


def _point(base: TrainConfig, values: Mapping[str, Any], told: Axes) -> TrainConfig:
    changes = dict(values)
    steps = _steps(base, values)
    if steps and (before := base.total_training_steps) != steps:
        for name in IN_STEPS:
            changes.setdefault(name, getattr(base, name) * steps // before)
    point = replace(base, **changes)
    name = called(labels_of(point, told))
    name = f"{base.name}: {name}" if base.name else name
    return replace(point, name=name[:NAME_LIMIT])


def _steps(base: TrainConfig, values: Mapping[str, Any]) -> int:
    """How many steps the point has; 0 where that makes no sense, which its own check
    says better."""
    tokens, batch = (
        values.get(name, getattr(base, name))
        for name in ("training_tokens", "train_batch_size_tokens")
    )
    if not (isinstance(tokens, int) and isinstance(batch, int) and batch > 0):
        return 0
    return max(0, tokens // batch)


def _what_is_read(point: TrainConfig) -> tuple[Any, ...]:
    """What decides its training."""
    given = asdict(point)
    return tuple(
        given[name]
        for name in settings()
        if name not in _NO_AXES and is_read(name, given)
    )


def _check_number(n: int) -> None:
    if not 2 <= n <= MAX_POINTS:
        raise InputError("sweep_points", n=n, most=MAX_POINTS)


def _check_read(axes: Axes, points: Sequence[TrainConfig]) -> None:
    for name in axes:
        if not any(is_read(name, asdict(point)) for point in points):
            named = dict.fromkeys(point.architecture for point in points)
            raise InputError(
                "sweep_not_read", field=name, architecture=", ".join(named)
            )


def _value(name: str, kind: Any, text: str) -> Any:
    if kind is bool:
        return {"true": True, "false": False}.get(text.lower(), text)
    if kind not in (int, float):
        return text
    number = _number(name, text)
    return int(number) if number == int(number) and kind is int else number


def _number(name: str, text: str) -> float:
    try:
        number = float(text.replace("_", ""))
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise InputError("sweep_value", field=name, value=text[:NAME_LIMIT])
    return number


def _range(name: str, text: str) -> list[Any]:
    """The values of a range, as its kind has them."""
    kind, parts = _axis(name), _RANGE.fullmatch(text)
    if kind not in (int, float) or parts is None:
        raise InputError("sweep_value", field=name, value=text[:NAME_LIMIT])
    low, high, by = (_number(name, parts[at]) for at in (1, 2, 4))
    way = parts[3].strip()
    is_forward = low <= high and (
        by > 0
        if way == "+"
        else low > 0 and (by > 1 if way in "x*" else by == int(by) >= 2)
    )
    if not is_forward:
        raise InputError("sweep_value", field=name, value=text[:NAME_LIMIT])
    if way == "in":
        by, way = (high / low) ** (1 / (by - 1)), "x"
    # A range that ends at its end ends there, whatever the last bit of a product says.
    room = high * (1 + 10**-9)
    found: list[Any] = []
    value = low
    while value <= room:
        rounded = float(f"{value:.{_DIGITS}g}")
        found.append(round(value) if kind is int else rounded)
        if len(found) > MAX_POINTS:
            raise InputError("sweep_points", n=len(found), most=MAX_POINTS)
        value = low + by * len(found) if way == "+" else low * by ** len(found)
    return found
