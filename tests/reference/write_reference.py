"""``make docs``: writes ``docs/reference/`` from the code, offline; ``--check`` compares and writes nothing.

The pages depend on the package alone, so that a test can tell byte for byte whether they are current.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent.parent
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

from api_page import python_api  # noqa: E402
from command_page import commands  # noqa: E402
from error_pages import error_codes, exit_codes, finding_codes  # noqa: E402
from extension_page import x_machine  # noqa: E402
from format_page import formats  # noqa: E402
from screen_page import live_picture, screens, show_picture  # noqa: E402

__all__ = ["FOLDER", "PAGES", "differences"]

FOLDER: Final = ROOT / "docs" / "reference"
PAGES: Final[Mapping[str, Callable[[], str]]] = {
    "commands.md": commands,
    "errors.md": error_codes,
    "exit-codes.md": exit_codes,
    "findings.md": finding_codes,
    "formats.md": formats,
    "python.md": python_api,
    "screen-live.svg": live_picture,
    "screen-show.svg": show_picture,
    "screens.md": screens,
    "x-machine.md": x_machine,
}
"""File name to what writes its text."""


def differences(folder: Path = FOLDER) -> list[str]:
    """What in the folder is not as it would be written now, one line each."""
    found = []
    for name, write in PAGES.items():
        path = folder / name
        if not path.is_file():
            found.append(f"{name} is missing")
        elif path.read_bytes() != write().encode():
            found.append(f"{name} differs")
    there = sorted(path.name for path in folder.glob("*")) if folder.is_dir() else []
    return [*found, *(f"{name} is written by nobody" for name in there if name not in PAGES)]


def main() -> int:
    parser = argparse.ArgumentParser(description="Write the reference from the code.")
    parser.add_argument("--check", action="store_true", help="compare, and write nothing")
    if parser.parse_args().check:
        found = differences()
        print("\n".join(found) or "the reference is current")
        return bool(found)
    FOLDER.mkdir(exist_ok=True)
    for name, write in PAGES.items():
        (FOLDER / name).write_text(write(), encoding="utf-8")
        print(f"docs/reference/{name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
