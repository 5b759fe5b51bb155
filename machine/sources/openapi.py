"""A parsed OpenAPI description (3.0, 3.1, 3.2) -> Source; a step's reference to an operation -> Operation.

Descriptions in the wild are often not valid, so nothing is validated here: what cannot be understood is left out, and
what cannot be followed is noted on the operation that needs it and raised when that operation is asked for. This file
fetches nothing and opens nothing: a reference out of the description is such a note.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any, Final
from urllib.parse import unquote

from ..errors import DocumentError, Place, SourceError
from .model import Operation, ParameterSpec, PartSpec, SecurityScheme, Source, is_json_type

__all__ = ["find_operation", "find_operation_path", "read_openapi"]

_METHODS: Final = ("get", "put", "post", "delete", "options", "head", "patch", "trace", "query")
_LOCATIONS: Final = frozenset({"path", "query", "header", "cookie", "querystring"})
_STYLES: Final = {"path": "simple", "header": "simple"}
_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VARIABLE: Final = re.compile(r"\{([^{}]*)\}")
_REF_LIMIT: Final = 32
"""How many references may point at each other in a row; real descriptions need two or three."""
_EXPRESSION: Final = "$sourceDescriptions."
_OPERATION_PATH: Final = re.compile(
    r"(?:\{\$sourceDescriptions\.(?P<braced>[^.{}#]+)(?:\.url)?\}"
    r"|\$sourceDescriptions\.(?P<bare>[^.{}#]+)(?:\.url)?"
    r"|(?P<plain>[^${}#]+))"
    r"#(?P<pointer>/.*)",
    re.DOTALL,
)


def read_openapi(value: Mapping[str, Any], *, name: str, uri: str, sha256: str) -> Source:
    """Read an already parsed description.

    Raises SourceError: AZM-S003 for Swagger 2.0, AZM-S004 when it is no OpenAPI description of a known version.
    """
    _check_version(value, name=name, uri=uri)
    root = _Root(value)
    operations: dict[str, Operation] = {}
    paths: dict[str, dict[str, Operation]] = {}
    titles: dict[str, list[str]] = {}
    unread: dict[str, str] = {}
    for path, written in _mapping(value.get("paths")).items():
        if not isinstance(path, str) or not path.startswith("/"):
            continue
        notes: list[str] = []
        item = root.resolve(written, notes, f"path item {path}")
        if notes:
            # Its operations are not known. Those written beside the reference are, and carry the note themselves.
            unread[path] = notes[0]
            item = _mapping(written)
        elif isinstance(written, Mapping) and "$ref" in written:
            # Path Item Object: fields beside `$ref` have no defined meaning; taking them first loses nothing.
            item = {**item, **written}
        for method, body in _methods(item):
            operation = _operation(root, source=name, path=path, item=item, method=method, body=body, notes=notes)
            paths.setdefault(path, {})[operation.method] = operation
            if operation.operation_id:
                operations.setdefault(operation.operation_id, operation)
                titles.setdefault(operation.operation_id, []).append(operation.title)
    return Source(
        name=name,
        uri=uri,
        sha256=sha256,
        version=str(value["openapi"]),
        operations=operations,
        order=tuple(operations),
        paths=paths,
        duplicates={key: tuple(several) for key, several in titles.items() if len(several) > 1},
        unread=unread,
    )


def find_operation(sources: Mapping[str, Source], reference: str, *, place: Place) -> Operation:
    """The operation a step's ``operationId`` names: bare, or ``$sourceDescriptions.<name>.<operationId>``.

    A bare id is accepted as long as only one source has it, however many sources there are; the specification asks
    for the qualified form there (Step Object), but many documents leave it out and nothing is unclear about them.

    Raises DocumentError (AZM-D201 to D204) when it names no single operation, SourceError (AZM-S006) when the
    description cannot say how to call it.
    """
    if reference.startswith(_EXPRESSION):
        # Operation ids may contain dots, source names may not: only the second dot separates.
        name, _, operation_id = reference.removeprefix(_EXPRESSION).partition(".")
        candidates = [_source(sources, name, seen=reference, place=place)]
    else:
        operation_id = reference
        candidates = list(sources.values())
    found = [source for source in candidates if operation_id in source.operations]
    if not found:
        raise _not_found(candidates, operation_id, place=place)
    if len(found) > 1:
        names = [f"{_EXPRESSION}{source.name}.{operation_id}" for source in found]
        raise DocumentError(
            f"several source descriptions have an operation {operation_id!r}",
            code="AZM-D202",
            place=place,
            seen=reference,
            next=f"write one of: {', '.join(names)}",
        )
    source = found[0]
    if operation_id in source.duplicates:
        titles = source.duplicates[operation_id]
        raise DocumentError(
            f"the source description {source.name!r} has {len(titles)} operations with the id {operation_id!r}",
            code="AZM-D203",
            place=place,
            seen=", ".join(titles),
            next="name the operation by operationPath instead",
        )
    return _usable(source.operations[operation_id], place=place)


def find_operation_path(sources: Mapping[str, Source], text: str, *, place: Place) -> Operation:
    """The operation a step's ``operationPath`` names: a source and a JSON Pointer (RFC 6901) to the operation.

    Accepts ``{$sourceDescriptions.<name>.url}#/paths/~1pets~1{id}/get``, the same without braces or ``.url``, and
    ``<name>#/paths/...``. Raises as :func:`find_operation` does, and DocumentError AZM-D205 for any other form.
    """
    match = _OPERATION_PATH.fullmatch(text.strip())
    tokens = match["pointer"].split("/")[1:] if match else []
    if match is None or len(tokens) != 3 or tokens[0] != "paths":
        raise DocumentError(
            "this operationPath does not point at an operation",
            code="AZM-D205",
            place=place,
            seen=text,
            next="write it as {$sourceDescriptions.<name>.url}#/paths/~1pets~1{id}/get",
        )
    source = _source(sources, match["braced"] or match["bare"] or match["plain"], seen=text, place=place)
    plain = _unescape(tokens[1])
    # In a URI fragment a pointer is percent-encoded as well (RFC 6901 section 6); most documents write it plain.
    path = next((one for one in (plain, _unescape(unquote(tokens[1]))) if one in source.paths), plain)
    method = _unescape(tokens[2]).upper()
    operation = source.paths.get(path, {}).get(method)
    if operation is None and path in source.unread:
        raise _unusable(f"{method} {path}", source.name, (source.unread[path],), place=place)
    if operation is None:
        titles = [one.title for item in source.paths.values() for one in item.values()]
        raise DocumentError(
            f"the source description {source.name!r} has no operation {method} {path}",
            code="AZM-D201",
            place=place,
            seen=text,
            next=_suggest(f"{method} {path}", titles),
        )
    return _usable(operation, place=place)


class _Root:
    """One description, for following the references inside it."""

    def __init__(self, value: Mapping[str, Any]) -> None:
        self.value = value

    def resolve(self, node: Any, notes: list[str], what: str) -> Mapping[str, Any]:
        """The object a node is or refers to. Where that fails: an empty object, and a sentence in ``notes``."""
        seen: set[str] = set()
        while isinstance(node, Mapping) and isinstance(reference := node.get("$ref"), str):
            if not reference.startswith("#"):
                notes.append(f"{what} refers to {reference!r}, which is outside the description")
                return {}
            if reference in seen or len(seen) >= _REF_LIMIT:
                notes.append(f"{what} refers to {reference!r}, which leads round in a circle or on without end")
                return {}
            seen.add(reference)
            node = self._point(reference[1:])
            if node is None:
                notes.append(f"{what} refers to {reference!r}, and there is nothing there")
                return {}
        return _mapping(node)

    def _point(self, fragment: str) -> Any:
        node: Any = self.value
        for token in fragment.split("/")[1:]:
            key = _unescape(unquote(token))
            if isinstance(node, Mapping):
                node = node.get(key)
            elif isinstance(node, list) and key.isdecimal() and len(key) < 10 and int(key) < len(node):
                node = node[int(key)]
            else:
                return None
        return node


def _check_version(value: Mapping[str, Any], *, name: str, uri: str) -> None:
    if "swagger" in value:
        raise SourceError(
            f"the source description {name!r} is Swagger 2.0, which is not supported",
            code="AZM-S003",
            place=Place(document=uri, pointer="/swagger"),
            seen=f"swagger: {value['swagger']}",
            next="convert it to OpenAPI 3, for example with `npx swagger2openapi old.yaml -o new.yaml`, "
            f"and give the result with --source {name}=new.yaml",
        )
    version = str(value.get("openapi", ""))
    if not re.fullmatch(r"3\.[012](\..*)?", version):
        raise SourceError(
            f"the source description {name!r} is not an OpenAPI description of version 3.0, 3.1 or 3.2",
            code="AZM-S004",
            place=Place(document=uri, pointer="/openapi" if version else ""),
            seen=f"openapi: {version[:40]}" if version else "no field `openapi`",
            next=f"give the right file with --source {name}=PATH",
        )


def _methods(item: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for method in _METHODS:
        if isinstance(body := item.get(method), Mapping):
            yield method, body
    # 3.2 Path Item Object: other methods stand under `additionalOperations`. The name goes on the wire.
    for method, body in _mapping(item.get("additionalOperations")).items():
        if isinstance(body, Mapping) and isinstance(method, str) and _TOKEN.fullmatch(method):
            yield method, body


def _operation(
    root: _Root,
    *,
    source: str,
    path: str,
    item: Mapping[str, Any],
    method: str,
    body: Mapping[str, Any],
    notes: list[str],
) -> Operation:
    own = list(notes)
    operation_id = body.get("operationId")
    request = root.resolve(body.get("requestBody"), own, "requestBody")
    content = {str(key): one for key, one in _mapping(request.get("content")).items()}
    json_type = next((key for key in content if is_json_type(key)), "")
    schema = root.resolve(content.get(json_type), own, f"request body {json_type}").get("schema")
    responses = {
        # YAML reads an unquoted 200 as a number. An unreadable response does not keep anyone from calling.
        str(status): root.resolve(response, [], "response")
        for status, response in _mapping(body.get("responses")).items()
    }
    return Operation(
        source=source,
        operation_id=operation_id if isinstance(operation_id, str) else "",
        method=method.upper(),
        path=path,
        server=_server(body, item, root.value),
        parameters=_parameters(root, (item, body), own),
        body_types=tuple(content),
        encodings={kind: parts for kind, one in content.items() if (parts := _encoding(root, one, own))},
        body_required=request.get("required") is True,
        body_schema=schema if isinstance(schema, Mapping) else None,
        security=_security(root, body, own),
        alternatives=_alternatives(root, body),
        responses=responses,
        redirects=any(status.startswith("3") for status in responses),
        unresolved=tuple(own),
    )


def _encoding(root: _Root, media: Any, notes: list[str]) -> dict[str, PartSpec]:
    """The Encoding Objects of one Media Type Object, by property."""
    found = {}
    for name, written in _mapping(root.resolve(media, notes, "a request body").get("encoding")).items():
        value = _mapping(written)
        style, explode = value.get("style"), value.get("explode")
        found[str(name)] = PartSpec(
            content_type=str(value.get("contentType") or ""),
            style=style if isinstance(style, str) else "",
            explode=explode if isinstance(explode, bool) else None,
            allow_reserved=value.get("allowReserved") is True,
        )
    return found


def _parameters(root: _Root, levels: tuple[Mapping[str, Any], ...], notes: list[str]) -> tuple[ParameterSpec, ...]:
    """Path-item level, then operation level; a later one of the same name and location replaces (Operation Object)."""
    merged: dict[tuple[str, str], ParameterSpec] = {}
    for level in levels:
        written = level.get("parameters")
        for node in written if isinstance(written, list) else ():
            spec = _parameter(root.resolve(node, notes, "a parameter"), root, notes)
            if spec is not None:
                key = spec.name.lower() if spec.location == "header" else spec.name
                merged[key, spec.location] = spec
    return tuple(merged.values())


def _parameter(value: Mapping[str, Any], root: _Root, notes: list[str]) -> ParameterSpec | None:
    name, location = value.get("name"), value.get("in")
    if not isinstance(name, str) or location not in _LOCATIONS:
        return None
    content = _mapping(value.get("content"))
    if content:
        # Parameter Object: `content` has exactly one entry, and its media type replaces style and explode.
        kind = next(iter(content))
        style, schema = str(kind), root.resolve(content[kind], notes, f"parameter {name}").get("schema")
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


def _server(*levels: Mapping[str, Any]) -> str:
    """The first server of the nearest level that declares any (Operation, Path Item, OpenAPI Object)."""
    for level in levels:
        servers = level.get("servers")
        for server in servers if isinstance(servers, list) else ():
            if not isinstance(server, Mapping) or not isinstance(url := server.get("url"), str):
                continue
            defaults = {
                f"{{{name}}}": str(variable["default"])
                for name, variable in _mapping(server.get("variables")).items()
                if isinstance(variable, Mapping) and isinstance(variable.get("default"), (str, int))
            }
            return _VARIABLE.sub(lambda match, known=defaults: known.get(match[0], match[0]), url)  # type: ignore[misc]
    return ""


def _requirements(root: _Root, body: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The operation's, or the root's where the operation is silent; an empty list is not silence."""
    written = body.get("security", root.value.get("security"))
    return [_mapping(one) for one in written] if isinstance(written, list) else []


