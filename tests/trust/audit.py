"""Whether a dependency of the environment has a known vulnerability: what the services that know say, and who was not
asked about what.

PyPI is asked first, through pip-audit; what it does not answer for, as behind an index that mirrors only files, is
asked of OSV. A look that was not made is never taken for a clean one. The exit code is 1 where something was found, 69
(EX_UNAVAILABLE of sysexits.h) where nothing was found and something could not be asked, else 0.

    audit.py                        all packages of this environment
    audit.py --osv-url URL          another OSV, such as one inside a network
    audit.py --only-osv NAME==1.0   these packages, and OSV alone
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import distributions
from pathlib import Path
from typing import Final

__all__ = ["UNASKED", "Answer", "main", "read", "told"]

PATIENCE: Final = 300.0
UNASKED: Final = 69
SERVICES: Final[Mapping[str, str]] = {"pypi": "PyPI", "osv": "OSV"}
"""pip-audit's name to the one people know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one service said: sentences about what is vulnerable, and package to why it was not asked."""

    found: tuple[str, ...] = ()
    unasked: Mapping[str, str] = field(default_factory=dict)


def read(service: str, packages: Sequence[str], code: int, out: str, err: str) -> Answer:
    """What pip-audit's output says of these packages, each ``NAME==VERSION``."""
    name = SERVICES[service]
    try:
        dependencies = json.loads(out)["dependencies"]
        found = [
            f"{one['name']} {one['version']}: {flaw['id']}, mended in {', '.join(flaw['fix_versions']) or 'no release'}"
            for one in dependencies
            for flaw in one.get("vulns", [])
        ]
        skipped = {one["name"]: f"{name}: {one['skip_reason'][:100]}" for one in dependencies if "skip_reason" in one}
        answered = {one["name"] for one in dependencies}
    except (ValueError, KeyError, TypeError):
        last = (err.strip().splitlines() or ["it said nothing"])[-1]
        return Answer(unasked=dict.fromkeys(packages, f"{name}: pip-audit ended with {code}: {last[:200]}"))
    unasked = {one: "" for one in packages if one.partition("==")[0] in skipped}
    reasons = {one: skipped[one.partition("==")[0]] for one in unasked}
    silent = {one: f"{name}: it says nothing of it" for one in packages if one.partition("==")[0] not in answered}
    return Answer(found=tuple(found), unasked={**reasons, **silent})


def told(asked: int, answers: Sequence[Answer]) -> tuple[int, list[str]]:
    """The exit code and the lines to print; each answer but the first is about what the one before left."""
    lines = [one for answer in answers for one in answer.found]
    left = answers[-1].unasked
    if left:
        lines.append(f"NOT ASKED: {len(left)} of {asked} packages, so nothing is known about them")
        for answer in answers:
            example, why = next(iter(answer.unasked.items()))
            lines.append(f"  {len(answer.unasked)} packages, such as {example}: {why}")
        lines.append(f"  they are: {', '.join(left)}")
    if not lines:
        lines = [f"{asked} packages, no known vulnerability"]
    return (1 if any(one.found for one in answers) else UNASKED if left else 0), lines


def installed() -> list[str]:
    """Every package of this environment but this one."""
    pairs = {one.metadata["Name"].lower().replace("_", "-"): one.version for one in distributions()}
    return [f"{name}=={version}" for name, version in sorted(pairs.items()) if name != "arazzo-machine"]


def ask(service: str, packages: Sequence[str], osv_url: str = "") -> Answer:
    """Ask one service about packages, through pip-audit."""
    with tempfile.TemporaryDirectory() as folder:
        wanted = Path(folder) / "requirements.txt"
        wanted.write_text("\n".join(packages) + "\n")
        command = [sys.executable, "-m", "pip_audit", "-r", str(wanted), "--no-deps", "--disable-pip", "-s", service]
        command += ["--format", "json", "--progress-spinner", "off", "--timeout", "15"]
        command += ["--osv-url", osv_url] if osv_url else []
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
        except subprocess.TimeoutExpired:
            return Answer(unasked=dict.fromkeys(packages, f"{SERVICES[service]}: no answer in {PATIENCE:g} s"))
    return read(service, packages, done.returncode, done.stdout, done.stderr)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Whether a dependency has a known vulnerability.")
    parser.add_argument("--osv-url", default="")
    parser.add_argument("--only-osv", nargs="+", metavar="NAME==VERSION")
    given = parser.parse_args(arguments)
    packages = given.only_osv or installed()
    answers: list[Answer] = []
    for service in ["osv"] if given.only_osv else SERVICES:
        left = list(answers[-1].unasked) if answers else packages
        if left:
            answers.append(ask(service, left, given.osv_url))
    code, lines = told(len(packages), answers)
    print("\n".join(lines))
    return code


if __name__ == "__main__":
    sys.exit(main())
