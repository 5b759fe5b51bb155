"""A credential an answer gave is used, is nowhere in clear, and is there again for whoever goes on with the run."""

from __future__ import annotations

import base64
import json
import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from machine.chart.chart import Chart
from machine.chart.effects import Call
from machine.chart.events import Replied, Reply, event_from_json
from machine.errors import CredentialError, Place, RequestError, UsageError
from machine.expressions.grammar import parse_expression
from machine.plan.model import Plan
from machine.runtime.sealing import Answers, Sealer, SealingTransport, needed, take_out
from machine.runtime.secrets import Reference, SecretBook
from machine.runtime.token import export_token
from machine.sources.model import Request
from machine.stores import MemoryStore, SqliteStore, Store
from machine.values import SecretRef, SecretText, decode

TOKEN = "tok_given-by-an-answer"
OTHER = "tok_given-the-second-time"
KEY = base64.b64encode(b"k" * 32).decode()

BEARER = [{"name": "Authorization", "in": "header", "value": "Bearer {$steps.login.outputs.token}"}]
POLL = {
    "stepId": "use",
    "operationId": "getThing",
    "parameters": BEARER,
    "outputs": {"state": "$response.body#/state"},
    "onSuccess": [
        {
            "name": "more",
            "type": "goto",
            "stepId": "use",
            "criteria": [{"condition": "$response.body#/state == 'pending'"}],
        },
        {"name": "done", "type": "end", "criteria": [{"condition": "$response.body#/state == 'ready'"}]},
    ],
}


@pytest.fixture(scope="session")
def made(built: Callable[..., Plan]) -> Callable[..., Plan]:
    """``made("GET")`` -> the plan: log in with that method, then poll with the token that gave."""

    def make(method: str = "GET", token: str = "$response.body#/access_token") -> Plan:
        login = {
            "stepId": "login",
            "operationId": {"GET": "getThing", "POST": "makeThing"}[method],
            "parameters": [{"name": "id", "in": "path", "value": "login"}] if method == "GET" else [],
            "outputs": {"token": token, "user": "$response.body#/user"},
        }
        steps = [login, {**POLL, "parameters": [*BEARER, {"name": "id", "in": "path", "value": "one"}]}]
        return built(steps, workflow={"parameters": [], "outputs": {"token": "$steps.login.outputs.token"}})

    return make


def logged_in(token: Any = TOKEN, **more: Any) -> Any:
    return 200, {"access_token": token, "user": "me", **more}


def at(state: str, **more: Any) -> Any:
    return 200, {"state": state, **more}


def credentials(transport: Any) -> list[str]:
    """What the Authorization header of each call was, as it left."""
    return [transport.book.join(dict(call.request.headers).get("Authorization", "")) for call in transport.sent]


def stored_bytes(store: Store) -> bytes:
    path = getattr(store, "path", None)
    if path is None:
        return json.dumps([one.to_json() for one in store.history("r")]).encode()
    return b"".join(one.read_bytes() for one in path.parent.glob("runs.db*") if one.is_file() and one.suffix != ".key")


# -- what the core and the store see -----------------------------------------------------------------------------------


def test_it_is_sent_and_stands_nowhere_in_clear(store: Store, make_runner: Any, scripted: Any, made: Any) -> None:
    transport = scripted(logged_in(again=f"was {TOKEN}"), at("pending"), at("ready"))
    runner = make_runner(store, secret_texts={}, transport=transport)
    result = runner.start(made(), {}, run_id="r").result()

    assert result.ready
    assert credentials(transport) == ["", f"Bearer {TOKEN}", f"Bearer {TOKEN}"]
    assert result.outputs == {"token": "[secret reply:1]"}
    assert TOKEN.encode() not in stored_bytes(store)
    body = decode(store.history("r")[1].event["reply"]["body"])
    assert body["access_token"] == SecretRef("reply:1")
    assert body["again"] == SecretText(("was ", SecretRef("reply:1")))
    assert runner.reach.concealer.scrub(TOKEN) == "[secret reply:1]"


