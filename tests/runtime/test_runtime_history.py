"""A stored run's history is had again from its own plans and its own start."""

from __future__ import annotations

from typing import Any

import pytest

from machine.errors import DamageError
from machine.plan.model import Plan
from machine.runtime.history import Charts, recomputed, start_of
from machine.runtime.token import Token, export_token
from machine.stores import MemoryStore

CREATED = 201, {"name": "my-endpoint", "status": {"state": "pending"}}
PENDING = 200, {"status": {"state": "pending"}}
RUNNING = 200, {"status": {"state": "running", "url": "https://x.example"}}


@pytest.fixture
def left(store: Any, make_runner: Any, scripted: Any, shipped_plan: Plan, deploy_inputs: Any) -> Any:
    """A runner whose run ``r`` polls."""
    runner = make_runner(store, transport=scripted(CREATED, PENDING, RUNNING, RUNNING), patience="wait")
    runner.start(shipped_plan, deploy_inputs, run_id="r").result()
    return runner


def test_a_run_comes_to_what_is_stored(store: Any, left: Any) -> None:
    stored, records = store.load("r"), store.history("r")
    again = list(recomputed(store, stored.head, records))

    assert [one.record for one in again] == records
    assert again[-1].snapshot.text() == stored.snapshot.text()


def test_a_run_begun_from_a_token_begins_with_what_the_token_held(store: Any, left: Any) -> None:
    token = Token.read(export_token(store, store.load("r"), left.plan_of(store.load("r"))))
    begun = left.adopt_token(token)
    begun.result()
    stored, records = store.load(begun.id), store.history(begun.id)
    again = list(recomputed(store, stored.head, records))

    assert start_of(store, stored.head, Charts(store)).text() == token.start.text()
    assert again[-1].snapshot.text() == stored.snapshot.text()
    assert len(records) < 4


def test_a_chart_is_made_once(store: Any, left: Any, shipped_plan: Plan) -> None:
    charts = Charts(store)

    assert charts(shipped_plan.sha256) is charts(shipped_plan.sha256)


def test_a_plan_that_is_gone_is_damage() -> None:
    with pytest.raises(DamageError):
        Charts(MemoryStore())("0" * 64)
