"""A credential is known by where it goes, and followed back to where it comes from."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from machine.plan.build import build_plan
from machine.plan.credentials import credentials_of, destinations, find_credentials
from machine.plan.model import Plan
from machine.sources.description import describe

THINGS: dict[str, Any] = {
    "openapi": "3.1.0",
    "info": {"title": "Things", "version": "1"},
    "servers": [{"url": "https://things.example/v1"}],
    "paths": {"/{id}": {"get": {"operationId": "getThing", "responses": {"200": {"description": "one"}}}}},
}


def step(name: str, operation: str = "getThing", *, uses: str = "", **more: Any) -> dict[str, Any]:
    """A step that sends ``uses`` as its credential."""
    parameters = [{"name": "Authorization", "in": "header", "value": uses}] if uses else []
    return {"stepId": name, "operationId": operation, "parameters": parameters, **more}


def login(**outputs: Any) -> dict[str, Any]:
    return step("login", outputs=outputs)


TOKEN = "$steps.login.outputs.token"


@pytest.mark.parametrize(
    ("steps", "places"),
    [
        pytest.param([login(token="$response.body#/access_token")], ["$response.body#/access_token"], id="a-body"),
        pytest.param([login(token="Bearer {$response.body#/t}")], ["$response.body#/t"], id="a-text"),
        pytest.param([login(token="$response.header.X-Token")], ["$response.header.X-Token"], id="a-header"),
        pytest.param([login(token="$response.body")], ["$response.body"], id="a-whole-body"),
        pytest.param([login(other="$response.body#/id", token="$response.body#/t")], ["$response.body#/t"], id="one"),
        pytest.param([login(token="$statusCode")], [], id="what-is-no-part-of-the-answer"),
        pytest.param([login(other="$response.body#/token")], [], id="what-nothing-sends"),
    ],
)
def test_the_part_of_an_answer_that_is_sent_as_a_credential_is_known(
    built: Callable[..., Plan], steps: list[Any], places: list[str]
) -> None:
    found = find_credentials(built([*steps, step("use", uses=f"Bearer {{{TOKEN}}}")]).calls)

    assert [str(one) for one in found.replies.get("login", ())] == places
    assert set(found.replies) <= {"login"}
    assert found.inputs == {}


@pytest.mark.parametrize(
    ("output", "uses", "place"),
    [
        ("$response.body", f"{TOKEN}#/a/b", "$response.body#/a/b"),
        ("$response.body#/a", f"{TOKEN}#/b", "$response.body#/a/b"),
        ("$response.body#/a", "$steps.login.outputs.token.b", "$response.body#/a/b"),
        ("$response.body#/a", "$steps.login.outputs#/token/b", "$response.body#/a/b"),
        ("$response.body", "$steps.login.outputs.token.b#/c", "$response.body#/b/c"),
    ],
)
def test_a_part_of_an_output_is_followed_to_that_part_of_the_answer(
    built: Callable[..., Plan], output: Any, uses: str, place: str
) -> None:
    found = find_credentials(built([login(token=output), step("use", uses=uses)]).calls)

    assert [str(one) for one in found.replies["login"]] == [place]
    assert found.outputs == {"login": {"token"}}


def test_a_credential_is_followed_through_the_outputs_of_other_steps(built: Callable[..., Plan]) -> None:
    steps = [
        login(token="$response.body#/t"),
        step("middle", outputs={"again": TOKEN, "sent": "$request.header.authorization"}, uses="$inputs.key"),
        step("use", uses="{$steps.middle.outputs.again} {$steps.middle.outputs.sent}"),
    ]
    found = find_credentials(built(steps).calls)

    assert [str(one) for one in found.replies["login"]] == ["$response.body#/t"]
    assert set(found.inputs) == {"key"}
    assert found.outputs == {"middle": {"again", "sent"}, "login": {"token"}}


@pytest.mark.parametrize(
    ("parameters", "inputs"),
    [
        ([{"name": "Authorization", "in": "header", "value": "$steps.a.outputs.x"}], {"x"}),
        ([{"name": "session", "in": "cookie", "value": "$steps.a.outputs.x"}], {"x"}),
        ([{"name": "Cookie", "in": "header", "value": "$steps.a.outputs.x"}], {"x"}),
        ([{"name": "proxy-authorization", "in": "header", "value": "$steps.a.outputs.x"}], {"x"}),
        ([{"name": "authorization", "in": "query", "value": "$steps.a.outputs.x"}], set()),
        ([{"name": "X-Other", "in": "header", "value": "$steps.a.outputs.x"}], set()),
    ],
)
def test_an_input_that_takes_a_detour_is_known_too(
    built: Callable[..., Plan], parameters: list[Any], inputs: set[str]
) -> None:
    steps = [step("a", outputs={"x": "Bearer {$inputs.x}"}), {**step("b"), "parameters": parameters}]

    assert set(built(steps, inputs={"x": {"type": "string"}}).secrets) == inputs


@pytest.mark.parametrize(
    ("output", "inputs"),
    [
        ("$request.body#/keys/0", {"x"}),
        ("$request.body#/keys/1/k", {"y"}),
        ("$request.body#/keys/2", set()),
        ("$request.body#/none", set()),
        ("$request.body.keys", {"x", "y"}),
        ("$request.body", {"x", "y", "z"}),
        ("$request.path.id", {"z"}),
        ("$request.query.id", set()),
        ("$request.header.x-key", {"h"}),
        ("$request.header.other", set()),
        ("$request.query.q", {"q"}),
        ("$request.query.Q", set()),
    ],
)
def test_what_is_quoted_of_a_request_is_followed_into_it(
    built: Callable[..., Plan], output: str, inputs: set[str]
) -> None:
    payload = {"keys": ["$inputs.x", {"k": "$inputs.y"}], "z": "$inputs.z"}
    make = step("make", "makeThing", outputs={"token": output})
    make["requestBody"] = {"contentType": "application/json", "payload": payload}
    make["parameters"] = [
        {"name": "id", "in": "path", "value": "$inputs.z"},
        {"name": "X-Key", "in": "header", "value": "$inputs.h"},
        {"name": "q", "in": "query", "value": "$inputs.q"},
    ]

    plan = built([make, step("use", uses="$steps.make.outputs.token")], workflow={"parameters": []})

    assert set(find_credentials(plan.calls).inputs) == inputs


def test_what_a_probe_sends_counts_as_well(built: Callable[..., Plan]) -> None:
    probe = {
        "operationId": "getThing",
        "parameters": [
            {"name": "id", "in": "path", "value": "x"},
            {"name": "Authorization", "in": "header", "value": "$inputs.x"},
        ],
    }
    probe["match"] = {"/a": 1}
    create = {"stepId": "make", "operationId": "makeThing", "x-machine": {"effect": {"probe": probe}}}

    assert built([create], inputs={"x": {"type": "string"}}, workflow={"parameters": []}).secrets == ("x",)


def test_outputs_that_quote_each_other_are_followed_to_an_end(built: Callable[..., Plan]) -> None:
    steps = [
        step("a", outputs={"x": "$steps.b.outputs.x#/p", "y": "$response.body#/y"}),
        step("b", outputs={"x": "$steps.a.outputs.x#/q", "y": "$steps.b.outputs.y"}),
        step("use", uses="{$steps.a.outputs.x} {$steps.a.outputs}"),
    ]
    found = find_credentials(built(steps).calls)

    assert [str(one) for one in found.replies["a"]] == ["$response.body#/y"]


# -- through other workflows -------------------------------------------------------------------------------------------


def several(**workflows: dict[str, Any]) -> Plan:
    """The plan of the first of these workflows, with all that it reaches."""
    document = {
        "arazzo": "1.0.1",
        "info": {"title": "A test", "version": "1"},
        "sourceDescriptions": [{"name": "things", "url": "things.json", "type": "openapi"}],
        "workflows": [
            {"workflowId": name, "parameters": [{"name": "id", "in": "path", "value": "one"}], **body}
            for name, body in workflows.items()
        ],
    }
    texts = {"w.json": json.dumps(document).encode(), "things.json": json.dumps(THINGS).encode()}
    return build_plan(describe("w.json", read=texts.__getitem__), workflow=next(iter(workflows)))


LOG_IN = {
    "steps": [step("login", outputs={"token": "$response.body#/t", "user": "$response.body#/u"})],
    "outputs": {"token": "$steps.login.outputs.token"},
}


@pytest.mark.parametrize(
    ("run", "uses"),
    [
        pytest.param({"stepId": "in", "workflowId": "child"}, "$steps.in.outputs.token", id="its-outputs"),
        pytest.param(
            {"stepId": "in", "workflowId": "child", "outputs": {"x": "$outputs.token"}},
            "Bearer {$steps.in.outputs.x}",
            id="outputs-of-its-own",
        ),
        pytest.param(
            {"stepId": "in", "workflowId": "child"}, "$workflows.child.outputs.token", id="the-workflow-by-name"
        ),
    ],
)
def test_a_token_a_workflow_hands_back_is_followed_into_it(run: dict[str, Any], uses: str) -> None:
    found = credentials_of(several(main={"steps": [run, step("use", uses=uses)]}, child=LOG_IN))

    assert {name: list(map(str, places)) for name, places in found.replies.items()} == {"login": ["$response.body#/t"]}


def test_a_token_that_is_handed_to_a_workflow_is_followed_out_of_it() -> None:
    use = {
        "inputs": {"type": "object", "properties": {"key": {"type": "string"}}},
        "steps": [step("use", uses="Bearer {$inputs.key}")],
    }
    main = {
        "steps": [
            step("login", outputs={"token": "$response.body"}),
            {
                "stepId": "in",
                "workflowId": "child",
                "parameters": [{"name": "key", "value": "$steps.login.outputs.token#/t"}],
            },
        ]
    }
    found = credentials_of(several(main=main, child=use))

    assert [str(one) for one in found.replies["login"]] == ["$response.body#/t"]
    assert found.outputs["login"] == {"token"}


@pytest.mark.parametrize("uses", ["$workflows.child.inputs.key", "Bearer {$workflows.child.inputs.key}"])
def test_a_token_that_is_read_back_from_what_a_workflow_was_given_is_followed_too(uses: str) -> None:
    child = {"inputs": {"type": "object", "properties": {"key": {"type": "string"}}}, "steps": [step("other")]}
    given = [{"name": "key", "value": "$steps.login.outputs.token#/t"}, {"name": "id", "value": "$inputs.id"}]
    main = {
        "steps": [
            step("login", outputs={"token": "$response.body"}),
            {"stepId": "in", "workflowId": "child", "parameters": given},
            step("use", uses=uses),
        ]
    }
    found = credentials_of(several(main=main, child=child))

    assert [str(one) for one in found.replies["login"]] == ["$response.body#/t"]
    assert set(found.inputs) == {"key"}


KEY_INPUT = {"type": "object", "properties": {"key": {"type": "string"}}}
USES_KEY = {"inputs": KEY_INPUT, "steps": [step("use", uses="Bearer {$inputs.key}")]}
GIVEN = [{"name": "key", "value": "$steps.login.outputs.token"}]


@pytest.mark.parametrize(
    "workflows",
    [
        pytest.param(
            {
                "main": {
                    "steps": [
                        login(token="$response.body#/t"),
                        {"stepId": "first", "workflowId": "other"},
                        {"stepId": "in", "workflowId": "child", "parameters": GIVEN},
                    ]
                },
                "other": {"steps": [step("more", outputs={"key": "$response.body#/wrong"})]},
                "child": USES_KEY,
            },
            id="the-second-of-two",
        ),
        pytest.param(
            {
                "main": {
                    "steps": [
                        login(token="$response.body#/t"),
                        {"stepId": "in", "workflowId": "middle", "parameters": GIVEN},
                    ]
                },
                "middle": {"inputs": KEY_INPUT, "dependsOn": ["child"], "steps": [step("more")]},
                "child": USES_KEY,
            },
            id="by-its-name-to-a-dependency",
        ),
    ],
)
def test_a_token_is_followed_out_of_the_workflow_it_was_handed_to_and_of_no_other(workflows: dict[str, Any]) -> None:
    found = credentials_of(several(**workflows))

    assert {name: list(map(str, places)) for name, places in found.replies.items()} == {"login": ["$response.body#/t"]}


def test_outputs_of_its_own_are_those_of_the_workflow_a_step_runs() -> None:
    other = {
        "steps": [step("more", outputs={"token": "$response.body#/wrong"})],
        "outputs": {"token": "$steps.more.outputs.token"},
    }
    main = {
        "steps": [
            {"stepId": "first", "workflowId": "other"},
            {"stepId": "in", "workflowId": "child", "outputs": {"x": "$outputs.token"}},
            step("use", uses="$steps.in.outputs.x"),
        ]
    }
    found = credentials_of(several(main=main, other=other, child=LOG_IN))

    assert set(found.replies) == {"login"}


@pytest.mark.parametrize(("depth", "known"), [(32, True), (33, False)])
def test_a_path_is_followed_32_members_deep_and_from_there_all_is_a_credential(
    built: Callable[..., Plan], depth: int, known: bool
) -> None:
    path = "/a" * depth
    found = find_credentials(built([login(token="$response.body"), step("use", uses=f"{{{TOKEN}#{path}}}")]).calls)

    assert [str(one) for one in found.replies["login"]] == [f"$response.body#{path}" if known else "$response.body"]


# -- where an input is sent --------------------------------------------------------------------------------------------

HERE, THERE = ("things", "https://things.example/v1"), ("others", "https://others.example")
INPUTS = {"type": "object", "properties": {"key": {"type": "string"}, "other": {"type": "string"}}}


def two_sources(*steps: dict[str, Any], others: list[dict[str, Any]]) -> Plan:
    """The plan of steps that may call either of two services, and of a workflow ``child`` they may run."""
    apis = {name: {**THINGS, "servers": [{"url": url}]} for name, url in (HERE, THERE)}
    child = {"workflowId": "child", "inputs": INPUTS, "steps": others}
    whole = {
        "arazzo": "1.0.1",
        "info": {"title": "t", "version": "1"},
        "sourceDescriptions": [{"name": name, "url": f"{name}.json", "type": "openapi"} for name in apis],
        "workflows": [{"workflowId": "w", "inputs": INPUTS, "steps": list(steps)}, child],
    }
    texts = {f"{name}.json": json.dumps(api).encode() for name, api in apis.items()}
    texts["w.yaml"] = json.dumps(whole).encode()
    return build_plan(describe("w.yaml", read=texts.__getitem__), workflow="w")


FIRST = "$sourceDescriptions.things.getThing"
SECOND = "$sourceDescriptions.others.getThing"
HANDED = [{"name": "other", "value": "$inputs.key"}]


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        pytest.param([step("a", FIRST), step("b", SECOND)], set(), id="nowhere"),
        pytest.param([step("a", FIRST, uses="$inputs.key"), step("b", SECOND)], {HERE}, id="to-one"),
        pytest.param([step("a", FIRST, uses="{$inputs#/key}"), step("b", SECOND)], {HERE}, id="by-a-pointer"),
        pytest.param(
            [step("a", FIRST, uses="$inputs.key"), step("b", SECOND, uses="$inputs.key")], {HERE, THERE}, id="to-both"
        ),
        pytest.param(
            [
                step("a", FIRST, uses="$inputs.key", outputs={"echo": "$response.body#/key"}),
                step("b", SECOND, uses="$steps.a.outputs.echo"),
            ],
            {HERE},
            id="an-answer-is-not-followed",
        ),
        pytest.param(
            [
                step("a", FIRST, uses="$inputs.key", outputs={"sent": "$request.header.Authorization"}),
                step("b", SECOND, requestBody={"payload": {"x": ["$steps.a.outputs.sent"]}}),
            ],
            {HERE, THERE},
            id="through-a-request-into-a-body",
        ),
        pytest.param([step("a", FIRST), step("b", SECOND, requestBody={"payload": "$inputs"})], {THERE}, id="all"),
        pytest.param(
            [
                step("a", FIRST),
                {"stepId": "b", "workflowId": "child", "parameters": HANDED},
            ],
            {THERE},
            id="through-another-workflow",
        ),
    ],
)
def test_the_servers_an_input_is_sent_to_are_known(steps: list[Any], expected: set[tuple[str, str]]) -> None:
    child = [{**step("in", SECOND, uses="$inputs.other")}]

    assert destinations(two_sources(*steps, others=child)).get(("w", "key"), set()) == expected


@pytest.mark.parametrize(("most", "told"), [(2, True), (1, False)])
def test_of_a_plan_with_too_many_servers_nothing_is_told(
    monkeypatch: pytest.MonkeyPatch, most: int, told: bool
) -> None:
    monkeypatch.setattr("machine.plan.credentials._MOST_SERVERS", most)
    plan = two_sources(step("a", FIRST, uses="$inputs.key"), step("b", SECOND), others=[step("in", SECOND)])

    assert destinations(plan) == ({("w", "key"): frozenset({HERE})} if told else {})
