from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from machine.errors import DocumentError, Place
from machine.plan.extension import InputExtension, PollExtension, StepExtension, WorkflowExtension, parse_duration

HERE = Place(document="d.yaml", line=5, column=1)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (0, 0.0),
        (5, 5.0),
        (2.5, 2.5),
        ("7", 7.0),
        ("1.5", 1.5),
        ("0s", 0.0),
        ("30s", 30.0),
        ("500ms", 0.5),
        ("1h30m", 5400.0),
        ("1.5h", 5400.0),
        ("2d", 172800.0),
        (10**9, 1e9),
    ],
)
def test_a_duration_is_a_number_of_seconds_or_a_text_with_units(value: Any, seconds: float) -> None:
    assert parse_duration(value) == seconds


@pytest.mark.parametrize(
    "value",
    [
        *[
            "",
            "soon",
            "5 s",
            "-5s",
            "5s and 3m",
            "5s,3m",
            ".",
            "1.2.3",
            "1..5s",
            "s",
            "5x",
            "²",
            "9" * 400 + "y",
            "1e3",
        ],
        *[-1, -0.5, float("inf"), float("nan"), 10**400, True, None, [], {}, [5]],
    ],
    ids=lambda value: repr(value)[:20],
)
def test_anything_else_is_no_duration(value: Any) -> None:
    with pytest.raises(ValueError, match="duration"):
        parse_duration(value)


@given(
    st.one_of(st.text(max_size=20), st.integers(), st.floats(), st.from_regex(r"[0-9.]{0,4}[a-zµ]{0,3}[0-9]?[a-z]?"))
)
def test_whatever_stands_there_is_a_duration_or_refused(value: Any) -> None:
    try:
        seconds = parse_duration(value)
    except ValueError:
        return

    assert 0 <= seconds < float("inf")


def test_nothing_said_leaves_every_default() -> None:
    assert StepExtension.read({}, HERE) == StepExtension()
    assert WorkflowExtension.read({}, HERE) == WorkflowExtension()
    assert InputExtension.read({}, HERE) == InputExtension()
    assert StepExtension.read({"poll": {}}, HERE).poll == PollExtension()
    assert StepExtension.read({"effect": {}}, HERE).effect.kind is None
    assert StepExtension.read({"effect": {"onDoubt": "hold"}}, HERE).effect.kind is None


def test_everything_that_can_be_said_is_read() -> None:
    wait = [{"condition": "a == 1"}, {"condition": "$.b", "type": "jsonpath", "context": "$response.body"}]
    found = StepExtension.read(
        {
            "state": "watching",
            "poll": {
                "interval": "5s",
                "backoff": 2,
                "max": "1m",
                "jitter": 0,
                "visits": 9,
                "tolerate": 0,
                "wait": wait,
            },
            "unmatched": "end",
            "effect": {"kind": "create", "onDoubt": "hold"},
        },
        HERE,
    )

    assert (found.state, found.unmatched, found.effect.kind) == ("watching", "end", "create")
    assert found.poll is not None
    assert (found.poll.interval, found.poll.backoff, found.poll.max, found.poll.jitter) == (5.0, 2.0, 60.0, 0.0)
    assert (found.poll.visits, found.poll.tolerate) == (9, 0)
    assert [(one.condition, one.type, one.context, one.place) for one in found.poll.wait] == [
        ("a == 1", "simple", None, HERE),
        ("$.b", "jsonpath", "$response.body", HERE),
    ]
    assert WorkflowExtension.read(
        {"deadline": "2h", "calls": 5, "transitions": 6, "unmatched": "next", "actionInheritance": "replace"}, HERE
    ) == WorkflowExtension(deadline=7200.0, calls=5, transitions=6, unmatched="next", inheritance="replace")
    assert InputExtension.read({"secret": False, "from": "@env:X"}, HERE) == InputExtension(
        secret=False, origin="@env:X"
    )


