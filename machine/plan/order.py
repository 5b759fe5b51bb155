"""In which order the steps of a workflow follow each other, where they depend on one another.

Arazzo 1.1, Step Object, dependsOn: it never starts the steps it names; whoever runs steps one by one must put them in
an order that satisfies it and the outputs steps read of each other. Only workflows that use it are put in another
order than they are written in: everywhere else the order of the document is the author's word.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from heapq import heappop, heappush

__all__ = ["find_cycle", "loops", "reaches", "sort_steps", "turned"]


def sort_steps(order: Sequence[str], waits: Mapping[str, Set[str]], reads: Mapping[str, Set[str]]) -> tuple[str, ...]:
    """The steps so that each stands behind all it ``waits`` for and all it ``reads``; among those that may come next,
    the one that is written first. ``waits`` must have no cycle.

    Steps of a loop may well read each other: of them the document's order decides.
    """
    loop = loops({step: {*waits.get(step, ()), *reads.get(step, ())} for step in order})
    before = {
        step: {*waits.get(step, ()), *(other for other in reads.get(step, ()) if loop[other] != loop[step])}
        for step in order
    }
    after = turned(before)
    number = {step: at for at, step in enumerate(order)}
    left = {step: len(needed) for step, needed in before.items()}
    ready = [at for step, at in number.items() if not left[step]]
    placed: list[str] = []
    while ready:
        chosen = order[heappop(ready)]
        placed.append(chosen)
        for step in after[chosen]:
            left[step] -= 1
            if not left[step]:
                heappush(ready, number[step])
    return tuple(placed)


def loops(graph: Mapping[str, Set[str]]) -> dict[str, int]:
    """Node to a number that two nodes share exactly where each leads to the other. Without recursion: Kosaraju's two
    walks, the second over the edges turned round."""
    left: dict[str, None] = {}
    known: set[str] = set()
    for root in graph:
        work = [(root, iter(graph.get(root, ())))] if root not in known else []
        known.add(root)
        while work:
            node, following = work[-1]
            target = next((one for one in following if one not in known), None)
            if target is None:
                left[node] = None
                work.pop()
            else:
                known.add(target)
                work.append((target, iter(graph.get(target, ()))))
    back = turned(graph)
    found: dict[str, int] = {}
    for number, root in enumerate(reversed(left)):
        waiting = [root]
        while waiting:
            node = waiting.pop()
            if node not in found:
                found[node] = number
                waiting += back.get(node, ())
    return found


def find_cycle(graph: Mapping[str, Set[str]]) -> tuple[str, ...]:
    """The nodes of one cycle, the first also last; empty when there is none. Without recursion."""
    done: set[str] = set()
    for root in graph:
        if root in done:
            continue
        path: dict[str, None] = {}
        work = [(root, iter(sorted(graph.get(root, ()))))]
        while work:
            node, following = work[-1]
            path[node] = None
            target = next(following, None)
            if target is None:
                work.pop()
                del path[node]
                done.add(node)
            elif target in path:
                ring = list(path)
                return (*ring[ring.index(target) :], target)
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


def turned(graph: Mapping[str, Iterable[str]]) -> dict[str, set[str]]:
    """The same edges the other way round."""
    found: dict[str, set[str]] = {node: set() for node in graph}
    for node, targets in graph.items():
        for target in targets:
            found.setdefault(target, set()).add(node)
    return found
