"""An answer that was received and cannot be stored -> an error that carries it, and the command that uses it later.

The only copy of such an answer is in this process. It is shown as one JSON object without secrets: saved to a file it
is what ``resolve RUN --reply FILE`` takes. Nothing is written here.
"""

from __future__ import annotations

from ..chart.effects import Call
from ..chart.events import Reply
from ..chart.look import outcome_of
from ..errors import StoreError, UnstoredError
from ..stores.base import Store
from ..values import redact

__all__ = ["unstored"]


def unstored(run_id: str, call: Call, reply: Reply, error: StoreError, store: Store, store_flag: str) -> StoreError:
    """The error to raise in place of ``error``; the same one where the answer says nothing about what was applied.

    A refusal needs no file: that it was not applied is all there is to say. An answer that leaves it open is no loss
    either, because the run is in doubt with it and without it.
    """
    outcome = outcome_of(reply)
    if outcome == "unknown":
        return error
    choice = "--reply FILE" if outcome == "applied" else "--not-sent"
    command = f"arazzo-machine resolve {run_id}{store_flag} {choice}"
    using = "where FILE holds the JSON line on standard error" if outcome == "applied" else "because it was refused"
    return UnstoredError(
        f"{error.message}; {call.step} was answered {reply.status}, which is not stored",
        code=error.code,
        seen=error.seen,
        next=f"once it can be written: {command}, {using}",
        exit_code=error.exit_code,
        answer={
            "run": run_id,
            "step": call.step,
            "status": reply.status,
            "headers": redact(dict(reply.headers)),
            "body": redact(reply.body),
            "command": command,
        },
        beside=str(getattr(store, "path", "")),
    )
