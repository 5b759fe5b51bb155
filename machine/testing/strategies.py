"""Hypothesis strategies for what strangers send: documents, answers, expressions, conditions, and damage to a store.

Needs ``hypothesis`` (extra ``testing``). Everything is made small and mostly well formed, because a text that is
refused in its first line tries nothing; ``texts`` then damages it. Nothing here reads a clock, a file or the network.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from hypothesis import strategies as st

from ..chart.events import Reply

__all__ = [
    "API",
    "Damage",
    "bodies",
    "conditions",
    "damages",
    "documents",
    "expressions",
    "json_values",
    "queries",
    "replies",
    "texts",
]

API: Final[Mapping[str, Any]] = {
    "openapi": "3.1.0",
    "info": {"title": "Things", "version": "1"},
    "servers": [{"url": "https://things.example"}],
    "paths": {
        "/things": {
            "get": {"operationId": "list", "responses": {"200": {"description": "all"}}},
            "post": {"operationId": "make", "responses": {"201": {"description": "made"}}},
        },
        "/things/{id}": {
            "parameters": [{"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}],
            "get": {"operationId": "get", "responses": {"200": {"description": "one"}}},
            "delete": {"operationId": "drop", "responses": {"204": {"description": "gone"}}},
        },
    },
}
"""The description the documents are about; it is found under ``things.json``."""

_NAMES: Final = ("a", "b", "id", "state", "send", "__init__", "a-b", "x.y")
_WORDS: Final = ("running", "pending", "", "0", "null", "\u202e", "\x1b[31m", "'", '"', "\\", "\U0001f600", "x" * 300)


_CHARACTERS: Final = st.characters(codec="utf-8")


def json_values(*, leaves: int = 12) -> st.SearchStrategy[Any]:
    """JSON values: null, booleans, numbers that are finite, texts, lists and objects."""
    scalars = (
        st.none()
        | st.booleans()
        | st.integers(-(2**63), 2**63)
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.sampled_from(_WORDS)
        | st.text(_CHARACTERS, max_size=12)
    )
    keys = st.sampled_from(_NAMES) | st.text(_CHARACTERS, max_size=6)
    return st.recursive(
        scalars,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
        max_leaves=leaves,
    )


def expressions() -> st.SearchStrategy[str]:
    """Runtime expressions (Arazzo, "Runtime Expressions"), and texts that are nearly one."""
    names = st.sampled_from(_NAMES)
    pointers = st.lists(st.sampled_from(["a", "0", "~0", "~1", "", "state", "-1", "99"]), max_size=3).map(
        lambda tokens: "".join(f"/{one}" for one in tokens)
    )
    bodies_ = st.builds(lambda root, pointer: f"${root}.body{f'#{pointer}' if pointer else ''}", _sides(), pointers)
    whole = st.one_of(
        st.sampled_from(["$url", "$method", "$statusCode", "$self", "$inputs", "$steps", "$", "$$", "$nobody.a"]),
        bodies_,
        st.builds(lambda root, part, name: f"${root}.{part}.{name}", _sides(), st.sampled_from(_PARTS), names),
        st.builds(lambda name: f"$inputs.{name}", names),
        st.builds(lambda step, name: f"$steps.{step}.outputs.{name}", names, names),
        st.builds(lambda name, field: f"$sourceDescriptions.{name}.{field}", names, st.sampled_from(["url", "name"])),
        st.builds(lambda name: f"$components.parameters.{name}", names),
    )
    return whole | st.builds(_spoiled, whole, st.integers(0, 40), st.sampled_from("#./[]{}~$ \0\u00e9"))


_PARTS: Final = ("header", "query", "path", "body")


def _sides() -> st.SearchStrategy[str]:
    return st.sampled_from(["request", "response"])


def conditions() -> st.SearchStrategy[str]:
    """Simple conditions (Criterion Object), and texts that are nearly one."""
    values = st.one_of(
        expressions(),
        st.sampled_from(["true", "false", "null", "200", "-1", "1.5", "'a'", "'it''s'", '"a"', "pending", "1e9"]),
    )
    operators = st.sampled_from(["==", "!=", "<", "<=", ">", ">=", "=", "===", "~"])
    atoms = values | st.builds(lambda one, operator, other: f"{one} {operator} {other}", values, operators, values)
    whole = st.recursive(
        atoms,
        lambda inner: (
            st.builds(lambda one: f"!{one}", inner)
            | st.builds(lambda one: f"({one})", inner)
            | st.builds(lambda one, word, other: f"{one} {word} {other}", inner, st.sampled_from(["&&", "||"]), inner)
        ),
        max_leaves=6,
    )
    return whole | st.builds(_spoiled, whole, st.integers(0, 60), st.sampled_from("()!&|='\"<> \0"))


def queries() -> st.SearchStrategy[str]:
    """JSONPath queries (RFC 9535), and texts that are nearly one."""
    segments = st.sampled_from(
        [
            *(
                ".a",
                "['b']",
                "[0]",
                "[-1]",
                "[*]",
                "..a",
                "..*",
                "[1:3]",
                "[?@.a]",
                "[?@.a == 'b']",
                "[?!@.a]",
                ".state",
            ),
            *("[?length(@.a) > 1]", "[?count(@..*) < 9]", "[?match(@.a, 'x*')]", "[?search(@, '(a+)+$')]", "[0, 'a']"),
        ]
    )
    whole = st.lists(segments, max_size=5).map(lambda parts: "$" + "".join(parts))
    return whole | st.builds(_spoiled, whole, st.integers(0, 40), st.sampled_from("[]()?@.*'\"&| \0"))


def _spoiled(text: str, at: int, char: str) -> str:
    """The text with one character more, somewhere."""
    at %= len(text) + 1
    return text[:at] + char + text[at:]


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    """An Arazzo document with one workflow over :data:`API`: well formed, and not always sensible."""
    count = draw(st.integers(1, 4))
    ids = [f"s{number}" for number in range(count)]
    version = draw(st.sampled_from(["1.0.1", "1.1.0"]))
    steps = [draw(_steps(one, ids)) for one in ids]
    return {
        "arazzo": version,
        "info": {"title": draw(st.sampled_from(["A", "running"])), "version": "1"},
        "sourceDescriptions": [{"name": "things", "url": "things.json", "type": "openapi"}],
        "workflows": [
            {
                "workflowId": "w",
                "inputs": {"type": "object", "properties": {"a": {"type": "string"}, "token": {"type": "string"}}},
                "parameters": [{"name": "id", "in": "path", "value": "one"}],
                "steps": steps,
                "outputs": {"o": draw(expressions())},
            }
        ],
    }


@st.composite
def _steps(draw: st.DrawFn, step_id: str, ids: list[str]) -> dict[str, Any]:
    step: dict[str, Any] = {"stepId": step_id, "operationId": draw(st.sampled_from(["list", "make", "get", "drop"]))}
    values = expressions() | json_values(leaves=4)
    if draw(st.booleans()):
        spots = st.sampled_from(["header", "query", "cookie"])
        names = st.sampled_from(["X-A", "Authorization", "q"])
        step["parameters"] = [{"name": draw(names), "in": draw(spots), "value": draw(values)}]
    if draw(st.booleans()):
        step["requestBody"] = {"contentType": "application/json", "payload": draw(values)}
    if draw(st.booleans()):
        step["successCriteria"] = [draw(_criteria())]
    if draw(st.booleans()):
        step["outputs"] = {draw(st.sampled_from(["a", "o", "state"])): draw(expressions())}
    for side in ("onSuccess", "onFailure"):
        if draw(st.booleans()):
            step[side] = [draw(_actions(ids, retries=side == "onFailure"))]
    return step


@st.composite
def _criteria(draw: st.DrawFn) -> dict[str, Any]:
    if draw(st.booleans()):
        return {"condition": draw(conditions())}
    return {"context": "$response.body", "type": "jsonpath", "condition": draw(queries())}


@st.composite
def _actions(draw: st.DrawFn, ids: list[str], *, retries: bool) -> dict[str, Any]:
    kind = draw(st.sampled_from(["end", "goto", *(["retry"] if retries else [])]))
    action: dict[str, Any] = {"name": draw(st.sampled_from(["x", "y"])), "type": kind}
    if kind == "goto":
        action["stepId"] = draw(st.sampled_from(ids))
    if kind == "retry":
        action |= {"retryAfter": draw(st.sampled_from([0, 0.5, 10])), "retryLimit": draw(st.integers(0, 3))}
    if draw(st.booleans()):
        action["criteria"] = [draw(_criteria())]
    return action


def texts() -> st.SearchStrategy[bytes]:
    """Documents as bytes, most of them damaged: a piece cut out, doubled, or something put in between."""
    intruders = st.sampled_from(
        [
            *(
                b"",
                b"\0",
                b"\xff",
                b"{",
                b"]",
                b'"',
                b": ",
                b"\n- ",
                b"&a ",
                b"*a ",
                b"!!python/object:os.system ",
                b"<<: ",
            ),
            *(b"\\ud800", b"9" * 30, b"NaN", b"\xef\xbb\xbf", b"%YAML 1.2\n", b"---\n", b"\t"),
        ]
    )
    whole = documents().map(lambda one: json.dumps(one).encode())
    return whole | st.builds(_damaged_text, whole, st.integers(0), st.integers(0, 40), intruders)


def _damaged_text(text: bytes, at: int, length: int, intruder: bytes) -> bytes:
    at %= len(text) + 1
    return text[:at] + intruder + text[at + length :]


def replies() -> st.SearchStrategy[Reply]:
    """Answers as the machine sees them."""
    headers = st.dictionaries(
        st.sampled_from(["retry-after", "location", "content-type", "x-a"]),
        st.sampled_from(["0", "3", "-1", "Wed, 21 Oct 2015 07:28:00 GMT", "soon", "1e400", "", "\u00e9"]),
        max_size=3,
    )
    statuses = st.sampled_from(
        [100, 200, 201, 202, 204, 302, 400, 401, 404, 408, 409, 425, 429, 500, 502, 503, 504, 599]
    )
    forms: st.SearchStrategy[Any] = st.sampled_from(["json", "text", "empty", "undecodable"])
    return st.builds(
        lambda status, headers, body, form: Reply(
            status=status,
            headers=headers,
            body=body if form == "json" else str(body) if form == "text" else None,
            form=form,
            url="https://things.example/things",
        ),
        statuses,
        headers,
        json_values(),
        forms,
    )


def bodies() -> st.SearchStrategy[tuple[bytes, str]]:
    """Bodies of answers as bytes, with the Content-Type that comes with them; it is often a lie."""
    types = st.sampled_from(
        [
            *(
                "",
                "application/json",
                "application/problem+json; charset=utf-8",
                "text/html; charset=latin-1",
                "text/plain",
            ),
            *(
                "application/xml",
                "application/octet-stream",
                "application/json; charset=utf-16",
                "x",
                ";",
                "\u00e9/\u00e9",
            ),
        ]
    )
    made = json_values().map(lambda value: json.dumps(value).encode())
    damaged = st.builds(
        _damaged_text, made, st.integers(0), st.integers(0, 6), st.sampled_from([b"", b"\xff", b"NaN", b"[" * 300])
    )
    return st.tuples(made | damaged | st.binary(max_size=40), types)


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """What happened to a file: bytes changed, zeroed, cut off or put in, at a place that is taken modulo its length."""

    kind: str
    at: int
    length: int
    data: bytes

    def apply(self, content: bytes) -> bytes:
        at = self.at % (len(content) + 1)
        if self.kind == "cut":
            return content[:at]
        if self.kind == "insert":
            return content[:at] + self.data + content[at:]
        if self.kind == "zero":
            return content[:at] + bytes(min(self.length, len(content) - at)) + content[at + self.length :]
        return (content[:at] + self.data + content[at + len(self.data) :])[: len(content)]


def damages() -> st.SearchStrategy[Damage]:
    """What may have happened to the file of a store."""
    return st.builds(
        Damage,
        kind=st.sampled_from(["change", "zero", "cut", "insert"]),
        at=st.integers(0, 1 << 20),
        length=st.sampled_from([1, 16, 512, 4096]),
        data=st.binary(min_size=1, max_size=16),
    )
