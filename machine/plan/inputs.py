"""The inputs of a workflow: which are declared, which are secret and how we know, and whether given values fit.

JSON Schema gives ``default`` no meaning of its own (2020-12 validation, section 9.2); an engine must, so defaults are
applied here, at the top and in nested objects. Simple schemas are checked by a small table of our own, because
loading a validator costs more than a whole run; everything else goes to ``jsonschema``. A test ties the two.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Set
from dataclasses import replace
from difflib import get_close_matches
from functools import partial
from itertools import pairwise
from typing import Any

from ..document.model import Workflow
from ..errors import DocumentError, InputError
from ..expressions.criteria import CompiledCriterion
from ..expressions.evaluate import resolve_name
from ..expressions.pattern import wrong_with
from ..expressions.question import Ask, nobody
from ..values import SecretRef, Value, contains_file, contains_secret
from .credentials import find_credentials, input_read
from .extension import InputExtension
from .model import CallPlan, InputPlan, Plan
from .problems import Problems
from .schema import misfits_by_jsonschema, mismatch
from .shape import TYPES

__all__ = [
    "check_inputs",
    "coerce",
    "declared_inputs",
    "misfits_of",
    "names_a_secret",
    "origin_name",
    "own_secrets",
    "read_inputs",
    "told_open",
]

_SECRET_WORDS = frozenset(
    {"token", "secret", "password", "passwd", "passphrase", "credential", "credentials", "apikey"}
)
_SECRET_PAIRS = frozenset({("api", "key"), ("access", "key"), ("private", "key")})
_HARMLESS_WORDS = frozenset({"page", "next", "max", "type", "id", "date", "budget", "limit", "count", "name", "url"})
_LONGEST_NAME = 64
_MOST_NAMES = 100
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


def declared_inputs(workflow: Workflow) -> Mapping[str, Any]:
    """The schema of each declared input by its name."""
    properties = workflow.inputs.get("properties")
    return properties if isinstance(properties, Mapping) else {}


def own_secrets(workflow: Workflow, calls: Mapping[str, CallPlan]) -> dict[str, str]:
    """The inputs that are secret by what the workflow itself says, and how we know."""
    declared = declared_inputs(workflow)
    placed = _flowing_into_credentials(calls, declared)
    found = {}
    for name in [*declared, *(name for name in sorted(placed) if name not in declared)]:
        one = declared.get(name)
        one = one if isinstance(one, Mapping) else {}
        why = _why_secret(name, one, placed)
        word = _told(one)
        if word is not None:
            why = "x-machine.secret" if word else ""
        if why:
            found[name] = why
    return found


def told_open(workflow: Workflow) -> set[str]:
    """The inputs of which the document says that they are no secrets."""
    return {name for name, one in declared_inputs(workflow).items() if isinstance(one, Mapping) and _told(one) is False}


def _told(schema: Mapping[str, Any]) -> Any:
    extension = schema.get("x-machine")
    return extension.get("secret") if isinstance(extension, Mapping) else None


def read_inputs(
    workflow: Workflow,
    calls: Mapping[str, CallPlan],
    criteria: Iterable[CompiledCriterion],
    *,
    secrets: Mapping[str, str],
    may_name_origin: Callable[[str], bool],
) -> tuple[InputPlan, ...]:
    """The declared inputs. ``criteria`` are those that are no call's own; ``secrets`` says which inputs are secret
    and how we know.

    Raises DocumentError AZM-P030 when a guard tests a secret: the verdict and its explanation would tell of it.
    """
    declared = declared_inputs(workflow)
    required = workflow.inputs.get("required")
    wanted = {name for name in required if isinstance(name, str)} if isinstance(required, list) else set()
    problems = Problems()
    found = []
    for name in [*declared, *(name for name in sorted(wanted | set(secrets)) if name not in declared)]:
        one = declared.get(name)
        one = one if isinstance(one, Mapping) else {}
        extension = problems.attempt(partial(InputExtension.read, one.get("x-machine", {}), workflow.place))
        extension = extension or InputExtension()
        found.append(
            InputPlan(
                name=name,
                schema=dict(one),
                required=name in wanted,
                secret=name in secrets,
                why_secret=secrets.get(name, ""),
                # Only a document we or the operator stand behind may name a variable of this machine: any other
                # could name one and its own server.
                origin=extension.origin if may_name_origin(name) else "",
            )
        )
    own = [one for call in calls.values() for one in (*call.success, *(call.poll.wait if call.poll else ()))]
    problems.each(partial(_refuse_guard_on, set(secrets), criterion) for criterion in [*own, *criteria])
    problems.report()
    return tuple(found)


def _why_secret(name: str, schema: Mapping[str, Any], placed: Mapping[str, str]) -> str:
    if schema.get("format") == "password":
        return "format: password"
    if schema.get("writeOnly") is True:
        return "writeOnly"
    if name in placed:
        return placed[name]
    said = _secret_word(name) if "string" in _kinds(schema.get("type", "string")) else ""
    return f"its name says {said}" if said else ""


def names_a_secret(name: str) -> bool:
    """Whether a field of an answer that is called so is a secret, and no word about one: ``refresh_token`` is, and
    ``id_token`` (OpenID Connect Core 1.0 section 2); ``page_token`` and ``refresh_token_status`` are not."""
    words = [word.lower() for word in _WORDS.findall(name)]
    ends_so = not _SECRET_WORDS.isdisjoint(words[-1:]) or tuple(words[-2:]) in _SECRET_PAIRS
    return words == ["id", "token"] or (ends_so and bool(_secret_word(name)))


def _secret_word(name: str) -> str:
    """The word by which a name says that it is a secret's: whole words, and none beside one that says otherwise, so
    ``pageToken`` is none. Empty where it does not."""
    words = [word.lower() for word in _WORDS.findall(name)]
    if _HARMLESS_WORDS & set(words):
        return ""
    hit = _SECRET_WORDS & set(words) or {" ".join(pair) for pair in _SECRET_PAIRS & set(pairwise(words))}
    return min(hit, default="")


def _flowing_into_credentials(calls: Mapping[str, CallPlan], declared: Collection[str]) -> dict[str, str]:
    """Input name to the sentence that says which credential it reaches."""
    found: dict[str, str] = {}
    for name, why in find_credentials(calls).inputs.items():
        known = resolve_name(name, declared)
        found.setdefault(known[0] if known else name, why)
    return found


def _refuse_guard_on(secrets: Set[str], criterion: CompiledCriterion) -> None:
    for expression in criterion.compared():
        known = resolve_name(input_read(expression), secrets) if expression.root == "inputs" else None
        if known:
            raise DocumentError(
                f"a guard tests the secret input {known[0]!r}",
                code="AZM-P030",
                place=criterion.place,
                seen=criterion.label,
                next="test something else; only == null and != null are allowed on a secret",
            )


# -- values ------------------------------------------------------------------------------------------------------------


def coerce(plan: Plan, name: str, text: str) -> Any:
    """A command-line text as the value the input's schema asks for; as it is where the schema asks for nothing there
    is, which :func:`check_inputs` says. Raises InputError when it cannot be one."""
    schema = next((one.schema for one in plan.inputs if one.name == name), {})
    kinds = _kinds(schema.get("type", "string"))
    if "string" in kinds or any(kind not in TYPES for kind in kinds):
        return text
    try:
        value = json.loads(text)
        json.dumps(value, allow_nan=False)
    except (ValueError, RecursionError):
        # No JSON, or what only Python's parser takes for it: NaN, an infinity, or a number that overflows into one.
        value = text
    if "null" in kinds and value is None:
        return None
    if any(_is_of(value, kind) for kind in kinds):
        return value
    raise InputError(f"input {name!r} must be {' or '.join(kinds)}", code="AZM-I002", seen=text[:80], next=_given(name))


def check_inputs(
    plan: Plan, given: Mapping[str, Any], *, inside: bool = False, ask: Ask = nobody
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Defaults applied and everything checked: the inputs a workflow starts with, and warnings about undeclared ones.

    Secrets are given as SecretRef. ``inside`` a run, another workflow gives them: then an input that is secret may be
    a text, because the run has it out of a reply. ``ask`` matches the patterns of the schema, which are the document's.
    Raises InputError naming every input that is missing or does not fit.
    """
    values = dict(given)
    secret = set(plan.secrets)
    for one in plan.inputs:
        if inside and one.name not in values and one.secret and one.origin:
            values[one.name] = SecretRef(origin_name(plan, one.name))
        elif one.name not in values and "default" in one.schema:
            values[one.name] = _with_defaults(one.schema["default"], one.schema)
        elif one.name in values:
            values[one.name] = _with_defaults(values[one.name], one.schema)
    missing = [one.name for one in plan.inputs if one.required and one.name not in values]
    if missing:
        raise InputError(
            f"missing input{'s' if len(missing) > 1 else ''}: {', '.join(missing)}",
            code="AZM-I001",
            next=" ".join(f"-i {name}={'@env:VARIABLE' if name in secret else 'VALUE'}" for name in missing),
        )
    for name, value in values.items():
        if not inside and name in secret and not contains_secret(value):
            raise InputError(
                f"input {name!r} is a secret and is given as text",
                code="AZM-I004",
                next=f"give a reference: -i {name}=@env:VARIABLE",
            )
    known = [one.name for one in plan.inputs]
    alike = {} if inside else {_bare(one): one for one in sorted(secret)}
    for name, value in values.items():
        meant = alike.get(_bare(name), "")
        if meant and name not in known and isinstance(value, str):
            raise InputError(
                f"input {name!r} is not declared, looks like the secret {meant!r}, and is given as text",
                code="AZM-I015",
                next=f"give a reference to the secret: -i {meant}=@env:VARIABLE",
            )
    problems = list(_misfits(plan, values, ask))
    if problems:
        raise InputError(
            "; ".join(problems), code="AZM-I003", next="see `arazzo-machine plan` for the inputs, and `check`"
        )
    return values, tuple(_undeclared(name, known) for name in values if name not in known)


