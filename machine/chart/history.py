"""A history recomputed: the events of its records through ``advance`` -> the snapshots it came to. Pure.

A record holds its event whole, and an event that changes the plan says to which, so the start and the records are all
that is needed. What comes out is what was stored, byte for byte, or the history is not one of this engine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from .chart import Chart
from .edit import edit_of
from .events import event_from_json
from .snapshot import Record, Snapshot
from .turn import Advanced

__all__ = ["recompute"]


def recompute(start: Snapshot, records: Iterable[Record], chart_of: Callable[[str], Chart]) -> Iterator[Advanced]:
    """What each record's event comes to, from ``start`` on; ``chart_of`` gives the chart of a plan by its digest.

    Raises UsageError where an event cannot happen in its state, which no history of ours contains.
    """
    snapshot, chart = start, chart_of(start.plan_sha256)
    for record in records:
        edit = edit_of(record)
        if edit is not None:
            chart = chart_of(edit.after)
        advanced = chart.advance(snapshot, event_from_json(record.event))
        snapshot = advanced.snapshot
        yield advanced
