"""Rules and their cases -> the conformance table, for the terminal and as a page of the documentation.

Run as a program it tries every case, prints the table and writes the page; it fails where a case does not come out as
its file says. The page itself depends on the data files alone, so that a test can tell whether it is current.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

from cases import Case, Rule, read_rules  # noqa: E402

__all__ = ["PAGE", "UNSEEN", "render"]

PAGE = ROOT / "docs" / "conformance.md"

UNSEEN: Mapping[str, str] = {"DOC-18": "a document is given as a file, so no media type ever reaches the engine"}
"""Rules without a case, each with the reason why nothing of it can be observed."""

_GROUPS = (
    ("DOC", "Documents"),
    ("SRC", "Source descriptions"),
    ("WF", "Workflows"),
    ("STEP", "Steps"),
    ("PAR", "Parameters"),
    ("BODY", "Request bodies"),
    ("CRIT", "Criteria"),
    ("ACT", "Actions"),
    ("CMP", "Components"),
    ("EXP", "Runtime expressions"),
    ("SEL", "Selectors"),
    ("SCH", "Text and schemas"),
    ("A", "What the specification leaves open"),
    ("C", "Tolerances"),
    ("T", "The specification's examples"),
)
_INTRODUCTION = """\
# Conformance

Every rule of Arazzo 1.0 and 1.1 that can be observed from outside, each shown by cases: a document, its inputs and
scripted replies, and the calls, outputs and outcome that must come of it. `make conformance` tries them all and writes
this page. The cases are data that knows no engine, one file to a rule, in `tests/conformance/`; a `README.md` there
describes the format.

Rules named `A` settle what the specification leaves open, rules named `C` are tolerances: what many documents in the
world need, accepted and reported unless a document is compiled strictly. Rules named `T` follow the specification's
own examples.
"""


def render(rules: Sequence[Rule]) -> str:
    """The page, in Markdown. A case with a known gap counts as not passed."""
    cases = [case for rule in rules for case in rule.cases]
    gaps = [case for case in cases if case.gap]
    lines = [_INTRODUCTION, f"**{len(rules)} rules, {len(cases)} cases, {len(cases) - len(gaps)} passed.**"]
    for prefix, title in _GROUPS:
        group = [rule for rule in rules if rule.id.rstrip("0123456789").rstrip("-") == prefix]
        lines += ["", f"## {title}", "", "| rule | section | what | cases | passed |", "|---|---|---|---:|---:|"]
        for rule in group:
            name = ", ".join([rule.id, *rule.also])
            passed = sum(not case.gap for case in rule.cases)
            lines.append(f"| {name} | {rule.section} | {rule.title} | {len(rule.cases)} | {passed} |")
    lines += ["", "## Known gaps", ""]
    known = [f"- {rule.id}, {case.name}: {case.gap}" for rule in rules for case in rule.cases if case.gap]
    lines += known or ["None."]
    lines += ["", "## Without a case", "", *(f"- {name}: {reason}" for name, reason in UNSEEN.items())]
    return "\n".join(lines) + "\n"


def _try(case: Case) -> list[str]:
    from runner import differences, execute

    try:
        return differences(case, execute(case))
    except Exception as error:  # a crash is one more way not to conform
        return [f"{type(error).__name__}: {error}"]


def main() -> int:
    rules = read_rules()
    wrong = []
    for rule in rules:
        found = {case.name: _try(case) for case in rule.cases}
        passed = sum(not problems for problems in found.values())
        print(f"{rule.id:8} {rule.section[:44]:44} {rule.title[:72]:72} {len(found):3} {passed:3}")
        for case in rule.cases:
            if found[case.name] and not case.gap:
                wrong.append(f"{rule.id} {case.name}: {'; '.join(found[case.name])}")
            elif case.gap and not found[case.name]:
                wrong.append(f"{rule.id} {case.name}: passes, though a gap is noted: {case.gap}")
    cases = sum(len(rule.cases) for rule in rules)
    print(f"\n{len(rules)} rules, {cases} cases, {len(wrong)} not as their files say")
    print("\n".join(wrong))
    PAGE.write_text(render(rules))
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
