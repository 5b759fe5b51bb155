"""Text -> Document: the whole way, on a document with one of everything and on what others published."""

from __future__ import annotations

import json
import os
from pathlib import Path
from time import process_time

import pytest

from machine.document.load import parse
from machine.document.model import Action, Parameter, Workflow
from machine.document.read import build_document, load_document
from machine.errors import DocumentError

SHARED = Path(os.environ.get("ARAZZO_MACHINE_SHARED", Path(__file__).parents[3] / "shared"))

TEXT = """\
arazzo: 1.1.0
info: {title: Orders, version: "3"}
sourceDescriptions:
  - {name: shop, url: ./shop.yaml, type: openapi}
  - {name: other, url: ./other.arazzo.yaml}
workflows:
  - workflowId: order
    summary: Place an order
    inputs: {$ref: '#/components/inputs/order'}
    dependsOn: [prepare]
    parameters:
      - reference: $components.parameters.page
        value: 7
      - reference: $components.parameters.size
    failureActions:
      - reference: $components.failureActions.again
    steps:
      - stepId: create
        operationId: createOrder
        timeout: 5000
        x-machine: {state: created}
        requestBody:
          contentType: application/json
          payload: {id: $inputs.id}
          replacements:
            - target: $.id
              targetSelectorType: {type: jsonpath, version: rfc9535}
              value: 1
        successCriteria:
          - condition: $statusCode == 201
          - context: $response.body
            condition: $[?@.id]
            type: {type: jsonpath, version: rfc9535}
        onSuccess: []
        outputs:
          id: $response.body#/id
          name: {context: $response.body, selector: $.name, type: jsonpath}
      - stepId: pay
        workflowId: $sourceDescriptions.other.pay
        dependsOn: [create]
        onFailure:
          - name: leave
            type: goto
            workflowId: prepare
            parameters: [{name: why, value: unpaid}]
            criteria: [{condition: $statusCode == 402}]
    outputs: {id: $steps.create.outputs.id}
  - workflowId: prepare
    x-machine: {deadline: 1h}
    steps:
      - stepId: only
        channelPath: $sourceDescriptions.shop#/channels/x
        action: receive
components:
  inputs:
    order: {type: object, properties: {id: {type: string}}}
  parameters:
    page: {name: page, in: query, value: 1}
    size: {name: size, in: query, value: 20}
  failureActions:
    again: {name: again, type: retry, retryAfter: 2, retryLimit: 3.0}
"""


@pytest.fixture
def order() -> Workflow:
    document, _ = load_document(TEXT, uri="orders.yaml")
    workflow = document.workflow("order")

    assert workflow is not None

    return workflow


def test_the_root_is_read() -> None:
    document, findings = load_document(TEXT.encode(), uri="orders.yaml")

    assert findings == ()
    assert (document.arazzo, document.minor, document.title, document.version) == ("1.1.0", "1.1", "Orders", "3")
    assert [(one.name, one.type) for one in document.sources] == [("shop", "openapi"), ("other", "")]
    assert (document.uri, document.sha256) == ("orders.yaml", parse(TEXT).sha256)
    assert document.tree["workflows"][1]["workflowId"] == "prepare"
    assert document.workflow("nobody") is None


def test_a_workflow_is_read(order: Workflow) -> None:
    assert order.summary == "Place an order"
    assert order.depends_on == ("prepare",)
    assert order.outputs == {"id": "$steps.create.outputs.id"}
    assert (order.place.document, order.place.line, order.place.column) == ("orders.yaml", 7, 5)


def test_inputs_by_reference_are_resolved(order: Workflow) -> None:
    assert order.inputs == {"type": "object", "properties": {"id": {"type": "string"}}}


def test_a_value_beside_a_reference_replaces_that_of_the_parameter(order: Workflow) -> None:
    def plain(one: Parameter) -> tuple[str, str, object, int]:
        return one.name, one.location, one.value, one.place.line

    assert [plain(one) for one in order.parameters] == [("page", "query", 7, 12), ("size", "query", 20, 59)]


def test_an_action_by_reference_is_the_component(order: Workflow) -> None:
    (action,) = order.failure_actions

    assert (action.name, action.kind, action.type) == ("again", "failure", "retry")
    assert (action.retry_after, action.retry_limit) == (2.0, 3)
    assert isinstance(action.retry_limit, int)
    assert action.place.pointer == "/components/failureActions/again"


def test_a_step_is_read(order: Workflow) -> None:
    create, pay = order.steps

    assert (create.step_id, create.operation_id, create.timeout_ms) == ("create", "createOrder", 5000)
    assert create.extension == {"state": "created"}
    assert create.outputs["id"] == "$response.body#/id"
    assert create.outputs["name"]["selector"] == "$.name"
    assert (pay.workflow_id, pay.depends_on) == ("$sourceDescriptions.other.pay", ("create",))


def test_an_empty_list_of_actions_is_not_an_absent_one(order: Workflow) -> None:
    create, pay = order.steps

    assert (create.on_success, create.on_failure) == ((), None)
    assert pay.on_success is None


def test_a_request_body_is_read(order: Workflow) -> None:
    body = order.steps[0].request_body

    assert body is not None
    assert (body.content_type, body.payload, body.has_payload) == ("application/json", {"id": "$inputs.id"}, True)
    assert [(one.target, one.value, one.selector, one.version) for one in body.replacements] == [
        ("$.id", 1, "jsonpath", "rfc9535")
    ]
    assert order.steps[1].request_body is None


