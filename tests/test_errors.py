from __future__ import annotations

import ast
import json
import re
from functools import cache
from pathlib import Path

import pytest

from machine import errors
from machine.document.findings import Finding
from machine.errors import DocumentError, MachineError, Place

PACKAGE = Path(errors.__file__).parent
CLASSES = [getattr(errors, name) for name in errors.__all__ if name != "Place"]


@pytest.mark.parametrize(
    ("place", "text"),
    [
        (Place(), ""),
        (Place(document="d.yaml"), "d.yaml"),
        (Place(document="d.yaml", line=3, column=5), "d.yaml:3:5"),
        (Place(document="d.yaml", pointer="/a/b", line=3, column=5), "d.yaml:3:5 /a/b"),
        (Place(pointer="/a"), "/a"),
    ],
    ids=str,
)
def test_a_place_is_written_the_way_editors_read_it(place: Place, text: str) -> None:
    assert str(place) == text


def test_an_error_is_one_line_with_place_message_what_was_seen_and_code() -> None:
    error = MachineError(
        "it is wrong", code="AZM-X001", place=Place(document="d", line=1, column=2), seen="an apple", next="eat it"
    )

    assert str(error) == "d:1:2: it is wrong (seen: an apple) [AZM-X001]"
    assert str(MachineError("it is wrong", code="AZM-X001")) == "it is wrong [AZM-X001]"
    assert error.to_json() == {
        "code": "AZM-X001",
        "message": "it is wrong",
        "place": {"document": "d", "pointer": "", "line": 1, "column": 2},
        "seen": "an apple",
        "next": "eat it",
    }


def test_a_document_error_carries_every_finding() -> None:
    found = (Finding(code="AZM-X002", severity="error", message="m", place=Place(document="d")),)
    error = DocumentError("two", code="AZM-X001", findings=found)

    assert [one["code"] for one in error.to_json()["findings"]] == ["AZM-X002"]
    assert json.loads(json.dumps(error.to_json())) == error.to_json()


@pytest.mark.parametrize("error", CLASSES, ids=lambda error: error.__name__)
def test_every_error_is_of_the_tree_and_has_the_exit_code_its_drawing_says(error: type[MachineError]) -> None:
    assert issubclass(error, MachineError)
    if error is not MachineError:
        drawn = re.search(rf"{error.__name__} +(\d+) ", errors.__doc__ or "")

        assert drawn is not None, f"{error.__name__} is missing from the drawing"
        assert int(drawn[1]) == error.exit_code


def test_the_drawing_shows_no_class_that_is_gone() -> None:
    drawn = set(re.findall(r"─ (\w+Error)", errors.__doc__ or ""))

    assert drawn == {one.__name__ for one in CLASSES} - {"MachineError"}


@cache
def codes() -> list[tuple[str, str]]:
    """(code, file) of every literal ``code=`` argument in the package."""
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.keyword) and node.arg == "code" and isinstance(node.value, ast.Constant):
                found.append((str(node.value.value), path.relative_to(PACKAGE).as_posix()))
    return found


def test_every_code_has_the_form_that_never_changes() -> None:
    odd = [(code, path) for code, path in codes() if not re.fullmatch(r"AZM-[A-Z][0-9]{3}", code)]

    assert odd == []
    assert len(codes()) > 50
