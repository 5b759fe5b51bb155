"""What can be known of the calls before any of them is made: the requests, and whether the first body fits its schema.

Computed by the machine itself from a plan and checked inputs; nothing is sent, stored or read here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from ..chart.chart import Chart
from ..chart.effects import Call
from ..chart.events import Started
from ..document.positions import Twice
from ..errors import InputError, RequestError
from ..expressions.evaluate import Context
from ..expressions.question import Undecided
from ..expressions.template import references, render
from ..plan.model import CallPlan, Plan
from ..plan.schema import validator_of
from ..sources.model import Request, is_json_type, media_type
from ..sources.nodes import PROSE, Node
from ..sources.parameters import FORM
from ..sources.security import position_of
from ..sources.serialise import build_request
from ..values import MISSING, Value, contains_file, contains_secret, redact
from .credentials import Credentials
from .evaluator import Evaluator
from .http import planned_headers
from .secrets import SecretBook

if TYPE_CHECKING:
    from .reach import Reach

__all__ = ["First", "Planned", "first_request", "hopeless", "lacking", "misfits", "planned"]

_IGNORED: Final = frozenset({"accept", "authorization", "content-type", "cookie"})
"""Headers whose parameters mean nothing (OpenAPI, Parameter Object), or that carry what others say."""
_KNOWN: Final = frozenset({"inputs", "sourceDescriptions", "self"})
"""Roots of expressions that mean something before anything was answered."""
_NODES: Final = 20_000
_DEPTH: Final = 30
_SHOWN: Final = 5
_SKIPPED: Final = (
    PROSE
    | {"discriminator", "default", "xml"}
    | {"$schema", "$id", "$anchor", "$dynamicAnchor", "$dynamicRef", "$recursiveRef"}
)
"""Words of a schema that say nothing about a body, or where else to look."""
_NAMED: Final = frozenset({"properties", "patternProperties", "dependentSchemas", "$defs", "definitions"})
"""Words whose value is schemas by their names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class First:
    """The call a run is about first, its request, and what that was made of."""

    call: CallPlan
    request: Request
    payload: Value
    """The body before it was written as its type has it; MISSING where there is none."""
    given: frozenset[tuple[str, str]]
    """Name, of a header in lower case, and location of every parameter that has a value."""


def first_request(plan: Plan, inputs: Mapping[str, Any]) -> First | None:
    """The call a run of these inputs is about first; None where it makes none.

    Where a look comes before it, both have to be possible. Raises InputError AZM-I010 where one cannot be built.
    """
    chart = Chart(plan, evaluate=Evaluator())
    advanced = chart.advance(chart.begin(), Started(at=0.0, inputs=dict(inputs), nonce="0" * 32))
    effect, stop = advanced.effects[0], advanced.snapshot.stopped
    frame = advanced.snapshot.frame
    table = plan.table(frame.workflow)
    context = _context(table, frame.inputs)
    try:
        if stop is not None and stop.reason == "request":
            step = next((one.step for one in table.states if one.id == frame.state), "")
            if step in table.calls:
                # Asked again, it says all there is to say.
                _built(table.calls[step], context)
            raise RequestError(stop.message, code="AZM-R041")
        if not isinstance(effect, Call):
            return None
        call = table.calls[effect.step]
        request = effect.request if effect.purpose == "call" else _built(call, context)
        return First(
            call=call,
            request=request,
            payload=render(call.body, context) if call.body is not None else MISSING,
            given=frozenset(
                [
                    *((name.lower(), "header") for name, _ in request.headers),
                    *(
                        (name, location)
                        for name, location, value in call.parameters
                        if render(value, context) not in (None, MISSING, [], {})
                    ),
                ]
            ),
        )
    except RequestError as error:
        raise InputError(
            f"the first request cannot be built: {error.message}",
            code="AZM-I010",
            place=error.place,
            seen=error.seen,
            next=f"nothing was sent; {error.next or 'give the inputs it needs, or mend the document'}",
        ) from None


