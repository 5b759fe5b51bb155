"""What every store must do, as tests to inherit: subclass StoreContract, say how to make a store, run pytest.

::

    class TestMyStore(StoreContract):
        def make_store(self, tmp_path):
            return MyStore(tmp_path / "runs")

        def reopen(self, store):
            store.close()
            return MyStore(store.path)

Needs pytest. Each test is one sentence of the contract of ``machine.stores.Store``.
"""

from __future__ import annotations

import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ..chart.snapshot import Record, Snapshot
from ..errors import BugError, BusyError, DamageError, IdentityError, StoreError, UsageError
from ..stores.base import Lease, RunHead, Store
from .store_samples import DOCUMENT, DOCUMENT_SHA256, head_of, record_at, snapshot_at

__all__ = ["StoreContract", "head_of", "record_at", "snapshot_at"]


class StoreContract(ABC):
    """Inherit, implement the two methods, and every promise of a store is tested against yours."""

    @abstractmethod
    def make_store(self, tmp_path: Path) -> Store:
        """A new, empty store."""

    @abstractmethod
    def reopen(self, store: Store) -> Store:
        """The same store after the process that had it is gone: close it and open it again, where that means
        anything."""

    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[Store]:
        with self.make_store(tmp_path) as store:
            yield store

    def started(self, store: Store, run_id: str = "run-1", *, records: int = 1, created: float = 1.0) -> Lease:
        """A run with so many records, and the lease that wrote them, no longer held."""
        with store.lock(run_id) as lease:
            blobs = {DOCUMENT_SHA256: DOCUMENT}
            store.create(lease, head_of(run_id, created=created), blobs, snapshot_at(1), record_at(1))
            for seq in range(2, records + 1):
                store.append(lease, snapshot_at(seq), record_at(seq))
        return lease

    def successor(self, store: Store, run_id: str = "run-1") -> Lease:
        """A lease taken after every other, no longer held."""
        with store.lock(run_id) as lease:
            return lease

    # What is written is read back.

    def test_a_new_store_has_no_runs(self, store: Store) -> None:
        assert store.runs() == []

    def test_a_run_is_read_back_as_it_was_written(self, store: Store) -> None:
        self.started(store)

        run = store.load("run-1")

        assert run.snapshot == snapshot_at(1)
        assert run.snapshot.text() == snapshot_at(1).text()
        assert run.head == replace(head_of(), epoch=1, seq=1, attempt=1)
        assert store.history("run-1") == [record_at(1)]

    def test_a_run_outlives_the_store_that_wrote_it(self, tmp_path: Path) -> None:
        store = self.make_store(tmp_path)
        self.started(store, records=3)
        with self.reopen(store) as again:
            run = again.load("run-1")

            assert run.snapshot == snapshot_at(3)
            assert run.head.seq == 3
            assert again.history("run-1") == [record_at(1), record_at(2), record_at(3)]
            assert again.blob(DOCUMENT_SHA256) == DOCUMENT

    def test_a_snapshot_takes_the_place_of_the_one_before_and_records_pile_up(self, store: Store) -> None:
        self.started(store, records=120)

        assert store.load("run-1").snapshot == snapshot_at(120)
        assert store.history("run-1") == [record_at(seq) for seq in range(1, 121)]

    def test_half_a_surrogate_pair_in_a_reply_is_kept(self, store: Store) -> None:
        lease = self.started(store)
        odd = replace(record_at(2), event={"body": 'cut \ud83d "short\\'})
        store.append(lease, snapshot_at(2), odd)

        assert store.history("run-1")[1] == odd

    def test_what_is_handed_out_cannot_change_what_is_stored(self, store: Store) -> None:
        self.started(store)
        given = store.load("run-1").head.options
        assert isinstance(given, dict)
        given["servers"]["api"] = "http://elsewhere.invalid"

        assert store.load("run-1").head == store.load("run-1").head
        assert store.load("run-1").head.options == head_of().options

    def test_what_was_handed_in_cannot_change_what_is_stored(self, store: Store) -> None:
        options = {"servers": {"api": "http://127.0.0.1:1"}}
        lease = self.started(store)
        store.set_options(lease, options)
        options["servers"]["api"] = "http://elsewhere.invalid"

        assert store.load("run-1").head.options == {"servers": {"api": "http://127.0.0.1:1"}}

    def test_options_are_replaced_and_nothing_else(self, store: Store) -> None:
        lease = self.started(store, records=2)
        before = store.load("run-1")
        store.set_options(lease, {"on_doubt": "hold"})

        after = store.load("run-1")

        assert after.head == replace(before.head, options={"on_doubt": "hold"})
        assert after.snapshot == before.snapshot

    def test_another_plan_begins_with_a_record_and_both_plans_stay(self, store: Store) -> None:
        lease, text = self.started(store), b"another plan"
        plan, before = hashlib.sha256(text).hexdigest(), store.load("run-1").head
        head = replace(before, plan_sha256=plan, documents={}, earlier=(before.edition, *before.earlier))
        snapshot = replace(snapshot_at(2), plan_sha256=plan)

        store.replan(lease, head, {plan: text}, snapshot, record_at(2))
        store.delete(self.started(store, "run-2"))

        assert (store.load("run-1").head, store.load("run-1").snapshot) == (replace(head, seq=2), snapshot)
        assert (store.blob(plan), store.blob(DOCUMENT_SHA256)) == (text, DOCUMENT)

    def test_bytes_that_are_attached_stay_as_long_as_their_run(self, store: Store) -> None:
        lease = self.started(store)
        store.attach(lease, "body", b"\x00\xff")

        digest = store.load("run-1").head.documents["body"]
        assert store.blob(digest) == b"\x00\xff"
        store.delete(lease)
        with pytest.raises(DamageError):
            store.blob(digest)

    def test_runs_are_listed_newest_first(self, store: Store) -> None:
        for run_id, created in (("middle", 2.0), ("newest", 3.0), ("oldest", 1.0)):
            self.started(store, run_id, created=created)

        assert [run.head.id for run in store.runs()] == ["newest", "middle", "oldest"]

    def test_runs_keep_apart(self, store: Store) -> None:
        self.started(store, "one", records=2)
        self.started(store, "two", records=5)

        assert store.load("one").head.seq == 2
        assert len(store.history("two")) == 5

    # One id, one run.

    def test_an_id_is_used_once(self, store: Store) -> None:
        self.started(store, records=2)
        with store.lock("run-1") as lease, pytest.raises(IdentityError, match="run-1"):
            store.create(lease, head_of(workflow="other"), {}, snapshot_at(1), record_at(1))

        assert store.load("run-1").head.workflow == "deploy"
        assert store.load("run-1").head.seq == 2

    def test_a_second_attempt_begins_anew_and_leaves_the_first_readable(self, store: Store) -> None:
        self.started(store, records=3)
        with store.lock("run-1") as lease:
            store.restart(lease, head_of(created=9.0, workflow="again"), {}, snapshot_at(1), record_at(1))
            store.append(lease, snapshot_at(2), record_at(2))

        run = store.load("run-1")

        assert (run.head.attempt, run.head.seq, run.head.workflow, run.head.created) == (2, 2, "again", 9.0)
        assert run.snapshot == snapshot_at(2)
        assert [record.seq for record in store.history("run-1")] == [1, 2]
        assert [record.seq for record in store.history("run-1", 1)] == [1, 2, 3]
        assert store.load("run-1", 1).snapshot == snapshot_at(3)
        assert [one.head.attempt for one in store.runs()] == [2]

    @pytest.mark.parametrize("attempt", [-1, 0, 2])
    def test_an_attempt_that_never_was_has_no_history(self, store: Store, attempt: int) -> None:
        self.started(store)
        with pytest.raises(UsageError, match=f"no attempt {attempt}"):
            store.history("run-1", attempt)

    def test_only_a_run_that_is_there_can_begin_anew(self, store: Store) -> None:
        with store.lock("run-1") as lease, pytest.raises(UsageError):
            store.restart(lease, head_of(), {}, snapshot_at(1), record_at(1))

        assert store.runs() == []

    # Finding.

    @pytest.mark.parametrize(
        ("prefix", "found"), [("deploy-a", "deploy-a"), ("deploy-ab", "deploy-abc"), ("d", None), ("x", "x_y.z")]
    )
    def test_a_run_is_found_by_its_id_or_a_prefix_of_it_alone(
        self, store: Store, prefix: str, found: str | None
    ) -> None:
        for run_id in ("deploy-a", "deploy-abc", "x_y.z"):
            self.started(store, run_id)
        if found:
            assert store.find(prefix) == found
        else:
            with pytest.raises(UsageError) as error:
                store.find(prefix)
            assert "deploy-a, deploy-abc" in error.value.seen

    @pytest.mark.parametrize("prefix", ["", "z", "%", "_", "deploy%", "' OR 1=1 --"])
    def test_a_prefix_nothing_begins_with_finds_nothing(self, store: Store, prefix: str) -> None:
        self.started(store, "deploy-1")
        with pytest.raises(UsageError):
            store.find(prefix)

    def test_an_unknown_run_is_refused_with_the_ids_that_look_alike(self, store: Store) -> None:
        self.started(store, "deploy-2024")
        with pytest.raises(UsageError) as error:
            store.load("deploy-2042")

        assert error.value.exit_code == 64
        assert "deploy-2024" in error.value.next

    def test_an_unknown_run_can_be_neither_read_nor_written(self, store: Store) -> None:
        with store.lock("ghost") as lease:
            for use in (
                lambda: store.history("ghost"),
                lambda: store.intent("ghost"),
                lambda: store.append(lease, snapshot_at(2), record_at(2)),
                lambda: store.mark_intent(lease, 1, 1.0),
                lambda: store.set_options(lease, {}),
            ):
                with pytest.raises(UsageError, match="ghost"):
                    use()

    @pytest.mark.parametrize(
        "run_id", ["", ".", "..", ".hidden", "-x", "a/b", "../x", "a b", "a\n", "\u00e9", "x" * 129]
    )
    def test_an_id_that_could_not_name_a_file_cannot_name_a_run(self, store: Store, run_id: str) -> None:
        with pytest.raises(UsageError), store.lock(run_id):
            pass
        with pytest.raises(UsageError):
            store.held(run_id)

    # One runner per run.

    def test_a_run_is_held_by_one_runner(self, store: Store) -> None:
        with store.lock("run-1"), pytest.raises(BusyError) as error, store.lock("run-1"):
            pass

        assert error.value.exit_code == 75
        assert f"process {os.getpid()} on {os.uname().nodename} since 2" in error.value.message

    def test_two_runs_can_be_held_at_once(self, store: Store) -> None:
        with store.lock("run-1") as one, store.lock("run-2") as two:
            assert (one.run_id, two.run_id) == ("run-1", "run-2")

    def test_the_lock_of_a_run_is_free_after_the_block_even_when_it_failed(self, store: Store) -> None:
        with pytest.raises(KeyboardInterrupt), store.lock("run-1"):
            raise KeyboardInterrupt
        with store.lock("run-1"):
            pass

    def test_a_store_tells_who_holds_a_run_only_while_somebody_does(self, store: Store) -> None:
        assert store.held("run-1") is None
        with store.lock("run-1"):
            holder = store.held("run-1")
        assert holder is not None
        assert holder.pid == os.getpid()
        assert store.held("run-1") is None

    def test_taking_a_lock_writes_nothing_to_the_run(self, store: Store) -> None:
        self.started(store)
        self.successor(store)

        assert store.load("run-1").head.epoch == 1

    # Fencing: a runner that was overtaken cannot write.

    def test_an_epoch_grows_with_every_lease_that_wrote(self, store: Store) -> None:
        self.started(store)
        with store.lock("run-1") as lease:
            store.append(lease, snapshot_at(2), record_at(2))

        assert lease.epoch == 2
        assert store.load("run-1").head.epoch == 2

    def test_a_runner_that_was_overtaken_cannot_write(self, store: Store) -> None:
        stale = self.started(store)
        with store.lock("run-1") as fresh:
            store.append(fresh, snapshot_at(2), record_at(2))
        for write in _writes(store, stale, 3):
            with pytest.raises(StoreError, match="another runner wrote") as error:
                write()
            assert error.value.code == "AZM-T020"

        assert store.load("run-1").head.seq == 2
        assert store.load("run-1").head.attempt == 1

    def test_of_two_leases_of_one_epoch_the_first_to_write_wins(self, store: Store) -> None:
        self.started(store)
        one, two = self.successor(store), self.successor(store)
        assert one.epoch == two.epoch
        store.append(two, snapshot_at(2), record_at(2))

        for write in _writes(store, one, 3):
            with pytest.raises(StoreError, match="another runner wrote"):
                write()

    @pytest.mark.parametrize("seq", [1, 2, 4, 5])
    def test_a_record_follows_the_last_one_or_is_refused(self, store: Store, seq: int) -> None:
        lease = self.started(store, records=2)
        with pytest.raises(StoreError, match="another runner wrote") as error:
            store.append(lease, snapshot_at(seq), record_at(seq))

        assert error.value.seen == f"record {seq} after record 2"
        assert len(store.history("run-1")) == 2
        assert store.load("run-1").snapshot == snapshot_at(2)

    # Intents.

    def test_a_run_has_no_intent_until_one_is_marked(self, store: Store) -> None:
        self.started(store)

        assert store.intent("run-1") == 0

    def test_an_intent_is_there_until_the_next_record(self, tmp_path: Path) -> None:
        store = self.make_store(tmp_path)
        lease = self.started(store, records=2)
        store.mark_intent(lease, 7, 12.5)
        with self.reopen(store) as again:
            assert again.intent("run-1") == 7
            assert again.load("run-1").snapshot == snapshot_at(2)
            assert len(again.history("run-1")) == 2
            again.append(lease, snapshot_at(3), record_at(3))
            assert again.intent("run-1") == 0

    def test_a_call_that_is_about_to_leave_cannot_be_marked_by_a_second_runner(self, store: Store) -> None:
        self.started(store)
        one, two = self.successor(store), self.successor(store)
        store.mark_intent(one, 1, 1.0)
        with pytest.raises(StoreError, match="another runner wrote"):
            store.mark_intent(two, 1, 1.0)
        with store.lock("run-1") as later, pytest.raises(StoreError, match="another runner wrote"):
            store.mark_intent(later, 1, 1.0)

    def test_marking_an_intent_overtakes_every_lease_before(self, store: Store) -> None:
        stale = self.started(store)
        store.mark_intent(self.successor(store), 1, 1.0)
        with pytest.raises(StoreError, match="another runner wrote"):
            store.append(stale, snapshot_at(2), record_at(2))

    def test_a_new_attempt_has_no_intent(self, store: Store) -> None:
        lease = self.started(store)
        store.mark_intent(lease, 1, 1.0)
        store.restart(lease, head_of(), {}, snapshot_at(1), record_at(1))

        assert store.intent("run-1") == 0

    # Events that could not be applied.

    def test_a_kept_event_is_there_until_the_next_record_and_leaves_the_intent_alone(self, tmp_path: Path) -> None:
        store = self.make_store(tmp_path)
        lease = self.started(store, records=2)
        store.mark_intent(lease, 7, 12.5)
        store.keep(lease, {"event": "replied", "at": 1.5})
        with self.reopen(store) as again:
            assert again.kept("run-1") == {"event": "replied", "at": 1.5}
            assert again.intent("run-1") == 7
            assert again.load("run-1").snapshot == snapshot_at(2)
            again.append(lease, snapshot_at(3), record_at(3))
            assert again.kept("run-1") is None

    def test_nothing_is_kept_until_something_is(self, store: Store) -> None:
        self.started(store)

        assert store.kept("run-1") is None

    # Requests to cancel, and forgetting.

    def test_a_request_to_cancel_stands_until_the_run_is_cancelled_or_reopened(self, tmp_path: Path) -> None:
        store = self.make_store(tmp_path)
        lease = self.started(store, records=1)

        assert store.cancel_requested("run-1") == ""

        store.request_cancel("run-1", "somebody", 3.0)
        store.append(lease, snapshot_at(2), record_at(2))
        with self.reopen(store) as again:
            assert again.cancel_requested("run-1") == "somebody"
            again.append(lease, snapshot_at(3), replace(record_at(3), kind="run.cancelled"))
            assert again.cancel_requested("run-1") == ""

    def test_nobody_can_ask_a_run_that_is_not_there_to_stop(self, store: Store) -> None:
        with pytest.raises(UsageError):
            store.request_cancel("ghost", "somebody", 1.0)

    def test_a_run_that_was_forgotten_is_gone_with_what_only_it_needed(self, store: Store) -> None:
        content = b"only here"
        digest = hashlib.sha256(content).hexdigest()
        with store.lock("run-1") as lease:
            store.create(
                lease,
                replace(head_of("run-1"), documents={"d": digest}),
                {digest: content},
                snapshot_at(1),
                record_at(1),
            )
        with store.lock("run-2") as other:
            store.create(
                other,
                replace(head_of("run-2"), documents={"d": digest}),
                {digest: content},
                snapshot_at(1),
                record_at(1),
            )
        store.delete(lease)
        kept = store.blob(digest)
        store.delete(other)

        assert (kept, store.runs()) == (content, [])
        with pytest.raises(DamageError):
            store.blob(digest)

    # All or nothing, and nothing that does not belong together.

    @pytest.mark.parametrize(
        ("snapshot", "record", "head"),
        [
            (snapshot_at(2), record_at(1), head_of()),
            (snapshot_at(2), record_at(2), head_of()),
            (snapshot_at(1), record_at(1), head_of("run-2")),
        ],
        ids=["other record", "not the first record", "other run"],
    )
    def test_values_that_do_not_belong_together_are_not_stored(
        self, store: Store, snapshot: Snapshot, record: Record, head: RunHead
    ) -> None:
        with store.lock("run-1") as lease, pytest.raises(BugError):
            store.create(lease, head, {}, snapshot, record)

        assert store.runs() == []

    def test_a_blob_under_a_digest_that_is_not_its_own_stops_everything(self, store: Store) -> None:
        with store.lock("run-1") as lease, pytest.raises(BugError):
            store.create(lease, head_of(), {"0" * 64: b"x"}, snapshot_at(1), record_at(1))

        assert store.runs() == []
        with pytest.raises(DamageError):
            store.blob("0" * 64)

    def test_a_value_that_is_no_json_stops_everything(self, store: Store) -> None:
        lease = self.started(store)
        broken = replace(record_at(2), event={"body": object()})
        with pytest.raises(TypeError):
            store.append(lease, snapshot_at(2), broken)

        assert store.load("run-1").snapshot == snapshot_at(1)
        store.append(lease, snapshot_at(2), record_at(2))
        assert store.load("run-1").head.seq == 2

    def test_two_runs_share_a_document(self, store: Store) -> None:
        self.started(store, "one")
        self.started(store, "two")

        assert store.blob(DOCUMENT_SHA256) == DOCUMENT

    def test_a_document_that_is_not_there_is_damage(self, store: Store) -> None:
        with pytest.raises(DamageError) as error:
            store.blob("f" * 64)

        assert error.value.exit_code == 65

    def test_a_store_can_be_closed_twice(self, tmp_path: Path) -> None:
        store = self.make_store(tmp_path)
        store.close()
        store.close()


def _writes(store: Store, lease: Lease, seq: int) -> list[Callable[[], None]]:
    """Every way to write with a lease to a run that is there."""
    return [
        lambda: store.append(lease, snapshot_at(seq), record_at(seq)),
        lambda: store.mark_intent(lease, 1, 1.0),
        lambda: store.keep(lease, {}),
        lambda: store.set_options(lease, {}),
        lambda: store.attach(lease, "body", b""),
        lambda: store.restart(lease, head_of(), {}, snapshot_at(1), record_at(1)),
    ]
