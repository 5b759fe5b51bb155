"""What holds for this process only meets what a run has stored, and nothing secret is sent where it may not go."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from machine.errors import CredentialError, HostError
from machine.plan.model import Plan
from machine.runtime.files import Files
from machine.runtime.reach import Reach
from machine.testing.clock import ManualClock
from machine.values import SecretRef, SecretText

TOKEN = SecretText(parts=(SecretRef("hfToken"),))
API = "inferenceEndpointsApi"
STORED = {"secrets": {"hfToken": "@env:HF_TOKEN"}}


def made(
    servers: Mapping[str, str] | None = None,
    secret_texts: Mapping[str, str] | None = None,
    transport: Any = None,
    prompt: Any = None,
) -> Reach:
    return Reach(servers=servers or {}, secret_texts=secret_texts or {}, prompt=prompt, transport=transport)


def test_a_text_at_hand_wins_over_where_a_run_says_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_from-the-environment")

    assert made().secrets(STORED).join(TOKEN) == "hf_from-the-environment"
    assert made(secret_texts={"hfToken": "hf_at-hand"}).secrets(STORED).join(TOKEN) == "hf_at-hand"


def test_a_secret_the_run_does_not_have_is_not_carried_along() -> None:
    assert repr(made(secret_texts={"other": "x-at-hand"}).secrets({})) == "SecretBook()"


def test_every_text_that_was_had_is_looked_for_in_what_is_written() -> None:
    reach = made(secret_texts={"hfToken": "hf_at-hand"})
    before = reach.concealer.scrub("hf_at-hand")
    reach.secrets(STORED)

    assert (before, reach.concealer.scrub("hf_at-hand")) == ("hf_at-hand", "[secret hfToken]")


def test_a_secret_may_be_asked_for() -> None:
    reach = made(prompt=lambda name: f"typed for {name}")

    assert reach.secrets({"secrets": {"hfToken": "@prompt"}}).join(TOKEN) == "typed for hfToken"


def test_a_secret_that_cannot_be_had_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_TOKEN", raising=False)

    with pytest.raises(CredentialError) as missing:
        made().secrets(STORED)
    with pytest.raises(CredentialError) as again:
        made().secrets_again(STORED)

    assert (missing.value.exit_code, again.value.exit_code) == (78, 14)


@pytest.mark.parametrize(
    ("servers", "stored", "base"),
    [
        pytest.param({}, {}, "https://api.endpoints.huggingface.cloud/v2", id="the-description's"),
        pytest.param({}, {API: "https://stored.example/v2"}, "https://stored.example/v2", id="stored"),
        pytest.param(
            {API: "https://given.example/v2"},
            {API: "https://stored.example/v2"},
            "https://given.example/v2",
            id="given",
        ),
    ],
)
def test_a_server_given_to_this_process_wins(
    probing_plan: Plan, servers: dict[str, str], stored: dict[str, str], base: str
) -> None:
    assert made(servers).base(probing_plan, {"servers": stored}, API) == base


def test_a_secret_never_goes_over_plain_http(probing_plan: Plan, retry_plan: Plan) -> None:
    with pytest.raises(HostError):
        made({API: "http://x.example"}).check(probing_plan, {})

    made({"api": "http://x.example"}).check(retry_plan, {})
    made({API: "http://127.0.0.1:1"}).check(probing_plan, {"allow_hosts": ["127.0.0.1"]})


def test_a_secret_that_only_a_probe_sends_counts_as_sent(probing_plan: Plan) -> None:
    create = probing_plan.calls["createEndpoint"]
    bare = type(create)(**{**_fields(create), "parameters": ()})
    plan = type(probing_plan)(**{**_fields(probing_plan), "calls": {"createEndpoint": bare}})

    with pytest.raises(HostError) as caught:
        made({API: "http://x.example"}).check(plan, {"auth": {f"{API}.bearerAuth": "none"}})

    assert "createEndpoint" in str(caught.value)


def _fields(value: Any) -> dict[str, Any]:
    return {name: getattr(value, name) for name in value.__dataclass_fields__}


def test_a_transport_is_given_everything_it_needs(probing_plan: Plan, scripted: Any) -> None:
    seen: list[Any] = []

    def make(base: Any, book: Any, clock: Any, chance: Any) -> Any:
        seen.extend([base(API), book, clock, chance()])
        return scripted()

    reach = made({API: "https://given.example"}, {"hfToken": "hf_at-hand"}, transport=make)
    book, clock = reach.secrets(STORED), ManualClock()

    files = Files()
    run: Any = SimpleNamespace(id="one", plan=probing_plan, head=SimpleNamespace(options=STORED), files=lambda: files)

    reach.open(run, book, clock, lambda: 0.25)

    assert seen == ["https://given.example", book, clock, 0.25]
    assert book.files is files


def test_a_secret_of_a_workflow_that_is_run_never_goes_over_plain_http_either(composed: Callable[..., Plan]) -> None:
    sends = [{"name": "Authorization", "in": "header", "value": "Bearer {$inputs.token}"}]
    child = {"workflowId": "child", "steps": [{"stepId": "c", "operationId": "listThings", "parameters": sends}]}
    runs = {"stepId": "r", "workflowId": "child", "parameters": [{"name": "token", "value": "$inputs.mine"}]}
    plan = composed({"workflowId": "root", "steps": [runs]}, child)
    made().check(plan, {})
    with pytest.raises(HostError):
        made(servers={"things": "http://things.example"}).check(plan, {"allow_hosts": ["things.example"]})
