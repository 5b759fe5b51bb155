"""``make demo``: a deployment shown from end to end to somebody who has never seen it, without a token or a network.

Makes a narrated text on standard output, and in a folder of its own a store of runs and a drawing, from the real
command line: every command shown is run as a process, and what it prints is shown. The service is the simulator, in a
process of its own, which outlives the runner that is killed. Whatever happens, no process is left behind.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import shlex
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

__all__ = ["fold", "main"]

_WIDTH = 100
_INDENT = "    "
_NO_BREAK = "\N{NO-BREAK SPACE}"
_WORKFLOW = "deploy-inference-endpoint"
_SCENARIO = "slow-start"
"""Running on the 40th look: time enough to kill the runner, on a slow machine too."""
_PACE = "0.25s"
_TOKEN = "not-a-real-token"
_LOOKS = 3
_PATIENCE = 30.0
"""Seconds for one thing to happen that takes less than one."""
_STORE = "runs.db"
_MORE = "more.db"
_SVG, _DOT = "demo.run.svg", "demo.run.dot"
_MADE = (_STORE, f"{_STORE}-wal", f"{_STORE}-shm", f"{_STORE}.locks/demo", f"{_STORE}.marks/demo", _SVG, _DOT)
"""All a demo leaves behind, and so all that the next one removes."""


class _Broken(Exception):
    """The show cannot go on."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Give the show; 0 when the run became ready and the server saw one create, else 1."""
    parser = argparse.ArgumentParser(prog="python -m machine.testing.demo", description="Show a deployment.")
    parser.add_argument("--folder", type=Path, default=Path("demo"), help="where the store and the drawing go")
    folder: Path = parser.parse_args(arguments).folder
    # A signal ends the show as an exception, so that the simulator is stopped on the way out.
    before = signal.signal(signal.SIGTERM, lambda signum, frame: sys.exit(128 + signum))
    began = time.monotonic()
    try:
        _clear(folder)
        _show(folder)
    except (_Broken, OSError, subprocess.SubprocessError) as error:
        _say("", f"The demo broke: {error}")
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        signal.signal(signal.SIGTERM, before)
    _say("", f"That took {time.monotonic() - began:.0f} s.")
    return 0


def _clear(folder: Path) -> None:
    """An empty stage: only what an earlier demo made is removed."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in _MADE:
        (folder / name).unlink(missing_ok=True)


def _show(folder: Path) -> None:
    store = _store(folder, _STORE)
    _say("A deployment from end to end, against a simulator: no token, no network, less than a minute.")
    _title("1. A workflow is a state machine")
    _say("The document is ordinary Arazzo. This is what it compiles to; nothing is sent.")
    _states()
    with _simulator() as url:
        _title("2. Run it, and kill it in the middle")
        _say(
            "The service is a simulator, in a process of its own. The token is a reference; its text is stored nowhere."
        )
        _interrupt(url, store)
        _title("3. What is left")
        _say("The store says what happened: it was written before each request left.")
        _run(["runs", *store])
        _title("4. Go on")
        _say("Another process takes it up where it was. Nothing but the store connects the two.")
        _run(["resume", *store])
        result = _json(["show", "demo", *store])
        if result["phase"] != "ready":
            raise _Broken(f"the run should be ready and is {result['phase']}")
        _title("5. The other side's count")
        creates = int(_summary(url)["creates"])
        _say(f"creates seen by the server: {creates}")
        if creates != 1:
            raise _Broken("there should have been exactly one create")
    _title("6. The way it went, drawn")
    drawing = _draw(folder, store)
    _title("What there is now")
    _say(
        f"{folder / _STORE}: the run with its whole history",
        f"{drawing}: the machine with the way of this run on it",
    )
    _title("What to try next")
    for command in (
        ["show", "demo", "--why", *store],
        ["plan", _WORKFLOW],
        # Not in the demo's store, which the next demo removes.
        ["run", _WORKFLOW, "--simulate", "ambiguous-create", *_inputs("lost"), "--id", "lost", *_store(folder, _MORE)],
        ["simulate", "hugging-face", "--list"],
    ):
        _command(command)


# -- the acts ----------------------------------------------------------------------------------------------------------


def _states() -> None:
    """The first table of ``plan``; the second, with every guard, is for a quieter moment."""
    command = ["plan", _WORKFLOW]
    _command(command)
    lines = _output(command).splitlines()
    table = lines[2 : lines.index("", 2)]
    last_column = table[0].rindex("CALL")
    for line in table:
        _print(line, hang=last_column)
    _print("...")


@contextlib.contextmanager
def _simulator() -> Iterator[str]:
    """The simulator as a process; its base URL is the first thing it prints."""
    command = ["simulate", "hugging-face", "--scenario", _SCENARIO]
    process = _started(command)
    try:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        if not url.startswith("http://"):
            raise _Broken(f"the simulator did not start: {url}")
        yield url
    finally:
        _stopped(process)


def _interrupt(url: str, store: Sequence[str]) -> None:
    """Start a run and kill it with SIGKILL once the server was asked often enough."""
    _command(["simulate", "hugging-face", "--scenario", _SCENARIO], background=True)
    _print(url)
    token = ["-i", "hfToken=@env:DEMO_TOKEN"]
    command = ["run", _WORKFLOW, "--server", url, *token, *_inputs("demo")]
    command += ["--id", "demo", "--poll-interval", _PACE, *store]
    _print(f"$ export DEMO_TOKEN={_TOKEN}", indent="  ")
    _command(command)
    process = _started(command)
    try:
        assert process.stdout is not None
        printing = threading.Thread(target=_echo, args=(process.stdout,), daemon=True)
        printing.start()
        _until(lambda: process.poll() is not None or _summary(url)["polls"] >= _LOOKS)
        if process.poll() is not None:
            printing.join(_PATIENCE)
            raise _Broken("the run ended before it could be killed")
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(_PATIENCE)
        printing.join(_PATIENCE)
    finally:
        _stopped(process)
    _command(["kill", "-KILL", str(process.pid)], program="")


def _draw(folder: Path, store: Sequence[str]) -> Path:
    """SVG where something can lay it out, else the DOT text it would be made from."""
    drawing = folder / _SVG
    command = ["diagram", "--run", "demo", "-o", str(drawing), *store]
    if _run(command, accept=(0, 64)) == 0:
        return drawing
    _say("Nothing here lays a graph out, so this is the text it is made from.")
    drawing = folder / _DOT
    _run(["diagram", "--run", "demo", "-o", str(drawing), *store])
    return drawing


def _store(folder: Path, name: str) -> list[str]:
    return ["--store", str(folder / name)]


def _inputs(name: str) -> list[str]:
    return ["-i", "namespace=acme", "-i", f"name={name}", "-i", "repository=gpt2"]


# -- processes ---------------------------------------------------------------------------------------------------------


def _started(command: Sequence[str]) -> subprocess.Popen[str]:
    """The command line as a process group of its own, both its streams in one pipe."""
    return subprocess.Popen(
        _real(command),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=_environment(),
        start_new_session=True,
    )


def _stopped(process: subprocess.Popen[str]) -> None:
    """Politely, then not."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    if process.stdout is not None:
        process.stdout.close()


