"""Criteria: the draft's three conditions, what is refused at compile time, and storage under the same reading."""

from __future__ import annotations

import json
from typing import Any

import pytest

from machine.document.model import Criterion
from machine.errors import BugError, DocumentError, Place
from machine.expressions.criteria import CompiledCriterion, compile_criterion
from machine.expressions.evaluate import Context, ResponseView
from machine.values import MISSING, SecretRef

PLACE = Place(document="flow.yaml", pointer="/workflows/0/steps/1", line=120, column=11)
STATES = ["pending", "initializing", "updating", "updateFailed", "running", "paused", "failed", "scaledToZero"]
STARTING = "$.status.state == 'pending' || $.status.state == 'initializing'"
READY = "$.status.state == 'running'"


def criterion(condition: str, **fields: Any) -> Criterion:
    return Criterion(condition=condition, place=PLACE, **fields)


def jsonpath(condition: str, *, minor: str = "1.0", context: str | None = "$response.body") -> CompiledCriterion:
    return compile_criterion(criterion(condition, type="jsonpath", context=context), minor=minor)


def reply(body: Any, status: int = 200) -> Context:
    return Context(response=ResponseView(body=body), status=status)


@pytest.mark.parametrize("state", STATES)
def test_the_conditions_of_the_deploy_workflow_judge_every_state(state: str) -> None:
    context = reply({"status": {"state": state}})
    starting = jsonpath(STARTING).test(context)
    ready = jsonpath(READY).test(context)

    assert starting.truth is (state in ("pending", "initializing"))
    assert ready.truth is (state == "running")
    assert ready.why == f"{READY}: $.status.state was '{state}'"


@pytest.mark.parametrize(("status", "truth"), [(201, True), (200, False), (409, False)])
def test_the_created_condition_judges_the_status(status: int, truth: bool) -> None:
    verdict = compile_criterion(criterion("$statusCode == 201"), minor="1.0").test(reply({}, status))

    assert verdict.truth is truth
    assert verdict.why == f"$statusCode == 201: $statusCode was {status}"


@pytest.mark.parametrize(
    "body", [{}, {"status": None}, {"status": "running"}, [], "running", 0, {"status": {"state": 1}}]
)
def test_a_body_of_another_shape_passes_neither_condition(body: Any) -> None:
    assert not jsonpath(STARTING).test(reply(body)).truth
    assert not jsonpath(READY).test(reply(body)).truth


@pytest.mark.parametrize(
    ("body", "seen"),
    [(None, "null"), (MISSING, "absent"), (SecretRef("t"), "[secret t]")],
    ids=["null", "absent", "secret"],
)
@pytest.mark.parametrize("condition", ["$", "$.a == null", "$.a != 1"])
def test_a_context_that_is_not_there_fails(condition: str, body: Any, seen: str) -> None:
    verdict = jsonpath(condition).test(reply(body))

    assert not verdict.truth
    assert verdict.why == f"{condition}: its context $response.body was {seen}"


REFUSED = [
    (criterion("^(2", type="regex", context="$statusCode"), "AZM-E300", "no regular expression"),
    (criterion("^2", type="regex"), "AZM-E012", "context"),
    (criterion("//a[", type="xpath", context="$response.body"), "AZM-E310", "no XPath 3.1"),
    (criterion("//a", type="xpath", context="$response.body", version="4"), "AZM-E312", "'4'"),
    (criterion("//a", type="xpath", context="<a/>"), "AZM-E012", "context"),
    (criterion("x", type="cel"), "AZM-E011", "'cel' is not known"),
    (criterion("$.a", type="jsonpath"), "AZM-E012", "context"),
    (criterion("$.a", type="jsonpath", context="<a/>"), "AZM-E012", "context"),
    (criterion("$.a", type="jsonpath", context="$response.body", version="9"), "AZM-E013", "'9'"),
    (criterion("$.a", type="jsonpath", context="$response.x"), "AZM-E002", "names no part"),
    (criterion("$.a == ", type="jsonpath", context="$response.body"), "AZM-E100", "a value is missing"),
    (criterion("==", context="$response.body"), "AZM-E014", "an operator without the two values"),
    (criterion(" && "), "AZM-E014", "an operator without the two values"),
]


@pytest.mark.parametrize(
    ("one", "code", "words"), REFUSED, ids=[f"{one.type} {one.condition}" for one, _, _ in REFUSED]
)
def test_a_criterion_that_cannot_be_judged_is_refused_with_its_place(one: Criterion, code: str, words: str) -> None:
    with pytest.raises(DocumentError) as caught:
        compile_criterion(one, minor="1.0")

    assert caught.value.code == code
    assert words in caught.value.message
    assert caught.value.place == PLACE
    assert caught.value.next


