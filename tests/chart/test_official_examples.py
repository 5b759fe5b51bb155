"""The specification's own examples that run workflows inside workflows, against scripted replies."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from machine.plan.build import build_plan
from machine.plan.model import Plan
from machine.sources.description import describe
from machine.values import SecretRef

EXAMPLES = "corpus/OAI+Arazzo-Specification/examples/1.0.0"


@pytest.fixture
def example(shared: Path) -> Callable[..., Plan]:
    """``example("oauth.arazzo.yaml", source="apim-auth", workflow=...)``: the plan of an example, with the description
    ``api`` beside it, or with one of these ``operations`` where it has none."""

    def build(name: str, *, source: str, api: str = "", operations: Any = None, workflow: str = "") -> Plan:
        folder = shared / EXAMPLES
        if not folder.is_dir():
            pytest.skip("the shared folder has no examples of the specification")
        described = {"openapi": "3.1.0", "servers": [{"url": "https://x.example"}], "paths": operations}

        def read(path: str) -> bytes:
            if path == "stub.json":
                return json.dumps(described).encode()
            # Two examples name a path parameter, and an operation, otherwise than their descriptions do.
            return re.sub(rb"pet_id(\s+in: path)", rb"petId\1", Path(path).read_bytes()).replace(b"api.PAR", b"api.Par")

        where = str(folder / api) if api else "stub.json"
        return build_plan(describe(str(folder / name), read=read, sources={source: where}), workflow=workflow)

    return build


def test_a_coupon_is_applied_in_an_order_another_workflow_places(drive: Any, example: Callable[..., Plan]) -> None:
    plan = example(
        "pet-coupons.arazzo.yaml", source="pet-coupons", api="pet-coupons.openapi.yaml", workflow="apply-coupon"
    )
    run = drive(plan, {"my_pet_tags": ["puppy", "dalmatian"]}).reply(200, [{"id": 7}])

    assert run.pending.request.target.endswith("/7/coupons")
    run.reply(200, {"couponCode": "TREAT"})

    assert run.path == ["place-order", "place-order"]
    sent = {"petId": 7, "couponCode": "TREAT", "status": "placed", "complete": False}
    assert run.pending.request.body == sent, "the quantity nobody gave is not sent"
    run.reply(200, {"id": 99})

    assert (run.reason, run.chart.outputs(run.snapshot)) == ("completed", ({"apply_coupon_pet_order_id": 99}, ()))


def test_an_order_that_is_refused_fails_the_step_that_placed_it(drive: Any, example: Callable[..., Plan]) -> None:
    plan = example(
        "pet-coupons.arazzo.yaml", source="pet-coupons", api="pet-coupons.openapi.yaml", workflow="buy-available-pet"
    )
    run = drive(plan, {}).reply(200, [{"id": 7}]).reply(400)

    assert (run.reason, run.path, run.outcomes) == ("broke", ["failed"], ["not_applied"])
    assert run.message.startswith("place-order failed: place-order failed: answered 400")


def test_a_token_is_refreshed_after_another_workflow_got_it(drive: Any, example: Callable[..., Plan]) -> None:
    plan = example("oauth.arazzo.yaml", source="apim-auth", api="oauth.openapi.yaml", workflow="refresh-token-flow")
    secret = SecretRef("my_client_secret")
    run = drive(plan, {"my_client_id": "me", "my_client_secret": secret, "my_redirect_uri": "https://me.example"})
    run.reply(200, {"access_token": "t", "code": "c"})

    assert (run.path, plan.secrets) == (["do-the-auth-flow", "get-access-token"], ("my_client_secret",))
    assert "[secret my_client_secret]" in str(run.pending.request.body)
    run.reply(200, {"access_token": "t1", "refresh_token": "r1", "expires_in": 60})

    assert (run.path, run.pending.request.body) == (["do-the-refresh"], "grant_type=refresh_token&refresh_token=r1")
    run.reply(200, {"access_token": "t2", "refresh_token": "r2", "expires_in": 60})
    outputs = {"access_token": "t2", "refresh_token": "r2", "expires_in": 60}

    assert (run.reason, run.chart.outputs(run.snapshot)[0]) == ("completed", outputs)


def called(operation: str, **fields: Any) -> dict[str, Any]:
    return {"operationId": operation, "responses": {"200": {"description": "fine"}}, **fields}


def test_somebody_signs_in_and_lists_what_is_available(drive: Any, example: Callable[..., Plan]) -> None:
    operations = {"/user/login": {"get": called("loginUser")}, "/pet/findByStatus": {"get": called("findPetsByStatus")}}
    plan = example("LoginAndRetrievePets.arazzo.yaml", source="petStoreDescription", operations=operations)
    run = drive(plan, {"username": "me", "password": SecretRef("password")})

    assert str(run.pending.request.target) == "/user/login?username=me&password=[secret password]"
    run.reply(200, "session-1", headers={"x-rate-limit": "5", "x-expires-after": "soon"})

    assert (run.pending.request.target, dict(run.pending.request.headers)) == (
        "/pet/findByStatus?status=available",
        {"Authorization": "session-1"},
    )
    run.reply(200, [{"id": 7}])

    assert (run.reason, run.chart.outputs(run.snapshot)) == ("completed", ({"available": [{"id": 7}]}, ()))


def test_parameters_of_the_workflow_reach_every_step(drive: Any, example: Callable[..., Plan]) -> None:
    operations = {"/animals": {"post": called("postAnimal"), "get": called("getRandomAnimal")}}
    run = drive(example("ExtendedParametersExample.arazzo.yaml", source="animals", operations=operations))
    first = dict(run.pending.request.headers)
    run.reply()

    assert first == {
        "workflowLevelParamTwo": "someValue",
        "Cookie": "workflowLevelParamOne=someValue; authentication=SUPER_SECRET",
    }
    assert dict(run.pending.request.headers) == {
        "workflowLevelParamTwo": "someValue",
        "Cookie": "workflowLevelParamOne=someValue",
    }
    assert run.reply().reason == "completed"


def test_a_pushed_request_is_authorised_and_its_code_changed_for_a_token(drive: Any, example: Any) -> None:
    plan = example("FAPI-PAR.arazzo.yaml", source="auth-api", api="FAPI-PAR.openapi.yaml")
    asked = {"response_type": "code", "scope": "accounts"}
    later = {"grant_type": "", "code": "", "redirect_uri": "", "code_verifier": ""}
    given = {"client_id": "me", "redirect_uri": "https://me.example", "code_verifier": "v"}
    run = drive(plan, {**given, "PARrequestBody": asked, "TokenRequestBody": later})

    assert run.pending.request.body == asked
    run.reply(200, {"request_uri": "urn:1"})

    assert "request_uri=urn%3A1&client_id=me" in run.pending.request.target
    run.reply(302, {"code": "c-1"})
    sent = {
        "grant_type": "authorization_code",
        "code": "c-1",
        "redirect_uri": "https://me.example",
        "code_verifier": "v",
    }

    assert run.pending.request.body == sent
    run.reply(200, {"access_token": "t"})

    assert (run.reason, run.chart.outputs(run.snapshot)[0]) == ("completed", {"access_token": {"access_token": "t"}})


CUSTOMER = {"firstName": "A", "lastName": "B", "dateOfBirth": "2000-01-01T00:00:00Z", "postalCode": "1"}
BASKET = [{"productCode": "p", "purchaseAmount": {"currency": "EUR", "amount": 5}}]


@pytest.fixture
def shop(drive: Any, example: Any) -> Any:
    """A checkout at which somebody new asks for a loan."""
    plan = example("bnpl-arazzo.yaml", source="BnplApi", api="bnpl-openapi.yaml")
    return drive(plan, {"customer": CUSTOMER, "products": BASKET})


def test_a_loan_is_checked_agreed_on_and_begun(shop: Any) -> None:
    assert shop.pending.request.body == {"customer": CUSTOMER, "products": BASKET}
    shop.reply(200, {"eligibilityCheckRequired": True, "products": [{"products": 1}], "totalAmount": 5})

    assert shop.pending.step == "getCustomerTermsAndConditions"
    shop.reply(200, "terms")

    assert (shop.pending.step, shop.pending.request.body["firstName"]) == ("createCustomer", "A")
    shop.reply(201, {"links": {"self": "/customers/1"}})

    assert shop.pending.request.body["newCustomer"] == "/customers/1"
    shop.reply(202, {"redirectAuthToken": None, "links": {"self": "/loan-transactions/9"}})

    # The document reads an output that no step of it declares, so the plan of payments cannot be asked for.
    assert (shop.reason, "loanTransactionId" in shop.snapshot.stopped.message) == ("request", True)


@pytest.mark.parametrize(
    ("replies", "state"),
    [
        pytest.param([(200, {"existingCustomerNotEligible": False})], "existingCustomerNotEligible", id="not-eligible"),
        pytest.param(
            [(200, {"eligibilityCheckRequired": True, "products": []})],
            "qualifyingProductsNotFound",
            id="no-product-qualifies",
        ),
    ],
)
def test_no_loan_is_begun_for_those_who_cannot_have_one(shop: Any, replies: Any, state: str) -> None:
    for status, body in replies:
        shop.reply(status, body)

    assert shop.state == state
    assert shop.outcomes == ["applied"]
