"""Every spot of a workflow where something is read."""

from __future__ import annotations

from collections.abc import Callable

from machine.plan.reader import declared_names
from machine.plan.sites import sites_of
from machine.sources.description import Description


def test_every_spot_is_found_with_its_place_and_what_it_reads(describe_things: Callable[..., Description]) -> None:
    steps = [
        {
            "stepId": "s",
            "operationId": "makeThing",
            "parameters": [{"name": "q", "in": "query", "value": "a {$inputs.x}"}],
            "requestBody": {"payload": {"a/b": [{"c": "$inputs.x"}, "plain"]}},
            "successCriteria": [
                {"condition": "$statusCode == 201 && $response.body#/a == $inputs.x"},
                {"condition": "=="},
            ],
            "outputs": {"o": "$response.body#/o", "broken": "$steps."},
            "onSuccess": [{"name": "n", "type": "end", "criteria": [{"condition": "$steps.s.outputs.o == 1"}]}],
        }
    ]
    workflow = {
        "outputs": {"r": "$steps.s.outputs.o"},
        "parameters": [{"name": "id", "in": "path", "value": "$inputs.y"}],
    }
    document = describe_things(steps, workflow=workflow, inputs={"x": {}, "y": {}}).document
    one = document.workflows[0]
    found = [
        (site.part, site.pointer.removeprefix("/workflows/0"), [str(each) for each in site.expressions], site.whole)
        for site in sites_of(document, one, declared_names(one, document))
    ]

    assert found == [
        ("parameter", "/steps/0/parameters/0/value", ["$inputs.x"], False),
        ("parameter", "/parameters/0/value", ["$inputs.y"], True),
        ("payload", "/steps/0/requestBody/payload/a~1b/0/c", ["$inputs.x"], True),
        ("criterion", "/steps/0/successCriteria/0", ["$statusCode", "$response.body#/a", "$inputs.x"], False),
        ("output", "/steps/0/outputs/o", ["$response.body#/o"], True),
        ("action", "/steps/0/onSuccess/0/criteria/0", ["$steps.s.outputs.o"], False),
        ("result", "/outputs/r", ["$steps.s.outputs.o"], True),
    ]
