"""What stands in a stored plan for a template: one form, and nothing else is read."""

from __future__ import annotations

from typing import Any

import pytest

from machine.errors import BugError, Place
from machine.expressions.stored import from_json, to_json
from machine.expressions.template import Declared, compile_template


def test_a_document_cannot_forge_a_stored_expression() -> None:
    template = compile_template({"expr": "x", "a": {"lit": 1}}, place=Place(), declared=Declared())
    stored = to_json(template)

    assert stored == {"object": {"expr": {"lit": "x"}, "a": {"object": {"lit": {"lit": 1}}}}}
    assert from_json(stored) == template


@pytest.mark.parametrize(
    "stored",
    [
        None,
        {},
        {"lit": {}},
        {"expr": 1},
        {"text": "x"},
        {"text": [1]},
        {"array": {}},
        {"object": []},
        {"lit": 1, "b": 2},
    ],
)
def test_a_stored_form_nobody_wrote_is_refused(stored: Any) -> None:
    with pytest.raises(BugError):
        from_json(stored)
