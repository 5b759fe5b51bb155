from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest

from machine.cli.calling import _size, announce_auth, auth_of, need_lines, transport_of
from machine.errors import UsageError
from machine.plan.model import Plan
from machine.runtime.http import Transport
from machine.runtime.reach import Reach
from machine.stores import SqliteStore
from machine.testing.server import Simulator

Built = Callable[..., Plan]
LOCKED = [{"stepId": "get", "operationId": "getLocked"}]


@pytest.fixture
def locked(built: Built) -> Plan:
    return built(LOCKED)


@pytest.mark.parametrize(
    ("text", "size"), [("500", 500), ("10k", 10 << 10), ("2M", 2 << 20), ("1GiB", 1 << 30), ("3mb", 3 << 20)]
)
def test_a_size_is_read(text: str, size: int) -> None:
    assert _size(text) == size


@pytest.mark.parametrize("text", ["", "0", "-1", "x", "1t", "1.5m", "9" * 20])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter):
        _size(text)


def test_flags_become_a_transport(tmp_path: Path) -> None:
    made: Any = transport_of({"max_reply": 5, "max_ratio": 3, "connect_timeout": 1.5, "proxy": "http://proxy:3128"})

    assert made.func is Transport
    assert made.keywords == {"largest": 5, "ratio": 3, "connect_timeout": 1.5, "proxy": "http://proxy:3128"}
    assert transport_of({}).keywords == {}  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"proxy": "ftp://x"}, "AZM-U110"),
        ({"proxy": "proxy:3128"}, "AZM-U110"),
        ({"proxy": "http://me:s3cret@proxy"}, "AZM-U111"),
        ({"ca_bundle": Path("/nowhere.pem")}, "AZM-U112"),
        ({"ca_bundle": Path(__file__)}, "AZM-U112"),
    ],
)
def test_a_proxy_or_bundle_that_cannot_be_used_is_refused(given: dict[str, Any], code: str) -> None:
    with pytest.raises(UsageError) as caught:
        transport_of(given)

    assert caught.value.code == code
    assert "s3cret" not in f"{caught.value} {caught.value.next}"


def test_a_password_of_a_proxy_comes_from_a_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROXY", "http://me:word@proxy:1")

    assert transport_of({"proxy": "@env:PROXY"}).keywords == {"proxy": "http://me:word@proxy:1"}  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("flag", "environment", "plan_auth", "options", "expected"),
    [
        pytest.param(["things.key=@env:A"], {}, {}, {}, {"things.key": "@env:A"}, id="flag"),
        pytest.param([], {}, {"things.key": "@env:B"}, {}, {"things.key": "@env:B"}, id="overlay"),
        pytest.param(
            ["things.key=none"], {"": "x"}, {"things.key": "@env:B"}, {}, {"things.key": "none"}, id="flag-wins"
        ),
        pytest.param([], {"": "x"}, {}, {}, {}, id="a-variable-alone-is-nothing"),
        pytest.param([], {"": "x"}, {}, {"trusted": True}, {"things.key": "@env:ARAZZO_AUTH_THINGS_KEY"}, id="trusted"),
        pytest.param(
            [],
            {"": "x"},
            {},
            {"servers": {"things": "https://x"}},
            {"things.key": "@env:ARAZZO_AUTH_THINGS_KEY"},
            id="named",
        ),
        pytest.param(
            [],
            {"": "x", "ORIGIN": "https://THINGS.example:443"},
            {"things.key": "@env:B"},
            {},
            {"things.key": "@env:ARAZZO_AUTH_THINGS_KEY"},
            id="origin-and-over-an-overlay",
        ),
        pytest.param([], {"": "x", "ORIGIN": "https://other.example"}, {}, {}, {}, id="another-origin"),
    ],
)
def test_where_a_credential_comes_from(
    built: Built,
    monkeypatch: pytest.MonkeyPatch,
    flag: list[str],
    environment: dict[str, str],
    plan_auth: dict[str, str],
    options: dict[str, Any],
    expected: dict[str, str],
) -> None:
    plan = built(LOCKED, workflow={"x-machine": {"auth": plan_auth}}, trusted=True)
    for name, text in environment.items():
        monkeypatch.setenv(f"ARAZZO_AUTH_THINGS_{name or 'KEY'}", text)

    found, notes = auth_of(
        plan, {"auth": flag}, trusted=options.get("trusted", False), servers=options.get("servers", {})
    )

    assert found == expected
    assert bool(notes) == (bool(environment) and not any(text.startswith("@env:ARAZZO") for text in expected.values()))


