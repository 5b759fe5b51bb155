"""``make bench``: what the machine costs over a bare ``requests`` script that makes the same calls.

Makes a table on standard output and ``docs/measurements.md`` from processes timed from outside: both programs are run
in turns, in one go, against one simulator on loopback, and only figures of the same go are compared. CPU is what the
operating system counted for the finished process. Where a target is missed, a profile of where the time went is added.
It judges nothing but the two ratios, and changes nothing else.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import platform
import pstats
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from statistics import median
from typing import Final

from .bench_sources import OPERATIONS, Loads, load_line, measure_loads
from .scenarios import RUNNING, Scenario, Stage
from .server import Simulator

__all__ = ["Cost", "Figures", "main", "measure", "start_line", "table"]

_ROOT: Final = Path(__file__).resolve().parents[2]
_OUTPUT: Final = _ROOT / "docs" / "measurements.md"
_WALL_TARGET: Final = 2.0
_CPU_TARGET: Final = 1.5
_HELP_TARGET: Final = 0.15
"""Seconds."""
_ROUNDS: Final = 20
_POLLS: Final = 400
_TOKEN: Final = "not-a-real-token"
_TOP: Final = 15

_BARE: Final = """\
import os, sys
import requests

url, name = sys.argv[1:]
session = requests.Session()
headers = {"Authorization": "Bearer " + os.environ["BENCH_TOKEN"]}
body = {
    "name": name,
    "type": "public",
    "provider": {"vendor": "aws", "region": "us-east-1"},
    "compute": {
        "accelerator": "cpu",
        "instanceType": "intel-spr",
        "instanceSize": "x2",
        "scaling": {"minReplica": 1, "maxReplica": 1},
    },
    "model": {
        "repository": "gpt2",
        "revision": "main",
        "task": "text-generation",
        "framework": "pytorch",
        "image": {"huggingface": {}},
    },
}
created = session.post(url + "/endpoint/acme", json=body, headers=headers)
created.raise_for_status()
while True:
    reply = session.get(url + "/endpoint/acme/" + created.json()["name"], headers=headers)
    reply.raise_for_status()
    if reply.json()["status"]["state"] == "running":
        break
print(reply.json()["status"]["url"])
"""
"""What somebody writes who only wants the endpoint: a default session, and a loop without a pause."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one finished process took, in seconds: from start to end, and of the processor, children included."""

    wall: float
    cpu: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Medians, in seconds. ``per_poll`` is CPU: a run with ``polls`` more looks, less one without, divided."""

    rounds: int
    polls: int
    ours: Cost
    bare: Cost
    ours_per_poll: float
    bare_per_poll: float
    help: Cost
    """``arazzo-machine --help``."""
    python: Cost
    """An interpreter that is started and does nothing: what every command takes at least."""

    @property
    def wall_ratio(self) -> float:
        return self.ours.wall / self.bare.wall

    @property
    def cpu_ratio(self) -> float:
        return self.ours.cpu / self.bare.cpu

    @property
    def per_poll_ratio(self) -> float:
        return self.ours_per_poll / self.bare_per_poll

    @property
    def met(self) -> bool:
        """Whether both ratios are: where one is not, a profile is worth its time."""
        return self.wall_ratio <= _WALL_TARGET and self.per_poll_ratio <= _CPU_TARGET


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the table, write the report. A missed target is reported, and is no failure."""
    parser = argparse.ArgumentParser(prog="python -m machine.testing.bench", description="Measure the machine.")
    parser.add_argument("--rounds", type=int, default=_ROUNDS, help="how often each program runs")
    parser.add_argument("--polls", type=int, default=_POLLS, help="extra polls for the cost of one")
    parser.add_argument("--operations", type=int, default=OPERATIONS, help="of the description that is read")
    parser.add_argument("--date", default="", help="the date the report shows; today unless given")
    parser.add_argument("--output", type=Path, default=_OUTPUT, help="the report")
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.serve is not None:
        _serve(given.serve)
        return 0
    if min(given.rounds, given.polls, given.operations) < 1:
        parser.error("--rounds, --polls and --operations are at least 1")
    figures = measure(rounds=given.rounds, polls=given.polls)
    loads = measure_loads(operations=given.operations)
    lines = table(figures)
    print("\n".join([*lines, "", start_line(figures), load_line(loads)]), flush=True)
    profile = "" if figures.met else _profile(given.polls)
    given.output.parent.mkdir(parents=True, exist_ok=True)
    given.output.write_text(_report(figures, loads, given.operations, given.date, profile), encoding="utf-8")
    print(f"written: {given.output}")
    return 0


