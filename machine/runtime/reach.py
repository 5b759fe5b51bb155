"""How this process reaches the other side for a run: which servers, which secrets, through which transport.

What a run has stored (references, servers, allowed hosts) meets here what holds for this process only.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from ..errors import CredentialError, UsageError
from ..expressions.template import references
from ..plan.model import CallPlan, Plan
from .clock import Clock
from .credentials import Authorised, Credentials, Given, PerformsCalls, texts_of
from .hosts import Bases, base_url, check_secrecy, origin_of
from .oauth import Client, TokenKeeper
from .secrets import PREFIX, Reference, SecretBook

if TYPE_CHECKING:
    from .run import Run

__all__ = ["MakesTransport", "PerformsCalls", "Reach"]


MakesTransport = Callable[[Callable[[str], str], SecretBook, Clock, Callable[[], float]], PerformsCalls]


class Reach:
    """``servers`` and ``secret_texts`` win over what a run has stored, and are never stored themselves.

    ``pretend`` makes up the credentials a simulated server is called with.
    """

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
        self.pretend = False

    def secrets(self, options: Mapping[str, Any]) -> SecretBook:
        """The texts behind a run's references. Raises CredentialError for one that cannot be had."""
        texts = {
            name: self.secret_texts[name]
            if name in self.secret_texts
            else Reference(text).resolve(name, prompt=self.prompt)
            for name, text in options.get("secrets", {}).items()
        }
        if any(name.startswith(PREFIX) for name in texts):
            raise UsageError(
                f"a secret input cannot have a name that begins with {PREFIX}",
                code="AZM-U104",
                next="rename the input: names of credentials begin so",
            )
        given = {} if self.pretend else options.get("auth", {})
        return SecretBook({**texts, **texts_of(given, lambda ref, key: ref.resolve(key, prompt=self.prompt))})

    def secrets_again(self, options: Mapping[str, Any]) -> SecretBook:
        """As ``secrets``, for a run that has begun: one that cannot be had any more has exit code 14, because the run
        goes on once it is renewed."""
        with _begun():
            return self.secrets(options)

    def base(self, plan: Plan, options: Mapping[str, Any], source: str) -> str:
        """The base URL a source is called at. Raises HostError for one that is not allowed."""
        named = {**options.get("servers", {}), **self.servers}
        return base_url(source, plan.servers, named, options.get("allow_hosts", ()))

    def check(self, plan: Plan, options: Mapping[str, Any]) -> None:
        """Refuse, before anything is stored, hosts that are not allowed, secrets that would go over plain http, and
        steps that demand a credential nobody gave."""
        credentials = self.credentials(plan, options, SecretBook({}))
        credentials.check()
        for table in plan.tables():
            for call in table.calls.values():
                for operation in call.operations:
                    base = self.base(plan, options, operation.source)
                    if _carries(call, table.secrets):
                        check_secrecy(base, call.step)
        for given in credentials.given.values():
            check_secrecy(self.base(plan, options, given.need.source), given.need.key)
            if given.fetches:
                self.token_endpoint(plan, options, given)

    def check_again(self, plan: Plan, options: Mapping[str, Any]) -> None:
        """As ``check``, for a run that has begun."""
        with _begun():
            self.check(plan, options)

    def credentials(self, plan: Plan, options: Mapping[str, Any], book: SecretBook) -> Credentials:
        """What is given for the security schemes of the plan's sources."""
        given = {} if self.pretend else options.get("auth", {})
        return Credentials(plan, given, book, pretend=self.pretend)

    def token_endpoint(self, plan: Plan, options: Mapping[str, Any], given: Given) -> tuple[str, str]:
        """Where an OAuth2 client gets its token: base URL, and path with query.

        Raises CredentialError AZM-C043 where nobody says where, HostError as ``base`` does.
        """
        need, named = given.need, given.fields.get("token_url", "")
        url = named or need.scheme.token_url
        if not url:
            raise CredentialError(
                f"nothing says where a token for {need.key} is to be had",
                code="AZM-C043",
                next=f"say it: --auth {need.key}.token_url=https://HOST/PATH",
            )
        home = self.base(plan, options, need.source)
        # A relative one is seen from the server (OpenAPI 3.1, OAuth Flow Object).
        parts = urlsplit(urljoin(home + "/", url))
        server = f"{parts.scheme}://{parts.netloc}"
        allowed = [*options.get("allow_hosts", ()), urlsplit(home).hostname or ""]
        base = base_url(need.key, {need.key: server}, {need.key: server} if named else {}, allowed)
        check_secrecy(base, need.key)
        return base, (parts.path or "/") + (f"?{parts.query}" if parts.query else "")

    def open(self, run: Run, book: SecretBook, clock: Clock, chance: Callable[[], float]) -> PerformsCalls:
        """A transport for one run; to be closed."""
        book.files = run.files()
        plan, options = run.plan, run.head.options
        credentials = self.credentials(plan, options, book)
        endpoints: dict[str, tuple[str, str]] = {}
        for given in credentials.given.values():
            origins = frozenset({origin_of(self.base(plan, options, given.need.source))})
            for field in ("", "token", "basic", "password"):
                book.bind(given.secret(field), origins)
            if given.fetches:
                endpoints[given.need.key] = self.token_endpoint(plan, options, given)
                for field in ("client_id", "client_secret", "refresh_token"):
                    book.bind(given.secret(field), frozenset({origin_of(endpoints[given.need.key][0])}))

        def base(source: str) -> str:
            return (
                endpoints[source[len(PREFIX) :]][0] if source.startswith(PREFIX) else self.base(plan, options, source)
            )

        def inward(source: str) -> bool:
            own = credentials.needs[source[len(PREFIX) :]].source if source.startswith(PREFIX) else source
            if own in {**options.get("servers", {}), **self.servers}:
                return True
            return (urlsplit(base(source)).hostname or "").rstrip(".").lower() in options.get("allow_hosts", ())

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


@contextmanager
def _begun() -> Iterator[None]:
    try:
        yield
    except CredentialError as error:
        error.exit_code = 14  # type: ignore[misc]
        raise


def _carries(call: CallPlan, secrets: Collection[str]) -> bool:
    """Whether one of these inputs is sent with the call."""
    templates = [*(value for _, _, value in call.parameters), *([call.body] if call.body is not None else [])]
    if call.effect.probe is not None:
        templates += [value for _, _, value in call.effect.probe.parameters]
    read = {one.name for template in templates for one in references(template) if one.root == "inputs"}
    return not read.isdisjoint(secrets)
