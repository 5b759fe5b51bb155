"""Request Body Object -> one template: the payload, members out of ``in: body`` parameters, and replacements.

What kind of body it is decides how its text is read, so it is settled here, when the document is compiled: JSON text is
parsed (``expressions/json_text.py``), targets in XML are XPaths and all others JSON Pointers unless they say otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from ..document.model import Parameter, Replacement, RequestBody
from ..errors import DocumentError, Place
from ..expressions.grammar import here
from ..expressions.json_text import compile_json_text, is_json_text
from ..expressions.replacement import Target, compile_target
from ..expressions.template import ObjectTemplate, Replaced, Template, TextTemplate, Unusable
from ..sources.model import Operation, is_json_type, media_type
from ..sources.parameters import FORM
from .misplaced import misplaced
from .problems import Problems
from .reader import Reader

__all__ = ["compile_body", "is_xml_type"]


def is_xml_type(content_type: str) -> bool:
    """Whether a body of this type is XML: ``application/xml``, ``text/xml`` or the suffix ``+xml`` (RFC 7303)."""
    bare = media_type(content_type)
    return bare in ("application/xml", "text/xml") or bare.endswith("+xml")


def compile_body(
    body: RequestBody | None, members: Sequence[Parameter], operation: Operation | None, reader: Reader
) -> Template | None:
    """The template of a step's body; None where it sends none. ``members`` are its parameters ``in: body``;
    ``operation`` is None where it was not found, so that what is wrong with the body is told beside that.

    Raises DocumentError for a value or target that cannot be read, AZM-P060 for members of a payload that is no
    object, AZM-P061 for replacements in XML that is not there.
    """
    problems = Problems()
    kind = _kind(body, operation)
    payload = problems.attempt(lambda: _payload(body, kind, reader))
    added = problems.each(partial(_member, one, reader) for one in members)
    changes = problems.each(partial(_change, one, kind, reader) for one in (body.replacements if body else ()))
    problems.report()
    if added:
        payload = _with_members(payload, added, members[0].place)
    if body is None or not changes:
        return payload
    if payload is None and is_xml_type(kind):
        raise DocumentError(
            "replacements need a payload to be made in",
            code="AZM-P061",
            place=body.replacements[0].place,
            next="Write the XML under payload.",
        )
    made = Replaced(ObjectTemplate(()) if payload is None else payload, changes)
    for number, why in misplaced(made):
        place = reader.document.inside(body.replacements[number].place, "target")
        reader.doomed("AZM-P027", f"{why}; the step that sends it fails", place)
    return made


def _kind(body: RequestBody | None, operation: Operation | None) -> str:
    """The type the body will have: the step's own, else the first JSON type the operation declares, else its first."""
    if body is not None and body.content_type:
        return body.content_type
    types = [one for one in (operation.body_types if operation else ()) if "*" not in one]
    return next((one for one in types if is_json_type(one)), types[0] if types else "application/json")


def _payload(body: RequestBody | None, kind: str, reader: Reader) -> Template | None:
    if body is None or not body.has_payload:
        return None
    place = reader.document.inside(body.place, "payload")
    if is_json_type(kind) and isinstance(body.payload, str) and is_json_text(body.payload):
        return reader.checked(_json_text(body.payload, place, reader), place, "request", here)
    made = reader.value(body.payload, place, "request")
    # In a text that is XML or a form, what a value brings would be markup or more fields. One expression alone is the
    # whole document it says.
    syntax = "xml" if is_xml_type(kind) else "form" if media_type(kind) == FORM else ""
    return replace(made, syntax=syntax) if isinstance(made, TextTemplate) and not _is_alone(made) else made


def _is_alone(text: TextTemplate) -> bool:
    """Whether nothing but blanks and the line end of a YAML block stands around one expression."""
    return len([part for part in text.parts if not isinstance(part, str) or part.strip()]) == 1


def _json_text(text: str, place: Place, reader: Reader) -> Template:
    """Text that is no JSON is one step's trouble: a document with a slip in one branch runs through all others."""
    try:
        return compile_json_text(text, place=place, declared=reader.declared, aware=not reader.strict)
    except DocumentError as error:
        if reader.strict or error.code != "AZM-E021":
            raise
        return Unusable(error.message)


def _member(one: Parameter, reader: Reader) -> tuple[str, Template]:
    return one.name, reader.parameter(one, "request")


def _with_members(payload: Template | None, added: Sequence[tuple[str, Template]], place: Place) -> ObjectTemplate:
    """Arazzo 1.0.0 listed ``body`` among the places of a parameter (rule C12): a member of the body by its name."""
    if payload is not None and not isinstance(payload, ObjectTemplate):
        raise DocumentError(
            "parameters in: body are members of the payload, and it is no object",
            code="AZM-P060",
            place=place,
            next="Write them into the payload.",
        )
    return ObjectTemplate(tuple(dict([*(payload.members if payload is not None else ()), *added]).items()))


def _change(one: Replacement, kind: str, reader: Reader) -> tuple[Target, Template]:
    place = reader.document.inside(one.place, "target")
    xml = is_xml_type(kind)
    target = compile_target(one.target, one.selector, one.version, xml=xml, minor=reader.minor, place=place)
    problems = Problems()
    problems.attempt(lambda: reader.leaf(target, place, "request"))
    value = problems.attempt(lambda: reader.value(one.value, reader.document.inside(one.place, "value"), "request"))
    problems.report()
    assert value is not None
    return target, value
