from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from machine.chart.snapshot import EXIT_CODES, Record, Snapshot
from machine.errors import DamageError, VersionError
from machine.plan.model import Plan
from machine.values import SecretRef


@pytest.fixture
def run(drive: Callable[..., Any], user_plan: Plan, user_inputs: dict[str, Any]) -> Any:
    """A run that has seen something of everything: an entry, outputs, a wait, a secret in an answer."""
    made = drive(user_plan, {**user_inputs, "$secret": "no mark"})
    made.endpoint("pending", 201).endpoint("pending").reply(503, {"token": SecretRef("hfToken")})
    return made


def again(text: str) -> Any:
    return json.loads(text)


def test_a_snapshot_read_back_is_the_same_to_the_byte(run: Any) -> None:
    text = run.snapshot.text()
    read = Snapshot.from_json(again(text))

    assert read == run.snapshot
    assert read.text() == text
    run.cancel()

    assert Snapshot.from_json(again(run.snapshot.text())) == run.snapshot
    assert Snapshot.from_json(again(run.chart.begin().text())) == run.chart.begin()


def test_a_record_read_back_is_the_same_to_the_byte(run: Any) -> None:
    for record in run.cancel().records:
        text = json.dumps(record.to_json())

        assert Record.from_json(again(text)) == record
        assert json.dumps(Record.from_json(again(text)).to_json()) == text


def test_a_snapshot_says_whether_anything_may_have_been_applied(run: Any, drive: Callable[..., Any]) -> None:
    assert run.snapshot.applied
    assert not run.chart.begin().applied
    assert not drive(run.plan, run.snapshot.frame.inputs).reply(409).snapshot.applied
    assert drive(run.plan, run.snapshot.frame.inputs).reply(500).snapshot.applied


@pytest.mark.parametrize("version", [0, 2, None, "1"])
def test_another_format_is_refused_by_name(run: Any, version: Any) -> None:
    with pytest.raises(VersionError) as snapshot:
        Snapshot.from_json({**run.snapshot.to_json(), "v": version})
    with pytest.raises(VersionError) as record:
        Record.from_json({**run.records[0].to_json(), "v": version})

    assert (snapshot.value.code, record.value.code) == ("AZM-T013", "AZM-T015")


@pytest.mark.parametrize(
    "damage",
    [
        {"settings": {"speed": 1}},
        {"settings": None},
        {"frames": [{"workflow": "w"}]},
        {"frames": None},
        {"ledger": [{}]},
        {"ledger": 5},
        {"pending": {"effect": "call"}},
        {"pending": {"no": "effect"}},
        {"pending": {"effect": "finish", "reason": "ended"}},
        {"stopped": {"reason": "ended"}},
        {"stopped": 5},
    ],
    ids=str,
)
def test_what_is_no_snapshot_is_called_damaged(run: Any, damage: dict[str, Any]) -> None:
    with pytest.raises(DamageError) as refused:
        Snapshot.from_json({**run.snapshot.to_json(), **damage})

    assert refused.value.code == "AZM-T014"


@pytest.mark.parametrize(
    "field",
    [
        "plan_sha256",
        "seq",
        "moves",
        "settings",
        "frames",
        "entered",
        "workflows",
        "ledger",
        "calls",
        "pending",
        "stopped",
    ],
)
def test_a_snapshot_with_a_field_missing_is_called_damaged(run: Any, field: str) -> None:
    data = run.snapshot.to_json()
    del data[field]
    with pytest.raises(DamageError):
        Snapshot.from_json(data)


@pytest.mark.parametrize(
    "damage", [{"moves": [{}]}, {"moves": 5}, {"moves": []}, {"effects": [{}]}, {"effects": None}], ids=str
)
def test_what_is_no_record_is_called_damaged(run: Any, damage: dict[str, Any]) -> None:
    with pytest.raises(DamageError) as refused:
        Record.from_json({**run.records[0].to_json(), **damage})

    assert refused.value.code == "AZM-T016"


def test_every_reason_has_the_exit_code_that_says_so() -> None:
    assert {code: [reason for reason, one in EXIT_CODES.items() if one == code] for code in EXIT_CODES.values()} == {
        0: ["ended", "completed"],
        10: ["broke", "failure_action", "request"],
        11: ["unmatched"],
        12: ["deadline", "visits", "calls", "transitions", "tolerance"],
        13: ["in_doubt"],
        14: ["credential"],
        15: ["cancelled"],
    }
