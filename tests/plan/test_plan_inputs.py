from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from machine.errors import DocumentError, InputError
from machine.plan.inputs import check_inputs, coerce
from machine.plan.model import InputPlan, Plan
from machine.runtime.evaluator import Evaluator
from machine.values import SecretRef


def step(name: str, operation: str = "getThing", **fields: Any) -> dict[str, Any]:
    return {"stepId": name, "operationId": operation, **fields}


def header(name: str, value: Any) -> dict[str, Any]:
    return {"parameters": [{"name": name, "in": "header", "value": value}]}


@pytest.fixture
def declared(user_plan: Plan) -> Callable[..., Plan]:
    """A plan whose inputs are these properties; nothing of it but the inputs is looked at."""

    def make(properties: dict[str, Any], *, secret: tuple[str, ...] = (), **schema: Any) -> Plan:
        required = schema.get("required", [])
        rows = tuple(
            InputPlan(name=name, schema=one, required=name in required, secret=name in secret)
            for name, one in properties.items()
        )
        return replace(user_plan, inputs=rows, input_schema={"type": "object", "properties": properties, **schema})

    return make


ASK = Evaluator()
"""Matches patterns, which needs no process of its own."""


def refusal(plan: Plan, given_inputs: dict[str, Any]) -> str:
    """The code with which these inputs are refused; empty when they fit."""
    try:
        check_inputs(plan, given_inputs, ask=ASK)
    except InputError as error:
        return error.code
    return ""


# -- which inputs are secret -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "schema", "why"),
    [
        ("x", {"type": "string", "format": "password"}, "format: password"),
        ("x", {"type": "string", "writeOnly": True}, "writeOnly"),
        ("x", {"type": "string", "writeOnly": "yes"}, ""),
        ("hfToken", {"type": "string"}, "its name says token"),
        ("token", {}, "its name says token"),
        ("HF_TOKEN", {"type": "string"}, "its name says token"),
        ("db-password", {"type": "string"}, "its name says password"),
        ("clientSecret", {"type": "string"}, "its name says secret"),
        ("apiKey", {"type": "string"}, "its name says api key"),
        ("APIKey", {"type": "string"}, "its name says api key"),
        ("api_key", {"type": "string"}, "its name says api key"),
        ("apikey", {"type": "string"}, "its name says apikey"),
        ("accessKey", {"type": "string"}, "its name says access key"),
        ("token", {"type": ["string", "null"]}, "its name says token"),
        ("token", {"type": "integer"}, ""),
        ("token", {"type": ["object", "null"]}, ""),
        ("pageToken", {"type": "string"}, ""),
        ("nextToken", {"type": "string"}, ""),
        ("maxTokens", {"type": "string"}, ""),
        ("tokenType", {"type": "string"}, ""),
        ("tokenId", {"type": "string"}, ""),
        ("tokenDate", {"type": "string"}, ""),
        ("tokenBudget", {"type": "string"}, ""),
        ("keyboard", {"type": "string"}, ""),
        ("secretary", {"type": "string"}, ""),
        ("publicKey", {"type": "string"}, ""),
        ("token", {"type": "string", "x-machine": {"secret": False}}, ""),
        ("x", {"type": "string", "format": "password", "x-machine": {"secret": False}}, ""),
        ("x", {"type": "string", "x-machine": {"secret": True}}, "x-machine.secret"),
        ("x", True, ""),
    ],
    ids=lambda value: json.dumps(value) if not isinstance(value, str) else value.replace(" ", "-"),
)
def test_a_secret_is_recognised_by_format_name_or_word_of_the_author(
    built: Callable[..., Plan], name: str, schema: Any, why: str
) -> None:
    (found,) = built([step("a")], inputs={name: schema}).inputs

    assert (found.name, found.secret, found.why_secret) == (name, bool(why), why)


