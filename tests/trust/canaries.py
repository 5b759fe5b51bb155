"""Tokens that are easy to tell, a service that quotes them in every way, and a search through all that is written.

A trial is one canary and one way the service behaves: the user's document is run, left, shown, drawn, handed on and
resumed with that token, and everything that came out is searched for it in nine spellings. The spellings are made here
with the standard library alone, not with the code under test.
"""

from __future__ import annotations

import base64
import contextlib
import html
import io
import json
import logging
import os
import re
import sqlite3
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, quote_plus

from machine.cli.app import main

__all__ = ["BEHAVIOURS", "CANARIES", "SINKS", "SPELLINGS", "hits", "trial"]

ROOT: Final = Path(__file__).resolve().parents[2]
OPENAPI: Final = ROOT / "workflows" / "openapi" / "hugging-face-inference-endpoints-api.yml"

CANARIES: Final[Mapping[str, str]] = {
    "plain": "hf_cAnArYpLaInAbCdEfGhIjKlMn",
    "quotes": 'canary"quo\'ted"',
    "backslash": "canary\\back\\slash",
    "space": "canary with space",
    "percent": "canary%41%zz%",
    "latin": "canary-\u00e9\u00fc\u00df",
    "beyond-latin": "canary-\u4e2d\U0001f600",
    "newline": "canary\nX-Evil: yes",
    "markup": "canary</script><b>&amp;",
    "six": "cNrY6q",
    "base64": "canary+/cGFzc3dvcmQ=+/==",
    "long": "canary." + "Ab3_-" * 120,
}

BEHAVIOURS: Final = ("ready", "refuses", "breaks", "unauthorised", "hangs-up")

SINKS: Final = ("result", "progress", "json", "log", "store", "error", "why", "drawing", "token", "debug")


def _middle(encode: Callable[[bytes], bytes], data: bytes) -> list[str]:
    """What stays the same of an encoding whatever stands around, for each alignment."""
    found = []
    for offset in range(3):
        one, other = (encode(edge * offset + data + edge * 3).decode() for edge in (b"\0", b"\xff"))
        same = "".join(a if a == b else " " for a, b in zip(one, other, strict=True))
        found.append(max(same.split(), key=len))
    return found


def _lower(text: str) -> str:
    return re.sub("%[0-9A-F]{2}", lambda found: found[0].lower(), text)


SPELLINGS: Final[Mapping[str, Callable[[str], list[str]]]] = {
    "raw": lambda text: [text],
    "json": lambda text: [json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]],
    "percent": lambda text: [quote(text, safe=""), quote(text), quote(text, safe="!'()*-._~")],
    "percent-lower": lambda text: [_lower(quote(text, safe="")), _lower(quote(text))],
    "form": lambda text: [quote_plus(text)],
    "base64": lambda text: _middle(base64.b64encode, text.encode()),
    "base64url": lambda text: _middle(base64.urlsafe_b64encode, text.encode()),
    "html": lambda text: [html.escape(text), html.escape(text).replace("&#x27;", "&#39;")],
    "hex": lambda text: [text.encode().hex(), text.encode().hex().upper()],
}


def hits(canary: str, written: bytes) -> list[str]:
    """The spellings in which a canary stands in some bytes."""
    return [name for name, spell in SPELLINGS.items() if any(one.encode() in written for one in spell(canary))]


class Echo:
    """A service of two calls that quotes the token it was sent, in every spelling, in everything it says."""

    def __init__(self, behaviour: str) -> None:
        self.behaviour = behaviour
        self.state = "pending"
        self.seen: set[str] = set()

    def __enter__(self) -> Echo:
        echo = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, format: str, *arguments: Any) -> None:
                pass

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                self._answer({"ready": 201, "refuses": 400, "breaks": 500, "unauthorised": 401}.get(echo.behaviour, 0))

            def do_GET(self) -> None:
                self._answer(200)

            def _answer(self, status: int) -> None:
                token = self.headers.get("Authorization", "").removeprefix("Bearer ")
                echo.seen.add(token)
                if not status:
                    self.close_connection = True
                    return
                quoted = {name: spell(token) for name, spell in SPELLINGS.items()}
                address = f"https://demo.example.com/?token={quote(token, safe='')}"
                value = {"name": "demo", "status": {"state": echo.state, "url": address}, "message": token, **quoted}
                body = json.dumps(value).encode() if status < 500 else f"<p>{html.escape(token)}</p>".encode()
                self.send_response(status, "OK")
                self.send_header("Content-Type", "application/json" if status < 500 else "text/html")
                self.send_header("X-Echo", base64.b64encode(b"user:" + token.encode()).decode())
                self.send_header("Location", quote(token))
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *problem: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


