"""What is said: one line per thing, nothing a terminal obeys, and the words money depends on."""

from __future__ import annotations

import json
from typing import Any

import pytest

from machine.cli.printing import (
    echo_json,
    error_lines,
    fitted_table,
    plain,
    print_result,
    safe_line,
    say,
    table,
)
from machine.document.load import parse
from machine.errors import DocumentError, MachineError, Place, UsageError
from machine.runtime.result import Effect, Next, Result

HOSTILE = "a\x1b]0;mine\x07b\u202ec\x9b2Jd\ne\x7f"


def effect(outcome: str, identity: Any = None) -> Effect:
    return Effect(step="make", kind="create", outcome=outcome, identity=identity, request="POST /things")


def result(**more: Any) -> Result:
    given: dict[str, Any] = {
        "run": "one",
        "workflow": "w",
        "document": "d",
        "phase": "failed",
        "state": "failed",
        "reason": "broke",
        "message": "it broke",
        "next": Next(action="none"),
        "exit_code": 10,
    }
    return Result(**{**given, **more})


def test_a_line_keeps_its_indent_and_nothing_a_terminal_obeys() -> None:
    line = safe_line("  " + HOSTILE)

    assert line.startswith("  a")
    assert line.isprintable() or "\N{REPLACEMENT CHARACTER}" in line
    assert not set(line) & set("\x1b\x07\u202e\x9b\n\x7f")


def test_an_object_is_printed_in_ascii_and_reads_back(capsys: pytest.CaptureFixture[str]) -> None:
    value = {"text": HOSTILE + "\u00e9\U0001f600\ud800"}
    echo_json(value)
    out = capsys.readouterr().out

    assert out.isascii()
    assert out.strip().isprintable()
    assert json.loads(out) == value


def test_a_secret_of_this_command_is_printed_by_name(capsys: pytest.CaptureFixture[str], learnt: str) -> None:
    echo_json({"quoted": [f"a {learnt}"], learnt: 1})
    say(f"  line {learnt}")
    echoed, said = capsys.readouterr()

    assert json.loads(echoed) == {"quoted": ["a [secret token]"], "[secret token]": 1}
    assert said == "  line [secret token]\n"
    assert list(error_lines(UsageError(learnt, code="AZM-U999", seen=learnt, next=learnt))) == [
        "error: [secret token] (seen: [secret token]) [AZM-U999]",
        "  [secret token]",
    ]


@pytest.mark.parametrize(
    ("value", "shown"),
    [("text", "text"), (None, "null"), (True, "true"), ({"a": [1, "\u00e9"]}, '{"a": [1, "\u00e9"]}')],
)
def test_an_output_is_shown_as_text_or_as_json(value: Any, shown: str) -> None:
    assert plain(value) == shown


def test_columns_are_aligned_and_the_last_is_left_as_it_is() -> None:
    rows = [["RUN", "PHASE", "WORKFLOW"], ["a", "ready", "one two"], ["longer", "", "x\x1b[31m"]]

    assert list(table(rows)) == [
        "RUN     PHASE  WORKFLOW",
        "a       ready  one two",
        "longer         x\N{REPLACEMENT CHARACTER}[31m",
    ]
    assert list(table([])) == []


def test_an_error_is_its_line_and_what_to_do() -> None:
    error = UsageError("no", code="AZM-U999", place=Place(document="d.yaml", line=3, column=5), next="say yes")

    assert list(error_lines(error)) == ["error: d.yaml:3:5: no [AZM-U999]", "  say yes"]
    assert next(error_lines(MachineError(HOSTILE, code="AZM-X000"))).isprintable()


def test_a_document_error_is_one_line_per_finding() -> None:
    with pytest.raises(DocumentError) as caught:
        parse("a: 1\na: 2\n", uri="d.yaml")
    several = DocumentError("two", code="AZM-D000", next="mend both", findings=("first", "second"))

    assert list(error_lines(several)) == ["first", "second"]
    assert next(error_lines(caught.value)).startswith(("d.yaml:2", "error: d.yaml:2"))


def test_a_ready_run_prints_its_outputs_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    print_result(result(phase="ready", outputs={"a": "x", "b": None}, unresolved=("b",), effects=(effect("applied"),)))
    streams = capsys.readouterr()

    assert streams.out == "a: x\nb: null\n"
    assert streams.err == ""


def test_any_other_end_says_what_is_known_and_ends_with_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    print_result(
        result(
            outputs={"a": 1, "b": None},
            unresolved=("b",),
            effects=(effect("applied"),),
            next=Next(action="resume", command="arazzo-machine resume one"),
        )
    )
    streams = capsys.readouterr()

    assert streams.out == "a: 1\n"
    assert streams.err.splitlines() == [
        "",
        "failed: it broke",
        "  make was applied: what it made may still be there, and may be billed",
        "  resume: arazzo-machine resume one",
    ]


@pytest.mark.parametrize(
    ("terminal", "columns", "lines"),
    [
        pytest.param(True, 32, ["AT  ANSWER", "1   one two three four five six", "    seven", "2"], id="terminal"),
        pytest.param(True, 20, ["AT  ANSWER", "1   one two three four five six seven", "2"], id="no-room-to-fold"),
        pytest.param(False, 32, ["AT  ANSWER", "1   one two three four five six seven", "2"], id="pipe"),
    ],
)
def test_a_table_is_folded_to_the_width_of_a_terminal_and_of_nothing_else(
    monkeypatch: pytest.MonkeyPatch, terminal: bool, columns: int, lines: list[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setattr("sys.stdout.isatty", lambda: terminal, raising=False)

    assert list(fitted_table([["AT", "ANSWER"], ["1", "one two three four five six seven"], ["2", ""]])) == lines