@pytest.mark.parametrize(
    ("steps", "secret"),
    [
        pytest.param([step("a", **header("Authorization", "Bearer {$inputs.x}"))], ["x"], id="authorization"),
        pytest.param([step("a", **header("authorization", "Bearer $inputs.x"))], ["x"], id="without-braces"),
        pytest.param([step("a", **header("Proxy-Authorization", "$inputs.x"))], ["x"], id="proxy"),
        pytest.param([step("a", **header("Cookie", "s={$inputs.x}"))], ["x"], id="cookie"),
        pytest.param([step("a", "getLocked", **header("x-things", "$inputs.x"))], ["x"], id="named-by-a-scheme"),
        pytest.param([step("a", **header("X-Things", "$inputs.x"))], [], id="named-by-no-scheme-of-its-operation"),
        pytest.param([step("a", **header("X-Other", "$inputs.x"))], [], id="another-header"),
        pytest.param([step("a", **header("Authorization", "$inputs.x.part"))], ["x"], id="a-part-of-it"),
        pytest.param([step("a", **header("Authorization", "$inputs.x#/part"))], ["x"], id="a-pointer-into-it"),
        pytest.param([step("a", **header("Authorization", "{$inputs.x}:{$inputs.y}"))], ["x", "y"], id="two"),
    ],
)
def test_a_secret_is_recognised_by_where_it_flows(
    built: Callable[..., Plan], steps: list[dict[str, Any]], secret: list[str]
) -> None:
    plan = built(steps, inputs={"x": {"type": "string"}, "y": {"type": "string"}})

    assert list(plan.secrets) == secret
    assert [one.name for one in plan.inputs] == ["x", "y"]
    assert all("flows into header" in one.why_secret for one in plan.inputs if one.secret)


def test_an_input_that_flows_into_a_credential_opts_out_by_word_of_the_author(built: Callable[..., Plan]) -> None:
    plan = built([step("a", **header("Authorization", "$inputs.x"))], inputs={"x": {"x-machine": {"secret": False}}})

    assert plan.secrets == ()


def test_an_undeclared_input_that_flows_into_a_credential_is_known_as_a_secret(built: Callable[..., Plan]) -> None:
    plan = built([step("a", **header("Authorization", "$inputs.x"))])

    assert [(one.name, one.secret, one.required) for one in plan.inputs] == [("x", True, False)]


def test_the_secret_of_the_users_document_is_known_by_its_position(user_plan: Plan) -> None:
    (secret,) = (one for one in user_plan.inputs if one.secret)

    assert (secret.name, secret.required, secret.origin) == ("hfToken", True, "")
    assert secret.why_secret == "flows into header Authorization of createEndpoint"


@pytest.mark.parametrize("trusted", [True, False])
def test_only_a_trusted_document_says_where_a_secret_comes_from(built: Callable[..., Plan], trusted: bool) -> None:
    schema = {"type": "string", "x-machine": {"secret": True, "from": "@env:HF_TOKEN"}}
    plan = built([step("a")], inputs={"x": schema}, trusted=trusted)

    assert plan.inputs[0].origin == ("@env:HF_TOKEN" if trusted else "")


def test_the_shipped_document_names_its_variable(shipped_plan: Plan) -> None:
    assert {one.name: one.origin for one in shipped_plan.inputs if one.origin} == {"hfToken": "@env:HF_TOKEN"}


# -- guards on a secret ------------------------------------------------------------------------------------------------

GUARD_PLACES: list[tuple[str, Callable[[str], dict[str, Any]]]] = [
    ("success criteria", lambda text: {"successCriteria": [{"condition": text}]}),
    ("onSuccess", lambda text: {"onSuccess": [{"name": "x", "type": "end", "criteria": [{"condition": text}]}]}),
    ("onFailure", lambda text: {"onFailure": [{"name": "x", "type": "end", "criteria": [{"condition": text}]}]}),
    ("wait", lambda text: {"x-machine": {"poll": {"wait": [{"condition": text}]}}}),
]


@pytest.mark.parametrize(
    "where", [one[1] for one in GUARD_PLACES], ids=[one[0].replace(" ", "-") for one in GUARD_PLACES]
)
@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("$inputs.token == 'x'", False),
        ("'x' != $inputs.token", False),
        ("$inputs.token", False),
        ("$inputs.token.length > 5", False),
        ("$statusCode == 200 && $inputs.token > 3", False),
        ("$inputs.token == $response.body#/t", False),
        ("$inputs.token != null", True),
        ("$inputs.token == null || $statusCode == 200", True),
        ("$inputs.plain == 'x'", True),
    ],
)
def test_a_guard_may_hold_a_secret_only_against_null(
    built: Callable[..., Plan], where: Callable[[str], dict[str, Any]], text: str, allowed: bool
) -> None:
    inputs = {"token": {"type": "string"}, "plain": {"type": "string"}}
    if allowed:
        assert built([step("a", **where(text))], inputs=inputs).secrets == ("token",)
        return
    with pytest.raises(DocumentError) as refused:
        built([step("a", **where(text))], inputs=inputs)

    assert [one.code for one in refused.value.findings] == ["AZM-P030"]
    assert refused.value.findings[0].place.line > 0


