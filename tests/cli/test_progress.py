"""What a person sees while a run goes on: money first, one line per change, and no way to disturb the run."""

from __future__ import annotations

import io
import re
import signal
import time
from types import SimpleNamespace
from typing import Any

import pytest

from machine.chart.settings import Settings
from machine.cli.progress import LiveClock, Progress
from machine.runtime.clock import Interrupted, Interrupts

STYLE = re.compile(r"\x1b\[[0-9;]*m")
REWRITE = "\r\x1b[2K"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Broken(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError


def watched(progress: Progress, plan: Any, inputs: Any, driven: Any) -> Any:
    """Show every record of a driven run, with the snapshot of its end."""
    run = SimpleNamespace(id="one", plan=plan, snapshot=driven.snapshot, where="runs.db")
    for record in driven.records:
        progress(run, record)  # type: ignore[arg-type]
    return run


@pytest.fixture
def driven(user_plan: Any, user_inputs: Any, drive: Any) -> Any:
    run = drive(user_plan, user_inputs).endpoint("pending", 201)
    for state in ("pending", "pending", "initializing", "running"):
        run.endpoint(state)
    return run


def test_a_run_is_told_line_by_line(user_plan: Any, user_inputs: Any, driven: Any) -> None:
    stream = io.StringIO()
    watched(Progress(stream, store=" --store x.db"), user_plan, user_inputs, driven)
    lines = stream.getvalue().splitlines()

    assert lines[0] == "run one, deploy-inference-endpoint, deadline 1970-01-01T01:16:40.000Z, store runs.db"
    assert lines[1] == "createEndpoint sends POST /endpoint/acme"
    assert lines[2] == "  if anything goes wrong: arazzo-machine resume one --store x.db"
    assert lines[3] == "created          201   endpointName my-endpoint, initialState pending"
    assert [line.split()[:4] for line in lines[4:]] == [
        ["polling", "200", "state", "pending"],
        ["polling", "200", "state", "initializing"],
        ["ready", "200", "state", "running"],
    ]
    assert lines[4].endswith("next look in 5 s")
    assert "\x1b" not in stream.getvalue()


def test_a_deadline_beyond_all_calendars_does_not_cost_the_line_that_finds_the_run_again(
    user_plan: Any, user_inputs: Any, drive: Any
) -> None:
    stream = io.StringIO()
    watched(Progress(stream), user_plan, user_inputs, drive(user_plan, user_inputs, settings=Settings(deadline=1e15)))

    assert stream.getvalue().splitlines() == [
        "run one, deploy-inference-endpoint, deadline never, store runs.db",
        "createEndpoint sends POST /endpoint/acme",
        "  if anything goes wrong: arazzo-machine resume one",
    ]


def test_quiet_says_only_what_money_depends_on(user_plan: Any, user_inputs: Any, driven: Any) -> None:
    stream = Terminal()
    watched(Progress(stream, quiet=True), user_plan, user_inputs, driven)

    assert [line.split()[0] for line in stream.getvalue().splitlines()] == ["run", "createEndpoint", "if"]


def test_a_terminal_gets_one_line_for_a_state_that_stays(user_plan: Any, user_inputs: Any, driven: Any) -> None:
    stream = Terminal()
    progress = Progress(stream)
    watched(progress, user_plan, user_inputs, driven)
    progress.done()
    lines = stream.getvalue().split("\n")

    assert [line.count(REWRITE) for line in lines] == [0, 0, 0, 1, 3, 1, 0]
    assert STYLE.sub("", lines[4].split(REWRITE)[-1]).startswith("polling 200 state initiali")


def test_the_time_left_is_rewritten_in_place(user_plan: Any, user_inputs: Any, drive: Any) -> None:
    stream = Terminal()
    progress = Progress(stream)
    progress.tick(9)
    watched(progress, user_plan, user_inputs, drive(user_plan, user_inputs).endpoint("x", 201).endpoint("pending"))
    progress.tick(4.0)
    progress.done()
    progress.tick(3.0)

    assert stream.getvalue().endswith("next look in 4 s\n")
    assert "9 s" not in stream.getvalue()


def test_a_line_never_wraps_and_keeps_the_time_left(user_plan: Any, user_inputs: Any, drive: Any) -> None:
    stream = Terminal()
    driven = drive(user_plan, user_inputs).endpoint("x", 201)
    long = {"name": "my-endpoint", "status": {"state": "pending", "url": "https://example.com/" + "x" * 300}}
    watched(Progress(stream), user_plan, user_inputs, driven.reply(200, long))
    line = STYLE.sub("", stream.getvalue().split(REWRITE)[-1])

    assert len(line) == 77, "a ^C that the terminal shows behind it still fits"
    assert line.endswith("\N{HORIZONTAL ELLIPSIS} 59m58s left, next look in 5 s")


def test_a_terminal_of_80_columns_has_room_for_all_that_is_known(user_plan: Any, user_inputs: Any, drive: Any) -> None:
    stream = Terminal()
    progress = Progress(stream)
    driven = drive(user_plan, user_inputs).endpoint("x", 201)
    for _ in range(12):
        driven.endpoint("pending")
    watched(progress, user_plan, user_inputs, driven)
    line = STYLE.sub("", stream.getvalue().split(REWRITE)[-1])

    assert line == "polling 200 state pendi\N{HORIZONTAL ELLIPSIS} visit 12, 4m16s here, 55m41s left, next look in 30 s"


def test_verbose_tells_what_was_seen_once_and_without_the_condition(
    user_plan: Any, user_inputs: Any, driven: Any
) -> None:
    stream = io.StringIO()
    watched(Progress(stream, verbose=True), user_plan, user_inputs, driven)

    assert [one for one in stream.getvalue().splitlines() if one.startswith("  by created")] == [
        "  by created: $statusCode was 201"
    ]


def test_an_answer_that_changes_nothing_is_told_once_a_minute(user_plan: Any, user_inputs: Any, drive: Any) -> None:
    stream = io.StringIO()
    driven = drive(user_plan, user_inputs).endpoint("pending", 201)
    for _ in range(90):
        driven.endpoint("pending")
    watched(Progress(stream), user_plan, user_inputs, driven)
    first, *later = [line for line in stream.getvalue().splitlines() if line.startswith("polling")]

    assert first.endswith("next look in 5 s")
    assert len(later) == 43
    assert later[0].split(maxsplit=4)[4] == "visit 90, 1m10s here, 58m47s left, next look in 30 s"


def test_how_long_it_has_been_there_counts_from_before_it_was_taken_up(
    user_plan: Any, user_inputs: Any, drive: Any
) -> None:
    stream = Terminal()
    progress = Progress(stream)
    driven = drive(user_plan, user_inputs).endpoint("x", 201).endpoint("pending").endpoint("pending")
    run = SimpleNamespace(id="one", plan=user_plan, snapshot=driven.snapshot, where="runs.db")
    progress.taken_up(run, driven.records)  # type: ignore[arg-type]
    driven.endpoint("pending")
    progress(run, driven.records[-1])  # type: ignore[arg-type]

    assert "14s here" in stream.getvalue()


def test_a_secret_is_told_by_its_name_and_never_cut_in_half(
    user_plan: Any, user_inputs: Any, drive: Any, learnt: str
) -> None:
    for stream in (io.StringIO(), Terminal()):
        driven = drive(user_plan, user_inputs).endpoint("xx" + learnt, 201)
        watched(Progress(stream), user_plan, user_inputs, driven)

        assert re.search("xx\\[s|xx\N{HORIZONTAL ELLIPSIS}", stream.getvalue())
        assert learnt[:6] not in stream.getvalue()


def test_words_of_a_service_are_not_obeyed(user_plan: Any, user_inputs: Any, drive: Any) -> None:
    for stream in (io.StringIO(), Terminal()):
        driven = drive(user_plan, user_inputs).endpoint("\x1b]0;mine\x07\x9b2J\u202e\r\n", 201)
        watched(Progress(stream), user_plan, user_inputs, driven)
        text = STYLE.sub("", stream.getvalue()).replace(REWRITE, "")

        assert not set(text) & set("\x1b\x07\x9b\u202e\r")


def test_a_call_without_an_answer_is_told_by_its_cause(user_plan: Any, user_inputs: Any, drive: Any) -> None:
    stream = io.StringIO()
    watched(Progress(stream), user_plan, user_inputs, drive(user_plan, user_inputs).fail("unknown", "reset"))

    assert stream.getvalue().splitlines()[-1] == "in_doubt         (created) reset"


@pytest.mark.parametrize("stream", [Broken(), None], ids=["broken", "none"])
def test_nobody_watching_is_no_trouble(
    user_plan: Any, user_inputs: Any, driven: Any, stream: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr", None)
    progress = Progress(stream)
    watched(progress, user_plan, user_inputs, driven)
    progress.line("more")
    progress.done()


def test_a_run_that_is_gone_on_with_is_named_with_where_it_is(user_plan: Any, user_inputs: Any, drive: Any) -> None:
    stream = io.StringIO()
    progress = Progress(stream)
    for driven in (
        drive(user_plan, user_inputs).endpoint("pending", 201),
        drive(user_plan, user_inputs).fail(),
        drive(user_plan, user_inputs).endpoint("pending", 201).endpoint("running"),
    ):
        progress.taken_up(SimpleNamespace(id="one", plan=user_plan, snapshot=driven.snapshot))  # type: ignore[arg-type]

    assert stream.getvalue().splitlines() == [
        "run one, deploy-inference-endpoint, is in created",
        "run one, deploy-inference-endpoint, is in in_doubt, stopped: in_doubt",
    ]


def test_a_clock_ticks_every_second_of_a_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks: list[float] = []
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(time, "sleep", lambda seconds: now.__setitem__(0, round(now[0] + seconds, 6)))
    LiveClock(SimpleNamespace(tick=ticks.append)).wait(3.4, Interrupts())  # type: ignore[arg-type]

    assert now[0] == pytest.approx(3.4)
    assert ticks == pytest.approx([3.0, 2.0, 1.0])


def test_a_signal_ends_a_wait_between_two_ticks() -> None:
    interrupts = Interrupts()

    def tick(seconds: float) -> None:
        interrupts.signum = signal.SIGTERM

    with pytest.raises(Interrupted):
        LiveClock(SimpleNamespace(tick=tick)).wait(1.001, interrupts)  # type: ignore[arg-type]


# -- more, less, and without colour ------------------------------------------------------------------------------------


def test_verbose_says_every_answer_and_the_guard_that_decided(user_plan: Any, user_inputs: Any, driven: Any) -> None:
    stream = Terminal()
    watched(Progress(stream, verbose=True), user_plan, user_inputs, driven)
    lines = stream.getvalue().splitlines()

    assert sum(line.startswith("polling ") for line in lines) == 3
    assert sum(line.startswith("  by stillStarting: ") for line in lines) == 3
    assert REWRITE not in stream.getvalue()


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_a_terminal_that_wants_no_colour_gets_none(
    user_plan: Any, user_inputs: Any, driven: Any, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    stream = Terminal()
    watched(Progress(stream), user_plan, user_inputs, driven)

    assert not STYLE.search(stream.getvalue())
    assert (REWRITE in stream.getvalue()) == (name == "NO_COLOR")