def _alternatives(root: _Root, body: Mapping[str, Any]) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(str(name) for name in one) for one in _requirements(root, body))


def _security(root: _Root, body: Mapping[str, Any], notes: list[str]) -> tuple[SecurityScheme, ...]:
    """Every scheme the operation names, with all the scopes it asks of it."""
    schemes = _mapping(_mapping(root.value.get("components")).get("securitySchemes"))
    found: dict[str, SecurityScheme] = {}
    for requirement in _requirements(root, body):
        for name, written in requirement.items():
            value = root.resolve(schemes.get(name), notes, f"security scheme {name}")
            scopes = tuple(one for one in written if isinstance(one, str)) if isinstance(written, list) else ()
            if isinstance(kind := value.get("type"), str):
                known = found.get(name)
                asked = dict.fromkeys((*(known.scopes if known else ()), *scopes))
                found[name] = _scheme(str(name), kind, value, tuple(asked))
    return tuple(found.values())


def _scheme(name: str, kind: str, value: Mapping[str, Any], scopes: tuple[str, ...]) -> SecurityScheme:
    location, parameter_name, scheme, token_url = "", "", "", ""
    if kind == "apiKey":
        location, parameter_name = str(value.get("in", "")), str(value.get("name", ""))
    elif kind in {"http", "oauth2", "openIdConnect"}:
        # RFC 9110 section 11.6.2, and RFC 6750 section 2.1 for the token kinds.
        location, parameter_name = "header", "Authorization"
        scheme = str(value.get("scheme", "")).lower() if kind == "http" else "bearer"
    if kind == "oauth2":
        flows = _mapping(value.get("flows"))
        for flow in ("clientCredentials", "authorizationCode", "password", "deviceAuthorization"):
            one = _mapping(flows.get(flow))
            token_url = token_url or str(one.get("refreshUrl") or one.get("tokenUrl") or "")
    return SecurityScheme(
        name=name,
        type=kind,
        location=location,
        parameter_name=parameter_name,
        scheme=scheme,
        token_url=token_url,
        scopes=scopes,
    )


