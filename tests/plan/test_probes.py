"""The policy for doubt that is suggested: ready to be put there, and right where it is."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from machine.document.load import parse
from machine.plan.build import build_plan
from machine.plan.extension import StepExtension
from machine.plan.inspect import inspect
from machine.sources.description import Description

Json = dict[str, Any]


@pytest.fixture
def suggested(describe_things: Callable[..., Description]) -> Callable[..., tuple[str, str]]:
    def suggest(*steps: Json, **options: Any) -> tuple[str, str]:
        description = describe_things(steps, **options)
        found = inspect(description, build_plan(description))
        return next((one.suggestion, one.fix) for one in found if one.code == "AZM-L012")

    return suggest


def make(payload: Json, **fields: Any) -> Json:
    body = {"contentType": "application/json", "payload": payload}
    return {"stepId": "make", "operationId": "makeThing", "requestBody": body, **fields}


LOOK = {
    "stepId": "look",
    "operationId": "getThing",
    "parameters": [{"name": "id", "in": "path", "value": "$steps.make.outputs.made"}],
}


def values(fix: str) -> Json:
    tree = parse(fix)
    found: Json = tree.value["x-machine"]
    StepExtension.read(found, tree.place(""))
    probe = found["effect"]["probe"]
    return {one["name"]: one["value"] for one in probe["parameters"]}


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ({"key": "$inputs.a", "name": "$inputs.b"}, "$inputs.a"),
        ({"id": "$inputs.c"}, "$inputs.c"),
        ({"name": "$inputs.b"}, "$inputs.b"),
    ],
    ids=["what later steps name it by", "called like the parameter", "called like a name"],
)
def test_a_probe_names_the_thing_by_what_was_sent(suggested: Any, payload: Json, expected: str) -> None:
    _, fix = suggested(make(payload, outputs={"made": "$response.body#/key"}), LOOK, inputs={"a": {}, "b": {}, "c": {}})

    assert values(fix)["id"] == expected


def test_a_probe_is_found_though_no_step_calls_it(suggested: Any) -> None:
    _, fix = suggested(make({"id": "$inputs.a"}), inputs={"a": {}})

    assert "operationId: getThing" in fix


def test_the_suggestion_for_the_document_as_people_write_it_compiles_and_is_quiet(
    described: Callable[..., Description], user_document: Path, tmp_path: Path
) -> None:
    description = described(user_document)
    fix = next(one.fix for one in inspect(description, build_plan(description)) if one.code == "AZM-L012")
    changed = tmp_path / "changed.arazzo.yaml"
    indented = "".join(f"    {line}\n" for line in fix.splitlines())
    marker = "    operationId: createEndpoint\n"
    changed.write_text(user_document.read_text().replace(marker, marker + indented))
    again = described(changed)
    plan = build_plan(again)

    assert plan.calls["createEndpoint"].effect.on_doubt == "probe"
    assert "AZM-L012" not in [one.code for one in inspect(again, plan)]


def test_a_key_the_operation_takes_is_suggested_first(suggested: Any, things_api: Json) -> None:
    api = deepcopy(things_api)
    api["paths"]["/things"]["post"]["parameters"] = [{"name": "Idempotency-Key", "in": "header"}]
    _, fix = suggested(make({"id": "$inputs.a"}), inputs={"a": {}}, api=api)

    assert StepExtension.read(parse(fix).value["x-machine"], parse(fix).place("")).effect.key is not None


@pytest.mark.parametrize(
    "step",
    [
        {"stepId": "make", "operationId": "makeThing"},
        make({"color": "$inputs.a"}),
        make({"id": "fixed"}),
        {"stepId": "make", "operationId": "patchThing"},
    ],
    ids=["nothing sent", "nothing that names it", "a literal", "nothing below it"],
)
def test_where_nothing_can_be_made_out_no_yaml_is_made_up(suggested: Any, step: Json) -> None:
    suggestion, fix = suggested(step, inputs={"a": {}})

    assert "probe" in suggestion
    assert fix == ""