def _undeclared(name: str, known: Collection[str]) -> str:
    # Comparing long names takes long, and both may be a document's.
    short = [one for one in known if len(one) <= _LONGEST_NAME][:_MOST_NAMES]
    near = get_close_matches(name, short, n=1) if len(name) <= _LONGEST_NAME else []
    return f"input {name!r} is not declared and is passed on" + (f"; did you mean {near[0]}?" if near else "")


def _bare(name: str) -> str:
    """A name without what people remember wrongly of it."""
    return "".join(one for one in name.lower() if one.isalnum())


def misfits_of(plan: Plan, name: str, value: Value, *, ask: Ask = nobody) -> tuple[str, ...]:
    """What keeps a value from being this input of a workflow, a sentence each; nothing where none is declared."""
    found = [one for one in plan.inputs if one.name == name]
    kept = {key: plan.input_schema[key] for key in ("$defs",) if key in plan.input_schema}
    schema = {"type": "object", **kept, "properties": {one.name: one.schema for one in found}}
    alone = replace(plan, inputs=tuple(found), input_schema=schema)
    return tuple(_misfits(alone, {name: value}, ask)) if found else ()


def origin_name(plan: Plan, name: str) -> str:
    """What a secret is called in a run that a workflow other than the run's own fetches itself."""
    return f"{plan.workflow}.{name}"


