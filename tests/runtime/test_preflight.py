from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from machine.errors import InputError
from machine.plan.build import build_plan
from machine.plan.model import Plan
from machine.runtime.http import Transport
from machine.runtime.preflight import first_request, hopeless, lacking, misfits, planned
from machine.runtime.reach import Reach
from machine.sources.description import describe
from machine.values import FileRef, SecretRef

Built = Callable[..., Plan]
MAKE = {"stepId": "make", "operationId": "makeThing", "requestBody": {"payload": "$inputs.body"}}
FLOW = {
    "arazzo": "1.0.1",
    "info": {"title": "A test", "version": "1"},
    "sourceDescriptions": [{"name": "things", "url": "things.json", "type": "openapi"}],
    "workflows": [{"workflowId": "w", "inputs": {"properties": {"body": {}}}, "steps": [MAKE]}],
}

ENDLESS = {"patternProperties": {"^(a|aa)+$": {}, "^(a|aa)+!$": {}}}


def api_with(api: dict[str, Any], schema: Any, **components: Any) -> dict[str, Any]:
    made = copy.deepcopy(api)
    made["paths"]["/things"]["post"]["requestBody"] = {
        "required": True,
        "content": {"application/json": {"schema": schema}},
    }
    made["components"]["schemas"] = components
    return made


@pytest.mark.parametrize(
    ("schema", "body", "expected"),
    [
        pytest.param({"type": "object"}, {}, 0, id="fits"),
        pytest.param({"type": "object", "required": ["a"]}, {}, 1, id="something-is-missing"),
        pytest.param({"$ref": "#/components/schemas/T"}, {"n": "x"}, 1, id="behind-a-reference"),
        pytest.param({"$ref": "#/components/schemas/T"}, {"n": 1, "t": {"n": "x"}}, 1, id="behind-its-own-reference"),
        pytest.param({"$ref": "#/components/schemas/nowhere"}, {"n": "x"}, 0, id="a-reference-to-nowhere"),
        pytest.param({"type": "string", "nullable": True}, None, 0, id="nullable-of-3.0"),
        pytest.param({"type": ["string", "null"]}, None, 0, id="null-of-3.1"),
        pytest.param({"minimum": 1, "exclusiveMinimum": True}, 1, 1, id="exclusive-of-3.0"),
        pytest.param({"exclusiveMinimum": 1}, 1, 1, id="exclusive-of-3.1"),
        pytest.param({"required": ["id"], "properties": {"id": {"readOnly": True}}}, {}, 0, id="read-only"),
        pytest.param({"pattern": "^(a+)+$"}, "a" * 40 + "!", 0, id="patterns-are-not-looked-at"),
        pytest.param({"type": 7, "enum": 8}, {}, 0, id="no-schema-at-all"),
        pytest.param({"enum": ["a"]}, "b", 1, id="another-word"),
        pytest.param({"items": {"type": "integer"}}, ["x"] * 99, 5, id="five-are-enough"),
        pytest.param({"$dynamicRef": "http://127.0.0.1:9/x"}, "b", 0, id="nothing-is-fetched"),
        pytest.param({"$id": "http://127.0.0.1:9/y", "not": {"$dynamicRef": "x"}}, "b", 1, id="nor-from-beside"),
        pytest.param({"$ref": 7, "$recursiveRef": "http://127.0.0.1:9/x"}, "b", 0, id="a-reference-that-is-none"),
        pytest.param({**ENDLESS, "additionalProperties": False}, {"a" * 60: 1}, 0, id="additional-beside-patterns"),
        pytest.param({**ENDLESS, "unevaluatedProperties": False}, {"a" * 60: 1}, 0, id="unevaluated-beside-patterns"),
        pytest.param({"additionalProperties": False}, {"a": 1}, 1, id="additional-without-patterns"),
        pytest.param(
            {"properties": {"default": {"type": "integer"}, "$id": {}}, "additionalProperties": False},
            {"default": "x", "$id": 1},
            1,
            id="properties-named-like-keywords",
        ),
        pytest.param({"multipleOf": 0}, 5, 0, id="a-division-by-nothing"),
        pytest.param({"items": {"anyOf": [{"type": "string"}] * 500}}, [[0] * 500] * 500, 0, id="too-many-steps"),
    ],
)
def test_a_body_that_does_not_fit_its_schema_is_told(
    built: Built, things_api: dict[str, Any], schema: Any, body: Any, expected: int
) -> None:
    kind = {"type": "object", "properties": {"n": {"type": "integer"}, "t": {"$ref": "#/components/schemas/T"}}}
    plan = built([MAKE], inputs={"body": {}}, api=api_with(things_api, schema, T=kind))
    first = first_request(plan, {"body": body})

    assert first is not None
    assert len(misfits(first)) == expected


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        pytest.param("{type: object, type: string}", ["type"], id="type"),
        pytest.param("{properties: {n: {type: integer}, n: {}}}", ["n"], id="member"),
        pytest.param("{properties: {title: {}, title: {}}}", ["title"], id="member-called-title"),
        pytest.param("{type: object, title: a, title: b, example: 1, example: 2}", [], id="words-about-it"),
    ],
)
def test_a_schema_in_which_a_key_stands_twice_says_nothing_of_a_body_and_that_is_told(
    things_api: dict[str, Any], schema: str, expected: list[str]
) -> None:
    texts = {
        "flow.json": json.dumps(FLOW).encode(),
        "things.json": json.dumps(api_with(things_api, "SCHEMA")).replace('"SCHEMA"', schema).encode(),
    }
    first = first_request(build_plan(describe("flow.json", read=texts.__getitem__)), {"body": {"n": 1}})

    assert first is not None
    told = misfits(first)
    assert len(told) == len(expected)
    for sentence, key in zip(told, expected, strict=True):
        assert sentence.startswith(
            f"its schema is not known: the key {key!r} stands twice in one object, at things.json:"
        )


