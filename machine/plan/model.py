"""The Plan: a workflow as a state table, and one beside it for every workflow it can reach. The single source of truth.

Made by ``plan/build.py`` and by nothing else. The chart executes it, the diagrams draw it, ``plan`` prints it,
``show --why`` explains by it. A plan is frozen, needs neither document nor sources any more, and is stored with
every run as versioned JSON: a resumed run executes the plan it began with.

Vocabulary
    State        a durable fact with a name, and the call that is made about it (or none: an end, or doubt)
    Transition   for one state and some events: a guard, a target, and how the next call is paced
    Guard        named facts about the event, all of which must hold, and criteria of the document
    CallPlan     what a step sends, how its answer is judged, and what it is read into
    ChildPlan    which other workflow a state runs, with which inputs, and how its end is judged
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from ..errors import DamageError, Place, VersionError
from ..expressions import stored as templates
from ..expressions.criteria import CompiledCriterion
from ..expressions.template import Template
from .steps import UNSAFE, CallPlan, ChildPlan, EffectKind, Policy, PollPolicy

__all__ = [
    "UNSAFE",
    "CallPlan",
    "ChildPlan",
    "EffectKind",
    "EventName",
    "Guard",
    "InputPlan",
    "Notice",
    "Phase",
    "Plan",
    "Policy",
    "PollPolicy",
    "State",
    "Transition",
]

PLAN_VERSION = 1

Phase = Literal["starting", "created", "polling", "ready", "failed"]
EventName = Literal["started", "replied", "call_failed", "returned", "resolved", "reopened", "cancelled"]
"""What a transition may answer; ``returned`` is the end of a workflow that another one ran."""
Pace = Literal["none", "now", "poll", "retry", "probe"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """All ``facts`` and all ``criteria`` must hold. A fact written ``!name`` must not. Empty: always."""

    facts: tuple[str, ...] = ()
    criteria: tuple[CompiledCriterion, ...] = ()

    @property
    def text(self) -> str:
        """The guard as one line: the criteria in the document's own words, or what the generated rule says."""
        criteria = [" ".join(one.text.split()) for one in self.criteria]
        return " and ".join(criteria or [FACTS[fact] for fact in self.facts]) or "otherwise"

    def to_json(self) -> dict[str, Any]:
        return {"facts": list(self.facts), "criteria": [one.to_json() for one in self.criteria], "text": self.text}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Guard:
        return cls(
            facts=tuple(data["facts"]), criteria=tuple(CompiledCriterion.from_json(one) for one in data["criteria"])
        )


