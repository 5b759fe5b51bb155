"""A token the service hands out is used, kept sealed, and opened again by whoever has the key."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

GIVEN = "tok_handed-out-by-the-service"
KEY = base64.b64encode(b"a key of thirty-two bytes, or so").decode()

API = """
openapi: 3.1.0
info: {title: Jobs, version: 1.0.0}
servers: [{url: 'https://jobs.example.com'}]
paths:
  /token:
    post: {operationId: logIn, responses: {'200': {description: a token}}}
  /job:
    get:
      operationId: getJob
      security: [{bearer: []}]
      responses: {'200': {description: a job}}
components: {securitySchemes: {bearer: {type: http, scheme: bearer}}}
"""

DOCUMENT = """
arazzo: 1.0.1
info: {title: Jobs, version: 1.0.0}
sourceDescriptions: [{name: jobs, url: jobs.yaml, type: openapi}]
workflows:
- workflowId: watch
  steps:
  - stepId: logIn
    operationId: logIn
    outputs: {token: $response.body#/access_token}
  - stepId: getJob
    operationId: getJob
    parameters: [{name: Authorization, in: header, value: 'Bearer {$steps.logIn.outputs.token}'}]
    onSuccess:
    - {name: wait, type: goto, stepId: getJob, criteria: [{condition: $response.body#/state == 'pending'}]}
    - {name: done, type: end}
  outputs: {token: $steps.logIn.outputs.token}
"""


class Jobs:
    """The service: the token it gives, the tokens it was sent, the state of its job."""

    def __init__(self) -> None:
        self.url = ""
        self.state = "pending"
        self.logins = 0
        self.tokens: list[str] = []


@pytest.fixture
def jobs() -> Iterator[Jobs]:
    told = Jobs()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *arguments: Any) -> None:
            pass

        def do_POST(self) -> None:
            told.logins += 1
            self._answer({"access_token": GIVEN, "token_type": "bearer"})

        def do_GET(self) -> None:
            told.tokens.append(self.headers.get("Authorization", ""))
            self._answer({"state": told.state, "asked_with": self.headers.get("Authorization")})

        def _answer(self, value: Any) -> None:
            body = json.dumps(value).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        told.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield told
        server.shutdown()
        thread.join(10)


@pytest.fixture
def document(tmp_path: Path) -> Path:
    (tmp_path / "jobs.yaml").write_text(API)
    (tmp_path / "jobs.arazzo.yaml").write_text(DOCUMENT)
    return tmp_path / "jobs.arazzo.yaml"


def clear(folder: Path) -> list[str]:
    return [one.name for one in folder.rglob("*") if one.is_file() and GIVEN.encode() in one.read_bytes()]


def test_it_is_sealed_with_the_key_beside_the_store(shell: Any, jobs: Jobs, document: Path, tmp_path: Path) -> None:
    left = shell("run", document, "--server", jobs.url, "--no-wait", "--id", "a", "--log", "run.log")
    jobs.state = "ready"
    done = [shell("resume", "a", "--json"), shell("show", "a", "--why", "--json"), shell("resume", "a")]

    assert (left.code, [one.code for one in done]) == (16, [0, 0, 0])
    assert jobs.logins == 1
    assert set(jobs.tokens) == {f"Bearer {GIVEN}"}
    assert done[0].json["outputs"] == {"token": "[secret reply:1]"}
    assert (tmp_path / "runs.db.key").stat().st_mode & 0o777 == 0o600
    assert clear(tmp_path) == []
    assert GIVEN not in "".join(one.out + one.err for one in (left, *done))


def test_who_has_another_key_has_to_give_the_token(shell: Any, jobs: Jobs, document: Path) -> None:
    keys = {"A_KEY": KEY, "ANOTHER": KEY[::-1].lstrip("=").rjust(44, "A")[:43] + "="}
    left = shell(
        *("run", document, "--server", jobs.url, "--no-wait", "--id", "a", "--key", "@env:A_KEY"), environment=keys
    )
    jobs.state = "ready"
    other = shell("resume", "a", "--key", "@env:ANOTHER", "--json", environment=keys)
    given = shell("resume", "a", "-i", "reply:1=@env:NEW", environment={**keys, "NEW": "tok_another"})

    assert left.code == 16
    assert (other.code, other.json["error"]["code"]) == (14, "AZM-C023")
    assert "does not open with this key, and logIn is not safe to call again" in other.json["error"]["message"]
    assert "-i reply:1=@env:VARIABLE" in other.json["error"]["next"]
    assert given.code == 0
    assert jobs.tokens[-1] == "Bearer tok_another"


def test_a_key_is_named_and_never_typed(shell: Any, document: Path) -> None:
    done = shell("run", document, "--key", KEY)

    assert done.code == 64
    assert KEY not in done.err
