"""JSON payloads written as text: parsed once, so that no value can break out of its string."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from machine.errors import DocumentError, Place
from machine.expressions.evaluate import Context
from machine.expressions.json_text import compile_json_text, is_json_text
from machine.expressions.stored import from_json, to_json
from machine.expressions.template import Declared, leaves, render, tolerances
from machine.values import SecretRef, SecretText

PLACE = Place(document="flow.yaml", line=3, column=5)
DECLARED = Declared(inputs=frozenset({"s", "n", "o", "l", "z", "t"}))
INPUTS: dict[str, Any] = {"s": 'a"b\\c\n', "n": 3, "o": {"k": [1]}, "l": ["x"], "z": None, "t": SecretRef("t")}


def rendered(text: str, *, aware: bool = True, **inputs: Any) -> Any:
    template = compile_json_text(text, place=PLACE, declared=DECLARED, aware=aware)

    assert from_json(json.loads(json.dumps(to_json(template)))) == template
    return render(template, Context(inputs={**INPUTS, **inputs}))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": "{$inputs.s}"}', {"a": 'a"b\\c\n'}),
        ('{"a": "{$inputs.n}"}', {"a": "3"}),
        ('{"a": {$inputs.n}}', {"a": 3}),
        ('{"a": $inputs.n, "b": [$inputs.l, {$inputs.o}]}', {"a": 3, "b": [["x"], {"k": [1]}]}),
        ('{"a": "{$inputs.o}", "b": "{$inputs.l}"}', {"a": {"k": [1]}, "b": ["x"]}),
        ('{"a": "$inputs.o", "b": "$inputs.n"}', {"a": {"k": [1]}, "b": "3"}),
        ('{"a": "<{$inputs.o}>"}', {"a": '<{"k":[1]}>'}),
        ('{"a": "{$inputs.o#/k/0}{$inputs.n}"}', {"a": "13"}),
        ('{"a": "Bearer $inputs.s"}', {"a": 'Bearer a"b\\c\n'}),
        ('{"a": "{$inputs.z}", "b": $inputs.z}', {"a": "", "b": None}),
        ('{"a": "{$inputs.none}", "b": 1}', {"b": 1}),
        ('["{$inputs.none}", $inputs.none]', [None, None]),
        ('{"a": "{$inputs.t}", "b": "x{$inputs.t}"}', {"a": SecretRef("t"), "b": SecretText(("x", SecretRef("t")))}),
        ('{"a": "$5", "b": "{$.x}", "c": "\\u0041"}', {"a": "$5", "b": "{$.x}", "c": "A"}),
        ('{"a": "\ue0000"}', {"a": "\ue0000"}),
        (' [1, true, null, {"a": {}}] ', [1, True, None, {"a": {}}]),
        ('{"$inputs.s": 1}', {"$inputs.s": 1}),
    ],
)
def test_json_text_is_sent_as_the_json_it_means(text: str, value: Any) -> None:
    assert rendered(text) == value


def test_null_in_a_string_of_1_1_reads_null() -> None:
    later = compile_json_text('["{$inputs.z}", {$inputs.z}]', place=PLACE, declared=Declared(minor="1.1"), aware=True)

    assert render(later, Context(inputs={"z": None})) == ["null", None]


def test_without_the_tolerance_what_is_quoted_stays_text() -> None:
    assert rendered('{"a": "{$inputs.o}"}', aware=False) == {"a": '{"k":[1]}'}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ('{"a": 1,}', "AZM-E021"),
        ('{"a": "{$inputs.s}" "b": 1}', "AZM-E021"),
        ('{"a": NaN}', "AZM-E021"),
        ('{"a": $5}', "AZM-E021"),
        ("[" * 5000 + "]" * 5000, "AZM-E021"),
        ("[" * 150 + "]" * 150, "AZM-E021"),
        ('{"a": ' + "9" * 5000 + "}", "AZM-E021"),
        ('{"x{$inputs.s}": 1}', "AZM-E022"),
        ('{"a": {$inputs.}}', "AZM-E003"),
    ],
    ids=["comma", "no-comma", "nan", "price", "deep", "deeper-than-a-template", "digits", "name", "expression"],
)
def test_text_that_is_no_json_is_refused_when_it_is_compiled(text: str, code: str) -> None:
    with pytest.raises(DocumentError) as refused:
        compile_json_text(text, place=PLACE, declared=DECLARED, aware=True)

    assert (refused.value.code, refused.value.place) == (code, PLACE)


@pytest.mark.parametrize(
    ("payload", "truth"),
    [
        ('{"a": 1}', True),
        (" [1]", True),
        ('{"a": "{$inputs.s}"}', True),
        ("{$inputs.s}", False),
        ("$inputs.s", False),
        ("a text", False),
        ("", False),
        ({"a": 1}, False),
        (None, False),
    ],
)
def test_only_what_begins_like_json_is_meant_as_it(payload: Any, truth: bool) -> None:
    assert is_json_text(payload) is truth


def test_the_tolerance_is_told_once_with_its_code() -> None:
    made = compile_json_text('{"a": "{$inputs.o}", "b": "{$inputs.s}"}', place=PLACE, declared=DECLARED, aware=True)

    told = [one for _, leaf in leaves(made) for one in tolerances(leaf)]

    assert {code for code, _ in told} == {"C10"}
    assert len(set(told)) == 1


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@given(JSON)
def test_no_value_breaks_out_of_its_string(value: Any) -> None:
    made = rendered('{"a": "{$inputs.v}", "b": "x{$inputs.v}y", "c": {$inputs.v}}', v=value)

    assert set(made) == {"a", "b", "c"}
    assert made["c"] == value
    assert made["a"] == (value if isinstance(value, (list, dict, str)) else "" if value is None else json.dumps(value))
    assert isinstance(made["b"], str)


@given(JSON)
def test_any_json_written_as_text_is_that_json(value: Any) -> None:
    if isinstance(value, (list, dict)):
        text = json.dumps(value, ensure_ascii=False)

        assert rendered(text) == value
