"""A result as the sentences that every report of it has: what it left on the other side, and how long it took."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from ..chart.snapshot import Record
from ..diagram.model import span
from ..expressions.verdict import clip, show
from ..runtime.result import Result
from .stopping import Way

__all__ = ["left_behind", "other_side", "took"]

_LONGEST: Final = 200


def other_side(result: Result, ways: Sequence[Way] = ()) -> Iterator[str]:
    """What may exist, and cost, on the other side, and for a run that is not ready how to end it."""
    for effect in result.effects:
        known = ", ".join(f"{key} {_said(value)}" for key, value in (effect.identity or {}).items())
        named = f" ({known})" if known else ""
        if effect.outcome == "applied":
            yield f"{effect.step} was applied{named}: what it made may still be there, and may be billed"
        elif effect.outcome == "unknown":
            yield f"{effect.step} may have been applied: {effect.request}; what it made may be there, and may be billed"
        else:
            yield f"{effect.step} was not applied: nothing was created by {effect.request}"
    if not result.ready:
        yield from map(str, ways)


def _said(value: Any) -> str:
    """What names a thing is mostly short; an output may quote everything."""
    return clip(value, _LONGEST) if isinstance(value, str) else show(value)


def left_behind(result: Result, ways: Sequence[Way] = ()) -> list[str]:
    """The same, where a run ended badly and something may have been left."""
    some = any(effect.outcome != "not_applied" for effect in result.effects)
    return list(other_side(result, ways)) if some and not result.ready else []


def took(result: Result, records: Sequence[Record]) -> str:
    """How long it took from the first record to the last."""
    return span(records[-1].at - records[0].at) if records else ""
