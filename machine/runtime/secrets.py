"""References to secrets, their texts for as long as one process lives, and the two places the texts are used.

A SecretBook joins texts into a request at the moment it is sent, and takes them out of every reply before anybody
else sees it. It prints as nothing but names. No other file of the package holds the text of a secret.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import BugError, CredentialError, HostError, InputError, RequestError, UsageError
from ..values import SecretRef, SecretText, secrets_in
from .clock import held_back
from .concealing import Concealer, spell
from .files import Files

__all__ = ["COMMAND", "PREFIX", "Reference", "SecretBook", "parse_reference"]

PREFIX = "auth:"
"""What the names of credentials begin with, so that no input is ever taken for one."""

COMMAND = "@cmd:"
"""What a reference to the output of a command begins with. It is run only where it was given on a command line."""

_COMMAND_TIMEOUT = 30.0
_LARGEST_FILE = 1 << 20


@dataclass(frozen=True, slots=True)
class Reference:
    """Where a value comes from: ``@env:NAME``, ``@file:PATH``, ``@cmd:LINE`` or ``@prompt``. Safe to store and show."""

    text: str

    def __post_init__(self) -> None:
        kind, _, rest = self.text.partition(":")
        if not (self.text == "@prompt" or (kind in ("@env", "@file", "@cmd") and rest)):
            raise UsageError(
                f"{self.text!r} is not a reference",
                code="AZM-U044",
                next="write @env:NAME, @file:PATH, @cmd:LINE or @prompt",
            )

    def resolve(self, name: str, *, flag: str = "", prompt: Callable[[str], str] | None = None) -> str:
        """The text behind it. ``flag`` is what is written before a reference to give another; of an input, unless told.

        Raises CredentialError AZM-C020 when there is none; the text is never in the error.
        """
        kind, _, rest = self.text.partition(":")
        text, why = "", "it is empty or not set"
        try:
            text = self._read(kind, rest, name, prompt)
        except UnicodeDecodeError:
            why = "it is no text in UTF-8"
        except subprocess.TimeoutExpired:
            why = "the command took too long"
        except subprocess.SubprocessError:
            why = "the command failed"
        except _NotHad as error:
            why = error.why
        except OSError as error:
            why = (error.strerror or type(error).__name__).lower()
        if not text:
            # Raised out here, because an error of the block above may hold what was read.
            raise CredentialError(
                f"the value of {name!r} cannot be had from {self.text}: {why}",
                code="AZM-C020",
                next=f"set it, or give another reference: {flag or f'-i {name}='}@env:VARIABLE",
            )
        return text

    def _read(self, kind: str, rest: str, name: str, prompt: Callable[[str], str] | None) -> str:
        if kind == "@env":
            return os.environ.get(rest, "")
        if kind == "@file":
            with Path(rest).open("rb") as file:
                data = file.read(_LARGEST_FILE + 1)
            if len(data) > _LARGEST_FILE:
                raise _NotHad(f"it is larger than {_LARGEST_FILE >> 10} KiB")
            return data.decode().rstrip("\r\n")
        if kind == "@cmd":
            return _output(rest).decode().rstrip("\r\n")
        if prompt is None:
            raise _NotHad("there is nobody to ask")
        return prompt(name)


class _NotHad(Exception):
    def __init__(self, why: str) -> None:
        self.why = why


def _output(line: str) -> bytes:
    """What a command prints. It is the operator's own command line, never a document's: documents carry no @cmd."""
    process = None
    try:
        # A signal that arrived while it is being made would leave a process nobody knows.
        with held_back():
            process = subprocess.Popen(["/bin/sh", "-c", line], stdout=subprocess.PIPE)
        output, _ = process.communicate(timeout=_COMMAND_TIMEOUT)
    except BaseException:
        if process is not None:
            # Not communicate(): a child of its own may keep the pipe open.
            with process:
                process.kill()
        raise
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, "sh")
    return output


def parse_reference(text: str) -> Reference | str:
    """A command-line value: a Reference when it begins with ``@``, the text itself otherwise; ``@@`` is a literal @."""
    if text.startswith("@@"):
        return text[1:]
    return Reference(text) if text.startswith("@") else text


def _is_unsendable(text: str) -> bool:
    """Half of a surrogate pair is how Python carries a byte that is not UTF-8."""
    return any(ord(char) < 32 or ord(char) == 127 or 0xD800 <= ord(char) <= 0xDFFF for char in text)


class SecretBook:
    """Name to text, in memory only. ``files`` has the bytes of the files a request refers to.

    ``told`` learns every text this book does, for what is printed and logged.
    """

    def __init__(self, texts: Mapping[str, str], *, told: Concealer | None = None) -> None:
        self._texts: dict[str, str] = {}
        self._concealer = Concealer()
        self._told = told
        self._bound: dict[str, frozenset[str]] = {}
        self.files = Files()
        self.learn(texts)

    def learn(self, texts: Mapping[str, str]) -> None:
        """Know these texts too, or instead of others of the same name. Texts that were replaced stay hidden.

        Raises InputError AZM-C021 for a text with a control character.
        """
        for name, text in texts.items():
            if _is_unsendable(text):
                raise InputError(
                    f"the secret {name.removeprefix(PREFIX)!r} contains a control character",
                    code="AZM-C021",
                    next="remove line breaks and other control characters from it",
                )
        for name, text in texts.items():
            self.note(name, text)

    @property
    def names(self) -> frozenset[str]:
        return frozenset(self._texts)

    def note(self, name: str, text: str) -> None:
        """Know one more, which nobody has checked: whether it can be sent is seen when it is."""
        self._texts[name] = text
        for one in (self._concealer, self._told):
            if one is not None:
                one.learn(name, text)

    def bind(self, name: str, origins: frozenset[str]) -> None:
        """From now on this text is sent to these origins and to no other."""
        self._bound[name] = origins

    def bound(self, name: str) -> frozenset[str]:
        return self._bound.get(name, frozenset())

    def check_origin(self, value: Any, origin: str, step: str) -> None:
        """Raises HostError AZM-C034 where a text in the value may not go to that origin: an answer may have held it,
        and a document may pass on what was answered."""
        for ref in secrets_in(value):
            if ref.name in self._bound and origin not in self._bound[ref.name]:
                raise HostError(
                    f"{step} would send the credential {ref.name.removeprefix(PREFIX)} to another server than its own",
                    code="AZM-C034",
                    seen=origin,
                    next="give that server a credential of its own",
                )

    def __repr__(self) -> str:
        return f"SecretBook({', '.join(sorted(self._texts))})"

    def join(self, text: str | SecretText) -> str:
        """The text as it is sent. Raises RequestError where a secret cannot stand in a URL path, or, coming from
        elsewhere, could end a line."""
        if isinstance(text, str):
            return text
        return "".join(part if isinstance(part, str) else self._text_of(part) for part in text.parts)

    def join_all(self, value: Any) -> Any:
        """A JSON value with every secret in it as text."""
        if isinstance(value, (SecretRef, SecretText)):
            return self.join(value if isinstance(value, SecretText) else SecretText((value,)))
        if isinstance(value, Mapping):
            return {key: self.join_all(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.join_all(item) for item in value]
        return value

    def text_of(self, name: str) -> str:
        """The text itself, for those who make another secret of it."""
        text = self._texts.get(name)
        if text is None:
            raise BugError(f"no text is known for the secret {name!r}", code="AZM-B010")
        return text

    def _text_of(self, ref: SecretRef) -> str:
        text = self.text_of(ref.name)
        if _is_unsendable(text):
            raise RequestError(
                f"the secret {ref.name.removeprefix(PREFIX)!r} contains a control character",
                code="AZM-R024",
                next="it cannot be sent",
            )
        before, _, last = ref.encoding.rpartition(" ")
        if last == "percent" and {".", ".."} & set(re.split(r"[/\\]", spell(text, before))):
            # An encoded slash is decoded by some proxies before they normalise the path.
            raise RequestError(
                f"the secret {ref.name!r} cannot be part of a path", code="AZM-R020", next="give another value"
            )
        return spell(text, ref.encoding)

    def stands_in(self, body: bytes) -> bool:
        """Whether one of the texts can be read in these bytes."""
        return self._concealer.stands_in(body)

    def conceal(self, value: Any) -> Any:
        """The value with every known secret replaced by a reference to it, however it is spelled."""
        return self._concealer.conceal(value)

    def conceal_json(self, value: Any, text: bytes) -> Any:
        """The same for a value that was read from ``text``, which is JSON in UTF-8."""
        return self._concealer.conceal_json(value, text)
