"""What a plan needs from outside before it can run: files, credentials and hosts, and what of it is missing. Pure.

The command line, the driver, ``plan`` and ``check`` all ask here, so that what is listed is what is demanded.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from ..document.findings import Finding
from ..errors import Place
from ..expressions.template import ListTemplate, ObjectTemplate, Template, Whole
from ..sources.model import Operation, SecurityScheme, is_json_type, media_type
from ..sources.security import left_open
from .model import CallPlan, Plan
from .subject import Rule, Subject, say

__all__ = [
    "DEMANDING",
    "CredentialNeed",
    "Lack",
    "calls_of",
    "credential_needs",
    "file_inputs",
    "missing_credentials",
    "named_auth",
    "unusable",
]


def calls_of(plan: Plan) -> Iterator[CallPlan]:
    """Every call a run of the plan may make."""
    for table in plan.tables():
        yield from table.calls.values()


def named_auth(plan: Plan) -> dict[str, str]:
    """Where credentials come from by what documents we trust, and overlays, say."""
    return {name: text for table in plan.tables() for name, text in table.auth.items()}


# -- files -------------------------------------------------------------------------------------------------------------


def file_inputs(plan: Plan) -> frozenset[str]:
    """The inputs whose value may be a file that is sent as it is: their schema says so, or they are the whole of a body
    that is no JSON, or of a part of a multipart body, or they are handed to such an input of a workflow that is run."""
    found = {table.workflow: _own(table) for table in plan.tables()}
    while True:
        before = dict(found)
        for table in plan.tables():
            found[table.workflow] |= _handed_on(table, found) - set(table.secrets)
        if found == before:
            return found[plan.workflow]


def _own(plan: Plan) -> frozenset[str]:
    declared = {one.name for one in plan.inputs if not one.secret and _is_bytes(one.schema)}
    secret = set(plan.secrets)
    sent = {name for call in plan.calls.values() for name in _sent_whole(call) if name not in secret}
    return frozenset(declared | sent)


def _handed_on(plan: Plan, files: Mapping[str, frozenset[str]]) -> frozenset[str]:
    own = {one.name for one in plan.inputs}
    found: set[str] = set()
    for child in plan.children.values():
        wanted = files[child.workflow]
        found |= wanted & own if child.same_named else set()
        found |= {given for name, value in child.parameters if name in wanted for given in _input(value)}
    return frozenset(found)


def _is_bytes(schema: Mapping[str, Any]) -> bool:
    """OpenAPI 3.0 says ``format: binary``; JSON Schema 2020-12 a media type without an encoding into text."""
    kind = schema.get("contentMediaType")
    raw = isinstance(kind, str) and "contentEncoding" not in schema and not is_json_type(kind)
    return schema.get("format") == "binary" or raw


def _sent_whole(call: CallPlan) -> Iterator[str]:
    body = call.body
    types = [media_type(one) for one in ([call.content_type] if call.content_type else call.operation.body_types)]
    if isinstance(body, Whole) and types and not any(is_json_type(one) for one in types):
        yield from _input(body)
    elif isinstance(body, ObjectTemplate) and "multipart/form-data" in types:
        for _, member in body.members:
            for item in member.items if isinstance(member, ListTemplate) else (member,):
                yield from _input(item)


def _input(template: Template) -> Iterator[str]:
    """The input an expression is the whole of."""
    if isinstance(template, Whole):
        expression = template.expression
        if expression.root == "inputs" and expression.name and not expression.pointer:
            yield expression.name


# -- credentials -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialNeed:
    """A security scheme of a source that some step's operation names and the step does not meet itself."""

    source: str
    scheme: SecurityScheme
    steps: tuple[str, ...]
    optional: bool
    """Whether every one of those steps can be made without it."""

    @property
    def key(self) -> str:
        """What ``--auth`` calls it."""
        return f"{self.source}.{self.scheme.name}"

    def to_json(self) -> dict[str, Any]:
        return {
            "auth": self.key,
            "type": self.scheme.type,
            "scheme": self.scheme.scheme,
            "steps": list(self.steps),
            "optional": self.optional,
            "usable": not unusable(self.scheme),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Lack:
    """A step whose operation demands what nobody gave: any one of ``alternatives``, keys of ``--auth``."""

    step: str
    operation: str
    alternatives: tuple[tuple[str, ...], ...]
    place: Place


def credential_needs(plan: Plan) -> tuple[CredentialNeed, ...]:
    """Each once, in the order of the steps."""
    found: dict[str, CredentialNeed] = {}
    for call, operation, alternatives in _demands(plan):
        schemes = {one.name: one for one in operation.security}
        for name in dict.fromkeys(name for one in alternatives for name in one):
            scheme = schemes[name]
            key, optional = f"{operation.source}.{name}", () in alternatives
            known = found.get(key)
            found[key] = CredentialNeed(
                source=operation.source,
                scheme=_with_scopes(scheme, known),
                steps=tuple(dict.fromkeys((*(known.steps if known else ()), call.step))),
                optional=optional and (known is None or known.optional),
            )
    return tuple(found.values())


def missing_credentials(plan: Plan, given: Collection[str]) -> tuple[Lack, ...]:
    """The steps that demand more than is ``given``, which are keys of ``--auth``."""
    lacks = []
    for call, operation, alternatives in _demands(plan):
        keys = tuple(tuple(f"{operation.source}.{name}" for name in one) for one in alternatives)
        if not any(all(key in given for key in one) for one in keys):
            lacks.append(Lack(step=call.step, operation=operation.title, alternatives=keys, place=call.place))
    return tuple(lacks)


def unusable(scheme: SecurityScheme) -> str:
    """Why nobody can give a credential for a scheme of this kind; empty where one can be given."""
    if scheme.type == "apiKey" and scheme.location in ("header", "query", "cookie"):
        return ""
    if scheme.type == "http" and scheme.scheme not in ("basic", "bearer"):
        return f"HTTP authentication {scheme.scheme or 'of an unnamed kind'} is not supported"
    if scheme.type in ("http", "oauth2", "openIdConnect"):
        return ""
    if scheme.type == "mutualTLS":
        return "client certificates (mutualTLS) are not supported"
    return f"security schemes of type {scheme.type} are not supported"


def _demands(plan: Plan) -> Iterator[tuple[CallPlan, Operation, tuple[tuple[str, ...], ...]]]:
    for call in calls_of(plan):
        yield from _of_call(call)


def _of_call(call: CallPlan) -> Iterator[tuple[CallPlan, Operation, tuple[tuple[str, ...], ...]]]:
    probe = call.effect.probe
    for operation, parameters in [
        (call.operation, call.parameters),
        *([(probe.operation, probe.parameters)] if probe else []),
    ]:
        sent = {(where, name.lower() if where == "header" else name) for name, where, _ in parameters}
        if alternatives := left_open(operation, sent):
            yield call, operation, alternatives


def _with_scopes(scheme: SecurityScheme, known: CredentialNeed | None) -> SecurityScheme:
    """The scheme with the scopes every step asks of it."""
    if known is None:
        return scheme
    scopes = tuple(dict.fromkeys((*known.scheme.scopes, *scheme.scopes)))
    return replace(scheme, scopes=scopes)


# -- findings ----------------------------------------------------------------------------------------------------------


def _demanding(subject: Subject) -> Iterator[Finding]:
    """Credentials that operations demand, and that neither the document sends nor anybody has named yet: told once, at
    the first step that needs them. Where none of the kind can be given, that is more than a word."""
    named = named_auth(subject.plan)
    found: dict[tuple[tuple[str, ...], ...], dict[str, Operation]] = {}
    for step, call in subject.calls():
        for _, operation, alternatives in _of_call(call):
            keys = tuple(tuple(f"{operation.source}.{name}" for name in one) for one in alternatives)
            if not any(all(_is_named(key, named) for key in one) for one in keys):
                found.setdefault(keys, {}).setdefault(step.step_id, operation)
    for keys, steps in found.items():
        first, operation = next(iter(steps.items()))
        schemes = {f"{operation.source}.{one.name}": one for one in operation.security}
        usable = [one for one in keys if not any(unusable(schemes[key]) for key in one)]
        place = subject.steps[first].place
        who, wanted = ", ".join(steps), " or ".join(" and ".join(one) for one in usable or keys)
        if usable:
            message = f"{who}: a credential is demanded that the document does not send: {wanted}"
            flags = " ".join(f"--auth {key}=@env:NAME" for key in usable[0])
            yield say("L034", message, place, "" if subject.called else f"give it when it is run: {flags}")
        else:
            key = next(key for key in keys[0] if unusable(schemes[key]))
            message = f"{who}: {wanted} is all that is accepted, and {unusable(schemes[key])}"
            advice = "send what it asks for as a parameter, or call a server that does not ask"
            yield say("L035", message, place, advice)


def _is_named(key: str, named: Collection[str]) -> bool:
    return any(one == key or one.startswith(f"{key}.") for one in named)


DEMANDING: Final[tuple[Rule, ...]] = (_demanding,)
