"""What is printed with ``--json``, logged, handed on and stored -> the page of formats.

The fields of a result are those of its class; the example is a real run against the simulator, with a clock nobody
waits for and no chance in it, so it is the same text every time. Tables are those a store is made with.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from tables import block, page, table

from machine.chart.snapshot import RECORD_VERSION, SNAPSHOT_VERSION
from machine.library import load, shipped
from machine.plan.build import build_plan
from machine.plan.model import PLAN_VERSION
from machine.runtime.runner import Runner
from machine.runtime.secrets import Reference
from machine.runtime.token import LARGEST_TOKEN, TOKEN_VERSION
from machine.stores.memory import MemoryStore
from machine.stores.sqlite_file import APPLICATION_ID, FORMAT, SCHEMA
from machine.testing.clock import ManualClock
from machine.testing.server import Simulator

__all__ = ["LOGGED", "OTHERS", "RESULT", "example", "formats"]

RESULT: Final[Mapping[str, str]] = {
    "run": "The id of the run.",
    "workflow": "The workflowId.",
    "document": "The name of the document, as it was given.",
    "phase": "`starting`, `created`, `polling`, `ready` or `failed`.",
    "state": "The name of the state; of a run inside another workflow, `outer / inner`.",
    "reason": "Why it stands there; see [exit codes](exit-codes.md#why-a-run-stopped).",
    "message": "The same for people.",
    "outputs": "Every declared output; null while it is not known.",
    "unresolved": "The names of outputs that are not known.",
    "calls": "How many requests left.",
    "started": "RFC 3339, UTC, milliseconds; or null.",
    "ended": "The same; null while it can go on by itself.",
    "resumable": "Whether `resume` or `resolve` can go on.",
    "recovered": "Whether an action of `onFailure` took it further on its way.",
    "effects": "Each call that must not be repeated on a guess: `step`, `kind`, `outcome` (`applied`, `not_applied`, "
    "`unknown`), `identity` (the step's outputs) and `request`.",
    "next": "The one thing to do: `action` (`none`, `resume`, `resolve`, `fix`) and `command`.",
}

LOGGED: Final[Mapping[str, str]] = {
    "event": "What happened: `started`, `replied`, `call_failed`, `resolved`, `reopened`, `cancelled`.",
    "at": "RFC 3339, UTC.",
    "run": "The id of the run.",
    "seq": "The number of the record.",
    "source": "The state the event was judged in.",
    "target": "The state the run is in then.",
    "phase": "That of the target.",
    "transition": "The label of the transition that was taken.",
    "why": "The sentence of the guard that decided.",
    "status": "Of the answer, where there was one.",
    "cause": "Why there was none.",
    "outputs": "What became known.",
    "call": "Method and target of the request that comes next.",
    "delay": "How long it waits, in seconds.",
    "stop": "Why the run stops.",
}

OTHERS: Final[Mapping[str, tuple[str, str]]] = {
    "runs": ("runs", "results; with `--prune` also `forgotten`, of a damaged store also `damaged`"),
    "show --why": (
        "timeline history",
        "beside a result; `edits` and `origin` where there are any; of a damaged run `{error, damage, readable}`",
    ),
    "show --if": (
        "run if reopened state phase reason message exit_code sends delay moves",
        "where the machine would go on that answer",
    ),
    "show --report": ("run form report", "the report as a text"),
    "resolve": ("run evidence commands", "what the look saw, and a command for each choice"),
    "plan": ("plans", "of several workflows; of one, the plan itself, with `fates`: what each answer would do"),
    "check": (
        "document errors findings",
        "a finding is `{code, severity, message, place, suggestion, fix, explanation}`",
    ),
    "run --dry-run": ("workflow requests", "what can be built before anything was answered"),
    "diagram": ("format diagram", "with `-o` `{format, output}`"),
    "simulate": ("url scenario profile", "with `--list` `{scenarios}`"),
    "any, before there is a run": ("error", "`{code, message, place, seen, next}`"),
}
"""By verb, the names of the object it prints, and what they are."""

_WORKFLOW: Final = "deploy-inference-endpoint"
_COLUMN: Final = re.compile(r"(\w+) (TEXT|INTEGER|REAL|BLOB) NOT NULL")


def formats() -> str:
    rows = [[f"`{name}`", text] for name, text in RESULT.items()]
    others = [[f"`{verb}`", f"`{{{', '.join(names.split())}}}`", text] for verb, (names, text) in OTHERS.items()]
    tables = [[f"`{name}`", ", ".join(f"`{one}`" for one, _ in _COLUMN.findall(text))] for name, text in SCHEMA.items()]
    versions = [
        ["the file of a store", "`PRAGMA user_version`", str(FORMAT)],
        ["a stored plan", "`v`", str(PLAN_VERSION)],
        ["a snapshot", "`v`", str(SNAPSHOT_VERSION)],
        ["a record of the history", "`v`", str(RECORD_VERSION)],
        ["a token", "`token.v`", str(TOKEN_VERSION)],
    ]
    return page(
        "Formats",
        "Fields are added in later releases and keep their meaning; read what you know and ignore the rest. No secret "
        "is in any of this: where one would stand there is `[secret NAME]`.",
        "## The result of a run",
        "`run`, `resume`, `resolve` with a choice, `cancel` and `show` print it with `--json`, and `Result.to_json()` "
        "gives it.",
        table(["field", "what it is"], rows),
        block(json.dumps(example(), indent=2)),
        "## Other objects of `--json`",
        table(["verb", "the object", ""], others),
        "## A line of `--log`",
        "One JSON object for each record of the history. Fields from `status` on are there where there is one.",
        table(["field", "what it is"], [[f"`{name}`", text] for name, text in LOGGED.items()]),
        "## An answer for `resolve --reply`",
        "A JSON or YAML object: `status` (200 to 299), `headers`, `body`.",
        block(json.dumps({"status": 201, "headers": {}, "body": {"name": "demo"}})),
        "## A token",
        "`show RUN --token` prints it: a JSON object of `sha256` and `token`, which holds the plan, the snapshot and "
        f"the documents of a run. At most {LARGEST_TOKEN >> 20} MiB are read.",
        "## The store",
        f"One SQLite file in WAL mode (`application_id` {APPLICATION_ID:#x}), mode 0600, with the folders "
        "`STORE.locks` and `STORE.marks` beside it. Heads, snapshots and records are JSON; every row has a "
        "checksum over its columns, and a document is kept under its SHA-256.",
        table(["table", "columns"], tables),
        "## Versions of what is stored",
        "Something of another version is refused by name (`AZM-T007`, `AZM-T010`, `AZM-T013`, `AZM-T015`, `AZM-T090`) "
        "and left as it is.",
        table(["what", "where the number stands", "this release"], versions),
    )


def example() -> dict[str, Any]:
    """The result of one deployment against the simulator."""
    plan = build_plan(load(_WORKFLOW))
    given = {"namespace": "acme", "name": "demo", "repository": "gpt2", "hfToken": Reference("@env:HF_TOKEN")}
    with Simulator("happy") as simulator, MemoryStore() as store:
        runner = Runner(
            store,
            clock=ManualClock(),
            chance=lambda: 0.5,
            servers=dict.fromkeys(plan.servers, simulator.url),
            secret_texts={"hfToken": "simulated"},
        )
        with runner.start(plan, given, run_id="demo") as run:
            result = run.result().to_json()
        address = simulator.url.removesuffix("/v2")
    # A port is another one each time, and a checkout lies somewhere else on each machine.
    text = json.dumps(result).replace(address, "http://127.0.0.1:8765")
    return dict(json.loads(text.replace(f"{shipped()[_WORKFLOW].parents[1]}", "workflows")))