class _Command:
    """Commands given in this process, in a folder and an environment of their own."""

    def __init__(self, folder: Path, canary: str) -> None:
        self._folder = folder
        self._environment = {"HF_TOKEN": canary, "ARAZZO_MACHINE_STORE": str(folder / "runs.db")}

    def __call__(self, *arguments: object) -> tuple[int, str, str]:
        out, err = io.StringIO(), io.StringIO()
        before, here = dict(os.environ), Path.cwd()
        os.environ.update(self._environment)
        os.chdir(self._folder)
        code: Any = 0
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                main([str(one) for one in arguments])
        except SystemExit as stop:
            code = stop.code
        finally:
            os.chdir(here)
            os.environ.clear()
            os.environ.update(before)
        return int(code or 0), out.getvalue(), err.getvalue()


@contextlib.contextmanager
def _debugging() -> Iterator[io.StringIO]:
    """Everything any library logs meanwhile."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        yield stream
    finally:
        root.removeHandler(handler)
        root.setLevel(level)


def _store(folder: Path) -> bytes:
    """The bytes of the store, as they are and as SQLite reads them: a text may be torn over two pages."""
    data = b"\0".join(one.read_bytes() for one in folder.glob("runs.db*") if one.is_file())
    path = folder / "runs.db"
    if path.exists():
        with contextlib.closing(sqlite3.connect(path)) as connection:
            data += "\n".join(connection.iterdump()).encode("utf-8", "surrogatepass")
    return data


def _written(command: _Command, echo: Echo, folder: Path, document: Path) -> dict[str, str | bytes]:
    """Run, leave, show, draw, hand on, resume; what each sink got."""
    inputs = ["namespace=acme", "name=demo", "repository=gpt2", "instanceType=intel-spr", "instanceSize=x2"]
    words = [word for one in inputs for word in ("-i", one)]
    given = ["--source", f"inferenceEndpointsApi={OPENAPI}", *words, "-i", "hfToken=@env:HF_TOKEN"]
    shared = ["--server", echo.url, "--poll-interval", "0s", "--log", "run.log"]
    with _debugging() as debug:
        began = command("run", document, *given, *shared, "--id", "a", "--once")
        token = command("show", "a", "--token")
        echo.state = "running"
        ended = command("resume", "a", "--log", "run.log")
        again = command("resume", "a", "--json")
        shown = [command("show", "a", "--json"), command("runs", "--json")]
        why = [command("show", "a", "--why"), command("show", "a", "--why", "--json")]
        drawn = [command("diagram", "--run", "a"), command("diagram", "--run", "a", "--format", "mermaid")]
        settled = [command("resolve", "a"), command("resolve", "a", "--accept", "--json")]
    everything = [began, token, ended, again, *shown, *why, *drawn, *settled]
    failed = "\n".join(out + err for code, out, err in everything if code)
    log = folder / "run.log"
    return {
        "result": began[1] + ended[1],
        "progress": began[2] + ended[2],
        "json": again[1] + "".join(out for _, out, _ in shown),
        "log": log.read_bytes() if log.exists() else b"",
        "store": _store(folder),
        "error": failed,
        "why": "".join(out + err for _, out, err in why),
        "drawing": "".join(out + err for _, out, err in drawn),
        "token": token[1] + token[2],
        "debug": debug.getvalue() + "".join(err for _, _, err in everything),
    }


def trial(name: str, behaviour: str, document: Path) -> list[str]:
    """The sinks a canary was found in, with its spelling; and whether it reached the service or was refused by name."""
    canary = CANARIES[name]
    with tempfile.TemporaryDirectory() as made, Echo(behaviour) as echo:
        written = _written(_Command(Path(made), canary), echo, Path(made), document)
    found = [
        f"{spelling} in {sink}"
        for sink, content in written.items()
        for spelling in hits(canary, content if isinstance(content, bytes) else content.encode("utf-8", "replace"))
    ]
    everything = "".join(str(one) for one in written.values())
    if "Traceback" in everything:
        found.append("a traceback was shown")
    sent = {one.encode("latin-1", "replace").decode("latin-1") for one in echo.seen}
    if canary not in sent and "[AZM-" not in str(written["error"]) and "unsendable" not in everything:
        found.append("it was neither sent nor refused")
    if canary in sent and behaviour == "ready" and "[secret hfToken]" not in str(written["json"]):
        found.append("the service quoted it and no name stands in its place")
    return found
