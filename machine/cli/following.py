"""``show --follow``: watching a run that another process drives, from the store alone.

Reads and never writes; the run does not notice. What it says are the lines its own runner says, made from the same
records.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from .app import deaf, exit_with
from .reporting import ways_of

if TYPE_CHECKING:
    from ..chart.snapshot import Snapshot
    from ..plan.model import Plan
    from ..runtime.runner import Runner
    from ..stores.base import StoredRun
    from .progress import Progress

__all__ = ["follow"]

_GLANCE = 0.5
"""Seconds between two looks at the store."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Glance:
    """What the store says of a run at one moment, as Progress takes it."""

    id: str
    plan: Plan
    snapshot: Snapshot
    where: str


def follow(runner: Runner, run_id: str, progress: Progress, *, as_json: bool) -> NoReturn:
    """Tell what happens to a run until it stops, then what it came to, and exit with its code.

    A signal ends the watching, not the run. A run nobody drives is waited for, and that is said with the command that
    goes on with it.
    """
    from ..runtime.clock import Interrupted, Interrupts
    from .printing import echo_json, print_result, say

    left = 0
    try:
        with Interrupts().caught() as interrupts:
            runner.interrupts = interrupts
            _watch(runner, run_id, progress)
    except Interrupted as stop:
        left = stop.exit_code
    deaf()
    progress.done()
    result = runner.result(run_id)
    if as_json:
        echo_json(result.to_json())
    elif left:
        say(f"no longer watched; it goes on by itself: arazzo-machine show {run_id} --follow{runner.store_flag}")
    else:
        print_result(result, ways_of(runner.store, run_id, result))
    exit_with(left or result.exit_code)


def _watch(runner: Runner, run_id: str, progress: Progress) -> None:
    store, clock = runner.store, runner.clock
    told, alone = _Told(), False
    while True:
        # Asked before the run is read: one that stopped in between is then read as stopped.
        nobody = store.held(run_id) is None
        stored = store.load(run_id)
        told = _tell(runner, stored, progress, told)
        if stored.snapshot.stopped is not None:
            return
        if nobody and not alone:
            progress.line(f"nobody runs it now; to go on with it: arazzo-machine resume {run_id}{runner.store_flag}")
        alone = nobody
        clock.wait(_GLANCE, runner.interrupts)
        pending = stored.snapshot.pending
        if pending is not None:
            progress.tick(max(pending.not_before - clock.now(), 0.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """How far a run has been told: of which attempt and plan, up to which record."""

    edition: tuple[int, str] = (0, "")
    seq: int = 0


def _tell(runner: Runner, stored: StoredRun, progress: Progress, told: _Told) -> _Told:
    """Tell the records since; of a run not seen before, or begun anew, where it is and its last answer."""
    from ..chart.edit import in_terms_of_now

    head = stored.head
    now = _Told(edition=(head.attempt, head.plan_sha256), seq=head.seq)
    if now == told:
        return told
    records = in_terms_of_now(runner.store.history(head.id, head.attempt))
    # The history may be longer by now than when the run was read, or be of another attempt.
    records = [one for one in records if one.seq <= head.seq]
    glance = _Glance(
        id=head.id,
        plan=runner.plan_of(stored),
        snapshot=stored.snapshot,
        where=str(getattr(runner.store, "path", "memory")),
    )
    if now.edition != told.edition:
        progress.taken_up(glance, records)
        records = records[-1:]
    for record in records:
        if now.edition != told.edition or record.seq > told.seq:
            progress(glance, record)
    return now