def test_it_is_said_where_a_credential_goes(locked: Plan) -> None:
    reach = Reach(servers={}, secret_texts={}, prompt=None, transport=Transport)

    lines = list(announce_auth(locked, {"auth": {"things.key": "@env:A"}}, reach))

    assert lines == ["credential things.key (@env:A) goes to things.example"]


@pytest.fixture
def document(tmp_path: Path) -> Path:
    """A workflow with one call behind a key, in files."""
    api = {
        "openapi": "3.1.0",
        "info": {"title": "t", "version": "1"},
        "servers": [{"url": "https://things.example"}],
        "paths": {
            "/a": {
                "post": {
                    "operationId": "make",
                    "security": [{"key": []}],
                    "requestBody": {"content": {"application/json": {"schema": {"required": ["n"]}}}},
                    "responses": {"201": {"description": "x"}},
                }
            }
        },
        "components": {"securitySchemes": {"key": {"type": "apiKey", "in": "header", "name": "X-Key"}}},
    }
    (tmp_path / "api.json").write_text(json.dumps(api))
    step = {"stepId": "make", "operationId": "make", "requestBody": {"payload": {"m": 1}}}
    value = {
        "arazzo": "1.0.1",
        "info": {"title": "t", "version": "1"},
        "sourceDescriptions": [{"name": "api", "url": "api.json", "type": "openapi"}],
        "workflows": [{"workflowId": "w", "steps": [step]}],
    }
    file = tmp_path / "w.arazzo.json"
    file.write_text(json.dumps(value))
    return file


def test_a_dry_run_prints_the_request_and_stores_nothing(machine: Any, document: Path, tmp_path: Path) -> None:
    shown = machine(
        "run", str(document), "--dry-run", "--auth", "api.key=@env:NOT_SET", "--store", str(tmp_path / "s.db")
    )

    assert shown.code == 0
    assert "make: POST https://things.example/a" in shown.out
    assert "X-Key: [secret auth:api.key]" in shown.out
    assert '{"m": 1}' in shown.out
    assert "'n' is a required property" in shown.err
    assert not (tmp_path / "s.db").exists()


def test_a_dry_run_is_one_object_as_json(machine: Any, document: Path) -> None:
    shown = machine("run", str(document), "--dry-run", "--auth", "api.key=none", "--json")

    assert [one["step"] for one in json.loads(shown.out)["requests"]] == ["make"]


@pytest.mark.parametrize(
    ("flags", "code", "words"),
    [
        pytest.param([], 78, "needs a credential: api.key", id="missing"),
        pytest.param(["--auth", "api.key=literal"], 64, "does not belong on a command line", id="literal"),
        pytest.param(["--auth", "api.key=@env:X", "--strict-bodies"], 65, "does not fit its schema", id="strict"),
        pytest.param(["--auth", "api.key=@env:NOT_SET"], 78, "cannot be had", id="not-set"),
        pytest.param(["--auth", "api.nothing=@env:X"], 64, "no step needs", id="unknown"),
    ],
)
def test_what_would_go_wrong_is_said_before_a_run_exists(
    machine: Any, document: Path, tmp_path: Path, flags: list[str], code: int, words: str
) -> None:
    shown = machine("run", str(document), *flags, "--store", str(tmp_path / "s.db"))

    assert shown.code == code
    assert words in shown.err
    assert machine("runs", "--store", str(tmp_path / "s.db"), "--json").out.strip() in ('{"runs": []}', "[]", "")


