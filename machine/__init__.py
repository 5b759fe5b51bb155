"""arazzo-machine: an Arazzo workflow as an explicit state machine that runs durably, resumes, and can be drawn.

Three doors::

    draw      description = machine.load("deploy.arazzo.yaml")
              plan = machine.build_plan(description)
              machine.render(plan, format="mermaid")

    run       runner = machine.Runner(machine.SqliteStore("runs.db"))
              for record in (run := runner.start(plan, inputs)): ...
              run.result()          # and runner.resume(run_id) after anything

    embed     chart = machine.Chart(plan, listeners=[...], evaluate=machine.Evaluator())
              snapshot, effects, record = chart.advance(snapshot, event)

Everything here is loaded when it is first used; importing ``machine`` loads nothing else.
"""

from __future__ import annotations

import importlib

TYPE_CHECKING = False
"""As in ``typing``, which takes longer to load than everything else here."""

if TYPE_CHECKING:
    from typing import Any

    from .chart.chart import Chart
    from .chart.effects import Call, Finish
    from .chart.events import CallFailed, Cancelled, Reopened, Replied, Reply, Resolved, Started
    from .chart.settings import Settings
    from .chart.snapshot import Record, Snapshot
    from .diagram import render
    from .errors import MachineError
    from .library import load
    from .plan.build import build_plan
    from .plan.model import Plan
    from .runtime.evaluator import Evaluator
    from .runtime.layout import render_svg
    from .runtime.result import Result
    from .runtime.run import Run
    from .runtime.runner import Runner
    from .runtime.secrets import Reference
    from .sources.description import Description
    from .stores.memory import MemoryStore
    from .stores.sqlite import SqliteStore
    from .values import SecretRef

_HOME = {
    "Call": "chart.effects",
    "CallFailed": "chart.events",
    "Cancelled": "chart.events",
    "Chart": "chart.chart",
    "Description": "sources.description",
    "Evaluator": "runtime.evaluator",
    "Finish": "chart.effects",
    "MachineError": "errors",
    "MemoryStore": "stores.memory",
    "Plan": "plan.model",
    "Record": "chart.snapshot",
    "Reference": "runtime.secrets",
    "Reopened": "chart.events",
    "Replied": "chart.events",
    "Reply": "chart.events",
    "Resolved": "chart.events",
    "Result": "runtime.result",
    "Run": "runtime.run",
    "Runner": "runtime.runner",
    "SecretRef": "values",
    "Settings": "chart.settings",
    "Snapshot": "chart.snapshot",
    "SqliteStore": "stores.sqlite",
    "Started": "chart.events",
    "build_plan": "plan.build",
    "load": "library",
    "render": "diagram",
    "render_svg": "runtime.layout",
}

__all__ = [
    "Call",
    "CallFailed",
    "Cancelled",
    "Chart",
    "Description",
    "Evaluator",
    "Finish",
    "MachineError",
    "MemoryStore",
    "Plan",
    "Record",
    "Reference",
    "Reopened",
    "Replied",
    "Reply",
    "Resolved",
    "Result",
    "Run",
    "Runner",
    "SecretRef",
    "Settings",
    "Snapshot",
    "SqliteStore",
    "Started",
    "build_plan",
    "load",
    "render",
    "render_svg",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f".{_HOME[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
