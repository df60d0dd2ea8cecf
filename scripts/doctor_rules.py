"""Write docs/doctor.md from the doctor's rules.

    python scripts/doctor_rules.py

`tests/unit/test_doctor.py` fails while the file says anything else.
"""

import inspect
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tinysae.runs.doctor.diagnosis import Rule  # noqa: E402
from tinysae.runs.doctor.registry import RULES  # noqa: E402

DOCUMENT = "docs/doctor.md"
BEGINNING = """# What the doctor looks at

While a run trains, and when it is over, the page Train and
`python -m tinysae doctor RUN` say what is wrong with it: a sentence, the figures behind
it, and the settings that mend it, with a button that starts the mended run. Of a
healthy run nothing is said.

Each rule is a file of `tinysae/runs/doctor/rules/`; this page is written from them
(`python scripts/doctor_rules.py`). Before a third of a run nothing is judged. What a
run of an earlier version does not know is not held against it. Of what is found, the
most serious comes first (*lost*: nothing was learnt that is worth a look; *spoiled*: a
figure, or many features, are not what they could be; *better*: it could be better), and
where nothing was learnt only why. Of what is as serious, the cause comes before what it
causes: the order of this page. How often the doctor is right is measured by
`benchmarks/doctor.py`.
"""


def document() -> str:
    """The whole page."""
    return "\n".join([BEGINNING, *(map(_section, RULES.values()))])


def _section(rule: Rule) -> str:
    module = inspect.getmodule(rule.find)
    what = (module and module.__doc__ or "").partition("\n\n")[0]
    return "\n".join(
        (
            f"## {rule.key}",
            "",
            " ".join(what.split()),
            "",
            f"- **looks at**: {rule.formula}",
            f"- **speaks from**: {rule.bound}",
            f"- **remedy**: {rule.remedy}",
            f"- **source**: {rule.source}",
            f"- **seriousness**: {rule.seriousness.name.lower()}",
            "",
        )
    )


if __name__ == "__main__":
    (ROOT / DOCUMENT).write_text(document(), "utf-8")
