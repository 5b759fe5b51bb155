from __future__ import annotations

import threading

from machine.errors import BusyError
from machine.stores import MemoryStore


def test_of_many_threads_one_gets_the_lock() -> None:
    store = MemoryStore()
    gate, done = threading.Barrier(8), threading.Barrier(8)
    outcomes: list[str] = []

    def contend() -> None:
        gate.wait()
        try:
            with store.lock("run-1"):
                outcomes.append("held")
                done.wait()
        except BusyError:
            outcomes.append("busy")
            done.wait()

    threads = [threading.Thread(target=contend) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(outcomes) == ["busy"] * 7 + ["held"]


def test_two_stores_share_nothing() -> None:
    one, two = MemoryStore(), MemoryStore()
    with one.lock("run-1"):
        assert two.held("run-1") is None
        with two.lock("run-1") as lease:
            assert lease.epoch == 1
