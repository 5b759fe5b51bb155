"""How the steps of a workflow lead to each other: which lie on a polling loop, and where a loop closes.

Made from the steps' success edges alone. A step is *polling* when it lies on a cycle of success edges all of whose
operations are safe: such a cycle can be walked again and again without harm, so it is paced and its troubles are
waited out. The *head* of a loop is the step a backward edge leads to; it alone gets a second, waiting state.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

__all__ = ["Flow", "find_loops"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """``loop`` maps each polling step to the loop it lies on; ``order`` is the document's."""

    order: tuple[str, ...]
    loop: Mapping[str, int]
    heads: frozenset[str]

    def closes(self, source: str, target: str) -> bool:
        """Whether the edge goes back to the head of the loop both steps lie on."""
        return (
            source in self.loop
            and self.loop.get(target) == self.loop[source]
            and self.order.index(target) <= self.order.index(source)
        )


def find_loops(order: Sequence[str], edges: Mapping[str, Set[str]], safe: Set[str]) -> Flow:
    """Strongly connected groups of safe steps that contain a cycle (Tarjan's algorithm, without recursion)."""
    graph = {step: sorted(edges.get(step, set()) & safe, key=list(order).index) for step in order if step in safe}
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    on_stack: set[str] = set()
    stack: list[str] = []
    loop: dict[str, int] = {}
    for root in graph:
        if root in index:
            continue
        work = [(root, iter(graph[root]))]
        index[root] = low[root] = len(index)
        stack.append(root)
        on_stack.add(root)
        while work:
            step, following = work[-1]
            for target in following:
                if target not in index:
                    index[target] = low[target] = len(index)
                    stack.append(target)
                    on_stack.add(target)
                    work.append((target, iter(graph[target])))
                    break
                if target in on_stack:
                    low[step] = min(low[step], index[target])
            else:
                work.pop()
                if work:
                    parent = work[-1][0]
                    low[parent] = min(low[parent], low[step])
                if low[step] == index[step]:
                    group: list[str] = []
                    while not group or group[-1] != step:
                        group.append(stack.pop())
                        on_stack.discard(group[-1])
                    if len(group) > 1 or step in graph[step]:
                        loop.update(dict.fromkeys(group, index[step]))
    position = {step: number for number, step in enumerate(order)}
    heads = {
        target
        for step in loop
        for target in graph[step]
        if loop.get(target) == loop[step] and position[target] <= position[step]
    }
    return Flow(order=tuple(order), loop=loop, heads=frozenset(heads))
