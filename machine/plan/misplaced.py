"""A body and what is set in it -> the changes whose target is never there, known before anything runs. Pure.

The body is built with a mark in the place of every value that only a run has, and changed as a run would change it.
What leads into such a mark may be there; what leads past everything that is written is not.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..errors import RequestError
from ..expressions.evaluate import Context
from ..expressions.jsonpath import Query
from ..expressions.question import Answer, Question, Undecided
from ..expressions.replacement import Target
from ..expressions.template import ListTemplate, Literal, ObjectTemplate, Replaced, Template

__all__ = ["misplaced"]


class _Later(str):
    """A value that only a run has. A text, so that a body with one is a body."""

    __slots__ = ()


_LATER = _Later("a value of the run")


def misplaced(body: Replaced) -> Iterator[tuple[int, str]]:
    """The number of each change that cannot be made, and why. XML, and what only a run can find, is not looked into."""
    known: Any = _known(body.body)
    for number, (target, change) in enumerate(body.changes):
        way = _way(target, known)
        if way is None:
            return
        if _leads_into_later(way, known):
            continue
        try:
            known = target.put(known, _known(change), Context(ask=_nothing_now))
        except RequestError as error:
            if error.code == "AZM-E330":
                yield number, error.message


def _nothing_now(question: Question) -> Answer:
    raise Undecided("a pattern is matched when it runs")


def _known(template: Template) -> Any:
    """What of a value is written in the document."""
    if isinstance(template, Literal):
        return template.value
    if isinstance(template, ObjectTemplate):
        return {name: _known(item) for name, item in template.members}
    if isinstance(template, ListTemplate):
        return [_known(item) for item in template.items]
    return _LATER


def _way(target: Target, body: Any) -> tuple[str | int, ...] | None:
    """The keys and indexes a target names, none where it is looked for in what is all written; None where what it finds
    is up to the run."""
    if isinstance(target.selects, tuple):
        return target.selects
    if not isinstance(target.selects, Query) or target.expressions():
        return None
    if target.selects.path is not None:
        return tuple(target.selects.path)
    return None if _has_later(body) else ()


def _leads_into_later(way: tuple[str | int, ...], body: Any) -> bool:
    for step in way:
        if isinstance(body, dict) and step in body:
            body = body[step]
        elif isinstance(body, list) and (index := _index(step)) is not None and -len(body) <= index < len(body):
            body = body[index]
        else:
            return isinstance(body, _Later)
    return False


def _index(step: str | int) -> int | None:
    return step if isinstance(step, int) else int(step) if step.isdecimal() and len(step) < 10 else None


def _has_later(body: Any) -> bool:
    waiting = [body]
    while waiting:
        one = waiting.pop()
        if isinstance(one, _Later):
            return True
        waiting += one.values() if isinstance(one, dict) else one if isinstance(one, list) else ()
    return False
