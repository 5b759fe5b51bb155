from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from machine.document.findings import Finding
from machine.errors import Place
from machine.plan import inspect as inspection
from machine.plan.build import build_plan
from machine.plan.subject import Subject, say
from machine.sources.description import Description


@pytest.fixture
def subject(describe_things: Callable[..., Description], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Subject]:
    """What the rules get to see of a workflow of these steps."""

    def make(*steps: dict[str, Any]) -> Subject:
        seen: list[Subject] = []

        def rule(one: Subject) -> Iterator[Finding]:
            seen.append(one)
            yield from ()

        monkeypatch.setattr(inspection, "_RULES", (rule,))
        description = describe_things(steps)
        inspection.inspect(description, build_plan(description))
        return seen[0]

    return make


def test_what_may_be_called_after_a_step_is_read_off_the_table(subject: Callable[..., Subject]) -> None:
    repair = [{"name": "again", "type": "retry", "stepId": "c"}]
    done = [{"name": "done", "type": "end"}]
    found = subject(
        {"stepId": "a", "operationId": "listThings"},
        {"stepId": "b", "operationId": "listThings", "onFailure": repair, "onSuccess": done},
        {"stepId": "c", "operationId": "listThings"},
    )

    assert {step: after - {step} for step, after in found.after.items()} == {"a": {"b", "c"}, "b": {"c"}, "c": {"b"}}
    assert [step.step_id for step, _ in found.calls()] == ["a", "b", "c"]


@pytest.mark.parametrize(("code", "severity"), [("L020", "warning"), ("L012", "info"), ("L025", "error")])
def test_a_finding_weighs_what_its_code_weighs(code: str, severity: str) -> None:
    found = say(code, "this", Place(line=3), "do that")

    assert (found.code, found.severity, found.place.line) == (f"AZM-{code}", severity, 3)
