"""The fate table held against the machine: whatever is answered, it does one of the things the table says."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from machine.chart.calling import entry_of
from machine.chart.chart import Chart
from machine.chart.effects import Call
from machine.chart.events import CallFailed, Replied, Reply
from machine.chart.fates import Fate, fates_of, may_send_credential
from machine.chart.snapshot import Frame
from machine.expressions.grammar import split_path
from machine.expressions.template import references
from machine.plan.build import build_plan
from machine.plan.model import CallPlan, Plan, State
from machine.runtime.evaluator import Evaluator
from machine.sources.description import Description
from machine.sources.model import Request
from machine.sources.nodes import File
from machine.sources.shapes import choices, put, sample
from machine.values import SecretRef, SecretText

ROOT: Final = Path(__file__).resolve().parents[2]
SHIPPED: Final = sorted((ROOT / "workflows/arazzo").glob("*.yaml"))
STATUSES: Final = (
    *(200, 201, 202, 204, 206, 299, 300, 301, 304, 400, 401, 403, 404, 408, 409, 410, 418, 422, 425, 429, 450, 499),
    *(500, 501, 502, 503, 504, 520, 599),
)
TRIES: Final = 30
"""Answers tried in each state."""
LITERAL: Final = re.compile(r"'([^']*)'|(?<![\w.#/$])(-?\d+)(?![\w.])|\b(true|false|null)\b")
ABSENT: Final = object()

OBJECT: Final = {
    "type": "object",
    "properties": {
        "state": {"type": "string", "enum": ["wait", "done", "bad"]},
        "mark": {"enum": ["on", "off", None]},
        "ready": {"type": "boolean"},
        "n": {"type": "integer"},
    },
}


def of(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"description": "it", "content": {"application/json": {"schema": schema}}}


API: Final = {
    "openapi": "3.1.0",
    "info": {"title": "x", "version": "1"},
    "paths": {
        "/a": {
            "get": {"operationId": "getA", "responses": {"200": of(OBJECT), "404": {}}},
            "put": {"operationId": "putA", "responses": {"200": {}}},
            "delete": {"operationId": "delA", "responses": {"204": {}}},
            "post": {"operationId": "postA", "responses": {"201": {}, "500": {}, "503": {}}},
            "head": {"operationId": "headA", "responses": {"200": of(OBJECT)}},
        },
        "/b": {"get": {"operationId": "getB", "responses": {"200": {}}}},
        "/ranges": {"get": {"operationId": "getRanges", "responses": {"200": of(OBJECT), "4XX": {}, "default": {}}}},
        "/root": {"get": {"operationId": "getRoot", "responses": {"200": of({"enum": ["x", "y"]})}}},
    },
}


def criteria(*conditions: str | Mapping[str, Any]) -> list[Any]:
    return [one if isinstance(one, Mapping) else {"condition": one} for one in conditions]


def end(name: str, *conditions: str) -> dict[str, Any]:
    return {"name": name, "type": "end", **({"criteria": criteria(*conditions)} if conditions else {})}


def goto(name: str, step: str, *conditions: str | Mapping[str, Any]) -> dict[str, Any]:
    return {"name": name, "type": "goto", "stepId": step, "criteria": criteria(*conditions)}


def retry(*conditions: str) -> dict[str, Any]:
    return {"name": "again", "type": "retry", "retryAfter": 0, "criteria": criteria(*conditions)}


def jsonpath(condition: str) -> dict[str, Any]:
    return {"context": "$response.body", "condition": condition, "type": "jsonpath"}


MODE: Final = {"inputs": {"type": "object", "required": ["mode"], "properties": {"mode": {"enum": ["fast", "slow"]}}}}
TOKEN: Final = {
    "inputs": {"type": "object", "required": ["token"], "properties": {"token": {"type": "string"}}},
    "parameters": [{"name": "Authorization", "in": "header", "value": "Bearer {$inputs.token}"}],
}
LATER: Final = {"stepId": "t", "operationId": "getB"}

CASES: Final[dict[str, tuple[list[dict[str, Any]], dict[str, Any]]]] = {
    "a member nobody lists": (
        [
            {
                "stepId": "s",
                "operationId": "getB",
                "successCriteria": criteria("$response.body#/ready == 'yes'"),
                "onFailure": [retry("$statusCode == 503")],
            }
        ],
        {},
    ),
    "a pattern, a query and a header": (
        [
            {
                "stepId": "s",
                "operationId": "getA",
                "successCriteria": criteria(
                    {"context": "$response.body#/name", "condition": "^bo?b$", "type": "regex"},
                    jsonpath("$.items[?@.n > 1]"),
                    "$response.header.x-name == 'bob' || $statusCode == 202",
                ),
            }
        ],
        {},
    ),
    "a loop that asks in two ways": (
        [
            {
                "stepId": "s",
                "operationId": "getB",
                "onSuccess": [
                    goto("again", "s", jsonpath("$.ready == false")),
                    end("fin", "$response.body#/ready == true"),
                ],
                "onFailure": [retry("$statusCode == 500"), end("e", "$statusCode >= 450")],
            }
        ],
        {"version": "1.0.1"},
    ),
    "values that are listed": (
        [
            {
                "stepId": "s",
                "operationId": "getA",
                "outputs": {"found": "$response.body#/state"},
                "onSuccess": [
                    goto("again", "s", "$response.body#/state == 'wait'"),
                    end("fin", "$steps.s.outputs.found == 'done' && $response.body.ready == true"),
                    end("off", "$response.body#/mark == null && $response.body#/n > 5"),
                ],
            }
        ],
        {},
    ),
    "a query about the object itself": (
        [
            {
                "stepId": "s",
                "operationId": "getA",
                "onSuccess": [
                    goto("again", "t", jsonpath("$[?@.state == 'wait']")),
                    goto("fin", "t", jsonpath("$[?@.state == 'done' && @.ready == true]")),
                    goto("many", "t", jsonpath("$[?@.n > 5]")),
                ],
            },
            LATER,
        ],
        {"version": "1.0.1"},
    ),
    "ranges and default": (
        [
            {
                "stepId": "s",
                "operationId": "getRanges",
                "onSuccess": [goto("u", "t", "$response.header.x-k == 'abc'")],
                "onFailure": [
                    goto("gone", "t", "$statusCode == 404"),
                    goto("broken", "t", "$statusCode >= 500"),
                    end("moved", "301 == $statusCode"),
                    end("odd", {"context": "$statusCode", "condition": "^41", "type": "regex"}),  # type: ignore[arg-type]
                ],
            },
            LATER,
        ],
        {},
    ),
    "an input with few values": (
        [
            {
                "stepId": "s",
                "operationId": "getA",
                "onSuccess": [
                    end("fast", "$response.body#/state == 'done' && $inputs.mode == 'fast'"),
                    end("slow", "$response.body#/state == 'done' && $inputs.mode == 'slow'"),
                    end("w", "$response.body#/state == 'wait'"),
                    end("b", "$response.body#/state == 'bad'"),
                ],
                "onFailure": [retry("$inputs.mode == 'slow'")],
            }
        ],
        {"workflow": MODE},
    ),
    "an earlier step's outputs": (
        [
            {"stepId": "s", "operationId": "getB", "outputs": {"want": "$response.body#/want"}},
            {
                "stepId": "t",
                "operationId": "getA",
                "successCriteria": criteria("$steps.s.outputs.want != 'bad'"),
                "onSuccess": [
                    goto("w", "s", "$response.body#/state == $steps.s.outputs.want"),
                    end("e", "$steps.s.outputs.want == 'x'"),
                    end("f", "$steps.s.outputs.want != 'x'"),
                ],
            },
        ],
        {},
    ),
    "a secret": (
        [
            {"stepId": "s", "operationId": "getA"},
            {"stepId": "t", "operationId": "getB", "onFailure": [end("f", "$statusCode == 403")]},
        ],
        {"workflow": TOKEN},
    ),
    "what may be a token": (
        [
            {"stepId": "s", "operationId": "getB", "outputs": {"t": "$response.body#/token"}},
            {
                "stepId": "t",
                "operationId": "getB",
                "parameters": [{"name": "X-T", "in": "header", "value": "$steps.s.outputs.t"}],
            },
        ],
        {},
    ),
    "calls that must not be repeated": (
        [
            {"stepId": "s", "operationId": "postA", "onFailure": [retry()]},
            {"stepId": "t", "operationId": "postA", "onFailure": [retry("$response.body#/again == true")]},
        ],
        {},
    ),
    "a loop of changes": (
        [
            {"stepId": "s", "operationId": "putA", "onSuccess": [goto("x", "t")]},
            {"stepId": "t", "operationId": "delA", "onSuccess": [goto("x", "s", "$response.body == null")]},
            {"stepId": "u", "operationId": "headA", "onSuccess": [end("x", "$response.body#/state == 'done'")]},
        ],
        {},
    ),
    "a value that is the body": (
        [
            {"stepId": "s", "operationId": "getRoot", "onSuccess": [end("d", "$response.body == 'x'")]},
            {"stepId": "t", "operationId": "getRoot", "onSuccess": [end("d", "$response.body#/z == 'x'")]},
        ],
        {"workflow": {"x-machine": {"unmatched": "next"}}},
    ),
}


@pytest.fixture(scope="module")
def case(built: Callable[..., Plan]) -> Callable[[str], Plan]:
    def build(name: str) -> Plan:
        steps, options = CASES[name]
        api = {**API, "paths": {path: dict(item) for path, item in API["paths"].items()}}  # type: ignore[attr-defined]
        return built(steps, **{"version": "1.1.0", "api": api, **options})

    return build


@pytest.mark.parametrize("name", CASES)
def test_a_run_does_one_of_the_things_the_table_says(
    case: Callable[[str], Plan], evaluator: Evaluator, name: str
) -> None:
    assert_true(case(name), evaluator)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name.partition(".")[0])
def test_the_tables_of_the_shipped_workflows_are_true(
    described: Callable[..., Description], evaluator: Evaluator, path: Path
) -> None:
    assert_true(build_plan(described(path, trusted=True)), evaluator)


def test_the_table_of_a_document_as_people_write_it_is_true(user_plan: Plan, evaluator: Evaluator) -> None:
    assert_true(user_plan, evaluator)


def assert_true(plan: Plan, evaluator: Evaluator) -> None:
    fates = fates_of(plan, ask=evaluator)
    chart = Chart(plan, evaluate=evaluator)
    for table in plan.tables():
        for state in table.states:
            if state.kind == "call":
                told = sum(_holds(chart, table, state, fates[state.id], number) for number in range(TRIES))
                assert told > TRIES / 3, f"{state.name}: the table says too little"


def _holds(chart: Chart, table: Plan, state: State, fates: Sequence[Fate], number: int) -> bool:
    """Answer once, and see that the table says so. Whether it says anything of such an answer."""
    chance = random.Random(f"{state.id} {number}")
    call = table.calls[state.step]
    pool = [*_literals(table, state, call), "text", 7]
    inputs = {one.name: _input(one, chance, pool) for one in table.inputs}
    inputs = {name: value for name, value in inputs.items() if value is not ABSENT}
    steps = {step: {name: chance.choice(pool) for name in one.outputs} for step, one in table.calls.items()}
    sent = chance.choice(may_send_credential(table, call))
    request = Request(
        source="x",
        method=call.operation.method,
        target="/",
        headers=(("authorization", SecretText((SecretRef("token"),))),) if sent else (),
    )
    pending = Call(step=call.step, request=request, kind=call.kind, not_before=0.0)
    frame = Frame(workflow=table.workflow, state=state.id, inputs=inputs, steps=steps)
    before = replace(chart.begin(), frames=(frame,), pending=pending)
    before = entry_of(pending, before) if call.unsafe else before
    event = _event(table, state, call, chance, pool)
    said = list(_said(fates, event, inputs))
    if not said:
        return False
    after, _, record = chart.advance(before, event)
    done = next(one for one in table.transitions if one.id == record.transition)
    doubt = after.stopped is not None and after.stopped.reason == "in_doubt" and done.stop != "in_doubt"
    assert (done.id, doubt) in {(one.transition.id, one.held) for one in said}, (state.name, event, inputs, steps, said)
    assert len(said) == 1 or all(one.depends for one in said)
    return True


def _event(table: Plan, state: State, call: CallPlan, chance: random.Random, pool: list[Any]) -> Replied | CallFailed:
    if chance.random() < 0.1:
        return CallFailed(at=0.0, fate="unknown", cause="timeout")
    if chance.random() < 0.1:
        return CallFailed(at=0.0, fate="not_sent", cause="refused")
    named = [int(one) for one in call.operation.responses if one.isdecimal()]
    status = chance.choice([*STATUSES, *named * 5])
    headers: dict[str, str] = {"retry-after": "1"} if chance.random() < 0.5 else {}
    headers |= {"x-name": str(chance.choice(pool)), "x-k": str(chance.choice(pool))}
    if status in (204, 304) or call.operation.method == "HEAD":
        return Replied(at=0.0, reply=Reply(status=status, headers=headers))
    key = next((one for one in (str(status), f"{status // 100}XX", "default") if one in call.operation.responses), "")
    schema = call.operation.reply_schemas.get(key)
    body = sample(schema) if schema is not None else {}
    listed = choices(schema) if schema is not None else {}
    read = {_tokens(one) for template in call.outputs.values() for one in references(template) if one.part == "body"}
    looked_at = {
        _tokens(one) for one in _expressions(table, state, call) if one.part == "body" and one.root == "response"
    }
    for tokens in sorted({*listed, *looked_at, *read, ("ready",), ("items",), ("name",)}):
        value = chance.choice([*listed.get(tokens, pool), *([] if tokens in read else [ABSENT])])
        if value is not ABSENT and (tokens or tokens in listed):
            body = put(body, tokens, value)
    return Replied(at=0.0, reply=Reply(status=status, headers=headers, body=body, form="json"))


def _said(fates: Sequence[Fate], event: Replied | CallFailed, inputs: Mapping[str, Any]) -> Iterator[Fate]:
    """What the table says of an answer."""
    statuses = {one.answer.status for one in fates}
    status = event.reply.status if isinstance(event, Replied) else 0
    if isinstance(event, CallFailed):
        names = ["no answer" if event.fate == "unknown" else "not sent"]
    else:
        cut = [one for one in statuses if re.fullmatch(r"\d{3}-\d{3}", one) and int(one[:3]) <= status <= int(one[4:])]
        names = [str(status), *cut, f"{status // 100}XX", "default", "any other"]
    name = next(one for one in names if one in statuses)
    body = event.reply.body if isinstance(event, Replied) else None
    for one in fates:
        if one.answer.status == name and all(
            _same(inputs.get(key[8:], ABSENT) if key.startswith("$inputs.") else _at(body, key), value)
            for key, value in one.answer.values.items()
        ):
            yield one


def _same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and bool(one == other)


def _at(body: Any, pointer: str) -> Any:
    for token in pointer.split("/")[1:]:
        body = body.get(token, ABSENT) if isinstance(body, dict) else ABSENT
    return body


def _input(one: Any, chance: random.Random, pool: list[Any]) -> Any:
    if one.secret:
        return SecretRef(one.name)
    listed = choices(File(value=one.schema).root).get((), ())
    absent = [] if one.required or "default" in one.schema else [ABSENT]
    return chance.choice([*(listed or pool), *absent])


def _expressions(table: Plan, state: State, call: CallPlan) -> list[Any]:
    found = [*call.success, *(one for edge in table.leaving(state.id) for one in edge.guard.criteria)]
    return [expression for one in found for expression in one.references()]


def _literals(table: Plan, state: State, call: CallPlan) -> Iterator[Any]:
    found = [*call.success, *(one for edge in table.leaving(state.id) for one in edge.guard.criteria)]
    for one in found:
        for text, number, word in LITERAL.findall(one.text):
            yield int(number) if number else {"true": True, "false": False, "null": None}[word] if word else text


def _tokens(expression: Any) -> tuple[str, ...]:
    return (*(split_path(expression.name) or ()), *expression.pointer)
