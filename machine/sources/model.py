"""What a source description is read into: Source, Operation and, once there are values, Request.

All values are frozen; ``openapi.py`` makes Sources, ``serialise.py`` makes Requests out of an Operation and the values
a run has. An Operation and a Request have a JSON form, because the stored plan and the journal hold them. Nothing
here does I/O.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import MachineError
from ..values import MISSING, SecretText, Value, decode, encode
from .nodes import Node

__all__ = [
    "Operation",
    "ParameterSpec",
    "PartSpec",
    "Request",
    "SecurityScheme",
    "Source",
    "is_json_type",
    "media_type",
]


def media_type(content_type: str) -> str:
    """The bare type of a Content-Type, lower-case and without parameters (RFC 9110 section 8.3.1)."""
    return content_type.partition(";")[0].strip().lower()


def is_json_type(content_type: str) -> bool:
    """Whether a body of this type is written as JSON: ``application/json``, the suffix ``+json`` (RFC 6839), or
    ``text/json``, which nobody registered and many send (WHATWG MIME Sniffing, "JSON MIME type")."""
    bare = media_type(content_type)
    return bare in ("application/json", "text/json") or bare.endswith("+json")


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterSpec:
    """Parameter Object of OpenAPI: how one value is written into a request."""

    name: str
    location: str
    """``path``, ``query``, ``header``, ``cookie`` or ``querystring`` (the field ``in``)."""
    required: bool = False
    style: str
    """A style name; the media type instead when the parameter is described by ``content``."""
    explode: bool = False
    allow_reserved: bool = False
    schema: Mapping[str, Any] | None = None
    """As written, ``$ref`` included; not part of the JSON form."""

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "in": self.location,
            "required": self.required,
            "style": self.style,
            "explode": self.explode,
            "allowReserved": self.allow_reserved,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> ParameterSpec:
        return cls(
            name=value["name"],
            location=value["in"],
            required=value["required"],
            style=value["style"],
            explode=value["explode"],
            allow_reserved=value["allowReserved"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PartSpec:
    """Encoding Object of OpenAPI: how one property of a form or multipart body is written. Empty: not said."""

    content_type: str = ""
    style: str = ""
    explode: bool | None = None
    allow_reserved: bool = False

    @property
    def styled(self) -> bool:
        """Whether it is written like a query parameter; its content type then means nothing."""
        return bool(self.style) or self.explode is not None or self.allow_reserved

    def to_json(self) -> dict[str, Any]:
        return {
            "contentType": self.content_type,
            "style": self.style,
            "explode": self.explode,
            "allowReserved": self.allow_reserved,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> PartSpec:
        return cls(
            content_type=value["contentType"],
            style=value["style"],
            explode=value["explode"],
            allow_reserved=value["allowReserved"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityScheme:
    """Security Scheme Object, reduced to where its credential stands in a request."""

    name: str
    type: str
    location: str = ""
    """``header``, ``query`` or ``cookie``; empty when the credential is no parameter (mutualTLS)."""
    parameter_name: str = ""
    scheme: str = ""
    """The HTTP authentication scheme in lower case, ``bearer`` for oauth2 and openIdConnect; empty for apiKey."""
    token_url: str = ""
    """Where an OAuth2 client gets a token for itself; as written. Empty where no flow says."""
    refresh_url: str = ""
    """Where one is renewed (OAuth Flow Object, refreshUrl); where no flow says, that is where it came from."""
    scopes: tuple[str, ...] = ()
    """The scopes the operation asks of it."""

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "type": self.type,
            "in": self.location,
            "parameterName": self.parameter_name,
            "scheme": self.scheme,
            "tokenUrl": self.token_url,
            "refreshUrl": self.refresh_url,
            "scopes": list(self.scopes),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> SecurityScheme:
        return cls(
            name=value["name"],
            type=value["type"],
            location=value["in"],
            parameter_name=value["parameterName"],
            scheme=value["scheme"],
            token_url=value["tokenUrl"],
            refresh_url=value["refreshUrl"],
            scopes=tuple(value["scopes"]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """Operation Object with all that its path item and the root of its description add to it."""

    source: str
    """The name of the source description it stands in."""
    operation_id: str = ""
    method: str
    """Upper case."""
    path: str
    """The path template, as written."""
    server: str = ""
    """The first server of the nearest level that has one, variables replaced by their defaults; absolute, or relative
    as written. A variable without a default keeps its braces. Empty when no server is declared."""
    parameters: tuple[ParameterSpec, ...] = ()
    body_types: tuple[str, ...] = ()
    """Media types of the request body, in the order of the description."""
    encodings: Mapping[str, Mapping[str, PartSpec]] = field(default_factory=dict)
    """By media type and property; only what the description says something about."""
    body_required: bool = False
    body_schema: Mapping[str, Any] | None = None
    """The schema of the first JSON body type, as written; not part of the JSON form."""
    security: tuple[SecurityScheme, ...] = ()
    """Every scheme it names, each once."""
    alternatives: tuple[tuple[str, ...], ...] = ()
    """Names of schemes: all of one of these are needed. An empty one: it can be called without."""
    responses: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Response Objects by status key; after :meth:`from_json` only the 2xx keys, with empty objects."""
    redirects: bool = False
    """Whether a 3xx is one of its answers: the description declares one, or the step asks for one."""
    unresolved: tuple[str, ...] = ()
    """Sentences about what is not known and without which nobody can call it; finding such an operation raises."""
    gaps: tuple[str, ...] = field(default=(), compare=False)
    """Sentences about what is not known and without which it can be called all the same; not part of the JSON form,
    like the two schemas below."""
    unclear: Mapping[tuple[str, str], str] = field(default_factory=dict, compare=False, repr=False)
    """By name and location, sentences about what a key that stands twice leaves unknown, for whoever sends that;
    ``("", "body")`` is the body, ``("", "")`` every parameter that is not declared. Not part of the JSON form."""
    request_schemas: Mapping[str, Node] = field(default_factory=dict, compare=False, repr=False)
    """The schemas of the request body, by media type as written."""
    reply_schemas: Mapping[str, Node] = field(default_factory=dict, compare=False, repr=False)
    """By status key, the schema of the first JSON type of each response that has one."""

    @property
    def request_schema(self) -> Node | None:
        """The schema of the first JSON body type."""
        return next((schema for kind, schema in self.request_schemas.items() if is_json_type(kind)), None)

    @property
    def title(self) -> str:
        """``GET /pets``: a name every operation has."""
        return f"{self.method} {self.path}"

    def success_statuses(self) -> tuple[int, ...]:
        """The declared 2xx statuses, ascending. Ranges (``2XX``) and ``default`` name no status and do not count."""
        return tuple(sorted(int(key) for key in self.responses if len(key) == 3 and key.isdecimal() and key[0] == "2"))

    def parameter(self, name: str, location: str) -> ParameterSpec | None:
        """The declared parameter; header names compare without case (RFC 9110 section 5.1)."""
        for one in self.parameters:
            if one.location != location:
                continue
            if one.name == name or (location == "header" and one.name.lower() == name.lower()):
                return one
        return None

    def to_json(self) -> dict[str, Any]:
        """The parts a stored plan needs: schemas and response objects stay in the description."""
        return {
            "source": self.source,
            "operationId": self.operation_id,
            "method": self.method,
            "path": self.path,
            "server": self.server,
            "parameters": [one.to_json() for one in self.parameters],
            "bodyTypes": list(self.body_types),
            "encodings": {
                kind: {name: one.to_json() for name, one in parts.items()} for kind, parts in self.encodings.items()
            },
            "bodyRequired": self.body_required,
            "success": list(self.success_statuses()),
            "security": [one.to_json() for one in self.security],
            "alternatives": [list(one) for one in self.alternatives],
            "redirects": self.redirects,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Operation:
        return cls(
            source=value["source"],
            operation_id=value["operationId"],
            method=value["method"],
            path=value["path"],
            server=value["server"],
            parameters=tuple(ParameterSpec.from_json(one) for one in value["parameters"]),
            body_types=tuple(value["bodyTypes"]),
            encodings={
                kind: {name: PartSpec.from_json(one) for name, one in parts.items()}
                for kind, parts in value["encodings"].items()
            },
            body_required=value["bodyRequired"],
            security=tuple(SecurityScheme.from_json(one) for one in value["security"]),
            alternatives=tuple(tuple(one) for one in value["alternatives"]),
            redirects=value["redirects"],
            responses={str(status): {} for status in value["success"]},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One source description of type openapi, read."""

    name: str
    called: str = ""
    """What ``--source`` calls it: in another document than the first, its name alone means something else."""
    uri: str = ""
    """The path it was read from."""
    sha256: str = ""
    """Hex digest of the bytes that were read."""
    version: str = ""
    """The OpenAPI version, as written."""
    operations: Mapping[str, Operation] = field(default_factory=dict)
    """By operationId; of several with one id, the first."""
    order: tuple[str, ...] = ()
    """The operationIds in the order of the description."""
    paths: Mapping[str, Mapping[str, Operation]] = field(default_factory=dict)
    """Every operation by path template and upper-case method, those without an operationId too."""
    duplicates: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """operationIds used more than once: the titles (``GET /pets``) of all their operations."""
    unread: Mapping[str, str] = field(default_factory=dict)
    """What could not be read, each with the sentence that says why: by the path of a path item, ``""`` for all of them,
    or the title of an operation whose id or body is not known."""
    problem: MachineError | None = None
    """Why nothing is known of this source; asking for one of its operations raises it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request, complete but for its base URL and the texts of its secrets, which the driver joins."""

    source: str
    method: str
    target: str | SecretText
    """Path and query, percent-encoded, starting with ``/``, relative to the server's base URL."""
    headers: tuple[tuple[str, str | SecretText], ...] = ()
    """Without Content-Type where there is a body: that is ``content_type``."""
    body: Value = MISSING
    """MISSING: no body. For a JSON type the value to be dumped (None is JSON null), otherwise its text, a FileRef or,
    where files or secrets are parts of it, a Content."""
    content_type: str = ""
    """Empty where there is no body."""
    follows: bool = False
    """Whether a redirect is no answer of it, so that one on the same origin may be followed."""
    server: str = ""
    """That of its operation, as the description says."""
    security: tuple[tuple[str, ...], ...] = ()
    """The security schemes of its source the document does not meet itself, as alternatives; the driver adds one."""

    def to_json(self) -> dict[str, Any]:
        return {
            "source": self.source,
            "server": self.server,
            "method": self.method,
            "target": encode(self.target),
            "headers": [[name, encode(value)] for name, value in self.headers],
            "body": encode(self.body),
            "contentType": self.content_type,
            "follows": self.follows,
            "security": [list(one) for one in self.security],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Request:
        return cls(
            source=value["source"],
            server=value["server"],
            method=value["method"],
            target=decode(value["target"]),
            headers=tuple((name, decode(text)) for name, text in value["headers"]),
            body=decode(value["body"]),
            content_type=value["contentType"],
            follows=value["follows"],
            security=tuple(tuple(one) for one in value["security"]),
        )
