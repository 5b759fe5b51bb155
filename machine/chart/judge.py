"""One event held against one state's transitions: what the answer means, fact by fact, with the reasons kept.

A Judgement is made for each event, asked by the chart's guards in table order, and thrown away; what it saw is in
``verdicts``. It decides every fact of ``plan.model.FACTS`` and nothing about where to go. Pure, like all of ``chart/``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ..errors import BugError, RequestError
from ..expressions.evaluate import Context, RequestView, ResponseView
from ..expressions.question import Ask, nobody
from ..expressions.template import LARGEST, Template, references, render
from ..plan.effect import EffectPolicy
from ..plan.model import CallPlan, ChildPlan, Plan, PollPolicy, Transition
from ..values import MISSING, contains_secret, weight
from .events import CallFailed, Happening, Reopened, Replied, Reply, Resolved, Returned
from .look import Look, body_of, outcome_of
from .snapshot import GuardVerdict, LedgerEntry, Snapshot

__all__ = ["MOST_KEPT", "TROUBLED", "Judgement", "context_of", "read_value"]

TROUBLED = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses that say "not now": waited out while polling, within the tolerance."""

MOST_KEPT = 2 * LARGEST
"""Characters and values of the outputs of all steps of a workflow: they are written down with every transition."""

_FALLBACK_SUCCESS = (200, 201, 202, 204)
"""Tried where the description declares no 2xx at all."""


def context_of(
    plan: Plan, snapshot: Snapshot, steps: Mapping[str, Mapping[str, Any]] | None = None, *, ask: Ask = nobody
) -> Context:
    """What expressions can see of a run when no answer is being judged; ``plan`` is the table of its top frame."""
    frame, scope = snapshot.frame, plan.scope
    # A workflow under way has inputs, and no outputs yet: its own steps may name it like any other.
    every: dict[str, dict[str, Any]] = {
        **{one.workflow: {"inputs": one.inputs, "outputs": {}} for one in snapshot.frames},
        **{key: {"inputs": one.inputs, "outputs": one.outputs} for key, one in snapshot.workflows.items()},
    }
    workflows = {key.removeprefix(scope): one for key, one in every.items() if key.startswith(scope)}
    return Context(
        inputs=frame.inputs,
        steps=frame.steps if steps is None else steps,
        workflows=workflows,
        sources=plan.sources,
        document=plan.self_uri or None,
        ask=ask,
    )


def read_value(template: Template, context: Context) -> Any:
    """A template's value, absent where it cannot be written: an answer that arrived is never lost over an output."""
    try:
        return render(template, context)
    except RequestError:
        return MISSING