def _with_defaults(value: Any, schema: Mapping[str, Any]) -> Any:
    properties = schema.get("properties")
    if not isinstance(value, dict) or not isinstance(properties, Mapping):
        return value
    filled = dict(value)
    for name, one in properties.items():
        if isinstance(one, Mapping):
            if name in filled:
                filled[name] = _with_defaults(filled[name], one)
            elif "default" in one:
                filled[name] = _with_defaults(one["default"], one)
    return filled


_SIMPLE_KEYS = frozenset(
    {"type", "enum", "const", "minLength", "maxLength", "pattern", "default"}
    | {"description", "title", "examples", "example", "format", "writeOnly"}
)


def _misfits(plan: Plan, values: Mapping[str, Any], ask: Ask) -> Iterable[str]:
    if not _is_simple(plan):
        yield from misfits_by_jsonschema(plan, values, ask)
        return
    for one in plan.inputs:
        value = values.get(one.name)
        if one.name not in values or contains_secret(value) or contains_file(value):
            continue
        kinds = _kinds(one.schema.get("type", []))
        if kinds and not any(_is_of(value, kind) for kind in kinds):
            yield f"input {one.name!r} must be {' or '.join(map(str, kinds))}, not {_shown(value)}"
        elif "enum" in one.schema and not any(_same(value, item) for item in one.schema["enum"]):
            yield f"input {one.name!r} must be one of {', '.join(map(_shown, one.schema['enum']))}"
        elif "const" in one.schema and not _same(value, one.schema["const"]):
            yield f"input {one.name!r} must be {_shown(one.schema['const'])}"
        elif isinstance(value, str):
            yield from _misfits_of_text(one, value, ask)


