"""The calls that a lesson may name: looked up here, and nowhere else.

Adding one: a function that takes a `Stage` and keyword arguments and gives a `Result`,
and its entry below.
"""

import inspect
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple

from tinysae.errors import InputError
from tinysae.lessons.calls import (
    feature_calls,
    held_out,
    name_calls,
    name_features,
    run_calls,
)
from tinysae.lessons.calls.cases import CHECKING_SEED, filled, name_cases
from tinysae.lessons.calls.results import Result, Stage

Need = Literal["model", "sae", "run"]
Cases = Callable[[Stage, int], list[dict[str, Any]]]


class Argument(NamedTuple):
    """What a call takes: str, int or float; and whether it has to be given."""

    kind: type
    is_needed: bool


@dataclass(frozen=True)
class Call:
    """A question that a step may put.

    Attributes:
        run: answers it.
        needs: what it cannot do without: a model only, an SAE with its index, or the
            reader's own run.
        cases: arguments of so many cases, on held-out stories, that claims about its
            figures are checked on; None where there is nothing to claim.
    """

    run: Callable[..., Result]
    needs: Need
    cases: Cases | None

    @property
    def arguments(self) -> Mapping[str, Argument]:
        """Its arguments by name."""
        return {
            name: Argument(
                parameter.annotation, parameter.default is inspect.Parameter.empty
            )
            for name, parameter in inspect.signature(self.run).parameters.items()
            if parameter.kind is inspect.Parameter.KEYWORD_ONLY
        }


def _stories(*names: str) -> Cases:
    def cases(_: Stage, n: int) -> list[dict[str, Any]]:
        told = name_cases(CHECKING_SEED, n)
        return [{name: getattr(case, name) for name in names} for case in told]

    return cases


def _texts(_: Stage, n: int) -> list[dict[str, Any]]:
    told = name_cases(CHECKING_SEED, n)
    return [{"text": filled(case.template, case.name)} for case in told]


def _beginnings(stage: Stage, n: int) -> list[dict[str, Any]]:
    """Stories up to a word by chance: where a name comes next all is decided."""
    rng = random.Random(CHECKING_SEED)
    texts = [case["text"].split(" ") for case in _texts(stage, n)]
    return [
        {"text": " ".join(words[: rng.randrange(8, len(words))])} for words in texts
    ]


def _neurons(stage: Stage, n: int) -> list[dict[str, Any]]:
    d_mlp = held_out.n_neurons(stage.model)
    return [{"number": i} for i in random.Random(0).sample(range(d_mlp), min(n, d_mlp))]


def _features(stage: Stage, n: int) -> list[dict[str, Any]]:
    return [{"number": number} for number in feature_calls.lively(stage, n)]


def _concepts(stage: Stage, n: int) -> list[dict[str, Any]]:
    return [{"concept": name} for name in held_out.common_concepts(stage.model, n)]


def _seeds(_: Stage, n: int) -> list[dict[str, Any]]:
    return [{"seed": seed} for seed in range(n)]


def _once(_: Stage, _n: int) -> list[dict[str, Any]]:
    return [{}]


_NAME = _stories("template", "name")
_NAMES = _stories("template", "name", "other")

CALLS: Final[Mapping[str, Call]] = {
    "name_rank": Call(name_calls.name_rank, "model", _NAMES),
    "name_swap": Call(name_calls.name_swap, "model", _NAMES),
    "where_sure": Call(name_calls.where_sure, "model", _NAME),
    "heads_off": Call(name_calls.heads_off, "model", _NAME),
    "attention": Call(name_calls.attention, "model", _NAME),
    "features_at_name": Call(name_features.features_at_name, "sae", _NAME),
    "forget_there": Call(name_features.forget_there, "sae", _NAME),
    "promoted": Call(name_features.promoted, "sae", _NAMES),
    "features_off": Call(name_features.features_off, "sae", _NAMES),
    "transplant": Call(name_features.transplant, "sae", _NAMES),
    "one_token": Call(feature_calls.one_token, "sae", _texts),
    "neuron": Call(feature_calls.neuron, "sae", _neurons),
    "feature": Call(feature_calls.feature, "sae", _features),
    "concept": Call(feature_calls.concept, "sae", _concepts),
    "feature_off": Call(feature_calls.feature_off, "sae", _beginnings),
    "samples": Call(run_calls.samples, "model", _NAMES),
    "curve": Call(run_calls.curve, "run", None),
    "went_well": Call(run_calls.went_well, "sae", _once),
    "ten_features": Call(run_calls.ten_features, "sae", _seeds),
}


def asked(name: str, stage: Stage, arguments: Mapping[str, Any]) -> Result:
    """What the call `name` answers.

    Raises:
        InputError: there is no such call, or what the call itself refuses.
    """
    if name not in CALLS:
        raise InputError("lesson_unknown_call", call=name[:60])
    return CALLS[name].run(stage, **arguments)
