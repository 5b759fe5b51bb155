from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from machine.errors import DamageError, StoreError, UsageError
from machine.stores import Lease, RunHead, check_run_id
from machine.stores.base import check_fence, choose_run, new_lease, read_object, unknown_run
from machine.testing.store_contract import head_of

IDS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,8}", fullmatch=True)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize("text", ["a", "0", "Run_1.b-c", "x" * 128])
def test_a_run_id_is_given_back(text: str) -> None:
    assert check_run_id(text) == text


@pytest.mark.parametrize("text", ["", ".", "-a", "_a", "a/b", "a\\b", "a\x00", "a\n", " a", "a:b", "\u0430", "x" * 129])
def test_what_could_be_misread_as_a_path_or_an_option_is_no_run_id(text: str) -> None:
    with pytest.raises(UsageError) as error:
        check_run_id(text)

    assert error.value.code == "AZM-U410"
    assert "\n" not in error.value.seen
    assert len(error.value.seen) < 60


@given(ids=st.sets(IDS, max_size=6), prefix=IDS)
def test_a_prefix_names_the_one_run_it_fits_or_none(ids: set[str], prefix: str) -> None:
    fitting = {one for one in ids if one.startswith(prefix)}
    if prefix in ids or len(fitting) == 1:
        assert choose_run(prefix, ids) == (prefix if prefix in ids else fitting.pop())
    else:
        with pytest.raises(UsageError) as error:
            choose_run(prefix, ids)
        assert error.value.code == ("AZM-U412" if fitting else "AZM-U411")


def test_many_fitting_runs_are_not_all_listed() -> None:
    with pytest.raises(UsageError) as error:
        choose_run("r", [f"r{number:02}" for number in range(40)])

    assert error.value.seen.startswith("r00, r01, ")
    assert error.value.seen.endswith("r09 and 30 more")


def test_an_unknown_run_in_an_empty_store_points_at_the_list() -> None:
    assert "arazzo-machine runs" in unknown_run("x", []).next


@pytest.mark.parametrize(
    ("epoch", "owner", "refused"),
    [(4, "other", False), (5, "me", False), (5, "other", True), (6, "me", True)],
    ids=["older", "itself", "rival", "newer"],
)
def test_a_lease_yields_to_rivals_and_to_newer_ones(epoch: int, owner: str, refused: bool) -> None:
    lease = Lease(run_id="run-1", epoch=5, owner="me")
    if refused:
        with pytest.raises(StoreError) as error:
            check_fence(lease, epoch, owner)
        assert error.value.exit_code == 74
    else:
        check_fence(lease, epoch, owner)


def test_no_two_leases_are_the_same() -> None:
    assert new_lease("run-1", 3).epoch == 4
    assert new_lease("run-1", 3) != new_lease("run-1", 3)


@given(
    options=st.dictionaries(st.text(), JSON, max_size=3),
    created=st.floats(min_value=0, max_value=1e11),
    name=st.text(),
)
def test_a_head_survives_its_text(options: dict[str, object], created: float, name: str) -> None:
    head = RunHead(
        id="run-1",
        workflow=name,
        document=name,
        created=created,
        plan_sha256="a",
        inputs_sha256="b",
        documents={name: "c"},
        options=options,
    )

    assert RunHead.from_text(head.text(), attempt=1, epoch=0, seq=0) == head


def test_a_head_takes_what_the_store_counts_from_the_store() -> None:
    head = RunHead.from_text(head_of().text(), attempt=2, epoch=3, seq=4)

    assert (head.attempt, head.epoch, head.seq) == (2, 3, 4)
    assert "epoch" not in head_of().text()


@pytest.mark.parametrize("text", ["", "{", "[]", "1", "null", "[" * 100_000], ids=lambda text: text[:5] or "empty")
def test_a_text_that_is_no_json_object_is_damage(text: str) -> None:
    with pytest.raises(DamageError):
        read_object(text)


@pytest.mark.parametrize(
    "change",
    [{"created": "now"}, {"created": True}, {"options": []}, {"id": None}, {"more": 1}, {"workflow": None}],
    ids=str,
)
def test_a_head_of_another_shape_is_damage(change: dict[str, object]) -> None:
    text = json.dumps({**json.loads(head_of().text()), **change})
    with pytest.raises(DamageError) as error:
        RunHead.from_text(text, attempt=1, epoch=0, seq=0)

    assert error.value.code == "AZM-T025"