def test_a_null_payload_is_a_payload() -> None:
    text = TEXT.replace("payload: {id: $inputs.id}", "payload:")
    body = load_document(text)[0].workflows[0].steps[0].request_body

    assert body is not None
    assert (body.payload, body.has_payload) == (None, True)


def test_criteria_are_read_with_type_version_and_context(order: Workflow) -> None:
    simple, query = order.steps[0].success_criteria

    assert (simple.condition, simple.type, simple.version, simple.context) == ("$statusCode == 201", "simple", "", None)
    assert (query.type, query.version, query.context) == ("jsonpath", "rfc9535", "$response.body")


def test_an_action_is_read_with_its_criteria_and_parameters(order: Workflow) -> None:
    (action,) = order.steps[1].on_failure or ()

    assert isinstance(action, Action)
    assert (action.type, action.step_id, action.workflow_id) == ("goto", "", "prepare")
    assert (action.retry_after, action.retry_limit) == (None, None)
    assert [(one.name, one.location, one.value) for one in action.parameters] == [("why", "", "unpaid")]
    assert action.criteria[0].condition == "$statusCode == 402"


def test_a_step_on_a_channel_is_told_apart() -> None:
    document, _ = load_document(TEXT)
    step = document.workflows[1].steps[0]

    assert (step.channel_path, step.message_action) == ("$sourceDescriptions.shop#/channels/x", "receive")
    assert document.workflows[1].extension == {"deadline": "1h"}


def test_a_missing_component_is_told_with_every_other_error() -> None:
    text = TEXT.replace("parameters.size", "parameters.sise").replace("condition: $statusCode == 402", "conditon: x")
    with pytest.raises(DocumentError) as caught:
        load_document(text, uri="orders.yaml")

    codes = [one.code for one in caught.value.findings]

    assert sorted(codes) == ["AZM-D101", "AZM-D102", "AZM-D113"]
    assert caught.value.code == "AZM-D113"
    assert str(caught.value.findings[0]).startswith("orders.yaml:14:9: error AZM-D113 ")
    assert caught.value.findings[0].suggestion == "did you mean size?"


def test_warnings_are_returned_with_the_document() -> None:
    document, findings = load_document(TEXT.replace("arazzo: 1.1.0", "$schema: x\narazzo: 1.1.0"))

    assert document.title == "Orders"
    assert [(one.code, one.severity) for one in findings] == [("AZM-D101", "warning")]


def test_text_that_cannot_be_parsed_is_refused_with_the_code_of_the_reader() -> None:
    with pytest.raises(DocumentError) as caught:
        load_document("a: [", uri="orders.yaml")

    assert caught.value.code == "AZM-D003"


def test_a_tree_can_be_built_after_it_was_changed() -> None:
    tree = parse(TEXT)
    tree.value["info"]["title"] = "Laid over"

    assert build_document(tree)[0].title == "Laid over"


def test_a_component_used_often_is_built_once() -> None:
    steps = [
        {"stepId": f"s{n}", "operationId": "o", "onSuccess": [{"reference": "$components.successActions.done"}]}
        for n in range(2000)
    ]
    done = {"name": "done", "type": "end", "criteria": [{"condition": "$statusCode == 200"}] * 2000}
    text = json.dumps(
        {
            "arazzo": "1.0.1",
            "info": {"title": "t", "version": "1"},
            "sourceDescriptions": [{"name": "a", "url": "u"}],
            "workflows": [{"workflowId": "w", "steps": steps}],
            "components": {"successActions": {"done": done}},
        }
    )
    start = process_time()
    document, _ = load_document(text)
    took = process_time() - start
    first, last = document.workflows[0].steps[0].on_success, document.workflows[0].steps[-1].on_success

    assert first is not None
    assert last is not None
    assert first[0] is last[0]
    assert took < 5


def shared(*parts: str) -> Path:
    path = SHARED.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"{'/'.join(parts)} is not beside the checkout; set ARAZZO_MACHINE_SHARED")
    return path


def test_the_seed_document_loads_without_findings() -> None:
    path = shared("seed", "arazzo", "deploy-inference-endpoint.arazzo.yaml")
    document, findings = load_document(path.read_bytes(), uri=path.name)

    assert findings == ()
    assert [step.step_id for step in document.workflows[0].steps] == ["createEndpoint", "pollStatus"]


@pytest.mark.parametrize("minor", ["1.0", "1.1"])
@pytest.mark.parametrize("verdict", ["pass", "fail"])
def test_the_official_documents_are_told_apart(minor: str, verdict: str) -> None:
    wrong = []
    paths = sorted(shared("arazzo", "fixtures", minor, verdict).glob("*.yaml"))
    for path in paths:
        try:
            load_document(path.read_bytes(), uri=path.name)
            seen = "pass"
        except DocumentError:
            seen = "fail"
        if seen != verdict:
            wrong.append(path.name)

    assert paths
    assert wrong == []


def test_documents_of_others_load_or_are_refused_and_nothing_else() -> None:
    folder = shared("corpus")
    names = [row["document"] for row in json.loads((folder / "index.json").read_text())]
    refused = []
    for name in names:
        try:
            load_document((folder / name).read_bytes(), uri=name)
        except DocumentError as error:
            refused.append(error)

    assert all(error.place is not None and error.place.line for error in refused)
    assert len(refused) < 0.1 * len(names)