def test_a_schema_that_refers_to_itself_many_times_takes_no_time(built: Built, things_api: dict[str, Any]) -> None:
    bomb = {"allOf": [{"$ref": "#/components/schemas/T"}] * 9}
    plan = built([MAKE], inputs={"body": {}}, api=api_with(things_api, bomb, T=bomb))
    first = first_request(plan, {"body": 1})

    assert first is not None
    assert misfits(first) == []


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        pytest.param({"type": "string"}, 0, id="it-is-a-text"),
        pytest.param({"type": "integer"}, 1, id="and-nothing-else"),
        pytest.param({"maxLength": 3}, 0, id="nobody-knows-how-long"),
        pytest.param({"enum": ["a", "b"]}, 0, id="nor-which"),
        pytest.param({"anyOf": [{"const": "a"}, {"minLength": 90}]}, 0, id="nor-of-what-kind"),
    ],
)
def test_a_secret_is_a_text_of_which_nothing_else_is_known(
    built: Built, things_api: dict[str, Any], schema: Any, expected: int
) -> None:
    plan = built([MAKE], inputs={"body": {}}, api=api_with(things_api, {"properties": {"k": schema}}))
    first = first_request(plan, {"body": {"k": SecretRef("k")}})

    assert first is not None
    assert len(misfits(first)) == expected


FIELDS = {
    "required": ["n"],
    "properties": {"n": {"type": "integer"}, "t": {"type": "string"}, "f": {"type": "string", "format": "binary"}},
}


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "multipart/form-data"])
@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param({"n": 1}, 0, id="fits"),
        pytest.param({"n": "1", "t": 5}, 0, id="reads-as-it-should"),
        pytest.param({"n": "one"}, 1, id="does-not"),
        pytest.param({"t": "x"}, 1, id="something-is-missing"),
        pytest.param({"n": None}, 1, id="null-is-not-sent"),
    ],
)
def test_the_fields_of_a_form_are_looked_at(
    built: Built, things_api: dict[str, Any], kind: str, fields: Any, expected: int
) -> None:
    api = copy.deepcopy(things_api)
    api["paths"]["/things"]["post"]["requestBody"] = {"content": {kind: {"schema": FIELDS}}}
    first = first_request(built([MAKE], inputs={"body": {}}, api=api), {"body": fields})

    assert first is not None
    assert len(misfits(first)) == expected


def test_a_file_fits_whatever_is_said_of_its_part(built: Built, things_api: dict[str, Any]) -> None:
    api = copy.deepcopy(things_api)
    api["paths"]["/things"]["post"]["requestBody"] = {"content": {"multipart/form-data": {"schema": FIELDS}}}
    file = FileRef("0" * 64, 7, "a/b", "x.bin", "/x.bin")
    plan = built([MAKE], inputs={"body": {}}, api=api)
    fits, misses = (first_request(plan, {"body": {"n": number, "f": file}}) for number in (1, "one"))

    assert fits is not None
    assert misses is not None
    assert misfits(fits) == []
    assert misfits(misses) == ["/n: 'one' is not of type 'integer'"]


