"""A run that ended badly with something left, as its reports are made from it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from machine.runtime.result import Result
from machine.stores.base import RunHead


@pytest.fixture
def result_of(user_plan: Any) -> Callable[..., Result]:
    """``result_of(driven)`` -> what the run that was driven came to."""

    def make(driven: Any, *, held: bool = False) -> Result:
        head = RunHead(
            id="one",
            workflow="deploy",
            document="d",
            created=1.0,
            plan_sha256=driven.chart.plan_sha256,
            inputs_sha256="",
        )
        return Result.of(head, driven.chart, driven.snapshot, held=held)

    return make


@pytest.fixture
def failed(user_plan: Any, user_inputs: Any, drive: Any) -> Any:
    return drive(user_plan, user_inputs).endpoint("pending", 201).endpoint("pending").endpoint("failed")
