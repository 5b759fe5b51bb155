"""A parsed OpenAPI description (3.0, 3.1, 3.2) -> Source.

Descriptions in the wild are often not valid, so nothing is validated here: what cannot be understood is left out, and
what cannot be followed is noted on the operation it belongs to. This file fetches nothing and opens nothing: the files
a description refers to were read before.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

from ..document.positions import Twice
from ..errors import Place, SourceError
from .model import Operation, ParameterSpec, PartSpec, SecurityScheme, Source, is_json_type
from .nodes import File, Node, mapping, unclear
from .resolve import is_remote

__all__ = ["read_openapi"]

_METHODS: Final = ("get", "put", "post", "delete", "options", "head", "patch", "trace", "query")
_LOCATIONS: Final = frozenset({"path", "query", "header", "cookie", "querystring"})
_STYLES: Final = {"path": "simple", "header": "simple"}
_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VARIABLE: Final = re.compile(r"\{([^{}]*)\}")


def read_openapi(
    value: Mapping[str, Any],
    *,
    name: str,
    uri: str,
    sha256: str,
    url: str = "",
    called: str = "",
    beside: Mapping[str, Any] | None = None,
) -> Source:
    """Read an already parsed description.

    ``uri`` is the path it was read from; ``url`` the URL it is known by, which its relative servers are relative to.
    ``called`` is what ``--source`` calls it, where that is not its name. ``beside`` are the values of the files it
    refers to, by path.

    Raises SourceError: AZM-S003 for Swagger 2.0, AZM-S004 when it is no OpenAPI description of a known version.
    """
    called = called or name
    _check_version(value, called=called, uri=uri)
    root = File(path=uri, value=value, beside=beside or {}).root
    # 3.2, "OpenAPI Object": $self is the base of relative references where there is one.
    own = value.get("$self")
    base = "" if isinstance(own, Twice) else urljoin(url, own) if isinstance(own, str) else url
    reader = _Reader(root, name, base, fetched=is_remote(uri))
    operations: dict[str, _Unread] = {}
    paths: dict[str, dict[str, _Unread]] = {}
    titles: dict[str, list[str]] = {}
    unread: dict[str, str] = {}
    if isinstance(several := root.get("paths").value, Twice):
        unread[""] = str(several)
    for path, written in root.get("paths").items():
        if not path.startswith("/"):
            continue
        notes: list[str] = []
        # Most stand where they are used, and there may be tens of thousands.
        item = written.followed(notes, f"path item {path}") if "$ref" in written.object else written
        if isinstance(item.value, Twice):
            notes.append(f"path item {path}: {item.value}")
        if notes:
            # Its operations are not known. Those written beside the reference are, and carry the note themselves.
            unread[path] = notes[0]
            item = Node(written.object, written.file)
        elif item is not written:
            # Path Item Object: fields beside `$ref` have no defined meaning; taking them first loses nothing.
            item = Node(
                {**item.object, **{key: one for key, one in written.object.items() if key != "$ref"}}, item.file
            )
        if isinstance(others := item.object.get("additionalOperations"), Twice):
            unread[f"{path} additionalOperations"] = f"path item {path}: {others}"
        for method, body in _methods(item):
            title = f"{method.upper()} {path}"
            operation_id = body.object.get("operationId")
            if isinstance(operation_id, Twice):
                unread[title] = f"{title}: {operation_id}"
            lost = (str(body.value),) if isinstance(body.value, Twice) else ()
            one = _Unread(reader, path, item, method, body, (*notes, *lost))
            paths.setdefault(path, {})[method.upper()] = one
            if isinstance(operation_id, str) and operation_id:
                operations.setdefault(operation_id, one)
                titles.setdefault(operation_id, []).append(title)
    return Source(
        name=name,
        called=called,
        uri=uri,
        sha256=sha256,
        version=str(value["openapi"]),
        operations=_Made(operations),
        order=tuple(operations),
        paths={path: _Made(item) for path, item in paths.items()},
        duplicates={key: tuple(several) for key, several in titles.items() if len(several) > 1},
        unread=unread,
    )


class _Unread:
    """An operation that is read when it is asked for: a document calls a few of a description's thousands."""

    __slots__ = ("_arguments", "_read", "_reader")

    def __init__(
        self, reader: _Reader, path: str, item: Node, method: str, body: Node, unresolved: tuple[str, ...]
    ) -> None:
        self._reader = reader
        self._arguments = (path, item, method, body, unresolved)
        self._read: Operation | None = None

    def read(self) -> Operation:
        if self._read is None:
            self._read = self._reader.operation(*self._arguments)
        return self._read


