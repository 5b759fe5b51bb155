"""Defaults for comfort out of a file: where runs are kept, how diagrams are drawn, where a log goes. Nothing else.

The file is ``$XDG_CONFIG_HOME/arazzo-machine/config.toml``, or the one ``ARAZZO_MACHINE_CONFIG`` names. A flag wins
over the environment, the environment over the file. What decides about money or trust is refused here: it stands in
the document, an overlay or a flag, where a reader of the command sees it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from ..errors import UsageError

__all__ = ["KEYS", "config_path", "defaults"]

KEYS: Final[Mapping[str, str]] = {
    "store": "a path",
    "format": "one of dot, svg, png, mermaid, text",
    "log": "a path or -",
}
"""What the file may hold, each a text, in words."""
_LARGEST: Final = 1 << 16
_STORES: Final = ("run", "resume", "resolve", "cancel", "runs", "show", "diagram")
_LOGS: Final = ("run", "resume")


def config_path(environment: Mapping[str, str] = os.environ) -> Path:
    """Where the file is, if there is one."""
    named = environment.get("ARAZZO_MACHINE_CONFIG")
    if named:
        return Path(named)
    base = environment.get("XDG_CONFIG_HOME", "")
    # The XDG Base Directory Specification: a relative path is to be ignored.
    folder = Path(base) if Path(base).is_absolute() else Path(environment.get("HOME") or "/").joinpath(".config")
    return folder / "arazzo-machine" / "config.toml"


def defaults(environment: Mapping[str, str] = os.environ) -> dict[str, dict[str, Any]]:
    """By verb, the parameters the file gives a default. Empty where there is no file.

    Raises UsageError AZM-U130 for a file that is no such TOML, AZM-U131 for a key that does not belong there.
    """
    path = config_path(environment)
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST + 1)
    except (FileNotFoundError, NotADirectoryError):
        if environment.get("ARAZZO_MACHINE_CONFIG"):
            raise _unreadable(path, "there is no such file") from None
        return {}
    except OSError as error:
        raise _unreadable(path, error.strerror or type(error).__name__) from error
    values = _read(path, data)
    given: dict[str, dict[str, Any]] = {}
    if "store" in values and not environment.get("ARAZZO_MACHINE_STORE"):
        store = str(path.parent / os.path.expanduser(values["store"]))
        given |= {verb: {"store": store} for verb in _STORES}
    if "format" in values:
        given.setdefault("diagram", {})["form"] = values["format"]
    if "log" in values:
        log = values["log"] if values["log"] == "-" else str(path.parent / os.path.expanduser(values["log"]))
        for verb in _LOGS:
            given.setdefault(verb, {})["log"] = log
    return given


def _read(path: Path, data: bytes) -> dict[str, str]:
    import tomllib

    if len(data) > _LARGEST:
        raise _unreadable(path, f"it is larger than {_LARGEST >> 10} KiB")
    try:
        values = tomllib.loads(data.decode())
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise _unreadable(path, str(error)[:200]) from error
    for name, value in values.items():
        if name not in KEYS:
            raise UsageError(
                f"{name[:80]!r} is not for a file of defaults, which decides nothing about money or trust",
                code="AZM-U131",
                seen=str(path),
                next=f"say it in the document, an overlay or a flag; the file may hold {', '.join(KEYS)}",
            )
        if not isinstance(value, str) or not value:
            raise UsageError(
                f"{name!r} in the file of defaults has to be {KEYS[name]}",
                code="AZM-U130",
                seen=str(path),
                next=f'write {name} = "..."',
            )
    return values


def _unreadable(path: Path, why: str) -> UsageError:
    return UsageError(
        "the file of defaults cannot be read",
        code="AZM-U130",
        seen=f"{path}: {why}",
        next="mend it, or name another with ARAZZO_MACHINE_CONFIG",
    )
