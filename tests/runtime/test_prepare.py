from __future__ import annotations

import dataclasses
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest

from machine.errors import CredentialError, InputError
from machine.plan.build import build_plan
from machine.plan.model import Plan
from machine.runtime.prepare import Prepared, prepare, refuse_secrets
from machine.runtime.secrets import Reference, SecretBook
from machine.sources.description import describe
from machine.values import SecretRef

DOCUMENT = """
arazzo: 1.0.1
info: {title: Inputs, version: 1.0.0}
sourceDescriptions: [{name: api, url: api.yaml, type: openapi}]
workflows:
- workflowId: inputs
  inputs:
    type: object
    required: [token, name]
    properties:
      token: {type: string, format: password, x-machine: {from: '@env:TEST_TOKEN'}}
      name: {type: string}
      size: {type: integer, default: 2}
      many: {type: object}
  steps:
  - stepId: make
    operationId: make
    parameters: [{name: Authorization, in: header, value: $inputs.token}]
"""
OPENAPI = """
openapi: 3.1.0
info: {title: Things, version: 1.0.0}
servers: [{url: 'https://things.example.com'}]
paths: {/things: {post: {operationId: make, responses: {'201': {description: made}}}}}
"""


@pytest.fixture
def plan_of() -> Callable[..., Plan]:
    def make(*, trusted: bool) -> Plan:
        texts = {"inputs.yaml": DOCUMENT.encode(), "api.yaml": OPENAPI.encode()}
        return build_plan(describe("inputs.yaml", read=texts.__getitem__, trusted=trusted))

    return make


@pytest.fixture
def plan(plan_of: Callable[..., Plan]) -> Plan:
    return plan_of(trusted=True)


def test_a_secret_stays_a_reference_and_the_rest_become_values(plan: Plan) -> None:
    prepared = prepare(plan, {"token": Reference("@file:/token"), "name": "a"})

    assert prepared.values == {"token": SecretRef("token"), "name": "a", "size": 2}
    assert prepared.references == {"token": Reference("@file:/token")}


def test_a_document_we_ship_may_say_where_its_secret_comes_from(plan: Plan) -> None:
    prepared = prepare(plan, {"name": "a"})

    assert prepared.references == {"token": Reference("@env:TEST_TOKEN")}
    assert prepared.values["token"] == SecretRef("token")


def test_any_other_document_may_not(plan_of: Callable[..., Plan]) -> None:
    with pytest.raises(InputError) as caught:
        prepare(plan_of(trusted=False), {"name": "a"})

    assert "token" in caught.value.message


def test_the_text_of_a_secret_is_not_read_while_preparing(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TEST_TOKEN", raising=False)

    prepare(plan, {"name": "a"})


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [("name", "12", "12"), ("size", "12", 12), ("many", '{"a": 1}', {"a": 1})],
    ids=["text", "integer", "object"],
)
def test_a_reference_to_an_ordinary_input_is_read_and_fitted_to_its_schema(
    plan: Plan, monkeypatch: pytest.MonkeyPatch, name: str, text: str, value: Any
) -> None:
    monkeypatch.setenv("TEST_VALUE", text)

    prepared = prepare(plan, {"name": "a", name: Reference("@env:TEST_VALUE")})

    assert prepared.values[name] == value
    assert name not in prepared.references


def test_somebody_can_be_asked_for_an_ordinary_input(plan: Plan) -> None:
    prepared = prepare(plan, {"name": Reference("@prompt")}, prompt=lambda name: f"the {name}")

    assert prepared.values["name"] == "the name"


def test_a_reference_to_an_ordinary_input_that_leads_nowhere_is_an_error(
    plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TEST_VALUE", raising=False)

    with pytest.raises(CredentialError) as caught:
        prepare(plan, {"name": Reference("@env:TEST_VALUE")})

    assert caught.value.exit_code == 78


@pytest.mark.parametrize(
    ("given", "code"),
    [
        pytest.param({}, "AZM-I001", id="missing"),
        pytest.param({"name": "a", "token": "hf_literal"}, "AZM-I004", id="secret-as-text"),
        pytest.param({"name": "a", "token": SecretRef("token")}, "AZM-I005", id="our-own-reference"),
        pytest.param({"name": 1}, "AZM-I003", id="wrong-type"),
        pytest.param({"name": "a", "many": {1, 2}}, "AZM-I006", id="set"),
        pytest.param({"name": "a", "many": {"a": object()}}, "AZM-I006", id="object"),
        pytest.param({"name": "a", "other": float("nan")}, "AZM-I006", id="not-a-number"),
        pytest.param({"name": "a", "other": [float("inf")]}, "AZM-I006", id="infinite"),
        pytest.param({"name": "a\udcff"}, "AZM-I006", id="not-utf-8"),
        pytest.param({"name": "a", "many": {"\ud800": 1}}, "AZM-I006", id="name-not-utf-8"),
    ],
)
def test_what_does_not_fit_is_refused(plan: Plan, given: dict[str, Any], code: str) -> None:
    with pytest.raises(InputError) as caught:
        prepare(plan, given)

    assert (caught.value.code, caught.value.exit_code) == (code, 65)
    assert "hf_literal" not in str(caught.value)


def test_an_input_nested_without_end_is_refused(plan: Plan) -> None:
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]

    with pytest.raises(InputError):
        prepare(plan, {"name": "a", "many": deep})