def test_what_is_called_a_token_beside_it_is_one_too(store: Store, make_runner: Any, scripted: Any, made: Any) -> None:
    beside = {"refresh_token": OTHER, "id_token": f"id-{OTHER}", "data": [{"apiKey": OTHER}]}
    about = {"token_type": "bearer", "next_page_token": "p2", "refresh_token_status": "approved", "token_use": "access"}
    transport = scripted(logged_in(**beside, **about), (200, {"state": "ready", "token": "not of the login"}))
    make_runner(store, secret_texts={}, transport=transport).start(made(), {}, run_id="r").result()

    body, later = (decode(store.history("r")[at].event["reply"]["body"]) for at in (1, 2))
    assert body["refresh_token"] == SecretRef("reply:1.1")
    assert body["data"] == [{"apiKey": SecretRef("reply:1.1")}]
    assert body["id_token"] == SecretRef("reply:1.2")
    assert {name: body[name] for name in about} == about
    assert later["token"] == "not of the login"
    assert OTHER.encode() not in stored_bytes(store)


@pytest.mark.parametrize(
    ("output", "kept"),
    [
        pytest.param("$response.header.X-Other", "[not kept]", id="nobody-speaks-of-it"),
        pytest.param("$response.header.set-Cookie", "sid=abc; Path=/", id="the-document-reads-it"),
    ],
)
def test_a_cookie_is_kept_only_where_the_document_speaks_of_it(
    store: Store, make_runner: Any, scripted: Any, built: Callable[..., Plan], output: str, kept: str
) -> None:
    parameters = [{"name": "id", "in": "path", "value": "one"}]
    step = {"stepId": "a", "operationId": "getThing", "parameters": parameters, "outputs": {"o": output}}
    plan = built([step], workflow={"parameters": []})
    headers = dict.fromkeys(("set-cookie", "set-cookie2"), "sid=abc; Path=/")
    answer = Reply(status=200, headers={**headers, "x-other": "1"})
    result = make_runner(store, secret_texts={}, transport=scripted(answer)).start(plan, {}, run_id="r").result()

    assert result.ready
    assert store.history("r")[1].event["reply"]["headers"] == {**dict.fromkeys(headers, kept), "x-other": "1"}


@pytest.mark.parametrize(
    ("place", "reply", "sent"),
    [
        pytest.param("$response.body#/a/0/b", (200, {"a": [{"b": TOKEN}]}), f"Bearer {TOKEN}", id="deep"),
        pytest.param("$response.body", Reply(status=200, body=TOKEN, form="text"), f"Bearer {TOKEN}", id="text"),
        pytest.param("$response.header.X-T", Reply(status=200, headers={"x-t": TOKEN}), f"Bearer {TOKEN}", id="header"),
        pytest.param("$response.body#/t", (200, {"t": "abc"}), "Bearer abc", id="too-short-to-look-for"),
        pytest.param("$response.body#/t", (200, {"t": 12345678}), "Bearer 12345678", id="a-number-is-none"),
    ],
)
def test_it_is_taken_from_where_it_stands(
    make_runner: Any, scripted: Any, made: Any, place: str, reply: Any, sent: str
) -> None:
    store, transport = MemoryStore(), scripted(reply, at("ready"))
    make_runner(store, transport=transport).start(made(token=place), {}, run_id="r").result()

    assert credentials(transport)[-1] == sent
    if "12345678" not in sent:
        assert f'"{sent.removeprefix("Bearer ")}"' not in stored_bytes(store).decode()


def test_all_texts_below_a_place_are_credentials_each_with_a_name(make_runner: Any, scripted: Any, made: Any) -> None:
    store, transport = MemoryStore(), scripted((200, {"t": {"a": TOKEN, "b": [OTHER, TOKEN, "", None]}}), at("ready"))
    make_runner(store, transport=transport).start(made(token="$response.body#/t"), {}, run_id="r").result()
    reply = store.history("r")[1].event["reply"]

    assert decode(reply["body"]) == {
        "t": {"a": SecretRef("reply:1"), "b": [SecretRef("reply:1.1"), SecretRef("reply:1"), "", None]}
    }
    assert set(reply["sealed"]) == {"reply:1", "reply:1.1"}


