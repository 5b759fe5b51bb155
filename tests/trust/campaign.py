"""The trust campaign: every canary, hostile document, hostile answer and naughty text, and a table of what came of it.

    campaign.py                    everything
    campaign.py --sample           a little of everything, as the test suite does it
    campaign.py --json             one JSON object instead of the table
    campaign.py --sabotage         and then, with one protection at a time taken away, whether that is missed

The exit code is 1 when a promise was broken, else 0.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

__all__ = ["Part", "main"]

HERE: Final = Path(__file__).resolve().parent
ROOT: Final = HERE.parents[1]
PATIENCE: Final = 900.0
SLOWEST: Final = 1.0
"""Seconds of the processor's time for one hostile document."""
BUSY: Final = 4.0
"""Times as long as a sample may take: a suite on a busy machine must not fail for being slow, and what is not bounded
takes much longer than that."""
LARGEST: Final = 200.0
"""MiB that all of them together may take."""


@dataclass(slots=True, kw_only=True)
class Part:
    """What one part of the campaign came to. ``problems`` are sentences, each with the trial it came of."""

    name: str
    promise: str
    trials: int = 0
    checks: int = 0
    """What was looked at in all trials together."""
    seconds: float = 0.0
    note: str = ""
    problems: list[str] = field(default_factory=list)

    def add(self, trial: str, problems: list[str], checks: int) -> None:
        self.trials += 1
        self.checks += checks
        self.problems += [f"{trial}: {one}" for one in problems]


def users_document() -> Path:
    """The user's own document where it is at hand, else the one of the tests that is written like it."""
    shared = Path(os.environ.get("ARAZZO_MACHINE_SHARED", ROOT.parent / "shared"))
    seed = shared / "seed" / "arazzo" / "deploy-inference-endpoint.arazzo.yaml"
    return seed if seed.is_file() else ROOT / "tests" / "documents" / "deploy.arazzo.yaml"


def canaries(*, sample: bool, only: str = "") -> Part:
    import canaries as given

    part = Part(name="canaries", promise="a token is in no output, in no spelling")
    document = users_document()
    for name in ["quotes"] if sample else given.CANARIES:
        for behaviour in [only or "ready"] if sample else given.BEHAVIOURS:
            problems = given.trial(name, behaviour, document)
            part.add(f"{name}, {behaviour}", problems, len(given.SINKS) * len(given.SPELLINGS))
    part.note = "the user's document" if "seed" in document.parts else "a document like the user's"
    return part


def documents(*, sample: bool) -> Part:
    part = Part(name="documents", promise="a typed error or a plan, < 1 s, < 200 MiB, nothing touched")
    arguments = [sys.executable, str(HERE / "hostile_documents.py"), *(["--sample"] if sample else [])]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=PATIENCE, check=False)
    peak, slowest, begun = 0.0, 0.0, "the first"
    most = SLOWEST * BUSY if sample else SLOWEST
    for line in done.stdout.splitlines():
        told = json.loads(line)
        begun = told.get("begun", begun)
        peak = told.get("peak", peak)
        if "ending" not in told:
            continue
        slowest = max(slowest, told["seconds"])
        problems = [told["ending"][1:]] if told["ending"].startswith("!") else []
        problems += [f"took {told['seconds']:.2f} s"] if told["seconds"] >= most else []
        problems += [f"touched {one}" for one in told["touched"]]
        part.add(told["name"], problems, 3)
    if done.returncode or not peak:
        part.problems.append(f"{begun}: the process ended with {done.returncode}: {done.stderr[-200:]}")
    if peak >= LARGEST:
        part.problems.append(f"all together took {peak:.0f} MiB")
    part.note = f"slowest {slowest:.2f} s, peak {peak:.0f} MiB"
    return part


def replies(*, sample: bool) -> Part:
    import hostile_replies as given

    part = Part(name="replies", promise="each in its exact class, within the deadline and half a second")
    for name in ["silence", *list(given.REPLIES)[4::9]] if sample else given.REPLIES:
        for method in ["POST"] if sample else ["POST", "GET"]:
            part.add(f"{method} {name}", given.trial(name, method, late=BUSY / 2 if sample else 0.5), 2)
    return part


def outputs(*, sample: bool) -> Part:
    import naughty_outputs as given

    part = Part(name="outputs", promise="every output parses, none is active")
    texts = given.TEXTS[:: 12 if sample else 1]
    for name in given.FORMATS:
        for at in range(0, len(texts), 20):
            chosen = texts[at : at + 20]
            try:
                problems = given.trial(name, chosen)
            except Exception as error:
                problems = [f"{type(error).__name__}: {str(error)[:100]}"]
            part.add(f"{name} {at}", problems, len(chosen))
    return part


PARTS: Final = {"canaries": canaries, "documents": documents, "replies": replies, "outputs": outputs}


@contextmanager
def without(owner: Any, name: str, instead: Any) -> Iterator[None]:
    """With one protection taken away, in this process."""
    kept = getattr(owner, name)
    setattr(owner, name, instead)
    try:
        yield
    finally:
        setattr(owner, name, kept)


def sabotaged() -> dict[str, list[str]]:
    """What is found with each protection taken away, by the shortest trial that misses it."""
    import hostile_replies
    import naughty_outputs

    from machine.cli import printing
    from machine.runtime.concealing import Concealer
    from machine.runtime.wire import Wire

    found = {}
    with without(Concealer, "_conceal_text", lambda self, text: text):
        found["conceal"] = canaries(sample=True, only="refuses").problems
    with without(printing, "printable", str):
        found["escape"] = naughty_outputs.trial("terminal", naughty_outputs.TEXTS[::12])
    with without(Wire, "left", lambda self: 1.2):
        found["bound"] = hostile_replies.trial("silence", "POST", late=0.5)
    return found


def run(*, sample: bool, only: str) -> Iterator[Part]:
    for name, part in PARTS.items():
        if only in ("", name):
            began = time.monotonic()
            done = part(sample=sample)
            done.seconds = round(time.monotonic() - began, 2)
            yield done


def table(part: Part) -> str:
    state = "kept" if not part.problems else f"BROKEN {len(part.problems)} times"
    return f"{part.name:<10} {part.trials:>6} {part.checks:>7} {part.seconds:>8.1f} s  {state:<18} {part.promise}" + (
        f" ({part.note})" if part.note else ""
    )


def main() -> int:
    parser = argparse.ArgumentParser(description="The trust campaign.")
    parser.add_argument("--sample", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--part", choices=sorted(PARTS), default="")
    parser.add_argument("--sabotage", action="store_true")
    given = parser.parse_args()
    if not given.json:
        print(f"{'part':<10} {'trials':>6} {'checks':>7} {'time':>10}  {'promise':<18}", flush=True)
    parts = []
    for part in run(sample=given.sample, only=given.part):
        parts.append(part)
        if not given.json:
            print(table(part), *(f"   {one}" for one in part.problems[:20]), sep="\n", flush=True)
    missed = sabotaged() if given.sabotage else {}
    if given.json:
        print(json.dumps({"parts": {part.name: asdict(part) for part in parts}, "sabotaged": missed}))
    else:
        for word, problems in missed.items():
            print(f"without {word}: {f'{len(problems)} problems are found' if problems else 'NOT NOTICED'}")
        print(f"peak of this process {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")
    return int(any(part.problems for part in parts) or not all(missed.values()))


if __name__ == "__main__":
    sys.exit(main())
