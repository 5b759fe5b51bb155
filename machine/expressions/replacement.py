"""A Payload Replacement Object -> a target; and a target, a body and a value -> the body with the value in it.

The body is never changed in place: what it is made of may belong to the run. A target that is not there is a
RequestError before anything is sent, except where a JSON Pointer names a new member of an object that is there, or the
end of a list: that is how values get into a body that leaves them out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from ..errors import BugError, DocumentError, Place, RequestError
from ..values import Json, SecretRef, SecretText, Value, contains_file, contains_secret, redact
from .embedded import as_text
from .evaluate import Context
from .grammar import Expression, split_path
from .jsonpath import Query, located
from .question import Undecided
from .selector import restored, selection
from .verdict import clip, show
from .xpath import XPath

__all__ = ["Target", "compile_target", "restore_target"]

_KINDS: Final = ("jsonpointer", "jsonpath", "xpath")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where a value goes."""

    kind: str
    text: str
    version: str
    selects: tuple[str, ...] | Query | XPath
    tolerances: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.kind} {clip(self.text, 80)}"

    def expressions(self) -> tuple[Expression, ...]:
        if isinstance(self.selects, tuple):
            return ()
        return self.selects.given if isinstance(self.selects, XPath) else self.selects.expressions()

    def put(self, body: Value, value: Value, context: Context) -> Value:
        """The body with the value at the target.

        :raises RequestError: AZM-E330 when the target is not in the body, AZM-E331 when it cannot be looked for.
        """
        if isinstance(self.selects, XPath):
            return self._put_xml(self.selects, body, value, context)
        if isinstance(self.selects, tuple):
            return self._set(body, self.selects, value)
        try:
            paths = located(self.selects, body, context)
        except Undecided as undecided:
            raise self._refuse("AZM-E331", undecided.why) from None
        if not paths:
            raise self._refuse("AZM-E330", f"it selects nothing in {show(body)}")
        for path in paths:
            body = self._set(body, path, value)
        return body

    def _put_xml(self, xpath: XPath, body: Value, value: Value, context: Context) -> Value:
        if isinstance(value, (SecretRef, SecretText)) or contains_secret(value):
            raise self._refuse("AZM-E331", "a secret cannot be set so; write it into the payload as {$inputs.NAME}")
        if contains_file(value):
            raise self._refuse("AZM-E331", "a file cannot be written into XML")
        answer = xpath.ask("text", body, context, "" if value is None else as_text(redact(value)))
        if answer.problem:
            raise self._refuse("AZM-E330", answer.problem)
        return answer.value

    def _set(self, body: Value, path: Sequence[str | int], value: Value) -> Value:
        """The body with one spot set: the containers on the way are copied, nothing else is."""
        trail: list[tuple[Any, Any]] = []
        here: Any = body
        for depth, step in enumerate(path):
            last = depth == len(path) - 1
            key = self._key(here, step, last=last)
            trail.append((here, key))
            here = None if last else here[key]
        made: Any = value
        for container, key in reversed(trail):
            if isinstance(container, Mapping):
                made = {**container, key: made}
            else:
                made = [*container[:key], made, *container[key + 1 :]]
        return cast("Value", made)

    def _key(self, container: Any, step: str | int, *, last: bool) -> str | int:
        """The member or index a step names in a container; the last step may also name one that is new."""
        if isinstance(container, Mapping):
            if step in container or last:
                return str(step)
        elif isinstance(container, (list, tuple)):
            length = len(container)
            if step == "-" and last:
                return length
            # RFC 6901 section 4: an index has no sign and no leading zero.
            if isinstance(step, str) and step.isascii() and step.isdigit() and (step == "0" or step[0] != "0"):
                step = int(step) if len(step) < 10 else length + 1
            if isinstance(step, int) and step < length + last:
                return step
        raise self._refuse("AZM-E330", f"{clip(str(step), 40)!r} is not in {show(container)}")

    def _refuse(self, code: str, why: str) -> RequestError:
        return RequestError(
            f"the replacement at {self} cannot be made: {why}",
            code=code,
            next="Give the payload a value there, or correct the target.",
        )

    def to_json(self) -> dict[str, Json]:
        return {"type": self.kind, "target": self.text, "version": self.version}


def compile_target(text: str, kind: str, version: str, *, xml: bool, minor: str, place: Place) -> Target:
    """Read the target of a body that is XML or is not. Without a kind it is an XPath in the one and a JSON Pointer in
    the other (Payload Replacement Object); 1.0 has no other, but its documents do write JSONPath and dotted names.

    :raises DocumentError: AZM-E332 for a kind that cannot be used in such a body, and what its language refuses.
    """
    codes: tuple[str, ...] = ()
    written = text
    if not kind:
        kind = "xpath" if xml else "jsonpointer"
        if kind == "jsonpointer" and minor == "1.0" and text.startswith("$"):
            kind, codes = "jsonpath", ("C5",)
        elif kind == "jsonpointer" and minor == "1.0" and text and not text.startswith("/"):
            tokens = split_path(text) or ()
            written = "".join("/" + token.replace("~", "~0").replace("/", "~1") for token in tokens) or text
            codes = ("C5",)
    if kind not in _KINDS or (kind == "xpath") is not xml:
        raise DocumentError(
            f"a target of type {clip(kind, 40)!r} cannot be found in {'an XML' if xml else 'this'} body",
            code="AZM-E332",
            place=place,
            seen=clip(text, 80),
            next="Use xpath in XML, and jsonpointer or jsonpath in everything else.",
        )
    selects = selection(kind, written, version, minor=minor, place=place)
    return Target(kind=kind, text=written, version=version, selects=selects, tolerances=codes)


def restore_target(data: Mapping[str, object]) -> Target:
    """The inverse of :meth:`Target.to_json`. Raises BugError for JSON it cannot have written."""
    kind, text, version = (data.get(name) for name in ("type", "target", "version"))
    if kind not in _KINDS or not isinstance(text, str) or not isinstance(version, str):
        raise BugError("a stored replacement has a form this release does not write", code="AZM-E036")
    return Target(kind=str(kind), text=text, version=version, selects=restored(str(kind), text, version))
