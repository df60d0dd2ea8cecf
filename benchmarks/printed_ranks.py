"""What TransformerLens's `test_prompt` prints, read back."""

import re
from typing import NamedTuple

_NUMBERS = r"Logit:\s*(-?[\d.]+) Prob:\s*([\d.]+)% Token: \|(.*)\|"
RANKED = re.compile(rf"Rank: (\d+)\s+{_NUMBERS}")
LISTED = re.compile(rf"Top (\d+)th token\. {_NUMBERS}")


class Printed(NamedTuple):
    rank: int
    logit: str
    prob: str
    token: str


def printed(text: str, pattern: re.Pattern[str]) -> list[Printed]:
    found = pattern.findall(text)
    return [Printed(int(rank), *others) for rank, *others in found]