def test_a_history_with_sealed_credentials_recomputes_exactly(make_runner: Any, scripted: Any, made: Any) -> None:
    store, transport = MemoryStore(), scripted(logged_in(), at("pending"), at("ready"))
    make_runner(store, transport=transport).start(made(), {}, run_id="r").result()
    chart = Chart(made())
    snapshot = chart.begin()
    for record in store.history("r"):
        snapshot, _, again = chart.advance(snapshot, event_from_json(record.event))
        assert again == record

    assert snapshot.text() == store.load("r").snapshot.text()


def test_one_that_could_end_a_line_is_not_sent(make_runner: Any, scripted: Any, made: Any) -> None:
    transport = scripted(logged_in("a-token\r\nX: y"), at("ready"))
    make_runner(MemoryStore(), transport=transport).start(made(), {}, run_id="r").result()

    with pytest.raises(RequestError) as caught:
        credentials(transport)
    assert caught.value.code == "AZM-R024"
    assert "X: y" not in str(caught.value)


# -- going on ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def left(tmp_path: Path, make_runner: Any, scripted: Any, made: Any) -> Callable[..., Path]:
    """``left("GET", ...)`` -> the store of a run that was left while it polls."""

    def leave(method: str = "GET", *more: Any, **options: Any) -> Path:
        path = tmp_path / "runs.db"
        with SqliteStore(path) as store:
            transport = scripted(logged_in(), at("pending"), *more)
            runner = make_runner(store, transport=transport, patience="end" if more else "wait")
            runner.start(made(method), {}, run_id="r", **options).result()
        return path

    return leave


@pytest.fixture
def go_on(make_runner: Any, scripted: Any) -> Callable[..., Any]:
    """``go_on(path, outcome, ...)`` -> the result, and the scripted transport, of another process."""

    def resume(path: Path, *outcomes: Any, **options: Any) -> Any:
        with SqliteStore(path) as store:
            transport = scripted(*outcomes)
            return make_runner(store, transport=transport).resume("r", **options).result(), transport

    return resume


@pytest.fixture
def no_crypto(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Sealer, "works", property(lambda self: False))


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_another_process_opens_what_was_sealed(left: Any, go_on: Any, method: str) -> None:
    result, transport = go_on(left(method), at("ready"))

    assert result.ready
    assert credentials(transport) == [f"Bearer {TOKEN}"]


