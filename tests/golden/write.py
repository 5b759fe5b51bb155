"""Writes ``runs.sql``: a store as today's code writes it, with runs that were left in every way a format has to bear.

``make golden`` writes it anew. As long as nothing was released a new format simply takes the place of the old one; once
something was, each release's file stays and a new one stands beside it. The same code writes the same bytes.
"""

from __future__ import annotations

import itertools
import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any
from unittest.mock import patch

from machine.chart.events import CallFailed, Replied, Reply
from machine.chart.settings import Settings
from machine.plan.build import build_plan
from machine.runtime.edited import Edited
from machine.runtime.runner import Runner
from machine.runtime.secrets import Reference
from machine.runtime.token import Token, export_token
from machine.sources.description import Description, describe
from machine.stores.sqlite import SqliteStore
from machine.stores.sqlite_file import APPLICATION_ID, FORMAT
from machine.testing.clock import ManualClock

FIXTURE = Path(__file__).with_name("runs.sql")

DOCUMENT = b"""\
arazzo: 1.0.1
info: {title: Things, version: 1.0.0}
sourceDescriptions: [{name: things, url: things.yaml, type: openapi}]
workflows:
- workflowId: make
  summary: Make a thing and wait for it.
  inputs:
    type: object
    required: [name, token]
    properties:
      name: {type: string}
      token: {type: string, format: password}
  parameters:
  - {name: Authorization, in: header, value: 'Bearer {$inputs.token}'}
  steps:
  - stepId: make
    operationId: makeThing
    requestBody: {contentType: application/json, payload: {name: $inputs.name, color: red}}
    outputs: {name: $response.body#/name}
    x-machine:
      effect:
        onDoubt: probe
        idempotencyKey: {in: header, name: Idempotency-Key, window: 1h}
        probe:
          operationId: getThing
          parameters: [{name: name, in: path, value: $inputs.name}]
          match: {/color: red}
    onFailure: [{name: again, type: retry, retryAfter: 30, retryLimit: 2}]
  - stepId: watch
    operationId: getThing
    parameters: [{name: name, in: path, value: $steps.make.outputs.name}]
    outputs: {state: $response.body#/state}
    onSuccess:
    - {name: waiting, type: goto, stepId: watch, criteria: [{condition: $response.body#/state == 'busy'}]}
    - name: done
      type: end
      criteria: [{context: $response.body, type: jsonpath, condition: "$[?@.state == 'done']"}]
  outputs: {name: $steps.make.outputs.name, state: $steps.watch.outputs.state}
"""
SOURCE = b"""\
openapi: 3.1.0
info: {title: Things, version: 1.0.0}
servers: [{url: https://things.example.com/v1}]
paths:
  /things:
    post:
      operationId: makeThing
      requestBody: {content: {application/json: {}}}
      responses: {'201': {description: made}}
  /things/{name}:
    get:
      operationId: getThing
      parameters: [{name: name, in: path, required: true, schema: {type: string}}]
      responses: {'200': {description: it}}
"""
EDITED = DOCUMENT.replace(b"    - name: done\n", b"    - name: finished\n")
INPUTS = {"name": "demo", "token": Reference("@env:THINGS_TOKEN")}
TEXTS = {"token": "a text that is never stored"}

ABSENT = Reply(status=404, form="json", body={"error": "not found"})
MADE = Reply(
    status=201, form="json", body={"name": "demo", "color": "red"}, headers={"content-type": "application/json"}
)
BUSY = Reply(status=200, form="json", body={"name": "demo", "color": "red", "state": "busy"})
DONE = Reply(status=200, form="json", body={"name": "demo", "color": "red", "state": "done"})


class Killed(BaseException):
    """The process died here."""


class Answers:
    """A transport that answers each call with the next of a list; ``Killed`` in it is the end of the process."""

    def __init__(self, *answers: Reply | type[Killed]) -> None:
        self.answers = list(answers)
        self.methods: list[str] = []

    def __call__(self, base: Any, book: Any, clock: Any, chance: Any) -> Answers:
        self.clock = clock
        return self

    def perform(self, call: Any, timeout: float) -> Replied | CallFailed:
        self.methods.append(call.request.method)
        answer = self.answers.pop(0)
        if isinstance(answer, type):
            raise answer
        self.clock.advance(0.25)
        return Replied(at=self.clock.now(), chance=0.5, reply=answer)

    def close(self) -> None:
        pass


def description(document: bytes = DOCUMENT) -> Description:
    texts = {"things.arazzo.yaml": document, "things.yaml": SOURCE}
    return describe("things.arazzo.yaml", read=texts.__getitem__)


def runner(store: SqliteStore, answers: Answers, **options: Any) -> Runner:
    clock = options.pop("clock", None) or ManualClock()
    return Runner(store, clock=clock, chance=lambda: 0.5, transport=answers, secret_texts=TEXTS, **options)


def write(path: Path) -> None:
    """Fill a store: ``polling`` was killed while it polled, ``doubt`` as its create left, ``held`` likewise and then
    settled by nobody, ``edited`` goes on with an edited document, ``copy`` was begun from a token of ``polling``."""
    made = description()
    plan, pace = build_plan(made), Settings(poll_interval=2.0)
    with SqliteStore(path) as store:

        def begin(run_id: str, *answers: Reply | type[Killed], **options: Any) -> None:
            with suppress(Killed):
                moved = runner(store, Answers(*answers), **options)
                moved.start(plan, INPUTS, run_id=run_id, settings=pace, texts=made.texts).result()

        begin("polling", ABSENT, MADE, BUSY, BUSY, Killed)
        begin("doubt", ABSENT, Killed)
        begin("held", ABSENT, Killed)
        runner(store, Answers()).resume("held", changes={"on_doubt": "hold"}).result()
        begin("edited", ABSENT, MADE, BUSY, patience="wait")
        other = description(EDITED)
        edited = Edited(plan=build_plan(other), texts=other.texts)
        runner(store, Answers(BUSY), patience="call").resume("edited", edited=edited).result()
        token = export_token(store, store.load("polling"), plan)
        runner(store, Answers(BUSY), patience="call").adopt_token(Token.read(token)).result()


@contextmanager
def _the_same_every_time() -> Iterator[None]:
    """Nobody's name, and no chance: the file is written again without a change where nothing changed."""
    numbers = itertools.count(1)

    def drawn(size: int = 16) -> bytes:
        return next(numbers).to_bytes(size, "big")

    with ExitStack() as stack:
        for name, value in (
            ("getpass.getuser", lambda: "somebody"),
            ("socket.gethostname", lambda: "somewhere"),
            ("secrets.token_hex", lambda size=16: drawn(size).hex()),
            ("secrets.choice", lambda letters: letters[next(numbers) % len(letters)]),
            ("os.urandom", drawn),
        ):
            stack.enter_context(patch(name, value))
        yield


def dumped() -> str:
    """The store as SQL text."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "runs.db"
        with _the_same_every_time():
            write(path)
        with sqlite3.connect(path) as connection:
            lines = [f"PRAGMA application_id = {APPLICATION_ID};", f"PRAGMA user_version = {FORMAT};"]
            lines += connection.iterdump()
        connection.close()
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    FIXTURE.write_text(dumped(), encoding="utf-8")
    sys.stdout.write(f"written: {FIXTURE.name}\n")