class _Made(Mapping[str, Operation]):
    """Operations by name, each read when it is asked for."""

    def __init__(self, unread: Mapping[str, _Unread]) -> None:
        self._unread = unread

    def __getitem__(self, key: str) -> Operation:
        return self._unread[key].read()

    def __iter__(self) -> Iterator[str]:
        return iter(self._unread)

    def __len__(self) -> int:
        return len(self._unread)

    def __contains__(self, key: object) -> bool:
        return key in self._unread


def _check_version(value: Mapping[str, Any], *, called: str, uri: str) -> None:
    if "swagger" in value:
        raise SourceError(
            f"the source description {called!r} is Swagger 2.0, which is not supported",
            code="AZM-S003",
            place=Place(document=uri, pointer="/swagger"),
            seen=f"swagger: {value['swagger']}",
            next="convert it to OpenAPI 3, for example with `npx swagger2openapi old.yaml -o new.yaml`, "
            f"and give the result with --source {called}=new.yaml",
        )
    version = str(value.get("openapi", ""))
    if not re.fullmatch(r"3\.[012](\..*)?", version):
        raise SourceError(
            f"the source description {called!r} is not an OpenAPI description of version 3.0, 3.1 or 3.2",
            code="AZM-S004",
            place=Place(document=uri, pointer="/openapi" if version else ""),
            seen=f"openapi: {version[:200]}" if version else "no field `openapi`",
            next=f"give the right file with --source {called}=PATH",
        )


def _methods(item: Node) -> Iterator[tuple[str, Node]]:
    written = item.object
    for method in _METHODS:
        if method in written and isinstance(body := written[method], (dict, Mapping, Twice)):
            yield method, Node(body, item.file)
    if "additionalOperations" not in written:
        return
    # 3.2 Path Item Object: other methods stand under `additionalOperations`. The name goes on the wire.
    for method, body in item.get("additionalOperations").items():
        if isinstance(body.value, (Mapping, Twice)) and _TOKEN.fullmatch(method):
            yield method, body


