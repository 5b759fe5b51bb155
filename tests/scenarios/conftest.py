"""What the stories share: processes of the command line and of the simulator, and a server that does as it is told."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.request import ProxyHandler, build_opener

import pytest
from loaded import Forked, Loaded

from machine.stores.sqlite import SqliteStore

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "tests" / "documents" / "deploy.arazzo.yaml"
CANARY = "hf_canary-that-must-never-be-seen"
PATIENCE = 30.0
"""Seconds after which something that was waited for has failed to happen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """A process that ended. ``code`` is negative when a signal killed it."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(slots=True, kw_only=True)
class Started:
    """A process that runs; its standard error is read line by line."""

    process: subprocess.Popen[str] | Forked
    lines: list[str] = field(default_factory=list)

    @property
    def pid(self) -> int:
        return self.process.pid

    def wait_for(self, text: str) -> str:
        """The next line of standard error with that text."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line)
            if text in line:
                return line
        raise AssertionError(f"{text!r} was never said:\n{''.join(self.lines)}")

    def send(self, signum: signal.Signals) -> None:
        self.process.send_signal(signum)

    def kill(self) -> None:
        self.process.kill()
        self.end()

    def end(self) -> Done:
        """Wait for its end."""
        out, err = self.process.communicate(timeout=PATIENCE)
        err = "".join(self.lines) + err
        assert "Traceback" not in err, err
        return Done(code=self.process.returncode, out=out, err=err)


class Shell:
    """Runs ``python -m machine`` in a folder of its own, with a store of its own."""

    def __init__(self, folder: Path, loaded: Loaded) -> None:
        self.folder = folder
        self._loaded = loaded
        self.store = folder / "runs.db"
        kept = {name: text for name, text in os.environ.items() if not name.startswith(("ARAZZO_MACHINE_", "HF_"))}
        self.environment = {
            **kept,
            "ARAZZO_MACHINE_STORE": str(self.store),
            "HF_TOKEN": CANARY,
            "PYTHONWARNINGS": "error",
        }
        self.running: list[subprocess.Popen[str] | Forked] = []

    def start(
        self,
        *arguments: object,
        environment: Mapping[str, str | None] | None = None,
        under: Sequence[str] = (),
        new: bool = False,
        **streams: Any,
    ) -> Started:
        """Begin a command, ``under`` another. ``environment`` changes variables; None takes one away. A ``new`` process
        loads the program itself, as those under another command do."""
        variables = {**self.environment, **(environment or {})}
        words = [str(one) for one in arguments]
        env = {name: text for name, text in variables.items() if text is not None}
        streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams}
        process: subprocess.Popen[str] | Forked
        if new or under:
            command = [*under, sys.executable, "-m", "machine", *words]
            process = subprocess.Popen(command, cwd=self.folder, env=env, text=True, **streams)
        else:
            process = self._loaded.begin(words, cwd=self.folder, env=env, **streams)
        self.running.append(process)
        return Started(process=process)

    def __call__(
        self, *arguments: object, environment: Mapping[str, str | None] | None = None, new: bool = False
    ) -> Done:
        """Do a command to its end. With ``--json`` standard output has to be one JSON object, whatever the end."""
        done = self.start(*arguments, environment=environment, new=new).end()
        assert "--json" not in arguments or isinstance(done.json, dict)
        return done

    def show(self, run: str) -> Any:
        return self("show", run, "--json").json

    def cancel_requested(self, run: str) -> bool:
        """Whether somebody has asked the process that holds a run to stop."""
        with SqliteStore(self.store, read_only=True) as store:
            return bool(store.cancel_requested(run))

    def stop(self) -> None:
        for process in self.running:
            if process.poll() is None:
                process.kill()
            process.wait()
            for stream in (process.stdout, process.stderr):
                if stream is not None:
                    stream.close()


