"""A run that made something + the descriptions it was made by -> how that could be stopped or removed. Nothing is sent.

A create is taken for a POST to a collection, and the thing for an item of it: the path below it that has one name more.
What deletes, pauses or stops an item is named with its real path; where a shipped workflow does it, with its command.
It is advice for a person, made from conventions, and is said to be: the machine never acts on it.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from ..chart.effects import Call
from ..chart.snapshot import LedgerEntry, Record, Snapshot
from ..errors import MachineError
from ..library import shipped
from ..plan.model import CallPlan, Plan
from ..sources.files import source_tree
from ..sources.nodes import mapping
from ..stores.base import RunHead, Store
from ..values import redact

__all__ = ["Way", "ways_to_stop"]

_STOPPING: Final = frozenset({"pause", "stop", "cancel", "terminate", "suspend", "shutdown", "scale-to-zero"})
"""Last names of paths by which services end what costs."""
_LARGEST: Final = 4 << 20
"""Bytes of a description that is looked through: somebody is waiting for the answer."""
_VARIABLE: Final = re.compile(r"\{([^{}/]+)\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One call that would stop or remove what a step made."""

    step: str
    request: str
    """``DELETE /endpoint/acme/demo``; a name nobody knows yet stays in braces."""
    operation: str
    command: str = ""
    """The shipped workflow that does it, as a command; empty where there is none."""

    def __str__(self) -> str:
        return f"to stop it: {self.command or self.request}" + (f"  ({self.request})" if self.command else "")


def ways_to_stop(store: Store, head: RunHead, plan: Plan, snapshot: Snapshot, records: Sequence[Record]) -> list[Way]:
    """What could be done about each thing the run made, or may have made; the gentlest first. Empty where nothing was
    made, or the descriptions say nothing, and for a run against the simulator: its commands would be about something
    real."""
    if head.options.get("simulate"):
        return []
    opened = [entry for entry in snapshot.ledger if entry.outcome != "not_applied" and entry.kind == "create"]
    if not opened:
        return []
    described = list(_descriptions(store, head))
    found: dict[str, Way] = {}
    for entry in opened:
        call = next((one for table in plan.tables() for one in table.calls.values() if one.step == entry.step), None)
        if call is None:
            continue
        for paths in described:
            for way in _ways(call, entry, paths, plan, records):
                found.setdefault(way.request, way)
    same = _same_side(head, plan)
    ways = [replace(one, command=f"{one.command}{same}" if one.command else "") for one in found.values()]
    return sorted(ways, key=lambda one: (one.request.startswith("DELETE "), one.request))


def _same_side(head: RunHead, plan: Plan) -> str:
    """What a command needs besides so that it calls where the run called, with the same secrets."""
    options, usual = head.options, {one.name: one.origin for one in plan.inputs}
    servers = {**mapping(options.get("described")), **mapping(options.get("servers"))}
    flags = [f"--server {name}={url}" for name, url in servers.items()]
    flags += [f"--allow-host {host}" for host in options.get("allow_hosts") or ()]
    secrets = mapping(options.get("secrets")).items()
    flags += [f"-i {name}={one}" for name, one in secrets if one[:5] == "@env:" and one != usual.get(name)]
    return "".join(f" {shlex.quote(word)}" for flag in flags for word in flag.split(" ", 1))


def _descriptions(store: Store, head: RunHead) -> Iterator[Mapping[str, Any]]:
    """The paths of each OpenAPI description the run has stored."""
    for name, digest in head.documents.items():
        try:
            data = store.blob(digest)
            value = source_tree(data, name).value if len(data) <= _LARGEST else None
        except MachineError:
            continue
        if "openapi" in mapping(value):
            yield mapping(mapping(value).get("paths"))


def _ways(
    call: CallPlan, entry: LedgerEntry, paths: Mapping[str, Any], plan: Plan, records: Sequence[Record]
) -> Iterator[Way]:
    collection = call.operation.path
    if call.operation.method.upper() != "POST" or collection not in paths:
        return
    item = re.compile(re.escape(collection.rstrip("/")) + r"/\{[^{}/]+\}(/[a-z-]+)?")
    for path, methods in paths.items():
        below = item.fullmatch(path) if isinstance(path, str) else None
        if below is None:
            continue
        wanted = "delete" if below[1] is None else "post" if below[1][1:] in _STOPPING else ""
        operation = mapping(mapping(methods).get(wanted))
        if operation:
            values = _values(call, entry, path, plan, records)
            target = _filled(path, values)
            name = str(operation.get("operationId", ""))
            command = _command(name, values) if plan.document in map(str, shipped().values()) else ""
            yield Way(step=entry.step, request=f"{wanted.upper()} {target}", operation=name, command=command)


def _filled(path: str, values: Mapping[str, str]) -> str:
    return _VARIABLE.sub(lambda found: values.get(found[1], found[0]), path)


def _values(call: CallPlan, entry: LedgerEntry, path: str, plan: Plan, records: Sequence[Record]) -> dict[str, str]:
    """The names in a path, out of what was sent to the collection and to the item itself."""
    known: dict[str, str] = {}
    known |= _read(call.operation.path, entry.request.partition(" ")[2])
    item = "/".join(path.split("/")[: call.operation.path.rstrip("/").count("/") + 2])
    templates = {one.operation.path for table in plan.tables() for one in table.calls.values()}
    templates |= {one.path for table in plan.tables() for each in table.calls.values() for one in each.operations}
    if item in templates:
        for record in records:
            for effect in record.effects:
                if isinstance(effect, Call) and effect.request.method.upper() == "GET":
                    read = _read(item, str(redact(effect.request.target)))
                    # What another run of the same workflow made lies in another collection.
                    if read and all(read.get(name) == value for name, value in known.items()):
                        known |= read
    return known


def _read(template: str, target: str) -> dict[str, str]:
    """The values a concrete path has for the names of its template; none where it is another path."""
    pattern = "".join(
        f"(?P<v{number}>[^/?#]+)" if number % 2 else re.escape(part)
        for number, part in enumerate(_VARIABLE.split(template))
    )
    found = re.fullmatch(rf"(?:https?://[^/]+)?{pattern}(?:[?#].*)?", target)
    names = _VARIABLE.findall(template)
    return {name: found[f"v{2 * number + 1}"] for number, name in enumerate(names)} if found else {}


def _command(operation: str, values: Mapping[str, str]) -> str:
    """The command of a shipped workflow whose first call is this operation and whose inputs are all known."""
    for name, path in shipped().items():
        workflows = mapping(source_tree(path.read_bytes(), path.name).value).get("workflows") or [{}]
        steps = mapping(workflows[0]).get("steps") or [{}]
        first = mapping(steps[0])
        if not operation or first.get("operationId") != operation:
            continue
        inputs = mapping(mapping(workflows[0]).get("inputs"))
        secret = {key for key, one in mapping(inputs.get("properties")).items() if "x-machine" in mapping(one)}
        given = {
            str(one.get("value", "")).removeprefix("$inputs."): values[one["name"]]
            for one in first.get("parameters", [])
            if one.get("name") in values
        }
        if set(inputs.get("required") or ()) - secret <= set(given):
            shown = " ".join(f"-i {key}={shlex.quote(value)}" for key, value in given.items())
            return f"arazzo-machine run {name} {shown}"
    return ""
