"""Every command and every code block of the documents is run, and shows what the documents say it shows."""

from __future__ import annotations

import configparser
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from loaded import Loaded

from machine.expressions.grammar import TOLERANCES

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
PAGES = {
    str(path.relative_to(ROOT)): path.read_text()
    for path in [ROOT / "README.md", ROOT / "workflows" / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
}
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS = {page: BLOCK.findall(text) for page, text in PAGES.items()}
NAMED = re.compile(r"# ([\w.-]+)\n")
"""The first line of a block that stands for a file of that name, which later commands of the page read."""

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


def written(page: str, folder: Path) -> None:
    """Lay out the files a page shows."""
    for language, block in BLOCKS[page]:
        if language == "yaml" and (name := NAMED.match(block)):
            (folder / name[1]).write_text(block)


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page, found in BLOCKS.items() if "console" in dict(found)])
def test_every_command_of_a_page_prints_what_the_page_shows(page: str, tmp_path: Path, loaded: Loaded) -> None:
    shown_commands = [pair for language, block in BLOCKS[page] if language == "console" for pair in commands(block)]
    written(page, tmp_path)
    for command, shown in shown_commands:
        program, *arguments = shlex.split(command)
        assert program in ("arazzo-machine", "make")
        if program == "make":
            assert arguments[0] in TARGETS
            continue
        done = loaded.begin(arguments, cwd=tmp_path, env=environment(tmp_path), stderr=subprocess.STDOUT)
        output, _ = done.communicate(60)
        printed = [plain(line) for line in output.splitlines() if plain(line)]
        if done.returncode:
            printed.append(f"[exit {done.returncode}]")

        # The two streams of a command are shown as a terminal mixes them: results come after the progress.
        assert matches(shown, printed) or sorted(shown) == sorted(printed), f"{command}\n{output}"


PYTHON = [
    pytest.param(block, id=f"{page}-{number}")
    for page, found in BLOCKS.items()
    for number, (language, block) in enumerate(found)
    if language == "python"
]


@pytest.mark.slow
@pytest.mark.parametrize("code", PYTHON)
def test_every_python_block_runs(code: str, tmp_path: Path) -> None:
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
    kinds = {language for found in BLOCKS.values() for language, _ in found}

    assert kinds == {"console", "python", "yaml", "ini", "text"}


def test_every_yaml_block_can_be_read_and_every_extension_is_one_the_compiler_reads() -> None:
    from machine.document.load import parse
    from machine.errors import Place
    from machine.plan.extension import StepExtension

    found = [parse(block).value for blocks in BLOCKS.values() for language, block in blocks if language == "yaml"]
    extensions = [StepExtension.read(one["x-machine"], Place()) for one in found if set(one) == {"x-machine"}]

    assert "waiting" in {one.state for one in extensions}


def test_every_ini_block_can_be_read() -> None:
    for language, block in (pair for found in BLOCKS.values() for pair in found):
        if language == "ini":
            assert configparser.ConfigParser(interpolation=None).read_string(block) is None


def test_every_command_shown_outside_a_block_that_is_run_has_flags_that_exist() -> None:
    from machine.cli.executing import run

    texts = [text for found in BLOCKS.values() for language, text in found if language in ("yaml", "ini", "text")]
    shown = [line for text in texts for line in text.splitlines() if "arazzo-machine run " in line]
    known = {flag for one in run.params for flag in one.opts}

    assert shown
    for line in shown:
        flags = re.findall(r"(?<!\S)--?[a-z-]+", line.partition("arazzo-machine run ")[2])
        assert [flag for flag in flags if flag not in known] == [], line


TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def test_every_make_target_named_in_the_documents_exists() -> None:
    documents = [*PAGES.values(), *((ROOT / name).read_text() for name in ("CONTRIBUTING.md", "DECISIONS.md"))]

    assert {name for text in documents for name in re.findall(r"`make ([a-z-]+)", text)} <= TARGETS


def test_every_exit_code_of_the_machine_is_in_the_readme() -> None:
    from machine.chart.snapshot import EXIT_CODES
    from machine.errors import MachineError

    def codes(kind: type[MachineError]) -> set[int]:
        return {kind.exit_code}.union(*(codes(one) for one in kind.__subclasses__()))

    listed = {int(number) for number in re.findall(r"\| (\d+) \|", README)}

    assert set(EXIT_CODES.values()) | codes(MachineError) <= listed


def test_relative_links_of_the_documents_lead_somewhere() -> None:
    links = [
        (page, link) for page, text in PAGES.items() for link in re.findall(r"\]\((?!https?:)([^)#]+)[^)]*\)", text)
    ]

    assert links
    assert [(page, link) for page, link in links if not ((ROOT / page).parent / link).exists()] == []


def test_every_test_the_page_of_ambiguities_names_is_there() -> None:
    named = re.findall(r"`(test_\w+)`", PAGES["docs/ambiguities.md"])
    tests = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))

    assert len(named) > 30
    assert [name for name in named if f"def {name}(" not in tests] == []


def test_the_page_of_ambiguities_speaks_of_every_one_and_of_every_tolerance_of_values() -> None:
    page = PAGES["docs/ambiguities.md"]

    assert {int(number) for number in re.findall(r"^\| A(\d+) ", page, re.MULTILINE)} == set(range(1, 43))
    assert {code for code in TOLERANCES if not re.search(rf"\b{code}\b", page)} == set()