def test_the_schema_is_that_of_the_type_that_is_sent(built: Built, things_api: dict[str, Any]) -> None:
    api = copy.deepcopy(things_api)
    api["paths"]["/things"]["post"]["requestBody"]["content"] = {
        "application/json": {"schema": {"required": ["whole"]}},
        "application/merge-patch+json": {"schema": {"required": ["part"]}},
    }
    step = {**MAKE, "requestBody": {"contentType": "application/merge-patch+json", "payload": "$inputs.body"}}
    first = first_request(built([step], inputs={"body": {}}, api=api), {"body": {"part": 1}})

    assert first is not None
    assert misfits(first) == []


def _parameter(name: str, location: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "in": location, "required": True, "schema": {}, **more}


@pytest.mark.parametrize(
    ("declared", "given", "expected"),
    [
        pytest.param([_parameter("q", "query")], [], ["query parameter 'q'"], id="query"),
        pytest.param([_parameter("X-A", "header")], [], ["header parameter 'X-A'"], id="header"),
        pytest.param([_parameter("c", "cookie")], [], ["cookie parameter 'c'"], id="cookie"),
        pytest.param([_parameter("q", "query", required=False)], [], [], id="not-required"),
        pytest.param([_parameter("q", "query")], [{"name": "q", "in": "query", "value": 0}], [], id="given"),
        pytest.param([_parameter("X-A", "header")], [{"name": "x-a", "in": "header", "value": "v"}], [], id="any-case"),
        pytest.param(
            [_parameter("q", "query")],
            [{"name": "q", "in": "query", "value": "$inputs.absent"}],
            ["query parameter 'q'"],
            id="nobody-gave-the-input",
        ),
        pytest.param([_parameter("Authorization", "header"), _parameter("Accept", "header")], [], [], id="ignored"),
        pytest.param([_parameter("X-Things", "header")], [], [], id="a-credential"),
    ],
)
def test_what_the_first_request_lacks_is_told(
    built: Built, things_api: dict[str, Any], declared: Any, given: Any, expected: list[str]
) -> None:
    api = copy.deepcopy(things_api)
    api["paths"]["/things"]["post"] |= {"parameters": declared, "security": [{"key": []}]}
    step = {"stepId": "make", "operationId": "makeThing", "parameters": given}
    first = first_request(built([step], inputs={"absent": {"type": "string"}}, api=api), {})

    assert first is not None
    assert lacking(first) == [f"POST /things requires the {one}, and it has no value" for one in expected]


def test_a_body_that_is_required_and_not_sent_is_told(built: Built, things_api: dict[str, Any]) -> None:
    step = {"stepId": "make", "operationId": "makeThing"}
    plan = built([step], api=api_with(things_api, {}))
    first = first_request(plan, {})

    assert first is not None
    assert "requires a body" in misfits(first)[0]


def test_a_first_request_that_cannot_be_built_is_refused(built: Built) -> None:
    step = {
        "stepId": "get",
        "operationId": "getThing",
        "parameters": [{"name": "id", "in": "path", "value": "$inputs.id"}],
    }
    plan = built([step], inputs={"id": {}})

    with pytest.raises(InputError) as caught:
        first_request(plan, {})

    assert (caught.value.code, caught.value.exit_code) == ("AZM-I010", 65)
    assert caught.value.message.startswith("the first request cannot be built: path parameter 'id': it has no value")
    assert caught.value.place == plan.calls["get"].place
    assert (
        caught.value.next == "nothing was sent; give the step a parameter 'id' with `in: path` whose value is not null"
    )


def test_behind_a_look_the_request_that_is_about_to_follow_is_looked_at(
    built: Built, things_api: dict[str, Any]
) -> None:
    probe = {
        "operationId": "getThing",
        "parameters": [{"name": "id", "in": "path", "value": "$inputs.id"}],
        "match": {"/n": "$inputs.n"},
    }
    step = {
        **MAKE,
        "requestBody": {"payload": {"n": "$inputs.n"}},
        "x-machine": {"effect": {"onDoubt": "probe", "probe": probe}},
    }
    schema = {"properties": {"n": {"type": "integer"}}}
    plan = built([step], inputs={"id": {}, "n": {}}, api=api_with(things_api, schema))
    first = first_request(plan, {"id": "x", "n": "no number"})

    assert first is not None
    assert (first.request.method, len(misfits(first))) == ("POST", 1)
    with pytest.raises(InputError):
        first_request(plan, {"n": 1})


