"""The Diagram: a Plan, and optionally the history of a run, as the nodes and edges of one picture.

Made from a Plan and its Records by :func:`diagram_of`; written down as text by ``dot.py`` and ``mermaid.py``. Nothing
here knows a picture format or does I/O. All text in a Diagram is one printable line per line: every name is the
document's and hostile until :func:`printable` has seen it.

What is drawn: every state; every action of the document as an edge of its own, once for all events that take it; what
the machine's own rules add between two states as one edge with stacked labels. What is not: the machine's
housekeeping, which every state has in the same form (starting, re-opening and cancelling, settling a doubt anywhere
but in the state of doubt), bad answers tolerated, and stops in place (tolerance used up, credential refused). All but
the loops of housekeeping are drawn once a run has taken them, so a traced picture has every move the run made. A
workflow that others run lies in a group of its own, drawn once however many states run it.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from ..chart.snapshot import Record
from ..errors import UsageError
from ..plan.model import Phase, Plan, PollPolicy, State, Transition
from .guards import shortened

__all__ = ["Diagram", "Edge", "Group", "Node", "diagram_of", "printable", "span", "wrap"]

Kind = Literal["call", "doubt", "final", "workflow"]

_HOUSEKEEPING = frozenset({"started", "reopened", "cancelled"})
_LARGE = 8
"""With more ways into ends than this, an end shared by many states is drawn once for each: arrows that all meet in one
box run across everything else, and layered layout grows from seconds to minutes when hundreds of them do."""
_SHARED = 4
"""In a large plan, a final state entered from more states than this is drawn once for each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One state, or one copy of an end shared by many states."""

    id: str
    """The state's id; for a copy followed by ``-`` and the id of the state it is entered from."""
    name: str
    phase: Phase
    kind: Kind
    subtitle: str = ""
    """Lines below the name: the operation and the pace, or whose call is in doubt."""
    initial: bool = False
    current: bool = False
    visits: int = 0
    """How often the run entered it; stops in place do not count."""
    lasted: str = ""
    """How long the run was in it, such as ``2m10s``, as far as its history tells."""
    group: str = ""
    """The :attr:`Group.id` it lies in; empty for the plan's own workflow."""

    @property
    def stay(self) -> str:
        """How long the run was in it and how often, as one line; empty where it was not, or no history is drawn."""
        return f"{self.lasted}, {self.visits} visits" if self.lasted and self.visits > 1 else self.lasted

    @property
    def look(self) -> str:
        """The key into ``colours.LOOKS``: doubt has a look of its own, whatever its phase."""
        return "doubt" if self.kind == "doubt" else self.phase


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """One transition, or several of the machine's own between two nodes: then ``label`` and ``guard`` have as many
    lines as there are different labels, in the plan's order. A label with several guards stands alone."""

    id: str
    """The (first) transition's id."""
    source: str
    target: str
    label: str
    guard: str
    rule: str
    """``action`` for the document's own, ``runs`` for the way into another workflow; else the compile rule that made
    it."""
    visits: int = 0
    loop: bool = False
    short: str = ""
    """The guard in a few characters; empty where there is no such form, or the machine's own rule made the edge."""
    retry: str = ""
    """The budget of a retry, such as ``at most 3 times, 5s apart``."""
    last: bool = False
    """Whether the run made this move last: its guard decided where the run is."""

    def caption(self, *, traced: bool, whole: bool = True) -> list[str]:
        """The lines that stand beside the edge, not yet wrapped; the last says how often a run took it (``x3``).
        ``whole``: for a picture without a legend, where a guard of the document that has no short form stands whole."""
        said = self.short or (self.guard if whole and self.rule == "action" else "")
        lines = [*self.label.split("\n"), *filter(None, [said])]
        lines += filter(None, [self.retry])
        times = f"x{self.visits}, the last" if self.last and self.visits > 1 else f"x{self.visits}"
        return [*lines, times] if traced and self.visits else lines


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A workflow that another one runs: its nodes lie together."""

    id: str
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagram:
    """A picture before anybody has said how it looks. Nodes and edges stand in the plan's order."""

    title: str
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    traced: bool
    """Whether the history of a run lies on it, so that what was not visited can step back."""
    groups: tuple[Group, ...] = ()
    subtitle: str = ""
    """Of a run: where it is, for how long, and what decided that."""
    large: bool = False
    """Whether ends are drawn once for each state, so that the states can stand in a column with their ends beside."""

    @property
    def legend(self) -> tuple[tuple[str, str], ...]:
        """Every guard that does not stand whole beside its edge, with its label, once and in the order of the edges."""
        found: dict[tuple[str, str], None] = {}
        for edge in self.edges:
            for label, guard in zip(edge.label.split("\n"), edge.guard.split("\n"), strict=True):
                if guard not in ("", "otherwise", edge.short):
                    found[label, guard] = None
        return tuple(found)


