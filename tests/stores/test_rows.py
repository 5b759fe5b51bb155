"""A row is believed only whole: its checksum covers the table, every column, and where one column ends."""

from __future__ import annotations

import pytest

from machine.errors import DamageError
from machine.stores.rows import checksum, damaged, storable, text_of, verify

ROW = (b"run-1", 1, 4, b"{}")


@pytest.mark.parametrize(
    ("table", "row"),
    [
        pytest.param("runs", ROW, id="table"),
        pytest.param("records", (b"run-2", 1, 4, b"{}"), id="key"),
        pytest.param("records", (b"run-1", 1, 5, b"{}"), id="number"),
        pytest.param("records", (b"run-1", 1, 4.0, b"{}"), id="type"),
        pytest.param("records", (b"run-1", b"1", 4, b"{}"), id="number-as-text"),
        pytest.param("records", (b"run-1", 14, b"{}"), id="columns-run-together"),
    ],
)
def test_every_part_of_a_row_is_covered(table: str, row: tuple[object, ...]) -> None:
    assert checksum(table, *row) != checksum("records", *ROW)


def test_a_text_and_its_bytes_have_one_checksum() -> None:
    assert checksum("records", "r\u00e9") == checksum("records", "r\u00e9".encode())


def test_a_row_that_differs_from_its_checksum_is_named() -> None:
    good = (*ROW, checksum("records", *ROW).encode())
    verify("records", good, "run-1")

    with pytest.raises(DamageError) as caught:
        verify("records", (*ROW[:3], b"[]", good[-1]), "run-1")

    assert (caught.value.exit_code, caught.value.seen) == (65, "row records/run-1/1/4")


def test_a_name_from_a_damaged_file_is_cut() -> None:
    assert len(damaged("x" * 9999, "runs", "why").message) < 300


def test_half_a_surrogate_pair_is_written_as_its_escape() -> None:
    assert storable('{"a": "\ud800\u00e9"}') == '{"a": "\\ud800\u00e9"}'
    assert text_of(storable("\ud800").encode()) == "\\ud800"
