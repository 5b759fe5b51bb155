"""Documents, the plans they compile to, and a driver that performs nothing: what most tests start from."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import settings
from loaded import Loaded

from machine.chart.chart import Advanced, Chart
from machine.chart.effects import Call
from machine.chart.events import CallFailed, Cancelled, Event, Reopened, Replied, Reply, Resolved, Started
from machine.chart.settings import Settings
from machine.chart.snapshot import Record
from machine.expressions.question import Ask
from machine.plan.build import build_plan
from machine.plan.model import Plan
from machine.runtime.evaluator import Evaluator
from machine.runtime.history import recomputed
from machine.sources.description import Description, describe
from machine.stores import MemoryStore, SqliteStore, Store
from machine.stores.base import record_text
from machine.values import SecretRef

ROOT = Path(__file__).resolve().parent.parent
API = "workflows/openapi/hugging-face-inference-endpoints-api.yml"

# What a test begins is begun as people begin it: compiled modules are kept, and a stream is written when it is flushed.
sys.dont_write_bytecode = False
for variable in ("PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED"):
    os.environ.pop(variable, None)

# How long one example takes says nothing of the code on a machine that does something else as well.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

THINGS: dict[str, Any] = {
    "openapi": "3.1.0",
    "info": {"title": "Things", "version": "1"},
    "servers": [{"url": "https://things.example/v1"}],
    "paths": {
        "/things": {
            "get": {"operationId": "listThings", "responses": {"200": {"description": "all"}}},
            "post": {
                "operationId": "makeThing",
                "requestBody": {"content": {"application/json": {}}},
                "responses": {"202": {"description": "soon"}, "201": {"description": "made"}},
            },
        },
        "/things/{id}": {
            "parameters": [{"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}],
            "get": {"operationId": "getThing", "responses": {"200": {"description": "one"}}},
            "put": {"operationId": "putThing", "responses": {"200": {"description": "kept"}}},
            "patch": {"operationId": "patchThing", "responses": {"200": {"description": "changed"}}},
            "delete": {"operationId": "deleteThing", "responses": {"204": {"description": "gone"}}},
        },
        "/things/{id}/parts": {
            "parameters": [{"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}],
            "get": {"operationId": "listParts", "responses": {"200": {"description": "all"}}},
            "post": {"operationId": "makePart", "responses": {"2XX": {"description": "made"}}},
        },
        "/locked": {
            "get": {
                "operationId": "getLocked",
                "security": [{"key": []}],
                "responses": {"200": {"description": "it"}},
            },
        },
    },
    "components": {"securitySchemes": {"key": {"type": "apiKey", "in": "header", "name": "X-Things"}}},
}
"""A small API: one operation of each kind of effect, and one behind a key."""


_LONGEST = ("test_docs.py", "chaos/", "properties/", "testing/", "scenarios/", "trust/", "corpus/")
"""Files and folders of few tests that take long, most of it waiting: begun first, so that none of them ends alone."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def rank(item: pytest.Item) -> int:
        where = item.path.relative_to(ROOT / "tests").as_posix()
        return next((number for number, one in enumerate(_LONGEST) if where.startswith(one)), len(_LONGEST))

    items.sort(key=rank)


def pytest_report_header() -> str:
    folder = _shared()
    return f"shared folder: {folder or 'not here; the tests that read it are skipped'}"