STORED = [
    compile_criterion(criterion("$statusCode == 201"), minor="1.0"),
    compile_criterion(criterion('$response.body.a == "b"'), minor="1.0"),
    jsonpath(STARTING),
    jsonpath(READY, minor="1.1"),
    jsonpath("$.a[?@.b > 1]"),
    jsonpath("$[?@.b > 1]"),
    jsonpath("$[?@.b > 1]", minor="1.1"),
    jsonpath("$.cancel == true", context="$inputs"),
    jsonpath("$.a[?@.b == '{$inputs.b}']"),
    jsonpath("$..a == 1", minor="1.1"),
    compile_criterion(
        criterion("$[?@.b > 1]", type="jsonpath", context="$response.body"), minor="1.0", declares=lambda _, __: True
    ),
    compile_criterion(criterion("/a{$inputs.b}/i", type="regex", context="$statusCode"), minor="1.0"),
    compile_criterion(criterion("(", type="regex", context="$statusCode"), minor="1.1"),
    compile_criterion(
        criterion("/a[b = '{$inputs.b}']", type="xpath", context="$response.body", version="xpath-10"), minor="1.0"
    ),
    compile_criterion(criterion("/a[", type="xpath", context="$response.body"), minor="1.1"),
]


@pytest.mark.parametrize("one", STORED, ids=[f"{one.type} {one.reading} {one.text}" for one in STORED])
def test_a_stored_criterion_keeps_its_reading(one: CompiledCriterion) -> None:
    stored = json.loads(json.dumps(one.to_json()))

    assert CompiledCriterion.from_json(stored) == one
    assert CompiledCriterion.from_json(stored).to_json() == one.to_json()


@pytest.mark.parametrize("stored", [{}, {"condition": "$url", "reading": "magic", "tolerances": []}])
def test_a_stored_criterion_nobody_wrote_is_refused(stored: dict[str, Any]) -> None:
    with pytest.raises(BugError):
        CompiledCriterion.from_json(stored)


@pytest.mark.parametrize(
    ("condition", "label"),
    [
        (STARTING, "status.state == 'pending' || status.state == 'initializing'"),
        ("$.a\n  ==  'x  $.y'", "a == 'x  $.y'"),
        ("$.a == '" + "x" * 100 + "'", "a == '" + "x" * 74 + "..."),
    ],
)
def test_a_label_is_short_and_on_one_line(condition: str, label: str) -> None:
    assert jsonpath(condition).label == label


def test_references_tell_what_a_guard_depends_on() -> None:
    guard = jsonpath("$.n > $inputs.budget && $inputs.token != null")

    assert [str(one) for one in guard.references()] == ["$response.body", "$inputs.budget", "$inputs.token"]
    assert [str(one) for one in guard.compared()] == ["$response.body", "$inputs.budget"]


def test_tolerances_of_condition_and_context_are_told() -> None:
    assert jsonpath("$.a == true", context="$inputs").tolerances == ("C1", "C5")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("$statusCode = 200", "'=' is no operator"),
        ("$statusCode == ", "a value is missing"),
        ("$response.bdy == 1", "$response names no part"),
        ("($statusCode == 200", "a parenthesis is not closed"),
    ],
)
def test_a_simple_condition_that_cannot_be_read_fails_in_1_1_and_is_refused_in_1_0(text: str, why: str) -> None:
    later = compile_criterion(criterion(text), minor="1.1")
    again = CompiledCriterion.from_json(json.loads(json.dumps(later.to_json())))

    for one in (later, again):
        assert one.reading == "invalid"
        assert one.test(Context(status=200)).truth is False
        assert "cannot be read" in one.test(Context(status=200)).why
    assert why in later.notes[0]
    with pytest.raises(DocumentError):
        compile_criterion(criterion(text), minor="1.0")


@pytest.mark.parametrize("text", ["==", "$statusCode == 1 " + "|| 1 " * 1200, "(" * 70 + "1" + ")" * 70])
def test_a_condition_we_do_not_take_is_refused_in_1_1_too(text: str) -> None:
    with pytest.raises(DocumentError):
        compile_criterion(criterion(text), minor="1.1")


@pytest.mark.parametrize(
    ("text", "codes"),
    [("$[?@.a == 1]", ("C2",)), ("$[?count(@.a) > 1]", ("C2", "C3")), ("$.a[?@.b]", ())],
)
def test_what_a_strict_reading_sets_aside_is_told(text: str, codes: tuple[str, ...]) -> None:
    query = criterion(text, type="jsonpath", context="$response.body")
    strict = compile_criterion(query, minor="1.0", strict=True)

    assert (strict.reading, strict.tolerances, strict.set_aside) == ("rfc9535", (), codes)
    assert compile_criterion(query, minor="1.0").set_aside == ()
