"""Runs of the user's document, for what is asked of a chart."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from machine.plan.model import Plan


@pytest.fixture
def deploy(drive: Callable[..., Any], user_plan: Plan, user_inputs: dict[str, Any]) -> Callable[..., Any]:
    """``deploy(settings=...)``: a run of the user's document that has asked for its create."""
    return lambda **options: drive(user_plan, user_inputs, **options)
