"""Two sentences' pictures as one: what each part adds in the first and not in the
second."""

from collections.abc import Mapping, Sequence
from difflib import SequenceMatcher
from typing import TYPE_CHECKING

from tinysae.features.why.lamps import MAX_LAMPS
from tinysae.features.why.picture import MAX_ARCS, Arc, Picture, Thread

if TYPE_CHECKING:
    from tinysae.features.why.attribution import Part

_ArcKey = tuple[int, int, int, int]
_LampKey = tuple[int | None, int | None]


def difference(here: Picture, there: Picture) -> Picture:
    """`here` with every effect less what the same part has in `there`, the largest
    difference first. Its parts are no cuts: nothing of it can be taken out.

    The same part is the same head between the same words, the same feature at the same
    word; a word that stands in another one's place is the same place. What is at words
    of `there` that have no place here is left out.
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
        key = (lamp.number, position)
        lit.append(key)
        nothing = lamp._replace(position=position, direct=0, effect=0, activation=0)
        own = lamps.get(key, nothing)
        lamps[key] = own._replace(
            direct=own.direct - lamp.direct, effect=own.effect - lamp.effect
        )
    best = sorted(arcs.values(), key=lambda arc: -abs(arc.effect))[:MAX_ARCS]
    bright = sorted(lamps.values(), key=lambda lamp: -abs(lamp.effect))[:MAX_LAMPS]
    arc_at = {arc[:4]: place for place, arc in enumerate(best)}
    lamp_at = {_lamp_key(lamp): place for place, lamp in enumerate(bright)}
    sums: dict[tuple[int, int], float] = {}
    own_arcs = [arc[:4] for arc in here.arcs]
    own_lamps = [_lamp_key(lamp) for lamp in here.lamps]
    _add(sums, here, own_arcs, own_lamps, arc_at, lamp_at, 1.0)
    _add(sums, there, keys, lit, arc_at, lamp_at, -1.0)
    return Picture(
        here.attribution,
        tuple(bright),
        tuple(best),
        torch.zeros(len(best), here.carried.shape[1]),
        tuple(Thread(*ends, effect) for ends, effect in sums.items()),
        here.hooks,
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
    return lamp.number, lamp.position


def _add(
    sums: dict[tuple[int, int], float],
    picture: Picture,
    arcs: Sequence[_ArcKey | None],
    lamps: Sequence[_LampKey | None],
    arc_at: Mapping[_ArcKey, int],
    lamp_at: Mapping[_LampKey, int],
    sign: float,
) -> None:
    """Adds the threads of `picture`, whose parts are called `arcs` and `lamps`."""
    for thread in picture.threads:
        arc, lamp = arcs[thread.arc], lamps[thread.lamp]
        if arc is None or lamp is None or arc not in arc_at or lamp not in lamp_at:
            continue
        ends = arc_at[arc], lamp_at[lamp]
        sums[ends] = sums.get(ends, 0.0) + sign * thread.effect
