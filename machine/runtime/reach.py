"""How this process reaches the other side for a run: which servers, which secrets, through which transport.

What a run has stored (references, servers, allowed hosts) meets here what holds for this process only.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, Protocol

from ..chart.effects import Call
from ..chart.events import CallFailed, Replied
from ..errors import CredentialError
from ..expressions.template import references
from ..plan.model import CallPlan, Plan
from .clock import Clock
from .concealing import Concealer
from .hosts import base_url, check_secrecy
from .secrets import Reference, SecretBook

__all__ = ["MakesTransport", "PerformsCalls", "Reach"]


class PerformsCalls(Protocol):
    """What a runner needs of a transport."""

    def perform(self, call: Call, timeout: float) -> Replied | CallFailed: ...

    def close(self) -> None: ...


MakesTransport = Callable[[Callable[[str], str], SecretBook, Clock, Callable[[], float]], PerformsCalls]


class Reach:
    """``servers`` and ``secret_texts`` win over what a run has stored, and are never stored themselves."""

    def __init__(
        self,
        *,
        servers: Mapping[str, str],
        secret_texts: Mapping[str, str],
        prompt: Callable[[str], str] | None,
        transport: MakesTransport,
    ) -> None:
        self.servers = dict(servers)
        self.secret_texts = dict(secret_texts)
        self.prompt = prompt
        self.transport = transport
        self.concealer = Concealer()
        """Every text a run of this process was given: whoever writes anything passes it through here last."""

    def secrets(self, options: Mapping[str, Any]) -> SecretBook:
        """The texts behind a run's references. Raises CredentialError for one that cannot be had."""
        texts = {
            name: self.secret_texts[name]
            if name in self.secret_texts
            else Reference(text).resolve(name, prompt=self.prompt)
            for name, text in options.get("secrets", {}).items()
        }
        book = SecretBook(texts)
        for name, text in texts.items():
            self.concealer.learn(name, text)
        return book

    def secrets_again(self, options: Mapping[str, Any]) -> SecretBook:
        """As ``secrets``, for a run that has begun: one that cannot be had any more has exit code 14, because the run
        goes on once it is renewed."""
        try:
            return self.secrets(options)
        except CredentialError as error:
            error.exit_code = 14  # type: ignore[misc]
            raise

    def base(self, plan: Plan, options: Mapping[str, Any], source: str) -> str:
        """The base URL a source is called at. Raises HostError for one that is not allowed."""
        named = {**options.get("servers", {}), **self.servers}
        return base_url(source, plan.servers, named, options.get("allow_hosts", ()))

    def check(self, plan: Plan, options: Mapping[str, Any]) -> None:
        """Refuse, before anything is stored, hosts that are not allowed and secrets that would go over plain http."""
        for call in plan.calls.values():
            for operation in call.operations:
                base = self.base(plan, options, operation.source)
                if _carries(call, plan.secrets):
                    check_secrecy(base, call.step)

    def open(
        self, plan: Plan, options: Mapping[str, Any], book: SecretBook, clock: Clock, chance: Callable[[], float]
    ) -> PerformsCalls:
        """A transport for one run; to be closed."""
        return self.transport(lambda source: self.base(plan, options, source), book, clock, chance)


def _carries(call: CallPlan, secrets: Collection[str]) -> bool:
    """Whether one of these inputs is sent with the call."""
    templates = [*(value for _, _, value in call.parameters), *([call.body] if call.body is not None else [])]
    if call.effect.probe is not None:
        templates += [value for _, _, value in call.effect.probe.parameters]
    read = {one.name for template in templates for one in references(template) if one.root == "inputs"}
    return not read.isdisjoint(secrets)
