"""Plans written by hand, as the compiler makes them: a create that is polled until it runs, and long chains."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from machine.chart.snapshot import Move, Record
from machine.document.model import Criterion
from machine.errors import Place
from machine.expressions.criteria import CompiledCriterion, compile_criterion
from machine.plan.model import CallPlan, EventName, Guard, Plan, PollPolicy, State, Transition
from machine.sources.model import Operation

ANSWER: tuple[EventName, ...] = ("replied", "call_failed")

NAUGHTY = {
    "a quote": 'say "hello"',
    "only a quote": '"',
    "a quote and a bracket": '"];evil[label="',
    "a backslash": "a\\b",
    "a trailing backslash": "trailing\\",
    "two trailing backslashes": "trailing\\\\",
    "a backslash and a quote": '\\"',
    "an escape for the node's name": "\\N \\G \\L \\E",
    "an escape for a line": "a\\nb\\lc\\r",
    "an html-like label": '<<table href="javascript:alert(1)"><tr><td>x</td></tr></table>>',
    "angle brackets": "<b>",
    "a script": "</text><script>alert(1)</script>",
    "an image": '<image href="http://example.com/x.png"/>',
    "an event handler": '" onload="alert(1)',
    "a style": '"/><style>*{display:none}</style>',
    "a comment": "--><script/><!--",
    "cdata": "]]><script/>",
    "an entity": "&#8238;&lt;script&gt;&amp;&quot;",
    "a bare ampersand": "a & b &",
    "a newline": "one\ntwo",
    "a carriage return": "one\r\n}\r\ndigraph evil {",
    "a tab": "one\ttwo",
    "escape": "\x1b[31mred\x1b[0m",
    "a null": "nu\0ll",
    "a bell and a delete": "\a\x7f",
    "a c1 control": "\x9b31m",
    "a bidi override": "safe\u202etxt.exe",
    "a bidi isolate": "\u2066x\u2069",
    "a zero-width space": "a\u200bb",
    "a byte order mark": "\ufeffx",
    "a lone surrogate": "x\ud800y",
    "a noncharacter": "x\ufffe\uffffy",
    "a line separator": "a\u2028b\u2029c",
    "an emoji": "🚀 launch ünïcödé 起動",
    "nothing": "",
    "only spaces": "   ",
    "very long without a break": "x" * 5000,
    "very long": "word " * 1000,
    "a comment of dot": "/* // # */",
    "a port": "a:b:c",
    "a keyword": "subgraph",
    "braces": "{a|b} [c]",
    "a mermaid direction": "go direction LR now",
    "a mermaid fork": '<<fork>> [[choice]]" as x',
    "a mermaid directive": "%%{init: {'theme': 'dark'}}%%",
    "a mermaid statement": "x; s_0 --> s_1 : y",
    "a mermaid comment": "%% gone",
    "a mermaid code": "#quot;#35;",
    "a mermaid style": 'style: #"; classDef x:#;',
    "mathematics": "$$x^2$$",
}
"""Names somebody could give a step, an action or a workflow, by what is bad about them."""


def criterion(condition: str, *, jsonpath: bool = False) -> CompiledCriterion:
    kind = {"type": "jsonpath", "context": "$response.body"} if jsonpath else {}
    return compile_criterion(Criterion(condition=condition, place=Place(), **kind), minor="1.0")


WAITING = criterion("$.status.state == 'pending' || $.status.state == 'initializing'", jsonpath=True)
RUNNING = criterion("$.status.state == 'running'", jsonpath=True)
CREATED = criterion("$statusCode == 201")


class _Table:
    """Collects transitions and numbers them in order."""

    def __init__(self) -> None:
        self.rows: list[Transition] = []

    def add(
        self,
        source: str,
        target: str,
        label: str,
        rule: str = "action",
        *facts: str,
        on: tuple[EventName, ...] = ANSWER,
        criteria: tuple[CompiledCriterion, ...] = (),
        stop: str = "",
    ) -> None:
        guard = Guard(facts=facts, criteria=criteria)
        identity = f"t_{len(self.rows)}"
        self.rows.append(
            Transition(id=identity, source=source, target=target, on=on, label=label, rule=rule, guard=guard, stop=stop)
        )

    def poll(self, here: str) -> None:
        self.add(here, "s_polling", "stillStarting", "action", "held", criteria=(WAITING,))
        self.add(here, "s_ready", "ready", "action", "held", criteria=(RUNNING,), stop="ended")
        self.add(here, here, "tolerated", "tolerance", "troubled")
        self.add(here, here, "tolerance used up", "tolerance", "spent", stop="tolerance")
        self.add(here, here, "credential refused", "credential", "!held", "refused", stop="credential")
        self.add(here, "s_failed", "unmatched", "unmatched", "held", stop="unmatched")
        self.add(here, "s_failed", "broke", "broke", stop="broke")

    def keep_house(self, here: str) -> None:
        self.add(here, here, "look again", "reopen", on=("reopened",))
        self.add(here, here, "cancelled", "cancel", on=("cancelled",), stop="cancelled")


def operation(method: str, path: str) -> Operation:
    return Operation(source="api", operation_id="", method=method, path=path)


def make_endpoint_plan() -> Plan:
    table = _Table()
    table.add("s_create", "s_doubt", "in doubt", "doubt", "doubtful", stop="in_doubt")
    table.add("s_create", "s_created", "created", "action", "held", criteria=(CREATED,))
    table.add("s_create", "s_failed", "broke", "broke", stop="broke")
    table.add("s_create", "s_create", "start", "start", on=("started",))
    table.add("s_create", "s_created", "created", "action", "adopted", "held", on=("resolved",), criteria=(CREATED,))
    table.add("s_create", "s_doubt", "in doubt", "reopen", "applied", on=("reopened",), stop="in_doubt")
    table.keep_house("s_create")
    table.poll("s_created")
    table.keep_house("s_created")
    table.poll("s_polling")
    table.keep_house("s_polling")
    table.add("s_doubt", "s_create", "not sent", "settle", "not_sent", on=("resolved",))
    table.add("s_doubt", "s_created", "created", "action", "adopted", "held", on=("resolved",), criteria=(CREATED,))
    table.add("s_doubt", "s_doubt", "still in doubt", "settle", on=("resolved",), stop="in_doubt")
    table.add("s_doubt", "s_doubt", "cancelled", "cancel", on=("cancelled",), stop="cancelled")
    create = CallPlan(step="createEndpoint", operation=operation("POST", "/endpoint/{namespace}"), kind="create")
    poll = CallPlan(
        step="pollStatus", operation=operation("GET", "/endpoint/{namespace}/{name}"), kind="safe", poll=PollPolicy()
    )
    return Plan(
        workflow="deploy",
        title="Create an endpoint and wait until it runs",
        document="deploy.arazzo.yaml",
        document_sha256="0" * 64,
        arazzo="1.0.1",
        states=(
            State(id="s_create", name="createEndpoint", phase="starting", kind="call", step="createEndpoint"),
            State(id="s_created", name="created", phase="created", kind="call", step="pollStatus"),
            State(id="s_polling", name="polling", phase="polling", kind="call", step="pollStatus", polls=True),
            State(id="s_ready", name="ready", phase="ready", kind="final"),
            State(id="s_failed", name="failed", phase="failed", kind="final"),
            State(id="s_doubt", name="in_doubt", phase="created", kind="doubt", step="createEndpoint", of="s_create"),
        ),
        transitions=tuple(table.rows),
        calls={"createEndpoint": create, "pollStatus": poll},
    )


def make_chain_plan(length: int) -> Plan:
    """Steps one after the other, each of which can fail."""
    table = _Table()
    for number in range(length):
        following = f"s_{number + 1}" if number + 1 < length else "s_done"
        table.add(f"s_{number}", following, "next", "next", "held")
        table.add(f"s_{number}", "s_failed", "broke", "broke", stop="broke")
    calls = {
        f"step{number}": CallPlan(step=f"step{number}", operation=operation("GET", f"/things/{number}"), kind="safe")
        for number in range(length)
    }
    return replace(
        make_endpoint_plan(),
        states=(
            *(
                State(id=f"s_{number}", name=f"step{number}", phase="starting", kind="call", step=f"step{number}")
                for number in range(length)
            ),
            State(id="s_done", name="completed", phase="ready", kind="final"),
            State(id="s_failed", name="failed", phase="failed", kind="final"),
        ),
        transitions=tuple(table.rows),
        calls=calls,
    )


def make_naughty_plan(names: Sequence[str]) -> Plan:
    """Every name as a state, as a step in doubt, as an action, as a path and in a title."""
    plan = make_endpoint_plan()
    call = plan.calls["createEndpoint"]
    states = [State(id=f"s_{at}", name=name, phase="starting", kind="call", step=name) for at, name in enumerate(names)]
    doubts = [
        State(id=f"d_{at}", name=name, phase="created", kind="doubt", step=name, of=f"s_{at}")
        for at, name in enumerate(names)
    ]
    moves = [
        Transition(id=f"t_{at}", source=f"s_{at}", target=f"d_{at}", on=ANSWER, label=name, rule="action")
        for at, name in enumerate(names)
    ]
    return replace(
        plan,
        title=" ".join(names)[:2000],
        states=(*states, *doubts),
        transitions=tuple(moves),
        calls={name: replace(call, step=name, operation=operation("GET", f"/{name}")) for name in names},
    )


def make_records(plan: Plan, *moves: str) -> tuple[Record, ...]:
    """A history that took these transitions, each named ``state:label``: the first of that label out of the state."""
    records = []
    for seq, move in enumerate(moves):
        source, _, label = move.partition(":")
        one = next(one for one in plan.leaving(source) if one.label == label)
        records.append(
            Record(
                seq=seq,
                kind="call.replied",
                at=float(seq),
                event={},
                moves=(Move(frame=0, on="replied", source=source, target=one.target, transition=one.id),),
            )
        )
    return tuple(records)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that asks for ``naughty_name`` runs once for each."""
    if "naughty_name" in metafunc.fixturenames:
        metafunc.parametrize("naughty_name", NAUGHTY.values(), ids=NAUGHTY)