def _is_simple(plan: Plan) -> bool:
    """Whether our own table knows every keyword of the schema and what stands under it."""
    if plan.input_schema.get("type", "object") != "object":
        return False
    if not set(plan.input_schema) <= {"type", "required", "properties", "description", "title"}:
        return False
    properties = plan.input_schema.get("properties", {})
    if not isinstance(properties, Mapping) or not all(isinstance(one, Mapping) for one in properties.values()):
        return False
    return all(_is_simple_schema(one.schema) for one in plan.inputs)


def _is_simple_schema(schema: Mapping[str, Any]) -> bool:
    if not {key for key in schema if not key.startswith("x-")} <= _SIMPLE_KEYS:
        return False
    kinds = _kinds(schema.get("type", ["string"]))
    choices = [*_kinds(schema.get("enum", [])), schema.get("const")]
    return (
        bool(kinds)
        and all(isinstance(kind, str) and kind in TYPES for kind in kinds)
        and isinstance(schema.get("enum", []), list)
        and not any(isinstance(choice, (list, dict)) for choice in choices)
        and all(type(schema.get(bound, 0)) is int for bound in ("minLength", "maxLength"))
        and _is_pattern(schema.get("pattern", ""))
    )


def _is_pattern(text: Any) -> bool:
    return text == "" or (isinstance(text, str) and not wrong_with(text))


def _misfits_of_text(one: InputPlan, value: str, ask: Ask) -> Iterable[str]:
    if len(value) < one.schema.get("minLength", 0):
        yield f"input {one.name!r} must have at least {one.schema['minLength']} characters"
    elif len(value) > one.schema.get("maxLength", len(value)):
        yield f"input {one.name!r} must have at most {one.schema['maxLength']} characters"
    elif "pattern" in one.schema and (problem := mismatch(one.schema["pattern"], value, ask)):
        yield f"input {one.name!r} {problem}"


def _kinds(value: Any) -> list[Any]:
    """The keyword ``type`` as a list: one type, or several of which one must fit."""
    return value if isinstance(value, list) else [value]


def _is_of(value: Any, kind: Any) -> bool:
    """JSON Schema validation section 6.1.1: a number with a zero fraction is an integer, a boolean is no number."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return {
        "string": isinstance(value, str),
        "boolean": isinstance(value, bool),
        "null": value is None,
        "number": number,
        "integer": number and (isinstance(value, int) or float(value).is_integer()),
        "array": isinstance(value, list),
        "object": isinstance(value, dict),
    }.get(str(kind), False)


def _same(left: Any, right: Any) -> bool:
    """Equality of JSON values: 1 equals 1.0, but true is not 1."""
    return isinstance(left, bool) == isinstance(right, bool) and bool(left == right)


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)[:80]


def _given(name: str) -> str:
    return f"-i {name}=VALUE"
