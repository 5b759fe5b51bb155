"""``make release-check``: the wheel, alone in an empty environment, does what the tutorial and the workflows promise.

Builds the wheel of this checkout. For each interpreter that is found it makes an environment with nothing in it but the
wheel and what it asks for; there every shipped workflow runs against the simulator to its end and through its failures,
and every command of the tutorial is typed as it is written. Then pipx, uv and uvx put the wheel where commands go,
as far as they are on the path. Takes minutes, and needs a package index.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "scenarios")]

from test_docs import BLOCKS, commands, environment, matches, plain, written  # noqa: E402
from test_exit_codes import ENDS  # noqa: E402
from test_life_of_an_endpoint import DEPLOY, STORIES  # noqa: E402

_MINORS: Final = (11, 12, 13, 14)
_MOST: Final = 25
"""Distributions of the core install, pip itself not counted."""
INSTALLERS: Final[Mapping[str, Sequence[str]]] = {
    "pipx": ("pipx", "install", "{wheel}"),
    "uv tool": ("uv", "tool", "install", "{wheel}"),
    "uvx": ("uvx", "--from", "{wheel}", "arazzo-machine"),
}
"""What a person installs a command with; where ``install`` is no part of it, it runs it without."""
_TUTORIAL: Final = "docs/tutorial.md"
_NAMED: Final = {"namespace": "acme", "name": "demo"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """An environment with the wheel in it, and an empty folder to work in."""

    python: Path
    folder: Path

    def program(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """The command as a user types it: nothing of this checkout is on its path. Both streams are in ``stdout``."""
        return self._run(str(self.python.parent / "arazzo-machine"), *arguments, stderr=subprocess.STDOUT)

    def object(self, *arguments: str) -> tuple[int, Any]:
        done = self._run(str(self.python.parent / "arazzo-machine"), *arguments, "--json", stderr=subprocess.PIPE)
        return done.returncode, json.loads(done.stdout)

    def distributions(self) -> list[str]:
        code = "import importlib.metadata as m; print(*sorted({d.name for d in m.distributions()} - {'pip'}))"
        return self._run(str(self.python), "-c", code, stderr=subprocess.PIPE).stdout.split()

    def home(self) -> str:
        return self._run(str(self.python), "-c", "import machine; print(machine.__file__)", stderr=None).stdout

    def install(self, what: str) -> None:
        pip = [str(self.python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", what]
        subprocess.run(pip, check=True, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def _run(self, *command: str, stderr: int | None) -> subprocess.CompletedProcess[str]:
        kept = {name: value for name, value in environment(self.folder).items() if not name.startswith("PYTHON")}
        return subprocess.run(
            command,
            cwd=self.folder,
            env=kept,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            timeout=120,
            check=False,
        )


def main() -> int:
    parser = argparse.ArgumentParser(description="Check a release from the outside.")
    parser.add_argument("--python", action="append", type=Path, help="an interpreter; else those that are found")
    parser.add_argument("--installers", action="store_true", help="only with pipx, uv and uvx")
    words = parser.parse_args()
    given = words.python
    found = {str(path): path for path in given} if given else {} if words.installers else interpreters()
    problems = []
    with tempfile.TemporaryDirectory() as name:
        wheel = built(Path(name))
        print(wheel.name)
        for version, interpreter in found.items():
            if interpreter is None:
                print(f"{version}: no such interpreter here, not tried")
                continue
            wrong = list(check(interpreter, wheel, Path(name) / version.replace(os.sep, "_")))
            print(f"{version}: {len(wrong)} problems", *wrong, sep="\n  ", flush=True)
            problems += wrong
        for tool, command in INSTALLERS.items():
            if shutil.which(command[0]) is None:
                print(f"{tool}: not on the path, not tried")
                continue
            wrong = list(by_installer(command, wheel, Path(name) / tool.replace(" ", "-")))
            print(f"{tool}: {len(wrong)} problems", *wrong, sep="\n  ", flush=True)
            problems += wrong
    return bool(problems)


def interpreters() -> dict[str, Path | None]:
    """By version, an interpreter that answers: one on the path, or one of pyenv's."""
    found: dict[str, Path | None] = {}
    for minor in _MINORS:
        pyenv = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser() / "versions"
        candidates = [shutil.which(f"python3.{minor}"), *sorted(pyenv.glob(f"3.{minor}.*/bin/python"))]
        found[f"3.{minor}"] = next((Path(one) for one in candidates if one and _answers(one)), None)
    return found


def _answers(interpreter: str | Path) -> bool:
    done = subprocess.run([interpreter, "-c", "import venv, ensurepip"], capture_output=True, check=False)
    return done.returncode == 0


