from __future__ import annotations

import math
from datetime import UTC, datetime
from email.utils import format_datetime
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from machine.chart.pacing import LONGEST_RETRY_AFTER, poll_delay, retry_after
from machine.chart.settings import Settings
from machine.plan.model import PollPolicy
from machine.values import SecretRef

PLAIN = Settings()


@pytest.mark.parametrize(
    ("policy", "delays"),
    [
        pytest.param(PollPolicy(), [5.0, 7.5, 11.25, 16.875, 25.312, 30.0, 30.0], id="the-default"),
        pytest.param(PollPolicy(interval=2, backoff=1), [2.0, 2.0, 2.0], id="no-growth"),
        pytest.param(PollPolicy(interval=60, max=30), [30.0, 30.0], id="an-interval-above-the-cap"),
        pytest.param(PollPolicy(interval=0), [0.0, 0.0, 0.0], id="no-wait"),
        pytest.param(PollPolicy(interval=1, backoff=100, max=1e9), [1.0, 100.0, 10_000.0], id="steep"),
    ],
)
def test_the_delay_grows_to_its_cap(policy: PollPolicy, delays: list[float]) -> None:
    assert [poll_delay(policy, PLAIN, waited, 0.5) for waited in range(len(delays))] == delays


@pytest.mark.parametrize(
    ("jitter", "chance", "delay"),
    [(0.1, 0.0, 9.0), (0.1, 0.5, 10.0), (0.1, 0.75, 10.5), (1.0, 0.0, 0.0), (1.0, 0.999, 19.98), (0.0, 0.9, 10.0)],
)
def test_chance_spreads_it_by_its_share(jitter: float, chance: float, delay: float) -> None:
    assert poll_delay(PollPolicy(interval=10, jitter=jitter), PLAIN, 0, chance) == delay


def test_a_fixed_interval_does_not_grow_and_keeps_a_tenth_of_chance() -> None:
    settings = Settings(poll_interval=10.0)
    policy = PollPolicy(interval=1, max=2, jitter=1.0)

    assert [poll_delay(policy, settings, waited, 0.5) for waited in (0, 5, 500)] == [10.0, 10.0, 10.0]
    assert [poll_delay(policy, settings, 0, chance) for chance in (0.0, 0.75)] == [9.0, 10.5]


POLICIES = st.builds(
    PollPolicy,
    interval=st.floats(0, 1e6),
    backoff=st.floats(1, 100),
    max=st.floats(0, 1e6),
    jitter=st.floats(0, 1),
)


@given(POLICIES, st.integers(0, 10**6), st.floats(0, 1, exclude_max=True))
def test_a_delay_is_finite_not_negative_and_within_the_cap_and_its_share(
    policy: PollPolicy, waited: int, chance: float
) -> None:
    delay = poll_delay(policy, PLAIN, waited, chance)

    assert math.isfinite(delay)
    assert 0 <= delay <= policy.max * (1 + policy.jitter) + 0.001


@given(POLICIES)
def test_without_chance_a_delay_never_shrinks(policy: PollPolicy) -> None:
    delays = [poll_delay(policy, PLAIN, waited, 0.5) for waited in range(70)]

    assert all(one <= other for one, other in pairwise(delays))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("120", 120.0),
        (" 120 ", 120.0),
        ("007", 7.0),
        ("99999999999999999999", LONGEST_RETRY_AFTER),
        ("Thu, 01 Jan 1970 00:01:40 GMT", 90.0),
        ("Thursday, 01-Jan-70 00:01:40 GMT", 90.0),
        ("Thu Jan  1 00:01:40 1970", 90.0),
        ("Thu, 01 Jan 1970 00:00:05 GMT", 0.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", LONGEST_RETRY_AFTER),
    ],
)
def test_retry_after_is_seconds_or_a_date(text: str, seconds: float) -> None:
    assert retry_after({"retry-after": text}, 10.0) == seconds


@pytest.mark.parametrize(
    "value",
    [
        "",
        "soon",
        "-5",
        "1.5",
        "1e3",
        "٣",
        "5, 5",
        "Thu, 99 Jan 1970 00:00:00 GMT",
        "Thu, 01 Jan 1970 00:00:00 +9999",
        "\0",
    ],
)
def test_what_cannot_be_read_asks_for_nothing(value: str) -> None:
    assert retry_after({"retry-after": value}, 10.0) is None


@pytest.mark.parametrize("headers", [{}, {"retry-after": SecretRef("x")}, {"retry-after": 5}], ids=str)
def test_what_is_no_text_asks_for_nothing(headers: dict[str, Any]) -> None:
    assert retry_after(headers, 10.0) is None


@given(st.text(max_size=40))
def test_no_text_can_ask_for_more_than_the_cap_or_break_anything(text: str) -> None:
    seconds = retry_after({"retry-after": text}, 10.0)

    assert seconds is None or 0 <= seconds <= LONGEST_RETRY_AFTER


@given(st.integers(0, 4 * 10**9), st.integers(0, 4 * 10**9))
def test_every_http_date_is_read(now: int, then: int) -> None:
    header = format_datetime(datetime.fromtimestamp(then, UTC), usegmt=True)

    assert retry_after({"retry-after": header}, float(now)) == min(max(then - now, 0.0), LONGEST_RETRY_AFTER)