def diagram_of(plan: Plan, *, records: Sequence[Record] = (), current: str = "") -> Diagram:
    """The picture of a plan; with records also which way a run took, and where it is.

    ``current`` is the id of the state to light; by default the target of the last record.
    Raises UsageError when the plan has no state ``current``.
    """
    if current and all(state.id != current for table in plan.tables() for state in table.states):
        raise UsageError(
            "the state to highlight is not a state of this plan",
            code="AZM-U021",
            seen=printable(current),
            next="name one of the plan's state ids",
        )
    lit = current or (records[-1].target if records else "")
    came_from = records[-1].moves[-1].source if records and records[-1].target == lit else ""
    fired = Counter(move.transition for record in records for move in record.moves)
    lasted = _durations(records)
    last = records[-1].moves[-1].transition if records else ""
    large = _is_large(plan)
    nodes: list[Node] = []
    edges: list[Edge] = []
    groups: list[Group] = []
    for number, table in enumerate(plan.tables()):
        group = f"w_{number}" if number else ""
        if group:
            groups.append(Group(id=group, title=printable(table.workflow)))
        doubts = {state.id for state in table.states if state.kind == "doubt"}
        drawn = [
            one for one in table.transitions if _is_drawn(one, doubtful=one.source in doubts, fired=fired[one.id] > 0)
        ]
        copies = _copies(table, drawn) if large else {}
        entries = _entries(table, records)
        for state in table.states:
            for source in copies.get(state.id, ("",)):
                visits = sum(
                    count for (start, end), count in entries.items() if end == state.id and source in ("", start)
                )
                nodes.append(
                    Node(
                        id=_node_id(state.id, source),
                        name=printable(state.name) or state.id,
                        phase=state.phase,
                        kind=state.kind,
                        subtitle="\n".join(_subtitle(table, state)),
                        initial=state is plan.initial,
                        current=state.id == lit and (not source or not came_from or source == came_from),
                        visits=visits,
                        lasted=span(lasted[state.id]) if state.id in lasted and visits else "",
                        group=group,
                    )
                )
        edges += _edges(drawn, copies, fired, last)
        edges += _runs(plan, table, records)
    return Diagram(
        title=printable(plan.title or plan.workflow),
        nodes=tuple(nodes),
        edges=tuple(edges),
        traced=bool(records),
        groups=tuple(groups),
        subtitle=_run_line(plan, records),
        large=large,
    )


def _is_large(plan: Plan) -> bool:
    ends = {state.id for table in plan.tables() for state in table.states if state.kind == "final"}
    ways = {(one.source, one.target) for table in plan.tables() for one in table.transitions if one.target in ends}
    return len(ways) > _LARGE


def _durations(records: Sequence[Record]) -> Mapping[str, float]:
    """Seconds a run was in each state; where it is now counts up to its last record."""
    found: defaultdict[str, float] = defaultdict(float)
    for one, following in pairwise(records):
        found[one.target] += following.at - one.at
    return found


def _run_line(plan: Plan, records: Sequence[Record]) -> str:
    """Where a run is, after how long, and by which transition, as one line."""
    if not records:
        return ""
    last = records[-1]
    taken = next((one.label for one in reversed(last.moves[-1].guards) if one.truth), "")
    by = f", by {taken}" if taken else ""
    after = span(last.at - records[0].at)
    return printable(f"record {last.seq}: {plan.state(last.target).name} after {after}{by}")


def _runs(plan: Plan, table: Plan, records: Sequence[Record]) -> list[Edge]:
    """From every state that runs a workflow to where that one begins."""
    pairs = [pair for record in records for pair in pairwise(record.moves)]
    begun = Counter(one.target for one, following in pairs if following.on == "started")
    return [
        Edge(
            id=f"{state.id}-runs",
            source=state.id,
            target=plan.table(table.children[state.child].workflow).initial.id,
            label="runs",
            guard="",
            rule="runs",
            visits=begun[state.id],
        )
        for state in table.states
        if state.kind == "workflow"
    ]


def _is_drawn(one: Transition, *, doubtful: bool, fired: bool) -> bool:
    """Whether a transition says something a reader does not know of every state anyway."""
    stays = one.source == one.target
    routine = _HOUSEKEEPING if doubtful else _HOUSEKEEPING | {"resolved"}
    if routine.issuperset(one.on):
        return fired and not stays
    if stays and (one.stop or one.rule == "tolerance"):
        return fired
    return True


def _copies(plan: Plan, drawn: Sequence[Transition]) -> Mapping[str, tuple[str, ...]]:
    """For every final state that is drawn more than once: the states it is entered from."""
    copies: dict[str, tuple[str, ...]] = {}
    for state in plan.states:
        sources = tuple(dict.fromkeys(one.source for one in drawn if one.target == state.id))
        if state.kind == "final" and sources and (state.phase == "failed" or len(sources) > _SHARED):
            copies[state.id] = sources
    return copies


def _node_id(state: str, source: str) -> str:
    return f"{state}-{source}" if source else state


