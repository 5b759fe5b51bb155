"""In which order the steps of a workflow follow each other, where they depend on one another.

Arazzo 1.1, Step Object, dependsOn: it never starts the steps it names; whoever runs steps one by one must put them in
an order that satisfies it and the outputs steps read of each other. Only workflows that use it are put in another
order than they are written in: everywhere else the order of the document is the author's word.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set

__all__ = ["find_cycle", "reaches", "sort_steps"]


def sort_steps(order: Sequence[str], waits: Mapping[str, Set[str]], reads: Mapping[str, Set[str]]) -> tuple[str, ...]:
    """The steps so that each stands behind all it ``waits`` for and all it ``reads``; among those that may come next,
    the one that is written first. ``waits`` must have no cycle.

    Steps of a loop may well read each other: of them the document's order decides.
    """
    both = {step: {*waits.get(step, ()), *reads.get(step, ())} for step in order}
    before = {step: waits.get(step, set()) | _outside_loops(step, reads.get(step, set()), both) for step in order}
    left, placed = list(order), list[str]()
    while left:
        chosen = next(step for step in left if before[step] <= set(placed))
        left.remove(chosen)
        placed.append(chosen)
    return tuple(placed)


def _outside_loops(step: str, reads: Set[str], graph: Mapping[str, Set[str]]) -> set[str]:
    return {other for other in reads if other != step and step not in reaches(graph, other)}


def find_cycle(graph: Mapping[str, Set[str]]) -> tuple[str, ...]:
    """The nodes of one cycle, the first also last; empty when there is none. Without recursion."""
    done: set[str] = set()
    for root in graph:
        path: list[str] = []
        work = [(root, iter(sorted(graph.get(root, ()))))]
        while work:
            node, following = work[-1]
            if node not in path:
                path.append(node)
            target = next(following, None)
            if target is None:
                work.pop()
                path.pop()
                done.add(node)
            elif target in path:
                return (*path[path.index(target) :], target)
            elif target not in done:
                work.append((target, iter(sorted(graph.get(target, ())))))
    return ()


def reaches(graph: Mapping[str, Set[str]], source: str) -> set[str]:
    """Every node that can come after ``source``; itself only where it lies on a cycle."""
    found: set[str] = set()
    new = set(graph.get(source, ()))
    while new:
        found |= new
        new = {target for node in new for target in graph.get(node, ())} - found
    return found