def lacking(first: First) -> list[str]:
    """The parameters the description requires and the request does not have, a sentence each. One of a path is refused
    before; what security schemes speak of is a credential, and is looked at as such."""
    operation = first.call.operation
    credentials = {position_of(one) for one in operation.security}
    return [
        f"{operation.title} requires the {one.location} parameter {one.name!r}, and it has no value"
        for one in operation.parameters
        if one.required and one.location != "path"
        for key in [(one.name.lower() if one.location == "header" else one.name, one.location)]
        if key not in first.given
        and (key[1], key[0]) not in credentials
        and not (one.location == "header" and key[0] in _IGNORED)
    ]


def hopeless(plan: Plan, inputs: Mapping[str, Any]) -> list[tuple[CallPlan, str, bool]]:
    """The calls of the run's own workflow that these inputs, or the document itself, make impossible: each with why,
    and with whether no end is ready without it, so that nothing should be begun.

    What depends on answers is not known yet, nor what other workflows are given.
    """
    context, found = _context(plan, inputs), []
    for call in plan.calls.values():
        if _waits_for(call, _KNOWN):
            continue
        try:
            _built(call, context)
        except RequestError as error:
            found.append((call, error.message, not _ready_without(plan, call.step)))
    return found


def _ready_without(plan: Plan, step: str) -> bool:
    """Whether a ready end can be reached without the call of a step. What takes the workflow's place may reach one."""
    without = {state.id: state for state in plan.states if state.kind != "call" or state.step != step}
    reached: set[str] = set()
    new = {plan.initial.id} & set(without)
    while new:
        reached |= new
        new = {one.target for one in plan.transitions if one.source in new and one.target in without} - reached
    return any(
        without[one].phase == "ready"
        or (without[one].kind == "workflow" and plan.children[without[one].child].role == "transfer")
        for one in reached
    )


def _context(plan: Plan, inputs: Mapping[str, Any]) -> Context:
    """What expressions can see before anything was answered."""
    return Context(inputs=dict(inputs), sources=plan.sources, document=plan.self_uri or None, ask=Evaluator())


