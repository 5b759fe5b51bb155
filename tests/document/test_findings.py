"""Findings: how one reads, and how the errors among many become one exception."""

from __future__ import annotations

import pytest

from machine.document.findings import Finding, Severity, raise_if_errors, strictly
from machine.errors import DocumentError, Place

PLACE = Place(document="doc.yaml", pointer="/a", line=3, column=5)


def finding(code: str, severity: Severity, suggestion: str = "") -> Finding:
    return Finding(code=code, severity=severity, message=f"{code} is odd", place=PLACE, suggestion=suggestion)


def test_a_finding_is_one_line_an_editor_can_jump_to() -> None:
    assert str(finding("AZM-D101", "error")) == "doc.yaml:3:5: error AZM-D101 AZM-D101 is odd"


def test_a_suggestion_ends_the_line() -> None:
    assert str(finding("AZM-D101", "warning", "did you mean b?")).endswith("is odd; did you mean b?")


def test_a_finding_as_json_has_every_field() -> None:
    assert finding("AZM-D101", "info", "so").to_json() == {
        "code": "AZM-D101",
        "severity": "info",
        "message": "AZM-D101 is odd",
        "place": PLACE.to_json(),
        "suggestion": "so",
        "fix": "",
    }


@pytest.mark.parametrize("severity", ["warning", "info"])
def test_without_errors_nothing_is_raised(severity: Severity) -> None:
    raise_if_errors([finding("AZM-D116", severity)])


def test_the_errors_become_one_exception_that_carries_the_warnings() -> None:
    told = [
        finding("AZM-D116", "warning"),
        finding("AZM-D102", "error", "add it"),
        finding("AZM-D101", "error"),
        finding("AZM-D100", "info"),
    ]
    with pytest.raises(DocumentError) as caught:
        raise_if_errors(told)

    assert caught.value.code == "AZM-D102"
    assert caught.value.message == "2 errors, the first: AZM-D102 is odd"
    assert (caught.value.place, caught.value.next) == (PLACE, "add it")
    assert caught.value.findings == tuple(told[:3])


def test_a_single_error_is_told_without_a_count() -> None:
    with pytest.raises(DocumentError, match=r"^doc\.yaml:3:5 /a: AZM-D101 is odd"):
        raise_if_errors([finding("AZM-D101", "error")])


@pytest.mark.parametrize(
    ("code", "severity", "suggestion"),
    [("C8", "error", "leave out --strict to allow it"), ("C7", "error", "move it"), ("AZM-D116", "warning", "")],
)
def test_what_a_strict_reading_refuses_says_how_it_is_allowed(code: str, severity: str, suggestion: str) -> None:
    (found,) = strictly([finding(code, "warning", "move it" if code == "C7" else "")])

    assert (found.severity, found.suggestion) == (severity, suggestion)