@pytest.mark.parametrize(
    ("data", "word"),
    [
        ([], "an object is expected"),
        ({"state": ""}, "state"),
        ({"state": 5}, "state"),
        ({"unmatched": "stop"}, "one of next, end, fail"),
        ({"unmatched": []}, "unmatched"),
        ({"poll": 5}, "x-machine.poll: an object"),
        ({"poll": {"interval": "-1s"}}, "interval"),
        ({"poll": {"interval": 10**400}}, "interval"),
        ({"poll": {"backoff": 0.5}}, "backoff"),
        ({"poll": {"backoff": True}}, "backoff"),
        ({"poll": {"backoff": float("nan")}}, "backoff"),
        ({"poll": {"jitter": 1.5}}, "jitter"),
        ({"poll": {"visits": 0}}, "visits"),
        ({"poll": {"visits": 1.5}}, "visits"),
        ({"poll": {"visits": True}}, "visits"),
        ({"poll": {"tolerate": -1}}, "tolerate"),
        ({"poll": {"wait": {}}}, "wait"),
        ({"poll": {"wait": ["x"]}}, "x-machine.poll.wait"),
        ({"poll": {"wait": [{}]}}, "condition"),
        ({"poll": {"wait": [{"condition": "x", "type": "regex"}]}}, "type"),
        ({"poll": {"wait": [{"condition": "x", "more": 1}]}}, "'more'"),
        ({"poll": {"every": "5s"}}, "'every'"),
        ({"effect": {"kind": "risky"}}, "kind"),
        ({"effect": {"onDoubt": "guess"}}, "onDoubt"),
        ({"effect": {"probe": {}}}, "operationId"),
        ({"effect": {"probe": {"operationId": "x"}}}, "match"),
        ({"effect": {"probe": {"operationId": "x", "match": {"name": 1}}}}, "JSON Pointers"),
        ({"effect": {"probe": {"operationId": "x", "match": {"/n": 1}, "parameters": [{"name": "a"}]}}}, "parameter"),
        ({"effect": {"onDoubt": "probe"}}, "needs a probe"),
        ({"effect": {"onDoubt": "reissue"}}, "needs an idempotencyKey"),
        ({"effect": {"onConflict": "adopt"}}, "needs a probe"),
        ({"effect": {"settle": "-1s"}}, "settle"),
        ({"effect": {"idempotencyKey": {"in": "query"}}}, "in"),
        ({"effect": {"guess": True}}, "'guess'"),
        ({"deadline": "1h"}, "'deadline'"),
    ],
    ids=lambda value: str(value)[:50],
)
def test_what_a_step_may_not_say_is_refused_by_name(data: Any, word: str) -> None:
    with pytest.raises(DocumentError) as refused:
        StepExtension.read(data, HERE)

    assert refused.value.code == "AZM-P001"
    assert refused.value.place == HERE
    assert word in refused.value.message


@pytest.mark.parametrize(
    "data",
    [{"deadline": "x"}, {"calls": 0}, {"transitions": "5"}, {"actionInheritance": "both"}, {"poll": {}}],
    ids=str,
)
def test_what_a_workflow_may_not_say_is_refused(data: Any) -> None:
    with pytest.raises(DocumentError, match=next(iter(data))):
        WorkflowExtension.read(data, HERE)


@pytest.mark.parametrize(
    "data",
    [{"secret": "yes"}, {"from": "HF_TOKEN"}, {"from": "@cmd:rm"}, {"from": "@prompt"}, {"from": 5}, {"form": ""}],
    ids=str,
)
def test_what_an_input_may_not_say_is_refused(data: Any) -> None:
    with pytest.raises(DocumentError, match=next(iter(data))):
        InputExtension.read(data, HERE)


def test_everything_wrong_with_one_extension_is_told_at_once() -> None:
    bad = {"state": 1, "odd": 2, "poll": {"interval": "x", "jitter": 2, "odd": 3}, "effect": {"kind": "x"}}
    with pytest.raises(DocumentError) as refused:
        StepExtension.read(bad, HERE)

    assert len(refused.value.findings) == 6


def test_a_long_value_is_shown_short() -> None:
    with pytest.raises(DocumentError) as refused:
        StepExtension.read({"unmatched": "x" * 5000}, HERE)

    assert len(refused.value.message) < 300
