"""Credentials that arrive in answers: taken out before the core sees them, sealed into the journal, had again later.

A token a step was answered with, and a later call authenticates with, is a secret nobody typed. Here its text becomes
a reference, ``reply:N`` for the answer to call N, in the reply that ``advance`` is given; the text itself stays in the
SecretBook. What is stored beside the reference is the text sealed under a key that is not in the store, so a process
that goes on with the run can open it. Where it cannot, the safe call that gave the credential is made again, outside
the machine, as a reference to a variable is read again; and where that call is not safe, the run says so.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
import stat
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, cast

from ..chart.effects import Call
from ..chart.events import CallFailed, Replied, Reply
from ..chart.snapshot import Record, Snapshot
from ..errors import CredentialError, UsageError
from ..expressions.grammar import Expression, split_path
from ..expressions.template import references
from ..plan.credentials import Credentials
from ..plan.inputs import names_a_secret
from ..plan.model import Plan
from ..values import SecretRef, secret_names
from .secrets import Reference, SecretBook

__all__ = ["Answers", "Sealer", "SealingTransport", "is_answered", "needed", "refuse_plain", "take_out"]

_KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_LARGEST_KEY: Final = 4096
_NAME: Final = re.compile(r"reply:[0-9]+(\.[0-9]+)?")
_COOKIES: Final = frozenset({"set-cookie", "set-cookie2"})
_NOT_KEPT: Final = "[not kept]"
_CHAIN: Final = 8
"""Credentials that were each got with the one before: how many calls are made again to have the last."""


class Sealer:
    """Seals texts with AES-256-GCM, bound to the run and the name they belong to: moved elsewhere they do not open.

    The key is that of ``reference``, else the file beside the store, else one that ends with the process. Without the
    package ``cryptography`` (extra ``crypto``) nothing is sealed and nothing can be opened.
    """

    def __init__(self, reference: str = "", file: Path | None = None) -> None:
        self._reference = reference
        self._file = file
        self._key = b""

    @property
    def works(self) -> bool:
        """Whether texts can be sealed here at all."""
        try:
            import cryptography  # noqa: F401
        except ImportError:
            return False
        return True

    def prepare(self) -> None:
        """Have the key ready, and make the file where there is none, so that sealing an answer cannot fail later.

        Raises CredentialError AZM-C060 for a key that cannot be had or is none, AZM-C061 for a key file others can
        read, AZM-C062 where a key was given and nothing can seal with it.
        """
        if self._key:
            return
        if not self.works:
            if self._reference:
                raise CredentialError(
                    "a key was given, and the package that seals with it is not installed",
                    code="AZM-C062",
                    next="pip install 'arazzo-machine[crypto]'",
                )
            return
        if self._reference:
            self._key = _read_key(Reference(self._reference).resolve("key", flag="--key "), self._reference)
        elif self._file is not None:
            self._key = _file_key(self._file)
        else:
            self._key = os.urandom(_KEY_BYTES)

    def seal(self, run_id: str, name: str, text: str) -> str:
        """The text as it may be stored; empty where nothing can be sealed."""
        if not self._key:
            return ""
        nonce = os.urandom(_NONCE_BYTES)
        sealed = self._cipher().encrypt(nonce, text.encode("utf-8", "surrogatepass"), _bound(run_id, name))
        return base64.urlsafe_b64encode(nonce + sealed).decode()

    def open(self, run_id: str, name: str, sealed: str) -> str | None:
        """The text again; None where it was not sealed, or not for this run and name under this key."""
        if not (sealed and self._key):
            return None
        from cryptography.exceptions import InvalidTag

        try:
            data = base64.urlsafe_b64decode(sealed)
            text: bytes = self._cipher().decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], _bound(run_id, name))
            return text.decode("utf-8", "surrogatepass")
        except (InvalidTag, ValueError):
            return None

    def _cipher(self) -> Any:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        return AESGCM(self._key)


def _bound(run_id: str, name: str) -> bytes:
    return f"{run_id}\0{name}".encode()


def _read_key(text: str, where: str) -> bytes:
    try:
        key = base64.b64decode(text.strip().replace("-", "+").replace("_", "/"), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != _KEY_BYTES:
        raise CredentialError(
            f"the key of {where} is none: {_KEY_BYTES} bytes in base64 are expected",
            code="AZM-C060",
            next="make one with: openssl rand -base64 32",
        )
    return key


def _file_key(file: Path) -> bytes:
    """The key of a file, which is made where there is none; two processes at once end up with the same one."""
    try:
        if not file.exists():
            part = file.with_name(f"{file.name}.{os.getpid()}")
            handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
            with os.fdopen(handle, "wb") as stream:
                stream.write(base64.b64encode(os.urandom(_KEY_BYTES)) + b"\n")
                stream.flush()
                os.fsync(stream.fileno())
            try:
                os.link(part, file)
            except FileExistsError:
                pass
            finally:
                part.unlink()
        with os.fdopen(os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as stream:
            about = os.fstat(stream.fileno())
            # Of a file of another user that user knows the key, whatever its mode is now.
            if not stat.S_ISREG(about.st_mode) or about.st_mode & 0o077 or about.st_uid != os.geteuid():
                raise CredentialError(
                    "the key file can be read by others, or is no file of yours",
                    code="AZM-C061",
                    seen=str(file),
                    next=f"chmod 600 {file}; and if it was read, begin new runs with a new key",
                )
            text = stream.read(_LARGEST_KEY).decode("ascii", "replace")
    except OSError as error:
        raise CredentialError(
            "the key beside the store cannot be read or made",
            code="AZM-C060",
            seen=f"{file}: {error.strerror}",
            next="check the folder, or give a key: --key @env:VARIABLE",
        ) from error
    return _read_key(text, str(file))


def is_answered(name: str) -> bool:
    """Whether this is the name of a credential out of an answer."""
    return _NAME.fullmatch(name) is not None


# -- taking credentials out of an answer -------------------------------------------------------------------------------


def take_out(
    reply: Reply, places: Iterable[Expression], number: int, book: SecretBook, seal: Callable[[str, str], str]
) -> Reply:
    """The reply with references where its credentials stood, and wherever else their texts stand in it. What a body
    calls a token or a secret beside them is one too: a login rarely gives only what the document uses.

    The book learns the texts. Only texts are credentials: a number or a truth value stays what it is.
    """
    found: dict[str, str] = {}

    def hide(value: Any) -> Any:
        if isinstance(value, str) and value:
            count = len(reply.sealed) + len(found)
            name = found.setdefault(value, f"reply:{number}.{count}" if count else f"reply:{number}")
            return SecretRef(name)
        if isinstance(value, Mapping):
            return {key: hide(item) for key, item in value.items()}
        return [hide(item) for item in value] if isinstance(value, list) else value

    def hide_named(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {
                key: hide(item) if isinstance(item, str) and names_a_secret(key) else hide_named(item)
                for key, item in value.items()
            }
        return [hide_named(item) for item in value] if isinstance(value, list) else value

    headers, body = dict(reply.headers), reply.body
    for place in places:
        if place.part == "header":
            name = place.name.lower()
            headers = {key: hide(value) if key == name else value for key, value in headers.items()}
        elif place.part == "body":
            body = _changed(body, (*(split_path(place.name) or ()), *place.pointer), hide)
    body = hide_named(body) if found else body
    for text, name in found.items():
        book.note(name, text)
    return replace(
        reply,
        headers=cast("Mapping[str, Any]", book.conceal(headers)),
        body=book.conceal(body),
        sealed={**reply.sealed, **{name: seal(name, text) for text, name in found.items()}},
    )


def _changed(value: Any, path: Sequence[str], change: Callable[[Any], Any]) -> Any:
    """A copy of a JSON value that differs at one place, or the value itself where it has no such place."""
    if not path:
        return change(value)
    if isinstance(value, Mapping) and path[0] in value:
        return {key: _changed(item, path[1:], change) if key == path[0] else item for key, item in value.items()}
    if isinstance(value, list):
        return [_changed(item, path[1:], change) if str(index) == path[0] else item for index, item in enumerate(value)]
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class SealingTransport:
    """A transport whose answers hold no credential in clear: those the document uses become references, and a cookie
    it does not speak of is not kept."""

    inner: Any
    places: Mapping[str, tuple[Expression, ...]]
    """Step to the parts of its answers that are credentials."""
    book: SecretBook
    seal: Callable[[str, str], str]
    cookies: bool = False
    """Whether the document speaks of cookies that are set."""

    def perform(self, call: Call, timeout: float) -> Replied | CallFailed:
        event: Replied | CallFailed = self.inner.perform(call, timeout)
        if isinstance(event, CallFailed):
            return event
        reply, places = event.reply, self.places.get(call.step)
        if places:
            reply = take_out(reply, places, call.number, self.book, self.seal)
        if not self.cookies and not _COOKIES.isdisjoint(reply.headers):
            kept = {name: _NOT_KEPT if name in _COOKIES else value for name, value in reply.headers.items()}
            reply = replace(reply, headers=kept)
        return event if reply is event.reply else replace(event, reply=reply)

    def close(self) -> None:
        self.inner.close()


def refuse_plain(placed: Credentials, step: str, outputs: Mapping[str, Any]) -> None:
    """Raise UsageError AZM-U106 where somebody gives the text of a credential as an output: it would be stored so."""
    plain = sorted(set(outputs) & placed.outputs.get(step, frozenset()))
    if plain:
        raise UsageError(
            f"output {plain[0]!r} of {step} is a credential: its text is not stored",
            code="AZM-U106",
            next="give the whole answer in a file: --reply FILE",
        )


# -- having them again -------------------------------------------------------------------------------------------------


def needed(plan: Plan, snapshot: Snapshot) -> frozenset[str]:
    """The credentials of answers a run may still send: those of the call that waits, of the outputs later calls read,
    and of what one workflow handed to another."""
    pending = snapshot.pending
    found: set[str] = set()
    if pending is not None:
        found |= secret_names([pending.request.target, dict(pending.request.headers), pending.request.body])
    frames, source = snapshot.standing
    calls = [call for _, call in plan.ahead(*(frame.state for frame in frames[:-1]), source) if call is not None]
    templates = [
        *(value for call in calls for _, _, value in call.parameters),
        *(call.body for call in calls if call.body is not None),
        *(value for call in calls if call.effect.probe for _, _, value in call.effect.probe.parameters),
    ]
    read = [one for template in templates for one in references(template)]
    owners = {one.owner for one in read if one.root == "steps"}
    several = len(plan.callees) > 0
    for frame in frames:
        found |= secret_names([outputs for step, outputs in frame.steps.items() if several or step in owners])
        found |= secret_names(frame.inputs)
    if several and calls:
        found |= secret_names([(one.inputs, one.outputs) for one in snapshot.workflows.values()])
    return frozenset(name for name in found if is_answered(name))


class Answers:
    """The credentials a run's history holds, for the process that goes on with it.

    ``perform`` makes a call again, through a SealingTransport that knows the same book.
    """

    def __init__(
        self,
        run_id: str,
        history: Sequence[Record],
        kept: Mapping[str, Any] | None,
        book: SecretBook,
        sealer: Sealer,
        perform: Callable[[Call], Replied | CallFailed],
        store_flag: str = "",
    ) -> None:
        self._run_id = run_id
        self._history = history
        self._book = book
        self._sealer = sealer
        self._perform = perform
        self._store_flag = store_flag
        self._sealed: dict[str, tuple[int, str]] = {}
        for record in history:
            self._note(record.event, record.seq)
        # An answer that was kept and not used yet is what the run goes on with.
        self._note(kept or {}, len(history) + 1)

    def _note(self, event: Mapping[str, Any], seq: int) -> None:
        reply = event.get("reply")
        sealed = reply.get("sealed") if isinstance(reply, Mapping) else None
        for name, text in sealed.items() if isinstance(sealed, Mapping) else ():
            # An answer that was accepted later stands in two records; the first follows its call.
            self._sealed.setdefault(name, (seq, text))

    @property
    def waiting(self) -> frozenset[str]:
        """The credentials of an answer that was kept and not used yet."""
        return frozenset(name for name, (seq, _) in self._sealed.items() if seq > len(self._history))

    def give(self, names: Iterable[str], *, anew: bool, depth: int = 0) -> None:
        """Let the book know these. ``anew``: they were refused, so the calls that gave them are made again if they
        are safe. Raises CredentialError AZM-C023, exit code 14, for one that cannot be had."""
        for name in sorted(set(names) - self._book.names):
            seq, sealed = self._sealed.get(name, (0, ""))
            text = self._sealer.open(self._run_id, name, sealed)
            call = self._call_before(seq)
            if text is not None and not (anew and call is not None and call.kind == "safe"):
                self._book.note(name, text)
                continue
            why = self._call_again(call, anew=anew, depth=depth)
            if name not in self._book.names:
                raise self._gone(name, call, why)

    def _call_before(self, seq: int) -> Call | None:
        """The call that record's answer is one to."""
        record = next((one for one in self._history if one.seq == seq - 1), None)
        effects = record.effects if record is not None else ()
        return next((one for one in effects if isinstance(one, Call)), None)

    def _call_again(self, call: Call | None, *, anew: bool, depth: int) -> str:
        """Make the call that gave a credential once more; why that was of no use, where it was not."""
        if call is None:
            return "it was given by hand"
        if call.kind != "safe":
            reason = (
                "does not open with this key" if self._sealer.works else "was not kept: the extra crypto is missing"
            )
            return f"it {reason}, and {call.step} is not safe to call again"
        if depth >= _CHAIN:
            return "too many calls would have to be made again"
        request = call.request
        self.give(secret_names([request.target, dict(request.headers), request.body]), anew=anew, depth=depth + 1)
        event = self._perform(call)
        if isinstance(event, CallFailed):
            return f"{call.step} was called again, and got no answer: {event.message}"
        return f"{call.step} was called again, and answered {event.reply.status} without it"

    def _gone(self, name: str, call: Call | None, why: str) -> CredentialError:
        error = CredentialError(
            f"run {self._run_id} cannot go on: the credential {name}{f' of {call.step}' if call else ''} cannot be "
            f"had: {why}",
            code="AZM-C023",
            next=f"give it: arazzo-machine resume {self._run_id}{self._store_flag} -i {name}=@env:VARIABLE",
        )
        # The run has begun, and goes on once the credential is there.
        error.exit_code = 14
        return error
