"""``x-machine``: everything the specification leaves to the engine, read from a document into frozen values.

Arazzo allows specification extensions on every object; the prefix ``x-machine`` is ours. What stands there is as
untrusted as the rest of the document: every field is checked, unknown ones are refused by name.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar, cast

from ..document.model import Criterion, Parameter
from ..errors import DocumentError, Place
from .effect import DoubtPolicy, KeyPolicy
from .model import EffectKind, Policy
from .problems import Problems

__all__ = [
    "EffectExtension",
    "InputExtension",
    "PollExtension",
    "ProbeExtension",
    "StepExtension",
    "WorkflowExtension",
    "parse_duration",
]

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
class ProbeExtension:
    """``x-machine.effect.probe``: the safe call that tells whether the unsafe one was applied."""

    operation_id: str = ""
    operation_path: str = ""
    parameters: tuple[Parameter, ...] = ()
    found: tuple[Criterion, ...] = ()
    absent: tuple[Criterion, ...] = ()
    match: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectExtension:
    """``x-machine.effect`` of a step; None leaves the default."""

    kind: EffectKind | None = None
    on_doubt: DoubtPolicy | None = None
    probe: ProbeExtension | None = None
    settle: float | None = None
    key: KeyPolicy | None = None
    on_conflict: Literal["fail", "adopt"] = "fail"


@dataclass(frozen=True, slots=True, kw_only=True)
class StepExtension:
    """``x-machine`` of a step."""

    state: str = ""
    poll: PollExtension | None = None
    unmatched: Policy | None = None
    effect: EffectExtension = EffectExtension()

    @classmethod
    def read(cls, data: Any, place: Place) -> StepExtension:
        """Raises DocumentError AZM-P001 for a field that is unknown or has a value of the wrong form."""
        fields = _Fields(data, place, "x-machine")
        poll = fields.take("poll", lambda value: _read_poll(value, place), None)
        effect = fields.take("effect", lambda value: _read_effect(value, place), EffectExtension())
        result = cls(
            state=fields.take("state", _text, ""),
            poll=poll,
            unmatched=cast("Policy | None", fields.take("unmatched", _one_of("next", "end", "fail"), None)),
            effect=effect,
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
    auth: Mapping[str, str] = field(default_factory=dict)
    """What the security schemes of the sources are met with, as ``--auth`` takes it."""

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
            auth=fields.take("auth", _auth, {}),
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


def _auth(value: Any) -> dict[str, str]:
    if not isinstance(value, Mapping) or not all(isinstance(text, str) for text in value.values()):
        raise ValueError("an object of SOURCE.SCHEME to references is expected")
    if any(text.startswith("@") and not text.startswith(("@env:", "@file:")) for text in value.values()):
        raise ValueError("references such as @env:NAME are expected")
    return {str(name): text for name, text in value.items()}


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


def _read_effect(data: Any, place: Place) -> EffectExtension:
    fields = _Fields(data, place, "x-machine.effect")
    policy = fields.take("onDoubt", _one_of("hold", "probe", "reissue", "fail"), None)
    conflict = fields.take("onConflict", _one_of("fail", "adopt"), "fail")
    result = EffectExtension(
        kind=cast("EffectKind | None", fields.take("kind", _one_of("safe", "idempotent", "create", "unknown"), None)),
        on_doubt=cast("DoubtPolicy | None", policy),
        probe=fields.take("probe", lambda value: _read_probe(value, place), None),
        settle=fields.take("settle", parse_duration, None),
        key=fields.take("idempotencyKey", lambda value: _read_key(value, place), None),
        on_conflict=cast("Literal['fail', 'adopt']", conflict),
    )
    fields.done()
    if policy == "probe" and result.probe is None:
        raise fields.error("onDoubt: probe needs a probe", policy)
    if policy == "reissue" and result.key is None:
        raise fields.error("onDoubt: reissue needs an idempotencyKey the server honours", policy)
    if conflict == "adopt" and result.probe is None:
        raise fields.error("onConflict: adopt needs a probe", conflict)
    return result


def _read_probe(data: Any, place: Place) -> ProbeExtension:
    fields = _Fields(data, place, "x-machine.effect.probe")
    result = ProbeExtension(
        operation_id=fields.take("operationId", _text, ""),
        operation_path=fields.take("operationPath", _text, ""),
        parameters=fields.take("parameters", lambda value: _read_parameters(value, place), ()),
        found=fields.take("found", lambda value: _read_criteria(value, place), ()),
        absent=fields.take("absent", lambda value: _read_criteria(value, place), ()),
        match=fields.take("match", _pointers, {}),
    )
    fields.done()
    if bool(result.operation_id) == bool(result.operation_path):
        raise fields.error("exactly one of operationId and operationPath is expected", data)
    if not result.match:
        # Without it anything of that name would be taken for ours.
        raise fields.error("match is expected: which fields of the reply must equal what was sent", data)
    return result


def _read_key(data: Any, place: Place) -> KeyPolicy:
    fields = _Fields(data, place, "x-machine.effect.idempotencyKey")
    fields.take("in", _one_of("header"), "header")
    result = KeyPolicy(
        name=fields.take("name", _text, "Idempotency-Key"), window=fields.take("window", parse_duration, 86_400.0)
    )
    fields.done()
    return result


def _read_parameters(data: Any, place: Place) -> tuple[Parameter, ...]:
    if not isinstance(data, list):
        raise ValueError("a list of parameters is expected")
    found = []
    for one in data:
        fields = _Fields(one, place, "x-machine.effect.probe.parameters")
        name = fields.take("name", _text, "")
        location = fields.take("in", _one_of("path", "query", "header", "cookie"), "")
        value = fields.take("value", lambda value: value, None)
        fields.done()
        if not name or not location or value is None:
            raise ValueError("every parameter needs name, in and value")
        found.append(Parameter(name=name, location=location, value=value, place=place))
    return tuple(found)


def _pointers(value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping) or not all(isinstance(key, str) and key.startswith("/") for key in value):
        raise ValueError("an object of JSON Pointers to values is expected")
    return dict(value)


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
