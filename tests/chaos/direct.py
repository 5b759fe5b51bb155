"""The service called in this process, with no wire between: a transport for trials whose fault is not in the network.

Makes a Replied from a Call by asking a Service. Nothing is sent, nothing waits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from service import Account, Answer, Asked, Service

from machine.chart.effects import Call
from machine.chart.events import CallFailed, Replied, Reply
from machine.runtime.clock import Clock
from machine.runtime.secrets import SecretBook
from machine.values import MISSING

__all__ = ["Died", "Direct", "Here", "asked", "replied"]


class Died(BaseException):
    """Stands for the death of the process: nothing in the product may catch it."""


class Here:
    """A Service as the other side of a World."""

    def __init__(self, account: Account) -> None:
        self.service = Service()
        self.service.account = account

    def account(self, *, settled: bool = False) -> Account:
        return self.service.account

    def transport(
        self, base: Callable[[str, str], str], secrets: SecretBook, clock: Clock, chance: Callable[[], float]
    ) -> Direct:
        return Direct(self.service, clock, chance)


class Direct:
    """Performs every call at once and always answers."""

    def __init__(self, service: Service, clock: Clock, chance: Callable[[], float]) -> None:
        self._service = service
        self._clock = clock
        self._chance = chance

    def perform(self, call: Call, timeout: float) -> Replied | CallFailed:
        request = asked(call)
        self._service.hear(request)
        return replied(self._service.answer(request), at=self._clock.now(), chance=self._chance())

    def close(self) -> None:
        """Nothing is open."""


def asked(call: Call) -> Asked:
    """A call as the service sees it."""
    request = call.request
    keys = [value for name, value in request.headers if name.lower() == "idempotency-key"]
    key = keys[0] if keys else ""
    assert isinstance(key, str)
    assert isinstance(request.target, str)
    return Asked(request.method, request.target, None if request.body is MISSING else request.body, key)


def replied(answer: Answer, *, at: float, chance: float, **fields: Any) -> Replied:
    headers = {name.lower(): value for name, value in answer.headers.items()}
    reply = Reply(
        **{
            "status": answer.status,
            "headers": headers,
            "form": "json",
            "body": answer.body,
            "url": "http://127.0.0.1/v2",
            **fields,
        }
    )
    return Replied(at=at, chance=chance, reply=reply)