def _source(sources: Mapping[str, Source], name: str, *, seen: str, place: Place) -> Source:
    if name in sources:
        return sources[name]
    raise DocumentError(
        f"there is no source description of type openapi named {name!r}",
        code="AZM-D204",
        place=place,
        seen=seen,
        next=f"OpenAPI sources here: {', '.join(sources) or 'none'}; an operation cannot be called through an Arazzo "
        "document",
    )


def _not_found(candidates: list[Source], operation_id: str, *, place: Place) -> DocumentError:
    known = [one for source in candidates for one in source.order]
    where = ", ".join(repr(source.name) for source in candidates) or "any source: no OpenAPI source is loaded"
    hint = _suggest(operation_id, known)
    unread = [path for source in candidates for path in source.unread]
    if unread:
        hint += f"; could not be read: {', '.join(unread[:3])}"
    return DocumentError(
        f"no operation {operation_id!r} in {where}", code="AZM-D201", place=place, seen=operation_id, next=hint
    )


def _suggest(wanted: str, known: list[str]) -> str:
    # Comparing is quadratic in the length of the wanted text, and that text is somebody else's.
    close = get_close_matches(wanted[:200], known, n=3)
    return f"did you mean {' or '.join(close)}?" if close else f"{len(known)} operations are known, none like it"


def _usable(operation: Operation, *, place: Place) -> Operation:
    if operation.unresolved:
        raise _unusable(operation.title, operation.source, operation.unresolved, place=place)
    return operation


def _unusable(title: str, source: str, notes: tuple[str, ...], *, place: Place) -> SourceError:
    return SourceError(
        f"the description {source!r} does not say how to call {title}: {'; '.join(notes)}",
        code="AZM-S006",
        place=place,
        next=f"bundle the description into one file and give it with --source {source}=PATH",
    )


def _unescape(token: str) -> str:
    """One reference token of a JSON Pointer; the order matters (RFC 6901 section 4)."""
    return token.replace("~1", "/").replace("~0", "~")


def _mapping(node: Any) -> Mapping[str, Any]:
    return node if isinstance(node, Mapping) else {}
