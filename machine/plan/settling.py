"""Doubt in the table: how it is entered, how a probe settles it, how a person does, how a run is taken up in it.

An unsafe call whose fate is unknown leads to a state of doubt beside the state that made it. Doubt is left by Resolved,
which looks at the success half of that state's own list, or by the answer of a probe. ``plan/rules.py`` says the rest.
"""

from __future__ import annotations

from collections.abc import Mapping

from .model import CallPlan, Transition
from .table import ANSWER, Table

__all__ = ["doubt_rules", "settle"]


def doubt_rules(table: Table, here: str, doubt: str, call: CallPlan) -> None:
    """How doubt about an unsafe call is entered, by the policy that is in force when it arises."""
    effect = call.effect
    if effect.probe is not None:
        table.edge(here, here, ANSWER, "looked before", "look", "looking", pace="now")
        table.edge(here, doubt, ANSWER, "conflict", "doubt", "conflict", pace="probe")
    if effect.key is not None:
        table.edge(here, here, ANSWER, "send again", "reissue", "doubtful", "reissues", pace="poll")
    if effect.probe is not None:
        table.edge(here, doubt, ANSWER, "in doubt", "doubt", "doubtful", "probes", pace="probe")
    table.edge(here, doubt, ANSWER, "in doubt", "doubt", "doubtful", "!fails", stop="in_doubt")


def settle(table: Table, calls: Mapping[str, CallPlan], doubts: Mapping[str, str], *, strict: bool) -> None:
    """How every doubt is settled, and how a stopped run is taken up in it. ``doubts``: state to its state of doubt;
    the rules of those states are written already."""
    for here, doubt in doubts.items():
        step = next(state.step for state in table.states if state.id == here)
        mirrored = [
            one for one in table.transitions if one.source == here and one.on == ANSWER and "held" in one.guard.facts
        ]
        probes = calls[step].effect.probe is not None
        if probes:
            _probe_rules(table, doubt, here, mirrored, strict=strict)
        for source in (here, doubt):
            table.edge(source, here, ("resolved",), "not sent", "settle", "not_sent", pace="now")
            table.edge(source, here, ("resolved",), "send again", "settle", "reissue", pace="now")
            for one in mirrored:
                table.copy(one, source=source, on=("resolved",), facts=("adopted",))
            table.edge(source, doubt, ("resolved",), "still in doubt", "settle", stop="in_doubt")
        if probes:
            table.edge(here, doubt, ("reopened",), "in doubt", "reopen", "applied", "probes", pace="probe")
            table.edge(doubt, doubt, ("reopened",), "look again", "reopen", "probes", pace="probe")
        table.edge(here, doubt, ("reopened",), "in doubt", "reopen", "applied", stop="in_doubt")
        table.edge(doubt, doubt, ("reopened",), "still in doubt", "reopen", stop="in_doubt")


def _probe_rules(table: Table, doubt: str, here: str, mirrored: list[Transition], *, strict: bool) -> None:
    """What the answer of a probe does: adopt what is ours, send again what is not there, hold everything else."""
    for one in mirrored:
        table.copy(one, source=doubt, on=ANSWER, facts=("found", "matches", "ours"))
    failed = table.end("failed", "failed")
    table.edge(doubt, failed, ANSWER, "broke", "probe", "found", "theirs", stop="broke")
    table.edge(doubt, failed, ANSWER, "broke", "probe", "absent", "theirs", stop="broke")
    table.edge(doubt, here, ANSWER, "not there", "absent", "absent", "settled", pace="now")
    table.edge(doubt, doubt, ANSWER, "still in doubt", "probe", "absent", "clashed", stop="in_doubt")
    table.edge(doubt, doubt, ANSWER, "not there yet", "probe", "absent", pace="probe")
    if not strict:
        table.edge(doubt, doubt, ANSWER, "tolerated", "tolerance", "troubled", pace="probe")
        table.edge(doubt, doubt, ANSWER, "tolerance used up", "tolerance", "spent", stop="in_doubt")
    table.edge(doubt, doubt, ANSWER, "credential refused", "credential", "refused", stop="credential")
    table.edge(doubt, doubt, ANSWER, "still in doubt", "probe", stop="in_doubt")
