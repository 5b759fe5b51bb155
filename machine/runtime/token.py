"""A run as one text that any machine can take up: snapshot, plan and documents, and references where secrets stand.

Only a run with nothing but safe calls ahead of it can be handed on: the text may be used by anybody, any number of
times, at the same moment, and none of that may cost anything. Each use is a run of its own that notes its origin.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..chart.snapshot import READY, Snapshot
from ..errors import DamageError, UsageError, VersionError
from ..plan.model import Plan
from ..stores.base import Store, StoredRun
from ..values import decode, files_in, secret_names
from .sealing import is_answered, needed
from .secrets import PREFIX

__all__ = ["LARGEST_TOKEN", "Token", "export_token"]

TOKEN_VERSION = 1
_VARIABLE = re.compile(r"@env:\w+")
LARGEST_TOKEN = 64 << 20
"""Bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A token that was read: what a runner needs to begin the run it describes."""

    run: str
    plan: Plan
    snapshot: Snapshot
    texts: Mapping[str, bytes]
    described: Mapping[str, str]
    """By source, the server it was called at. That is no more than a description says: whoever uses the token has not
    named it."""
    secrets: Mapping[str, str]
    """By secret, where it came from there. Where it comes from here, whoever uses the token says."""
    inputs_sha256: str
    sha256: str

    @property
    def start(self) -> Snapshot:
        """What a run of its own begins with: all of it, and a history that is still to come."""
        return replace(self.snapshot, seq=0)

    def options(self, given: Mapping[str, Any], secrets: Mapping[str, str], known: Collection[str]) -> dict[str, Any]:
        """What a run of it is begun with: what was given here, and the servers it describes. ``known`` are secrets
        whose texts are at hand.

        Raises UsageError AZM-U095 where nobody said here where a secret comes from: a text from elsewhere chooses no
        variable, file or program of this machine.
        """
        wanted = dict.fromkeys((*self.secrets, *sorted(self._referred())))
        lacking = [name for name in wanted if name not in secrets and name not in known]
        if lacking:
            there = {name: self.secrets.get(name, "") for name in lacking}
            hints = [
                f"-i {name}={text if _VARIABLE.fullmatch(text) else '@env:VARIABLE'}" for name, text in there.items()
            ]
            raise UsageError(
                f"the token does not say where {lacking[0]!r} comes from on this machine",
                code="AZM-U095",
                seen=f"where it was made it was {there[lacking[0]][:200]}" if there[lacking[0]] else "",
                next=f"say it: {' '.join(hints)}",
            )
        # A text that is at hand now may have to be asked for later.
        asked = dict.fromkeys(wanted, "@prompt")
        return {**given, "described": dict(self.described), "secrets": {**asked, **secrets}}

    def _referred(self) -> Iterator[str]:
        """The secrets its values refer to, but for those of answers and credentials of schemes, which no input is."""
        for name in secret_names(decode(self.snapshot.to_json())):
            if not is_answered(name) and not name.startswith(PREFIX):
                yield name

    @classmethod
    def read(cls, text: str) -> Token:
        """Raises DamageError when the text is no token or was changed, VersionError for one of a newer release,
        UsageError when an unsafe call lies ahead of it all the same."""
        try:
            if len(text) > LARGEST_TOKEN:
                raise ValueError("too large")
            data = json.loads(text)
            body, sha256 = data["token"], data["sha256"]
            version, seen = body["v"], hashlib.sha256(_compact(body).encode()).hexdigest()
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise _damaged("it is not the text `show --token` prints") from error
        if version != TOKEN_VERSION:
            raise VersionError(
                f"this token has format {version}, this release reads format {TOKEN_VERSION}",
                code="AZM-T090",
                next="use the release of arazzo-machine that made it, or a newer one",
            )
        if seen != sha256:
            raise _damaged("it was changed on its way")
        try:
            token = cls(
                run=str(body["run"]),
                plan=Plan.from_json(body["plan"]),
                snapshot=Snapshot.from_json(body["snapshot"]),
                texts={str(name): base64.b64decode(data) for name, data in body["documents"].items()},
                described=_texts(body["options"], "described"),
                secrets=_texts(body["options"], "secrets"),
                inputs_sha256=str(body["inputs_sha256"]),
                sha256=sha256,
            )
        except (KeyError, TypeError, AttributeError, binascii.Error, ValueError) as error:
            raise _damaged("a part of it is missing") from error
        if token.snapshot.plan_sha256 != token.plan.sha256:
            raise _damaged("its plan is not the one its run was begun with")
        if not token.snapshot.frames or not _stands_in(token.plan, token.snapshot):
            raise _damaged("it stands where its plan has no state")
        _refuse_unsafe(token.plan, token.snapshot, token.run)
        _refuse_files(token.snapshot, token.run)
        return token


def export_token(store: Store, stored: StoredRun, plan: Plan) -> str:
    """The text of a run. Raises UsageError AZM-U090 where it has ended, AZM-U091 where an unsafe call is pending or
    ahead, AZM-U092 for a simulated run, whose service would not come along, AZM-U107 where a later call needs a
    credential out of an answer, AZM-U089 where an input is a file of this machine."""
    head, snapshot = stored.head, stored.snapshot
    if head.options.get("simulate"):
        raise UsageError(
            f"run {head.id} belongs to its simulator, which does not come along",
            code="AZM-U092",
            next="make tokens of runs against a server",
        )
    _refuse_unsafe(plan, snapshot, head.id)
    if unknown := sorted(needed(plan, snapshot) - set(head.options.get("secrets", {}))):
        raise UsageError(
            f"run {head.id} needs a credential that an answer gave it, which does not come along",
            code="AZM-U107",
            seen=unknown[0],
            next=f"say where it comes from: arazzo-machine resume {head.id} --no-wait -i {unknown[0]}=@env:VARIABLE",
        )
    _refuse_files(snapshot, head.id)
    body = {
        "v": TOKEN_VERSION,
        "run": head.id,
        "plan": plan.to_json(),
        "snapshot": snapshot.to_json(),
        "documents": {name: base64.b64encode(store.blob(digest)).decode() for name, digest in head.documents.items()},
        "options": {
            "described": {**head.options.get("described", {}), **head.options.get("servers", {})},
            "secrets": head.options.get("secrets", {}),
        },
        "inputs_sha256": head.inputs_sha256,
    }
    return json.dumps({"sha256": hashlib.sha256(_compact(body).encode()).hexdigest(), "token": body})


def _texts(options: Mapping[str, Any], name: str) -> dict[str, str]:
    """One option that comes along. Raises KeyError, TypeError or AttributeError where it is no map of texts."""
    found = options[name]
    if not all(isinstance(one, str) for pair in found.items() for one in pair):
        raise TypeError("an option is no text")
    return dict(found)


def _stands_in(plan: Plan, snapshot: Snapshot) -> bool:
    """Whether every workflow and state the run is in are the plan's, and each but the last runs the one above it."""
    known = {table.workflow: {state.id: state for state in table.states} for table in plan.tables()}
    frames, source = snapshot.standing
    places = [(frame.workflow, frame.state) for frame in (*snapshot.frames, *frames)]
    if any(state not in known.get(workflow, {}) for workflow, state in [*places, (frames[-1].workflow, source)]):
        return False
    return all(known[frame.workflow][frame.state].kind == "workflow" for frame in frames[:-1])