def test_every_request_that_needs_no_answer_is_planned_with_secrets_by_name(
    built: Built, things_api: dict[str, Any]
) -> None:
    steps = [
        {
            "stepId": "make",
            "operationId": "makeThing",
            "parameters": [{"name": "Authorization", "in": "header", "value": "Bearer {$inputs.token}"}],
            "requestBody": {"payload": {"a": "$inputs.n", "key": "$inputs.token"}},
            "outputs": {"id": "$response.body#/id"},
        },
        {
            "stepId": "get",
            "operationId": "getThing",
            "parameters": [{"name": "id", "in": "path", "value": "$steps.make.outputs.id"}],
        },
        {"stepId": "put", "operationId": "putThing", "parameters": [{"name": "id", "in": "path", "value": ".."}]},
        {"stepId": "locked", "operationId": "getLocked"},
    ]
    plan = built(steps, inputs={"token": {"type": "string"}, "n": {}})
    reach = Reach(servers={}, secret_texts={}, prompt=None, transport=Transport)
    options = {"auth": {"things.key": "@env:NOT_READ"}}

    found = planned(plan, {"token": SecretRef("token"), "n": 1}, options, reach)

    make, get, put, locked = found
    assert make.to_json() == {
        "step": "make",
        "method": "POST",
        "url": "https://things.example/v1/things",
        "headers": [
            ["Authorization", "Bearer [secret token]"],
            ["Content-Type", "application/json"],
            ["User-Agent", "arazzo-machine"],
            ["Accept", "application/json, */*;q=0.5"],
        ],
        "body": '{"a": 1, "key": "[secret token]"}',
        "waitsFor": None,
    }
    assert (get.url, get.waits_for) == ("https://things.example/v1/things/{id}", "waits for $steps.make.outputs.id")
    assert put.waits_for.startswith("cannot be built: path parameter 'id'")
    assert ("X-Things", "[secret auth:things.key]") in locked.headers
    assert next(iter(make.lines())) == "make: POST https://things.example/v1/things"


def test_files_are_named_in_a_planned_body(built: Built, things_api: dict[str, Any]) -> None:
    api = copy.deepcopy(things_api)
    api["paths"]["/things"]["post"]["requestBody"] = {"content": {"multipart/form-data": {}}}
    step = {"stepId": "make", "operationId": "makeThing", "requestBody": {"payload": {"f": "$inputs.f"}}}
    reach = Reach(servers={}, secret_texts={}, prompt=None, transport=Transport)

    (one,) = planned(
        built([step], inputs={"f": {}}, api=api), {"f": FileRef("0" * 64, 7, "a/b", "x.bin", "/x.bin")}, {}, reach
    )

    assert "[file x.bin, 7 bytes]" in (one.body or "")
    assert json.dumps(one.to_json())


# -- what no run can do ------------------------------------------------------------------------------------------------

MADE_FIRST = {"stepId": "make", "operationId": "makeThing"}
BY_INPUT = [{"name": "id", "in": "path", "value": "$inputs.id"}]
LOOK = {"stepId": "look", "operationId": "getThing", "parameters": BY_INPUT}
MADE = {**MADE_FIRST, "outputs": {"id": "$response.body#/id"}}
BY_OUTPUT = [{"name": "id", "in": "path", "value": "$steps.make.outputs.id"}]
ENDS = [{"name": "enough", "type": "end", "criteria": [{"condition": "$statusCode == 202"}]}]
BROKEN = [{"name": "X-A", "in": "header", "value": "a\nb"}]


@pytest.mark.parametrize(
    ("steps", "inputs", "expected"),
    [
        pytest.param([MADE_FIRST, LOOK], {"id": "7"}, [], id="possible"),
        pytest.param([MADE_FIRST, LOOK], {}, [("look", True)], id="an-input-nobody-gave"),
        pytest.param([{**MADE_FIRST, "onSuccess": ENDS}, LOOK], {}, [("look", False)], id="an-end-before-it"),
        pytest.param(
            [MADE_FIRST, {"stepId": "b", "operationId": "listThings", "parameters": BROKEN}],
            {},
            [("b", True)],
            id="a-value-of-the-document",
        ),
        pytest.param([MADE, {**LOOK, "parameters": BY_OUTPUT}], {}, [], id="what-an-answer-decides"),
    ],
)
def test_a_call_that_cannot_be_made_is_known_before_anything_is_paid_for(
    built: Built, steps: Any, inputs: Any, expected: Any
) -> None:
    plan = built(steps, inputs={"id": {"type": "string"}})

    assert [(call.step, unavoidable) for call, _, unavoidable in hopeless(plan, inputs)] == expected
