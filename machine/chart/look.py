"""What an answer says about the other side: whether an unsafe call was applied, and what a probe found. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from ..errors import RequestError
from ..expressions.criteria import CompiledCriterion
from ..expressions.evaluate import Context, ResponseView, walk
from ..expressions.template import Template, render
from ..plan.effect import ProbePlan
from ..values import MISSING, redact
from .events import Reply
from .snapshot import Outcome

__all__ = ["Look", "Match", "body_of", "outcome_of"]


def body_of(reply: Reply) -> Any:
    """The body as expressions see it: absent where there is none or it cannot be read."""
    return MISSING if reply.form in ("empty", "undecodable") else reply.body


def outcome_of(reply: Reply) -> Outcome:
    """What an answer says about an unsafe call: 2xx applied; 1xx, 408 and 5xx unknown, because a gateway may have given
    up on a request that went through, except a 503 that names a time to come back; anything else is a definite no."""
    if 200 <= reply.status < 300:
        return "applied"
    if (
        reply.status < 200
        or reply.status == 408
        or (reply.status >= 500 and not (reply.status == 503 and "retry-after" in reply.headers))
    ):
        return "unknown"
    return "not_applied"


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """One field that tells ours from somebody else's."""

    pointer: str
    sent: Any
    seen: Any

    @property
    def equal(self) -> bool:
        return self.sent is not MISSING and type(self.sent) is type(self.seen) and bool(self.sent == self.seen)

    def to_json(self) -> dict[str, Any]:
        return {"pointer": self.pointer, "sent": redact(self.sent), "seen": redact(self.seen), "equal": self.equal}


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """A probe's answer, read. Each fact is a truth and the sentence that says why."""

    found: tuple[bool, str]
    absent: tuple[bool, str]
    fields: tuple[Match, ...] = ()

    @classmethod
    def at(cls, probe: ProbePlan, context: Context, reply: Reply) -> Look:
        """Judge an answer: by the probe's criteria, or by 2xx and 404 where it has none."""
        body = body_of(reply)
        seen = replace(
            context,
            response=ResponseView(headers=reply.headers, body=body),
            status=reply.status,
            url=reply.url,
            method=probe.operation.method,
        )
        said = f"the probe answered {reply.status}"
        return cls(
            found=_all(probe.found, seen) if probe.found else (200 <= reply.status < 300, said),
            absent=_all(probe.absent, seen) if probe.absent else (reply.status == 404, said),
            fields=tuple(_match(pointer, template, context, body) for pointer, template in probe.match.items()),
        )

    @property
    def matches(self) -> tuple[bool, str]:
        """Whether every field equals what was sent."""
        other = [one for one in self.fields if not one.equal]
        shown = [f"{one.pointer} is {redact(one.seen)!r} where {redact(one.sent)!r} was sent" for one in other]
        return not other, "; ".join(shown) or "every field that must match does"


def _match(pointer: str, template: Template, context: Context, body: Any) -> Match:
    tokens = tuple(token.replace("~1", "/").replace("~0", "~") for token in pointer.split("/")[1:])
    try:
        sent = render(template, context)
    except RequestError:
        sent = MISSING
    return Match(pointer=pointer, sent=sent, seen=walk(body, tokens))


def _all(criteria: tuple[CompiledCriterion, ...], context: Context) -> tuple[bool, str]:
    verdicts = [criterion.test(context) for criterion in criteria]
    failed = [verdict for verdict in verdicts if not verdict.truth]
    return not failed, "; ".join(verdict.why for verdict in failed or verdicts)
