"""A look for vulnerabilities that was not made is never taken for a clean one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from audit import verdict

CLEAN: dict[str, Any] = {"name": "a", "version": "1", "vulns": []}
BAD: dict[str, Any] = {"name": "b", "version": "2", "vulns": [{"id": "PYSEC-1", "fix_versions": ["3"]}]}
OURS: dict[str, Any] = {"name": "arazzo-machine", "skip_reason": "not on the index"}
SKIPPED: dict[str, Any] = {"name": "c", "skip_reason": "no version"}


@pytest.mark.parametrize(
    ("dependencies", "code", "line"),
    [
        ([CLEAN, OURS], 0, "2 packages, no known vulnerability"),
        ([CLEAN, BAD], 1, "b 2: PYSEC-1, mended in 3"),
        ([CLEAN, SKIPPED], 2, "not audited: 1 of 2 packages, such as c: no version"),
    ],
)
def test_what_was_found_is_named(dependencies: list[Any], code: int, line: str) -> None:
    assert verdict(0, json.dumps({"dependencies": dependencies}), "") == (code, [line])


@pytest.mark.parametrize("out", ["", "[]", "{}", "<html>"])
def test_an_answer_that_cannot_be_read_is_no_clean_bill(out: str) -> None:
    assert verdict(1, out, "a\nConnectionError: no route") == (
        2,
        ["not audited: pip-audit ended with 1: ConnectionError: no route"],
    )