def _refuse_unsafe(plan: Plan, snapshot: Snapshot, run: str) -> None:
    """Only safe calls may lie ahead of a run that several may take up at once."""
    if snapshot.stopped is not None and snapshot.stopped.reason in READY:
        raise UsageError(f"run {run} has ended", code="AZM-U090", next=f"arazzo-machine show {run}")
    frames, source = snapshot.standing
    ahead = [
        state.name
        for state, call in plan.ahead(*(frame.state for frame in frames[:-1]), source)
        if state.kind == "doubt" or (call is not None and call.kind != "safe")
    ]
    if ahead:
        raise UsageError(
            f"run {run} has a call ahead of it that must not be made twice",
            code="AZM-U091",
            seen=", ".join(ahead),
            next="go on with it where its store is until only safe calls are left",
        )


def _refuse_files(snapshot: Snapshot, run: str) -> None:
    """A text from elsewhere names no file that is read and sent from here."""
    pending = snapshot.pending.request.body if snapshot.pending else None
    for file in files_in([pending, *((frame.inputs, frame.steps) for frame in snapshot.frames)]):
        if file.path:
            raise UsageError(
                f"run {run} has a file among its inputs, which does not come along",
                code="AZM-U089",
                seen=file.name,
                next="go on with it where its store is",
            )


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def _damaged(why: str) -> DamageError:
    return DamageError(f"this is no token: {why}", code="AZM-T091", next="export it again with show RUN --token")