def _entries(plan: Plan, records: Sequence[Record]) -> Mapping[tuple[str, str], int]:
    """How often a run went from one state into another, stops in place left out."""
    counted = {one.id for one in plan.transitions if not one.stop or one.source != one.target}
    moves = [move for record in records for move in record.moves]
    return Counter((move.source, move.target) for move in moves if move.transition in counted)


def _edges(
    drawn: Sequence[Transition], copies: Mapping[str, tuple[str, ...]], fired: Mapping[str, int], last: str
) -> tuple[Edge, ...]:
    groups: dict[tuple[str, ...], list[Transition]] = {}
    for one in drawn:
        own = (one.label, one.guard.text) if one.rule == "action" else ()
        key = (one.source, one.target, *own)
        groups.setdefault(key, []).append(one)
    edges: list[Edge] = []
    for group in groups.values():
        first = group[0]
        captions: dict[str, str] = {}
        for one in group:
            label, guard = printable(one.label), printable(one.guard.text)
            # Reached in several ways it is named once: the plan has the ways, the picture has the name.
            captions[label] = guard if captions.get(label, guard) == guard else ""
        edges.append(
            Edge(
                id=first.id,
                source=first.source,
                target=_node_id(first.target, first.source if first.target in copies else ""),
                label="\n".join(captions),
                guard="\n".join(captions.values()),
                rule=first.rule,
                visits=sum(fired[one.id] for one in group),
                loop=first.source == first.target,
                short=printable(shortened(first.guard)) if first.rule == "action" else "",
                retry=_budget(first),
                last=any(one.id == last for one in group),
            )
        )
    return tuple(edges)


def _budget(one: Transition) -> str:
    if "retries" not in one.guard.facts:
        return ""
    times = "once" if one.retry_limit == 1 else f"at most {one.retry_limit} times"
    return f"{times}, after {one.retry_after:g}s" if one.retry_after else times


def _subtitle(plan: Plan, state: State) -> list[str]:
    call, child = plan.calls.get(state.step), plan.children.get(state.child)
    if child is not None:
        lines = [printable(f"runs {child.workflow}")]
        return [*lines, _pace(child.poll)] if state.polls and child.poll is not None else lines
    if state.kind == "doubt":
        return [f"was {printable(state.step)} applied?"]
    if state.kind == "final" or call is None:
        return []
    lines = [printable(f"{call.operation.method.upper()} {call.operation.path}")]
    if state.polls and call.poll is not None:
        lines.append(_pace(call.poll))
    return lines


def _pace(poll: PollPolicy) -> str:
    """A polling policy in a few characters, such as ``every 5s x1.5 to 30s``."""
    if poll.backoff == 1 or poll.max <= poll.interval:
        return f"every {poll.interval:g}s"
    return f"every {poll.interval:g}s x{poll.backoff:g} to {poll.max:g}s"


def printable(text: str) -> str:
    """The text as one line that means the same to every reader.

    Line ends and tabs become one space with the spaces around them. What is not seen but acts (C0 and C1 controls,
    bidirectional and other format characters, lone surrogates, noncharacters) becomes U+FFFD, so that it is neither
    obeyed nor silently lost.
    """
    return "".join(map(_shown, _SPACES.sub(_one_line, text).strip()))


_SPACES = re.compile(r"\s+")


def _one_line(spaces: re.Match[str]) -> str:
    """Plain spaces stay as they are: they may be part of a string the document compares with."""
    return spaces[0] if not spaces[0].strip(" ") else " "


def _shown(character: str) -> str:
    if character.isascii():
        return character if character.isprintable() else "\N{REPLACEMENT CHARACTER}"
    code = ord(character)
    noncharacter = code & 0xFFFE == 0xFFFE or 0xFDD0 <= code <= 0xFDEF
    hidden = noncharacter or unicodedata.category(character) in ("Cc", "Cf", "Cs")
    return "\N{REPLACEMENT CHARACTER}" if hidden else character


def span(seconds: float) -> str:
    """A length of time in a few characters: ``0.45s``, ``4.2s``, ``2m10s``, ``1h05m``, ``3d02h``."""
    if seconds < 10:
        return f"{max(seconds, 0):.2g}s"
    if seconds < 60:
        return f"{seconds:.0f}s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}m{rest:02}s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02}m" if hours < 24 else f"{hours // 24}d{hours % 24:02}h"


_BREAKS = re.compile(r"(?<= )|(?=/)")


def wrap(text: str, width: int) -> list[str]:
    """Lines of at most ``width`` characters, broken after spaces and before slashes, inside a word only where a word
    alone is longer. Nothing but the spaces at the breaks is left out. Never empty."""
    lines = [""]
    for piece in _BREAKS.split(text):
        if lines[-1] and len(lines[-1]) + len(piece.rstrip()) > width:
            lines.append("")
        *full, rest = (piece[at : at + width] for at in range(0, max(len(piece), 1), width))
        if full:
            lines[-1:] = [*full, ""]
        lines[-1] += rest
    return [line.rstrip() for line in lines if line.strip()] or [""]
