"""A caller's inputs -> the values a run starts with: references set apart, defaults applied, everything checked.

Done before a store is opened, so that a wrong command leaves nothing behind.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import InputError
from ..plan.dependencies import dependency_inputs
from ..plan.inputs import check_inputs, coerce, origin_name
from ..plan.model import Plan
from ..plan.needs import file_inputs
from ..values import FileRef, SecretRef, contains_secret, encode
from .evaluator import Evaluator
from .files import refer
from .secrets import Reference, SecretBook

__all__ = ["Prepared", "prepare", "refuse_secrets"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """Inputs ready to start with. ``references`` says where each secret comes from; texts are read later."""

    values: Mapping[str, Any]
    references: Mapping[str, Reference]
    warnings: tuple[str, ...] = ()
    passed_on: Mapping[str, Any] = field(default_factory=dict)
    """What is given to workflows the run depends on, by workflow."""

    @property
    def sha256(self) -> str:
        """A digest of what is not secret: other inputs are another run, another reference to a secret is not."""
        plain = {
            # A file is the same wherever it lies.
            name: [value.name, value.sha256] if isinstance(value, FileRef) else encode(value)
            for name, value in self.values.items()
            if not isinstance(value, SecretRef)
        }
        told = [plain, self.passed_on] if self.passed_on else plain
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def prepare(plan: Plan, given: Mapping[str, Any], *, prompt: Callable[[str], str] | None = None) -> Prepared:
    """Check inputs against a plan.

    A value may be a Reference: for a secret it is kept; a file that is sent as such becomes a FileRef; anything else is
    read now and fitted to the schema.
    Raises InputError (65) with everything that is missing or does not fit, CredentialError when a reference to an
    ordinary input cannot be read.
    """
    secrets = set(plan.secrets)
    files = file_inputs(plan)
    declared = {one.name for one in plan.inputs}
    values: dict[str, Any] = {}
    references: dict[str, Reference] = {}
    for one in plan.inputs:
        if one.secret and one.origin and one.name not in given:
            references[one.name] = Reference(one.origin)
            values[one.name] = SecretRef(one.name)
    for callee in plan.callees.values():
        # What a workflow this one runs fetches itself has a name of its own in the run.
        for one in callee.inputs:
            if one.secret and one.origin:
                references[origin_name(callee, one.name)] = Reference(one.origin)
    for name, value in given.items():
        if isinstance(value, (SecretRef, FileRef)):
            raise InputError(
                f"input {name!r} must be given as a Reference", code="AZM-I005", next="Reference('@env:NAME')"
            )
        if not isinstance(value, Reference):
            values[name] = value
        elif name not in declared:
            raise InputError(
                f"input {name!r} is not declared, so nothing says whether its value is a secret",
                code="AZM-I007",
                next=f"the workflow declares: {', '.join(sorted(declared)) or 'no inputs'}",
            )
        elif name in secrets:
            references[name] = value
            values[name] = SecretRef(name)
        elif name in files and value.text.startswith("@file:"):
            values[name] = refer(value.text.removeprefix("@file:"), name)
        else:
            values[name] = coerce(plan, name, value.resolve(name, prompt=prompt))
    for name, value in values.items():
        _check_json(name, value)
    checked, warnings = check_inputs(plan, values, ask=Evaluator())
    return Prepared(values=checked, references=references, warnings=warnings, passed_on=dependency_inputs(plan))


def refuse_secrets(prepared: Prepared, book: SecretBook) -> None:
    """Refuse an input that is no secret and holds the text of one: it would be stored as it is, and wherever it is
    quoted a name would stand in its place. Raises InputError AZM-I014; the text is never in the error."""
    given = {("", name): value for name, value in prepared.values.items()}
    given |= {(key, name): value for key, values in prepared.passed_on.items() for name, value in values.items()}
    for (workflow, name), value in given.items():
        if not contains_secret(value) and book.conceal(value) != value:
            whole = f"{workflow}.{name}" if workflow else name
            raise InputError(
                f"input {whole!r} holds the text of a secret, and what is no secret is stored as it is given",
                code="AZM-I014",
                next=f"give another value, or say that it is one too: x-machine: {{secret: true}} on {name}",
            )


def _check_json(name: str, value: Any) -> None:
    """Refuse what could not be stored or sent: no JSON, a number that is not finite, half of a surrogate pair."""
    try:
        json.dumps(encode(value), ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError):
        raise InputError(
            f"input {name!r} is not a JSON value",
            code="AZM-I006",
            next="give null, true, false, a finite number, a text in UTF-8, a list or an object",
        ) from None
