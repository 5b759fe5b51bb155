"""A history is enough to have its run again, a snapshot is enough to go on, and neither can hold a secret."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from machine.chart.chart import Chart
from machine.chart.effects import effect_from_json
from machine.chart.events import Event, Replied, Reply, Started, event_from_json
from machine.chart.snapshot import Record, Snapshot
from machine.errors import UsageError
from machine.plan.model import Plan
from machine.runtime.secrets import SecretBook

QUICK = settings(max_examples=90, deadline=None, suppress_health_check=[HealthCheck.too_slow])


class Played:
    """A run that goes on, each time, from what would be read back and not from what is at hand."""

    def __init__(self, chart: Chart) -> None:
        self.chart = chart
        self.snapshot = chart.begin()
        self.made: list[tuple[str, Record]] = []
        """Every snapshot's text with the record that made it; what cannot happen in its state is left out."""

    def happen(self, event: Event) -> None:
        try:
            snapshot, effects, record = self.chart.advance(self.snapshot, event)
        except UsageError:
            return
        text = snapshot.text()
        self.snapshot = Snapshot.from_json(json.loads(text))
        self.made.append((text, record))

        assert record.effects == effects
        assert self.snapshot == snapshot
        assert self.snapshot.text() == text


@QUICK
@given(
    st.integers(0, 2**32),
    st.sampled_from(["user", "shipped", "retrying", "strict", "two loops", "bounded", "frames", "timed"]),
)
def test_a_history_replayed_from_the_start_gives_the_same_bytes(
    subjects: Any, events_of: Callable[..., Iterator[Event]], seed: int, name: str
) -> None:
    subject = subjects[name]
    run = Played(subject.chart)
    for event in events_of(seed, subject.inputs, lambda: run.snapshot):
        run.happen(event)
    again = Chart(Plan.from_json(json.loads(subject.chart.plan.text()))) if len(run.made) % 7 == 0 else subject.chart
    snapshot = again.begin()
    for text, record in run.made:
        stored = json.dumps(record.to_json())
        read = Record.from_json(json.loads(stored))
        snapshot, effects, replayed = again.advance(snapshot, event_from_json(read.event))

        assert snapshot.text() == text
        assert json.dumps(replayed.to_json()) == stored
        assert [effect_from_json(one.to_json()) for one in effects] == list(read.effects)


CANARY = 'hf_cA"n\\ary é/+%&1'
SPELLINGS = [CANARY, json.dumps(CANARY)[1:-1], json.dumps(CANARY, ensure_ascii=False)[1:-1], quote(CANARY, safe="")]

ECHOES = st.sampled_from(
    [
        {"name": f"n-{CANARY}", "status": {"state": "pending"}},
        {"name": "n", "status": {"state": CANARY}},
        {"name": "n", "status": {"state": "pending", "url": f"https://h/?t={quote(CANARY, safe='')}"}},
        {"error": f"token {CANARY} is not valid", CANARY: CANARY},
        [CANARY],
        f"plain {CANARY}",
        {"name": "n", "status": {"state": "running"}},
    ]
)


@QUICK
@given(
    st.lists(
        st.tuples(st.sampled_from([200, 201, 401, 409, 500, 503]), ECHOES, st.sampled_from(["", CANARY, "5"])),
        min_size=1,
        max_size=6,
    )
)
def test_no_snapshot_and_no_record_can_hold_the_text_of_a_secret(subjects: Any, answers: Any) -> None:
    subject = subjects["user"]
    book = SecretBook({"hfToken": CANARY})
    run = Played(subject.chart)
    run.happen(Started(at=0.0, inputs=subject.inputs))
    for at, (status, body, header) in enumerate(answers):
        reply = Reply(
            status=status,
            headers=book.conceal({"retry-after": header, "location": f"/{header}"}),
            body=book.conceal(body),
            form="text" if isinstance(body, str) else "json",
            url=book.conceal(f"https://h/{header}"),
        )
        run.happen(Replied(at=float(at), reply=reply))
    for text, record in run.made:
        written = text + json.dumps(record.to_json(), ensure_ascii=False) + json.dumps(record.to_json())

        assert not [one for one in SPELLINGS if one in written]
        assert '{"$secret":"hfToken"}' in text, "the reference is there all the same"


def test_the_text_of_a_secret_is_joined_only_when_it_is_sent(subjects: Any) -> None:
    subject = subjects["user"]
    run = Played(subject.chart)
    run.happen(Started(at=0.0, inputs=subject.inputs))
    ((text, record),) = run.made
    request = record.effects[0].request  # type: ignore[union-attr]
    sent = SecretBook({"hfToken": CANARY}).join(dict(request.headers)["Authorization"])

    assert sent == f"Bearer {CANARY}"
    assert CANARY not in text
