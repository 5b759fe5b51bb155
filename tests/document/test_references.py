"""References inside one document: what they stand for, and when they stand for nothing."""

from __future__ import annotations

from typing import Any

import pytest

from machine.document.references import component, is_reusable

PAGE = {"name": "page", "value": 1}
ROOT: dict[str, Any] = {
    "components": {
        "parameters": {"page": PAGE, "a.b-c_d": PAGE, "odd": 1},
        "inputs": {"user": {"type": "object"}},
    }
}


@pytest.mark.parametrize(
    ("reference", "found"),
    [
        pytest.param("$components.parameters.page", PAGE, id="known"),
        pytest.param("$components.parameters.a.b-c_d", PAGE, id="dotted-name"),
        pytest.param("$components.parameters.Page", None, id="other-case"),
        pytest.param("$components.parameters.odd", None, id="not-an-object"),
        pytest.param("$components.inputs.user", None, id="other-kind"),
        pytest.param("components.parameters.page", None, id="no-dollar"),
        pytest.param("{$components.parameters.page}", None, id="braces"),
        pytest.param(7, None, id="not-a-string"),
    ],
)
def test_a_reusable_object_names_a_component_of_its_kind(reference: Any, found: Any) -> None:
    assert component(ROOT, "parameters", {"reference": reference}) is found


@pytest.mark.parametrize("root", [None, [], {}, {"components": []}, {"components": {"parameters": 1}}])
def test_a_document_without_components_has_none(root: Any) -> None:
    assert component(root, "parameters", {"reference": "$components.parameters.page"}) is None


@pytest.mark.parametrize(
    ("item", "expected"), [({"reference": "x", "name": "y"}, True), ({"name": "y"}, False), ("reference", False)]
)
def test_an_entry_with_a_reference_is_reusable(item: Any, expected: bool) -> None:
    assert is_reusable(item) is expected
