"""One server that lets nobody in without a credential, and every way to be let in."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from machine.errors import CredentialError, HostError, MachineError, UsageError
from machine.plan.build import build_plan
from machine.plan.model import Plan
from machine.runtime.credentials import Credentials, check_auth
from machine.runtime.runner import Runner
from machine.runtime.secrets import SecretBook
from machine.runtime.token import Token, export_token
from machine.sources.description import describe
from machine.stores import MemoryStore, SqliteStore
from machine.testing.clock import ManualClock

SCHEMES: dict[str, Any] = {
    "header": {"type": "apiKey", "in": "header", "name": "X-Key"},
    "query": {"type": "apiKey", "in": "query", "name": "key"},
    "cookie": {"type": "apiKey", "in": "cookie", "name": "sid"},
    "basic": {"type": "http", "scheme": "basic"},
    "bearer": {"type": "http", "scheme": "bearer"},
    "oauth": {"type": "oauth2", "flows": {"clientCredentials": {"tokenUrl": "/oauth/token"}}},
    "oidc": {"type": "openIdConnect", "openIdConnectUrl": "https://id.example"},
    "digest": {"type": "http", "scheme": "digest"},
    "tls": {"type": "mutualTLS"},
}
VALUES = {"KEY": "k3y/ &%value", "PAIR": "me:p:ss", "PASSWORD": "p:ss", "TOKEN": "t0ken-text", "SECRET": "s/cret &"}
BASIC = "Basic " + base64.b64encode(b"me:p:ss").decode()


def plan_of(
    security: Any, *, parameters: Any = (), steps: Any = None, extension: Any = None, overlay: Any = None
) -> Plan:
    step = {
        "stepId": "get",
        "operationId": "get",
        "parameters": list(parameters),
        "outputs": {"said": "$response.body"},
    }
    document = {
        "arazzo": "1.0.1",
        "info": {"title": "t", "version": "1"},
        "sourceDescriptions": [{"name": "api", "url": "api.json", "type": "openapi"}],
        "workflows": [
            {
                "workflowId": "w",
                "steps": steps or [step],
                "outputs": {"said": "$steps.get.outputs.said"},
                **({"x-machine": extension} if extension else {}),
            }
        ],
    }
    api = {
        "openapi": "3.1.0",
        "info": {"title": "t", "version": "1"},
        "servers": [{"url": "https://api.example/v1"}],
        "paths": {
            "/get": {"get": {"operationId": "get", "security": security, "responses": {"200": {"description": "x"}}}},
            "/make": {
                "post": {"operationId": "make", "security": security, "responses": {"201": {"description": "x"}}}
            },
        },
        "components": {"securitySchemes": SCHEMES},
    }
    texts = {"w.json": json.dumps(document).encode(), "api.json": json.dumps(api).encode()}
    if overlay:
        texts["overlay.json"] = json.dumps(overlay).encode()
    return build_plan(describe("w.json", read=texts.__getitem__, overlay="overlay.json" if overlay else ""))


class Guarded:
    """A server that answers 401 until a request holds what it demands. ``demands`` is asked with the request's head."""

    def __init__(self, serve: Callable[..., Any], demands: Callable[[str], bool], token: Any = None) -> None:
        self.tokens: list[str] = []
        self.token = token or (lambda number: {"access_token": f"access-{number}", "expires_in": 3600})
        self.demands = demands
        self.server = serve(self._script)

    def _script(self, peer: Any) -> None:
        while request := peer.request():
            head = request.decode("latin-1")
            if head.startswith(("POST /oauth/token", "POST /v1/oauth/token")):
                self.tokens.append(head)
                made = self.token(len(self.tokens))
                status, body = made if isinstance(made, tuple) else (200, made)
                self._say(peer, status, json.dumps(body))
            else:
                self._say(peer, 200 if self.demands(head) else 401, json.dumps("welcome"))

    def _say(self, peer: Any, status: int, text: str) -> None:
        line = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n"
        peer.send(line.encode() + text.encode())

    @property
    def heads(self) -> list[str]:
        return [request.decode("latin-1").split("\r\n\r\n")[0] for request in self.server.requests]