def test_an_input_nobody_declared_is_passed_on_with_a_warning(plan: Plan) -> None:
    prepared = prepare(plan, {"name": "a", "extra": 1})

    assert prepared.values["extra"] == 1
    assert "extra" in prepared.warnings[0]


@pytest.mark.parametrize(
    ("other", "same"),
    [
        pytest.param({"name": "a", "size": 2}, True, id="a-default-spelt-out"),
        pytest.param({"name": "a", "token": Reference("@file:/x")}, True, id="another-reference-to-a-secret"),
        pytest.param({"name": "b"}, False, id="another-value"),
        pytest.param({"name": "a", "size": 3}, False, id="another-default"),
        pytest.param({"name": "a", "extra": None}, False, id="one-more"),
    ],
)
def test_the_digest_is_of_what_is_not_secret(plan: Plan, other: dict[str, Any], same: bool) -> None:
    assert (prepare(plan, {"name": "a"}).sha256 == prepare(plan, other).sha256) is same


def test_the_digest_does_not_depend_on_the_order_inputs_are_given_in(plan: Plan) -> None:
    many = {"a": 1, "b": {"c": 2, "d": 3}}
    turned = {"b": {"d": 3, "c": 2}, "a": 1}

    one = prepare(plan, {"name": "a", "many": many})
    other = prepare(plan, {"many": turned, "name": "a"})

    assert one.sha256 == other.sha256
    assert dataclasses.replace(one, references={}).sha256 == one.sha256


CALLER = """
arazzo: 1.0.1
info: {title: Caller, version: 1.0.0}
sourceDescriptions: [{name: far, url: inputs.yaml, type: arazzo}]
workflows:
- workflowId: caller
  steps:
  - {stepId: go, workflowId: $sourceDescriptions.far.inputs, parameters: [{name: name, value: x}]}
"""


@pytest.mark.parametrize(("trusted", "kept"), [(True, {"far.inputs.token": "@env:TEST_TOKEN"}), (False, {})])
def test_a_workflow_that_is_run_may_fetch_its_own_secret_only_where_it_is_trusted(
    trusted: bool, kept: dict[str, str]
) -> None:
    texts = {"caller.yaml": CALLER, "inputs.yaml": DOCUMENT, "api.yaml": OPENAPI}
    description = describe("caller.yaml", read=lambda name: texts[name].encode(), trusted=trusted)
    prepared = prepare(build_plan(description), {})

    assert {name: one.text for name, one in prepared.references.items()} == kept
    assert prepared.values == {}


TEXT = "hf_the text of it"
HELD = SecretRef("hfToken")


@pytest.mark.parametrize(
    ("values", "passed_on", "named"),
    [
        pytest.param({"hfToken": HELD, "name": "demo"}, {}, "", id="nothing-of-it"),
        pytest.param({"hfToken": HELD, "name": TEXT}, {}, "name", id="the-text"),
        pytest.param({"hfToken": HELD, "name": f"https://me:{TEXT}@x.example"}, {}, "name", id="inside-another"),
        pytest.param({"hfToken": HELD, "name": "hf_the%20text%20of%20it"}, {}, "name", id="in-another-spelling"),
        pytest.param({"hfToken": HELD, "tags": [{"a": TEXT}]}, {}, "tags", id="deep"),
        pytest.param({"hfToken": HELD, "tags": {TEXT: 1}}, {}, "tags", id="as-a-key"),
        pytest.param({"hfToken": HELD}, {"early": {"label": {"lit": TEXT}}}, "early.label", id="for-a-dependency"),
    ],
)
def test_an_input_that_holds_the_text_of_a_secret_is_refused(values: Any, passed_on: Any, named: str) -> None:
    prepared = Prepared(values=values, references={}, passed_on=passed_on)
    book = SecretBook({"hfToken": TEXT})
    with pytest.raises(InputError) if named else nullcontext() as caught:
        refuse_secrets(prepared, book)

    if caught is None:
        return
    assert caught.value.code == "AZM-I014"
    assert str(caught.value).startswith(f"input {named!r} holds the text of a secret")
    assert TEXT not in f"{caught.value} {caught.value.next}"
