"""The service called in this process, with no wire between: a transport for trials whose fault is not in the network.

Makes a Replied from a Call by asking a Service. Nothing is sent, nothing waits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from server import Account, Service
from world import NAME

from machine.chart.effects import Call
from machine.chart.events import CallFailed, Replied, Reply
from machine.runtime.clock import Clock
from machine.runtime.secrets import SecretBook

__all__ = ["Died", "Direct", "Here", "dead_transport", "replied"]


class Died(BaseException):
    """Stands for the death of the process: nothing in the product may catch it."""


class Here:
    """A Service as the other side of a World."""

    def __init__(self) -> None:
        self.service = Service()

    def account(self, name: str) -> Account:
        return self.service.accounts[name]

    def transport(
        self, base: Callable[[str], str], secrets: SecretBook, clock: Clock, chance: Callable[[], float]
    ) -> Direct:
        return Direct(self.service, clock, chance)


class Direct:
    """Performs every call at once and always answers."""

    def __init__(self, service: Service, clock: Clock, chance: Callable[[], float]) -> None:
        self._service = service
        self._clock = clock
        self._chance = chance

    def perform(self, call: Call, timeout: float) -> Replied | CallFailed:
        self._service.accounts[NAME].calls.append(call.request.method)
        status, body = self._service.create(NAME) if call.request.method == "POST" else self._service.look(NAME)
        return replied(status, body, at=self._clock.now(), chance=self._chance())

    def close(self) -> None:
        """Nothing is open."""


def replied(status: int, body: Any, *, at: float, chance: float, **fields: Any) -> Replied:
    reply = Reply(**{"status": status, "form": "json", "body": body, "url": "http://127.0.0.1/v2", **fields})
    return Replied(at=at, chance=chance, reply=reply)


class _Dead:
    def perform(self, call: Call, timeout: float) -> Replied | CallFailed:
        raise Died

    def close(self) -> None:
        """Nothing is open."""


def dead_transport(base: Callable[[str], str], secrets: SecretBook, clock: Clock, chance: Callable[[], float]) -> _Dead:
    """A transport whose process dies when the first request is about to leave."""
    return _Dead()