def test_every_guard_on_a_secret_is_reported(built: Callable[..., Plan]) -> None:
    texts = ["$inputs.token == 'x'", "$inputs.secret == 'y'"]
    steps = [step(f"s{at}", successCriteria=[{"condition": text}]) for at, text in enumerate(texts)]
    with pytest.raises(DocumentError) as refused:
        built(steps, inputs={"token": {}, "secret": {}})

    assert [(one.code, one.place.pointer) for one in refused.value.findings] == [
        ("AZM-P030", f"/workflows/0/steps/{at}/successCriteria/0") for at in range(2)
    ]


# -- defaults and what is missing --------------------------------------------------------------------------------------


def test_defaults_are_applied_at_the_top_and_inside(declared: Callable[..., Plan]) -> None:
    inner = {"type": "object", "properties": {"a": {"default": 1}, "b": {"properties": {"c": {"default": [2]}}}}}
    plan = declared(
        {
            "plain": {"type": "string", "default": "main"},
            "given": {"type": "string", "default": "x"},
            "none": {"type": "string"},
            "zero": {"type": "integer", "default": 0},
            "null": {"default": None},
            "nested": inner,
            "filled": {**inner, "default": {"b": {}}},
        }
    )
    values, warned = check_inputs(plan, {"given": "y", "nested": {"b": {}, "z": 5}})

    assert values == {
        "given": "y",
        "plain": "main",
        "zero": 0,
        "null": None,
        "nested": {"a": 1, "b": {"c": [2]}, "z": 5},
        "filled": {"a": 1, "b": {"c": [2]}},
    }
    assert warned == ()


def test_a_default_never_fills_what_was_given_or_changes_it(declared: Callable[..., Plan]) -> None:
    given_value = {"a": None}
    plan = declared({"x": {"properties": {"a": {"default": 1}, "b": {"default": 2}}}})

    assert check_inputs(plan, {"x": given_value})[0] == {"x": {"a": None, "b": 2}}
    assert given_value == {"a": None}


def test_every_missing_input_is_named_at_once_with_what_to_type(user_plan: Plan) -> None:
    with pytest.raises(InputError) as refused:
        check_inputs(user_plan, {"namespace": "acme"})

    assert refused.value.code == "AZM-I001"
    assert refused.value.message == "missing inputs: hfToken, name, repository"
    assert refused.value.next == "-i hfToken=@env:VARIABLE -i name=VALUE -i repository=VALUE"


def test_inputs_nobody_declared_are_passed_on_with_a_warning(user_plan: Plan, user_inputs: dict[str, Any]) -> None:
    values, warned = check_inputs(user_plan, {**user_inputs, "extra": [1]})

    assert values["extra"] == [1]
    assert warned == ("input 'extra' is not declared and is passed on",)


def test_the_inputs_of_the_users_document_are_completed(user_plan: Plan) -> None:
    given_inputs = {"hfToken": SecretRef("hfToken"), "namespace": "a", "name": "b", "repository": "c"}
    values, _ = check_inputs(user_plan, given_inputs)

    assert values == {
        **given_inputs,
        "revision": "main",
        "task": "text-generation",
        "vendor": "aws",
        "region": "us-east-1",
    }


def test_a_secret_given_as_text_is_refused_and_not_shown(user_plan: Plan, user_inputs: dict[str, Any]) -> None:
    with pytest.raises(InputError) as refused:
        check_inputs(user_plan, {**user_inputs, "hfToken": "hf_canary"})

    assert refused.value.code == "AZM-I004"
    assert "hf_canary" not in str(refused.value.to_json())
    assert refused.value.next == "give a reference: -i hfToken=@env:VARIABLE"


@pytest.mark.parametrize("name", ["hf_token", "HFTOKEN", "hf-token"])
def test_a_secret_under_a_name_that_is_nearly_its_own_is_refused_and_not_shown(
    user_plan: Plan, user_inputs: dict[str, Any], name: str
) -> None:
    with pytest.raises(InputError) as refused:
        check_inputs(user_plan, {**user_inputs, name: "hf_the text"})

    assert refused.value.code == "AZM-I015"
    assert refused.value.next == "give a reference to the secret: -i hfToken=@env:VARIABLE"
    assert "the text" not in str(refused.value)


def test_a_required_list_of_odd_things_is_read_for_its_names(built: Callable[..., Plan]) -> None:
    schema = {"type": "object", "properties": {"a": {}}, "required": [["a"], {}, 5, "b"]}
    plan = built([step("s")], workflow={"inputs": schema})

    assert [(one.name, one.required) for one in plan.inputs] == [("a", False), ("b", True)]