def measure(*, rounds: int, polls: int) -> Figures:
    """Run both programs in turns, ``rounds`` times without and as often with ``polls`` extra polls, and compare."""
    with _service(0) as short, _service(polls) as long, tempfile.TemporaryDirectory() as folder:
        programs: Mapping[str, Callable[[str, str], list[str]]] = {
            "ours": lambda url, name: _ours(url, name, Path(folder)),
            "bare": lambda url, name: [sys.executable, "-c", _BARE, url, name],
        }
        environment = _environment()
        starts = _starts(rounds, environment)
        costs: dict[tuple[str, int], list[Cost]] = {(one, extra): [] for one in programs for extra in (0, polls)}
        # The first round fills caches of bytecode and files, and is thrown away.
        for turn in range(rounds + 1):
            for one, command in programs.items():
                for extra, url in ((0, short), (polls, long)):
                    cost = _timed(command(url, f"{one}-{turn}"), environment)
                    if turn:
                        costs[one, extra].append(cost)
    per_poll = {one: _per_poll(costs[one, 0], costs[one, polls], polls) for one in programs}
    return Figures(
        rounds=rounds,
        polls=polls,
        ours=_middle(costs["ours", 0]),
        bare=_middle(costs["bare", 0]),
        ours_per_poll=per_poll["ours"],
        bare_per_poll=per_poll["bare"],
        help=starts["help"],
        python=starts["python"],
    )


def table(figures: Figures) -> list[str]:
    """The figures as a Markdown table, in milliseconds."""
    rows = (
        ("create and 1 poll, wall", figures.ours.wall, figures.bare.wall, figures.wall_ratio, _WALL_TARGET),
        ("create and 1 poll, CPU", figures.ours.cpu, figures.bare.cpu, figures.cpu_ratio, None),
        (
            "each further poll, CPU",
            figures.ours_per_poll,
            figures.bare_per_poll,
            figures.per_poll_ratio,
            _CPU_TARGET,
        ),
    )
    lines = [
        "|                         | arazzo-machine | bare requests | ratio | target |        |",
        "|-------------------------|---------------:|--------------:|------:|-------:|--------|",
    ]
    for what, ours, bare, ratio, target in rows:
        bound = "" if target is None else f"{target:.1f}"
        verdict = "" if target is None else "met" if ratio <= target else "missed"
        cells = f"{ours * 1000:>11.2f} ms | {bare * 1000:>10.2f} ms | {ratio:>5.2f} | {bound:>6} | {verdict:<6}"
        lines.append(f"| {what:<23} | {cells} |")
    return lines


def start_line(figures: Figures) -> str:
    """How long a command takes that only says what it can do, which has a target in seconds and not as a ratio."""
    verdict = "met" if figures.help.wall <= _HELP_TARGET else "missed"
    wall, cpu, python = (1000 * one for one in (figures.help.wall, figures.help.cpu, figures.python.wall))
    target = f"target {_HELP_TARGET * 1000:.0f} ms: {verdict}"
    return f"`--help` takes {wall:.0f} ms ({cpu:.0f} ms of CPU), of which Python itself {python:.0f} ms ({target})."


# -- the two programs and what they talk to ----------------------------------------------------------------------------


def _ours(url: str, name: str, folder: Path) -> list[str]:
    given = ["-i", "hfToken=@env:BENCH_TOKEN", "-i", "namespace=acme", "-i", f"name={name}", "-i", "repository=gpt2"]
    pace = ["--poll-interval", "0s", "--visits", "1000000", "--calls", "1000000", "--transitions", "1000000"]
    run = ["run", "deploy-inference-endpoint", "--server", url, *given, *pace]
    return [sys.executable, "-m", "machine", *run, "--store", str(folder / "runs.db")]


def _starts(rounds: int, environment: Mapping[str, str]) -> dict[str, Cost]:
    """What it takes to start: our ``--help``, and an interpreter that does nothing, in turns; the best of each, which
    says least about what else the machine was doing."""
    commands = {
        "help": [sys.executable, "-m", "machine", "--help"],
        "python": [sys.executable, "-c", "pass"],
    }
    costs: dict[str, list[Cost]] = {name: [] for name in commands}
    for turn in range(rounds + 1):
        for name, command in commands.items():
            cost = _timed(command, environment)
            if turn:
                costs[name].append(cost)
    return {name: min(found, key=lambda one: one.wall) for name, found in costs.items()}


def _serve(extra: int) -> None:
    """Until standard input ends, which it does when whoever started this is gone, however it went."""
    before = (Stage(state="initializing", polls=extra),) if extra else ()
    with Simulator(Scenario(name="bench", summary="", created=(*before, RUNNING))) as simulator:
        print(simulator.url, flush=True)
        sys.stdin.read()


