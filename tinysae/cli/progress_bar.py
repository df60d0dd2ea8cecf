"""A job's progress in a terminal: the status that the pages read, as a bar."""

from collections.abc import Callable, Generator
from contextlib import contextmanager

from tinysae.jobs.job import Job
from tinysae.jobs.state_words import doing
from tinysae.jobs.work import looking

LOOK_EVERY_S = 0.5


@contextmanager
def progress_bar(job: Job, beside: Callable[[], str] = str) -> Generator[None]:
    """Shows what the job's process says in its status, and `beside` it whatever that
    says, for as long as this lasts."""
    # A well-kept library that is here anyway (SAELens, transformers).
    from tqdm import tqdm

    with tqdm(bar_format="{desc} {percentage:3.0f}%|{bar}| {postfix}") as bar:

        def look() -> None:
            status = job.status
            bar.total = max(1, status.total)
            bar.n = min(status.done, bar.total)
            bar.set_description_str(doing(status.state), refresh=False)
            speed = status.rate
            rate = f"{speed:,.0f} tokens/s" if speed else ""
            left = f"{status.eta_s:,.0f} s left" if status.eta_s else ""
            bar.set_postfix_str(", ".join(filter(None, (beside(), rate, left))))

        with looking(look, LOOK_EVERY_S):
            yield
