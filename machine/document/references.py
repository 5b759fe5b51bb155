"""Reusable Objects -> the component they stand for.

Looks things up in the plain values of a tree; never leaves the document and never follows text as a path. The ``$ref``
of input schemas is the matter of ``document/schemas.py``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

__all__ = ["component", "is_reusable"]

_REFERENCE: Final = re.compile(r"\$components\.([A-Za-z]+)\.([A-Za-z0-9.\-_]+)")


def is_reusable(item: Any) -> bool:
    """Whether a list entry is a Reusable Object; whatever else stands beside ``reference`` is to be ignored."""
    return isinstance(item, Mapping) and "reference" in item


def component(root: Any, kind: str, item: Any) -> Mapping[str, Any] | None:
    """The object of ``components/<kind>`` a Reusable Object names; None when it names none of that kind."""
    reference = item.get("reference") if isinstance(item, Mapping) else None
    found = _REFERENCE.fullmatch(reference) if isinstance(reference, str) else None
    if found is None or found[1] != kind:
        return None
    shelf: Any = root
    for name in ("components", kind, found[2]):
        shelf = shelf.get(name) if isinstance(shelf, Mapping) else None
    return shelf if isinstance(shelf, Mapping) else None
