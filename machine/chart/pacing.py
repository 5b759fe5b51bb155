"""How long to wait before the next call: pure arithmetic on times and chance that the event carries.

A Retry-After header wins over the planned pace (RFC 9110 section 10.2.3; Arazzo, Failure Action Object, retryAfter:
the header overrules), for loops as for retries. Nothing here reads a clock or draws a number.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any

from ..plan.model import PollPolicy
from .settings import Settings

__all__ = ["LONGEST_RETRY_AFTER", "poll_delay", "retry_after"]

LONGEST_RETRY_AFTER = 6 * 3600.0
"""A server may ask for patience, not for ever; seconds."""


def poll_delay(policy: PollPolicy, settings: Settings, waited: int, chance: float) -> float:
    """Seconds before the next look, after ``waited`` looks of the same loop; ``chance`` in [0, 1) spreads it."""
    if settings.poll_interval is not None:
        base, jitter = settings.poll_interval, 0.1
    else:
        # Growth is computed through the exponent that reaches the cap, so that a long wait cannot overflow a float.
        base = policy.interval
        for _ in range(min(waited, 64)):
            if base >= policy.max:
                break
            base *= policy.backoff
        base, jitter = min(base, policy.max), policy.jitter
    return round(base * (1 + jitter * (2 * chance - 1)), 3)


def retry_after(headers: Mapping[str, Any], at: float) -> float | None:
    """Seconds a reply asks to wait, from delta-seconds or an HTTP-date; None when it does not ask or not readably."""
    text = headers.get("retry-after")
    if not isinstance(text, str):
        return None
    text = text.strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), LONGEST_RETRY_AFTER)
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return round(min(max(moment.timestamp() - at, 0.0), LONGEST_RETRY_AFTER), 3)
