"""How this process reaches the other side for a run: which servers, which secrets, through which transport.

What a run has stored (references, servers, allowed hosts) meets here what holds for this process only.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ..chart.effects import Call
from ..chart.events import CallFailed, Replied, Reply
from ..errors import CredentialError
from ..expressions.template import references
from ..plan.credentials import Credentials, find_credentials
from ..plan.model import CallPlan, Plan
from ..stores.base import Store
from .clock import Clock
from .concealing import Concealer
from .hosts import base_url, check_secrecy
from .sealing import Answers, Sealer, SealingTransport, needed, refuse_plain, take_out
from .secrets import Reference, SecretBook

if TYPE_CHECKING:
    from .run import Run

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
        servers: Mapping[str, str] | None,
        secret_texts: Mapping[str, str] | None,
        prompt: Callable[[str], str] | None,
        transport: MakesTransport,
        store: Store | None = None,
        store_flag: str = "",
    ) -> None:
        self.servers = dict(servers or {})
        self.secret_texts = dict(secret_texts or {})
        self.prompt = prompt
        self.transport = transport
        self._store = store
        self._store_flag = store_flag
        self._sealers: dict[str, Sealer] = {}
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
        """Refuse, before anything is stored, hosts that are not allowed, secrets that would go over plain http, and a
        key for the credentials of answers that cannot be had."""
        credentials = find_credentials(plan.calls)
        if credentials.replies:
            self._sealer(options).prepare()
        for call in plan.calls.values():
            for operation in call.operations:
                base = self.base(plan, options, operation.source)
                if _carries(call, plan.secrets, credentials):
                    check_secrecy(base, call.step)

    def open(self, run: Run, book: SecretBook, clock: Clock, chance: Callable[[], float]) -> PerformsCalls:
        """A transport for one run; to be closed."""
        book.files = run.files()
        options = run.head.options
        inner = self.transport(lambda source: self.base(run.plan, options, source), book, clock, chance)
        places = find_credentials(run.plan.calls).replies
        if not places:
            return inner

        def seal(name: str, text: str) -> str:
            self.concealer.learn(name, text)
            return self._sealer(options).seal(run.id, name, text)

        return SealingTransport(inner=inner, places=places, book=book, seal=seal)

    def again(self, run: Run, clock: Clock, chance: Callable[[], float]) -> SecretBook:
        """Everything a run that is taken up may have to send: the secrets it was given, and those that answers gave.

        Raises CredentialError with exit code 14 for one that cannot be had, and all that ``check`` raises.
        """
        self.check(run.plan, run.head.options)
        book = self.secrets_again(run.head.options)
        if self._store is None or not find_credentials(run.plan.calls).replies:
            return book
        transport = self.open(run, book, clock, chance)
        timeout = run.snapshot.settings.call_timeout
        try:
            answers = Answers(
                run.id,
                self._store.history(run.id),
                self._store.kept(run.id),
                book,
                self._sealer(run.head.options),
                lambda call: transport.perform(call, timeout),
                self._store_flag,
            )
            stop = run.snapshot.stopped
            names = needed(run.plan, run.snapshot) | answers.waiting
            answers.give(names, anew=stop is not None and stop.reason == "credential")
        finally:
            transport.close()
        return book

    def sealed(self, run: Run, step: str, outputs: Mapping[str, Any], reply: Reply | None) -> Reply | None:
        """What somebody says a call was answered, with its credentials sealed. Raises UsageError AZM-U096 where a
        credential is given as an output."""
        refuse_plain(run.plan, step, outputs)
        places = find_credentials(run.plan.calls).replies.get(step)
        if reply is None or not places:
            return reply
        sealer = self._sealer(run.head.options)
        sealer.prepare()
        return take_out(
            reply, places, run.snapshot.seq, SecretBook({}), lambda name, text: sealer.seal(run.id, name, text)
        )

    def _sealer(self, options: Mapping[str, Any]) -> Sealer:
        """One per key: a key that is not kept anywhere has to last as long as this process."""
        reference = str(options.get("key") or "")
        path = getattr(self._store, "path", None)
        file = path.with_name(f"{path.name}.key") if isinstance(path, Path) else None
        return self._sealers.setdefault(reference, Sealer(reference, file))


def _carries(call: CallPlan, secrets: Collection[str], credentials: Credentials) -> bool:
    """Whether one of these inputs, or a credential of an answer, is sent with the call."""
    templates = [*(value for _, _, value in call.parameters), *([call.body] if call.body is not None else [])]
    if call.effect.probe is not None:
        templates += [value for _, _, value in call.effect.probe.parameters]
    read = [one for template in templates for one in references(template)]
    return not {one.name for one in read if one.root == "inputs"}.isdisjoint(secrets) or any(
        one.root == "steps" and credentials.outputs.get(one.owner) for one in read
    )