def test_a_plan_lists_the_credentials_it_needs(built: Built, machine: Any, document: Path) -> None:
    needed = list(need_lines(built(LOCKED)))
    known = list(need_lines(built(LOCKED, workflow={"x-machine": {"auth": {"things.key": "@env:A"}}}, trusted=True)))

    assert needed == ["credential things.key: apiKey, for get; missing, give --auth things.key=@env:NAME"]
    assert known == ["credential things.key: apiKey, for get; from @env:A; missing, set A"]
    assert "credential api.key: apiKey, for make" in machine("plan", str(document)).out
    assert machine("plan", str(document), "--json").json["needs"] == [
        {"auth": "api.key", "type": "apiKey", "scheme": "", "steps": ["make"], "optional": False, "usable": True}
    ]


def test_a_plan_says_which_credentials_the_environment_has(built: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A", "a-key")
    monkeypatch.setenv("ARAZZO_AUTH_THINGS_KEY", "a-key")
    named = list(need_lines(built(LOCKED, workflow={"x-machine": {"auth": {"things.key": "@env:A"}}}, trusted=True)))
    elsewhere = list(need_lines(built(LOCKED)))
    monkeypatch.setenv("ARAZZO_AUTH_THINGS_ORIGIN", "https://things.example")
    meant = list(need_lines(built(LOCKED)))

    assert named == ["credential things.key: apiKey, for get; from @env:A"]
    assert elsewhere == ["credential things.key: apiKey, for get; missing, give --auth things.key=@env:NAME"]
    assert meant == ["credential things.key: apiKey, for get; from @env:ARAZZO_AUTH_THINGS_KEY"]


def test_how_calls_are_made_is_said_to_each_command_and_not_kept_with_the_run(
    machine: Any, deploy: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Proxies, certificates and the largest answer belong to the machine a command runs on."""
    monkeypatch.setenv("TOKEN", "a token of tests")
    flags = ["--proxy", "http://127.0.0.1:9", "--max-reply", "77k", "--connect-timeout", "7s", "--max-ratio", "77"]
    with Simulator("happy", token="a token of tests") as simulator:
        given = ["--server", simulator.url, "-i", "hfToken=@env:TOKEN", "--id", "one", "--once"]
        begun = machine(*deploy[:-1], *given, *flags)
        with SqliteStore(tmp_path / "runs.db") as store:
            kept = store.load("one").head.options
        small = machine("resume", "one", "--once", "--max-reply", "9")
        again = machine("resume", "one", "--once")

    assert (begun.code, small.code, again.code) == (16, 16, 16)
    assert "http://127.0.0.1:9" not in kept.values()
    assert not {"proxy", "ca_bundle", "max_reply", "max_ratio", "connect_timeout"} & set(kept)
    assert "too_large" in small.err
    assert "too_large" not in again.err


def test_a_secret_is_said_to_go_only_where_the_document_sends_it(
    machine: Any, tmp_path: Path, closed_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("locked", "open"):
        operation = {"operationId": name, "responses": {"200": {"description": "x"}}}
        api = {"openapi": "3.1.0", "info": {"title": "t", "version": "1"}, "paths": {f"/{name}": {"get": operation}}}
        (tmp_path / f"{name}.json").write_text(json.dumps(api))
    bearer = {"name": "Authorization", "in": "header", "value": "Bearer {$inputs.token}"}
    document = {
        "arazzo": "1.0.1",
        "info": {"title": "t", "version": "1"},
        "sourceDescriptions": [{"name": one, "url": f"{one}.json", "type": "openapi"} for one in ("locked", "open")],
        "workflows": [
            {
                "workflowId": "w",
                "inputs": {"type": "object", "properties": {"token": {"type": "string"}}},
                "steps": [
                    {"stepId": "a", "operationId": "$sourceDescriptions.locked.locked", "parameters": [bearer]},
                    {"stepId": "b", "operationId": "$sourceDescriptions.open.open"},
                ],
            }
        ],
    }
    (tmp_path / "w.arazzo.json").write_text(json.dumps(document))
    monkeypatch.setenv("TOKEN", "a token of tests")
    servers = ["--server", f"locked=http://127.0.0.1:{closed_port}", "--server", "open=https://open.example"]

    done = machine("run", str(tmp_path / "w.arazzo.json"), "-i", "token=@env:TOKEN", *servers)

    assert f"secret token (@env:TOKEN) goes to 127.0.0.1:{closed_port}\n" in done.err
