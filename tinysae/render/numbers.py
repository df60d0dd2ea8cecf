"""Numbers as people read them, the same in every language."""

from datetime import datetime

# In a table, where there is no figure (yet); Streamlit's own word for it is "None".
NO_FIGURE = "\N{EN DASH}"


def percent(share: float) -> str:
    """A probability as a percentage: "70.1%", "0.03%", "<0.01%", "0%"; and at the other
    end ">99.9%", "100%": what is nearly all is not all. A score may be below 0."""
    if share < 0:
        return f"{share:.1%}".replace("-", "\N{MINUS SIGN}")
    if share in (0, 1):
        return f"{share:.0%}"
    if 0.9995 <= share < 1:
        return ">99.9%"
    if share < 0.0001:
        return "<0.01%"
    if share < 0.001:
        return f"{share:.2%}"
    return f"{share:.1%}"


def signed(value: float, digits: int = 2) -> str:
    """A number with a real minus sign, which screen readers say."""
    # Adding zero turns the minus zero of a small negative number into plain zero.
    return f"{round(value, digits) + 0.0:.{digits}f}".replace("-", "\N{MINUS SIGN}")


def ordinal(n: int) -> str:
    """1 -> "1st", 2 -> "2nd", 11 -> "11th", 1023 -> "1,023rd"."""
    ending = (
        "th" if n % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(n % 10)
    )
    return f"{n:,}{ending or 'th'}"


def moment(seconds: float) -> str:
    """A time since the epoch as this machine's date and minute: "2026-01-31 09:05"."""
    try:
        return datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M")
    except (ValueError, OverflowError, OSError):
        # A file's date may be of any year.
        return "…"
