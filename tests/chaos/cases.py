"""What is put to the test: documents, policies about doubt, and every combination of them that makes sense.

A Case is one document under one policy, with what it has to come to. A document is added here and nowhere else: its
text in ``documents/``, a Document, a line in DOCUMENTS. How its policies are said is the product's own: a flag, and an
overlay ``NAME.POLICY.overlay.yaml`` where the document does not declare what the policy needs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from service import NAME, Account, Kind

from machine.library import load
from machine.plan.build import build_plan
from machine.plan.effect import DoubtPolicy
from machine.plan.model import Plan
from machine.runtime.prepare import Prepared, prepare
from machine.runtime.secrets import Reference

__all__ = ["CASES", "DOCUMENTS", "POLICIES", "Case", "Create", "Document", "Policy"]

_HERE: Final = Path(__file__).resolve().parent
_ROOT: Final = _HERE.parent.parent
_RUNNING: Final = f"https://{NAME}.invalid"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What a run does about doubt, and what the campaign holds it to."""

    name: DoubtPolicy
    promise: str
    asks: bool
    """Whether a person may have to settle a doubt."""
    kinds: tuple[Kind, ...]
    """The services it is tried against. The first ones keep what the policy rests on."""
    deaf: tuple[Kind, ...] = ()
    """Of these, those that do not."""


