"""Fuzzing for a time: every target in turn, until the minutes are over or something breaks.

    campaign.py --minutes 15
    campaign.py --target stores --seed 7 --examples 500      one round again

The exit code is 1 when something broke; its seed and the smallest example are printed.
"""

from __future__ import annotations

import argparse
import sys
import time
import traceback

from targets import TARGETS

__all__ = ["main"]

ROUND = 100
"""Examples between two looks at the clock."""


def main() -> int:
    parser = argparse.ArgumentParser(description="Fuzzing for a time.")
    parser.add_argument("--minutes", type=float, default=15.0)
    parser.add_argument("--target", choices=sorted(TARGETS), default="")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--examples", type=int, default=0)
    given = parser.parse_args()
    chosen = [given.target] if given.target else list(TARGETS)
    end = time.monotonic() + 60 * given.minutes
    done = dict.fromkeys(chosen, 0)
    start = given.seed
    while True:
        for name in chosen:
            count = given.examples or ROUND
            try:
                TARGETS[name](count, start)
            except Exception:
                traceback.print_exc()
                print(f"\n{name} broke; again: campaign.py --target {name} --seed {start} --examples {count}")
                return 1
            done[name] += count
            if time.monotonic() > end or given.examples:
                print(", ".join(f"{one}: {number}" for one, number in done.items()), "examples, nothing broke")
                return 0
        start += 1


if __name__ == "__main__":
    sys.exit(main())