def by_installer(command: Sequence[str], wheel: Path, home: Path) -> Iterator[str]:
    """What is wrong with the wheel where a person's installer puts it, in a home that is nobody's yet."""
    home.mkdir()
    bin_ = home / "bin"
    kept = {name: value for name, value in environment(home).items() if not name.startswith("PYTHON")}
    kept |= {
        "HOME": str(home),
        "PIPX_HOME": str(home / "pipx"),
        "PIPX_BIN_DIR": str(bin_),
        "UV_TOOL_BIN_DIR": str(bin_),
    }
    kept |= {"UV_TOOL_DIR": str(home / "tools"), "XDG_STATE_HOME": str(home / "state")}
    words = [one.format(wheel=wheel) for one in command]
    if "install" in words:
        done = _ran(words, home, kept)
        if done.returncode:
            yield f"{shlex.join(words)}: exit {done.returncode}: {done.stdout[-300:]}"
            return
        words = [str(bin_ / "arazzo-machine")]
    deploy = ["run", DEPLOY, *_options({**_NAMED, "repository": "gpt2"}, "installed", "happy")]
    for arguments in (["--help"], ["diagram", DEPLOY, "--format", "mermaid"], deploy):
        done = _ran([*words, *arguments], home, kept)
        if done.returncode:
            yield f"{shlex.join([*words, *arguments])}: exit {done.returncode}: {done.stdout[-300:]}"


def _ran(words: Sequence[str], folder: Path, variables: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words,
        cwd=folder,
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )


def built(folder: Path) -> Path:
    """The wheel, built from the sdist of this checkout."""
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    return wheel


def check(interpreter: Path, wheel: Path, folder: Path) -> Iterator[str]:
    """Everything that is not as it was promised, one line each."""
    subprocess.run([interpreter, "-m", "venv", folder / "venv"], check=True)
    installed = Installed(python=folder / "venv" / "bin" / "python", folder=folder / "work")
    installed.folder.mkdir()
    installed.install(str(wheel))
    if not installed.home().startswith(str(folder)):
        yield f"the package is not the one that was installed: {installed.home()}"
    if len(installed.distributions()) > _MOST:
        yield f"the core install brings {len(installed.distributions())} distributions, at most {_MOST} were promised"
    yield from workflows(installed)
    # The last commands of the tutorial draw a picture.
    installed.install(f"{wheel}[diagrams]")
    yield from tutorial(installed)


def workflows(installed: Installed) -> Iterator[str]:
    """Each shipped workflow in each of its stories, and the ends of a deployment with their exit codes."""
    for story in STORIES:
        name, scenario, inputs, state, outputs = story.values
        code, result = installed.object("run", name, *_options({**_NAMED, **inputs}, story.id, scenario))
        seen = (result.get("state"), {key: result.get("outputs", {}).get(key) for key in outputs})
        if seen != (state, outputs) or (code == 0) != (result.get("phase") == "ready"):
            yield f"{name}, {story.id}: exit {code}, {result}"
    for end in ENDS:
        expected, (scenario, *flags), reason, _ = end.values
        given = {**_NAMED, "repository": "gpt2"}
        code, result = installed.object("run", DEPLOY, *_options(given, f"end-{end.id}", scenario), *flags)
        if (code, result.get("reason")) != (expected, reason):
            yield f"{DEPLOY}, {end.id}: exit {code}, {result}"


def _options(inputs: Mapping[str, Any], run: str, scenario: str) -> list[str]:
    given = [word for name, value in inputs.items() for word in ("-i", f"{name}={value}")]
    return [*given, "--id", run, "--simulate", scenario, "--poll-interval", "0s"]


def tutorial(installed: Installed) -> Iterator[str]:
    """Each command of the page, as it is written, with what it shows."""
    fresh = Installed(python=installed.python, folder=installed.folder.parent / "tutorial")
    fresh.folder.mkdir()
    written(_TUTORIAL, fresh.folder)
    for command, shown in [pair for kind, text in BLOCKS[_TUTORIAL] if kind == "console" for pair in commands(text)]:
        done = fresh.program(*shlex.split(command)[1:])
        printed = _lines(done)
        if not (matches(shown, printed) or sorted(shown) == sorted(printed)):
            yield f"{command}\n    shows {shown}\n    prints {printed}"


def _lines(done: subprocess.CompletedProcess[str]) -> Sequence[str]:
    printed = [plain(line) for line in done.stdout.splitlines() if plain(line)]
    return [*printed, f"[exit {done.returncode}]"] if done.returncode else printed


if __name__ == "__main__":
    sys.exit(main())