@contextlib.contextmanager
def _service(extra: int) -> Iterator[str]:
    """The URL of a simulator in a process of its own, where an endpoint runs after ``extra`` polls, at the next."""
    command = [sys.executable, "-m", __spec__.name, "--serve", str(extra)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdin is not None
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.stdin.close()
        process.wait(10)
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()


def _timed(command: Sequence[str], environment: Mapping[str, str]) -> Cost:
    with tempfile.TemporaryFile() as output:
        began = time.perf_counter()
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            output.seek(0)
            said = output.read().decode(errors="replace")
            raise SystemExit(f"{command[:4]} ended with exit code {process.returncode}\n{said}")
    return Cost(wall=wall, cpu=usage.ru_utime + usage.ru_stime)


def _environment() -> dict[str, str]:
    """Bytecode is kept for both programs, whatever the environment says."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "BENCH_TOKEN": _TOKEN}


def _per_poll(short: Sequence[Cost], long: Sequence[Cost], polls: int) -> float:
    """CPU seconds of one poll; at least a microsecond, whatever noise makes of a tiny measurement."""
    return max(median((more.cpu - less.cpu) / polls for less, more in zip(short, long, strict=True)), 1e-6)


def _middle(costs: Sequence[Cost]) -> Cost:
    return Cost(wall=median(one.wall for one in costs), cpu=median(one.cpu for one in costs))


# -- the report --------------------------------------------------------------------------------------------------------


_METHOD: Final = """\
- **create and 1 poll**: the whole process of `arazzo-machine run deploy-inference-endpoint` against an endpoint that
  runs at the first look, beside a script that makes the same POST and the same GET with `requests` and keeps nothing.
  Medians of {rounds} runs of each, in turns.
- **`--help`**: the whole process, and `python -c pass`, in turns; the best of {rounds} each.
- **a description**: CPU time of reading a document whose source has {operations:,} operations, in one process
  after the other; the first finds an empty cache, of the others the median counts.
- **each further poll**: CPU time of a run with {polls} more polls without a pause, less that of the run without them,
  divided by {polls}; the script's loop is `requests.Session().get` and `.json()`. Medians as above.

Our side of each figure includes what the script does not do: compiling the document, checking every answer, the lock
of the run and its journal, with one durable write a poll. Everything is on loopback, against the simulator in a process
of its own, because the latency of a real service is the same for both and would only hide the difference. Both programs
run from bytecode compiled before, as installed packages do.

Reproduce: `make bench`. Absolute times differ from machine to machine, the ratios much less.
"""

_PROFILE: Final = """\
## Where the time goes

A target was missed, so here are the functions that take most of a poll, by their own time. They ran {polls} polls under
cProfile, which slows small functions most; the start of the process is spread over them.

```text
{functions}
```

And the imports that take most of the start, each without what it imports itself, of the same command:

```text
{imports}
```
"""


def _report(figures: Figures, loads: Loads, operations: int, day: str, profile: str) -> str:
    python = f"{platform.python_implementation()} {platform.python_version()}"
    where = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    first = f"Measured on {day or date.today().isoformat()} with {python} on {where}."
    method = _METHOD.format(rounds=figures.rounds, polls=figures.polls, operations=operations)
    parts = [
        "# Measurements\n",
        f"{first}\n",
        "\n".join([*table(figures), ""]),
        f"{start_line(figures)}\n",
        f"{load_line(loads)}\n",
        method,
        *([profile] if profile else []),
    ]
    return "\n".join(parts)


def _profile(polls: int) -> str:
    """Where the time goes, for the ratio that was missed: the poll loop by function, the start by import."""
    with _service(polls) as url, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        environment = _environment()
        stats = folder / "stats"
        # Twice: the first run compiles the bytecode.
        for attempt in range(2):
            command = _ours(url, f"profiled-{attempt}", folder)
            _timed([command[0], "-m", "cProfile", "-o", str(stats), *command[1:]], environment)
        return _PROFILE.format(
            polls=polls,
            functions="\n".join(_functions(stats, polls)),
            imports="\n".join(_imports(_ours(url, "imports", folder), environment)),
        )


def _functions(stats: Path, polls: int) -> list[str]:
    profile = pstats.Stats(str(stats)).get_stats_profile()
    every = sorted(profile.func_profiles.items(), key=lambda one: one[1].tottime, reverse=True)
    lines = [f"{'own ms/poll':>11} {'all ms/poll':>11} {'calls/poll':>10}  function"]
    for name, one in every[:_TOP]:
        calls = int(one.ncalls.partition("/")[0]) / polls
        where = f"{_short(one.file_name)}:{one.line_number} {name}" if one.line_number else name
        own, both = one.tottime * 1000 / polls, one.cumtime * 1000 / polls
        lines.append(f"{own:>11.4f} {both:>11.4f} {calls:>10.1f}  {where}")
    return lines


_IMPORTED = re.compile(r"import time:\s+(\d+) \|\s+(\d+) \|\s+(\S+)")


def _imports(command: Sequence[str], environment: Mapping[str, str]) -> list[str]:
    done = subprocess.run(
        [command[0], "-X", "importtime", *command[1:]],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    found = [(int(own), int(both), name) for own, both, name in _IMPORTED.findall(done.stderr)]
    lines = [f"{'own ms':>7} {'all ms':>7}  module ({len(found)} imported)"]
    return lines + [
        f"{own / 1000:>7.2f} {both / 1000:>7.2f}  {name}" for own, both, name in sorted(found)[: -_TOP - 1 : -1]
    ]


def _short(path: str) -> str:
    """The file within what it is a part of: where that is installed says nothing."""
    file = Path(re.sub(r".*/(?:site-packages|python3\.\d+)/", "", path))
    return (file.relative_to(_ROOT) if file.is_relative_to(_ROOT) else file).as_posix()


if __name__ == "__main__":
    sys.exit(main())
