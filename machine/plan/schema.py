"""Values held against a JSON Schema by the ``jsonschema`` library, within bounds.

A schema comes out of a document, and its author chooses how long it takes: a pattern without end, references that
double with each level, a URL to be fetched. So every keyword that matches a pattern is ours and asks for it
(``expressions/question.py``; dialect and search are those of ``regex`` conditions), every step is counted, and what a
reference names is looked for in the schema and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from ..expressions.question import LONGEST_SUBJECT, Ask, Question, Undecided
from ..values import FileRef, contains_file, contains_secret, redact
from .model import Plan
from .shape import wrong_in

__all__ = ["STEPS", "misfits_by_jsonschema", "mismatch", "validator_of"]

_Errors = Iterator[Any]
_Check = Callable[..., _Errors]

STEPS: Final = 50_000
"""How much may be done for one value, a second or so of computing: a step is a keyword, ten items it goes through, or
a hundred characters of what it says; a reference counts for several."""
_UNEVALUATED: Final = ("unevaluatedItems", "unevaluatedProperties")
_UNBOUNDED: Final = ("dependentSchemas", "patternProperties")
"""Beside a keyword about what is unevaluated, the library follows these by itself: no pattern or step is ours then."""
_OF_EACH: Final = frozenset({"additionalProperties", "contains", "items", "propertyNames", *_UNEVALUATED})
"""Keywords whose schema is gone through once for every item."""
_MESSAGE: Final = 400
"""Characters of one message that are kept."""


def mismatch(pattern: str, text: str, ask: Ask) -> str:
    """Why a text does not match, as the end of a sentence about it; empty where it does."""
    try:
        return "" if _matches(pattern, text, ask) else f"does not match {pattern}"
    except Undecided as undecided:
        return f"cannot be matched with {pattern}: {undecided.why}"


def _matches(pattern: str, text: str, ask: Ask) -> bool:
    if len(text) > LONGEST_SUBJECT:
        raise Undecided(f"it has more than {LONGEST_SUBJECT} characters")
    answer = ask(Question(language="regex", want="truth", expression=pattern, subject=text))
    if answer.problem:
        raise Undecided(answer.problem)
    return bool(answer.value)


def misfits_by_jsonschema(plan: Plan, values: Mapping[str, Any], ask: Ask) -> Iterable[str]:
    """What does not fit, a sentence each. A schema that cannot be used is such a sentence too."""
    import jsonschema
    import referencing.exceptions

    words = _keywords(plan.input_schema)
    together = [[one for one in pair if one in words] for pair in (_UNBOUNDED, _UNEVALUATED)]
    if all(together):
        yield f"the input schema cannot be used: {together[0][0]} beside {together[1][0]} is not supported"
        return

    # Neither secret nor file has a text here; what is known of it stands in, so the type is checked and nothing else.
    plain = {name: str(value) if isinstance(value, FileRef) else redact(value) for name, value in values.items()}
    validator = validator_of(dict(plan.input_schema), _bounded(ask))
    try:
        errors = sorted(validator.iter_errors(plain), key=lambda error: list(map(str, error.absolute_path)))
    except Undecided as undecided:
        why = _why_unusable(plan.input_schema, undecided.why)
        yield f"the inputs cannot be held against the input schema of {plan.workflow}: {why}"
        return
    except (
        *(jsonschema.exceptions.SchemaError, jsonschema.exceptions.UnknownType, referencing.exceptions.Unresolvable),
        *(RecursionError, TypeError, AttributeError, KeyError, ValueError, ArithmeticError),
    ):
        # A $ref to nowhere or a keyword of the wrong type surfaces as what the validator trips over.
        otherwise = "what it refers to leads nowhere, or round in a ring"
        yield f"the input schema of {plan.workflow} cannot be used: {_why_unusable(plan.input_schema, otherwise)}"
        return
    kept_elsewhere = {name for name, value in values.items() if contains_secret(value) or contains_file(value)}
    for misfit in errors:
        name = str(misfit.absolute_path[0]) if misfit.absolute_path else ""
        if name in kept_elsewhere and misfit.validator != "type":
            continue
        path = "/".join(map(str, misfit.absolute_path))
        yield f"input {path!r}: {misfit.message[:200]}" if path else misfit.message[:200]


def validator_of(schema: Any, keywords: Mapping[str, _Check]) -> Any:
    """A validator of JSON Schema 2020-12 with these keywords instead of the library's own. Its ``iter_errors`` raises
    Undecided after STEPS steps, and for a ``$ref`` that leads out of the schema what ``referencing`` raises."""
    import jsonschema
    import referencing

    left = [STEPS]

    def spend(steps: int) -> None:
        left[0] -= steps
        if left[0] < 0:
            raise Undecided(f"it takes more than {STEPS} steps")

    def counted(word: str, check: _Check) -> _Check:
        def run(validator: Any, wanted: Any, instance: Any, owner: Any) -> _Errors:
            items = len(instance) if isinstance(instance, (dict, list)) else 1
            wide = len(wanted) // 64 if isinstance(wanted, (dict, list)) else 0
            if word == "uniqueItems":
                spend(items * items // 50)
            spend(4 if word == "$ref" else 1 + items // 10 + wide * (items if word in _OF_EACH else 1))
            for error in check(validator, wanted, instance, owner) or ():
                # The library quotes the whole value in each message.
                spend(len(error.message) // 100)
                error.message = error.message[:_MESSAGE]
                yield error

        return run

    base = jsonschema.Draft202012Validator
    words = {word: counted(word, check) for word, check in {**base.VALIDATORS, **keywords}.items()}
    # Without a registry of ours the library would fetch what a reference names from the network.
    made = jsonschema.validators.extend(base, words)  # type: ignore[no-untyped-call]
    return made(schema, registry=referencing.Registry())


def _why_unusable(schema: Mapping[str, Any], otherwise: str) -> str:
    at, why = next(wrong_in(schema), ("", otherwise))
    return f"{why} (at {at})" if at else why


def _keywords(schema: Any) -> set[str]:
    """Every name in a schema, wherever it stands."""
    found: set[str] = set()
    waiting = [schema]
    while waiting:
        one = waiting.pop()
        if isinstance(one, Mapping):
            found |= one.keys()
            waiting.extend(one.values())
        elif isinstance(one, list):
            waiting.extend(one)
    return found


def _bounded(ask: Ask) -> dict[str, _Check]:
    """The keywords that match patterns (JSON Schema 2020-12 core section 10.3.2, validation section 6.3.3)."""
    from jsonschema import ValidationError

    def pattern(validator: Any, wanted: str, instance: Any, schema: Any) -> _Errors:
        if isinstance(instance, str) and not _matches(wanted, instance, ask):
            yield ValidationError(f"{instance[:200]!r} does not match {wanted!r}")

    def pattern_properties(validator: Any, wanted: Mapping[str, Any], instance: Any, schema: Any) -> _Errors:
        if isinstance(instance, dict):
            for one, inner in wanted.items():
                for name, value in instance.items():
                    if _matches(one, name, ask):
                        yield from validator.descend(value, inner, path=name, schema_path=one)

    def additional_properties(validator: Any, wanted: Any, instance: Any, schema: Mapping[str, Any]) -> _Errors:
        if not isinstance(instance, dict):
            return
        patterns = schema.get("patternProperties", {})
        known = schema.get("properties", {})
        for name, value in instance.items():
            if name in known or any(_matches(one, name, ask) for one in patterns):
                continue
            if wanted is False:
                yield ValidationError(f"{name[:200]!r} is not a property that may be given")
            elif isinstance(wanted, Mapping):
                yield from validator.descend(value, wanted, path=name)

    return {
        "pattern": pattern,
        "patternProperties": pattern_properties,
        "additionalProperties": additional_properties,
    }
