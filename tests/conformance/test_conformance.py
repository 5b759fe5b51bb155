"""Every rule of the language that can be observed, shown by data: what a document must come to under given replies."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest
from cases import FOLDER, Case, Rule, read_rules
from page import PAGE, UNSEEN, render
from runner import ASKED, Observed, differences, execute

RULES = read_rules()
CASES = [(rule, case) for rule in RULES for case in rule.cases]
NUMBERED = {"DOC": 20, "SRC": 7, "WF": 7, "STEP": 14, "PAR": 7, "BODY": 6, "CRIT": 12, "ACT": 11, "CMP": 6, "EXP": 8}
"""How many rules each part of the checklist has."""


@pytest.fixture(scope="module", autouse=True)
def _many_runs() -> Iterator[None]:
    """Hundreds of short runs leave little behind; looking for it would take a third of their time."""
    gc.disable()
    yield
    gc.enable()
    ASKED.close()


@pytest.mark.parametrize("rule", [pytest.param(rule, id=rule.id) for rule in RULES])
def test_documents_do_what_the_rule_says(rule: Rule) -> None:
    wrong = {case.name: differences(case, execute(case)) for case in rule.cases if not case.gap}

    assert {name: found for name, found in wrong.items() if found} == {}


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, id=f"{rule.id} {case.name}", marks=pytest.mark.xfail(reason=case.gap, strict=True))
        for rule, case in CASES
        if case.gap
    ],
)
def test_a_known_gap_is_still_there(case: Case) -> None:
    assert differences(case, execute(case)) == []


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, id=f"{rule.id} {case.name}")
        for rule, case in [pair for pair in CASES if pair[1].repliable and not pair[1].gap][::25]
    ],
)
def test_a_sample_does_the_same_over_http(case: Case) -> None:
    assert differences(case, execute(case, loopback=True)) == []


def test_every_rule_of_the_checklist_is_shown_or_cannot_be() -> None:
    wanted = {f"{part}-{number}" for part, last in NUMBERED.items() for number in range(1, last + 1)}
    wanted |= {f"A{number}" for number in range(1, 43)} | {f"C{number}" for number in range(1, 15)}
    shown = {name for rule in RULES for name in (rule.id, *rule.also)}

    assert wanted - shown == set(UNSEEN)


def test_the_page_of_the_documentation_is_current() -> None:
    assert PAGE.read_text() == render(RULES), "run `make conformance`"


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        pytest.param("outcom: ready", "outcome None", id="an-unknown-outcome"),
        pytest.param("outcome: ready\n  output: {}", "unknown fields: output", id="an-unknown-field"),
        pytest.param("outcome: ready\n  with: {gone: 1}", "asks for gone", id="a-filling-without-a-hole"),
        pytest.param("outcome: refused", "a refusal says of what", id="a-refusal-of-nothing"),
        pytest.param("outcome: ready\n  replies: [{stats: 1}]", "unknown fields of a reply", id="an-unknown-reply"),
        pytest.param("outcome: ready\n  at: nowhere", "stands on 0 lines", id="a-line-that-is-not-there"),
    ],
)
def test_a_misspelt_expectation_is_an_error(line: str, complaint: str, tmp_path: Path) -> None:
    (tmp_path / "common.yaml").write_text("{}")
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "DOC-1.yaml").write_text(
        f"rule: DOC-1\ntitle: T\nsection: S\ndocument: '{{}}'\ncases:\n- name: one\n  {line}\n"
    )

    with pytest.raises(ValueError, match=complaint):
        read_rules(tmp_path)


def test_every_difference_is_told() -> None:
    rule = next(rule for rule in RULES if rule.id == "ACT-11")
    case = rule.cases[0]
    seen = execute(case)
    other = Observed(outcome=seen.outcome, sent=seen.sent[:1], left=1)

    assert differences(case, seen) == []
    assert [text.partition(":")[0] for text in differences(case, other)] == ["replies", "path"]
    assert differences(case, Observed(outcome="failed"))[0].startswith("outcome: failed")


def test_every_data_file_is_described_by_its_rule() -> None:
    files = {path.stem for path in (FOLDER / "rules").iterdir()}

    assert files == {rule.id for rule in RULES}
    assert len(CASES) >= 250
