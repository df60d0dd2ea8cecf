"""What a process may take that reads what strangers made."""

from contextlib import suppress


def limit_this_process(memory_bytes: int, cpu_s: int) -> None:
    """Ends this process rather than let it take more; it leaves no core behind."""
    import resource

    for what, most in (
        (resource.RLIMIT_DATA, memory_bytes),
        (resource.RLIMIT_CPU, cpu_s),
        (resource.RLIMIT_CORE, 0),
    ):
        # Not every system knows every limit.
        with suppress(ValueError, OSError):
            resource.setrlimit(what, (most, most))
