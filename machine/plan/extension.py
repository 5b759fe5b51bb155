"""``x-machine``: everything the specification leaves to the engine, read from a document into frozen values.

Arazzo allows specification extensions on every object; the prefix ``x-machine`` is ours. What stands there is as
untrusted as the rest of the document: every field is checked, unknown ones are refused by name.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from ..document.model import Criterion
from ..errors import DocumentError, Place
from .model import EffectKind, Policy
from .problems import Problems

__all__ = ["InputExtension", "PollExtension", "StepExtension", "WorkflowExtension", "parse_duration"]

T = TypeVar("T")

_DURATION = re.compile(r"([0-9]+(\.[0-9]+)?[a-zµμ]+)+")
"""The whole text: the parser behind it reads over what stands between two parts."""


def parse_duration(value: Any) -> float:
    """Seconds from ``"30s"``, ``"1h30m"``, ``"500ms"`` or a bare number. Raises ValueError for anything else."""
    if isinstance(value, bool):
        raise ValueError("a duration is a number of seconds or a text such as 30s")
    if isinstance(value, (int, float)) or (isinstance(value, str) and value.replace(".", "", 1).isdigit()):
        try:
            seconds = float(value)
        except (ValueError, OverflowError) as error:
            raise ValueError("a duration is a number of seconds or a text such as 30s") from error
    elif isinstance(value, str) and _DURATION.fullmatch(value):
        import durationpy

        try:
            seconds = durationpy.from_str(value).total_seconds()
        except (durationpy.DurationError, ValueError, OverflowError) as error:
            raise ValueError(f"{value!r} is not a duration such as 30s, 5m or 1h30m") from error
    elif isinstance(value, str):
        raise ValueError(f"{value!r} is not a duration such as 30s, 5m or 1h30m")
    else:
        raise ValueError("a duration is a number of seconds or a text such as 30s")
    if not math.isfinite(seconds) or seconds < 0:
        raise ValueError("a duration cannot be negative or endless")
    return seconds


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("a text is expected")
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("true or false is expected")
    return value


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError("a whole number of 1 or more is expected")
    return value


def _count_or_none(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError("a whole number of 0 or more is expected")
    return value


def _factor(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 1 <= value <= 100:
        raise ValueError("a number from 1 to 100 is expected")
    return float(value)


def _share(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
        raise ValueError("a number from 0 to 1 is expected")
    return float(value)


def _one_of(*words: str) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        if value not in words:
            raise ValueError(f"one of {', '.join(words)} is expected")
        return cast("str", value)

    return read


class _Fields:
    """Reads the fields of one extension object, each by its own reader, and refuses what nobody asked for."""

    def __init__(self, data: Any, place: Place, where: str) -> None:
        self.place = place
        self.where = where
        self.problems = Problems()
        if not isinstance(data, Mapping):
            raise self.error("an object is expected", data)
        self.left = dict(data)

    def error(self, message: str, seen: Any) -> DocumentError:
        return DocumentError(
            f"{self.where}: {message}", code="AZM-P001", place=self.place, seen=repr(seen)[:80], next="see the README"
        )

    def take(self, name: str, read: Callable[[Any], T], default: T) -> T:
        if name not in self.left:
            return default
        value = self.left.pop(name)
        try:
            return read(value)
        except ValueError as error:
            self.problems.keep(self.error(f"{name}: {error}", value))
        except DocumentError as error:
            self.problems.keep(error)
        return default

    def done(self) -> None:
        """Raise for everything that could not be read, and for what is left over."""
        for name, value in self.left.items():
            self.problems.keep(self.error(f"there is no field {name!r}", value))
        self.problems.report()


@dataclass(frozen=True, slots=True, kw_only=True)
class PollExtension:
    """``x-machine.poll`` of a step; None leaves the default."""

    interval: float | None = None
    backoff: float | None = None
    max: float | None = None
    jitter: float | None = None
    visits: int | None = None
    tolerate: int | None = None
    wait: tuple[Criterion, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StepExtension:
    """``x-machine`` of a step."""

    state: str = ""
    poll: PollExtension | None = None
    unmatched: Policy | None = None
    kind: EffectKind | None = None

    @classmethod
    def read(cls, data: Any, place: Place) -> StepExtension:
        """Raises DocumentError AZM-P001 for a field that is unknown or has a value of the wrong form."""
        fields = _Fields(data, place, "x-machine")
        poll = fields.take("poll", lambda value: _read_poll(value, place), None)
        effect = fields.take("effect", lambda value: _read_effect(value, place), None)
        result = cls(
            state=fields.take("state", _text, ""),
            poll=poll,
            unmatched=cast("Policy | None", fields.take("unmatched", _one_of("next", "end", "fail"), None)),
            kind=effect,
        )
        fields.done()
        return result


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowExtension:
    """``x-machine`` of a workflow."""

    deadline: float | None = None
    calls: int | None = None
    transitions: int | None = None
    unmatched: Policy | None = None
    inheritance: str = "merge"

    @classmethod
    def read(cls, data: Any, place: Place) -> WorkflowExtension:
        """Raises DocumentError AZM-P001 like :meth:`StepExtension.read`."""
        fields = _Fields(data, place, "x-machine")
        result = cls(
            deadline=fields.take("deadline", parse_duration, None),
            calls=fields.take("calls", _count, None),
            transitions=fields.take("transitions", _count, None),
            unmatched=cast("Policy | None", fields.take("unmatched", _one_of("next", "end", "fail"), None)),
            inheritance=fields.take("actionInheritance", _one_of("merge", "replace"), "merge"),
        )
        fields.done()
        return result


@dataclass(frozen=True, slots=True, kw_only=True)
class InputExtension:
    """``x-machine`` of an input's schema."""

    secret: bool | None = None
    origin: str = ""

    @classmethod
    def read(cls, data: Any, place: Place) -> InputExtension:
        """Raises DocumentError AZM-P001 like :meth:`StepExtension.read`."""
        fields = _Fields(data, place, "x-machine")
        result = cls(secret=fields.take("secret", _flag, None), origin=fields.take("from", _reference, ""))
        fields.done()
        return result


