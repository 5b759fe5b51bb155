"""What is fuzzed: a strategy, and what must hold of everything it makes.

A target is a function of a number of examples and a seed; it raises what was broken, with the smallest example.
"""

from __future__ import annotations

import functools
import json
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from hypothesis import HealthCheck, Phase, given, seed, settings

from machine.chart.chart import Chart
from machine.chart.events import Replied, Reply, Started, event_from_json
from machine.chart.snapshot import Snapshot
from machine.diagram import render
from machine.document.model import Criterion
from machine.errors import MachineError, Place
from machine.expressions.criteria import compile_criterion
from machine.expressions.evaluate import Context, ResponseView
from machine.expressions.stored import from_json, to_json
from machine.expressions.template import Declared, compile_template
from machine.expressions.template import render as rendered
from machine.plan.build import build_plan
from machine.plan.model import Plan
from machine.runtime.replies import decode
from machine.runtime.secrets import SecretBook
from machine.sources.description import describe
from machine.stores import SqliteStore
from machine.testing.store_samples import DOCUMENT, DOCUMENT_SHA256, head_of, record_at, snapshot_at
from machine.testing.strategies import (
    API,
    Damage,
    bodies,
    conditions,
    damages,
    documents,
    expressions,
    queries,
    replies,
    texts,
)

__all__ = ["TARGETS", "Target"]

Target = Callable[[int, int], None]

API_TEXT: Final = json.dumps(API).encode()


def plan_of(text: bytes) -> Plan:
    return build_plan(describe("w.yaml", read={"w.yaml": text, "things.json": API_TEXT}.__getitem__))


def named(error: MachineError) -> None:
    """Every error a stranger can cause has a code and can be printed."""
    if not re.fullmatch(r"AZM-[A-Z]\d{3}", error.code):
        raise AssertionError(f"{error.code!r} is no code")
    json.dumps(error.to_json()).encode()


def driven(examples: int, start: int, test: Callable[..., None], **strategies: Any) -> None:
    """Run a property over that many examples, from that seed."""
    chosen = settings(
        max_examples=examples,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink),
    )
    seed(start)(chosen(given(**strategies)(test)))()


def a_document(text: bytes) -> None:
    """Read, compiled, stored and drawn, or refused by name."""
    try:
        plan = plan_of(text)
    except MachineError as error:
        named(error)
        return
    assert Plan.from_json(json.loads(plan.text())).text() == plan.text()
    for form in ("dot", "mermaid"):
        assert render(plan, format=form)


def a_run(document: dict[str, Any], answers: list[Reply]) -> None:
    """Whatever is answered, a run goes on or stops, and its history recomputes to the same bytes."""
    try:
        plan = plan_of(json.dumps(document).encode())
    except MachineError:
        return
    chart = Chart(plan)
    snapshot, _, record = chart.advance(chart.begin(), Started(at=1.0, inputs={"a": "x"}))
    records = [record]
    for number, answer in enumerate(answers):
        if snapshot.pending is None:
            break
        snapshot, _, record = chart.advance(snapshot, Replied(at=2.0 + number, reply=answer))
        records.append(record)
    again = chart.begin()
    for one in records:
        again, _, _ = chart.advance(again, event_from_json(json.loads(json.dumps(one.to_json()))["event"]))
    assert again.text() == snapshot.text()
    assert Snapshot.from_json(json.loads(snapshot.text())).text() == snapshot.text()


def an_answer(body: tuple[bytes, str]) -> None:
    """Bytes become one of the forms, can be stored, and hold no secret afterwards."""
    token = "s3cret/ t\u00f6ken"
    value, form = decode(body[0] + token.encode() * (len(body[0]) % 2), body[1])
    assert form in ("json", "text", "binary", "empty", "undecodable")
    concealed = SecretBook({"t": token}).conceal(value)
    if form in ("json", "text"):
        stored = json.dumps(Reply(status=200, body=concealed, form=form).to_json(), ensure_ascii=False)
        stored.encode()
        assert token not in stored


_CONTEXT: Final = Context(
    inputs={"a": "x", "x.y": {"b": [1, None]}},
    steps={"a": {"state": "running"}},
    response=ResponseView(headers={"x-a": "1"}, body={"a": [{"state": "pending"}, 1.5, None], "state": "running"}),
    status=200,
    url="https://things.example",
    method="GET",
)


def an_expression(text: str) -> None:
    """Compiled and rendered, or refused with its place."""
    declared = Declared(inputs=frozenset({"a", "x.y"}), steps={"a": frozenset({"state"})})
    for value in (text, f"a {{{text}}} b", {"k": [text]}):
        try:
            template = compile_template(value, place=Place(), declared=declared)
            assert from_json(to_json(template)) == template
            rendered(template, _CONTEXT)
        except MachineError as error:
            named(error)


def a_condition(text: str, query: str) -> None:
    """Compiled and tested, or refused; its verdict is a sentence that can be printed."""
    for criterion in (
        Criterion(condition=text, place=Place()),
        Criterion(condition=query, type="jsonpath", context="$response.body", place=Place()),
    ):
        for minor in ("1.0", "1.1"):
            try:
                verdict = compile_criterion(criterion, minor=minor).test(_CONTEXT)
            except MachineError as error:
                named(error)
                continue
            assert isinstance(verdict.truth, bool)
            json.dumps(verdict.why).encode()


@functools.cache
def _healthy() -> bytes:
    with tempfile.TemporaryDirectory() as made:
        path = Path(made) / "runs.db"
        with SqliteStore(path) as store, store.lock("run-1") as lease:
            store.create(lease, head_of(), {DOCUMENT_SHA256: DOCUMENT}, snapshot_at(1), record_at(1))
            for number in range(2, 6):
                store.append(lease, snapshot_at(number), record_at(number))
        return path.read_bytes()


@contextmanager
def _opened(content: bytes) -> Iterator[SqliteStore]:
    with tempfile.TemporaryDirectory() as made:
        path = Path(made) / "runs.db"
        path.write_bytes(content)
        os.chmod(path, 0o600)
        with SqliteStore(path) as store:
            yield store


def _content(store: SqliteStore) -> str:
    stored = store.load("run-1")
    history = [one.to_json() for one in store.history("run-1")]
    return json.dumps([stored.head.text(), stored.snapshot.text(), history, store.blob(DOCUMENT_SHA256).decode()])


def a_store(damage: Damage) -> None:
    """A damaged store is refused by name, or gives back what it was given."""
    content = damage.apply(_healthy())
    try:
        with _opened(content) as store:
            found = _content(store)
    except MachineError as error:
        named(error)
        return
    with _opened(_healthy()) as store:
        assert found == _content(store)


def _answers() -> Any:
    from hypothesis import strategies as st

    return st.lists(replies(), max_size=8)


TARGETS: Final[dict[str, Target]] = {
    "documents": lambda count, start: driven(count, start, a_document, text=texts()),
    "runs": lambda count, start: driven(count, start, a_run, document=documents(), answers=_answers()),
    "answers": lambda count, start: driven(count, start, an_answer, body=bodies()),
    "expressions": lambda count, start: driven(count, start, an_expression, text=expressions()),
    "conditions": lambda count, start: driven(count, start, a_condition, text=conditions(), query=queries()),
    "stores": lambda count, start: driven(count, start, a_store, damage=damages()),
}