def _run(command: Sequence[str], *, accept: Sequence[int] = (0,)) -> int:
    """Show a command and what it prints, as it prints it; its exit code, which has to be one of ``accept``."""
    _command(command)
    process = _started(command)
    # What hangs is ended, and then its output ends too.
    watch = threading.Timer(2 * _PATIENCE, process.kill)
    watch.start()
    try:
        assert process.stdout is not None
        _echo(process.stdout)
        code = process.wait(_PATIENCE)
    finally:
        watch.cancel()
        _stopped(process)
    if code not in accept:
        raise _Broken(f"{command[0]} ended with exit code {code}")
    return code


def _output(command: Sequence[str]) -> str:
    done = subprocess.run(
        _real(command),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=_PATIENCE,
        env=_environment(),
    )
    if done.returncode != 0:
        raise _Broken(f"{command[0]} ended with exit code {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def _json(command: Sequence[str]) -> dict[str, Any]:
    value = json.loads(_output([*command, "--json"]))
    assert isinstance(value, dict)
    return value


def _real(command: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", "machine", *command]


def _environment() -> Mapping[str, str]:
    return {**os.environ, "DEMO_TOKEN": _TOKEN}


def _summary(url: str) -> dict[str, Any]:
    """What the server has seen; asked without the proxies of the environment."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=_PATIENCE)
    try:
        connection.request("GET", "/_simulator/summary")
        value = json.loads(connection.getresponse().read())
    finally:
        connection.close()
    assert isinstance(value, dict)
    return value


def _until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + _PATIENCE
    while not condition():
        if time.monotonic() > end:
            raise _Broken("nothing happened for too long")
        time.sleep(0.02)


# -- words -------------------------------------------------------------------------------------------------------------


def fold(line: str, *, indent: str = _INDENT, hang: int = 2, width: int = _WIDTH) -> list[str]:
    """A line as lines of at most ``width`` characters, each after ``indent``; what is folded hangs in by ``hang``.

    Widths are counted in characters. An empty line stays one empty line.
    """
    wrapped = textwrap.wrap(
        line,
        width,
        initial_indent=indent,
        subsequent_indent=indent + " " * hang,
        drop_whitespace=True,
        break_on_hyphens=False,
    )
    return wrapped or [""]


def _echo(lines: Iterable[str]) -> None:
    """Lines as they come. Of looks that saw the same thing only the first is shown, and how many followed."""
    before, again = "", 0
    for raw in lines:
        line = raw.rstrip("\n")
        seen, waiting, _ = line.partition("next look in")
        if waiting and seen == before:
            again += 1
            continue
        if again:
            _print(f"({again} more that saw the same)")
        before, again = seen if waiting else "", 0
        _print(line)
    if again:
        _print(f"({again} more that saw the same)")


def _title(text: str) -> None:
    _say("", text, "-" * len(text))


def _say(*lines: str) -> None:
    for line in lines:
        _print(line, indent="", hang=0)


def _command(command: Sequence[str], *, background: bool = False, program: str = "arazzo-machine ") -> None:
    """A command as it would be typed, its lines joined by backslashes where it is long."""
    text = "".join(_joint(one, before) + shlex.quote(one) for before, one in pairwise(["-", *command]))
    # Two columns are left for the backslash.
    lines = fold(f"$ {program}{text[1:]}", indent="  ", width=_WIDTH - 2)
    print(" \\\n".join(lines).replace(_NO_BREAK, " ") + " &" * background, flush=True)


def _joint(word: str, before: str) -> str:
    """A flag and its value stay on one line."""
    return _NO_BREAK if before.startswith("-") and not word.startswith("-") else " "


def _print(line: str, *, indent: str = _INDENT, hang: int = 2) -> None:
    for one in fold(line, indent=indent, hang=hang):
        print(one, flush=True)


if __name__ == "__main__":
    sys.exit(main())
