"""How this process reaches the other side for a run: which servers, which secrets, through which transport.

What a run has stored (references, servers, allowed hosts) meets here what holds for this process only.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from ..chart.events import Reply
from ..errors import CredentialError, UsageError
from ..expressions.template import references
from ..plan.credentials import Credentials as Placed
from ..plan.credentials import credentials_of, destinations
from ..plan.model import CallPlan, Plan
from ..stores.base import Store
from .clock import Clock
from .concealing import Concealer
from .credentials import Authorised, Credentials, Given, PerformsCalls, texts_of
from .hosts import Bases, base_url, check_secrecy, origin_of
from .oauth import Client, TokenKeeper
from .sealing import Answers, Sealer, SealingTransport, needed, refuse_plain, take_out
from .secrets import COMMAND, PREFIX, Reference, SecretBook

if TYPE_CHECKING:
    from .run import Run

__all__ = ["MakesTransport", "PerformsCalls", "Reach"]


MakesTransport = Callable[[Callable[[str, str], str], SecretBook, Clock, Callable[[], float]], PerformsCalls]


class Reach:
    """``servers`` and ``secret_texts`` win over what a run has stored, and are never stored themselves.

    ``pretend`` makes up the credentials a simulated server is called with.
    """

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
        self.pretend = False
        self._store = store
        self._store_flag = store_flag
        self._sealers: dict[str, Sealer] = {}
        self._commands: set[str] = set()
        self.concealer = Concealer()
        """Every text a run of this process was given: whoever writes anything passes it through here last."""

    def given(self, options: Mapping[str, Any]) -> None:
        """Take note of what was given to this process: the commands among it may be run."""
        self._commands |= {
            text
            for text in (*options.get("secrets", {}).values(), *options.get("auth", {}).values(), options.get("key"))
            if isinstance(text, str) and text.startswith(COMMAND)
        }

    def _resolve(self, text: str, name: str, flag: str = "") -> str:
        """The text behind a reference. Raises CredentialError where it cannot be had: AZM-C024 for a command that
        stands in a store and was not given to this process, because a file must not choose a program that is run."""
        self._allow(text, name, flag or f"-i {name}=")
        return Reference(text).resolve(name, flag=flag, prompt=self.prompt)

    def _allow(self, text: str, name: str, flag: str) -> None:
        if text.startswith(COMMAND) and text not in self._commands:
            raise CredentialError(
                f"the value of {name!r} comes from a command, and a command is run only where it is given",
                code="AZM-C024",
                seen=text[:200],
                next=f"give it again: resume RUN {flag}@cmd:LINE; a variable is kept, also for `resolve`: "
                f"resume RUN {flag}@env:VARIABLE",
            )

    def secrets(self, options: Mapping[str, Any]) -> SecretBook:
        """The texts behind a run's references. Raises CredentialError for one that cannot be had."""
        texts = {
            name: self.secret_texts[name] if name in self.secret_texts else self._resolve(text, name)
            for name, text in options.get("secrets", {}).items()
        }
        if any(name.startswith(PREFIX) for name in texts):
            raise UsageError(
                f"a secret input cannot have a name that begins with {PREFIX}",
                code="AZM-U104",
                next="rename the input: names of credentials begin so",
            )
        given = {} if self.pretend else options.get("auth", {})
        named = texts_of(given, lambda ref, key: self._resolve(ref.text, key, f"--auth {key}="))
        return SecretBook({**texts, **named}, told=self.concealer)

    def secrets_again(self, options: Mapping[str, Any]) -> SecretBook:
        """As ``secrets``, for a run that has begun: one that cannot be had any more has exit code 14, because the run
        goes on once it is renewed."""
        with _begun():
            return self.secrets(options)

    def base(self, options: Mapping[str, Any], source: str, server: str) -> str:
        """Where an operation of a source is called whose description gives it this server. Raises HostError for a host
        that is not allowed."""
        named = {**options.get("servers", {}), **self.servers}
        # What a token told of is no more than a description's word.
        server = options.get("described", {}).get(source, server)
        return base_url(source, server, named, options.get("allow_hosts", ()))

    def bases(self, plan: Plan, options: Mapping[str, Any], source: str) -> tuple[str, ...]:
        """All base URLs of a source, the first one first. Raises as ``base`` does."""
        return tuple(dict.fromkeys(self.base(options, source, server) for server in plan.servers[source]))

    def destinations(self, plan: Plan, options: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
        """Secret input to the base URLs it is sent to by what the plan says. Nothing is told of one that is sent
        nowhere, nor where all calls go to one place or nobody can tell."""
        kept = options.get("secrets", {})
        if not kept or sum(map(len, plan.servers.values())) < 2:
            return {}
        found: dict[str, dict[str, None]] = {}
        for (workflow, name), servers in destinations(plan).items():
            secret = name if workflow == plan.workflow else f"{workflow}.{name}"
            if secret in kept:
                bases = {self.base(options, source, server): None for source, server in sorted(servers)}
                found.setdefault(secret, {}).update(bases)
        return {secret: tuple(bases) for secret, bases in found.items()}

    def check(self, plan: Plan, options: Mapping[str, Any], book: SecretBook | None = None) -> None:
        """Refuse, before anything is stored, hosts that are not allowed, secrets that would go over plain http, steps
        that demand a credential nobody gave, and a key for the credentials of answers that cannot be had; where the
        texts are known, those that are no credential of their kind."""
        placed = credentials_of(plan)
        if placed.replies:
            self._sealer(options).prepare()
        credentials = self.credentials(plan, options, book or SecretBook({}))
        credentials.check()
        if book is not None:
            credentials.check_texts()
        for table in plan.tables():
            for call in table.calls.values():
                for operation in call.operations:
                    base = self.base(options, operation.source, operation.server)
                    if _carries(call, table.secrets, placed):
                        check_secrecy(base, call.step)
        for given in credentials.given.values():
            for base in self.bases(plan, options, given.need.source):
                check_secrecy(base, given.need.key)
            if given.fetches:
                self.token_endpoint(plan, options, given)

    def check_again(self, plan: Plan, options: Mapping[str, Any], book: SecretBook | None = None) -> None:
        """As ``check``, for a run that has begun."""
        with _begun():
            self.check(plan, options, book)

    def credentials(self, plan: Plan, options: Mapping[str, Any], book: SecretBook) -> Credentials:
        """What is given for the security schemes of the plan's sources."""
        given = {} if self.pretend else options.get("auth", {})
        return Credentials(plan, given, book, pretend=self.pretend)

    def token_endpoint(self, plan: Plan, options: Mapping[str, Any], given: Given) -> tuple[str, str]:
        """Where an OAuth2 client gets its token: base URL, and path with query.

        Raises CredentialError AZM-C043 where nobody says where, HostError as ``base`` does.
        """
        need, named = given.need, given.fields.get("token_url", "")
        url = named or (need.scheme.refresh_url if "refresh_token" in given.fields else need.scheme.token_url)
        if not url:
            raise CredentialError(
                f"nothing says where a token for {need.key} is to be had",
                code="AZM-C043",
                next=f"say it: --auth {need.key}.token_url=https://HOST/PATH",
            )
        home = self.bases(plan, options, need.source)[0]
        # A relative one is seen from the server (OpenAPI 3.1, OAuth Flow Object).
        parts = urlsplit(urljoin(home + "/", url))
        server = f"{parts.scheme}://{parts.netloc}"
        allowed = [*options.get("allow_hosts", ()), urlsplit(home).hostname or ""]
        base = base_url(need.key, server, {need.key: server} if named else {}, allowed)
        check_secrecy(base, need.key)
        return base, (parts.path or "/") + (f"?{parts.query}" if parts.query else "")

    def open(self, run: Run, book: SecretBook, clock: Clock, chance: Callable[[], float]) -> PerformsCalls:
        """A transport for one run; to be closed. What answers give as credentials is sealed."""
        inner = self._open(run, book, clock, chance)
        places = credentials_of(run.plan).replies
        sealer = self._sealer(run.head.options) if places else Sealer()
        return SealingTransport(
            inner=inner,
            places=places,
            book=book,
            seal=lambda name, text: sealer.seal(run.id, name, text),
            cookies="set-cookie" in run.plan.text().lower(),
        )

    def _open(self, run: Run, book: SecretBook, clock: Clock, chance: Callable[[], float]) -> PerformsCalls:
        book.files = run.files()
        plan, options = run.plan, run.head.options
        credentials = self.credentials(plan, options, book)
        endpoints: dict[str, tuple[str, str]] = {}
        for name, bases in self.destinations(plan, options).items():
            book.bind(name, frozenset(map(origin_of, bases)))
        for given in credentials.given.values():
            origins = frozenset(origin_of(base) for base in self.bases(plan, options, given.need.source))
            for field in ("", "token", "basic", "password"):
                book.bind(given.secret(field), origins)
            if given.fetches:
                endpoints[given.need.key] = self.token_endpoint(plan, options, given)
                for field in ("client_id", "client_secret", "refresh_token"):
                    book.bind(given.secret(field), frozenset({origin_of(endpoints[given.need.key][0])}))

        def base(source: str, server: str) -> str:
            if source.startswith(PREFIX):
                return endpoints[source[len(PREFIX) :]][0]
            return self.base(options, source, server)

        def inward(source: str, server: str) -> bool:
            own = credentials.needs[source[len(PREFIX) :]].source if source.startswith(PREFIX) else source
            if own in {**options.get("servers", {}), **self.servers}:
                return True
            return (urlsplit(base(source, server)).hostname or "").rstrip(".").lower() in options.get("allow_hosts", ())

        inner = self.transport(Bases(base, inward), book, clock, chance)
        if not credentials.needs:
            return inner

        def keeper(given: Given, sender: PerformsCalls) -> TokenKeeper:
            scope = credentials.plain(given, "scope")
            client = Client(
                source=f"{PREFIX}{given.need.key}",
                target=endpoints[given.need.key][1],
                name=given.secret("token"),
                client_id=credentials.plain(given, "client_id"),
                secret=given.secret("client_secret") if "client_secret" in given.fields else "",
                refresh=given.secret("refresh_token") if "refresh_token" in given.fields else "",
                scopes=tuple(scope.split()) or given.need.scheme.scopes,
            )
            return TokenKeeper(client, sender.perform, book, clock.now)

        return Authorised(inner, credentials, keeper)

    def again(self, run: Run, clock: Clock, chance: Callable[[], float]) -> SecretBook:
        """Everything a run that is taken up may have to send: the secrets it was given, and those that answers gave.

        Raises CredentialError with exit code 14 for one that cannot be had, and all that ``check`` raises.
        """
        options = run.head.options
        book = self.secrets_again(options)
        self.check_again(run.plan, options, book)
        if self._store is None or not credentials_of(run.plan).replies:
            return book
        transport = self.open(run, book, clock, chance)
        timeout = run.snapshot.settings.call_timeout
        try:
            answers = Answers(
                run.id,
                self._store.history(run.id),
                self._store.kept(run.id),
                book,
                self._sealer(options),
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
        """What somebody says a call was answered, with its credentials sealed. Raises UsageError AZM-U106 where a
        credential is given as an output."""
        placed = credentials_of(run.plan)
        refuse_plain(placed, step, outputs)
        places = placed.replies.get(step)
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
        self._allow(reference, "key", "--key ")
        path = getattr(self._store, "path", None)
        file = path.with_name(f"{path.name}.key") if isinstance(path, Path) else None
        return self._sealers.setdefault(reference, Sealer(reference, file))


@contextmanager
def _begun() -> Iterator[None]:
    try:
        yield
    except CredentialError as error:
        error.exit_code = 14
        raise


def _carries(call: CallPlan, secrets: Collection[str], placed: Placed) -> bool:
    """Whether one of these inputs, or a credential out of an answer, is sent with the call."""
    templates = [*(value for _, _, value in call.parameters), *([call.body] if call.body is not None else [])]
    if call.effect.probe is not None:
        templates += [value for _, _, value in call.effect.probe.parameters]
    read = [one for template in templates for one in references(template)]
    return not {one.name for one in read if one.root == "inputs"}.isdisjoint(secrets) or any(
        one.root == "steps" and placed.outputs.get(one.owner) for one in read
    )
