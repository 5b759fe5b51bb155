"""What an operation demands of who calls it, and what of that a request leaves open. Pure.

Security Requirement Objects are alternatives; each names schemes of which all are needed, and an empty one makes the
rest optional. A scheme whose parameter the document sends itself is met, so nothing is ever added twice.
"""

from __future__ import annotations

from collections.abc import Set

from .model import Operation, SecurityScheme

__all__ = ["left_open", "position_of"]


def position_of(scheme: SecurityScheme) -> tuple[str, str]:
    """Location and name of the parameter that carries the credential; header names in lower case."""
    name = scheme.parameter_name
    return scheme.location, name.lower() if scheme.location == "header" else name


def left_open(operation: Operation, sent: Set[tuple[str, str]]) -> tuple[tuple[str, ...], ...]:
    """The alternatives of the operation without the schemes that are met by what is ``sent``: (location, name), header
    names in lower case. Empty when nothing is demanded, or an alternative is met.

    Schemes that are named and not described are left out: nobody could meet them, and the server may not ask for them.
    """
    schemes = {scheme.name: scheme for scheme in operation.security}

    def is_met(name: str) -> bool:
        location, parameter = position_of(schemes[name])
        return (location, parameter) in sent or (location == "cookie" and ("header", "cookie") in sent)

    found: list[tuple[str, ...]] = []
    for alternative in operation.alternatives:
        described = [name for name in alternative if name in schemes]
        rest = tuple(name for name in described if not is_met(name))
        if described and not rest:
            return ()
        if rest not in found:
            found.append(rest)
    return () if found == [()] else tuple(found)