def test_a_key_of_ones_own_leaves_no_file(left: Any, go_on: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_KEY", KEY)
    path = left(options={"key": "@env:A_KEY"})
    result, transport = go_on(path, at("ready"))

    assert result.ready
    assert credentials(transport) == [f"Bearer {TOKEN}"]
    assert not path.with_name("runs.db.key").exists()


@pytest.mark.usefixtures("no_crypto")
def test_without_a_seal_the_safe_call_is_made_again(left: Any, go_on: Any) -> None:
    result, transport = go_on(left("GET"), logged_in(OTHER), at("pending"), at("ready"))

    assert result.ready
    assert credentials(transport) == ["", f"Bearer {OTHER}", f"Bearer {OTHER}"]
    assert [call.step for call in transport.sent] == ["login", "use", "use"]


@pytest.mark.usefixtures("no_crypto")
@pytest.mark.parametrize(
    ("method", "outcomes", "why"),
    [
        pytest.param("POST", [], "was not kept: the extra crypto is missing, and login is not safe", id="unsafe"),
        pytest.param("GET", [("not_sent", "refused")], "login was called again, and got no answer", id="no-answer"),
        pytest.param("GET", [(503, None)], "login was called again, and answered 503", id="another-answer"),
    ],
)
def test_a_run_that_cannot_have_it_again_says_why_and_how_to_go_on(
    left: Any, go_on: Any, monkeypatch: pytest.MonkeyPatch, method: str, outcomes: list[Any], why: str
) -> None:
    path = left(method)
    with pytest.raises(CredentialError) as caught:
        go_on(path, *outcomes)

    assert (caught.value.code, caught.value.exit_code) == ("AZM-C023", 14)
    assert why in caught.value.message
    assert caught.value.next == "give it: arazzo-machine resume r -i reply:1=@env:VARIABLE"
    monkeypatch.setenv("NEW", OTHER)
    result, transport = go_on(path, at("ready"), references={"reply:1": Reference("@env:NEW")})
    assert result.ready
    assert credentials(transport) == [f"Bearer {OTHER}"]


@pytest.mark.parametrize(("method", "expected"), [("GET", ["", f"Bearer {OTHER}"]), ("POST", [f"Bearer {TOKEN}"])])
def test_one_that_was_refused_is_got_anew_where_that_is_safe(
    left: Any, go_on: Any, method: str, expected: list[str]
) -> None:
    path = left(method, 401)
    outcomes = [logged_in(OTHER), at("ready")] if method == "GET" else [at("ready")]
    result, transport = go_on(path, *outcomes)

    assert result.ready
    assert credentials(transport) == expected


def test_one_that_nothing_ahead_needs_is_not_asked_for(built: Any, drive: Any, made: Any) -> None:
    """Neither one that was used up, nor any once the run has ended."""
    steps = [
        {"stepId": "login", "operationId": "getThing", "outputs": {"token": "$response.body#/t"}},
        {"stepId": "use", "operationId": "getThing", "parameters": BEARER},
        {"stepId": "rest", "operationId": "getThing"},
    ]
    run = drive(built(steps)).reply(200, {"t": SecretRef("reply:1")})
    waiting = needed(run.plan, run.snapshot)
    run.reply(200, {})
    behind = needed(run.plan, run.snapshot)

    assert (waiting, behind) == ({"reply:1"}, frozenset())


def test_an_answer_that_was_kept_is_gone_on_with(
    tmp_path: Path, make_runner: Any, scripted: Any, made: Any, go_on: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "runs.db"
    with SqliteStore(path) as store:
        run = make_runner(store, transport=scripted(logged_in())).start(made("POST"), {}, run_id="r")
        with monkeypatch.context() as patch:
            patch.setattr(Chart, "advance", lambda *given: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                run.result()
        kept = store.kept("r")
    result, transport = go_on(path, at("ready"))

    assert kept is not None
    assert TOKEN not in json.dumps(kept)
    assert result.ready
    assert credentials(transport) == [f"Bearer {TOKEN}"]


def chained(length: int) -> tuple[list[Any], SecretBook, list[str], Any]:
    """A history in which each call authenticates with what the answer before it gave, unsealed."""
    book, asked = SecretBook({}), list[str]()
    history: list[Any] = []
    for number in range(1, length + 1):
        headers = (("Authorization", SecretText((SecretRef(f"reply:{number - 1}"),))),) if number > 1 else ()
        request = Request(source="things", method="GET", target=f"/{number}", headers=headers)
        call = Call(step=f"s{number}", request=request, kind="safe", not_before=0.0, number=number)
        event = {"reply": {"sealed": {f"reply:{number - 1}": ""}}} if number > 1 else {}
        history.append(SimpleNamespace(seq=number, event=event, effects=(call,)))
    history.append(SimpleNamespace(seq=length + 1, event={"reply": {"sealed": {f"reply:{length}": ""}}}, effects=()))

    def perform(call: Call) -> Replied:
        asked.append("".join(book.join(value) for _, value in call.request.headers))
        book.note(f"reply:{call.number}", f"token-{call.number}")
        return Replied(at=0.0, reply=Reply(status=200))

    return history, book, asked, perform


def test_credentials_got_with_credentials_are_had_again_from_the_first_on() -> None:
    history, book, asked, perform = chained(4)
    Answers("r", history, None, book, Sealer(), perform).give(["reply:4"], anew=False)

    assert asked == ["", "token-1", "token-2", "token-3"]
    assert "reply:4" in book.names


def test_a_chain_without_an_end_is_not_followed() -> None:
    history, book, asked, perform = chained(500)
    with pytest.raises(CredentialError) as caught:
        Answers("r", history, None, book, Sealer(), perform).give(["reply:500"], anew=False)

    assert "too many calls" in caught.value.message
    assert asked == []


# -- what people say ---------------------------------------------------------------------------------------------------


@pytest.fixture
def doubtful(tmp_path: Path, make_runner: Any, scripted: Any, made: Any) -> Path:
    """The store of a run whose login may have been applied."""
    path = tmp_path / "runs.db"
    with SqliteStore(path) as store:
        make_runner(store, transport=scripted(("unknown", "reset"))).start(made("POST"), {}, run_id="r").result()
    return path


def test_an_answer_somebody_found_is_sealed(doubtful: Path, make_runner: Any, scripted: Any, go_on: Any) -> None:
    with SqliteStore(doubtful) as store:
        reply = Reply(status=200, body=logged_in()[1], form="json")
        make_runner(store, transport=scripted()).resolve("r", "accept", reply=reply)
        clear = TOKEN.encode() in stored_bytes(store)
    result, transport = go_on(doubtful, at("ready"))

    assert not clear
    assert result.ready
    assert credentials(transport) == [f"Bearer {TOKEN}"]


def test_a_credential_is_not_adopted_as_a_text(doubtful: Path, make_runner: Any, scripted: Any) -> None:
    with SqliteStore(doubtful) as store:
        runner = make_runner(store, transport=scripted())
        with pytest.raises(UsageError) as caught:
            runner.resolve("r", "adopt", outputs={"token": TOKEN})

        assert caught.value.code == "AZM-U106"
        assert TOKEN not in str(caught.value)
        assert TOKEN.encode() not in stored_bytes(store)
        assert runner.resolve("r", "adopt", outputs={"user": "me"}).reason != "in_doubt"


def test_a_run_that_needs_one_is_not_handed_on_until_it_is_given(
    left: Any, make_runner: Any, scripted: Any, made: Any, go_on: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = left("POST")
    with SqliteStore(path) as store:
        with pytest.raises(UsageError) as caught:
            export_token(store, store.load("r"), made("POST"))
        monkeypatch.setenv("NEW", OTHER)
        runner = make_runner(store, transport=scripted(at("pending")), patience="call")
        runner.resume("r", references={"reply:1": Reference("@env:NEW")}).result()
        token = export_token(store, store.load("r"), made("POST"))

    assert caught.value.code == "AZM-U107"
    assert "-i reply:1=@env:VARIABLE" in caught.value.next
    assert TOKEN not in token
    assert OTHER not in token


# -- keys --------------------------------------------------------------------------------------------------------------


def test_the_key_file_is_ours_alone_and_the_same_for_all(tmp_path: Path) -> None:
    file = tmp_path / "runs.db.key"
    first, second = Sealer(file=file), Sealer(file=file)
    first.prepare()
    text = file.read_bytes()
    second.prepare()

    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert len(base64.b64decode(text)) == 32
    assert file.read_bytes() == text
    assert [one.name for one in tmp_path.iterdir()] == ["runs.db.key"]
    assert second.open("r", "n", first.seal("r", "n", TOKEN)) == TOKEN


def test_what_is_sealed_opens_for_its_run_and_name_and_key_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_KEY", KEY)
    sealer, other = Sealer("@env:A_KEY"), Sealer()
    sealer.prepare()
    other.prepare()
    sealed = sealer.seal("r", "reply:1", TOKEN)
    changed = sealed[:-4] + ("AAA=" if sealed.endswith("=") else "AAAA")

    assert sealer.open("r", "reply:1", sealed) == TOKEN
    assert sealer.seal("r", "reply:1", TOKEN) != sealed
    assert [
        sealer.open("s", "reply:1", sealed),
        sealer.open("r", "reply:2", sealed),
        other.open("r", "reply:1", sealed),
        sealer.open("r", "reply:1", changed),
        sealer.open("r", "reply:1", ""),
        sealer.open("r", "reply:1", "not base64"),
    ] == [None] * 6


def _readable(file: Path) -> None:
    file.write_text(KEY)
    file.chmod(0o640)


def _short(file: Path) -> None:
    file.write_text("c2hvcnQ=")
    file.chmod(0o600)


def _binary(file: Path) -> None:
    file.write_bytes(b"\xff" * 44)
    file.chmod(0o600)


def _link(file: Path) -> None:
    target = file.with_name("elsewhere")
    target.write_text(KEY)
    target.chmod(0o600)
    file.symlink_to(target)


def _pipe(file: Path) -> None:
    os.mkfifo(file, 0o600)


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        pytest.param(_readable, "AZM-C061", id="others-can-read-it"),
        pytest.param(_pipe, "AZM-C061", id="no-file"),
        pytest.param(_short, "AZM-C060", id="no-key"),
        pytest.param(_binary, "AZM-C060", id="no-text"),
        pytest.param(_link, "AZM-C060", id="a-link"),
    ],
)
def test_a_key_file_that_cannot_be_trusted_is_refused_before_anything_is_sent(
    tmp_path: Path, make_runner: Any, scripted: Any, made: Any, spoil: Any, code: str
) -> None:
    spoil(tmp_path / "runs.db.key")
    with SqliteStore(tmp_path / "runs.db") as store:
        transport = scripted(logged_in())
        with pytest.raises(CredentialError) as caught:
            make_runner(store, transport=transport).start(made("POST"), {}, run_id="r")

        assert caught.value.code == code
        assert transport.calls == []
        assert store.runs() == []


def test_a_folder_that_takes_no_key_file_is_an_error_with_advice(tmp_path: Path) -> None:
    with pytest.raises(CredentialError) as caught:
        Sealer(file=tmp_path / "none" / "runs.db.key").prepare()

    assert caught.value.code == "AZM-C060"
    assert "--key" in caught.value.next


@pytest.mark.parametrize("text", ["short", KEY[:-8], KEY + "AAAA", "\u00e9" * 44])
def test_a_key_that_is_none_is_refused_and_not_shown(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("A_KEY", text)
    with pytest.raises(CredentialError) as caught:
        Sealer("@env:A_KEY").prepare()

    assert caught.value.code == "AZM-C060"
    assert text not in str(caught.value)


@pytest.mark.usefixtures("no_crypto")
def test_a_key_without_the_package_is_refused_and_no_key_is_made_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_KEY", KEY)
    with pytest.raises(CredentialError) as caught:
        Sealer("@env:A_KEY").prepare()
    without = Sealer(file=tmp_path / "key")
    without.prepare()

    assert caught.value.code == "AZM-C062"
    assert without.seal("r", "n", TOKEN) == ""
    assert list(tmp_path.iterdir()) == []


def test_a_plan_that_needs_no_key_makes_none(tmp_path: Path, make_runner: Any, scripted: Any, retry_plan: Plan) -> None:
    with SqliteStore(tmp_path / "runs.db") as store:
        make_runner(store, transport=scripted((201, {"id": 1}))).start(retry_plan, {}, run_id="r").result()

    assert not (tmp_path / "runs.db.key").exists()


# -- each part by itself -----------------------------------------------------------------------------------------------


def taken(place: str, body: Any) -> tuple[Any, SecretBook]:
    """The body of an answer after its credentials were taken out, and the book that knows them."""
    book = SecretBook({})
    reply = Reply(status=200, body=body, form="json")
    parsed = parse_expression(place, place=Place(document="d"))
    return take_out(reply, [parsed], 1, book, lambda name, text: "").body, book


@pytest.mark.parametrize(
    ("place", "body", "expected"),
    [
        pytest.param("$response.body#/a/b", 5, 5, id="a-number-has-no-members"),
        pytest.param("$response.body#/a/b", {"a": "plain text"}, {"a": "plain text"}, id="a-text-has-none-either"),
        pytest.param("$response.body#/a/1", {"a": ["plain text"]}, {"a": ["plain text"]}, id="a-list-that-is-shorter"),
        pytest.param(
            "$response.body#/a/0/b",
            {"a": [{"b": TOKEN, "c": "plain text"}, {"b": "other text"}]},
            {"a": [{"b": SecretRef("reply:1"), "c": "plain text"}, {"b": "other text"}]},
            id="what-stands-beside-it-stays",
        ),
        pytest.param("$response.body.t", {"t": TOKEN, "u": "me"}, {"t": SecretRef("reply:1"), "u": "me"}, id="by-name"),
    ],
)
def test_nothing_but_a_credential_is_taken_out(place: str, body: Any, expected: Any) -> None:
    left, book = taken(place, body)

    assert left == expected
    assert book.names == ({"reply:1"} if left != body else frozenset())


def test_a_credential_is_taken_out_of_the_headers_beside_it_too() -> None:
    reply = Reply(status=200, headers={"x-echo": f"was {TOKEN}"}, body={"t": TOKEN}, form="json")
    parsed = parse_expression("$response.body#/t", place=Place(document="d"))
    left = take_out(reply, [parsed], 1, SecretBook({}), lambda name, text: "")

    assert left.headers == {"x-echo": SecretText(("was ", SecretRef("reply:1")))}


def test_no_cookie_is_kept_unless_somebody_says_that_the_document_speaks_of_them() -> None:
    reply = Reply(status=200, headers={"set-cookie": "sid=abc"})
    inner = SimpleNamespace(perform=lambda call, timeout: Replied(at=0.0, reply=reply))
    transport = SealingTransport(inner=inner, places={}, book=SecretBook({}), seal=lambda name, text: "")
    call = Call(step="a", request=Request(source="api", method="GET", target="/"), kind="safe", not_before=0.0)

    assert transport.perform(call, 1.0).reply.headers == {"set-cookie": "[not kept]"}


def test_the_transport_below_is_closed_too(make_runner: Any, scripted: Any, made: Any) -> None:
    transport = scripted(logged_in(), at("ready"))
    make_runner(MemoryStore(), transport=transport).start(made(), {}, run_id="r").result()

    assert transport.closed == 1


@pytest.mark.parametrize(
    ("callees", "calls", "found"), [(1, 1, {"reply:1", "reply:2"}), (0, 1, set()), (1, 0, {"reply:1"}), (0, 0, set())]
)
def test_what_one_workflow_handed_to_another_may_be_sent_while_calls_lie_ahead(
    callees: int, calls: int, found: set[str]
) -> None:
    asked: list[tuple[str, ...]] = []
    call = SimpleNamespace(parameters=(), body=None, effect=SimpleNamespace(probe=None))
    plan: Any = SimpleNamespace(
        ahead=lambda *stack: asked.append(stack) or [(None, call)] * calls + [(None, None)],
        callees={str(one): None for one in range(callees)},
    )
    outputs = {"login": {"token": SecretRef("reply:1"), "given": SecretRef("hfToken")}}
    frames = tuple(SimpleNamespace(state=one, steps=outputs, inputs={}) for one in ("a", "b", "c"))
    handed = {"w": SimpleNamespace(inputs={}, outputs={"token": SecretRef("reply:2")})}
    snapshot: Any = SimpleNamespace(pending=None, standing=(frames, "s"), workflows=handed)

    assert needed(plan, snapshot) == found
    assert asked == [("a", "b", "s")]


def test_a_credential_nobody_was_answered_with_was_given_by_hand() -> None:
    with pytest.raises(CredentialError) as caught:
        Answers("r", [], None, SecretBook({}), Sealer(), lambda call: 1 / 0).give(["reply:9"], anew=False)  # type: ignore[arg-type, return-value]

    assert (caught.value.code, caught.value.exit_code) == ("AZM-C023", 14)
    assert "the credential reply:9 cannot be had: it was given by hand" in caught.value.message


@pytest.mark.parametrize(("length", "asked"), [(8, 8), (9, 0)])
def test_eight_calls_are_made_again_for_one_credential_and_no_more(length: int, asked: int) -> None:
    history, book, made, perform = chained(length)
    answers = Answers("r", history, None, book, Sealer(), perform)
    if not asked:
        with pytest.raises(CredentialError, match="too many calls"):
            answers.give([f"reply:{length}"], anew=False)
    else:
        answers.give([f"reply:{length}"], anew=False)

    assert len(made) == asked


def test_an_answer_that_was_kept_follows_the_last_call() -> None:
    history, book, asked, perform = chained(1)
    kept = history.pop().event
    answers = Answers("r", history, kept, book, Sealer(), perform)
    answers.give(["reply:1"], anew=False)

    assert (answers.waiting, asked) == ({"reply:1"}, [""])
    assert Answers("r", chained(1)[0], None, book, Sealer(), perform).waiting == frozenset()


def test_every_credential_that_opens_is_known_and_none_is_asked_for() -> None:
    sealer, book = Sealer(), SecretBook({})
    sealer.prepare()
    sealed = {name: sealer.seal("r", name, f"{TOKEN}{name}") for name in ("reply:1", "reply:2", "reply:3")}
    history: Any = [SimpleNamespace(seq=1, event={"reply": {"sealed": sealed}}, effects=())]
    Answers("r", history, None, book, sealer, lambda call: 1 / 0).give(sealed, anew=False)  # type: ignore[arg-type, return-value]

    assert {name: book.text_of(name) for name in sealed} == {name: f"{TOKEN}{name}" for name in sealed}


def test_one_sealed_under_another_key_does_not_open(left: Any, go_on: Any) -> None:
    path = left("POST")
    path.with_name("runs.db.key").write_text(KEY)
    with pytest.raises(CredentialError) as caught:
        go_on(path)

    assert "does not open with this key, and login is not safe to call again" in caught.value.message


def test_without_the_package_nothing_is_sealed_or_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [one for one in sys.modules if one.partition(".")[0] == "cryptography"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "cryptography", None)
    sealer = Sealer()
    sealer.prepare()

    assert sealer.works is False
    assert sealer.seal("r", "n", TOKEN) == ""
    assert sealer.open("r", "n", "c2VhbGVk") is None


@pytest.mark.parametrize("text", [TOKEN, "", "half a pair \ud800", "\u00e9\U0001f600"])
def test_any_text_opens_as_it_was_sealed_with_a_nonce_of_96_bits(text: str) -> None:
    sealer = Sealer()
    sealer.prepare()
    sealed = sealer.seal("r", "n", text)

    assert sealer.open("r", "n", sealed) == text
    # NIST SP 800-38D: 12 bytes of nonce and 16 of tag.
    assert len(base64.urlsafe_b64decode(sealed)) == 12 + len(text.encode("utf-8", "surrogatepass")) + 16


def test_a_key_may_be_written_in_either_alphabet_of_base64(monkeypatch: pytest.MonkeyPatch) -> None:
    key = b"\xfb\xef\xff" * 10 + b"\xff\xff"
    monkeypatch.setenv("A_KEY", base64.b64encode(key).decode())
    monkeypatch.setenv("B_KEY", f" {base64.urlsafe_b64encode(key).decode()}\n")
    one, two = Sealer("@env:A_KEY"), Sealer("@env:B_KEY")
    one.prepare()
    two.prepare()

    assert two.open("r", "n", one.seal("r", "n", TOKEN)) == TOKEN


def test_a_key_that_is_not_there_is_called_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("A_KEY", raising=False)
    with pytest.raises(CredentialError, match="the value of 'key' cannot be had") as caught:
        Sealer("@env:A_KEY").prepare()

    assert caught.value.next.endswith("--key @env:VARIABLE")


def test_a_key_file_is_on_the_disk_before_it_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced, link = [], os.link
    monkeypatch.setattr(os, "fsync", lambda handle: synced.append(os.fstat(handle).st_size))
    monkeypatch.setattr(os, "link", lambda *paths: (synced.append("named"), link(*paths)))
    Sealer(file=tmp_path / "key").prepare()

    assert synced == [45, "named"]


def test_a_key_file_of_another_user_is_no_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "runs.db.key"
    file.write_text(KEY)
    file.chmod(0o600)
    Sealer(file=file).prepare()

    monkeypatch.setattr(os, "geteuid", lambda: file.stat().st_uid + 1)
    with pytest.raises(CredentialError) as refused:
        Sealer(file=file).prepare()
    assert refused.value.code == "AZM-C061"