@pytest.fixture
def shell(tmp_path: Path, loaded: Loaded) -> Iterator[Shell]:
    made = Shell(tmp_path, loaded)
    yield made
    made.stop()


class Service:
    """The simulator as a process of its own."""

    def __init__(self, url: str) -> None:
        self.url = url
        # A proxy of the environment has no business with loopback.
        self._open = build_opener(ProxyHandler({})).open

    def summary(self) -> Any:
        with self._open(f"{self.url.removesuffix('/v2')}/_simulator/summary", timeout=PATIENCE) as answer:
            return json.load(answer)

    def wait_until(self, holds: Callable[[Any], bool]) -> Any:
        """The first summary of which that is true."""
        end = time.monotonic() + PATIENCE
        while not holds(summary := self.summary()):
            assert time.monotonic() < end, summary
            threading.Event().wait(0.01)
        return summary


@pytest.fixture
def simulate(shell: Shell) -> Callable[..., Service]:
    """``simulate("slow-start")`` -> the running service."""

    def start(scenario: str = "happy", *arguments: object) -> Service:
        process = shell.start("simulate", "hugging-face", "--scenario", scenario, *arguments).process
        assert process.stdout is not None
        return Service(process.stdout.readline().strip())

    return start


@dataclass(slots=True, kw_only=True)
class Told:
    """An API of two calls in this process that does as it is told, and counts. What was made is there."""

    url: str = ""
    posts: int = 0
    gets: int = 0
    state: str = "running"
    address: str = "https://demo.example.com"
    made: dict[str, Any] = field(default_factory=dict)
    """The body of the last create."""
    arrived: threading.Event = field(default_factory=threading.Event)
    """Set when a request that is held has arrived."""
    release: threading.Event = field(default_factory=threading.Event)
    """A request that is held is answered once this is set."""
    hold: str = ""
    """The method of the requests that are held."""
    upon_post: Callable[[], None] = lambda: None
    """Done after a create was applied and before it is answered."""
    tokens: set[str] = field(default_factory=set)


@pytest.fixture
def told() -> Iterator[Told]:
    """A server on loopback; what is created with it is there at once."""
    told = Told()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *arguments: Any) -> None:
            pass

        def do_POST(self) -> None:
            told.made = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            told.posts += 1
            told.upon_post()
            self._answer(201)

        def do_GET(self) -> None:
            told.gets += 1
            self._answer(200 if told.made else 404)

        def _answer(self, status: int) -> None:
            told.tokens.add(self.headers.get("Authorization", ""))
            if self.command == told.hold:
                told.arrived.set()
                told.release.wait(PATIENCE)
            body = json.dumps({**told.made, "name": "demo", "status": {"state": told.state, "url": told.address}})
            try:
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body.encode())
            except OSError:
                # The client may be gone; several stories are about that.
                self.close_connection = True

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        told.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield told
        told.release.set()
        server.shutdown()
        thread.join(PATIENCE)


@pytest.fixture
def deploy() -> list[str]:
    """The shipped workflow and its inputs."""
    return ["deploy-inference-endpoint", "-i", "namespace=acme", "-i", "name=demo", "-i", "repository=gpt2"]


@pytest.fixture
def users_deploy() -> list[object]:
    """The document a user wrote and its inputs: it takes a 201 only, and polls with JSONPath criteria."""
    inputs = ["namespace=acme", "name=demo", "repository=gpt2", "instanceType=intel-spr", "instanceSize=x2"]
    source = f"inferenceEndpointsApi={ROOT / 'workflows' / 'openapi' / 'hugging-face-inference-endpoints-api.yml'}"
    return [
        DOCUMENT,
        "--source",
        source,
        *(word for one in inputs for word in ("-i", one)),
        "-i",
        "hfToken=@env:HF_TOKEN",
    ]


@pytest.fixture
def canary() -> str:
    """The text of the token every process has in HF_TOKEN."""
    return CANARY


@pytest.fixture
def closed_port() -> int:
    """A port of loopback on which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])
