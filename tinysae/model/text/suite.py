"""Many prompts with the answer each should have: a table in, ranks and a summary out.

A suite's CSV has the columns `prompt` and `answer`; others are kept out of the way. It
is checked whole and row by row before the model runs.
"""

import csv
import io
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tinysae.errors import InputError, MissingError, TinysaeError
from tinysae.jobs.files import open_regular, shown_path
from tinysae.model.text.ranks import AnswerRanks, answer_ranks
from tinysae.render.visible import harmless

if TYPE_CHECKING:
    from tinysae.model.sources import LoadedModel

COLUMNS = ("prompt", "answer")
RESULT_COLUMNS = (*COLUMNS, "rank", "prob", "n_tokens", "top_token", "problem")
MAX_ROWS = 1_000
MAX_CHARACTERS = 5_000_000
# No character takes more in UTF-8.
MAX_BYTES = 4 * MAX_CHARACTERS
# Of one prompt or answer: several contexts of any model here.
MAX_CELL_CHARACTERS = 20_000


class Row(NamedTuple):
    """A prompt, and what should come next."""

    prompt: str
    answer: str


@dataclass(frozen=True)
class Result:
    """What became of a row: its ranks, or why there are none."""

    row: Row
    ranks: AnswerRanks | None
    problem: TinysaeError | None = None


@dataclass(frozen=True)
class Summary:
    """Of the rows that could be run, each counted by its answer's worst rank.

    Attributes:
        n: how many they are.
        n_problems: how many others there are.
        top_1: share whose answer is what greedy decoding says.
        top_5: share with every token among the five likeliest.
        mean_rank: the mean of the ranks, 0 the best.
    """

    n: int
    n_problems: int
    top_1: float
    top_5: float
    mean_rank: float


def read_csv(path: Path) -> list[Row]:
    """The rows of the suite's CSV at `path`, in UTF-8.

    Raises:
        MissingError: there is no such file, or it is none.
        InputError: it is too long, no UTF-8, or from `parse_csv`.
    """
    try:
        with open_regular(path) as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as problem:
        raise MissingError("suite_missing", file=shown_path(path)) from problem
    if len(data) > MAX_BYTES:
        raise InputError(
            "suite_too_large", n=f"> {MAX_CHARACTERS:,}", limit=f"{MAX_CHARACTERS:,}"
        )
    try:
        return parse_csv(data.decode("utf-8-sig"))
    except UnicodeDecodeError as problem:
        raise InputError("suite_not_utf8") from problem


def parse_csv(text: str) -> list[Row]:
    """The rows of a suite's CSV (comma, semicolon or tab), empty lines left out.

    Raises:
        InputError: it is too long, has other columns, or a row is not like the others;
            it names the row.
    """
    if len(text) > MAX_CHARACTERS:
        raise InputError(
            "suite_too_large", n=f"{len(text):,}", limit=f"{MAX_CHARACTERS:,}"
        )
    text = text.removeprefix("\ufeff")
    header = text.partition("\n")[0]
    delimiter = max(",;\t", key=header.count)
    # csv ends at a NUL; nothing that a person typed has one.
    lines = csv.reader(io.StringIO(text.replace("\0", "\ufffd")), delimiter=delimiter)
    try:
        names = [name.strip().lower() for name in next(lines, [])]
        if any(names.count(column) != 1 for column in COLUMNS):
            raise InputError("suite_columns", columns=", ".join(names)[:200])
        places = [names.index(column) for column in COLUMNS]
        rows: list[Row] = []
        for cells in lines:
            if not cells:
                continue
            if len(cells) != len(names):
                raise InputError(
                    "suite_row_cells",
                    row=f"{lines.line_num:,}",
                    n=len(cells),
                    expected=len(names),
                )
            rows.append(Row(*(cells[place] for place in places)))
    except csv.Error as problem:
        raise InputError("suite_not_csv", row=f"{lines.line_num:,}") from problem
    return checked(rows)


def checked(rows: Sequence[Row]) -> list[Row]:
    """`rows`, if they are some and not too many.

    Raises:
        InputError: none, or more than `MAX_ROWS`.
    """
    if not rows:
        raise InputError("suite_empty")
    if len(rows) > MAX_ROWS:
        raise InputError("suite_too_long", n=f"{len(rows):,}", limit=f"{MAX_ROWS:,}")
    return list(rows)


def shipped_suite() -> list[Row]:
    """Does the model remember the character's name? Another one is always there too."""
    path = files("tinysae.embedded") / "assets" / "suites" / "names.csv"
    return parse_csv(path.read_text(encoding="utf-8"))


def run_suite(
    model: "LoadedModel", rows: Iterable[Row], *, prepend_space: bool = True
) -> Iterator[Result]:
    """The result of each row, one at a time; a row that is not usable stops nobody."""
    for row in rows:
        try:
            if max(map(len, row)) > MAX_CELL_CHARACTERS:
                raise InputError("suite_cell_long", limit=f"{MAX_CELL_CHARACTERS:,}")
            ranks = answer_ranks(
                model, row.prompt, row.answer, prepend_space=prepend_space
            )
            yield Result(row, ranks)
        except InputError as problem:
            yield Result(row, None, problem)


def summary(results: Sequence[Result]) -> Summary | None:
    """The figures of `results`; None when no row could be run."""
    ranks = [each.ranks.rank for each in results if each.ranks is not None]
    if not ranks:
        return None
    return Summary(
        n=len(ranks),
        n_problems=len(results) - len(ranks),
        top_1=sum(rank < 1 for rank in ranks) / len(ranks),
        top_5=sum(rank < 5 for rank in ranks) / len(ranks),
        mean_rank=sum(ranks) / len(ranks),
    )


def to_csv(model: "LoadedModel", results: Iterable[Result]) -> str:
    """`results` as CSV, which `parse_csv` reads again as a suite; characters that act
    on what shows them are made visible."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(RESULT_COLUMNS)
    for row, ranks, problem in ((r.row, r.ranks, r.problem) for r in results):
        if ranks is None:
            writer.writerow([*row, "", "", "", "", str(problem)])
        else:
            best = model.token_text(ranks.top[0][0].token_id)
            figures = (ranks.rank, f"{ranks.prob:.6g}", len(ranks.tokens), best)
            writer.writerow([*row, *figures, ""])
    return harmless(text.getvalue())


class SuiteRun:
    """A suite that is being run: what is done is kept, whenever it is interrupted.

    A page is interrupted by every click; its next run goes on with `step`.

    Attributes:
        rows: what was asked for.
        results: those that are there, in the order of the rows.
        stopped: whether somebody pressed Stop before the end.
    """

    def __init__(
        self, model: "LoadedModel", rows: Sequence[Row], *, prepend_space: bool = True
    ) -> None:
        self.rows = checked(rows)
        self.results: list[Result] = []
        self.stopped = False
        self._stream = run_suite(model, self.rows, prepend_space=prepend_space)
        self._lock = threading.Lock()

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come."""
        return self.stopped or len(self.results) == len(self.rows)

    def step(self) -> bool:
        """Run one more row; False when there is none."""
        with self._lock:
            if self.is_over:
                return False
            self.results.append(next(self._stream))
            return True

    def stop(self) -> None:
        """End here; the results so far stay."""
        with self._lock:
            self.stopped = not self.is_over
