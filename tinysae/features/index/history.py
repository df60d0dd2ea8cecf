"""What a run's features were as it trained: a small file a look, for any token.

<run>/history/<step>.safetensors holds `records.Heads` of the index that was made after
that many steps, so that afterwards any token can be asked for, and any feature followed
back. Only rows of it are read. A file that is damaged is left out.
"""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from tinysae.errors import DamagedError
from tinysae.features.index.format import damage_in
from tinysae.features.index.reader import FeatureIndex
from tinysae.features.index.tensor_file import TensorFile
from tinysae.jobs.files import make_folder, write_bytes
from tinysae.runs.checkpoints import DIGITS

SUFFIX = ".safetensors"
N_TOKENS, N_FEATURES = 5, 4
# A few hundred kilobytes each: with more, every other one goes.
MAX_KEPT = 40


class Moment(NamedTuple):
    """A feature after `step` steps.

    best: which feature fired best on the watched token then; None: none did. share: the
    part of the feature's activation that was on the token; None when the token is not
    among the few it fired on most, nor it among the few that fired on the token best.
    promoted: the tokens it pushed towards.
    """

    step: int
    best: int | None
    share: float | None
    tokens: list[int]
    promoted: list[int]


def keep_moment(folder: Path, step: int, index: FeatureIndex) -> None:
    """Writes down what the features of `index` are after `step` steps.

    Raises:
        OSError: the folder cannot be written.
        DamagedError: the index cannot be read.
    """
    from safetensors.numpy import save

    data = save(index.heads(N_TOKENS, N_FEATURES)._asdict())
    make_folder(folder)
    write_bytes(folder / f"{step:0{DIGITS}}{SUFFIX}", data)
    kept = _files(folder)
    if len(kept) > MAX_KEPT:
        # The first and the last stay; the past is told in larger steps.
        for _, path in kept[1:-1:2]:
            path.unlink(missing_ok=True)


def has_moments(folder: Path) -> bool:
    """Whether there is anything to follow."""
    return bool(_files(folder))


def watched(folder: Path, token: int, d_vocab: int) -> tuple[int | None, list[Moment]]:
    """The feature that fires on `token` best, in the newest look in which any does; and
    what it was in every look, the newest first.

    d_vocab: how many tokens there are; files of another vocabulary are left out.
    """
    looks = [look for look in _looks(folder) if look.d_vocab == d_vocab]
    bests = ((look.d_sae, look.best(token)) for look in looks)
    newest = next((both for both in bests if both[1] is not None), None)
    if newest is None:
        return None, []
    d_sae, feature = newest
    assert feature is not None
    moments: list[Moment] = []
    for look in looks:
        with suppress(DamagedError):
            if look.d_sae == d_sae:
                moments.append(look.moment(token, feature))
    return feature, moments


class _Look:
    """One file, open.

    Raises:
        DamagedError: it is not what `keep_moment` writes.
    """

    def __init__(self, step: int, path: Path) -> None:
        self._step, self._name = step, path.name
        with damage_in(path.name):
            self._file = TensorFile(path)
            self.d_vocab, _ = self._file.shape("best")
            self.d_sae, _ = self._file.shape("tokens")
            by_token = [self.d_vocab, N_FEATURES]
            by_feature = [self.d_sae, N_TOKENS]
            for name, shape, kind in (
                ("best", by_token, "I32"),
                ("best_share", by_token, "F32"),
                ("tokens", by_feature, "I32"),
                ("mass_share", by_feature, "F32"),
                ("promoted", by_feature, "I32"),
            ):
                if self._file.shape(name) != shape or self._file.type_of(name) != kind:
                    raise ValueError(name)

    def best(self, token: int) -> int | None:
        if not 0 <= token < self.d_vocab:
            return None
        with suppress(DamagedError), damage_in(self._name):
            feature = int(self._row("best", token)[0])
            return feature if 0 <= feature < self.d_sae else None
        return None

    def moment(self, token: int, feature: int) -> Moment:
        with damage_in(self._name):
            tokens, promoted = (
                self._row(name, feature) for name in ("tokens", "promoted")
            )
            return Moment(
                self._step,
                self.best(token),
                self._share(token, feature),
                self._checked(tokens),
                self._checked(promoted),
            )

    def _share(self, token: int, feature: int) -> float | None:
        """Told by the feature's tokens or by the token's features, or not at all."""
        by_feature = self._row("tokens", feature), self._row("mass_share", feature)
        by_token = self._row("best", token), self._row("best_share", token)
        shares = dict(zip(*by_token, strict=True))
        share = dict(zip(*by_feature, strict=True)).get(token, shares.get(feature))
        if share is not None and not 0 <= share <= 1 + 1e-6:
            raise ValueError("a share")
        return share

    def _row(self, name: str, row: int) -> list[Any]:
        return self._file.row(name, row).tolist()

    def _checked(self, tokens: list[int]) -> list[int]:
        """Without the places that hold none."""
        if max(tokens) >= self.d_vocab:
            raise ValueError("a token that is not there")
        return [token for token in tokens if token >= 0]


def _looks(folder: Path) -> Iterator[_Look]:
    # Whoever put more files there: no more are read than we would write.
    for step, path in reversed(_files(folder)[-MAX_KEPT:]):
        with suppress(DamagedError):
            yield _Look(step, path)


def _files(folder: Path) -> list[tuple[int, Path]]:
    try:
        entries = list(folder.iterdir())
    except OSError:
        return []
    return sorted(
        (int(path.stem), path)
        for path in entries
        if path.suffix == SUFFIX and path.stem.isdecimal() and path.stem.isascii()
        if path.is_file() and not path.is_symlink()
    )
