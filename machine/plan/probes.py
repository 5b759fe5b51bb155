"""An unsafe call -> the policy for doubt one could write there, as YAML. Suggested, never applied.

A probe has to find what was made by what was sent, because the answer is what is lost. So it is a safe operation one
segment below the create, whose last path parameter can be read off the payload or the inputs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from ..document.model import Step, Workflow
from ..expressions.evaluate import walk
from ..expressions.template import references
from ..sources.model import Operation, Source
from ..sources.shapes import sample
from .model import CallPlan, Plan

__all__ = ["suggested_policy"]

_HOLD: Final = "say onDoubt: hold under x-machine.effect if a person shall decide"
_KEYS: Final = ("idempotency-key", "x-idempotency-key")
_MAX_MATCHES: Final = 3
_NAMES: Final = ("name", "id", "key", "slug")


def suggested_policy(
    workflow: Workflow, step: Step, call: CallPlan, plan: Plan, source: Source | None
) -> tuple[str, str]:
    """A sentence, and the YAML to put into the step where a probe or a key can be made out; else no YAML.

    ``source`` is the description the call stands in.
    """
    key = next((one.name for one in call.operation.parameters if one.name.lower() in _KEYS), "")
    if key:
        yaml = f"x-machine:\n  effect:\n    onDoubt: reissue\n    idempotencyKey: {{in: header, name: {key}}}"
        return "the service takes an idempotency key: let the call be sent again under the same one", yaml
    for probe, naming in _candidates(call, plan, source):
        named = _named_by(step, call, plan, naming)
        if named is None:
            continue
        pointer, value = named
        given = {(one.name, one.location): one.value for one in (*workflow.parameters, *step.parameters)}
        lines = ["x-machine:", "  effect:", "    onDoubt: probe", "    probe:"]
        lines += [f"      operationId: {_scalar(probe.operation_id)}", "      parameters:"]
        for name, location, one in _parameters(probe, given, naming, value):
            lines.append(f"      - {{name: {_scalar(name)}, in: {location}, value: {_scalar(one)}}}")
        lines += ["      found: [{condition: $statusCode == 200}]", "      absent: [{condition: $statusCode == 404}]"]
        telling = list(_telling(step, probe, value)) or [(pointer, value)]
        lines.append(f"      match: {{{', '.join(f'{at}: {_scalar(one)}' for at, one in telling)}}}")
        return f"let it look by itself with {probe.title}; {_HOLD}", "\n".join(lines)
    return f"describe a probe under x-machine.effect; {_HOLD}", ""


def _candidates(call: CallPlan, plan: Plan, source: Source | None) -> Iterator[tuple[Operation, str]]:
    """Safe operations one segment below the call, with the name of that segment's parameter: those the workflow calls
    first, then the others of the same description."""
    prefix = call.operation.path.rstrip("/") + "/"
    known = [one.operation for one in plan.calls.values()]
    for operation in (*known, *(source.operations.values() if source else ())):
        rest = operation.path.removeprefix(prefix)
        if (
            operation.method == "GET"
            and operation.source == call.operation.source
            and operation.operation_id
            and operation.path.startswith(prefix)
            and rest.startswith("{")
            and rest.endswith("}")
            and "/" not in rest
        ):
            yield operation, rest[1:-1]


def _named_by(step: Step, call: CallPlan, plan: Plan, naming: str) -> tuple[str, str] | None:
    """Pointer and value of what was sent that names the thing: the payload's member that later steps take out of the
    answer to name it, else the member that is called like the parameter, or like a name."""
    payload = step.request_body.payload if step.request_body is not None else None
    if not isinstance(payload, Mapping):
        return None
    for other in plan.calls.values():
        for name, location, template in other.parameters:
            if location != "path" or name != naming:
                continue
            for one in references(template):
                read = call.outputs.get(one.name) if one.root == "steps" and one.owner == step.step_id else None
                for source in references(read) if read is not None else ():
                    if source.root == "response" and isinstance(value := walk(dict(payload), source.pointer), str):
                        return "".join(f"/{_escaped(token)}" for token in source.pointer), value
    for name in (naming, *_NAMES):
        if isinstance(value := payload.get(name), str) and value.startswith("$inputs."):
            return f"/{_escaped(name)}", value
    return None


def _telling(step: Step, probe: Operation, naming: Any) -> Iterator[tuple[str, str]]:
    """What was sent and is shown again: it tells ours from somebody else's of the same name."""
    schema = next((probe.reply_schemas[one] for one in ("200", "2XX") if one in probe.reply_schemas), None)
    payload = step.request_body.payload if step.request_body is not None else None
    shown = sample(schema) if schema is not None else None
    waiting: list[tuple[str, Any, Any]] = [("", payload, shown)]
    found = 0
    while waiting and found < _MAX_MATCHES:
        at, sent, seen = waiting.pop(0)
        if isinstance(sent, Mapping) and isinstance(seen, Mapping):
            waiting += [(f"{at}/{_escaped(key)}", one, seen[key]) for key, one in sent.items() if key in seen]
        elif isinstance(sent, str) and sent.startswith("$inputs.") and sent != naming and isinstance(seen, str):
            found += 1
            yield at, sent


def _escaped(key: Any) -> str:
    return str(key).replace("~", "~0").replace("/", "~1")


def _parameters(
    probe: Operation, given: Mapping[tuple[str, str], Any], naming: str, value: Any
) -> Iterator[tuple[str, str, Any]]:
    for (name, location), one in given.items():
        if location == "header" and name.lower() == "authorization":
            yield name, location, one
    for spec in probe.parameters:
        if spec.location != "path" and not spec.required:
            continue
        if spec.name == naming:
            yield spec.name, spec.location, value
        elif (spec.name, spec.location) in given:
            yield spec.name, spec.location, given[spec.name, spec.location]


def _scalar(value: Any) -> str:
    """A value inside flow YAML, in quotes where it could be read otherwise."""
    text = str(value)
    plain = text.replace("$", "").replace(".", "").replace("_", "").replace("-", "").isalnum()
    return text if plain else "'" + text.replace("'", "''") + "'"
