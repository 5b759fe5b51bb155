"""Files go out and come back: whole runs against a server that keeps the bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from machine.errors import UsageError
from machine.plan.build import build_plan
from machine.plan.model import Plan
from machine.runtime.runner import Runner
from machine.runtime.secrets import Reference
from machine.runtime.token import export_token
from machine.sources.description import describe
from machine.stores import SqliteStore
from machine.testing.clock import ManualClock

DOCUMENT = b"""
arazzo: 1.0.1
info: {title: Pictures, version: 1.0.0}
sourceDescriptions: [{name: api, url: api.yaml, type: openapi}]
workflows:
- workflowId: w
  inputs: {type: object, required: [photo], properties: {photo: {type: string}, title: {type: string}}}
  steps:
  - stepId: upload
    operationId: upload
    requestBody: {payload: {title: $inputs.title, photo: $inputs.photo}}
    outputs: {sent: $inputs.photo}
  - stepId: thumbnail
    operationId: thumbnail
    outputs: {picture: $response.body}
  - stepId: store
    operationId: put
    requestBody: {payload: $steps.thumbnail.outputs.picture}
  outputs: {picture: $steps.thumbnail.outputs.picture, sent: $steps.upload.outputs.sent}
"""
API = b"""
openapi: 3.1.0
info: {title: Pictures, version: 1.0.0}
paths:
  /photos:
    post: {operationId: upload, requestBody: {content: {multipart/form-data: {}}}, responses: {'201': {description: x}}}
    get: {operationId: thumbnail, responses: {'200': {description: x}}}
    put: {operationId: put, requestBody: {content: {application/octet-stream: {}}}, responses: {}}
"""
PICTURE = b"\x89PNG\x00\xff"


@pytest.fixture(scope="module")
def plan() -> Plan:
    texts = {"w.yaml": DOCUMENT, "api.yaml": API}
    return build_plan(describe("w.yaml", read=texts.__getitem__))


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    file = tmp_path / "photo.jpg"
    file.write_bytes(b"\xff\xd8" * 50_000)
    return file


@pytest.fixture
def gallery(serve: Callable[..., Any]) -> Any:
    def script(peer: Any) -> None:
        while request := peer.request():
            picture = (
                b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: %d\r\n\r\n" % len(PICTURE) + PICTURE
            )
            empty = b"HTTP/1.1 %d OK\r\nContent-Length: 0\r\n\r\n" % (201 if request.startswith(b"POST") else 204)
            peer.send(picture if request.startswith(b"GET") else empty)

    return serve(script)


def runner_of(store: SqliteStore, server: Any, **options: Any) -> Runner:
    return Runner(store, clock=ManualClock(), chance=lambda: 0.5, servers={"api": server.url}, **options)


def test_a_file_goes_out_and_a_picture_comes_back_and_is_sent_on(
    plan: Plan, photo: Path, gallery: Any, tmp_path: Path
) -> None:
    with SqliteStore(tmp_path / "runs.db") as store:
        inputs = {"photo": Reference(f"@file:{photo}"), "title": "@file:/etc/hostname"}
        run = runner_of(store, gallery).start(plan, inputs, run_id="r")
        result = run.result()
        head = store.load("r").head
        digest = hashlib.sha256(PICTURE).hexdigest()

        assert result.exit_code == 0
        assert result.outputs["picture"] == {"sha256": digest, "size": 6, "type": "image/png"}
        assert result.outputs["sent"]["size"] == 100_000
        assert photo.read_bytes() in gallery.requests[0]
        # A text that looks like a reference is a text unless an operator gave it as a reference.
        assert b"@file:/etc/hostname" in gallery.requests[0]
        assert gallery.requests[2].endswith(PICTURE)
        assert b"Content-Type: application/octet-stream" in gallery.requests[2]
        assert head.documents[f"body {digest[:12]}"] == digest
        assert store.blob(digest) == PICTURE


def test_a_run_that_is_resumed_sends_the_same_bytes_or_none(
    plan: Plan, photo: Path, gallery: Any, tmp_path: Path
) -> None:
    with SqliteStore(tmp_path / "runs.db") as store:
        begun = runner_of(store, gallery, patience="call").start(
            plan, {"photo": Reference(f"@file:{photo}")}, run_id="r"
        )
        begun.result()
        runner_of(store, gallery, patience="call").resume("r").result()
        resumed = runner_of(store, gallery).resume("r").result()

        assert resumed.exit_code == 0
        assert gallery.requests[-1].endswith(PICTURE)
        other = tmp_path / "elsewhere.jpg"
        photo.rename(other)
        same = runner_of(store, gallery).start(plan, {"photo": Reference(f"@file:{other.rename(photo)}")}, run_id="r")
        assert same.result().exit_code == 0


def test_a_changed_file_fails_the_step_before_anything_is_sent(
    plan: Plan, photo: Path, gallery: Any, tmp_path: Path
) -> None:
    with SqliteStore(tmp_path / "runs.db") as store:
        run = runner_of(store, gallery).start(plan, {"photo": Reference(f"@file:{photo}")}, run_id="r")
        photo.write_bytes(b"other")
        result = run.result()

        assert (result.exit_code, gallery.requests) == (10, [])
        assert "photo.jpg" in result.message


def test_a_run_with_a_file_of_this_machine_is_not_handed_on(photo: Path, gallery: Any, tmp_path: Path) -> None:
    harmless = DOCUMENT.replace(b"operationId: put", b"operationId: put\n    x-machine: {effect: {kind: safe}}")
    texts = {"w.yaml": harmless, "api.yaml": API}
    plan = build_plan(describe("w.yaml", read=texts.__getitem__, trusted=True))
    with SqliteStore(tmp_path / "runs.db") as store:
        run = runner_of(store, gallery, patience="call").start(plan, {"photo": Reference(f"@file:{photo}")}, run_id="r")
        run.result()

        with pytest.raises(UsageError) as caught:
            export_token(store, store.load("r"), plan)

    assert caught.value.code == "AZM-U089"


def test_a_secret_in_a_binary_answer_is_not_kept(
    plan: Plan, photo: Path, serve: Any, make_transport: Any, make_call: Any
) -> None:
    raw = b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: 13\r\n\r\n\x00s3cret-text\x00"

    def script(peer: Any) -> None:
        peer.request()
        peer.send(raw)

    reply = make_transport(serve(script).url, {"token": "s3cret-text"}).perform(make_call(), 2.0).reply

    assert (reply.form, reply.body) == ("undecodable", None)
