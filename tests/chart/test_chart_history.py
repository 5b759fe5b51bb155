"""Records are enough to have a run again. ``tests/properties`` has random histories, ``test_edit`` edited ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from machine.chart.history import recompute
from machine.errors import UsageError
from machine.plan.model import Plan

STEPS = [{"stepId": "make", "operationId": "makeThing"}, {"stepId": "look", "operationId": "getThing"}]


@pytest.fixture
def run(drive: Any, built: Callable[..., Plan]) -> Any:
    return drive(built(STEPS)).reply(201, {}).reply(200, {})


def test_each_record_is_made_again_with_the_snapshot_it_led_to(run: Any) -> None:
    again = list(recompute(run.chart.begin(), run.records, lambda _: run.chart))

    assert [one.record for one in again] == run.records
    assert again[-1].snapshot == run.snapshot


def test_a_history_may_begin_where_another_one_stood(run: Any) -> None:
    *_, middle = recompute(run.chart.begin(), run.records[:2], lambda _: run.chart)
    (last,) = recompute(middle.snapshot, run.records[2:], lambda _: run.chart)

    assert last.snapshot == run.snapshot


def test_nothing_comes_of_no_records(run: Any) -> None:
    assert list(recompute(run.chart.begin(), [], lambda _: run.chart)) == []


def test_what_cannot_have_happened_is_no_history(run: Any) -> None:
    twice = [*run.records, replace(run.records[-1], seq=4)]

    with pytest.raises(UsageError):
        list(recompute(run.chart.begin(), twice, lambda _: run.chart))
