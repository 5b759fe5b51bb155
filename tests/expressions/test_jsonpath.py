"""JSONPath conditions: which reading a text gets, what it means, and that the library is imported only when needed."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from machine.errors import DocumentError, Place
from machine.expressions.evaluate import Context
from machine.expressions.jsonpath import compile_jsonpath, restore_jsonpath
from machine.expressions.question import Answer
from machine.values import SecretRef

PLACE = Place(document="flow.yaml", line=1, column=1)
CONTEXT = Context(inputs={"budget": 10, "id": "m2", "token": SecretRef("token")})
BODY: dict[str, Any] = {
    "status": {"state": "Running", "url": None},
    "items": [{"id": "m1"}, {"id": "m2"}],
    "none": [],
    "n": 7,
    "zero": 0,
    "off": False,
    "text": "it's",
    "in-progress": 1,
    "token": SecretRef("token"),
}

READINGS = [
    ("$.status.state == 'running'", "1.0", "comparison"),
    ("$.status.state == 'running'", "1.1", "invalid"),
    ("!$.a", "1.0", "comparison"),
    ("#/a == 1", "1.0", "comparison"),
    ("$.in-progress", "1.0", "comparison"),
    ("$.in-progress", "1.1", "invalid"),
    ("$.a", "1.0", "rfc9535"),
    ("$.a.length", "1.1", "rfc9535"),
    ("$", "1.0", "rfc9535"),
    ("$ .a [0]", "1.0", "rfc9535"),
    ("$..a", "1.0", "rfc9535"),
    ("$.items[?@.id == 'a' || @.n > 1]", "1.0", "rfc9535"),
    ("$['a == b']", "1.0", "rfc9535"),
    ("$[?@.a == 'x']", "1.0", "object-filter"),
    ("$[?(count(@.a) > 0)]", "1.0", "object-filter"),
    ("$[?@.a == $.b]", "1.0", "rfc9535"),
    ("$[?@.a == 'x'].b", "1.0", "rfc9535"),
    ("$[?@ == 'x']", "1.0", "rfc9535"),
    ("$[?@.a == 'x']", "1.1", "rfc9535"),
    ("][", "1.1", "invalid"),
]


@pytest.mark.parametrize(("text", "minor", "reading"), READINGS, ids=[f"{one[1]} {one[0]}" for one in READINGS])
def test_a_text_gets_one_reading(text: str, minor: str, reading: str) -> None:
    found = compile_jsonpath(text, minor=minor, place=PLACE)

    assert found.reading == reading
    assert restore_jsonpath(found.text, reading=found.reading) == found


TRUE = [
    "$.status.state == 'running'",
    '$.status.state == "running"',
    "$.status.state == 'failed' || $.status.state == 'running'",
    "$.n == 7 && !($.status.state == 'failed')",
    "7 == $.n",
    "$.n == '7'",
    "$.n <= $inputs.budget",
    "$.items[1].id == {$inputs.id}",
    "$.items[-1].id == 'm2'",
    "$['n'] > 6",
    '$["n"] > 6',
    "$.status.url == null",
    "$.nope == null",
    "$.nope != 'x'",
    "$.items.length == 2",
    "$.items.size > 1",
    "$.nope.length == 0",
    "$.status.url.length == 0",
    "$.none.length == 0",
    "$.items[?@.id == 'm9'].length == 0",
    "$.items[?(@.id == 'm2')].length == 1",
    "$..id.length == 2",
    "$['status']['st\\u0061te'] == 'running'",
    "$.text == 'it''s'",
    "$.text == 'it\\'s'",
    "#/status/state == 'running'",
    "#/status/state == running",
    "$.zero && $.n == 7",
    "!$.off",
    "!$.none.length",
    "$.token != null",
    "$.status.url",
    "$.items[?@.id == 'm2']",
    "$[?@.n == 7]",
    "$[?(@.status.state == 'Running')]",
    "$[?count(@.items) == 2]",
    "$[?count(@.none) == 0]",
    "$.in-progress",
]
FALSE = [
    "$.status.state == 'failed'",
    "$.status.state == 'pending' || $.status.state == 'initializing'",
    "$.items[0].id == $inputs.id",
    "$.nope > 0",
    "$.status.length == 0",
    "$.n.length == 1",
    "$.items[?@.id == 'm9']",
    "$.nope",
    "$[?@.n == 8]",
    "$[?@.status.state != 'Running']",
    "$[?count(@.none) > 0]",
    "$.token == null",
    "$.items['0'].id == 'm1'",
]


@pytest.mark.parametrize("text", TRUE)
def test_a_condition_of_a_1_0_document_passes(text: str) -> None:
    verdict = compile_jsonpath(text, minor="1.0", place=PLACE).test(BODY, CONTEXT)

    assert verdict.truth, verdict.why


@pytest.mark.parametrize("text", FALSE)
def test_a_condition_of_a_1_0_document_fails(text: str) -> None:
    verdict = compile_jsonpath(text, minor="1.0", place=PLACE).test(BODY, CONTEXT)

    assert not verdict.truth, verdict.why


WHY = [
    ("$.status.state == 'x'", "1.0", "$.status.state == 'x': $.status.state was 'Running'"),
    ("$.items.length > 3", "1.0", "$.items.length > 3: $.items.length was 2"),
    ("$.status.state == 'x'", "1.1", "$.status.state == 'x': is no RFC 9535 query, so it never passes"),
    ("$.status", "1.0", "$.status: selected one node: an object with 2 members"),
    ("$.nope", "1.0", "$.nope: selected nothing"),
    ("$..id", "1.0", "$..id: selected 2 nodes in an object with 9 members"),
    ("$[?@.n == 8]", "1.0", "$[?@.n == 8]: failed for an object with 9 members itself"),
    ("$[?@.id == 'm1']", "1.0", "$[?@.id == 'm1']: selected 0 nodes in an object with 9 members"),
    ("$.token", "1.0", "$.token: selected one node: [secret token]"),
]


@pytest.mark.parametrize(("text", "minor", "why"), WHY, ids=[f"{one[1]} {one[0]}" for one in WHY])
def test_a_verdict_names_what_was_selected(text: str, minor: str, why: str) -> None:
    assert compile_jsonpath(text, minor=minor, place=PLACE).test(BODY, CONTEXT).why == why


def test_a_filter_at_the_root_of_a_list_stays_a_filter_of_its_elements() -> None:
    condition = compile_jsonpath("$[?@.id == 'm2']", minor="1.0", place=PLACE)

    assert condition.test(BODY["items"], CONTEXT).truth
    assert not condition.test(BODY["items"][:1], CONTEXT).truth


@pytest.mark.parametrize("text", ["$.token == 'x'", "$.token != 'x'", "!($.token == 'x')", "$.n == $inputs.token"])
def test_a_comparison_learns_nothing_about_a_secret(text: str) -> None:
    verdict = compile_jsonpath(text, minor="1.0", place=PLACE).test(BODY, CONTEXT)

    assert not verdict.truth
    assert "a secret may be compared with nothing but null" in verdict.why


REFUSED = [
    ("", "AZM-E100"),
    ("$.a ==", "AZM-E100"),
    ("$.a == Order not found", "AZM-E100"),
    ("$.a == 1 == 2", "AZM-E106"),
    ("$.a[ == 1", "AZM-E203"),
    ("$.a[?] == 1", "AZM-E204"),
    ("#a == 1", "AZM-E202"),
    ("$.a == 'x\\q'", "AZM-E108"),
    ("$[?" + "(" * 1500 + "@.a" + ")" * 1500 + "]", "AZM-E204"),
    ("$" + ".a" * 3000, "AZM-E107"),
]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("$.a[?] == 1", "at character 5: unexpected end of expression"),
        ("$.ok == 1 && $.a[?@.b = 2]", "at character 22: unexpected filter selector token '='"),
        ("$.a[?pick(@.b)] == 1", "at character 5: function 'pick' is not defined"),
    ],
)
def test_what_is_wrong_with_a_query_is_told_at_its_character(text: str, problem: str) -> None:
    with pytest.raises(DocumentError) as caught:
        compile_jsonpath(text, minor="1.0", place=PLACE)

    assert caught.value.message == f"the JSONPath query cannot be read {problem}"
    assert "$.items[?@.id == 'x']" in caught.value.next


@pytest.mark.parametrize(("text", "code"), REFUSED, ids=[text[:30] or "empty" for text, _ in REFUSED])
def test_a_text_without_a_reading_is_refused_in_a_1_0_document(text: str, code: str) -> None:
    with pytest.raises(DocumentError) as caught:
        compile_jsonpath(text, minor="1.0", place=PLACE)

    assert caught.value.code == code
    assert caught.value.place == PLACE


def test_tolerances_and_notes_say_what_was_assumed() -> None:
    compared = compile_jsonpath("$.a == x", minor="1.0", place=PLACE)
    filtered = compile_jsonpath("$[?@.a == 1]", minor="1.0", place=PLACE)
    strict = compile_jsonpath("$.a == 1", minor="1.1", place=PLACE)
    quoted = compile_jsonpath("$.a[?@.b == '$inputs.c']", minor="1.0", place=PLACE)

    assert compared.tolerances == ("C1", "C14")
    assert filtered.tolerances == ("C2",)
    assert (strict.tolerances, len(strict.notes)) == ((), 1)
    assert "'$inputs.c' is compared as literal text" in quoted.notes[0]


@pytest.mark.parametrize("text", ["$..a", "$[?@.a == $]", "$..a.length == 0", "$[?@.a]", "$.a == $.a"])
def test_a_value_nested_without_end_fails_with_a_reason(text: str) -> None:
    deep: Any = {"end": 1}
    for _ in range(5000):
        deep = {"a": deep}
    verdict = compile_jsonpath(text, minor="1.0", place=PLACE).test(deep, CONTEXT)

    assert not verdict.truth
    assert "nested too deeply" in verdict.why


def test_plain_conditions_do_not_import_the_jsonpath_library() -> None:
    program = (
        "import sys\n"
        "from machine.errors import Place\n"
        "from machine.expressions import Context, compile_jsonpath\n"
        "for minor in ('1.0', '1.1'):\n"
        "    for text in ('$.a.b', \"$.status.state == 'x' || !$.b.length\", '#/a == $inputs.x'):\n"
        "        compile_jsonpath(text, minor=minor, place=Place()).test({'a': 1}, Context())\n"
        "heavy = {'jsonpath_rfc9535', 'regex', 'jsonschema', 'requests', 'structlog', 'sqlite3', 'logging'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


CONDITIONS = [compile_jsonpath(text, minor="1.0", place=PLACE) for text in TRUE + FALSE]
BODIES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["status", "state", "items", "id", "n", "none"]), inner, max_size=4)
    ),
    max_leaves=8,
)


@settings(deadline=None)  # the first query imports the library
@given(st.sampled_from(CONDITIONS), BODIES)
def test_every_condition_has_a_verdict_for_every_value(condition: Any, body: Any) -> None:
    verdict = condition.test(body, CONTEXT)

    assert isinstance(verdict.truth, bool)
    assert verdict.why.isprintable()


@settings(deadline=None)  # the first query imports the library
@given(st.text("$.ab[]?@=!&|()'\"{} 01#/*:-\\", max_size=20), st.sampled_from(["1.0", "1.1"]))
def test_any_text_has_a_reading_or_is_a_document_error(text: str, minor: str) -> None:
    try:
        condition = compile_jsonpath(text, minor=minor, place=PLACE)
    except DocumentError:
        assert minor == "1.0"
        return

    assert isinstance(condition.test(BODY, CONTEXT).truth, bool)


@settings(deadline=None)  # the first query imports the library
@given(st.text("$.ab[]?@=&|()'\" 01*", max_size=16).map(lambda text: "$" + text))
def test_an_rfc_9535_query_never_becomes_a_comparison(text: str) -> None:
    from jsonpath_rfc9535 import JSONPathError, compile

    try:
        compile(text.strip())
    except (JSONPathError, ValueError):
        return

    assert compile_jsonpath(text, minor="1.0", place=PLACE).reading in ("rfc9535", "object-filter")


EMBEDDED = [
    ("$.items[?@.id == '{$inputs.id}']", {"id": "m2"}, True),
    ('$.items[?@.id == "{$inputs.id}"]', {"id": "none"}, False),
    ("$.items[?@.id == {$inputs.id}]", {"id": "m2"}, True),
    ("$.items[?@.n > {$inputs.n}]", {"n": 1}, True),
    ("$.items[?@.n > {$inputs.n}]", {"n": "1"}, True),
    ("$.items[?@.n > {$inputs.n}]", {"n": 99}, False),
    ("$.items[?@.ok == {$inputs.ok}]", {"ok": True}, True),
    ("$.items[?@.gone == {$inputs.gone}]", {"gone": None}, True),
    ("$.items[{$inputs.n}]", {"n": 1}, True),
    ("$.items[{$inputs.n}:{$inputs.m}]", {"n": 0, "m": 1}, True),
    ("$.{$inputs.name}[0]", {"name": "items"}, True),
    ("$..{$inputs.name}", {"name": "gone"}, True),
    ("$[{$inputs.name}]", {"name": "a b"}, True),
    ("$.items[?@.id == '{$inputs.id}']", {"id": "x' || '1' == '1"}, False),
    ('$.items[?@.id == "{$inputs.id}"]', {"id": 'x" || @.n > 0 || @.id == "'}, False),
    ("$.items[?@.id == {$inputs.id}]", {"id": "@.id"}, False),
    ("$.{$inputs.name}", {"name": "items[0]"}, False),
    ("$.items[?@.id == 'm2'].n == {$inputs.n} || $.none == {$inputs.n}", {"n": 5}, False),
    ("$.items[0].id == '{$inputs.id}'", {"id": "M1"}, True),
]
ITEMS: Any = {"items": [{"id": "m1", "n": 1, "gone": None}, {"id": "m2", "n": 2, "ok": True}], "a b": 1}


@pytest.mark.parametrize(("text", "inputs", "truth"), EMBEDDED, ids=[f"{text} {list(i)}" for text, i, _ in EMBEDDED])
def test_an_embedded_value_is_compared_as_data(text: str, inputs: dict[str, Any], truth: bool) -> None:
    condition = compile_jsonpath(text, minor="1.0", place=PLACE)
    verdict = condition.test(ITEMS, Context(inputs=inputs))

    assert verdict.truth is truth, verdict.why
    restored = restore_jsonpath(condition.text, reading=condition.reading)
    assert restored.test(ITEMS, Context(inputs=inputs)) == verdict


@given(st.text(max_size=10), st.sampled_from(["'{$inputs.v}'", '"{$inputs.v}"', "{$inputs.v}"]), st.text(max_size=10))
def test_whatever_an_embedded_value_holds_it_is_never_syntax(value: str, spot: str, other: str) -> None:
    condition = compile_jsonpath(f"$[?@.id == {spot}]", minor="1.1", place=PLACE)
    assert condition.reading == "rfc9535"
    for found in {value, other}:
        verdict = condition.test([{"id": found}], Context(inputs={"v": value}))
        # Without quotes a text that spells a number is one, as it would be in the condition's own text.
        assert verdict.truth is (found == value) or (spot[0] == "{" and value.strip("-0123456789.eE+") == "")


@pytest.mark.parametrize(
    ("inputs", "why"),
    [
        ({}, "$inputs.id was absent"),
        ({"id": SecretRef("id")}, "nothing but null"),
        ({"id": "x" * 100_000}, "more than 65536 characters"),
    ],
)
def test_a_value_that_cannot_stand_in_a_query_leaves_it_undecided(inputs: dict[str, Any], why: str) -> None:
    verdict = compile_jsonpath("$[?@.id == '{$inputs.id}']", minor="1.1", place=PLACE).test([], Context(inputs=inputs))

    assert not verdict.truth
    assert "cannot be decided: " in verdict.why
    assert why in verdict.why


def test_a_query_that_its_values_make_invalid_is_undecided() -> None:
    verdict = compile_jsonpath("$[{$inputs.n}]", minor="1.1", place=PLACE).test([1], Context(inputs={"n": 1.5}))

    assert "is no RFC 9535 query" in verdict.why


def test_a_filter_is_about_an_object_whose_declared_schema_has_the_member() -> None:
    text = "$[?@.error == null]"
    by_value = compile_jsonpath(text, minor="1.0", place=PLACE)
    declared = compile_jsonpath(text, minor="1.0", place=PLACE, declares={"error"}.__contains__)
    strict = compile_jsonpath(text, minor="1.1", place=PLACE, declares={"error"}.__contains__)
    asked = compile_jsonpath(text, minor="1.0", place=PLACE, strict=True, declares={"error"}.__contains__)
    without, other = {"a": {"error": None}}, {"error": None}

    assert (by_value.declared, declared.declared, strict.reading) == (False, True, "rfc9535")
    assert (asked.reading, asked.tolerances) == ("rfc9535", ())
    assert [one.test(without, Context()).truth for one in (by_value, declared, strict)] == [True, False, True]
    assert [one.test(other, Context()).truth for one in (by_value, declared, strict)] == [True, True, False]


def test_counts_of_one_member_are_told_as_a_tolerance_of_their_own() -> None:
    assert compile_jsonpath("$[?count(@.a) > 0]", minor="1.0", place=PLACE).tolerances == ("C2", "C3")
    assert compile_jsonpath("$[?@.a == 'count(@.a)']", minor="1.0", place=PLACE).tolerances == ("C2",)


@pytest.mark.parametrize("version", ["", "rfc9535"])
def test_the_script_of_the_draft_is_read_in_the_draft_only(version: str) -> None:
    draft = compile_jsonpath(
        "$.a[(@.length-1)]", minor="1.1", place=PLACE, version="draft-goessner-dispatch-jsonpath-00"
    )
    modern = compile_jsonpath("$.a[(@.length-1)]", minor="1.1", place=PLACE, version=version)

    assert draft.test({"a": [1, 2]}, Context()).truth
    assert modern.reading == "invalid"


def test_a_pattern_in_a_query_is_asked_for_and_a_hostile_one_is_undecided() -> None:
    condition = compile_jsonpath("$[?match(@.a, 'x+')]", minor="1.1", place=PLACE)
    answered = Context(ask=lambda _: Answer(value=[[0]]))
    endless = Context(ask=lambda _: Answer(problem="it took more than 2 s of computing"))

    assert condition.test([{"a": "xx"}], answered).truth
    assert "cannot be decided: it took more than 2 s" in condition.test([{"a": "xx"}], endless).why
