"""One place for what each code means, and every code that a finding can have is in it."""

from __future__ import annotations

import re
from pathlib import Path

from machine.expressions.grammar import TOLERANCES
from machine.plan.codes import CODES, advice_of, explain

PACKAGE = Path(__file__).resolve().parents[2] / "machine"
FILES = (
    "document/rules.py",
    "sources/operations.py",
    "sources/gather.py",
    "plan/handing.py",
    "plan/inspect.py",
    "plan/reader.py",
    "plan/sight.py",
    "chart/coverage.py",
)


def used() -> set[str]:
    texts = [(PACKAGE / name).read_text(encoding="utf-8") for name in FILES]
    return {f"AZM-{code}" for text in texts for code in re.findall(r'"(?:AZM-)?([DLPS][0-9]{3})"', text)}


def test_every_code_a_finding_can_have_is_explained() -> None:
    assert used() - set(CODES) == set()
    assert set(TOLERANCES) - set(CODES) == set()


def test_no_code_is_explained_that_nothing_has() -> None:
    texts = "".join(path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py") if path.name != "codes.py")
    unused = [code for code in CODES if code.startswith("AZM-") and f'"{code.removeprefix("AZM-")}"' not in texts]

    assert [code for code in unused if f'"{code}"' not in texts] == []


def test_explanations_are_sentences() -> None:
    assert all(one.why.endswith(".") and one.title for one in CODES.values())
    assert explain("AZM-D101") != ""
    assert explain("AZM-X999") == ""


def test_what_the_compiler_notes_about_a_reference_or_a_condition_comes_with_advice() -> None:
    tolerated = set(TOLERANCES) | {"C6", "C9"}

    assert [code for code in sorted(tolerated | {"AZM-P025", "AZM-P028", "AZM-P031"}) if not advice_of(code)] == []
    assert (advice_of("AZM-D101"), advice_of("AZM-X999")) == ("", "")