# -- what fits ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("schema", "value", "problem"),
    [
        ({"type": "integer"}, "5", "input 'x' must be integer, not \"5\""),
        ({"type": ["integer", "null"]}, True, "input 'x' must be integer or null, not true"),
        ({"enum": ["a", 1]}, True, "input 'x' must be one of \"a\", 1"),
        ({"const": 1}, True, "input 'x' must be 1"),
        ({"type": "string", "minLength": 2}, "a", "input 'x' must have at least 2 characters"),
        ({"type": "string", "maxLength": 2}, "abc", "input 'x' must have at most 2 characters"),
        ({"type": "string", "pattern": "^[a-z]+$"}, "A", "input 'x' does not match ^[a-z]+$"),
        ({"type": "integer", "minimum": 3}, 2, "input 'x': 2 is less than the minimum of 3"),
        ({"type": "array", "items": {"type": "string"}}, ["a", 1], "input 'x/1': 1 is not of type 'string'"),
    ],
    ids=lambda value: json.dumps(value)[:40],
)
def test_what_does_not_fit_is_said_in_words(
    declared: Callable[..., Plan], schema: dict[str, Any], value: Any, problem: str
) -> None:
    with pytest.raises(InputError) as refused:
        check_inputs(declared({"x": schema}), {"x": value}, ask=ASK)

    assert (refused.value.code, refused.value.message) == ("AZM-I003", problem)


def test_everything_that_does_not_fit_is_said_at_once(declared: Callable[..., Plan]) -> None:
    plan = declared({"x": {"type": "integer"}, "y": {"type": "boolean"}, "z": {"type": "string"}})
    with pytest.raises(InputError) as refused:
        check_inputs(plan, {"x": "1", "y": 0, "z": "ok"})

    assert refused.value.message.count("must be") == 2


@pytest.mark.parametrize("more", [{}, {"minProperties": 1}], ids=["own-table", "jsonschema"])
def test_a_secret_has_no_text_to_be_checked(declared: Callable[..., Plan], more: dict[str, Any]) -> None:
    plan = declared({"x": {"type": "string", "minLength": 500, "pattern": "^a$"}}, secret=("x",), **more)

    assert check_inputs(plan, {"x": SecretRef("x")}, ask=ASK)[0] == {"x": SecretRef("x")}


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "nonsense"},
        {"type": []},
        {"type": 5},
        {"type": None},
        {"enum": 5},
        {"minLength": "3"},
        {"maxLength": None},
        {"pattern": "("},
        {"pattern": 5},
        {"$ref": "#/nowhere"},
        {"minimum": "low"},
        {"properties": 5},
        {"allOf": {}},
    ],
    ids=json.dumps,
)
def test_a_schema_that_makes_no_sense_is_an_input_error_and_never_a_crash(
    declared: Callable[..., Plan], schema: dict[str, Any]
) -> None:
    for value in ("text", 5, {}):
        assert refusal(declared({"x": schema}), {"x": value}) in ("", "AZM-I003")


KINDS = ["string", "boolean", "null", "number", "integer", "array", "object"]
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 3), st.sampled_from([0.0, 1.0, 1.5, -2.0]), st.text("aAé1", max_size=3)
)
VALUES = st.one_of(SCALARS, st.lists(SCALARS, max_size=2), st.dictionaries(st.sampled_from("ab"), SCALARS, max_size=2))
SCHEMAS = st.fixed_dictionaries(
    {},
    optional={
        "type": st.one_of(
            st.sampled_from(KINDS), st.lists(st.sampled_from(KINDS), min_size=1, max_size=3, unique=True)
        ),
        "enum": st.lists(VALUES, min_size=1, max_size=3),
        "const": VALUES,
        "minLength": st.integers(0, 3),
        "maxLength": st.integers(0, 3),
        "pattern": st.sampled_from(["a", "^a", "a$", "^[aé]+$", r"\d", ""]),
        "format": st.sampled_from(["password", "uuid"]),
        "description": st.just("d"),
        "x-other": st.just(1),
    },
)


@settings(max_examples=300)
@given(SCHEMAS, VALUES, st.sampled_from([{}, {"title": "t"}, {"type": "object"}]))
def test_the_own_table_accepts_exactly_what_jsonschema_accepts(
    base_plan: Plan, schema: dict[str, Any], value: Any, around: dict[str, Any]
) -> None:
    whole = {**around, "properties": {"x": schema}}
    plan = replace(base_plan, inputs=(InputPlan(name="x", schema=schema),), input_schema=whole)
    valid = jsonschema.Draft202012Validator(whole).is_valid({"x": value})

    assert refusal(plan, {"x": value}) == ("" if valid else "AZM-I003")


@pytest.fixture(scope="session")
def base_plan(user_plan: Plan) -> Plan:
    return user_plan


