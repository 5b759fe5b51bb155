"""History records -> log lines. The event of a line is the kind of the record, so logs and history read alike.

structlog is loaded when the first observer is made, and configured privately: a program's own logging is not touched.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TextIO, cast

from ..chart.effects import Call
from ..chart.snapshot import Record
from ..values import redact
from .result import timestamp
from .run import Run

__all__ = ["LogObserver"]


class LogObserver:
    """Writes one line of JSON per record to ``stream``. Values are those of the record, which holds no secret;
    ``conceal`` (such as ``runner.reach.concealer.conceal``) looks for one all the same."""

    def __init__(self, stream: TextIO, *, conceal: Callable[[Any], Any] = redact) -> None:
        import structlog

        self._conceal = conceal

        self._log = structlog.wrap_logger(
            structlog.PrintLogger(stream),
            processors=[structlog.processors.JSONRenderer(sort_keys=False)],
            wrapper_class=structlog.BoundLogger,
            cache_logger_on_first_use=False,
        )

    def __call__(self, run: Run, record: Record) -> None:
        self._log.msg(record.kind, **cast("dict[str, Any]", redact(self._conceal(fields_of(run, record)))))


def fields_of(run: Run, record: Record) -> dict[str, Any]:
    """What a line says beside its event."""
    source, target = run.plan.state(record.source), run.plan.state(record.target)
    taken = next((one for one in reversed(record.guards) if one.truth), None)
    fields: dict[str, Any] = {
        "at": timestamp(record.at),
        "run": run.id,
        "seq": record.seq,
        "source": source.name,
        "target": target.name,
        "phase": target.phase,
        "transition": taken.label if taken else "",
        "why": taken.why if taken else "",
    }
    reply = record.event.get("reply")
    if isinstance(reply, dict):
        fields["status"] = reply["status"]
    if record.event.get("cause"):
        fields["cause"] = record.event["cause"]
    if record.outputs:
        fields["outputs"] = redact(record.outputs)
    for effect in record.effects:
        if isinstance(effect, Call):
            fields["call"] = f"{effect.request.method} {redact(effect.request.target)}"
            fields["delay"] = effect.delay
        else:
            fields["stop"] = effect.reason
    return fields