@dataclass(slots=True)
class Judgement:
    """What one event means in one state. ``reply`` is None where nothing was answered.

    ``plan`` is the table of the frame that moves, ``snapshot`` a run whose top frame that is. ``call`` or ``child`` is
    what the state does.
    """

    plan: Plan
    snapshot: Snapshot
    event: Happening
    call: CallPlan | None
    child: ChildPlan | None = None
    sees_request: bool = False
    """Whether any expression of this call looks at what was sent, so that it must be rendered again."""
    ask: Ask = nobody
    reply: Reply | None = None
    context: Context = field(default_factory=Context)
    outputs: Mapping[str, Any] = field(default_factory=dict)
    """The step's outputs as this answer makes them; empty where nothing was judged."""
    verdicts: list[GuardVerdict] = field(default_factory=list)
    fired: Transition | None = None
    kept: int | None = None
    look: Look | None = None
    """What a probe's answer says, where one was answered."""
    _held: tuple[bool, str] | None = None

    @classmethod
    def of(
        cls,
        plan: Plan,
        snapshot: Snapshot,
        event: Happening,
        call: CallPlan | None,
        child: ChildPlan | None = None,
        *,
        sees_request: bool,
        ask: Ask = nobody,
        kept: int | None = None,
    ) -> Judgement:
        """Read the event: outputs first, because criteria and actions may look at them (Step Object, outputs).

        ``kept``: what the outputs of the other steps weigh, where that is known.
        """
        judgement = cls(plan=plan, snapshot=snapshot, event=event, call=call, child=child, sees_request=sees_request)
        judgement.ask = ask
        judgement.kept = kept
        judgement.context = context_of(plan, snapshot, ask=ask)
        if isinstance(event, Returned) and child is not None:
            judgement._take_back(child, event)
        if call is None:
            return judgement
        purpose = snapshot.pending.purpose if snapshot.pending else "call"
        if isinstance(event, Replied):
            if purpose == "call":
                judgement._read(event.reply, None)
            else:
                judgement._look(event.reply)
                if purpose == "probe" and judgement.look is not None and judgement.look.found[0]:
                    judgement._adopt(event.reply, {})
        elif isinstance(event, Resolved) and event.choice in ("adopt", "accept"):
            judgement._adopt(event.reply, event.outputs)
        return judgement

    def _take_back(self, child: ChildPlan, event: Returned) -> None:
        """Read the end of a workflow: its outputs are ``$outputs``, the last status it saw is ``$statusCode`` (A26)."""
        if event.outputs is None:
            return
        self.context = replace(self.context, outputs=event.outputs, status=event.status)
        if child.outputs is None:
            self.outputs = event.outputs
        else:
            values = {name: read_value(value, self.context) for name, value in child.outputs.items()}
            self.outputs = self._kept(child.step, values)
        if child.step:
            self.context = replace(self.context, steps={**self.context.steps, child.step: self.outputs})

    def _look(self, reply: Reply) -> None:
        """Read a look's answer for what it is; it is no answer of the step."""
        assert self.call is not None
        self.reply = reply
        if self.call.effect.probe is not None:
            self.look = Look.at(self.call.effect.probe, context_of(self.plan, self.snapshot, ask=self.ask), reply)

    def _read(self, reply: Reply | None, given: Mapping[str, Any] | None) -> None:
        assert self.call is not None
        self.reply = reply
        self.context = replace(
            context_of(self.plan, self.snapshot, ask=self.ask),
            request=self._request_view() if self.sees_request else None,
            response=ResponseView(headers=reply.headers, body=body_of(reply)) if reply else None,
            status=reply.status if reply else None,
            url=reply.url if reply else None,
            method=self.call.operation.method,
        )
        values = {name: read_value(value, self.context) for name, value in self.call.outputs.items()}
        self.outputs = self._kept(self.call.step, values)
        if given is not None:
            self.outputs = {**self.outputs, **given}
        steps = {**self.snapshot.frame.steps, self.call.step: self.outputs}
        self.context = replace(self.context, steps=steps)

    def _kept(self, step: str, values: Mapping[str, Any]) -> dict[str, Any]:
        """The outputs of a step: what is absent is null, and so is what no longer fits into what a run keeps."""
        kept = self.kept
        if kept is None:
            others = [one for name, one in self.snapshot.frame.steps.items() if name != step]
            kept = weight(others, MOST_KEPT)
        return self._fitting(values, MOST_KEPT - kept)

    @staticmethod
    def _fitting(values: Mapping[str, Any], left: int) -> dict[str, Any]:
        kept: dict[str, Any] = {}
        for name, value in values.items():
            left -= weight(value, max(left, 0))
            kept[name] = None if value is MISSING or left < 0 else value
        return kept

    def _adopt(self, answer: Reply | None, given: Mapping[str, Any]) -> None:
        """Judge a settled doubt as if it had been answered with the lowest 2xx the description declares for which
        the step's criteria hold; where none does, nothing is adopted."""
        assert self.call is not None
        seen = answer or Reply(status=0)
        statuses = self.call.operation.success_statuses() or _FALLBACK_SUCCESS
        for status in statuses:
            self._held = None
            self._read(replace(seen, status=status), given)
            if self.held[0]:
                return

    def _request_view(self) -> RequestView | None:
        """The parameters and body the step sent: rendered again, because nothing they come from has changed."""
        assert self.call is not None
        context = context_of(self.plan, self.snapshot, ask=self.ask)
        places: dict[str, dict[str, Any]] = {"header": {}, "query": {}, "path": {}}
        for name, location, template in self.call.parameters:
            if location in places:
                key = name.lower() if location == "header" else name
                places[location][key] = read_value(template, context)
        body = read_value(self.call.body, context) if self.call.body is not None else MISSING
        return RequestView(headers=places["header"], query=places["query"], path=places["path"], body=body)

    # -- guards ----------------------------------------------------------------------------------------------------

    def holds(self, transition: Transition) -> bool:
        """Whether the guard holds: its facts, then its criteria, stopping at the first that does not."""
        guard = transition.guard
        truth, reasons = True, []
        for name in guard.facts:
            truth, why = self.fact(name, transition)
            reasons.append(why)
            if not truth:
                break
        for criterion in guard.criteria if truth else ():
            verdict = criterion.test(self.context)
            reasons.append(verdict.why)
            truth = verdict.truth
            if not truth:
                break
        why = "; ".join(reason for reason in reasons if reason) or "nothing else applied"
        self.verdicts.append(GuardVerdict(transition=transition.id, label=transition.label, truth=truth, why=why))
        return truth

    def fact(self, name: str, transition: Transition) -> tuple[bool, str]:
        """The truth of one named fact and the sentence that says why."""
        if name.startswith("!"):
            truth, why = self.fact(name[1:], transition)
            return not truth, why
        match name:
            case "held":
                return self.held
            case "doubtful":
                return self._doubtful()
            case "troubled" | "spent":
                trouble, why = self.trouble()
                used = self.snapshot.frame.troubles
                limit = (self.poll or PollPolicy()).tolerate
                return trouble and (used < limit) == (name == "troubled"), f"{why}, {used} of {limit} tolerated so far"
            case "refused":
                return self._refused()
            case "retries":
                used = self.snapshot.frame.retries.get(transition.id, 0)
                return used < transition.retry_limit, f"{used} of {transition.retry_limit} retries used"
            case "unknown":
                return self._unknown()
            case "applied":
                return self._applied()
            case "unapplied":
                return self._unapplied()
            case "not_sent":
                sent = not (isinstance(self.event, Resolved) and self.event.choice == "not_sent")
                return not sent, "settled as sent" if sent else "settled as not sent"
            case "adopted":
                adopted = isinstance(self.event, Resolved) and self.event.choice in ("adopt", "accept")
                return adopted, "settled as applied" if adopted else "not settled as applied"
            case "reissue":
                again = isinstance(self.event, Resolved) and self.event.choice == "reissue"
                return again, "asked to send it again" if again else "not asked to send it again"
            case "found" | "matches" | "absent":
                if self.look is None:
                    return False, self.no_answer()
                verdict: tuple[bool, str] = getattr(self.look, name)
                return verdict
            case _:
                return self._policy_fact(name)

    def _policy_fact(self, name: str) -> tuple[bool, str]:
        """The facts that depend on what is done about doubt."""
        policy = self.policy
        match name:
            case "looking":
                looking = self.snapshot.pending is not None and self.snapshot.pending.purpose == "look"
                return looking, "a look before the first send" if looking else ""
            case "probes" | "fails" | "reissues":
                word = {"probes": "probe", "fails": "fail", "reissues": "reissue"}[name]
                if name == "reissues" and policy == word:
                    return self._may_reissue()
                if name == "fails" and self.reply is not None and outcome_of(self.reply) == "applied":
                    return False, f"answered {self.reply.status}: it was applied"
                return policy == word, f"the policy is {policy}"
            case "conflict":
                status = self.reply.status if self.reply else 0
                mine = self._may_adopt() or self._doubted()
                return status == 409 and mine, f"answered {status}" if status else ""
            case "ours":
                absent = self.snapshot.frame.absent.get(self.call.step if self.call else "")
                if absent:
                    return True, "it was not there before the first send"
                why = "nobody knows whether it was there before" if absent is None else "it was there before"
                return self._may_adopt(), f"{why} the first send"
            case "theirs":
                entry = self.last_entry()
                conflicted = entry is not None and entry.status == 409 and not self._doubted()
                return conflicted, "it conflicted and nothing of ours was in doubt" if conflicted else ""
            case "settled" | "clashed":
                entry = self.last_entry()
                clashed = entry is not None and entry.status == 409
                if clashed != (name == "clashed"):
                    return False, "it was answered that it exists" if clashed else "nothing clashed with it"
                # The look may have been answered long before its answer came: what counts is when it left.
                pending = self.snapshot.pending
                due = (entry.at if entry else 0.0) + self.settle
                left = round(due - (pending.not_before if pending else self.event.at), 3)
                return left <= 0, "late application is ruled out" if left <= 0 else f"it may be applied for {left:g} s"
        raise BugError(f"no fact is called {name!r}", code="AZM-B002")

    @property
    def policy(self) -> str:
        """What is done about doubt now: the run's word, else the plan's; what is not declared holds."""
        effect = self.call.effect if self.call else EffectPolicy()
        policy = self.snapshot.settings.on_doubt or effect.on_doubt
        if isinstance(self.event, Reopened):
            policy = self.event.changes.get("on_doubt") or policy
        possible = {"probe": effect.probe is not None, "reissue": effect.key is not None}
        return policy if possible.get(policy, True) else "hold"

    @property
    def settle(self) -> float:
        """Seconds after the intent from which absence counts."""
        given = self.snapshot.settings.settle
        return given if given is not None else self.call.effect.settle if self.call else 0.0

    @property
    def poll(self) -> PollPolicy | None:
        """How the step is paced where it lies on a loop."""
        return self.call.poll if self.call else self.child.poll if self.child else None

    def _may_adopt(self) -> bool:
        adopts = self.call is not None and self.call.effect.on_conflict == "adopt"
        return adopts or self.snapshot.settings.adopt_existing

    def _doubted(self) -> bool:
        """Whether an earlier call of this step may have been applied after all. That nothing was there when somebody
        looked, or said so, does not outweigh that something is there now."""
        entries = self.entries()
        return any((one.outcome == "unknown" or one.ruled_out) and one is not entries[-1] for one in entries)

    def _may_reissue(self) -> tuple[bool, str]:
        """Whether it may be sent again under its key, and would not just be answered no once more."""
        if self.reply is not None and outcome_of(self.reply) == "not_applied" and self.reply.status not in TROUBLED:
            return False, f"answered {self.reply.status} to the same call sent again"
        entry = self.last_entry()
        key = self.call.effect.key if self.call else None
        age = round(self.event.at - entry.at, 3) if entry else 0.0
        valid = key is not None and age < key.window
        return valid, f"the idempotency key is {age:g} s old" + ("" if valid else ", too old to be honoured")

    @property
    def held(self) -> tuple[bool, str]:
        """Whether the step succeeded, judged once: all its success criteria, or any 2xx where it has none."""
        if self._held is None:
            self._held = self._judge_success()
        return self._held

    def _judge_success(self) -> tuple[bool, str]:
        if isinstance(self.event, Returned):
            # A workflow that failed makes its step fail before any criterion is looked at (ambiguity A26).
            criteria = self.child.success if self.child else ()
            if not self.event.ok or not criteria:
                return self.event.ok, self.event.why
        elif self.call is None or self.reply is None:
            return False, self.no_answer()
        elif not self.call.success:
            # No successCriteria: the HTTP meaning of success stands in (ambiguity A9).
            status = self.reply.status
            return 200 <= status < 300, f"$statusCode was {status}"
        else:
            criteria = self.call.success
        reasons = []
        for criterion in criteria:
            verdict = criterion.test(self.context)
            if not verdict.truth:
                return False, f"success criterion not met: {verdict.why}"
            reasons.append(verdict.why)
        return True, "; ".join(reasons)

    def no_answer(self) -> str:
        if isinstance(self.event, Returned):
            return self.event.why
        if isinstance(self.event, CallFailed) and self.event.cause == "not_ready":
            return self.event.message
        if isinstance(self.event, CallFailed):
            sent = "the request was not sent" if self.event.fate == "not_sent" else "no whole answer arrived"
            return f"{sent} ({self.event.cause}{': ' + self.event.message if self.event.message else ''})"
        return "nothing was answered"

    def _doubtful(self) -> tuple[bool, str]:
        again = self.snapshot.pending is not None and self.snapshot.pending.again
        if isinstance(self.event, CallFailed):
            return self.event.fate == "unknown" or again, self.no_answer()
        reply = self.reply
        if reply is not None and again and outcome_of(reply) == "not_applied":
            # It was refused this time; of the first time, under the same key, it still says nothing.
            return True, f"answered {reply.status} to the same call sent again"
        can_tell = self.call is not None and (self.call.effect.probe is not None or self.policy == "reissue")
        if reply is not None and can_tell and outcome_of(reply) == "unknown":
            # A gateway may have given up on a request that went through. Where it can be looked for, or sent again
            # under its key, nobody guesses.
            return True, f"answered {reply.status}"
        if reply is not None and 200 <= reply.status < 300 and reply.form == "undecodable":
            # The thing exists and its name is lost: going on would orphan it, calling again would double it.
            outputs = bool(self.call and self.call.outputs)
            return outputs, f"answered {reply.status} with a body that cannot be read"
        if reply is not None and 200 <= reply.status < 300:
            nameless = [name for name in self._names_it() if self.outputs.get(name) is None]
            if nameless:
                return True, f"answered {reply.status} without {', '.join(nameless)}, which later calls name it by"
        return False, f"answered {reply.status}" if reply else self.no_answer()

    def _names_it(self) -> list[str]:
        """The step's outputs that stand in the path of another call: without them what was made cannot be found."""
        step = self.call.step if self.call else ""
        read = {
            expression.name
            for call in self.plan.calls.values()
            for _, location, template in call.parameters
            if location == "path"
            for expression in references(template)
            if expression.root == "steps" and expression.owner == step
        }
        return [name for name in (self.call.outputs if self.call else ()) if name in read]

    def trouble(self) -> tuple[bool, str]:
        """Whether the answer is none: nothing arrived, the server said "not now", or its words cannot be read."""
        if isinstance(self.event, CallFailed):
            # A credential that was refused is not had by asking again.
            return self.event.cause not in ("not_ready", "credential"), self.no_answer()
        if isinstance(self.event, Returned):
            return self.event.troubled, self.event.why
        if self.reply is None:
            return False, "nothing was answered"
        if self.reply.status in TROUBLED:
            return True, f"answered {self.reply.status}"
        if self.reply.form == "undecodable":
            return True, f"answered {self.reply.status} with a body that cannot be read"
        return False, f"answered {self.reply.status}"

    def _refused(self) -> tuple[bool, str]:
        if isinstance(self.event, CallFailed):
            return self.event.cause == "credential", self.no_answer()
        status = self.reply.status if self.reply else None
        pending = self.snapshot.pending
        request = pending.request if pending else None
        carried = request is not None and (
            bool(request.security) or contains_secret((request.target, dict(request.headers), request.body))
        )
        return status in (401, 403) and carried, f"answered {status}" if status else self.no_answer()

    def _unknown(self) -> tuple[bool, str]:
        """Whether this leaves open what became of the call."""
        if isinstance(self.event, CallFailed):
            return self.event.fate == "unknown", self.no_answer()
        status = self.reply.status if self.reply else 0
        return self.reply is not None and outcome_of(self.reply) == "unknown", f"answered {status}"

    def _applied(self) -> tuple[bool, str]:
        if self.snapshot.pending is not None:
            # Only a run whose pending call is known not to have left is taken up while it pends.
            return False, "the call has not left yet"
        opened = self.open_entries()
        if not opened:
            return False, "no call of it is open"
        return True, f"the call's outcome is {opened[-1].outcome}"

    def _unapplied(self) -> tuple[bool, str]:
        """Whether doing the step again would do nothing twice."""
        if isinstance(self.event, Returned):
            made = self.snapshot.ledger[self.snapshot.frame.since :]
            steps = [entry.step for entry in made if entry.outcome != "not_applied"]
            return not steps, f"{', '.join(steps)} was or may have been applied" if steps else ""
        applied = self.reply is not None and outcome_of(self.reply) == "applied"
        return not applied, "it was answered as applied" if applied else ""

    # -- the other side --------------------------------------------------------------------------------------------

    def entries(self) -> list[LedgerEntry]:
        """The step's unsafe calls, oldest first."""
        return self.snapshot.entries(self.call.step if self.call else "")

    def open_entries(self) -> list[LedgerEntry]:
        """Those of them that were or may have been applied and were not gone on with. A later call that was answered
        definitely says nothing about them."""
        return [entry for entry in self.entries() if entry.open]

    def last_entry(self) -> LedgerEntry | None:
        """What the ledger says of the latest of them."""
        return next(iter(reversed(self.entries())), None)