POLICIES: Final[Mapping[str, Policy]] = {
    one.name: one
    for one in (
        Policy(
            name="hold",
            promise="every doubt is shown with exit 13, and nothing is sent again before a person has said so",
            asks=True,
            kinds=("unique", "twice"),
        ),
        Policy(
            name="probe",
            promise="nobody is asked; nothing is sent again while the thing is there or may still come",
            asks=False,
            kinds=("unique", "twice"),
        ),
        Policy(
            name="reissue",
            promise=(
                "nobody is asked by a service that honours keys, and a doubtful create is only sent again under its key"
            ),
            asks=False,
            kinds=("keyed", "unique", "twice"),
            deaf=("unique", "twice"),
        ),
        Policy(
            name="fail",
            promise="the run may end failed (exit 10) and says that it is unknown; going on leads into doubt, exit 13",
            asks=True,
            kinds=("unique", "twice"),
        ),
    )
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Create:
    """A step that makes something: where the service files it, and what a person says who found it there."""

    step: str
    collection: str
    outputs: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """``target`` and ``sources`` are given to the command as they are here."""

    name: str
    about: str
    target: str
    sources: Mapping[str, str] = field(default_factory=dict)
    workflow: str = ""
    """Which of its workflows is run, where there are several."""
    inputs: Mapping[str, Any]
    secrets: Mapping[str, str] = field(default_factory=dict)
    """Input to the reference it is given as, where the document does not say where it comes from."""
    creates: tuple[Create, ...]
    outputs: Mapping[str, Any]
    weather: tuple[str, ...] = ()
    """What befalls its creates before anything else does; see Account."""
    probes: bool = False
    """Whether it declares a probe by itself, and so looks before it first creates."""
    policies: tuple[str, ...] = ("hold", "probe", "reissue", "fail")

    def create(self, step: str) -> Create:
        return next(one for one in self.creates if one.step == step)


_ENDPOINT_INPUTS: Final = {"namespace": "acme", "name": NAME, "repository": "gpt2"}
_ENDPOINT: Final = Create(step="createEndpoint", collection="endpoint", outputs={"endpointName": NAME})
_ENDPOINT_OUTPUTS: Final = {"endpointName": NAME, "state": "running", "inferenceUrl": _RUNNING}
_THING_INPUTS: Final = {"name": NAME, "owner": "acme"}
_DISK: Final = Create(step="makeDisk", collection="disks", outputs={"disk": NAME})
_MACHINE: Final = Create(step="makeMachine", collection="machines", outputs={"machine": NAME})
_LEASE: Final = Create(step="take", collection="leases", outputs={"lease": NAME, "job": NAME})


def _own(name: str) -> str:
    return str(_HERE / "documents" / f"{name}.arazzo.yaml")


DOCUMENTS: Final[Mapping[str, Document]] = {
    one.name: one
    for one in (
        Document(
            name="shipped",
            about="the shipped workflow: it declares a probe, looks before it creates, and polls",
            target="deploy-inference-endpoint",
            inputs=_ENDPOINT_INPUTS,
            creates=(_ENDPOINT,),
            outputs=_ENDPOINT_OUTPUTS,
            probes=True,
        ),
        Document(
            name="brought",
            about="the same, as people write it: no word of what may not be repeated",
            target=str(_ROOT / "tests" / "documents" / "deploy.arazzo.yaml"),
            sources={
                "inferenceEndpointsApi": str(_ROOT / "workflows/openapi/hugging-face-inference-endpoints-api.yml")
            },
            inputs=_ENDPOINT_INPUTS,
            secrets={"hfToken": "@env:HF_TOKEN"},
            creates=(_ENDPOINT,),
            outputs=_ENDPOINT_OUTPUTS,
            policies=("hold", "fail"),
        ),
        Document(
            name="rack",
            about="two creates in a row, then a PUT, then polling",
            target=_own("rack"),
            inputs=_THING_INPUTS,
            creates=(_DISK, _MACHINE),
            outputs={"disk": NAME, "machine": NAME, "state": "running"},
        ),
        Document(
            name="patient",
            about=(
                "a create with `onFailure: retry`, answered 503, then 408, then 500 although it was carried out; "
                "then polling"
            ),
            target=_own("patient"),
            inputs=_THING_INPUTS,
            creates=(_MACHINE,),
            outputs={"machine": NAME, "state": "running"},
            weather=("503", "408", "500-after"),
        ),
        Document(
            name="lease",
            about="a create that is answered 202 and polled as a job, then a DELETE that has happened when 404 comes",
            target=_own("lease"),
            inputs=_THING_INPUTS,
            creates=(_LEASE,),
            outputs={"lease": NAME, "state": "running"},
        ),
        Document(
            name="nested",
            about="a create, then a second one and its polling in a workflow that is run for them",
            target=_own("nested"),
            workflow="nested",
            inputs=_THING_INPUTS,
            creates=(_DISK, _MACHINE),
            outputs={"disk": NAME, "machine": NAME, "state": "running"},
        ),
    )
}


@dataclass(frozen=True, kw_only=True)
class Case:
    """A document under a policy."""

    document: Document
    policy: Policy

    @property
    def name(self) -> str:
        return f"{self.document.name}.{self.policy.name}"

    @property
    def typical(self) -> bool:
        """One for every document, and one for every policy: for faults that know neither."""
        return self.document.name == "shipped" or self.policy.name == "hold"

    @property
    def overlay(self) -> Path | None:
        path = _HERE / "documents" / f"{self.document.name}.{self.policy.name}.overlay.yaml"
        return path if path.exists() else None

    @property
    def looks(self) -> bool:
        """Whether it looks for a thing before it first creates it, and again when it is in doubt."""
        return self.document.probes or (self.policy.name == "probe")

    @cached_property
    def plan(self) -> Plan:
        document = load(self.document.target, sources=self.document.sources, overlay=self.overlay)
        return build_plan(document, workflow=self.document.workflow)

    @cached_property
    def prepared(self) -> Prepared:
        secrets = {name: Reference(text) for name, text in self.document.secrets.items()}
        return prepare(self.plan, {**self.document.inputs, **secrets})

    def arguments(self) -> list[str]:
        """What the command line is told about it."""
        found = [self.document.target, "--on-doubt", self.policy.name]
        if self.document.workflow:
            found += ["-w", self.document.workflow]
        if self.overlay:
            found += ["--overlay", str(self.overlay)]
        for name, path in self.document.sources.items():
            found += ["--source", f"{name}={path}"]
        for name, value in {**self.document.inputs, **self.document.secrets}.items():
            found += ["-i", f"{name}={value}"]
        return found

    def account(self, kind: Kind, *, polls: int = 2) -> Account:
        """What a service knows that has not heard of the run."""
        return Account(kind=kind, polls=polls, weather=list(self.document.weather))


CASES: Final[Mapping[str, Case]] = {
    case.name: case
    for document in DOCUMENTS.values()
    for case in (Case(document=document, policy=POLICIES[name]) for name in document.policies)
}
"""By name, ``DOCUMENT.POLICY``."""