@pytest.fixture(autouse=True)
def _values(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in VALUES.items():
        monkeypatch.setenv(name, text)


def run(plan: Plan, guarded: Guarded, auth: dict[str, str], **options: Any) -> Any:
    runner = Runner(
        options.pop("store", None) or MemoryStore(),
        clock=options.pop("clock", None) or ManualClock(),
        chance=lambda: 0.5,
        servers={"api": guarded.server.url + "/v1"},
    )
    return runner.start(plan, {}, run_id="r", options={"auth": auth, **options}).result()


@pytest.mark.parametrize(
    ("scheme", "auth", "expected"),
    [
        ("header", {"": "@env:KEY"}, "\r\nX-Key: k3y/ &%value\r\n"),
        ("query", {"": "@env:KEY"}, "GET /v1/get?key=k3y%2F%20%26%25value HTTP"),
        ("cookie", {"": "@env:TOKEN"}, "\r\nCookie: sid=t0ken-text\r\n"),
        ("basic", {"": "@env:PAIR"}, f"\r\nAuthorization: {BASIC}\r\n"),
        ("basic", {"username": "me", "password": "@env:PASSWORD"}, f"\r\nAuthorization: {BASIC}\r\n"),
        ("bearer", {"": "@env:TOKEN"}, "\r\nAuthorization: Bearer t0ken-text\r\n"),
        ("oauth", {"": "@env:TOKEN"}, "\r\nAuthorization: Bearer t0ken-text\r\n"),
        ("oauth", {"client_id": "me", "client_secret": "@env:SECRET"}, "\r\nAuthorization: Bearer access-1\r\n"),
        ("oauth", {"refresh_token": "@env:TOKEN"}, "\r\nAuthorization: Bearer access-1\r\n"),
        ("oidc", {"": "@env:TOKEN"}, "\r\nAuthorization: Bearer t0ken-text\r\n"),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, dict) else None,
)
def test_every_scheme_lets_a_run_into_a_server_that_demands_it(
    serve: Any, scheme: str, auth: dict[str, str], expected: str
) -> None:
    guarded = Guarded(serve, lambda head: expected in head + "\r\n")
    given = {f"api.{scheme}{'.' if field else ''}{field}": text for field, text in auth.items()}
    store = MemoryStore()

    result = run(plan_of([{scheme: []}]), guarded, given, store=store)

    assert (result.exit_code, result.outputs) == (0, {"said": "welcome"})
    kept = store.load("r").snapshot.text() + store.load("r").head.text()
    kept += json.dumps([record.to_json() for record in store.history("r")])
    for secret in (*VALUES.values(), BASIC, "access-1"):
        assert secret not in kept


def test_without_a_credential_no_run_begins(serve: Any) -> None:
    guarded, store = Guarded(serve, lambda head: False), MemoryStore()

    with pytest.raises(CredentialError) as caught:
        run(plan_of([{"header": []}]), guarded, {}, store=store)

    assert (caught.value.code, caught.value.exit_code) == ("AZM-C040", 78)
    assert caught.value.place is not None
    assert caught.value.place.pointer.startswith("/workflows/0/steps/")
    assert "--auth api.header=@env:NAME" in caught.value.next
    assert (store.runs(), guarded.heads) == ([], [])


def test_a_server_that_does_not_ask_is_called_without(serve: Any) -> None:
    guarded = Guarded(serve, lambda head: "X-Key" not in head)

    assert run(plan_of([{"header": []}]), guarded, {"api.header": "none"}).exit_code == 0


@pytest.mark.parametrize(
    ("security", "auth", "sent", "not_sent"),
    [
        pytest.param([{"header": []}, {"bearer": []}], {"bearer": "TOKEN"}, ["Bearer"], ["X-Key"], id="or"),
        pytest.param(
            [{"header": [], "bearer": []}], {"header": "KEY", "bearer": "TOKEN"}, ["X-Key", "Bearer"], [], id="and"
        ),
        pytest.param([{"header": []}, {}], {}, [], ["X-Key"], id="optional-and-not-given"),
        pytest.param([{}, {"header": []}], {"header": "KEY"}, ["X-Key"], [], id="optional-and-given"),
        pytest.param(
            [{"header": [], "tls": []}, {"bearer": []}], {"bearer": "TOKEN"}, ["Bearer"], ["X-Key"], id="the-usable-one"
        ),
    ],
)
def test_alternatives_and_combinations(
    serve: Any, security: Any, auth: dict[str, str], sent: list[str], not_sent: list[str]
) -> None:
    guarded = Guarded(serve, lambda head: True)

    run(plan_of(security), guarded, {f"api.{name}": f"@env:{value}" for name, value in auth.items()})

    assert all(one in guarded.heads[0] for one in sent)
    assert not any(one in guarded.heads[0] for one in not_sent)


def test_half_of_a_combination_is_not_enough(serve: Any) -> None:
    with pytest.raises(CredentialError) as caught:
        run(plan_of([{"header": [], "bearer": []}]), Guarded(serve, lambda head: True), {"api.header": "@env:KEY"})

    assert "api.header and api.bearer" in caught.value.message


@pytest.mark.parametrize(("scheme", "words"), [("digest", "digest"), ("tls", "mutualTLS")])
def test_a_scheme_nobody_can_meet_is_named_where_it_is_the_only_one(serve: Any, scheme: str, words: str) -> None:
    guarded = Guarded(serve, lambda head: True)

    with pytest.raises(CredentialError) as caught:
        run(plan_of([{scheme: []}]), guarded, {})

    assert caught.value.code == "AZM-C041"
    assert words in caught.value.message
    assert run(plan_of([{scheme: []}]), guarded, {f"api.{scheme}": "none"}).exit_code == 0


def test_what_the_document_sends_itself_wins_and_is_sent_once(serve: Any) -> None:
    guarded = Guarded(serve, lambda head: True)
    own = [{"name": "authorization", "in": "header", "value": "Bearer of-the-document"}]
    plan = plan_of([{"bearer": []}], parameters=own)

    with pytest.raises(UsageError):
        run(plan, guarded, {"api.bearer": "@env:TOKEN"})
    run(plan, guarded, {})

    assert [line for line in guarded.heads[0].split("\r\n") if "uthorization" in line] == [
        "authorization: Bearer of-the-document"
    ]


@pytest.mark.parametrize(
    ("auth", "code"),
    [
        ({"api.nothing": "@env:KEY"}, "AZM-U100"),
        ({"other.header": "@env:KEY"}, "AZM-U100"),
        ({"api.header.username": "@env:KEY"}, "AZM-U101"),
        ({"api.header": "in-plain-text"}, "AZM-U102"),
        ({"api.basic.password": "in-plain-text"}, "AZM-U102"),
        ({"api.basic.username": "me"}, "AZM-U103"),
        ({"api.oauth.client_id": "me"}, "AZM-U103"),
        ({"api.header": "@nonsense"}, "AZM-U044"),
        ({"api.digest": "@env:KEY"}, "AZM-C042"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_what_is_no_credential_is_refused(auth: dict[str, str], code: str) -> None:
    plan = plan_of([{"header": []}, {"basic": []}, {"oauth": []}, {"digest": []}])

    with pytest.raises(MachineError) as caught:
        check_auth(plan, auth)

    assert caught.value.code == code
    assert "plain-text" not in f"{caught.value} {caught.value.next}"


def test_a_credential_that_cannot_be_had_stops_before_the_run_and_once_it_runs(serve: Any, monkeypatch: Any) -> None:
    guarded, store, auth = Guarded(serve, lambda head: False), MemoryStore(), {"api.header": "@env:KEY"}
    plan = plan_of([{"header": []}])
    first = run(plan, guarded, auth, store=store)
    monkeypatch.delenv("KEY")
    runner = Runner(store, clock=ManualClock(), servers={"api": guarded.server.url})

    assert (first.reason, first.exit_code, first.resumable) == ("credential", 14, True)
    with pytest.raises(CredentialError) as caught:
        runner.resume("r")
    assert caught.value.exit_code == 14
    with pytest.raises(CredentialError) as fresh:
        run(plan, guarded, auth)
    assert fresh.value.exit_code == 78


def test_a_text_that_is_no_user_and_password_begins_no_run(serve: Any) -> None:
    guarded, store = Guarded(serve, lambda head: True), MemoryStore()

    with pytest.raises(CredentialError) as caught:
        run(plan_of([{"basic": []}]), guarded, {"api.basic": "@env:KEY"}, store=store)

    assert (caught.value.code, caught.value.exit_code) == ("AZM-C044", 78)
    assert VALUES["KEY"] not in f"{caught.value} {caught.value.next}"
    assert guarded.heads == list(store.runs()) == []


def test_nor_does_it_take_up_a_run_of_a_token(serve: Any) -> None:
    guarded, store, elsewhere = Guarded(serve, lambda head: False), MemoryStore(), MemoryStore()
    run(plan_of([{"basic": []}]), guarded, {"api.basic": "@env:PAIR"}, store=store)
    token = Token.read(export_token(store, store.load("r"), plan_of([{"basic": []}])))
    runner = Runner(elsewhere, clock=ManualClock(), servers={"api": guarded.server.url})

    with pytest.raises(CredentialError) as caught:
        runner.adopt_token(token, options={"auth": {"api.basic": "@env:KEY"}})

    assert caught.value.code == "AZM-C044"
    assert list(elsewhere.runs()) == []


def test_what_is_not_supported_of_openid_connect_is_said() -> None:
    credentials = Credentials(plan_of([{"oidc": []}]), {}, SecretBook({}))

    with pytest.raises(CredentialError) as caught:
        credentials.check()

    assert "OpenID Connect are not supported: --auth api.oidc=@env:NAME" in caught.value.next


def test_a_refused_credential_is_renewed_on_resume(serve: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    guarded = Guarded(serve, lambda head: "renewed" in head)
    with SqliteStore(tmp_path / "runs.db") as store:
        first = run(plan_of([{"header": []}]), guarded, {"api.header": "@env:KEY"}, store=store)
        monkeypatch.setenv("OTHER", "renewed-key")
        runner = Runner(store, clock=ManualClock(), servers={"api": guarded.server.url + "/v1"})
        second = runner.resume("r", options={"auth": {"api.header": "@env:OTHER"}}).result()

        assert (first.exit_code, second.exit_code) == (14, 0)
        assert store.load("r").head.options["auth"] == {"api.header": "@env:OTHER"}


def test_an_echoed_credential_is_a_name_and_goes_nowhere_else(serve: Any) -> None:
    """A server repeats the key, and the document passes the answer on to another server."""
    steps = [
        {"stepId": "get", "operationId": "$sourceDescriptions.api.get", "outputs": {"said": "$response.body"}},
        {
            "stepId": "leak",
            "operationId": "$sourceDescriptions.evil.take",
            "parameters": [{"name": "stolen", "in": "query", "value": "$steps.get.outputs.said"}],
        },
    ]
    document = {
        "arazzo": "1.0.1",
        "info": {"title": "t", "version": "1"},
        "sourceDescriptions": [
            {"name": "api", "url": "api.json", "type": "openapi"},
            {"name": "evil", "url": "evil.json", "type": "openapi"},
        ],
        "workflows": [{"workflowId": "w", "steps": steps, "outputs": {"said": "$steps.get.outputs.said"}}],
    }

    def api(name: str, security: Any) -> bytes:
        operation = {"operationId": name, "security": security, "responses": {"200": {"description": "x"}}}
        return json.dumps(
            {"openapi": "3.1.0", "paths": {"/get": {"get": operation}}, "components": {"securitySchemes": SCHEMES}}
        ).encode()

    texts = {
        "w.json": json.dumps(document).encode(),
        "api.json": api("get", [{"header": []}]),
        "evil.json": api("take", []),
    }
    plan = build_plan(describe("w.json", read=texts.__getitem__))

    def echo(peer: Any) -> None:
        while peer.request():
            text = json.dumps(f"you sent {VALUES['KEY']}").encode()
            peer.send(
                b"HTTP/1.1 200 X\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(text), text)
            )

    good, evil = serve(echo), serve(echo)
    runner = Runner(MemoryStore(), clock=ManualClock(), servers={"api": good.url, "evil": evil.url})
    result = runner.start(plan, {}, options={"auth": {"api.header": "@env:KEY"}}).result()

    assert result.outputs["said"] == "you sent [secret auth:api.header]"
    assert result.exit_code == 10
    assert "another server" in result.message
    assert evil.requests == []


def test_a_credential_does_not_leave_over_plain_http() -> None:
    runner = Runner(MemoryStore(), clock=ManualClock(), servers={"api": "http://api.example"})

    with pytest.raises(HostError) as caught:
        runner.start(plan_of([{"header": []}]), {}, options={"auth": {"api.header": "@env:KEY"}})

    assert caught.value.code == "AZM-C032"


def test_an_input_cannot_take_the_name_of_a_credential(serve: Any) -> None:
    runner = Runner(MemoryStore(), clock=ManualClock(), servers={"api": "https://api.example"})

    with pytest.raises(UsageError) as caught:
        runner.reach.secrets({"secrets": {"auth:api.header": "@env:KEY"}})

    assert caught.value.code == "AZM-U104"


@pytest.mark.parametrize(("where", "counts"), [("document", False), ("overlay", True)])
def test_a_document_names_no_variable_and_an_overlay_does(where: str, counts: bool) -> None:
    auth = {"auth": {"api.header": "@env:KEY"}}
    overlay = {
        "overlay": "1.0.0",
        "info": {"title": "t", "version": "1"},
        "actions": [{"target": "$.workflows[0]", "update": {"x-machine": auth}}],
    }
    plan = plan_of(
        [{"header": []}],
        extension=auth if where == "document" else None,
        overlay=overlay if where == "overlay" else None,
    )

    assert plan.auth == ({"api.header": "@env:KEY"} if counts else {})
    assert Plan.from_json(json.loads(plan.text())).auth == plan.auth


# -- tokens that are fetched -------------------------------------------------------------------------------------------

CLIENT = {"api.oauth.client_id": "me", "api.oauth.client_secret": "@env:SECRET"}
POLL = [
    {
        "stepId": "get",
        "operationId": "get",
        "outputs": {"said": "$response.body"},
        "onSuccess": [
            {"name": "again", "type": "goto", "stepId": "get", "criteria": [{"condition": "$statusCode == 299"}]}
        ],
    }
]


def test_a_token_is_fetched_once_for_many_calls_and_again_when_it_ends(serve: Any) -> None:
    statuses, tokens = iter([299, 299, 299, 200]), []

    def script(peer: Any) -> None:
        while request := peer.request():
            if b"/oauth/token" in request:
                tokens.append(f"access-{len(tokens) + 1}")
                status, answer = 200, json.dumps({"access_token": tokens[-1], "expires_in": 12})
            else:
                status, answer = next(statuses), '"x"'
            line = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(answer)}\r\n\r\n"
            peer.send(line.encode() + answer.encode())

    server = serve(script)
    runner = Runner(MemoryStore(), clock=ManualClock(), chance=lambda: 0.5, servers={"api": server.url + "/v1"})
    result = runner.start(plan_of([{"oauth": []}], steps=POLL), {}, options={"auth": CLIENT}).result()

    used = [request.split(b"Bearer ")[1].split(b"\r\n")[0] for request in server.requests if b"Bearer" in request]
    # Looks at 0, 5, 12.5 and 23.75 s; a token of 12 s is renewed after 10.8 s.
    assert result.exit_code == 0
    assert used == [b"access-1", b"access-1", b"access-2", b"access-3"]


@pytest.mark.parametrize("step", ["get", "make"])
def test_a_token_that_is_refused_is_renewed_once_and_the_call_sent_again(serve: Any, step: str) -> None:
    guarded = Guarded(serve, lambda head: "access-2" in head)
    steps = [{"stepId": "get", "operationId": step, "outputs": {"said": "$response.body"}}]

    result = run(plan_of([{"oauth": []}], steps=steps), guarded, CLIENT)

    assert (result.exit_code, len(guarded.tokens)) == (0, 2)


def test_a_token_that_is_refused_twice_stops_the_run_until_it_is_resumed(serve: Any) -> None:
    let_in = [False]
    guarded, store = Guarded(serve, lambda head: let_in[0]), MemoryStore()

    result = run(plan_of([{"oauth": []}]), guarded, CLIENT, store=store)
    let_in[0] = True
    again = Runner(store, clock=ManualClock(), servers={"api": guarded.server.url + "/v1"}).resume("r").result()

    assert (result.exit_code, len(guarded.tokens), again.exit_code) == (14, 3, 0)


@pytest.mark.parametrize("step", ["get", "make"])
def test_a_client_that_is_refused_stops_the_run_before_the_call_leaves(serve: Any, step: str) -> None:
    guarded = Guarded(serve, lambda head: True, lambda number: (400, {"error": "unauthorized_client"}))
    steps = [{"stepId": "get", "operationId": step, "outputs": {"said": "$response.body"}}]

    result = run(plan_of([{"oauth": []}], steps=steps), guarded, CLIENT)

    assert (result.reason, result.exit_code, result.resumable) == ("credential", 14, True)
    assert "unauthorized_client" in result.message
    assert [head.split(" ")[1] for head in guarded.heads] == ["/oauth/token"]


def test_the_secret_of_a_client_goes_to_the_token_endpoint_and_nowhere_else(serve: Any) -> None:
    guarded = Guarded(serve, lambda head: True)

    run(plan_of([{"oauth": ["read"]}]), guarded, CLIENT)

    basic = base64.b64encode(b"me:s%2Fcret%20%26").decode()
    assert f"Authorization: Basic {basic}" in guarded.tokens[0]
    assert "scope=read" in guarded.tokens[0]
    assert basic not in guarded.heads[-1]


@pytest.mark.parametrize(
    ("auth", "code"),
    [
        pytest.param({"api.oauth.token_url": "http://tokens.example/t"}, "AZM-C032", id="plain-http"),
        pytest.param({"api.oauth.token_url": "nonsense:"}, "AZM-C030", id="no-url"),
    ],
)
def test_a_token_endpoint_obeys_the_rules_of_every_host(serve: Any, auth: dict[str, str], code: str) -> None:
    with pytest.raises(HostError) as caught:
        run(plan_of([{"oauth": []}]), Guarded(serve, lambda head: True), {**CLIENT, **auth})

    assert caught.value.code == code


def test_a_description_cannot_send_a_secret_to_an_inward_token_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    flows = {"clientCredentials": {"tokenUrl": "http://169.254.169.254/token"}}
    monkeypatch.setitem(SCHEMES, "oauth", {"type": "oauth2", "flows": flows})
    runner = Runner(MemoryStore(), clock=ManualClock())

    with pytest.raises(HostError) as caught:
        runner.start(plan_of([{"oauth": []}]), {}, options={"auth": CLIENT})

    assert caught.value.code == "AZM-C031"


@pytest.mark.parametrize(
    ("field", "urls"),
    [
        ("refresh_token", {"tokenUrl": "/elsewhere", "refreshUrl": "/oauth/token"}),
        ("client_secret", {"tokenUrl": "/oauth/token", "refreshUrl": "/elsewhere"}),
    ],
)
def test_a_token_is_renewed_where_the_description_says_and_had_where_it_says(
    monkeypatch: pytest.MonkeyPatch, serve: Any, field: str, urls: dict[str, str]
) -> None:
    monkeypatch.setitem(SCHEMES, "oauth", {"type": "oauth2", "flows": {"clientCredentials": urls}})
    guarded = Guarded(serve, lambda head: "Bearer access-1" in head)

    done = run(plan_of([{"oauth": []}]), guarded, {"api.oauth.client_id": "me", f"api.oauth.{field}": "@env:SECRET"})

    assert (done.exit_code, len(guarded.tokens)) == (0, 1)


def test_without_a_token_endpoint_the_flag_that_names_one_is_named(monkeypatch: pytest.MonkeyPatch, serve: Any) -> None:
    monkeypatch.setitem(SCHEMES, "oauth", {"type": "oauth2", "flows": {"implicit": {"authorizationUrl": "/a"}}})
    guarded = Guarded(serve, lambda head: True)

    with pytest.raises(CredentialError) as caught:
        run(plan_of([{"oauth": []}]), guarded, CLIENT)

    assert (caught.value.code, "api.oauth.token_url=" in caught.value.next) == ("AZM-C043", True)
    named = {"api.oauth.token_url": guarded.server.url + "/oauth/token"}
    assert run(plan_of([{"oauth": []}]), guarded, {**CLIENT, **named}).exit_code == 0
