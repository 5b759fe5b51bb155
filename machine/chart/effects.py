"""What a machine asks of its driver, as frozen values. ``advance`` returns them and performs none.

A driver's whole duty: perform the Call not before its time and feed back Replied or CallFailed; stop on Finish.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from ..plan.model import EffectKind
from ..sources.model import Request

__all__ = ["Call", "Effect", "Finish", "effect_from_json"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """Send this request, not before ``not_before``; ``delay`` is what was planned, so that a clock set wrong after a
    crash can never make anybody wait longer than that."""

    step: str
    request: Request
    kind: EffectKind
    not_before: float
    delay: float = 0.0
    number: int = 1
    """The ``seq`` of the snapshot that asks for it: no two calls of a run share one."""
    purpose: Literal["call", "look", "probe"] = "call"
    """The step's own call, or a safe look at what it makes: before its first send, or because its fate is unknown."""
    intended: bool = True
    """Whether storing this call is the intent to send it, because it leaves at once. Where it is not (it waits first,
    or whoever settled a doubt left the sending to somebody else) an unsafe call needs an intent of its own."""
    again: bool = False
    """Whether it repeats, under the same key, a call whose fate is unknown: what it is answered is said of both only
    where it is a success."""
    timeout: float | None = None
    """Seconds its answer may take by the document's word; None leaves it to the run's settings."""

    def to_json(self) -> dict[str, Any]:
        return {
            "effect": "call",
            "step": self.step,
            "request": self.request.to_json(),
            "kind": self.kind,
            "not_before": self.not_before,
            "delay": self.delay,
            "number": self.number,
            "purpose": self.purpose,
            "intended": self.intended,
            "again": self.again,
            "timeout": self.timeout,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish:
    """The run stops here; ``reason`` is the stable word of ``snapshot.Stop``."""

    reason: str

    def to_json(self) -> dict[str, Any]:
        return {"effect": "finish", "reason": self.reason}


Effect: TypeAlias = "Call | Finish"


def effect_from_json(data: Mapping[str, Any]) -> Effect:
    if data["effect"] == "finish":
        return Finish(reason=data["reason"])
    return Call(
        step=data["step"],
        request=Request.from_json(data["request"]),
        kind=data["kind"],
        not_before=data["not_before"],
        delay=data["delay"],
        number=data["number"],
        purpose=data["purpose"],
        intended=data["intended"],
        again=data["again"],
        timeout=data["timeout"],
    )
