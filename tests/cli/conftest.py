"""What the tests of the command line share: commands given in this process, and what came of them."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from machine.cli import app
from machine.cli.app import main
from machine.runtime.concealing import Concealer

ROOT = Path(__file__).resolve().parents[2]
OPENAPI = ROOT / "workflows" / "openapi" / "hugging-face-inference-endpoints-api.yml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """A command that ended: its exit code and the text of its two streams."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output, which has to be one JSON object."""
        return json.loads(self.out)


@pytest.fixture(autouse=True)
def clean_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [one for one in os.environ if one.startswith(("ARAZZO_MACHINE_", "HF_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("ARAZZO_MACHINE_STORE", str(tmp_path / "runs.db"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def learnt() -> Iterator[str]:
    """The text of a secret this command has been given, called ``token``."""
    text = "s3cret-of-this-command"
    before = app._CONCEALER.set(Concealer({"token": text}))
    yield text
    app._CONCEALER.reset(before)


@pytest.fixture
def machine(capsys: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    """``machine("plan", "x", ...)`` -> what the command came to."""

    def invoke(*arguments: object) -> Done:
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            main([str(one) for one in arguments])
        streams = capsys.readouterr()
        done = Done(code=int(stop.value.code or 0), out=streams.out, err=streams.err)
        assert "Traceback" not in done.err
        assert "--json" not in arguments or isinstance(done.json, dict)
        return done

    return invoke


@pytest.fixture
def deploy() -> list[str]:
    """A run of the shipped workflow against the simulator, at full speed."""
    inputs = ["-i", "namespace=acme", "-i", "name=demo", "-i", "repository=gpt2"]
    return ["run", "deploy-inference-endpoint", *inputs, "--poll-interval", "0s", "--simulate"]


@pytest.fixture
def users_arguments(user_document: Path) -> list[object]:
    """The arguments that name the document a user wrote: it takes a 201 only, and polls with JSONPath criteria."""
    return [user_document, "--source", f"inferenceEndpointsApi={OPENAPI}"]


THINGS = """
openapi: 3.1.0
info: {title: Things, version: 1.0.0}
servers: [{url: 'SERVER'}]
paths:
  /things:
    post:
      operationId: makeThing
      requestBody: {content: {application/json: {}}}
      responses: {'201': {description: made}}
"""

DOCUMENT = """
arazzo: 1.0.1
info: {title: Things, version: 1.0.0}
sourceDescriptions: [{name: things, url: things.yaml, type: openapi}]
workflows:
- workflowId: make
  summary: Make one thing.
  inputs:
    type: object
    properties:
      size: {type: integer}
      fast: {type: boolean}
      parts: {type: array}
      label: {type: string}
  steps:
  - stepId: make
    operationId: makeThing
    requestBody: {contentType: application/json, payload: {size: $inputs.size, label: $inputs.label}}
    outputs: {thing: $response.body}
  outputs: {thing: $steps.make.outputs.thing}
- workflowId: remake
  steps:
  - stepId: again
    operationId: makeThing
"""


@pytest.fixture
def things(tmp_path: Path) -> Callable[..., str]:
    """``things(server)`` writes a document of two workflows, ``make`` and ``remake``, and gives its path."""

    def write(server: str = "https://things.example.com") -> str:
        (tmp_path / "things.yaml").write_text(THINGS.replace("SERVER", server))
        (tmp_path / "things.arazzo.yaml").write_text(DOCUMENT)
        return "./things.arazzo.yaml"

    return write


@pytest.fixture
def closed_port() -> int:
    """A port of loopback on which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])
