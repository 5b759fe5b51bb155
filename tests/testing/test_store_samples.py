"""What stores are tried with reads back as it was, and leaves no field at its default."""

from __future__ import annotations

import pytest

from machine.chart.snapshot import Record, Snapshot
from machine.stores import RunHead
from machine.testing.store_samples import head_of, record_at, snapshot_at


@pytest.mark.parametrize("seq", [1, 2, 7])
def test_a_sample_reads_back_as_it_was(seq: int) -> None:
    snapshot, record = snapshot_at(seq), record_at(seq)

    assert Snapshot.from_json(snapshot.to_json()) == snapshot
    assert Record.from_json(record.to_json()) == record
    assert (snapshot.seq, record.seq) == (seq, seq)


def test_a_head_reads_back_with_the_id_it_was_asked_for() -> None:
    head = head_of("mine", created=2.0)

    assert RunHead.from_text(head.text(), attempt=1, epoch=0, seq=0) == head
    assert (head.id, head.created) == ("mine", 2.0)
