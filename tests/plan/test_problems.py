from __future__ import annotations

import pytest

from machine.document.findings import Finding
from machine.errors import DocumentError, Place, UsageError
from machine.plan.problems import Problems

HERE = Place(document="d.yaml", pointer="/x", line=3, column=1)


def refuse(code: str, place: Place | None = HERE, seen: str = "") -> None:
    raise DocumentError("it is wrong", code=code, place=place, seen=seen, next="mend it")


def test_nothing_refused_means_nothing_to_report() -> None:
    problems = Problems()

    assert problems.attempt(lambda: 5) == 5
    assert problems.each([lambda: 1, lambda: 2]) == (1, 2)
    problems.report()


def test_every_refusal_is_kept_with_its_place_in_the_order_it_was_found() -> None:
    problems = Problems()

    assert problems.attempt(lambda: refuse("AZM-P901", seen="an apple")) is None
    assert problems.each([lambda: refuse("AZM-P902"), lambda: 2]) == (2,)
    with pytest.raises(DocumentError) as refused:
        problems.report()
    assert [(one.code, one.place, one.suggestion) for one in refused.value.findings] == [
        ("AZM-P901", HERE, "mend it"),
        ("AZM-P902", HERE, "mend it"),
    ]
    assert refused.value.findings[0].message == "it is wrong (seen: an apple)"


def test_the_findings_of_a_refusal_are_taken_over_and_told_once() -> None:
    found = tuple(Finding(code=code, severity="error", message="m", place=HERE) for code in ("AZM-P903", "AZM-P904"))
    many = DocumentError("two", code="AZM-P903", place=HERE, findings=found)
    problems = Problems()
    problems.keep(many)
    problems.keep(many)

    assert problems.findings == list(found)


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(DocumentError("lost", code="AZM-P905"), id="no-place"),
        pytest.param(UsageError("other", code="AZM-U900"), id="of-another-kind"),
    ],
)
def test_what_is_no_problem_of_a_place_in_the_document_is_raised(error: Exception) -> None:
    def broken() -> None:
        raise error

    with pytest.raises(type(error)):
        Problems().attempt(broken)
