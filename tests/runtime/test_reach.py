"""What holds for this process only meets what a run has stored, and nothing secret is sent where it may not go."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace
from typing import Any

import pytest

from machine.errors import CredentialError, HostError
from machine.plan.build import build_plan
from machine.plan.model import Plan
from machine.runtime.files import Files
from machine.runtime.reach import Reach
from machine.runtime.secrets import Reference
from machine.sources.description import describe
from machine.stores import MemoryStore
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


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """The URL of a server on loopback."""
    server = HTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


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
    assert made(servers).bases(probing_plan, {"servers": stored}, API) == (base,)


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
        seen.extend([base(API, ""), book, clock, chance()])
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


# -- several servers of one source -------------------------------------------------------------------------------------


UPLOADS = "https://uploads.example/v3"


@pytest.fixture
def two_servers(built: Callable[..., Plan], things_api: dict[str, Any]) -> Callable[..., Plan]:
    """A workflow that lists things at one server of their source and gets one at another, each with its credential."""

    def make(other: str = UPLOADS) -> Plan:
        api = {
            **things_api,
            "paths": {
                **things_api["paths"],
                "/things": {**things_api["paths"]["/things"], "servers": [{"url": other}]},
            },
            "security": [{"token": []}],
            "components": {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
        }
        return built(
            [{"stepId": "a", "operationId": "listThings"}, {"stepId": "b", "operationId": "getThing"}], api=api
        )

    return make


def test_a_path_has_the_server_it_declares_and_the_operator_names_one_for_all(two_servers: Any) -> None:
    plan = Plan.from_json(two_servers().to_json())

    assert plan.servers == {"things": (UPLOADS, "https://things.example/v1")}
    assert made().bases(plan, {}, "things") == (UPLOADS, "https://things.example/v1")
    assert made({"things": "https://mine.example"}).bases(plan, {}, "things") == ("https://mine.example",)
    with pytest.raises(HostError, match="not a public host"):
        made().check(two_servers("https://10.0.0.1"), {"auth": {"things.token": "none"}})
    with pytest.raises(HostError, match="plain http"):
        made(secret_texts={}).check(two_servers("http://uploads.example"), {"auth": {"things.token": "@env:TOKEN"}})


def test_each_request_goes_to_its_server_with_the_credential_of_the_source(
    two_servers: Any, serve: Any, make_runner: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN", "t0ken-of-both")
    answer = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
    first, second = (serve(lambda peer: peer.request() and peer.send(answer)) for _ in range(2))
    plan = two_servers(first.url)
    home = {step: replace(call.operation, server=second.url) for step, call in plan.calls.items() if step == "b"}
    calls = {step: replace(call, operation=home.get(step, call.operation)) for step, call in plan.calls.items()}
    plan = replace(plan, calls=calls, servers={"things": (first.url, second.url)})
    options = {"allow_hosts": ["127.0.0.1"], "auth": {"things.token": "@env:TOKEN"}}
    with make_runner(MemoryStore()).start(plan, {}, run_id="r", options=options) as run:
        assert run.result().reason == "completed"

    heard = [server.requests[0].decode().split("\r\n") for server in (first, second)]
    assert [lines[0] for lines in heard] == ["GET /things HTTP/1.1", "GET /things/one HTTP/1.1"]
    assert all("Authorization: Bearer t0ken-of-both" in lines for lines in heard)


def test_a_secret_an_answer_quoted_is_sent_on_to_no_other_server(
    make_runner: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first of two services quotes the token it was sent, and the document hands that to the second."""
    apis = {
        name: {
            "openapi": "3.1.0",
            "info": {"title": name, "version": "1"},
            "paths": {"/x": {"get": {"operationId": "get", "responses": {"200": {"description": "-"}}}}},
        }
        for name in ("first", "second")
    }
    token = [{"name": "Authorization", "in": "header", "value": "$inputs.token"}]
    echo = [{"name": "q", "in": "query", "value": "$steps.a.outputs.echo"}]
    document = {
        "arazzo": "1.0.1",
        "info": {"title": "t", "version": "1"},
        "sourceDescriptions": [{"name": name, "url": f"{name}.json", "type": "openapi"} for name in apis],
        "workflows": [
            {
                "workflowId": "w",
                "inputs": {"type": "object", "properties": {"token": {"type": "string"}}},
                "steps": [
                    {
                        "stepId": "a",
                        "operationId": "$sourceDescriptions.first.get",
                        "parameters": token,
                        "outputs": {"echo": "$response.body#/echo"},
                    },
                    {"stepId": "b", "operationId": "$sourceDescriptions.second.get", "parameters": echo},
                ],
            }
        ],
    }
    written = {"w.yaml": document, **{f"{name}.json": api for name, api in apis.items()}}
    texts = {name: json.dumps(one).encode() for name, one in written.items()}
    plan = build_plan(describe("w.yaml", read=texts.__getitem__))
    monkeypatch.setenv("TOKEN", "tok_quoted-by-the-first")

    class Answering(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.path)
            body = json.dumps({"echo": self.headers.get("Authorization", "")}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: Any) -> None:
            pass

    seen: list[str] = []
    with serving(Answering) as first, serving(Answering) as second, MemoryStore() as store:
        runner = make_runner(store, servers={"first": first, "second": second}, secret_texts={})
        result = runner.start(plan, {"token": Reference("@env:TOKEN")}).result()
        known = runner.reach.destinations(plan, {"secrets": {"token": "@env:TOKEN"}})

    assert known == {"token": (first,)}
    assert seen == ["/x"]
    assert (result.reason, result.state) == ("broke", "failed")
    assert "would send the credential token to another server than its own" in result.message
