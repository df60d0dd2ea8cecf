"""Times, speeds and sizes of a run, in words."""

from typing import Literal, NamedTuple

from tinysae.jobs.status import JobStatus, State
from tinysae.library.shipped import STORYBOOK_SAE
from tinysae.render.numbers import moment
from tinysae.runs.store import Run
from tinysae.ui.shell.i18n import language, t
from tinysae.words import Language

Colour = Literal["green", "red", "orange", "gray", "blue"]
_BADGES: dict[State, tuple[str, Colour]] = {
    "done": (":material/check:", "green"),
    "failed": (":material/error:", "red"),
    "interrupted": (":material/error:", "orange"),
    "stopped": (":material/stop:", "gray"),
}
_WORKING: tuple[str, Colour] = (":material/progress_activity:", "blue")


# Below it, tenths of a gigabyte would say 0.0.
_SMALL_BYTES = 1e8


class _Unit(NamedTuple):
    key: str
    seconds: int
    digits: int | None


_SECONDS = _Unit("train.seconds", 1, None)
_MINUTES = _Unit("train.minutes", 60, None)
_HOURS = _Unit("train.hours", 3600, 1)


def _unit(seconds: float) -> _Unit:
    """As people say it: seconds below two minutes, then minutes, then hours."""
    if seconds < 2 * _MINUTES.seconds:
        return _SECONDS
    return _MINUTES if seconds < 2 * _HOURS.seconds else _HOURS


def duration(seconds: float | None) -> str:
    """A time: "40 s", "12 min", "2.5 h"; "…" for one that is not known."""
    if seconds is None:
        return t("train.unknown")
    unit = _unit(seconds)
    return t(unit.key, n=round(seconds / unit.seconds, unit.digits))


def duration_range(low: float, high: float) -> str:
    """Two times in the unit of the larger: "2–4 min"; "20 s–5 min" where the smaller
    would be none of it."""
    unit = _unit(high)
    if unit is not _SECONDS and low < unit.seconds:
        return f"{duration(low)}–{duration(high)}"
    ends = [str(round(x / unit.seconds, unit.digits)) for x in (low, high)]
    return t(unit.key, n="–".join(dict.fromkeys(ends)))


def rate_range(low: float, high: float) -> str:
    """Two speeds, rounded to what a guess is worth: "2,700-5,900"."""
    return f"{int(float(f'{low:.2g}')):,}–{int(float(f'{high:.2g}')):,}"


def milliseconds(seconds: float) -> str:
    """A short time, to three digits: "9.31 ms", "152 ms", "6,520 ms"."""
    value = seconds * 1000
    digits = 2 if value < 10 else 1 if value < 100 else 0
    return t("train.milliseconds", n=f"{value:,.{digits}f}")


def gigabytes(n_bytes: float) -> str:
    """A size in memory or on the disk: "1.2 GB"; a small one "48 MB"."""
    if n_bytes < _SMALL_BYTES:
        return f"{n_bytes / 1e6:.0f} MB"
    return f"{n_bytes / 1e9:.1f} GB"


# From when on tokens are counted in what, and from when on in more of that. Koreans
# count in ten thousands, and in ten thousands of those.
_TOKENS_IN: dict[Language, tuple[float, float, float]] = {
    "en": (1e5, 1e6, 1e9),
    "ko": (1e4, 1e4, 1e8),
}


def token_count(n: int) -> str:
    """Tokens, to three digits in the reader's own large unit: "0.5M", "50만"; few ones
    as they are: "6,144"."""
    few, unit, large = _TOKENS_IN[language()]
    if n < few:
        return f"{n:,}"
    key = "train.token_count_large" if n >= large else "train.token_count"
    rounded = float(f"{n / (large if n >= large else unit):.3g}")
    return t(key, n=f"{rounded:,.6g}")


def progress_text(status: JobStatus, n_before: int = 0) -> str:
    """One line: what a working run does, how far it is, how fast and how long yet."""
    state = t(f"train.state_{status.state}")
    if status.state == "queued" and n_before:
        return t("train.waits_for", n=n_before)
    if not status.total:
        return state
    if status.state == "downloading":
        done, total = (f"{n / 1e6:,.0f}" for n in (status.done, status.total))
        eta = duration(status.eta_s)
        return t("train.progress_bytes", state=state, done=done, total=total, eta=eta)
    if status.state == "labelling":
        return t(
            "train.progress_concepts",
            state=state,
            done=status.done,
            total=status.total,
            eta=duration(status.eta_s),
        )
    is_norm = status.state == "norm"
    return t(
        "train.progress_batches" if is_norm else "train.progress_tokens",
        state=state,
        done=f"{status.done:,}",
        total=f"{status.total:,}",
        rate=f"{status.rate:,.0f}" if status.rate else "…",
        eta=duration(status.eta_s),
    )


def run_label(run: Run) -> str:
    """A run as a list names it: what it is, and when it was started."""
    return f"{run.config.title} · {moment(run.created_at)}"


def run_name(run: Run) -> str:
    """A run in a legend (untrusted text)."""
    return t("train.shipped_run") if run.id == STORYBOOK_SAE else run.config.title


def badge_of(state: State) -> tuple[str, Colour]:
    """The icon and the colour of a job's state."""
    return _BADGES.get(state, _WORKING)
