"""Why a run stopped, as one sentence or two that a person can act on. Text only; it decides nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..plan.model import Plan, State
from ..values import redact
from .events import CallFailed, Replied, Returned
from .judge import Judgement
from .snapshot import Snapshot

__all__ = ["TOO_DEEP", "said", "stop_message"]

TOO_DEEP = "workflows run each other more than {} deep"
"""Why a workflow is not run; a text, because it is passed on from one workflow to the one that ran it."""
_TOO_DEEP = re.compile(re.escape(TOO_DEEP).replace(r"\{\}", "[0-9]+") + r"\Z")

_SAYINGS = ("detail", "errorMessage", "error_description", "error", "message", "title", "reason")
"""Where APIs put their own words: RFC 9457 members first, then the common ones."""

_FLAGS = {"deadline": "--deadline", "visits": "--visits", "calls": "--calls", "transitions": "--transitions"}


def stop_message(reason: str, plan: Plan, after: Snapshot, judgement: Judgement, state: State) -> str:
    """The message of a Stop. Secrets appear by name only."""
    child = judgement.child
    step = judgement.call.step if judgement.call else (child.step or child.workflow) if child else state.step
    match reason:
        case "ended" | "completed":
            return f"reached {state.name}"
        case "failure_action":
            return f"{step} failed and the document ends with {state.name}: {_answer(judgement)}"
        case "broke":
            return _once(f"{step} failed: ", _answer(judgement))
        case "unmatched":
            return f"{step} succeeded, but nothing the document says applies: {_observed(judgement)}"
        case "tolerance":
            return f"{step} got no usable answer {after.frame.troubles} times in a row: {_answer(judgement)}"
        case "credential":
            return f"{step} was refused: {_answer(judgement)}"
        case "cancelled":
            return f"cancelled in {state.name}"
        case "in_doubt" if state.step and state.step != step:
            return f"nobody knows whether {state.step} was applied, and {step} leads back to it"
        case "in_doubt":
            return _doubt(step, judgement)
        case "deadline":
            return f"the deadline passed in {state.name}{_last(judgement)} ({_FLAGS[reason]} gives it more time)"
        case _:
            return f"the limit of {reason} is used up in {state.name}{_last(judgement)} ({_FLAGS[reason]} raises it)"


def said(body: Any) -> str:
    """What the other side said about itself: the first text under a well-known name, at most three levels deep."""
    level = [body]
    for _ in range(3):
        for one in level:
            if isinstance(one, Mapping):
                for name in _SAYINGS:
                    text = redact(one.get(name))
                    if isinstance(text, str) and text.strip():
                        return text.strip()[:300]
        level = [item for one in level if isinstance(one, Mapping) for item in one.values()]
    return ""


def _once(beginning: str, why: str) -> str:
    """A sentence with a beginning. Of workflows that run each other round and round each is named once."""
    if _TOO_DEEP.search(why) and beginning in why:
        return why[why.rindex(beginning) :]
    return beginning + why


def _answer(judgement: Judgement) -> str:
    if isinstance(judgement.event, Returned):
        return judgement.held[1]
    if judgement.reply is None or isinstance(judgement.event, CallFailed):
        return judgement.no_answer()
    words = said(judgement.reply.body)
    quoted = f": {words}" if words else ""
    entry = judgement.last_entry()
    if judgement.look is not None and entry is not None and entry.status is not None:
        there = judgement.look.matches[1] if judgement.look.found[0] else judgement.look.absent[1]
        return f"answered {entry.status}, and it is not ours: {there}"
    held, why = judgement.held
    return f"answered {judgement.reply.status}{quoted}" + ("" if held else f" ({why})")


def _observed(judgement: Judgement) -> str:
    """The outputs the answer was read into and the other side's own words: enough to see what was not foreseen."""
    shown = [f"{name} {redact(value)!r}" for name, value in judgement.outputs.items() if value is not None]
    words = said(judgement.reply.body) if judgement.reply else ""
    return ", ".join([*shown, *([f"it said {words!r}"] if words else [])]) or _answer(judgement)


def _doubt(step: str, judgement: Judgement) -> str:
    """What is known of a call that is in doubt: now, or from the ledger where nothing was answered now."""
    if isinstance(judgement.event, CallFailed):
        return f"nobody knows whether {step} was applied: {judgement.no_answer()}"
    if judgement.look is not None and judgement.look.found[0] and not judgement.look.matches[0]:
        return f"something is there, and it is not what {step} sent: {judgement.look.matches[1]}"
    last = judgement.last_entry()
    if judgement.look is not None and judgement.look.absent[0] and last is not None and last.status == 409:
        return f"{step} was answered 409, and nothing of its name is there: {judgement.look.absent[1]}"
    opened = judgement.open_entries()
    reply, entry = judgement.reply, opened[-1] if opened else judgement.last_entry()
    status = reply.status if isinstance(judgement.event, Replied) and reply else entry.status if entry else None
    if status is not None and 200 <= status < 300:
        lost = reply is not None and reply.form == "undecodable"
        lacks = "cannot be read" if lost else "was not taken for a success"
        return f"{step} was applied, but its answer {lacks}: answered {status}"
    return f"nobody knows whether {step} was applied: " + (f"answered {status}" if status else "no answer is known")


def _last(judgement: Judgement) -> str:
    return f", last answer: {_observed(judgement)}" if judgement.reply is not None else ""
