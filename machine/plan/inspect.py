"""A described workflow and its Plan -> Findings: what is allowed there and may not be what its author meant.

Nothing here keeps a document from being compiled or changes what it means. Each rule is one function; what a rule
needs to know of the flow is read off the plan's own transitions. What answers do is told by ``chart/coverage.py``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from ..document.findings import Finding
from ..document.model import Action, Criterion, Step
from ..document.positions import below
from ..document.schemas import schema_references
from ..errors import Place
from ..expressions.evaluate import Context, resolve_name
from ..expressions.question import Ask, nobody
from ..expressions.template import Literal
from ..sources.description import Description
from ..sources.shapes import requires
from .codes import advice_of, severity_of
from .handing import HANDING
from .inputs import misfits_of
from .model import CallPlan, Notice, Plan
from .needs import DEMANDING
from .probes import suggested_policy
from .reader import declared_names
from .shape import wrong_in
from .sites import Site, sites_of
from .subject import Rule, Subject, say

__all__ = ["inspect", "told"]

_CREDENTIALS: Final = frozenset({"authorization", "cookie", "proxy-authorization"})
"""Headers an operation often does not declare because its security schemes do."""
_STATUS: Final = re.compile(r"\$statusCode\s*==\s*'?([1-5][0-9]{2})\b")
_PLACEHOLDER: Final = re.compile(r"\{([^{}]+)\}")


def inspect(description: Description, plan: Plan, *, called: bool = False, ask: Ask = nobody) -> tuple[Finding, ...]:
    """Everything worth a word about one workflow, its plan's notices included, in the order of the document.

    ``called`` says that a workflow of another document runs it. ``ask`` answers what conditions that are evaluated
    elsewhere come to, such as patterns.
    """
    document = description.document
    workflow = document.workflow(plan.workflow)
    if workflow is None:
        return ()
    declared = declared_names(workflow, document, _returned(plan))
    subject = Subject(
        document=document,
        workflow=workflow,
        plan=plan,
        declared=declared,
        sources=description.sources,
        sites=tuple(sites_of(document, workflow, declared)),
        steps={step.step_id: step for step in workflow.steps},
        called=called,
        ask=ask,
    )
    known = {(one.code, one.place, one.message) for one in description.findings}
    found = [told(notice) for notice in plan.notices if (notice.code, notice.place, notice.message) not in known]
    found += [finding for rule in _RULES for finding in rule(subject)]
    return tuple(sorted(dict.fromkeys(found), key=_order))


def _returned(plan: Plan) -> dict[str, frozenset[str]]:
    """By step that runs a workflow, the outputs of that workflow: its own where it declares none."""
    return {
        state.step: frozenset(plan.table(plan.children[state.child].workflow).outputs)
        for state in plan.states
        if state.kind == "workflow" and state.step
    }


def told(notice: Notice) -> Finding:
    """What the compiler noted, as a finding."""
    code = notice.code
    return Finding(
        code=code,
        severity=severity_of(code),
        message=notice.message,
        place=notice.place,
        suggestion=advice_of(code),
    )


def _order(finding: Finding) -> tuple[str, int, int, str]:
    return finding.place.document, finding.place.line, finding.place.column, finding.code


# -- answers -----------------------------------------------------------------------------------------------------------


def _pinned(subject: Subject) -> Iterator[Finding]:
    """Success criteria that speak of the status alone and let one declared success pass, but not the others."""
    for step, call in subject.calls():
        declared = call.operation.success_statuses()
        for written, criterion in zip(step.success_criteria, call.success, strict=False):
            if {one.root for one in criterion.references()} != {"statusCode"}:
                continue
            passing = [one for one in declared if criterion.test(Context(status=one, ask=subject.ask)).truth]
            missed = [str(one) for one in declared if one not in passing]
            if passing and missed:
                yield say(
                    "L011",
                    f"{' '.join(criterion.text.split())} fails for {_listed(missed)}, which {call.operation.title} "
                    "declares as a success",
                    written.place,
                    f"write {' || '.join(f'$statusCode == {one}' for one in sorted(declared))}",
                )


def _contradicting(subject: Subject) -> Iterator[Finding]:
    """Conditions on a status that the description of the operation does not have (ambiguity A41)."""
    for step, call in subject.calls():
        responses = call.operation.responses
        if not responses or "default" in responses:
            continue
        for criterion in _criteria(step):
            for status in dict.fromkeys(_STATUS.findall(criterion.condition)):
                if status not in responses and not {f"{status[0]}XX", f"{status[0]}xx"} & set(responses):
                    yield say(
                        "L019",
                        f"{call.operation.title} declares no answer {status}",
                        criterion.place,
                        f"it declares {_listed(sorted(responses))}",
                    )


def _doubtful(subject: Subject) -> Iterator[Finding]:
    """Unsafe calls whose author did not say what to do when their answer is lost."""
    for step, call in subject.calls():
        effect = step.extension.get("effect")
        decided = isinstance(effect, Mapping) and {"onDoubt", "probe", "idempotencyKey"} & set(effect)
        if call.unsafe and not decided:
            source = subject.sources.get(call.operation.source)
            suggestion, fix = suggested_policy(subject.workflow, step, call, subject.plan, source)
            yield say(
                "L012",
                f"nothing says what to do when the answer to {call.operation.title} is lost",
                step.place,
                suggestion,
                fix,
            )


# -- flow --------------------------------------------------------------------------------------------------------------


def _unpaced(subject: Subject) -> Iterator[Finding]:
    """Polling loops that wait by our defaults alone."""
    for state in subject.plan.states:
        call = subject.plan.calls.get(state.step)
        if not state.polls or call is None or call.poll is None or subject.extension(state.step, "poll") is not None:
            continue
        poll = call.poll
        yield say(
            "L013",
            f"the loop on {state.step} has no pace of its own: {poll.interval:g} s, growing to {poll.max:g} s",
            _closing(subject, state.step),
            "say how often the service may be asked",
            f"x-machine:\n  poll: {{interval: {poll.interval:g}s, max: {poll.max:g}s}}",
        )


def _closing(subject: Subject, head: str) -> Place:
    """The action that leads back to the head of a loop."""
    for step, call in subject.calls():
        for action in (step.on_success or ()) if call.poll is not None else ():
            if action.type == "goto" and action.step_id == head:
                return action.place
    return subject.steps[head].place


def _repeating(subject: Subject) -> Iterator[Finding]:
    """Actions that lead back over a call that changes something."""
    unsafe = {call.step for _, call in subject.calls() if call.unsafe}
    order = list(subject.steps)
    for step in subject.workflow.steps:
        for action in step.on_success or ():
            target = action.step_id
            if action.type != "goto" or target not in order or order.index(target) > order.index(step.step_id):
                continue
            round_trip = subject.after[target] | {target}
            again = [
                one for one in order if one in unsafe and one in round_trip and step.step_id in _from(subject, one)
            ]
            if step.step_id in round_trip and again:
                yield say(
                    "L014",
                    f"going back to {target} calls {_listed(again)} again each time",
                    action.place,
                    "go back to a step behind it, if only the answer is waited for",
                )


def _from(subject: Subject, step: str) -> frozenset[str]:
    return subject.after[step] | {step}


def _falling(subject: Subject) -> Iterator[Finding]:
    """Steps whose unmatched success would by position lead into a call that changes something (ambiguity A1)."""
    plan, order = subject.plan, list(subject.steps)
    for step in subject.workflow.steps:
        name = step.step_id
        does = subject.does(name)
        decided = subject.extension(name, "unmatched") or subject.workflow.extension.get("unmatched")
        open_end = any(
            one.rule == "unmatched" for state in plan.states if state.step == name for one in plan.leaving(state.id)
        )
        if does is None or decided or not open_end or does.poll is not None:
            continue
        place = step.on_success[0].place if step.on_success else step.place
        following = next(iter(order[order.index(name) + 1 :]), "")
        then = plan.calls.get(following)
        advice = "add an action for the other answers, or say x-machine: {unmatched: next | end | fail}"
        if then is not None and then.kind != "safe":
            ends = "ends here" if does.unmatched == "fail" else "goes on there"
            what = f"{following} ({then.operation.title}) is next by position; the run {ends}"
            yield say("L016", f"when no action of {name} applies, {what}", place, advice)


# -- data --------------------------------------------------------------------------------------------------------------


def _lacking(subject: Subject) -> Iterator[Finding]:
    """Inputs that may be left out where the description requires something."""
    schema = subject.workflow.inputs
    properties = schema.get("properties")
    properties = properties if isinstance(properties, Mapping) else {}
    wanted = schema.get("required")
    needed = set(wanted) if isinstance(wanted, list) and all(isinstance(one, str) for one in wanted) else set()
    free = {
        name
        for name, one in properties.items()
        if name not in needed and not (isinstance(one, Mapping) and "default" in one)
    }
    for site in subject.sites:
        call = subject.plan.calls.get(site.step)
        if call is None or not site.whole or site.part not in ("payload", "parameter"):
            continue
        expression = site.expressions[0]
        known = resolve_name(expression.name, properties) if expression.root == "inputs" else None
        if known is None or known[0] not in free:
            continue
        what = _required(site, call)
        if what:
            yield say(
                "L015",
                f"input {known[0]!r} may be left out, and {call.operation.title} requires {what}",
                subject.document.place(site.pointer),
                "make the input required, or give it a default",
            )


def _required(site: Site, call: CallPlan) -> str:
    """What the description requires at a site, in words; empty where it requires nothing."""
    if site.part == "payload":
        schema = call.operation.request_schema
        wanted = schema is not None and requires(schema, site.target)
        return "/".join(("body", *site.target)) if wanted else ""
    name, location = (*site.target, "", "")[:2]
    spec = call.operation.parameter(name, location)
    return f"the {location} parameter {name}" if spec is not None and spec.required else ""


def _unusable_inputs(subject: Subject) -> Iterator[Finding]:
    """Input schemas that are none, and defaults they do not take: whatever is given, the run says no."""
    document, plan = subject.document, subject.plan
    shelf = document.tree.get("components")
    shelf = shelf.get("inputs") if isinstance(shelf, Mapping) else None
    spot = document.inside(subject.workflow.place, "inputs")
    index = int(subject.workflow.place.pointer.rpartition("/")[2])
    waiting = [(spot.pointer, document.tree["workflows"][index].get("inputs", {}))]
    known: set[str] = set()
    sound = True
    while waiting:
        pointer, schema = waiting.pop()
        if pointer in known:
            continue
        known.add(pointer)
        for at, why in wrong_in(schema):
            sound = False
            tokens = at.split("/")
            name = f"input {tokens[2]}: " if tokens[1:2] == ["properties"] and tokens[2:] else "inputs: "
            yield say("L029", f"{name}{why}", document.place(pointer + at))
        for _, reference in schema_references(schema):
            name = str(reference).removeprefix("#/components/inputs/").partition("/")[0]
            if isinstance(shelf, Mapping) and name in shelf:
                waiting.append((below("/components/inputs", name), shelf[name]))
    for one in plan.inputs if sound else ():
        if "default" in one.schema and not one.secret:
            for why in misfits_of(plan, one.name, one.schema["default"], ask=subject.ask):
                place = document.inside(spot, "properties", one.name, "default")
                yield say("L030", f"the default does not fit: {why}", place)


def _undeclared_outputs(subject: Subject) -> Iterator[Finding]:
    """References to outputs that no step declares."""
    for site in subject.sites:
        for one in site.expressions:
            if one.root != "steps" or one.owner not in subject.steps or not one.name or subject.declared.has(one):
                continue
            if one.owner in subject.open:
                continue
            names = ", ".join(sorted(subject.declared.steps.get(one.owner, ()))) or "none"
            yield say(
                "L017",
                f"step {one.owner} declares no output {one.name!r}",
                subject.document.place(site.pointer),
                f"its outputs: {names}",
            )


def _too_early(subject: Subject) -> Iterator[Finding]:
    """References to outputs of steps that cannot have run when they are read."""
    used = {state.step for state in subject.plan.states} & set(subject.steps)
    for site in subject.sites:
        if site.step not in used:
            continue
        for one in site.expressions:
            if one.root != "steps" or one.owner not in used:
                continue
            own = one.owner == site.step and site.part in ("criterion", "output", "action")
            if own or ("AZM-P024", subject.document.place(site.pointer)) in subject.noted:
                continue
            if site.step not in subject.after[one.owner]:
                yield say(
                    "L018",
                    f"{one} is read before {one.owner} has run",
                    subject.document.place(site.pointer),
                    f"no way leads from {one.owner} to {site.step}",
                )


def _unknown_parameters(subject: Subject) -> Iterator[Finding]:
    """Parameters the description does not have, and those it requires and nobody gives (ambiguity A40)."""
    for step, call in subject.calls():
        operation = call.operation
        schemes = {(one.location, one.parameter_name.lower()) for one in operation.security}

        def credential(name: str, location: str, schemes: set[tuple[str, str]] = schemes) -> bool:
            return (location, name.lower()) in schemes or (location == "header" and name.lower() in _CREDENTIALS)

        given = {(name if location != "header" else name.lower(), location) for name, location, _ in call.parameters}
        for one in step.parameters if not operation.gaps else ():
            if operation.parameter(one.name, one.location) is None and not credential(one.name, one.location):
                near = [spec.name for spec in operation.parameters if spec.location == one.location]
                lost = one.location == "path" and one.name not in _PLACEHOLDER.findall(operation.path)
                yield say(
                    "L033" if lost else "L020",
                    f"{operation.title} declares no {one.location} parameter {one.name!r}",
                    one.place,
                    f"its {one.location} parameters: {', '.join(near) or 'none'}",
                )
        for spec in operation.parameters:
            key = (spec.name if spec.location != "header" else spec.name.lower(), spec.location)
            if spec.location == "path" or not spec.required or credential(spec.name, spec.location):
                continue
            if key not in given:
                yield say(
                    "L021",
                    f"{operation.title} requires the {spec.location} parameter {spec.name!r}",
                    step.place,
                    "add it to the parameters of the step",
                )


def _unfilled(subject: Subject) -> Iterator[Finding]:
    """Placeholders of a path that nothing is put in the place of: without one there is no URL (ambiguity A40)."""
    for step, call in subject.calls():
        given = {name for name, location, value in call.parameters if location == "path" and value != Literal(None)}
        for name in dict.fromkeys(_PLACEHOLDER.findall(call.operation.path.partition("#")[0])):
            if name not in given:
                yield say(
                    "L022",
                    f"path parameter {name!r}: it has no value, and {call.operation.title} cannot be called without it",
                    step.place,
                    f"give the step a parameter {name!r} with in: path",
                )


# -- small things ------------------------------------------------------------------------------------------------------

_RULES: Final[tuple[Rule, ...]] = (
    _pinned,
    _contradicting,
    _doubtful,
    _unpaced,
    _repeating,
    _falling,
    _lacking,
    _unusable_inputs,
    _undeclared_outputs,
    _too_early,
    _unknown_parameters,
    _unfilled,
    *HANDING,
    *DEMANDING,
)


def _criteria(step: Step) -> Iterator[Criterion]:
    yield from step.success_criteria
    actions: tuple[Action, ...] = (*(step.on_success or ()), *(step.on_failure or ()))
    for action in actions:
        yield from action.criteria


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