def _built(call: CallPlan, context: Context) -> Request:
    return build_request(
        call.operation,
        [(name, location, render(value, context)) for name, location, value in call.parameters],
        body=render(call.body, context) if call.body is not None else MISSING,
        content_type=call.content_type,
        place=call.place,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A request as it would be sent, secrets by name; or why it cannot be built yet."""

    step: str
    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = ()
    body: str | None = None
    waits_for: str = ""

    def lines(self) -> Iterator[str]:
        yield f"{self.step}: {self.method} {self.url}"
        for name, value in self.headers:
            yield f"  {name}: {value}"
        if self.body is not None:
            yield ""
            for line in self.body.splitlines() or [""]:
                yield f"  {line}"
        if self.waits_for:
            yield f"  {self.waits_for}"

    def to_json(self) -> dict[str, Any]:
        return {
            "step": self.step,
            "method": self.method,
            "url": self.url,
            "headers": [list(pair) for pair in self.headers],
            "body": self.body,
            "waitsFor": self.waits_for or None,
        }


def planned(plan: Plan, inputs: Mapping[str, Any], options: Mapping[str, Any], reach: Reach) -> list[Planned]:
    """Every call of the plan, in its order."""
    credentials = reach.credentials(plan, options, SecretBook({}))
    found = []
    for table in plan.tables():
        # What another workflow is given is known once it is run.
        known = _KNOWN if table is plan else _KNOWN - {"inputs"}
        context = _context(table, inputs)
        for call in table.calls.values():
            base = reach.base(options, call.operation.source, call.operation.server)
            found.append(_planned(call, context, base, credentials, known))
    return found


def _planned(call: CallPlan, context: Context, base: str, credentials: Credentials, known: frozenset[str]) -> Planned:
    operation = call.operation
    waits = _waits_for(call, known)
    if not waits:
        try:
            request = credentials.shown(_built(call, context))
        except RequestError as error:
            waits = f"cannot be built: {error.message}"
    if waits:
        return Planned(step=call.step, method=operation.method, url=base + operation.path, waits_for=waits)
    headers = [(name, str(value)) for name, value in planned_headers(request)]
    if call.effect.key is not None:
        headers.append((call.effect.key.name, "[a key of the run]"))
    return Planned(
        step=call.step,
        method=request.method,
        url=base + str(request.target),
        headers=tuple(headers),
        body=_body_text(request),
    )


def _waits_for(call: CallPlan, known: frozenset[str]) -> str:
    templates = [*(value for _, _, value in call.parameters), *([call.body] if call.body is not None else [])]
    later = sorted({str(one) for template in templates for one in references(template) if one.root not in known})
    return f"waits for {', '.join(later)}" if later else ""


def _body_text(request: Request) -> str | None:
    if request.body is MISSING:
        return None
    if is_json_type(request.content_type):
        return json.dumps(redact(request.body))
    return str(request.body)


# -- the body against its schema ---------------------------------------------------------------------------------------


def misfits(first: First) -> list[str]:
    """In what the body is not what the description asks for, at most five sentences; empty where nothing is said.

    JSON is looked at as it is sent, the object behind a form or multipart body as its fields read. A stored plan knows
    no schemas, so this is asked of a plan that was just built. Nothing is said either where that cannot be told:
    patterns are not looked at, nor what a reference to another place means, a schema without end, or a text nobody has
    here, of a secret and of a file.
    """
    operation, request = first.call.operation, first.request
    if request.body is MISSING:
        return ["the operation requires a body, and the step sends none"] if operation.body_required else []
    bare = media_type(request.content_type)
    form = bare in (FORM, "multipart/form-data") and isinstance(first.payload, dict)
    node = next((one for kind, one in operation.request_schemas.items() if media_type(kind) == bare), None)
    if node is None and is_json_type(request.content_type):
        node = operation.request_schema
    if node is None or not (form or is_json_type(request.content_type)):
        return []
    body: Any = _without_absent(first.payload) if form else request.body
    import jsonschema
    import referencing.exceptions

    try:
        validator = _validator(_expanded(node, [_NODES], _DEPTH))
        errors = _errors(validator, body)
        if form and errors:
            # On the wire "5" and 5 are the same.
            odd = {one.absolute_path[0] for one in errors if len(one.absolute_path) == 1}
            errors = _errors(
                validator, {name: _otherwise(item) if name in odd else item for name, item in body.items()}
            )
        return [_sentence(one) for one in errors[:_SHOWN]]
    except _Unclear as error:
        return [f"its schema is not known: {error}"]
    except (
        *(jsonschema.exceptions.SchemaError, jsonschema.exceptions.UnknownType, referencing.exceptions.Unresolvable),
        *(Undecided, RecursionError, TypeError, ValueError, AttributeError, KeyError, ArithmeticError),
    ):
        # A keyword of a wrong type surfaces as what the validator trips over; it says nothing about the body.
        return []


_BY_TEXT: Final = frozenset(
    {"minLength", "maxLength", "enum", "const", "anyOf", "oneOf", "not", "contains", "uniqueItems", "if"}
)
"""Keywords whose word on a value may depend on a text that is not known here."""


def _errors(validator: Any, body: Any) -> list[Any]:
    """What is wrong for certain, in the order of the body."""
    found = []
    for one in validator.iter_errors(redact(body)):
        value = body
        for token in one.absolute_path:
            # What is shown for a file has members, the file has none.
            value = value[token] if isinstance(value, (dict, list)) else value
        if contains_file(value) or (one.validator in _BY_TEXT and contains_secret(value)):
            continue
        found.append(one)
    return sorted(found, key=lambda one: list(map(str, one.path)))


def _without_absent(body: Any) -> dict[str, Any]:
    """Fields that are null or absent are not sent."""
    return {name: item for name, item in body.items() if item is not None and item is not MISSING}


def _otherwise(value: Any) -> Any:
    """A field of a form, as the other kind of value that is written the same."""
    if isinstance(value, str):
        try:
            read = json.loads(value)
        except ValueError:
            return value
        return read if isinstance(read, (bool, int, float)) else value
    return json.dumps(value) if isinstance(value, (bool, int, float)) else value


def _sentence(error: Any) -> str:
    where = "/" + "/".join(map(str, error.absolute_path))
    return f"{where}: {error.message[:200]}"


class _Unclear(Exception):
    """A key of a schema stands twice."""


def _expanded(node: Node, left: list[int], depth: int, *, names: bool = False) -> Any:
    """The schema with its references replaced by what they mean. Behind the bounds anything is allowed. ``names``: it
    is no schema but several by their names, so no word in it means anything."""
    left[0] -= 1
    if depth < 0 or left[0] < 0:
        return True
    if isinstance(node.value, Twice):
        raise _Unclear(str(node.value))
    if isinstance(node.value, Mapping) and not names and isinstance(node.value.get("$ref"), str):
        found = node.followed()
        beside = {name: value for name, value in node.value.items() if name != "$ref"}
        target = _expanded(found, left, depth - 1) if found.value is not None else True
        return {"allOf": [target, _expanded(Node(beside, node.file), left, depth - 1)]} if beside else target
    if isinstance(node.value, Mapping):
        return {
            name: _expanded(one, left, depth - 1, names=not names and name in _NAMED)
            for name, one in node.items()
            if names or name not in _SKIPPED
        }
    if isinstance(node.value, list):
        return [_expanded(one, left, depth - 1) for one in node.entries()]
    return node.value


def _validator(schema: Any) -> Any:
    """JSON Schema 2020-12 with the words of OpenAPI 3.0 where they differ: ``nullable``, and exclusive bounds that are
    booleans."""
    import jsonschema

    keywords = jsonschema.Draft202012Validator.VALIDATORS

    def nullable(word: str) -> Callable[..., Iterator[Any]]:
        def check(validator: Any, value: Any, instance: Any, owner: Any) -> Iterator[Any]:
            if instance is None and isinstance(owner, Mapping) and owner.get("nullable") is True:
                return iter(())
            return keywords[word](validator, value, instance, owner) or iter(())

        return check

    def bound(word: str) -> Callable[..., Iterator[Any]]:
        def check(validator: Any, value: Any, instance: Any, owner: Any) -> Iterator[Any]:
            if isinstance(value, bool):
                plain = owner.get({"exclusiveMinimum": "minimum", "exclusiveMaximum": "maximum"}[word])
                if not value or plain is None:
                    return iter(())
                value = plain
            return keywords[word](validator, value, instance, owner) or iter(())

        return check

    def read_only(validator: Any, value: Any, instance: Any, owner: Any) -> Iterator[Any]:
        """What is only ever answered need not be sent (OpenAPI 3.0 Schema Object, readOnly)."""
        properties = owner.get("properties")
        known = properties if isinstance(properties, Mapping) else {}
        sent = [
            name
            for name in (value if isinstance(value, list) else [])
            if not (isinstance(known.get(name), Mapping) and known[name].get("readOnly") is True)
        ]
        return keywords["required"](validator, sent, instance, owner) or iter(())

    def additional(validator: Any, value: Any, instance: Any, owner: Any) -> Iterator[Any]:
        """Beside patterns nobody can say what is additional without matching them."""
        if "patternProperties" in owner:
            return iter(())
        return keywords["additionalProperties"](validator, value, instance, owner) or iter(())

    unseen = ("pattern", "patternProperties", "format", "unevaluatedItems", "unevaluatedProperties")
    return validator_of(
        schema,
        {
            **{word: nullable(word) for word in ("type", "enum")},
            **{word: bound(word) for word in ("exclusiveMinimum", "exclusiveMaximum")},
            "required": read_only,
            "additionalProperties": additional,
            **dict.fromkeys(unseen, lambda *_: iter(())),
        },
    )
