"""One run in the hands of a runner: its lock, its living values, and the iterator a caller watches it through.

Made by ``runner.py``; holds no rule of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

from ..chart.chart import Chart
from ..chart.snapshot import Record, Snapshot
from ..plan.model import Plan
from ..stores.base import Lease, RunHead, Store, StoredRun
from .clock import Interrupted
from .evaluator import Evaluator
from .files import Files
from .result import Result

__all__ = ["Observer", "Run", "chart_of"]

Observer = Callable[["Run", Record], None]
"""Called after each record is stored. What it raises never changes the run."""


def chart_of(plan: Plan) -> Chart:
    """The chart of a plan, with somebody to ask: what the core may not compute itself is bounded in time and memory."""
    return Chart(plan, evaluate=Evaluator())


class Run:
    """One run being driven: iterate it for its records as they happen, ask ``result()`` for what it came to.

    Holds the run's lock until it stops, is closed, or is left as a context manager.
    """

    head: RunHead
    plan: Plan
    chart: Chart
    snapshot: Snapshot
    lease: Lease

    def __init__(self, store: Store, run_id: str, store_flag: str = "") -> None:
        self.id = run_id
        self.first: Record | None = None
        self.signum = 0
        self.waiting = False
        """Whether the runner left the next call to another process."""
        self.troubles: list[str] = []
        self._store = store
        self._store_flag = store_flag
        self._stack = ExitStack()
        self._records: Iterator[Record] = iter(())

    def opening(self) -> ExitStack:
        """Take the lock; give it back if the block fails. Whatever ``drive`` was given keeps it."""
        self.lease = self._stack.enter_context(self._store.lock(self.id))
        guard = ExitStack()
        guard.push(lambda kind, error, trace: self.close() if kind is not None else None)
        return guard

    @property
    def where(self) -> str:
        """Where the run is kept, as a person would name it."""
        return str(getattr(self._store, "path", "memory"))

    def take(self, stored: StoredRun, plan: Plan, chart: Chart | None = None) -> None:
        self.head, self.snapshot = stored.head, stored.snapshot
        self.plan = plan
        self.chart = chart or chart_of(plan)

    def files(self) -> Files:
        """Where bytes of answers are kept for this run, and read again."""

        def keep(digest: str, body: bytes) -> None:
            self._store.attach(self.lease, f"body {digest[:12]}", body)

        return Files(keep, self._store.blob)

    def reload(self) -> None:
        self.head = self._store.load(self.id).head

    def drive(self, records: Iterator[Record]) -> None:
        self._records = records

    def trouble(self, observer: Observer, error: Exception) -> None:
        """Remember that an observer failed; a run never depends on being watched."""
        self.troubles.append(f"{getattr(observer, '__qualname__', type(observer).__name__)}: {type(error).__name__}")

    def __iter__(self) -> Iterator[Record]:
        try:
            yield from self._records
        except Interrupted as error:
            self.signum = error.signum
        finally:
            self.close()

    def result(self) -> Result:
        """Drive to the stop, if it has not stopped, and say what came of it."""
        for _ in self:
            pass
        return Result.of(
            self.head,
            self.chart,
            self.snapshot,
            held=False,
            signum=self.signum,
            waiting=self.waiting,
            store_flag=self._store_flag,
        )

    def close(self) -> None:
        """Give the run back. Nothing moves it any more through this object, which no longer holds its lock."""
        self._records = iter(())
        self._stack.close()

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *problem: object) -> None:
        self.close()
