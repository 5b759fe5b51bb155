"""A stored run's history, recomputed: its plans and its start out of the store, its records through ``advance``.

Reads a store and writes nothing. What it gives has to be what the store holds; whoever asks compares.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence

from ..chart.chart import Chart
from ..chart.history import recompute
from ..chart.snapshot import Record, Snapshot
from ..chart.turn import Advanced
from ..plan.model import Plan
from ..stores.base import RunHead, Store, read_object

__all__ = ["Charts", "recomputed", "start_of"]


class Charts:
    """The charts of a store's plans, each made once."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._made: dict[str, Chart] = {}

    def __call__(self, plan_sha256: str) -> Chart:
        """Raises DamageError where the plan is gone or changed."""
        if plan_sha256 not in self._made:
            plan = Plan.from_json(json.loads(self._store.blob(plan_sha256)))
            self._made[plan_sha256] = Chart(plan)
        return self._made[plan_sha256]


def start_of(store: Store, head: RunHead, charts: Callable[[str], Chart]) -> Snapshot:
    """What a run's first event happened to: nothing yet, or what the token held it was begun from."""
    if "snapshot" in head.origin:
        return Snapshot.from_json(read_object(store.blob(head.origin["snapshot"]).decode()))
    first = head.earlier[0]["plan_sha256"] if head.earlier else head.plan_sha256
    return charts(first).begin()


def recomputed(
    store: Store, head: RunHead, records: Sequence[Record], charts: Callable[[str], Chart] | None = None
) -> Iterator[Advanced]:
    """What each of a run's records comes to when its events happen again, the first one first.

    Raises DamageError where a plan or the start cannot be read, UsageError where the records are no history.
    """
    charts = charts or Charts(store)
    return recompute(start_of(store, head, charts), records, charts)