def test_simple_schemas_need_no_validator(declared: Callable[..., Plan], monkeypatch: pytest.MonkeyPatch) -> None:
    def loaded(*_: object, **__: object) -> None:
        raise AssertionError("the validator was asked")

    monkeypatch.setattr(jsonschema, "Draft202012Validator", loaded)
    plan = declared({"x": {"type": "string", "enum": ["a"], "x-machine": {}}, "y": {"type": ["integer", "null"]}})

    assert check_inputs(plan, {"x": "a", "y": None})[0] == {"x": "a", "y": None}
    with pytest.raises(InputError):
        check_inputs(plan, {"x": "b"})


# -- from the command line ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("schema", "text", "value"),
    [
        ({"type": "string"}, "5", "5"),
        ({}, "5", "5"),
        ({"type": ["string", "integer"]}, "5", "5"),
        ({"type": "integer"}, "5", 5),
        ({"type": "integer"}, "-5", -5),
        ({"type": "integer"}, "5.0", 5.0),
        ({"type": "number"}, "1.5", 1.5),
        ({"type": "boolean"}, "true", True),
        ({"type": ["boolean", "null"]}, "null", None),
        ({"type": "array"}, '[1, "a"]', [1, "a"]),
        ({"type": "object"}, '{"a": {"b": null}}', {"a": {"b": None}}),
    ],
    ids=str,
)
def test_a_text_becomes_what_the_schema_asks_for(
    declared: Callable[..., Plan], schema: dict[str, Any], text: str, value: Any
) -> None:
    found = coerce(declared({"x": schema}), "x", text)

    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("integer", "five"),
        ("integer", "5.5"),
        ("integer", "true"),
        ("integer", "9" * 5000),
        ("number", "NaN"),
        ("number", "-Infinity"),
        ("number", "1e999"),
        ("array", "[1e999]"),
        ("boolean", "yes"),
        ("boolean", "1"),
        ("null", "0"),
        ("array", "a,b"),
        ("array", "[" * 100_000),
        ("object", "[]"),
    ],
    ids=lambda text: text[:12],
)
def test_a_text_that_cannot_become_it_is_refused(declared: Callable[..., Plan], kind: str, text: str) -> None:
    with pytest.raises(InputError) as refused:
        coerce(declared({"x": {"type": kind}}), "x", text)

    assert refused.value.code == "AZM-I002"
    assert len(refused.value.seen) <= 80


@pytest.mark.parametrize("kind", ["strin", ["integer", "strin"], {"a": 1}], ids=str)
def test_an_input_of_a_type_there_is_none_of_is_no_mistake_of_who_typed_it(
    declared: Callable[..., Plan], kind: Any
) -> None:
    plan = declared({"x": {"type": kind}})

    assert coerce(plan, "x", "5") == "5"
    with pytest.raises(InputError, match=r"the input schema of .* cannot be used: .*there is no type") as refused:
        check_inputs(plan, {"x": "5"})
    assert "must be" not in str(refused.value)


def test_an_undeclared_input_is_told_with_the_one_that_may_be_meant(declared: Callable[..., Plan]) -> None:
    plan = declared({"replicas": {"type": "integer"}})

    assert check_inputs(plan, {"replica": 1, "z": 2})[1] == (
        "input 'replica' is not declared and is passed on; did you mean replicas?",
        "input 'z' is not declared and is passed on",
    )


def test_a_text_for_an_undeclared_input_stays_text(declared: Callable[..., Plan]) -> None:
    assert coerce(declared({}), "x", "5") == "5"


@given(st.text(max_size=30), st.sampled_from(KINDS))
def test_whatever_is_typed_fits_afterwards_or_is_refused(base_plan: Plan, text: str, kind: str) -> None:
    schema = {"type": kind}
    plan = replace(base_plan, inputs=(InputPlan(name="x", schema=schema),), input_schema={"properties": {"x": schema}})
    try:
        value = coerce(plan, "x", text)
    except InputError:
        return

    assert check_inputs(plan, {"x": value})[0] == {"x": value}


def test_a_schema_that_names_another_host_is_never_fetched(base_plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    def fetch(*_: Any, **__: Any) -> None:
        raise AssertionError("something was fetched")

    monkeypatch.setattr("urllib.request.urlopen", fetch)
    schema = {"properties": {"x": {"$ref": "http://127.0.0.1:9/schema.json"}}}
    plan = replace(base_plan, inputs=(InputPlan(name="x", schema=schema["properties"]["x"]),), input_schema=schema)
    with pytest.raises(InputError) as refused:
        check_inputs(plan, {"x": 1})

    assert "cannot be used: what it refers to leads nowhere" in refused.value.message
