"""The benchmark measures and reports; how fast anything is, is not tested here."""

from __future__ import annotations

from pathlib import Path

import pytest

from machine.testing.bench import Cost, Figures, main, start_line, table


def figures(ours: float = 0.1, per_poll: float = 0.001, *, help: float = 0.1) -> Figures:
    return Figures(
        rounds=1,
        polls=1,
        ours=Cost(wall=ours, cpu=ours),
        bare=Cost(wall=0.1, cpu=0.1),
        ours_per_poll=per_poll,
        bare_per_poll=0.001,
        help=Cost(wall=help, cpu=help),
        python=Cost(wall=0.02, cpu=0.02),
    )


@pytest.mark.parametrize(
    ("ours", "per_poll", "met", "verdicts"),
    [
        pytest.param(0.2, 0.0015, True, ["met", "", "met"], id="both-just-met"),
        pytest.param(0.21, 0.0015, False, ["missed", "", "met"], id="too-slow-to-start"),
        pytest.param(0.2, 0.0016, False, ["met", "", "missed"], id="too-slow-to-poll"),
    ],
)
def test_each_target_is_judged_on_its_own(ours: float, per_poll: float, met: bool, verdicts: list[str]) -> None:
    measured = figures(ours, per_poll)
    rows = [line.split("|")[-2].strip() for line in table(measured)[2:]]

    assert measured.met is met
    assert rows == verdicts


@pytest.mark.parametrize(("seconds", "verdict"), [(0.15, "met"), (0.16, "missed")])
def test_a_start_is_judged_by_the_clock(seconds: float, verdict: str) -> None:
    line = start_line(figures(help=seconds))

    assert line.startswith(
        f"`--help` takes {seconds * 1000:.0f} ms ({seconds * 1000:.0f} ms of CPU), of which Python itself 20 ms"
    )
    assert line.endswith(f"{verdict}).")


@pytest.mark.parametrize("option", ["--rounds", "--polls", "--operations"])
def test_a_measurement_of_nothing_is_refused(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main([option, "0"])

    assert stop.value.code == 2
    assert "at least 1" in capsys.readouterr().err


@pytest.mark.slow
def test_a_tiny_measurement_prints_the_table_and_writes_the_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = tmp_path / "docs" / "measurements.md"

    code = main(
        ["--rounds", "1", "--polls", "5", "--operations", "40", "--date", "2026-01-02", "--output", str(report)]
    )
    text = report.read_text()
    printed = capsys.readouterr().out

    assert code == 0
    assert "Measured on 2026-01-02 with" in text
    assert printed.splitlines()[0] in text
    assert [line.split("|")[1].strip() for line in printed.splitlines()[2:5]] == [
        "create and 1 poll, wall",
        "create and 1 poll, CPU",
        "each further poll, CPU",
    ]
    assert "`--help` takes" in text
    assert str(tmp_path) not in text
    assert "not-a-real-token" not in text
