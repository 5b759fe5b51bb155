"""Whether a dependency of the environment has a known vulnerability: what pip-audit says, or why nothing can be said.

The exit code is 1 where something was found, 2 where nobody could be asked, else 0. A look that was not made is never
taken for a clean one.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Final

__all__ = ["main", "verdict"]

PATIENCE: Final = 300.0


def verdict(code: int, out: str, err: str) -> tuple[int, list[str]]:
    """The exit code and the lines to print for what pip-audit came to."""
    try:
        dependencies = json.loads(out)["dependencies"]
        found = [
            f"{one['name']} {one['version']}: {flaw['id']}, mended in {', '.join(flaw['fix_versions']) or 'no release'}"
            for one in dependencies
            for flaw in one.get("vulns", [])
        ]
    except (ValueError, KeyError, TypeError):
        last = (err.strip().splitlines() or ["it said nothing"])[-1]
        return 2, [f"not audited: pip-audit ended with {code}: {last[:200]}"]
    skipped = [one for one in dependencies if "skip_reason" in one and one["name"] != "arazzo-machine"]
    lines = list(found)
    if skipped:
        first = skipped[0]
        reason = f"such as {first['name']}: {str(first['skip_reason'])[:100]}"
        lines.append(f"not audited: {len(skipped)} of {len(dependencies)} packages, {reason}")
    return (1 if found else 2 if skipped else 0), lines or [f"{len(dependencies)} packages, no known vulnerability"]


def main() -> int:
    command = [sys.executable, "-m", "pip_audit", "--format", "json", "--progress-spinner", "off", "--timeout", "15"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    except subprocess.TimeoutExpired:
        print(f"not audited: no answer in {PATIENCE:g} s")
        return 2
    code, lines = verdict(done.returncode, done.stdout, done.stderr)
    print("\n".join(lines))
    return code


if __name__ == "__main__":
    sys.exit(main())
