"""What a run came to, as one value: the JSON of ``run``, ``resume``, ``resolve`` and ``show``, and its exit code.

Made from a stored run and its plan; reads nothing else. Everything in it is safe to print.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ..chart.chart import Chart
from ..chart.snapshot import ENDS, READY, Snapshot
from ..expressions.template import references
from ..plan.model import Plan, PollPolicy
from ..sources.nodes import mapping
from ..stores.base import RunHead
from ..values import redact
from .secrets import COMMAND

__all__ = ["Effect", "Next", "Result", "is_resumable", "needed_outputs", "timestamp"]

_YEAR_10000 = 253_402_300_800.0
"""The first moment RFC 3339 cannot write."""


def timestamp(at: float | None) -> str | None:
    """Seconds since the epoch as RFC 3339 in UTC; None for no moment, or one beyond the year 9999."""
    if at is None:
        return None
    if not 0 <= at < _YEAR_10000:
        return None
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """One unsafe call: whether it was applied, and what names the thing on the other side."""

    step: str
    kind: str
    outcome: str
    identity: Any
    request: str

    def to_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True, kw_only=True)
class Next:
    """The one thing to do now."""

    action: str
    """``none``, ``resume``, ``resolve`` or ``fix``."""
    command: str = ""

    def to_json(self) -> dict[str, Any]:
        return {"action": self.action, "command": self.command}


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """``exit_code`` is the process's; ``reason`` the word behind it."""

    run: str
    workflow: str
    document: str
    phase: str
    state: str
    reason: str
    message: str
    outputs: Mapping[str, Any] = field(default_factory=dict)
    unresolved: tuple[str, ...] = ()
    calls: int = 0
    started: str | None = None
    ended: str | None = None
    resumable: bool = False
    recovered: bool = False
    effects: tuple[Effect, ...] = ()
    next: Next
    exit_code: int

    @property
    def ready(self) -> bool:
        return self.phase == "ready"

    def to_json(self) -> dict[str, Any]:
        """The object printed by ``--json``."""
        return {
            "run": self.run,
            "workflow": self.workflow,
            "document": self.document,
            "phase": self.phase,
            "state": self.state,
            "reason": self.reason,
            "message": self.message,
            "outputs": dict(self.outputs),
            "unresolved": list(self.unresolved),
            "calls": self.calls,
            "started": self.started,
            "ended": self.ended,
            "resumable": self.resumable,
            "recovered": self.recovered,
            "effects": [one.to_json() for one in self.effects],
            "next": self.next.to_json(),
        }

    @classmethod
    def of(
        cls,
        head: RunHead,
        chart: Chart,
        snapshot: Snapshot,
        *,
        held: bool,
        signum: int = 0,
        waiting: bool = False,
        store_flag: str = "",
    ) -> Result:
        """``held`` says whether a runner has the run now; ``signum`` which signal ended this one;
        ``waiting`` that its runner was told not to wait. ``store_flag`` is
        added to commands where the store is not the default one."""
        stop = snapshot.stopped
        ready = stop is not None and stop.reason in READY
        if stop is not None:
            reason, message, code = stop.reason, stop.message, stop.exit_code
        elif waiting:
            due = timestamp(snapshot.pending.not_before) if snapshot.pending else None
            reason, message, code = "waiting", f"the next call is due at {due}", 16
        elif held:
            reason, message, code = "running", "a runner has it now", 0
        else:
            reason, code = "interrupted", 128 + signum if signum else 16
            message = "nobody runs it; it can go on where it was"
        values, unresolved = chart.outputs(snapshot)
        resumable = is_resumable(snapshot)
        return cls(
            run=head.id,
            workflow=head.workflow,
            document=head.document,
            phase=chart.phase(snapshot),
            state=" / ".join(state.name for state in chart.path(snapshot)),
            reason=reason,
            message=message,
            outputs={name: redact(value) for name, value in values.items()},
            unresolved=unresolved,
            calls=snapshot.calls,
            started=timestamp(snapshot.started),
            ended=timestamp(stop.at) if stop and stop.reason in ENDS else None,
            resumable=resumable,
            recovered=snapshot.recovered,
            effects=tuple(
                Effect(
                    step=one.step,
                    kind=one.kind,
                    outcome=one.outcome,
                    identity=redact(one.identity),
                    request=one.request,
                )
                for one in snapshot.ledger
            ),
            next=_next(head, chart, snapshot, ready, resumable, store_flag),
            exit_code=code,
        )