class _Reader:
    """What every operation of one description shares."""

    def __init__(self, root: Node, source: str, base: str, *, fetched: bool) -> None:
        self.root = root
        self.source = source
        self.base = base
        # OpenAPI Object, servers: without any, there is one with the URL `/`. Only of a description that was fetched is
        # that the place it came from; where else a file lies says nothing about the service.
        self.usual = _absolute("/", base) if fetched else ""

    def operation(self, path: str, item: Node, method: str, body: Node, unresolved: tuple[str, ...]) -> Operation:
        gaps: list[str] = []
        lost = list(unresolved)
        unknown: dict[tuple[str, str], str] = {}
        operation_id = body.get("operationId").value
        request = body.get("requestBody").followed(gaps, "requestBody")
        for part in (request, *(media.followed() for _, media in request.get("content").items())):
            if twice := unclear(part.value):
                unknown["", "body"] = f"requestBody: {twice}"
        responses = {
            # An unreadable response does not keep anyone from calling.
            status: response.followed()
            for status, response in body.get("responses").items()
        }
        for answer in (body.get("responses"), *responses.values()):
            if twice := unclear(answer.value, schemas=True):
                gaps.append(f"its answers: {twice}")
                break
        security, alternatives = self.security(body, gaps, lost)
        return Operation(
            source=self.source,
            operation_id=operation_id if isinstance(operation_id, str) else "",
            method=method.upper(),
            path=path,
            server=self.server(body, item, gaps),
            parameters=_parameters((item, body), gaps, unknown),
            body_types=tuple(kind for kind, _ in request.get("content").items()),
            encodings={kind: parts for kind, one in request.get("content").items() if (parts := _encoding(one, gaps))},
            body_required=request.get("required").value is True,
            body_schema=schema.object if (schema := _schema(request)) and schema.object else None,
            security=security,
            alternatives=alternatives,
            responses={status: response.object for status, response in responses.items()},
            unresolved=tuple(lost),
            unclear=unknown,
            redirects=any(status.startswith("3") for status in responses),
            gaps=tuple(gaps),
            request_schemas=dict(_schemas(request)),
            reply_schemas={status: found for status, one in responses.items() if (found := _schema(one)) is not None},
        )

    def server(self, body: Node, item: Node, gaps: list[str]) -> str:
        """Empty where somebody has to name it: it is not said, or said twice."""
        found = _server(self.base, body, item, self.root)
        if isinstance(found, Twice):
            gaps.append(f"its server: {found}")
            return ""
        return found or self.usual

    def requirements(self, body: Node) -> Node:
        """The operation's, or the root's where the operation is silent; an empty list is no silence."""
        return (body if "security" in body.object else self.root).get("security")

    def security(
        self, body: Node, gaps: list[str], lost: list[str]
    ) -> tuple[tuple[SecurityScheme, ...], tuple[tuple[str, ...], ...]]:
        """Every scheme the operation names, with all the scopes it asks of it, and the alternatives of which all is
        clear; where it has none but unclear ones, nobody can call it."""
        schemes = self.root.get("components").get("securitySchemes")
        found: dict[str, SecurityScheme] = {}
        required = self.requirements(body)
        notes = {"": str(required.value)} if isinstance(required.value, Twice) else {}
        for requirement in required.entries():
            for name, written in requirement.object.items():
                scheme = schemes.get(name).followed(gaps, f"security scheme {name}")
                if twice := unclear(written) or unclear(scheme.value):
                    notes[str(name)] = f"security scheme {name}: {twice}"
                    continue
                value = scheme.object
                if not isinstance(kind := value.get("type"), str):
                    continue
                scopes = [one for one in written if isinstance(one, str)] if isinstance(written, list) else []
                before = found[name].scopes if name in found else ()
                found[name] = _scheme(str(name), kind, value, tuple(dict.fromkeys((*before, *scopes))))
        named = [tuple(map(str, one.object)) for one in required.entries()]
        clear = tuple(one for one in named if notes.keys().isdisjoint(one))
        (gaps if clear else lost).extend(notes.values())
        return tuple(found.values()), clear


def _schemas(owner: Node) -> Iterator[tuple[str, Node]]:
    """The schemas of all types under ``content`` of a request body or a response."""
    for kind, media in owner.get("content").items():
        schema = media.followed().get("schema")
        if isinstance(schema.value, Mapping):
            yield kind, schema


def _schema(owner: Node) -> Node | None:
    """The schema of the first JSON type that has one."""
    return next((schema for kind, schema in _schemas(owner) if is_json_type(kind)), None)


def _encoding(media: Node, gaps: list[str]) -> dict[str, PartSpec]:
    """The Encoding Objects of one Media Type Object, by property."""
    found = {}
    for name, written in media.followed(gaps, "a request body").get("encoding").items():
        value = written.object
        style, explode = value.get("style"), value.get("explode")
        found[name] = PartSpec(
            content_type=str(value.get("contentType") or ""),
            style=style if isinstance(style, str) else "",
            explode=explode if isinstance(explode, bool) else None,
            allow_reserved=value.get("allowReserved") is True,
        )
    return found


