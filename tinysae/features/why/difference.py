"""Two sentences' pictures as one: what each part adds in the first and not in the
second."""

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from itertools import chain
from typing import TYPE_CHECKING, Any

from tinysae.features.why.lamps import MAX_LAMPS
from tinysae.features.why.picture import MAX_ARCS, Arc, Link, Picture, Thread

if TYPE_CHECKING:
    from tinysae.features.why.attribution import Part

_ArcKey = tuple[int, int, int, int]
_LampKey = tuple[str | None, int | None, int | None]


def difference(here: Picture, there: Picture) -> Picture:
    """`here` with every effect less what the same part has in `there`, the largest
    difference first. Its parts are no cuts: nothing of it can be taken out.

    The same part is the same head between the same words, the same feature of the same
    SAE at the same word; a word that stands in another one's place is the same place.
    What is at words of `there` that have no place here is left out.
    """
    import torch

    at = places(here.attribution.ids, there.attribution.ids)
    arcs: dict[_ArcKey, Arc] = {arc[:4]: arc for arc in here.arcs}
    keys: list[_ArcKey | None] = []
    for arc in there.arcs:
        if arc.to not in at or arc.source not in at:
            keys.append(None)
            continue
        key = (arc.layer, arc.head, at[arc.to], at[arc.source])
        keys.append(key)
        own = arcs.get(key, Arc(*key, 0.0, 0.0))
        arcs[key] = own._replace(effect=own.effect - arc.effect)
    lamps: dict[_LampKey, Part] = {_lamp_key(lamp): lamp for lamp in here.lamps}
    lit: list[_LampKey | None] = []
    for lamp in there.lamps:
        position = None if lamp.position is None else at.get(lamp.position, -1)
        if position == -1:
            lit.append(None)
            continue
        key = (lamp.hook_name, lamp.number, position)
        lit.append(key)
        nothing = lamp._replace(position=position, direct=0, effect=0, activation=0)
        own = lamps.get(key, nothing)
        lamps[key] = own._replace(
            direct=own.direct - lamp.direct, effect=own.effect - lamp.effect
        )
    best = sorted(arcs.values(), key=lambda arc: -abs(arc.effect))[:MAX_ARCS]
    bright = _brightest(lamps.values(), here.hooks)
    arc_at = {arc[:4]: place for place, arc in enumerate(best)}
    lamp_at = {_lamp_key(lamp): place for place, lamp in enumerate(bright)}
    own_arcs = [arc[:4] for arc in here.arcs]
    own_lamps = [_lamp_key(lamp) for lamp in here.lamps]
    threads = chain(
        ((own_arcs[t.arc], own_lamps[t.lamp], t.effect) for t in here.threads),
        ((keys[t.arc], lit[t.lamp], -t.effect) for t in there.threads),
    )
    links = chain(
        ((own_lamps[k.source], own_lamps[k.lamp], k.effect) for k in here.links),
        ((lit[k.source], lit[k.lamp], -k.effect) for k in there.links),
    )
    return Picture(
        here.attribution,
        tuple(bright),
        tuple(best),
        torch.zeros(len(best), here.carried.shape[1]),
        tuple(Thread(*each) for each in _sums(threads, arc_at, lamp_at)),
        here.hooks,
        tuple(Link(*each) for each in _sums(links, lamp_at, lamp_at)),
    )


def places(here: Sequence[int], there: Sequence[int]) -> dict[int, int]:
    """Positions of `there`, BOS being 0, and where each is `here`; both without BOS.

    The ends are the same place, whatever stands there: what comes next comes there.
    """
    found = {0: 0, len(there): len(here)}
    steps = SequenceMatcher(None, there, here, autojunk=False).get_opcodes()
    for step, start, end, to, to_end in steps:
        if step == "equal" or (step == "replace" and end - start == to_end - to):
            for offset in range(end - start):
                if to + offset + 1 < len(here):
                    found.setdefault(1 + start + offset, 1 + to + offset)
    return found


def _lamp_key(lamp: "Part") -> _LampKey:
    return lamp.hook_name, lamp.number, lamp.position


def _brightest(lamps: "Iterable[Part]", hooks: Sequence[str]) -> "list[Part]":
    """As many of each SAE as a picture has, the largest effect first."""
    by_effect = sorted(lamps, key=lambda lamp: -abs(lamp.effect))
    kept = [
        lamp
        for hook in hooks
        for lamp in [own for own in by_effect if own.hook_name == hook][:MAX_LAMPS]
    ]
    return sorted(kept, key=lambda lamp: -abs(lamp.effect))


def _sums(
    joins: Iterable[tuple[Hashable, Hashable, float]],
    first_at: Mapping[Any, int],
    second_at: Mapping[Any, int],
) -> Iterator[tuple[int, int, float]]:
    """Of joins (from, to, effect) between parts that are drawn: their places in the
    picture, and the sum of what goes there."""
    sums: dict[tuple[int, int], float] = {}
    for first, second, effect in joins:
        if first in first_at and second in second_at:
            ends = first_at[first], second_at[second]
            sums[ends] = sums.get(ends, 0.0) + effect
    for ends, effect in sums.items():
        yield *ends, effect