def _reference(value: Any) -> str:
    if not isinstance(value, str) or not value.startswith(("@env:", "@file:")):
        raise ValueError("a reference such as @env:NAME is expected")
    return value


def _read_poll(data: Any, place: Place) -> PollExtension:
    fields = _Fields(data, place, "x-machine.poll")
    result = PollExtension(
        interval=fields.take("interval", parse_duration, None),
        backoff=fields.take("backoff", _factor, None),
        max=fields.take("max", parse_duration, None),
        jitter=fields.take("jitter", _share, None),
        visits=fields.take("visits", _count, None),
        tolerate=fields.take("tolerate", _count_or_none, None),
        wait=fields.take("wait", lambda value: _read_criteria(value, place), ()),
    )
    fields.done()
    return result


def _read_effect(data: Any, place: Place) -> EffectKind | None:
    """The kind of effect; None leaves it to the method."""
    fields = _Fields(data, place, "x-machine.effect")
    kind = fields.take("kind", _one_of("safe", "idempotent", "create", "unknown"), None)
    fields.take("onDoubt", _one_of("hold"), "hold")
    fields.done()
    return cast("EffectKind | None", kind)


def _read_criteria(data: Any, place: Place) -> tuple[Criterion, ...]:
    if not isinstance(data, list):
        raise ValueError("a list of criteria is expected")
    found = []
    for one in data:
        fields = _Fields(one, place, "x-machine.poll.wait")
        found.append(
            Criterion(
                condition=fields.take("condition", _text, ""),
                type=fields.take("type", _one_of("simple", "jsonpath"), "simple"),
                context=fields.take("context", _text, None),
                place=place,
            )
        )
        fields.done()
        if not found[-1].condition:
            raise ValueError("every criterion needs a condition")
    return tuple(found)
