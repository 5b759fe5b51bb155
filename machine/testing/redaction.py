"""What the simulator may remember of a request: its JSON, with marks where credentials stood.

Makes a JSON value from a request body and a log entry from a request. A credential never gets past this file: not the
token of the Authorization header, wherever else in the request it turns up, not the secrets of a model, not a
registry password.
"""

from __future__ import annotations

import json
from typing import Any, Final
from urllib.parse import unquote

__all__ = ["hidden_texts", "log_entry", "parse_body", "scrub"]

_DEPTH: Final = 64
_SCHEMES: Final = frozenset({"basic", "bearer", "digest", "negotiate"})


def _no_constant(name: str) -> None:
    """NaN and Infinity are not JSON (RFC 8259 section 6), though the parser would take them."""
    raise ValueError(f"{name} is not JSON")


def parse_body(body: bytes) -> Any:
    """The JSON value of a request body, at most 64 levels deep; ValueError otherwise."""
    try:
        value = json.loads(body, parse_constant=_no_constant)
    except RecursionError:
        raise ValueError("recursion limit exceeded") from None
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > _DEPTH:
            raise ValueError("recursion limit exceeded")
        level = [
            item
            for holder in level
            if isinstance(holder, (dict, list))
            for item in (holder.values() if isinstance(holder, dict) else holder)
        ]
    return value


def scrub(value: Any, hidden: tuple[str, ...], mask: str | None) -> Any:
    """The value with ``[token]`` for every hidden text in it, and ``mask`` for model secrets and passwords."""
    if isinstance(value, str):
        for text in hidden:
            value = value.replace(text, "[token]")
        return value
    if isinstance(value, list):
        return [scrub(item, hidden, mask) for item in value]
    if not isinstance(value, dict):
        return value
    clean: dict[str, Any] = {}
    for key, item in value.items():
        if key == "secrets" and isinstance(item, dict):
            item = dict.fromkeys(item, mask)
        elif key in {"secrets", "password"}:
            item = mask
        clean[scrub(key, hidden, mask)] = scrub(item, hidden, mask)
    return clean


def hidden_texts(authorization: str, token: str | None) -> tuple[str, ...]:
    """The texts that must not be remembered: the credentials of this request and the token the service expects.

    A text of one to three characters is no secret, and to look for it would maim every path.
    """
    texts = {token or ""}
    for part in (authorization, *authorization.split(",")):
        scheme, _, credentials = part.strip().partition(" ")
        texts.add(credentials.strip() or ("" if scheme.lower() in _SCHEMES else scheme))
    return tuple(sorted((text for text in texts if len(text) > 3), key=len, reverse=True))


def log_entry(method: str, path: str, authorization: str, body: bytes, hidden: tuple[str, ...]) -> dict[str, Any]:
    """``{method, path, body, auth: {scheme, token: present|absent}}``; body is JSON, else text, null when empty."""
    recorded: Any = None
    if body:
        try:
            recorded = parse_body(body)
        except ValueError:
            recorded = body.decode("utf-8", "replace")
    plain = unquote(path)
    # Only a scheme that is known is shown: the first word may be a token sent without one.
    scheme = authorization.strip().partition(" ")[0]
    shown = scheme if scheme.lower() in _SCHEMES else "other" if scheme else ""
    return {
        "method": method,
        "path": scrub(plain, hidden, "") if any(text in plain for text in hidden) else path,
        "body": scrub(recorded, hidden, "[secret]"),
        "auth": {"scheme": shown, "token": "present" if scheme else "absent"},
    }