FACTS: Mapping[str, str] = {
    "held": "the step succeeded",
    "!held": "the step failed",
    "doubtful": "nobody knows whether the call was applied",
    "troubled": "no usable answer, and tolerance is left",
    "spent": "no usable answer, and tolerance is used up",
    "refused": "the credential was refused (401 or 403)",
    "retries": "retries are left",
    "applied": "the call was or may have been applied",
    "unapplied": "it was not answered as applied",
    "unknown": "the answer leaves open whether it was applied",
    "not_sent": "it is known not to have been sent",
    "adopted": "somebody vouched for its result",
    "reissue": "somebody asked to send it again",
    "looking": "this was the look before the first send",
    "probes": "the policy is to probe",
    "reissues": "the policy is to send it again under the same key",
    "!fails": "the policy is not to take doubt for failure",
    "conflict": "it conflicts with something that may be ours",
    "found": "the probe found it",
    "matches": "what it found is what was sent",
    "ours": "nothing of that name was there before, or it may be adopted",
    "theirs": "it is somebody else's",
    "absent": "the probe did not find it",
    "settled": "late application can be ruled out",
    "clashed": "it was answered that something is there, and late application can be ruled out",
}
"""Every fact a guard may name, in words. ``chart/judge.py`` decides each; a test ties the two."""


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """A row of the table. ``id`` is generated; ``name`` is the document's word and is only ever data."""

    id: str
    name: str
    phase: Phase
    kind: Literal["call", "doubt", "final", "workflow"]
    step: str = ""
    """The step whose call is made here (``call``), or whose call's fate is unknown (``doubt``), or that runs another
    workflow (``workflow``; empty where no step does)."""
    child: str = ""
    """For ``workflow``: the key into the plan's ``children``."""
    polls: bool = False
    """Whether the state is entered by a loop and waits before it calls again."""
    of: str = ""
    """For ``doubt``: the id of the state whose call is in doubt."""

    def to_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """An edge of the table. Among those of one source and event, order is the document's and the first match wins."""

    id: str
    source: str
    target: str
    on: tuple[EventName, ...]
    label: str
    """The action's name, or a generated word."""
    rule: str
    """Where the edge comes from: ``action``, or the name of the compile rule that made it."""
    guard: Guard = field(default_factory=Guard)
    pace: Pace = "none"
    """How the target's call is timed: at once, on the poll policy, after ``retry_after``; ``none`` makes no call."""
    retry_after: float = 0.0
    retry_limit: int = 0
    stop: str = ""
    """Why the run stops where the edge leads: a reason of ``chart.snapshot.EXIT_CODES``. Empty: it goes on."""

    def to_json(self) -> dict[str, Any]:
        data = {name: getattr(self, name) for name in self.__slots__}
        return {**data, "on": list(self.on), "guard": self.guard.to_json()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Transition:
        return cls(**{**data, "on": tuple(data["on"]), "guard": Guard.from_json(data["guard"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class InputPlan:
    """One declared input."""

    name: str
    schema: Mapping[str, Any]
    required: bool = False
    secret: bool = False
    why_secret: str = ""
    """How the compiler knew: format, name, position or x-machine."""
    origin: str = ""
    """A reference such as ``@env:NAME`` used when the caller gives none; only from documents that may say so."""

    def to_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Something the compiler decided that a reader should know: a tolerance used, a default taken."""

    code: str
    message: str
    place: Place

    def __str__(self) -> str:
        return f"{self.place}: {self.code} {self.message}"

    def to_json(self) -> dict[str, Any]:
        return {"code": self.code, "message": self.message, "place": self.place.to_json()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A compiled workflow. ``states[0]`` is the initial state.

    The plan of a run also has the tables of all workflows it can reach, in ``callees``; these have none of their own.
    Ids of states and transitions are unique in all of them together.
    """

    workflow: str
    """Its id; for a workflow of another document, with the source's name before it."""
    title: str
    document: str
    """The document's name as given, for people."""
    document_sha256: str
    arazzo: str
    states: tuple[State, ...]
    transitions: tuple[Transition, ...]
    calls: Mapping[str, CallPlan]
    """By step: the steps that call an operation."""
    children: Mapping[str, ChildPlan] = field(default_factory=dict)
    """By :attr:`State.child`: the workflows its states run."""
    callees: Mapping[str, Plan] = field(default_factory=dict)
    """By the key children name them with; never the run's own workflow, even where something calls it."""
    scope: str = ""
    """What stands before a workflowId of its document to make the key of that workflow."""
    inputs: tuple[InputPlan, ...] = ()
    input_schema: Mapping[str, Any] = field(default_factory=dict)
    outputs: Mapping[str, Template] = field(default_factory=dict)
    servers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Source name to the base URLs something is called at, as the descriptions say; of the run's own table only."""
    sources: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Source name to the fields of its Source Description Object."""
    self_uri: str = ""
    """The document's ``$self``; empty where it has none."""
    auth: Mapping[str, str] = field(default_factory=dict)
    """Where credentials come from, as ``--auth`` takes it; only what a document we trust, or an overlay, says."""
    deadline: float = 3600.0
    call_limit: int = 10_000
    transition_limit: int = 10_000
    notices: tuple[Notice, ...] = ()

    def tables(self) -> Iterator[Plan]:
        """This workflow, then every other it can reach."""
        yield self
        yield from self.callees.values()

    def table(self, key: str) -> Plan:
        """The workflow with that key. Raises DamageError when there is none: a stored run names only what there was."""
        found = self if key == self.workflow else self.callees.get(key)
        if found is None:
            raise DamageError(f"the plan has no workflow {key!r}", code="AZM-T017", next="restore the store")
        return found

    def state(self, state_id: str) -> State:
        return next(one for table in self.tables() for one in table.states if one.id == state_id)

    def named(self, name: str) -> State:
        """The state of this workflow with that display name."""
        return next(one for one in self.states if one.name == name)

    def leaving(self, state_id: str) -> Iterator[Transition]:
        return (one for table in self.tables() for one in table.transitions if one.source == state_id)

    def ahead(self, *stack: str) -> list[tuple[State, CallPlan | None]]:
        """Every state that can still be reached by a run that stands in these, in any workflow that may be run on the
        way; each with the call it makes, where it makes one. The last one is that of the top frame and counts itself;
        the others wait for what they run to return, and run it again only where the plan leads back to them."""
        states = {state.id: (state, table) for table in self.tables() for state in table.states}
        targets: dict[str, set[str]] = {}
        *waiting, top = stack
        new = {top}
        for table in self.tables():
            for one in table.transitions:
                targets.setdefault(one.source, set()).add(one.target)
                if one.source in waiting and "returned" in one.on:
                    new.add(one.target)
        for state, table in states.values():
            if state.kind == "workflow":
                callee = self.table(table.children[state.child].workflow)
                targets.setdefault(state.id, set()).add(callee.initial.id)
        reached: set[str] = set()
        while new:
            reached |= new
            new = {target for source in new for target in targets.get(source, ())} - reached
        return [
            (state, table.calls.get(state.step) if state.kind == "call" else None)
            for state, table in states.values()
            if state.id in reached
        ]

    @property
    def initial(self) -> State:
        return self.states[0]

    @property
    def secrets(self) -> tuple[str, ...]:
        return tuple(one.name for one in self.inputs if one.secret)

    def to_json(self) -> dict[str, Any]:
        data = self._table_to_json()
        return {"v": PLAN_VERSION, **data, "callees": {key: one._table_to_json() for key, one in self.callees.items()}}

    def _table_to_json(self) -> dict[str, Any]:
        return {
            "workflow": self.workflow,
            "title": self.title,
            "document": self.document,
            "document_sha256": self.document_sha256,
            "arazzo": self.arazzo,
            "states": [one.to_json() for one in self.states],
            "transitions": [one.to_json() for one in self.transitions],
            "calls": {step: call.to_json() for step, call in self.calls.items()},
            "children": {key: child.to_json() for key, child in self.children.items()},
            "scope": self.scope,
            "inputs": [one.to_json() for one in self.inputs],
            "input_schema": dict(self.input_schema),
            "outputs": {name: templates.to_json(value) for name, value in self.outputs.items()},
            "servers": {source: list(servers) for source, servers in self.servers.items()},
            "sources": {name: dict(fields) for name, fields in self.sources.items()},
            "self_uri": self.self_uri,
            "auth": dict(self.auth),
            "deadline": self.deadline,
            "call_limit": self.call_limit,
            "transition_limit": self.transition_limit,
            "notices": [one.to_json() for one in self.notices],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Plan:
        """Read a stored plan.

        Raises VersionError when a newer release wrote it, DamageError when it is not a plan at all.
        """
        version = data.get("v")
        if version != PLAN_VERSION:
            raise VersionError(
                f"this plan has format {version}, this release reads format {PLAN_VERSION}",
                code="AZM-T010",
                next="use the release of arazzo-machine that began the run, or a newer one",
            )
        try:
            callees = {key: cls._table_from_json(one) for key, one in data["callees"].items()}
            return replace(cls._table_from_json(data), callees=callees)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise DamageError(
                f"the stored plan is damaged: {type(error).__name__}", code="AZM-T011", next="restore the store"
            ) from error

    @classmethod
    def _table_from_json(cls, data: Mapping[str, Any]) -> Plan:
        return cls(
            **{key: data[key] for key in _PLAIN_FIELDS},
            states=tuple(State(**one) for one in data["states"]),
            transitions=tuple(Transition.from_json(one) for one in data["transitions"]),
            calls={step: CallPlan.from_json(call) for step, call in data["calls"].items()},
            children={key: ChildPlan.from_json(child) for key, child in data["children"].items()},
            servers={source: tuple(servers) for source, servers in data["servers"].items()},
            inputs=tuple(InputPlan(**one) for one in data["inputs"]),
            outputs={name: templates.from_json(value) for name, value in data["outputs"].items()},
            notices=tuple(
                Notice(code=one["code"], message=one["message"], place=Place(**one["place"])) for one in data["notices"]
            ),
        )

    def text(self) -> str:
        """The plan as canonical JSON text: what is stored and hashed."""
        return json.dumps(self.to_json(), ensure_ascii=False, separators=(",", ":"))

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.text().encode()).hexdigest()


_PLAIN_FIELDS = (
    "workflow",
    "title",
    "document",
    "document_sha256",
    "arazzo",
    "scope",
    "input_schema",
    "sources",
    "self_uri",
    "auth",
    "deadline",
    "call_limit",
    "transition_limit",
)