def _shared() -> Path | None:
    folder = Path(os.environ.get("ARAZZO_MACHINE_SHARED", ROOT.parent / "shared"))
    return folder if folder.is_dir() else None


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of material that is not part of this project, or a skip that says so."""
    folder = _shared()
    if folder is None:
        pytest.skip("there is no shared folder: set ARAZZO_MACHINE_SHARED or put it beside the checkout")
    return folder


@pytest.fixture(scope="session")
def evaluator() -> Iterator[Evaluator]:
    """Who answers what the core may not compute itself; one process for the whole session."""
    made = Evaluator()
    yield made
    made.close()


@pytest.fixture(scope="session")
def loaded() -> Iterator[Loaded]:
    """What begins commands in copies of a process that has loaded the program; one for the whole session."""
    made = Loaded()
    yield made
    made.close()


@pytest.fixture(scope="session")
def described() -> Callable[..., Description]:
    """``described(path)`` reads a document beside the shipped description of the endpoint service."""

    def read(path: Path, *, trusted: bool = False) -> Description:
        return describe(
            str(path),
            read=lambda name: Path(name).read_bytes(),
            sources={"inferenceEndpointsApi": str(ROOT / API)},
            trusted=trusted,
        )

    return read


@pytest.fixture(scope="session")
def user_document() -> Path:
    """A create that is polled, as people write it."""
    return ROOT / "tests/documents/deploy.arazzo.yaml"


@pytest.fixture(scope="session")
def user_plan(user_document: Path, described: Callable[..., Description]) -> Plan:
    return build_plan(described(user_document))


@pytest.fixture(scope="session")
def shipped_plan(described: Callable[..., Description]) -> Plan:
    return build_plan(described(ROOT / "workflows/arazzo/deploy-inference-endpoint.arazzo.yaml", trusted=True))


@pytest.fixture(scope="session")
def user_inputs() -> dict[str, Any]:
    """Checked inputs of the two documents above."""
    return {
        "hfToken": SecretRef("hfToken"),
        "namespace": "acme",
        "name": "my-endpoint",
        "repository": "gpt2",
        "revision": "main",
        "task": "text-generation",
        "vendor": "aws",
        "region": "us-east-1",
    }


# -- every history recomputes ------------------------------------------------------------------------------------------

MADE: list[MemoryStore] = []
CHARTS: dict[str, Chart] = {}


@pytest.fixture(scope="session", autouse=True)
def remember_stores() -> Iterator[None]:
    """Know of every store in memory that a test makes; those in files are found by their files."""
    begin = MemoryStore.__init__

    def remembered(self: MemoryStore) -> None:
        begin(self)
        MADE.append(self)

    MemoryStore.__init__ = remembered  # type: ignore[method-assign]
    yield
    MemoryStore.__init__ = begin  # type: ignore[method-assign]


@pytest.fixture(autouse=True)
def every_history_recomputes(request: pytest.FixtureRequest) -> Iterator[None]:
    """Whatever a test was about: each run it leaves in a store is had again, event by event, and has to come to the
    same bytes. Tests that break their stores, or fill them with samples, are marked ``no_history`` and say why."""
    # Asked for here so that this ends before it does; a test that has no folder gets none.
    folder = request.getfixturevalue("tmp_path") if "tmp_path" in request.fixturenames else None
    MADE.clear()
    yield
    if request.node.get_closest_marker("no_history"):
        return
    for store in MADE:
        assert_recomputes(store)
    for path in sorted(folder.rglob("*.db")) if folder is not None else ():
        with SqliteStore(path, read_only=True) as opened:
            assert_recomputes(opened)


def assert_recomputes(store: Store) -> None:
    def chart_of(plan_sha256: str) -> Chart:
        if plan_sha256 not in CHARTS:
            CHARTS[plan_sha256] = Chart(Plan.from_json(json.loads(store.blob(plan_sha256))))
        return CHARTS[plan_sha256]

    for run in store.runs():
        for attempt in range(1, run.head.attempt + 1):
            stored, records = store.load(run.head.id, attempt), store.history(run.head.id, attempt)
            again = list(recomputed(store, stored.head, records, chart_of))

            assert [record_text(one.record) for one in again] == [record_text(one) for one in records]
            assert again[-1].snapshot.text() == stored.snapshot.text()


def document_of(
    steps: Sequence[Mapping[str, Any]],
    *,
    version: str = "1.0.1",
    workflow: Mapping[str, Any] | None = None,
    inputs: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """A document with one workflow. ``inputs`` are properties; every step has the path parameter ``id``."""
    body: dict[str, Any] = {
        "workflowId": "w",
        "parameters": [{"name": "id", "in": "path", "value": "one"}],
        **({"inputs": {"type": "object", "properties": inputs}} if inputs is not None else {}),
        **(workflow or {}),
        "steps": steps,
    }
    return {
        "arazzo": version,
        "info": {"title": "A test", "version": "1"},
        "sourceDescriptions": [{"name": "things", "url": "things.json", "type": "openapi"}],
        "workflows": [body],
    }


@pytest.fixture(scope="session")
def describe_things() -> Callable[..., Description]:
    """``describe_things(steps, workflow=..., inputs=..., version=..., api=..., trusted=...)``: a small document, read.

    It is written with one member a line, so that every place in it has a line of its own.
    """

    def read(
        steps: Sequence[Mapping[str, Any]],
        *,
        version: str = "1.0.1",
        workflow: Mapping[str, Any] | None = None,
        inputs: Mapping[str, Any] | None = None,
        api: Mapping[str, Any] = THINGS,
        trusted: bool = False,
    ) -> Description:
        document = document_of(steps, version=version, workflow=workflow, inputs=inputs)
        texts = {
            "test.arazzo.json": json.dumps(document, indent=1).encode(),
            "things.json": json.dumps(api).encode(),
        }
        return describe("test.arazzo.json", read=texts.__getitem__, trusted=trusted)

    return read


@pytest.fixture(scope="session")
def built(describe_things: Callable[..., Description]) -> Callable[..., Plan]:
    """``built(steps, **options)``: the plan of such a document; what is no part of it is passed on to the compiler."""

    def build(steps: Sequence[Mapping[str, Any]], **options: Any) -> Plan:
        of_document = {"version", "workflow", "inputs", "api", "trusted"}
        description = describe_things(steps, **{key: one for key, one in options.items() if key in of_document})
        return build_plan(description, **{key: one for key, one in options.items() if key not in of_document})

    return build


@pytest.fixture(scope="session")
def composed() -> Callable[..., Plan]:
    """``composed(*workflows, version=..., others=..., trusted=..., **options)``: the plan of the first workflow.

    ``others`` maps the name of a source description to the workflows of another document.
    """

    def document(version: str, workflows: Sequence[Mapping[str, Any]], others: Sequence[str]) -> bytes:
        found = {
            "arazzo": version,
            "info": {"title": "A test", "version": "1"},
            "sourceDescriptions": [
                {"name": "things", "url": "things.json", "type": "openapi"},
                *({"name": one, "url": f"{one}.arazzo.json", "type": "arazzo"} for one in others),
            ],
            "workflows": workflows,
        }
        return json.dumps(found, indent=1).encode()

    def build(
        *workflows: Mapping[str, Any],
        version: str = "1.0.1",
        others: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
        trusted: bool = False,
        **options: Any,
    ) -> Plan:
        texts = {f"{name}.arazzo.json": document(version, found, ()) for name, found in (others or {}).items()}
        texts |= {"test.arazzo.json": document(version, workflows, list(others or {}))}
        texts |= {"things.json": json.dumps(THINGS).encode()}
        description = describe("test.arazzo.json", read=texts.__getitem__, trusted=trusted)
        return build_plan(description, **{"workflow": str(workflows[0]["workflowId"]), **options})

    return build


@pytest.fixture(scope="session")
def things_api() -> dict[str, Any]:
    """The description behind ``built``; copy it before changing it."""
    return THINGS


class Drive:
    """Feeds events to a chart as a driver would, and keeps what came of them. Time moves only by what it is told."""

    def __init__(
        self,
        plan: Plan,
        inputs: Mapping[str, Any] | None = None,
        *,
        settings: Settings | None = None,
        listeners: Sequence[object] = (),
        chart: Chart | None = None,
        evaluate: Ask | None = None,
        start: bool = True,
    ) -> None:
        self.plan = plan
        self.chart = chart or Chart(plan, listeners=listeners, evaluate=evaluate)
        self.snapshot = self.chart.begin()
        self.records: list[Record] = []
        self.at = 1000.0
        if start:
            self.happen(Started(at=self.at, inputs=dict(inputs or {}), settings=settings or Settings()))

    def happen(self, event: Event) -> Advanced:
        advanced = self.chart.advance(self.snapshot, event)
        self.snapshot = advanced.snapshot
        self.records.append(advanced.record)
        return advanced

    def later(self, took: float) -> float:
        """The time when the pending call has been waited for and took so long."""
        due = self.snapshot.pending.not_before if self.snapshot.pending else self.at
        self.at = max(self.at, due) + took
        return self.at

    def reply(
        self,
        status: int = 200,
        body: Any = None,
        *,
        headers: Mapping[str, Any] | None = None,
        form: Literal["json", "text", "empty", "undecodable"] | None = None,
        took: float = 1.0,
        chance: float = 0.5,
    ) -> Drive:
        made = Reply(
            status=status,
            headers=headers or {},
            body=body,
            form=form or ("empty" if body is None else "json"),
            url="https://things.example/v1",
        )
        self.happen(Replied(at=self.later(took), chance=chance, reply=made))
        return self

    def endpoint(self, state: str, status: int = 200, **options: Any) -> Drive:
        """An answer of the endpoint service that shows this state."""
        return self.reply(status, {"name": "my-endpoint", "status": {"state": state, "url": None}}, **options)

    def fail(
        self, fate: Literal["not_sent", "unknown"] = "unknown", cause: str = "reset", *, took: float = 1.0
    ) -> Drive:
        self.happen(CallFailed(at=self.later(took), fate=fate, cause=cause))
        return self

    def resolve(
        self,
        choice: Literal["not_sent", "adopt", "accept", "reissue"],
        *,
        reply: Reply | None = None,
        took: float = 1.0,
        **outputs: Any,
    ) -> Drive:
        self.happen(Resolved(at=self.later(took), choice=choice, outputs=outputs, reply=reply, by="a person"))
        return self

    def reopen(self, *, took: float = 1.0, **changes: Any) -> Drive:
        self.happen(Reopened(at=self.later(took), changes=changes, by="a person"))
        return self

    def cancel(self) -> Drive:
        self.at += 1.0
        self.happen(Cancelled(at=self.at, by="a person"))
        return self

    @property
    def state(self) -> str:
        return self.chart.state(self.snapshot).name

    @property
    def phase(self) -> str:
        return self.chart.phase(self.snapshot)

    @property
    def reason(self) -> str:
        """Why it stopped; empty while it goes on."""
        return self.snapshot.stopped.reason if self.snapshot.stopped else ""

    @property
    def message(self) -> str:
        assert self.snapshot.stopped is not None
        return self.snapshot.stopped.message

    @property
    def pending(self) -> Call:
        assert self.snapshot.pending is not None
        return self.snapshot.pending

    @property
    def outcomes(self) -> list[str]:
        """What is known of each unsafe call."""
        return [entry.outcome for entry in self.snapshot.ledger]

    @property
    def last(self) -> str:
        """The label of the transition that was taken last."""
        return self.moves[0]

    @property
    def moves(self) -> list[str]:
        """The labels of all transitions the last event caused."""
        labels = {one.id: one.label for table in self.plan.tables() for one in table.transitions}
        return [labels[one.transition] for one in self.records[-1].moves]

    @property
    def path(self) -> list[str]:
        """The names of the states of all frames."""
        return [state.name for state in self.chart.path(self.snapshot)]


@pytest.fixture(scope="session")
def drive() -> type[Drive]:
    """``drive(plan, inputs, settings=...)`` begins a run and takes events; see its methods."""
    return Drive
