"""What a command line gives a run: inputs, references to secrets, a token. Read and fitted, before anything begins."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from . import calling
from . import options as flags

if TYPE_CHECKING:
    from ..chart.events import Reply
    from ..plan.model import Plan
    from ..runtime.secrets import Reference
    from ..runtime.token import Token

__all__ = ["given_with", "read_dependency_inputs", "read_inputs", "read_reply", "read_token", "references_of"]


def read_inputs(plan: Plan, given: Mapping[str, Any], *, simulated: bool) -> dict[str, Any]:
    """The inputs of the file, then those of the line over them; a text is fitted to the type the document names."""
    from ..plan.inputs import coerce
    from ..runtime.secrets import Reference

    values: dict[str, Any] = dict(_inputs_of_file(given["inputs_file"])) if given["inputs_file"] else {}
    for name, text in flags.pairs(given["inputs"], "-i").items():
        value = flags.read_value(name, text)
        values[name] = value if isinstance(value, Reference) else coerce(plan, name, value)
    for name in plan.secrets:
        if name in values and not isinstance(values[name], Reference):
            raise _literal(plan, name)
        if simulated and name not in values:
            values[name] = Reference(f"@env:SIMULATED_{name.upper()}")
    return values


def read_dependency_inputs(texts: Iterable[str]) -> dict[tuple[str, str], str]:
    """``WORKFLOW.NAME=VALUE`` texts; the last dot before the ``=`` divides. Raises UsageError for any other form."""
    found = {}
    for name, value in flags.pairs(texts, "--dep-input").items():
        workflow, mark, own = name.rpartition(".")
        if not mark or not workflow or not own:
            raise UsageError(
                "--dep-input takes WORKFLOW.NAME=VALUE",
                code="AZM-U140",
                seen=name[:80],
                next="name the workflow that is depended on, and its input",
            )
        found[workflow, own] = value
    return found


def read_token(source: str) -> Token:
    from ..runtime.token import LARGEST_TOKEN, Token

    piped = source == "-"
    data = sys.stdin.buffer.read(LARGEST_TOKEN + 1) if piped else flags.read_given(Path(source), "--token")
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise UsageError(
            "the token is no text",
            code="AZM-U094",
            seen=source,
            next="name a file that `show RUN --token` wrote, or - for standard input",
        ) from error
    return Token.read(text)


def read_reply(path: Path, flag: str) -> Reply | None:
    """An answer somebody wrote down, out of a JSON or YAML file; None where the file is not one."""
    from ..chart.events import Reply
    from ..document.load import parse

    value = parse(flags.read_given(path, flag), uri=str(path)).value
    status = value.get("status") if isinstance(value, dict) else None
    if not isinstance(value, dict) or type(status) is not int or not 100 <= status <= 599:
        return None
    headers, body = value.get("headers"), value.get("body")
    return Reply(
        status=status,
        headers={str(name).lower(): str(text) for name, text in (headers if isinstance(headers, dict) else {}).items()},
        body=body,
        form="empty" if body is None else "text" if isinstance(body, str) else "json",
    )


def given_with(plan: Plan, given: Mapping[str, Any]) -> tuple[dict[str, Reference], dict[str, Any]]:
    """What ``resume`` was given for a run: where its secrets come from, and the options that are kept with it."""
    references = references_of(plan, flags.pairs(given["inputs"], "-i"))
    options = {
        "servers": flags.read_servers(given["servers"], plan.servers),
        "allow_hosts": flags.read_hosts(given["allow_hosts"]),
        "key": given["key"],
        "auth": calling.auth_given(plan, given),
    }
    return references, options


def references_of(plan: Plan, texts: Mapping[str, str]) -> dict[str, Reference]:
    """What ``resume -i`` may change: where secrets come from, those an answer gave included."""
    from ..runtime.sealing import is_answered
    from ..runtime.secrets import Reference

    found: dict[str, Reference] = {}
    for name, text in texts.items():
        if name not in plan.secrets and not is_answered(name):
            raise UsageError(
                f"{name!r} is not a secret input of this run",
                code="AZM-U062",
                next="the other inputs of a run cannot change; a new run can have others",
            )
        value = flags.read_value(name, text)
        if not isinstance(value, Reference):
            raise _literal(plan, name)
        found[name] = value
    return found


def _literal(plan: Plan, name: str) -> UsageError:
    origin = next((one.origin for one in plan.inputs if one.name == name and one.origin), "@env:VARIABLE")
    return UsageError(
        f"{name!r} is a secret: its text does not belong on a command line or in a file of inputs",
        code="AZM-U065",
        next=f"give a reference: -i {name}={origin}",
    )


def _inputs_of_file(path: Path) -> dict[str, Any]:
    from ..document.load import parse
    from ..runtime.secrets import COMMAND, Reference

    value = parse(flags.read_given(path, "--inputs"), uri=str(path)).value
    if not isinstance(value, dict):
        raise UsageError(
            "the inputs must be a mapping of names to values",
            code="AZM-U067",
            seen=str(path),
            next="write one line per input, such as namespace: acme",
        )
    values = {name: flags.read_value(name, one) if isinstance(one, str) else one for name, one in value.items()}
    for name, one in values.items():
        if isinstance(one, Reference) and one.text.startswith(COMMAND):
            raise UsageError(
                f"{name!r} is to come from a command, and a file chooses no program that is run",
                code="AZM-U143",
                seen=str(path),
                next=f"give it on the command line: -i {name}=@cmd:LINE",
            )
    return values