def _parameters(
    levels: tuple[Node, ...], gaps: list[str], unknown: dict[tuple[str, str], str]
) -> tuple[ParameterSpec, ...]:
    """Path-item level, then operation level; a later one of the same name and location replaces (Operation Object)."""
    merged: dict[tuple[str, str], ParameterSpec] = {}
    for level in levels:
        if isinstance(twice := level.get("parameters").value, Twice):
            unknown["", ""] = f"its parameters: {twice}"
        for node in level.get("parameters").entries():
            written = node.followed(gaps, "a parameter")
            # Whoever sends it need not know whether it is required.
            spec = _parameter(written, gaps)
            repeated = unclear({key: one for key, one in written.object.items() if key != "required"} or written.value)
            if spec is None:
                if repeated:
                    unknown["", ""] = f"a parameter: {repeated}"
                continue
            key = spec.name.lower() if spec.location == "header" else spec.name
            merged[key, spec.location] = spec
            unknown.pop((key, spec.location), None)
            if repeated:
                unknown[key, spec.location] = f"{spec.location} parameter {spec.name!r}: {repeated}"
    return tuple(merged.values())


def _parameter(node: Node, gaps: list[str]) -> ParameterSpec | None:
    value = node.object
    name, location = value.get("name"), value.get("in")
    if not isinstance(name, str) or not isinstance(location, str) or location not in _LOCATIONS:
        return None
    content = dict(node.get("content").items())
    if content:
        # Parameter Object: `content` has exactly one entry, and its media type replaces style and explode.
        style = next(iter(content))
        schema = content[style].followed(gaps, f"parameter {name}").get("schema").value
    else:
        written = value.get("style")
        style = written if isinstance(written, str) and written else _STYLES.get(location, "form")
        schema = value.get("schema")
    explode = value.get("explode")
    return ParameterSpec(
        name=name,
        location=location,
        required=location == "path" or value.get("required") is True,
        style=style,
        explode=explode if isinstance(explode, bool) else style in {"form", "cookie"},
        allow_reserved=value.get("allowReserved") is True,
        schema=schema if isinstance(schema, Mapping) else None,
    )


def _server(base: str, *levels: Node) -> str | Twice:
    """The first server of the nearest level that declares any (Operation, Path Item, OpenAPI Object).

    A relative one is relative to where the description is ("Server Object"); where that is a file it stays relative,
    and somebody has to name the server.
    """
    for level in levels:
        if isinstance(several := level.get("servers").value, Twice):
            return several
        for server in level.get("servers").entries():
            if twice := unclear(server.value):
                return twice
            if not isinstance(url := server.get("url").value, str):
                continue
            defaults = {
                f"{{{name}}}": str(default)
                for name, variable in server.get("variables").items()
                if isinstance(default := variable.get("default").value, (str, int))
            }
            filled = _VARIABLE.sub(lambda match, known=defaults: known.get(match[0], match[0]), url)  # type: ignore[misc]
            return _absolute(filled, base)
    return ""


def _absolute(url: str, base: str) -> str:
    try:
        return urljoin(base, url) if urlsplit(base).scheme in ("http", "https") else url
    except ValueError:
        return url


def _scheme(name: str, kind: str, value: Mapping[str, Any], scopes: tuple[str, ...]) -> SecurityScheme:
    location, parameter_name, scheme, token_url, refresh_url = "", "", "", "", ""
    if kind == "apiKey":
        location, parameter_name = str(value.get("in", "")), str(value.get("name", ""))
    elif kind in {"http", "oauth2", "openIdConnect"}:
        # RFC 9110 section 11.6.2, and RFC 6750 section 2.1 for the token kinds.
        location, parameter_name = "header", "Authorization"
        scheme = str(value.get("scheme", "")).lower() if kind == "http" else "bearer"
    if kind == "oauth2":
        flows = mapping(value.get("flows"))
        # A client asks for itself where its own flow says; what is renewed came out of another flow, if there is one.
        others = [mapping(flows.get(name)) for name in ("authorizationCode", "deviceAuthorization", "password")]
        own = mapping(flows.get("clientCredentials"))
        token_url = _first("tokenUrl", own, *others)
        refresh_url = _first("refreshUrl", *others, own) or _first("tokenUrl", *others, own)
    return SecurityScheme(
        name=name,
        type=kind,
        location=location,
        parameter_name=parameter_name,
        scheme=scheme,
        token_url=token_url,
        refresh_url=refresh_url,
        scopes=scopes,
    )


def _first(field: str, *flows: Mapping[str, Any]) -> str:
    return next((str(one[field]) for one in flows if one.get(field)), "")
