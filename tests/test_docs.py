"""Every command and every code block of the documents is run, and shows what the documents say it shows."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS = BLOCK.findall(README)

CHANGING = (
    (re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z"), "TIME"),
    (re.compile(r"store \S+runs\.db"), "store PATH"),
    (re.compile(r"127\.0\.0\.1:\d+"), "127.0.0.1:PORT"),
    (re.compile(r"next look in [\d.]+ s"), "next look in N s"),
    (re.compile(r"[ \t]+"), " "),
)
"""What differs from one run to the next."""


def plain(text: str) -> str:
    for pattern, word in CHANGING:
        text = pattern.sub(word, text)
    return text.strip()


def matches(shown: list[str], printed: list[str]) -> bool:
    """Whether printed lines are those shown, where ``...`` stands for any lines, or for the rest of one."""
    if not shown:
        return not printed
    if shown[0] == "...":
        return any(matches(shown[1:], printed[skipped:]) for skipped in range(len(printed) + 1))
    if not printed:
        return False
    head, rest, _ = shown[0].partition("...")
    same = printed[0].startswith(head) if rest else printed[0] == shown[0]
    return same and matches(shown[1:], printed[1:])


def environment(folder: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ARAZZO_", "HF_"))}
    return {**kept, "ARAZZO_MACHINE_STORE": str(folder / "runs.db"), "PYTHONWARNINGS": "error"}


def commands(block: str) -> list[tuple[str, list[str]]]:
    found: list[tuple[str, list[str]]] = []
    for line in block.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        elif plain(line):
            found[-1][1].append(plain(line))
    return found


@pytest.mark.slow
def test_every_command_of_the_readme_prints_what_the_readme_shows(tmp_path: Path) -> None:
    shown_commands = [pair for language, block in BLOCKS if language == "console" for pair in commands(block)]
    for command, shown in shown_commands:
        program, *arguments = shlex.split(command)
        assert program == "arazzo-machine"
        done = subprocess.run(
            [sys.executable, "-m", "machine", *arguments],
            cwd=tmp_path,
            env=environment(tmp_path),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
        )
        printed = [plain(line) for line in done.stdout.splitlines() if plain(line)]
        if done.returncode:
            printed.append(f"[exit {done.returncode}]")

        # The two streams of a command are shown as a terminal mixes them: results come after the progress.
        assert matches(shown, printed) or sorted(shown) == sorted(printed), f"{command}\n{done.stdout}"


@pytest.mark.slow
@pytest.mark.parametrize("code", [block for language, block in BLOCKS if language == "python"])
def test_every_python_block_of_the_readme_runs(code: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert done.returncode == 0, done.stderr


def test_every_block_is_of_a_kind_that_is_run_or_read() -> None:
    assert {language for language, _ in BLOCKS} == {"console", "python", "yaml"}


def test_the_extension_shown_is_one_the_compiler_reads() -> None:
    from machine.document.load import parse
    from machine.errors import Place
    from machine.plan.extension import StepExtension

    text = next(block for language, block in BLOCKS if language == "yaml")

    assert StepExtension.read(parse(text).value["x-machine"], Place()).state == "waiting"


def test_every_make_target_named_in_the_documents_exists() -> None:
    documents = [README, *((ROOT / name).read_text() for name in ("CONTRIBUTING.md", "DECISIONS.md"))]
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))

    assert {name for text in documents for name in re.findall(r"`make ([a-z-]+)", text)} <= targets


def test_every_exit_code_of_the_machine_is_in_the_readme() -> None:
    from machine.chart.snapshot import EXIT_CODES
    from machine.errors import MachineError

    def codes(kind: type[MachineError]) -> set[int]:
        return {kind.exit_code}.union(*(codes(one) for one in kind.__subclasses__()))

    listed = {int(number) for number in re.findall(r"\| (\d+) \|", README)}

    assert set(EXIT_CODES.values()) | codes(MachineError) <= listed


def test_relative_links_of_the_documents_lead_somewhere() -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", README)

    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