@pytest.fixture
def endpoint_plan() -> Plan:
    return make_endpoint_plan()


@pytest.fixture
def chain_plan() -> Callable[[int], Plan]:
    return make_chain_plan


@pytest.fixture
def plan_named() -> Callable[..., Plan]:
    """A function that gives every name to a state, a step in doubt, an action and a path."""
    return lambda *names: make_naughty_plan(names)


@pytest.fixture
def naughty_plan() -> Plan:
    """All naughty names in one plan."""
    return make_naughty_plan(tuple(NAUGHTY.values()))


@pytest.fixture
def records_of() -> Callable[..., tuple[Record, ...]]:
    return make_records


@pytest.fixture
def ready_run(endpoint_plan: Plan) -> tuple[Record, ...]:
    """Created, polled four times, of which once in vain, and ready."""
    return make_records(
        endpoint_plan,
        "s_create:start",
        "s_create:created",
        "s_created:stillStarting",
        "s_polling:stillStarting",
        "s_polling:tolerated",
        "s_polling:stillStarting",
        "s_polling:ready",
    )


@pytest.fixture
def nested_plan(composed: Callable[..., Plan]) -> Plan:
    """A workflow that runs another, which runs a third, twice."""

    def flow(name: str, *steps: Any) -> dict[str, Any]:
        return {"workflowId": name, "steps": list(steps)}

    runs = [{"stepId": name, "workflowId": "third"} for name in ("x", "y")]
    listed = {"stepId": "s", "operationId": "listThings"}
    return composed(flow("root", {"stepId": "r", "workflowId": "second"}), flow("second", *runs), flow("third", listed))
