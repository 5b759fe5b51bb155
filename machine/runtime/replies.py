"""The bytes of an answer and its Content-Type -> a value: JSON, text, or bytes that are neither. Strict and bounded.

What cannot be read as what it claims to be is said to be undecodable, never guessed at: a run may depend on it.
"""

from __future__ import annotations

import codecs
import json
import math
import re
from typing import Any, Final, Literal

from ..sources.model import is_json_type, media_type

__all__ = ["charset_of", "decode"]

Form = Literal["json", "text", "binary", "empty", "undecodable"]

_DEEPEST: Final = 200
_TEXTS: Final = re.compile(
    r"text/.*|.*\+(xml|yaml)|application/(xml|x?-?yaml|javascript|ecmascript|x-www-form-urlencoded|x?-?ndjson|json-seq"
    r"|jsonl|graphql|sql|toml|jwt)"
)
_BYTES: Final = re.compile(r"(image|audio|video|font)/.*|application/(octet-stream|pdf|zip|x?-?gzip|x-tar|wasm)")
_CHARSETS: Final = frozenset(
    codecs.lookup(name).name
    for name in [
        *("ascii", "utf-8", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be", "latin-1"),
        *("gb2312", "gbk", "gb18030", "big5", "shift_jis", "cp932", "euc-jp", "iso2022_jp", "euc-kr", "cp949"),
        *("koi8-r", "koi8-u", "cp437", "cp850", "cp866", "mac-roman"),
        *(f"iso8859-{number}" for number in range(2, 17) if number != 12),
        *(f"cp125{number}" for number in range(9)),
    ]
)
"""The encodings text comes in. Python knows others, and some of those compress, recurse or take quadratic time."""
_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_CHARSET: Final = re.compile(r""";\s*charset\s*=\s*"?([A-Za-z0-9._:\-]{1,40})""", re.IGNORECASE)
_XML_DECLARATION: Final = re.compile(rb"""<\?xml[^>]{0,200}?encoding\s*=\s*["']([A-Za-z0-9._\-]{1,40})["']""")


def decode(body: bytes, content_type: str) -> tuple[Any, Form]:
    """The value and how it was read (ambiguity A42); bytes themselves where it is neither JSON nor text.

    JSON where it claims to be or says nothing else; text where it claims to be, or claims nothing known and is UTF-8.
    """
    if not body:
        return None, "empty"
    claims = is_json_type(content_type)
    if claims or not content_type:
        try:
            return _parse_json(_json_text(body, charset_of(content_type))), "json"
        except (ValueError, RecursionError):
            if claims:
                return None, "undecodable"
    bare = media_type(content_type)
    if _TEXTS.fullmatch(bare):
        return _text(body, charset_of(content_type), xml=bare.endswith("xml")), "text"
    if _BYTES.fullmatch(bare) or b"\0" in body:
        return body, "binary"
    try:
        return body.decode("utf-8"), "text"
    except UnicodeDecodeError:
        return body, "binary"


def charset_of(content_type: str) -> str:
    """The charset a Content-Type names (RFC 9110 section 8.3.2), as Python calls it; empty for an unknown one."""
    found = _CHARSET.search(content_type)
    return _known(found[1]) if found else ""


def _known(name: str) -> str:
    try:
        found = codecs.lookup(name).name if name else ""
    except (LookupError, ValueError):
        return ""
    return found if found in _CHARSETS else ""


def _text(body: bytes, charset: str, *, xml: bool) -> str:
    """Byte order mark, then what the header says, then what XML says of itself, then UTF-8, then Latin-1, which always
    succeeds and loses nothing."""
    marked = next((encoding for mark, encoding in _MARKS if body.startswith(mark)), "")
    declared = _XML_DECLARATION.match(body) if xml else None
    inner = _known(declared[1].decode("ascii")) if declared else ""
    for encoding in (marked, charset, inner, "utf-8"):
        try:
            text = body.decode(encoding) if encoding else ""
            text.encode()
        except (UnicodeError, ValueError):
            continue
        if encoding:
            return text
    return body.decode("latin-1")


def _json_text(body: bytes, charset: str) -> str:
    """RFC 8259 section 8.1: UTF-8, and nothing else unless the header says so."""
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError:
        if not charset:
            raise
        return body.decode(charset)


def _parse_json(text: str) -> Any:
    """Strict JSON: no NaN, no number or text that could not be written down again, no depth that could not be walked
    again."""
    value = _JSON.decode(text)
    if text.count("[") + text.count("{") >= _DEEPEST and _is_deep(value):
        raise ValueError("nested too deeply")
    if "\\u" in text:
        # Section 8.2: an escape can name half of a surrogate pair, which is no character and has no UTF-8 form.
        json.dumps(value, ensure_ascii=False).encode()
    return value


def _is_deep(value: Any) -> bool:
    level = [value]
    for _ in range(_DEEPEST):
        level = [
            item
            for one in level
            if isinstance(one, (dict, list))
            for item in (one.values() if isinstance(one, dict) else one)
        ]
        if not level:
            return False
    return True


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number is too large")
    return number


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Section 4: of an object that names a member twice, one reader takes the first and another the last."""
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("an object names a member twice")
    return made


_JSON = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite, object_pairs_hook=_object)
