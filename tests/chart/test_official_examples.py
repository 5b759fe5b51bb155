"""The specification's own examples that run workflows inside workflows, against scripted replies."""

from __future__ import annotations

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
    """``example("oauth", source="apim-auth", workflow=...)``: the plan of an example beside its description."""

    def build(name: str, *, source: str, workflow: str) -> Plan:
        folder = shared / EXAMPLES
        if not folder.is_dir():
            pytest.skip("the shared folder has no examples of the specification")
        description = describe(
            str(folder / f"{name}.arazzo.yaml"),
            # The coupon's step names its path parameter otherwise than the API does.
            read=lambda path: re.sub(rb"pet_id(\s+in: path)", rb"petId\1", Path(path).read_bytes()),
            sources={source: str(folder / f"{name}.openapi.yaml")},
        )
        return build_plan(description, workflow=workflow)

    return build


def test_a_coupon_is_applied_in_an_order_another_workflow_places(drive: Any, example: Callable[..., Plan]) -> None:
    plan = example("pet-coupons", source="pet-coupons", workflow="apply-coupon")
    run = drive(plan, {"my_pet_tags": ["puppy", "dalmatian"]}).reply(200, [{"id": 7}])

    assert run.pending.request.target.endswith("/7/coupons")
    run.reply(200, {"couponCode": "TREAT"})

    assert run.path == ["place-order", "place-order"]
    sent = {"petId": 7, "couponCode": "TREAT", "status": "placed", "complete": False}
    assert run.pending.request.body == sent, "the quantity nobody gave is not sent"
    run.reply(200, {"id": 99})

    assert (run.reason, run.chart.outputs(run.snapshot)) == ("completed", ({"apply_coupon_pet_order_id": 99}, ()))


def test_an_order_that_is_refused_fails_the_step_that_placed_it(drive: Any, example: Callable[..., Plan]) -> None:
    plan = example("pet-coupons", source="pet-coupons", workflow="buy-available-pet")
    run = drive(plan, {}).reply(200, [{"id": 7}]).reply(400)

    assert (run.reason, run.path, run.outcomes) == ("broke", ["failed"], ["not_applied"])
    assert run.message.startswith("place-order failed: place-order failed: answered 400")


def test_a_token_is_refreshed_after_another_workflow_got_it(drive: Any, example: Callable[..., Plan]) -> None:
    plan = example("oauth", source="apim-auth", workflow="refresh-token-flow")
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