def is_resumable(snapshot: Snapshot) -> bool:
    """Whether ``resume`` or ``resolve`` can go on: nothing paid for is a dead end."""
    stop = snapshot.stopped
    if stop is None:
        return True
    if stop.reason in READY:
        return False
    return stop.reason not in ENDS or snapshot.applied


def needed_outputs(plan: Plan, step: str) -> list[str]:
    """The outputs of a step that anything else reads: what somebody who adopts it has to know."""
    templates = [
        *plan.outputs.values(),
        *(value for call in plan.calls.values() for _, _, value in call.parameters),
        *(call.body for call in plan.calls.values() if call.body is not None),
        *(value for child in plan.children.values() for _, value in child.parameters),
    ]
    read = {one.name for template in templates for one in references(template) if one.owner == step}
    return [name for name in plan.calls[step].outputs if name in read]


def _next(head: RunHead, chart: Chart, snapshot: Snapshot, ready: bool, resumable: bool, store_flag: str) -> Next:
    run, stop = head.id, snapshot.stopped
    resume = f"arazzo-machine resume {run}{store_flag}{''.join(_commands(head))}"
    if ready:
        return Next(action="none")
    if not resumable:
        return Next(action="fix", command=f"arazzo-machine show {run} --why{store_flag}")
    if stop is not None:
        where = chart.standing(snapshot)
        call = where.call
        entry = next(reversed(where.open_calls), None)
        if call is not None and call.unsafe and entry is not None:
            if call.effect.probe is not None and entry.outcome != "applied":
                return Next(action="resolve", command=f"arazzo-machine resolve {run}{store_flag}")
            needed = needed_outputs(where.table, call.step)
            adopt = " ".join(f"--adopt {name}=VALUE" for name in needed) or "--adopt"
            if entry.outcome != "applied":
                adopt = f"{adopt}  # or, where you know it was never applied: --not-sent"
            elif entry.identity or not needed:
                adopt = "--accept"
            return Next(action="resolve", command=f"arazzo-machine resolve {run}{store_flag} {adopt}")
    if stop is not None and stop.reason == "request":
        # The values are the run's own, so that asking again would say the same; only another document can help.
        return Next(action="fix", command=f"{resume} --use-edited")
    raises = _raised(stop.reason, chart.plan, snapshot) if stop is not None else ""
    return Next(action="resume", command=f"{resume}{raises}")


def _commands(head: RunHead) -> Iterator[str]:
    """The flags without which a run does not go on: a command is run only where it is given. What it was is not put
    where it would be pasted, because a store may be somebody else's."""
    options: Mapping[str, Any] = {} if head.options.get("simulate") else head.options
    for flag, kept in (("-i", options.get("secrets")), ("--auth", options.get("auth"))):
        names = [name for name, text in mapping(kept).items() if str(text).startswith(COMMAND)]
        yield from (f" {flag} {shlex.quote(f'{name}={COMMAND}LINE')}" for name in names)


def _raised(reason: str, plan: Plan, snapshot: Snapshot) -> str:
    """What to add to ``resume`` where a budget is used up: twice of what there was. Without it one look is made."""
    settings = snapshot.settings
    limits = {
        "visits": settings.visits or PollPolicy().visits,
        "calls": settings.calls or plan.call_limit,
        "transitions": settings.transitions or plan.transition_limit,
    }
    if reason == "deadline":
        return " --deadline 30m"
    return f" --{reason} {2 * limits[reason]}" if reason in limits else ""
