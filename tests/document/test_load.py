"""Text -> Tree: what is read, what is refused and where, and how fast hostile text is given up."""

from __future__ import annotations

import hashlib
import json
from time import process_time
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from machine.document.load import MAX_DEPTH, Tree, parse
from machine.errors import DocumentError

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4), max_leaves=20
)


@pytest.fixture(params=["c", "python"])
def parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both parsers of PyYAML: the C one may be missing where it was built without libyaml."""
    if request.param == "python":
        monkeypatch.delattr(yaml, "CSafeLoader", raising=False)
    return str(request.param)


def refusal(data: bytes | str, **options: Any) -> DocumentError:
    with pytest.raises(DocumentError) as caught:
        parse(data, uri="doc.yaml", **options)
    return caught.value


def spot(error: DocumentError) -> tuple[int, int]:
    assert error.place is not None

    return error.place.line, error.place.column


@pytest.mark.usefixtures("parser")
@pytest.mark.parametrize(
    ("text", "value"),
    [
        pytest.param("no", "no", id="no"),
        pytest.param("on", "on", id="on"),
        pytest.param("2024-01-01", "2024-01-01", id="date"),
        pytest.param("12:30:00", "12:30:00", id="time"),
        pytest.param("1_000", "1_000", id="underscore"),
        pytest.param("010", 10, id="leading-zero"),
        pytest.param("0o10", 8, id="octal"),
        pytest.param("0xFf", 255, id="hex"),
        pytest.param("-0x1", "-0x1", id="signed-hex-is-text"),
        pytest.param("+12", 12, id="plus"),
        pytest.param("1e3", 1000.0, id="exponent"),
        pytest.param(".5", 0.5, id="bare-fraction"),
        pytest.param("1.", 1.0, id="bare-dot"),
        pytest.param("~", None, id="tilde"),
        pytest.param("Null", None, id="null"),
        pytest.param("nUll", "nUll", id="odd-case-null"),
        pytest.param("NULL", None, id="upper-case-null"),
        pytest.param("TRUE", True, id="true"),
        pytest.param("True", True, id="capital-true"),
        pytest.param("false", False, id="false"),
        pytest.param("False", False, id="capital-false"),
        pytest.param("FALSE", False, id="upper-case-false"),
        pytest.param("yes", "yes", id="yes"),
        pytest.param("'12'", "12", id="quoted"),
        pytest.param("! 12", "12", id="non-specific-tag"),
        pytest.param("!!str 12", "12", id="tagged-string"),
        pytest.param("!!int '12'", 12, id="tagged-integer"),
        pytest.param("!!float 1", 1.0, id="tagged-float"),
        pytest.param("!!null ~", None, id="tagged-null"),
        pytest.param("!!bool true", True, id="tagged-boolean"),
        pytest.param("0x" + "0" * 4000, 0, id="as-many-digits-as-there-may-be"),
        pytest.param(hex(10**4000 - 1), 10**4000 - 1, id="the-largest-hex"),
        pytest.param("=", "=", id="default-key-of-1.1"),
        pytest.param("one\n  two", "one two", id="folded-plain"),
        pytest.param("|\n  one\n  two\n", "one\ntwo\n", id="block"),
        pytest.param(">-\n  one\n  two\n", "one two", id="folded-block"),
    ],
)
def test_scalars_follow_the_core_schema_of_yaml_1_2(text: str, value: Any) -> None:
    read = parse(f"a: {text}").value["a"]

    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        pytest.param("200: a\n4XX: b\n", ["200", "4XX"], id="status-codes"),
        pytest.param("0x10: a\n1.50: b\n", ["0x10", "1.50"], id="numbers-keep-their-text"),
        pytest.param("on: a\nyes: b\nno: c\n", ["on", "yes", "no"], id="words-of-1.1"),
        pytest.param("a: &a {x: 1}\nb: {<<: *a}\n", ["a", "b"], id="merge-key"),
        pytest.param("- &a x\n- *a : 1\n", [], id="alias-of-a-string"),
        pytest.param("!!int 1: a\n", ["1"], id="tagged-number"),
        pytest.param("!!float 1.50: a\n", ["1.50"], id="tagged-fraction"),
        pytest.param("! 12: a\n!!str 13: b\n", ["12", "13"], id="tagged-text"),
    ],
)
def test_keys_are_strings_as_written(text: str, keys: list[str]) -> None:
    value = parse(text).value

    assert list(value if isinstance(value, dict) else value[1]) == (keys or ["x"])


def test_a_merge_key_is_an_ordinary_key() -> None:
    assert parse("a: &a {x: 1}\nb: {<<: *a}\n").value["b"] == {"<<": {"x": 1}}


def test_an_alias_shares_the_value_it_names() -> None:
    value = parse("a: &x [1]\nb: *x\n").value

    assert value["a"] is value["b"]


REFUSED = [
    pytest.param("a: 1\nb: 2\na: 3\n", "D004", (3, 1), id="duplicate-key"),
    pytest.param("200: a\n'200': b\n", "D004", (2, 1), id="number-and-string-key"),
    pytest.param('{"a": 1,\n "a": 2}', "D004", (2, 2), id="duplicate-key-in-json"),
    pytest.param("null: 1\n", "D005", (1, 1), id="null-key"),
    pytest.param("b:\n  true: 1\n", "D005", (2, 3), id="boolean-key"),
    pytest.param("? [a]\n: 1\n", "D005", (1, 3), id="list-key"),
    pytest.param("- &a 1\n- *a : 1\n", "D005", (2, 3), id="alias-of-a-number-as-key"),
    pytest.param("!!bool x: 1\n", "D005", (1, 1), id="tagged-key"),
    pytest.param("!!int x: 1\n", "D006", (1, 1), id="key-whose-tag-is-not-true"),
    pytest.param('{"a": !x 1}', "D006", (1, 7), id="tag-in-what-looks-like-json"),
    pytest.param('{"a"; 1}', "D003", (1, 5), id="no-colon"),
    pytest.param('{"a": 1} x', "D003", (1, 10), id="something-after-the-value"),
    pytest.param("a: !!python/object:os.system x\n", "D006", (1, 4), id="python-tag"),
    pytest.param("a: !mine [1]\n", "D006", (1, 4), id="local-tag"),
    pytest.param("a: !!set {b}\n", "D006", (1, 4), id="set-tag"),
    pytest.param("a: !!int x\n", "D006", (1, 4), id="tag-that-is-not-true"),
    pytest.param("a: !!str [1]\n", "D006", (1, 4), id="scalar-tag-on-a-list"),
    pytest.param("%TAG !a! tag:x\n" * 17 + "--- a\n", "D006", (1, 1), id="directives"),
    pytest.param("a: 1\n---\nb: 2\n", "D007", (2, 1), id="two-documents"),
    pytest.param("a: .inf\n", "D010", (1, 4), id="infinity"),
    pytest.param("a: .nan\n", "D010", (1, 4), id="nan"),
    pytest.param("a: -1e999\n", "D010", (1, 4), id="overflow"),
    pytest.param("[NaN]", "D010", (1, 2), id="json-nan"),
    pytest.param('{"a": -Infinity}', "D010", (1, 7), id="json-infinity"),
    pytest.param("[1e999]", "D010", (1, 2), id="json-overflow"),
    pytest.param("a: " + "1" * 4001, "D011", (1, 4), id="long-integer"),
    pytest.param("a: 0x" + "f" * 3900, "D011", (1, 4), id="long-hex"),
    pytest.param("a: 0x" + "0" * 4001, "D011", (1, 4), id="long-hex-of-nothing"),
    pytest.param(f"a: {hex(10**4000)}", "D011", (1, 4), id="hex-of-one-digit-too-many"),
    pytest.param("[" + "1" * 5000 + "]", "D011", (1, 2), id="long-json-integer"),
    pytest.param("a: *b\n", "D012", (1, 4), id="unknown-alias"),
    pytest.param("&a [*a]\n", "D012", (1, 5), id="alias-inside-itself"),
    pytest.param("", "D013", (1, 1), id="empty"),
    pytest.param("# only a comment\n", "D013", (1, 1), id="comment"),
    pytest.param("a: b: c\n", "D003", (1, 5), id="yaml-syntax"),
    pytest.param("a:\n\t- b\n", "D003", (2, 1), id="tab"),
    pytest.param("a: \x01\n", "D003", (1, 4), id="control-character"),
    pytest.param('{"a": 1\n "b": 2}', "D003", (2, 5), id="json-syntax"),
    pytest.param(b"a: 1\nb: \xff\n", "D001", (2, 4), id="not-utf-8"),
    pytest.param("a: 1".encode("utf-16"), "D001", (1, 1), id="utf-16"),
    pytest.param("a: 1\nb\u00e9: ".encode() + b"\xff\n", "D001", (2, 5), id="not-utf-8-behind-a-letter-of-two-bytes"),
    pytest.param("a: \ud800\n", "D001", (1, 4), id="surrogate"),
    pytest.param('{"a": "\\ud83d"}', "D001", (1, 7), id="half-a-pair"),
]


@pytest.mark.usefixtures("parser")
@pytest.mark.parametrize("positions", [True, False], ids=["positions", "plain"])
@pytest.mark.parametrize(("data", "code", "where"), REFUSED)
def test_a_refusal_names_line_and_column(
    data: bytes | str, code: str, where: tuple[int, int], positions: bool, parser: str
) -> None:
    error = refusal(data, positions=positions)

    assert error.code == f"AZM-{code}"
    assert error.place is not None
    assert error.place.document == "doc.yaml"
    assert spot(error)[0] == where[0]
    if parser == "c" or code != "D003":  # the two parsers point at different ends of a broken line
        assert spot(error) == where


@pytest.mark.parametrize("positions", [True, False], ids=["positions", "plain"])
@pytest.mark.parametrize("text", ["one: 1\ntwo: 2\none: 3\n", '{"one": 1,\n"two": 2,\n"one": 3}'], ids=["yaml", "json"])
def test_a_duplicate_key_is_refused_with_both_places(text: str, positions: bool) -> None:
    error = refusal(text, positions=positions)

    assert spot(error) == (3, 1)
    assert f"first at 1:{2 if text[0] == '{' else 1}" in error.message


@pytest.mark.parametrize(
    ("text", "message", "where"),
    [
        pytest.param('{"a":1,]', "expected a key in double quotes", (1, 8), id="key-without-quotes"),
        pytest.param('{"a":1,"b" 2}', "expected ':' after the key", (1, 12), id="no-colon"),
        pytest.param('{"a":"x" "b":2}', "expected ',' or '}'", (1, 10), id="no-comma-in-an-object"),
        pytest.param('["a"\n "b"]', "expected ',' or ']'", (2, 2), id="no-comma-in-a-list"),
        pytest.param('{"a":1} x', "expected nothing after the value", (1, 9), id="two-values"),
        pytest.param('["a",}', "expecting value", (1, 6), id="no-value"),
    ],
)
def test_json_that_is_no_yaml_either_is_told_as_json(text: str, message: str, where: tuple[int, int]) -> None:
    error = refusal(text)

    assert error.message.startswith(f"not valid JSON: {message}")
    assert (error.code, spot(error)) == ("AZM-D003", where)


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        pytest.param("null: 1\n", "a key must be a string, this is null", id="null-key"),
        pytest.param("no: 1\nFalse: 1\n", "a key must be a string, this is a boolean", id="boolean-key"),
        pytest.param("&a [*a]\n", "the alias '*a' stands inside the value it names", id="alias-inside-itself"),
        pytest.param("- *b\n", "the alias '*b' names no anchor before it", id="unknown-alias"),
        pytest.param(f"{'k' * 60}: 1\n" * 2, f"the key '{'k' * 60}' stands", id="key-that-is-just-short-enough"),
        pytest.param(f"{'k' * 61}: 1\n" * 2, f"the key '{'k' * 57}...' stands", id="key-that-is-shortened"),
        pytest.param("a: \x01\n", "not valid YAML: control characters are not allowed", id="control-character"),
    ],
)
def test_a_refusal_says_what_was_seen(text: str, seen: str) -> None:
    assert refusal(text).message.startswith(seen)


def hostile(name: str) -> str:
    laughs = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    laughs += [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]" for level in range(1, 20)]
    merges = ["m0: &m0 {x: 1}"]
    merges += [f"m{level}: &m{level} {{<<: [{', '.join([f'*m{level - 1}'] * 30)}]}}" for level in range(1, 30)]
    chain = ["- &a0 [x]"] + [f"- &a{level} [*a{level - 1}]" for level in range(1, 2000)]
    return {
        "json lists": "[" * 100_000,
        "json objects": '{"a":' * 100_000,
        "closed lists": "[" * 5_000 + "]" * 5_000,
        "yaml lists": "- " * 100_000,
        "yaml flow": "a: " + "[" * 100_000,
        "yaml keys": "? " * 100_000,
        "billion laughs": "\n".join(laughs),
        "merge keys": "\n".join(merges),
        "alias chain": "\n".join(chain),
        "directives": "".join(f"%TAG !a{n}! tag:x\n" for n in range(20_000)) + "--- a",
        "directives by return": "".join(f"%TAG !a{n}! tag:x\r" for n in range(20_000)) + "--- a",
    }[name]


@pytest.mark.usefixtures("parser")
@pytest.mark.parametrize(
    ("name", "code"),
    [
        pytest.param("json lists", "D008", id="json-lists"),
        pytest.param("json objects", "D008", id="json-objects"),
        pytest.param("closed lists", "D008", id="closed-lists"),
        pytest.param("yaml lists", "D008", id="yaml-lists"),
        pytest.param("yaml flow", "D008", id="yaml-flow"),
        pytest.param("yaml keys", "D005", id="yaml-keys"),
        pytest.param("billion laughs", "D009", id="billion-laughs"),
        pytest.param("merge keys", "D009", id="merge-keys"),
        pytest.param("alias chain", "D008", id="depth-through-aliases"),
        pytest.param("directives", "D006", id="directives"),
        pytest.param("directives by return", "D006", id="directives-by-return"),
    ],
)
def test_a_bomb_is_refused_at_once(name: str, code: str) -> None:
    text = hostile(name)
    start = process_time()
    error = refusal(text, positions=False)
    took = process_time() - start

    assert error.code == f"AZM-{code}"
    assert took < 5


@pytest.mark.parametrize("positions", [True, False], ids=["positions", "plain"])
def test_the_depth_limit_is_exact(positions: bool) -> None:
    assert MAX_DEPTH == 100
    parse("[" * MAX_DEPTH + "]" * MAX_DEPTH, positions=positions)

    assert refusal("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1), positions=positions).code == "AZM-D008"


@pytest.mark.usefixtures("parser")
def test_the_depth_limit_is_exact_through_aliases() -> None:
    def chain(levels: int) -> str:
        return "\n".join(["- &a1 [x]"] + [f"- &a{level} [*a{level - 1}]" for level in range(2, levels)])

    parse(chain(MAX_DEPTH))

    assert refusal(chain(MAX_DEPTH + 1)).code == "AZM-D008"


@pytest.mark.parametrize(
    ("text", "count"),
    [
        pytest.param("[1, [2, 3]]", 5, id="json"),
        pytest.param("- 1\n- [2, 3]\n", 5, id="yaml"),
        pytest.param("- &a 1\n- *a\n", 3, id="alias-of-a-scalar"),
        pytest.param("- &a [1, 2]\n- *a\n", 7, id="alias-of-a-list"),
    ],
)
def test_the_limit_of_values_is_exact(text: str, count: int) -> None:
    parse(text, most=count)

    assert refusal(text, most=count - 1).code == "AZM-D009"


@pytest.mark.parametrize("text", ["a: 1234", "\u00e9: 12"], ids=["ascii", "more-bytes-than-letters"])
@pytest.mark.parametrize("as_bytes", [True, False], ids=["bytes", "text"])
def test_the_limit_of_bytes_is_exact(text: str, as_bytes: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    data = text.encode() if as_bytes else text
    monkeypatch.setattr("machine.document.load.MAX_BYTES", len(text.encode()))
    parse(data)
    monkeypatch.setattr("machine.document.load.MAX_BYTES", len(text.encode()) - 1)
    error = refusal(data)

    # Nothing of it was read, so there is no place in it.
    assert (error.code, spot(error)) == ("AZM-D002", (0, 0))


@pytest.mark.usefixtures("parser")
def test_the_limit_of_directives_is_exact() -> None:
    text = "".join(f"%TAG !a{number}! tag:x\n" for number in range(16)) + "--- a"

    assert parse(text).value == "a"
    assert refusal("%TAG !b! tag:x\n" + text).code == "AZM-D006"


@pytest.mark.parametrize("positions", [True, False], ids=["positions", "plain"])
@pytest.mark.parametrize(
    ("text", "count"),
    [
        pytest.param('[1, {"a": 2}]', 4, id="json"),
        pytest.param("- 1\n- a: 2\n", 4, id="yaml"),
        pytest.param("- &a [1, 2]\n- *a\n- *a\n", 10, id="aliases-at-each-use"),
    ],
)
def test_the_number_of_values_is_bounded_as_told(text: str, count: int, positions: bool) -> None:
    parse(text, positions=positions, most=count)

    assert refusal(text, positions=positions, most=count - 1).code == "AZM-D009"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("null: 1\n", "a key must be a string, this is null", id="null-key"),
        pytest.param("true: 1\n", "a key must be a string, this is a boolean", id="boolean-key"),
        pytest.param("a: *b\n", "the alias '*b' names no anchor before it", id="unknown-alias"),
        pytest.param("&a [*a]\n", "the alias '*a' stands inside the value it names", id="alias-inside-itself"),
        pytest.param(f"a: !{'x' * 59} 1\n", f"the tag '!{'x' * 59}' is not allowed", id="a-text-as-long-as-is-shown"),
        pytest.param(f"a: !{'x' * 60} 1\n", f"the tag '!{'x' * 56}...' is not allowed", id="a-longer-text-is-cut"),
        pytest.param('{"a": 1}\n{"b": 2}', "not valid JSON: expected nothing after the value", id="two-values"),
        pytest.param("{a: 1,\n b: [c}", "not valid YAML", id="yaml-that-begins-like-json"),
        pytest.param("a: \x01\n", "characters are not allowed", id="control-character"),
    ],
)
@pytest.mark.usefixtures("parser")
def test_a_refusal_says_what_is_wrong(text: str, said: str) -> None:
    assert said in refusal(text).message


def test_an_escape_that_names_no_character_is_refused(parser: str) -> None:
    half, none = refusal('a: "\\ud83d"'), refusal('a: "\\U99999999"')

    assert (half.code, none.code) == ("AZM-D003" if parser == "c" else "AZM-D001", "AZM-D003")
    assert parser == "c" or "bad character" in none.message


@pytest.mark.parametrize("positions", [True, False], ids=["positions", "plain"])
def test_json_is_read_as_json_however_tightly_it_is_written(positions: bool) -> None:
    # Only JSON joins the two halves of a pair.
    text = '{"a":"\\ud83d\\ude00","b":[1,"\\ud83d\\ude00",{}],"c":{"d":[]}}'

    assert parse(text, positions=positions).value == {"a": "\U0001f600", "b": [1, "\U0001f600", {}], "c": {"d": []}}


@pytest.mark.parametrize(
    ("text", "value"),
    [("{1: 2}", {"1": 2}), ("[1; 2]", ["1; 2"]), ('{"a": b}', {"a": "b"}), ('{? a : "b"}', {"a": "b"})],
    ids=["a-key-without-quotes", "no-comma", "no-quotes", "an-explicit-key"],
)
def test_what_only_looks_like_json_is_yaml(text: str, value: Any) -> None:
    assert parse(text).value == parse(text, positions=False).value == value


@pytest.mark.usefixtures("parser")
def test_a_tag_of_a_list_or_object_has_to_be_true() -> None:
    assert parse("a: !!map {b: 1}\nc: !!seq [2]\nd: ! {e: 3}\n").value == {"a": {"b": 1}, "c": [2], "d": {"e": 3}}
    assert refusal("a: !!seq {b: 1}\n").code == refusal("a: !!map [1]\n").code == "AZM-D006"


@pytest.mark.usefixtures("parser")
def test_an_alias_is_as_deep_as_what_it_names() -> None:
    named = f"- &a {'[' * 60}{']' * 60}\n"

    parse(f"{named}- {'[' * 39}*a{']' * 39}\n")
    assert refusal(f"{named}- {'[' * 40}*a{']' * 40}\n").code == "AZM-D008"


def test_an_alias_of_a_scalar_adds_no_depth() -> None:
    deep = f"- &a x\n- {'[' * (MAX_DEPTH - 1)}*a{']' * (MAX_DEPTH - 1)}\n"

    assert parse(deep).value[0] == "x"


def test_a_large_integer_within_the_limit_is_kept_whole() -> None:
    assert parse(f"[{'9' * 4000}, -{'9' * 4000}]").value == [int("9" * 4000), -int("9" * 4000)]


@pytest.mark.parametrize("positions", [True, False], ids=["positions", "plain"])
def test_a_surrogate_pair_in_json_is_one_character(positions: bool) -> None:
    # YAML refuses it, so it shows as well that JSON without a space, and with many, is read as JSON.
    pair = '"\\ud83d\\ude00"'
    for text in (f'{{"a":{pair},"b":[{pair},{pair}]}}', f' {{ "a" : {pair} , "b" : [ {pair} , {pair} ] }} '):
        assert parse(text, positions=positions).value == {"a": "\U0001f600", "b": ["\U0001f600"] * 2}


def test_half_a_pair_in_yaml_is_refused_by_a_parser_that_lets_it_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(yaml, "CSafeLoader", raising=False)
    error = refusal('a: x\nb: "\\ud83d"\n')

    assert (error.code, spot(error)) == ("AZM-D001", (2, 4))


def test_a_byte_order_mark_is_no_content() -> None:
    tree = parse("\ufeffa: 1\n".encode())

    assert tree.value == {"a": 1}
    assert tree.positions["/a"] == (1, 1)


@pytest.mark.parametrize("positions", [True, False], ids=["positions", "plain"])
def test_behind_a_byte_order_mark_json_is_still_json(positions: bool) -> None:
    # Only JSON joins the two halves of a pair.
    assert parse('\ufeff["\\ud83d\\ude00"]', positions=positions).value == ["\U0001f600"]


def test_yaml_in_flow_style_is_read_though_it_begins_like_json() -> None:
    assert parse("{a: 1, b: [no, {c: d}]}").value == {"a": 1, "b": ["no", {"c": "d"}]}


def test_the_digest_is_that_of_the_bytes() -> None:
    data = b"a: \xc3\xa9\n"

    assert parse(data).sha256 == parse(data.decode()).sha256 == hashlib.sha256(data).hexdigest()


def test_entries_stand_where_their_key_does() -> None:
    positions = parse("a:\n  b: [1,\n    2]\n'c/~d': x\n").positions

    assert dict(positions) == {
        "": (1, 1),
        "/a": (1, 1),
        "/c~1~0d": (4, 1),
        "/a/b": (2, 3),
        "/a/b/0": (2, 7),
        "/a/b/1": (3, 5),
    }


def test_json_has_the_same_positions_as_yaml() -> None:
    text = '{"a": {"b": [1,\n  {"c": null}]},\n "d": []}'
    flow = text.replace('"a"', " a ")

    assert dict(parse(text).positions) == {
        pointer: (line, column - (1 if pointer == "/a" else 0))
        for pointer, (line, column) in parse(flow).positions.items()
    }


@given(values)
@settings(deadline=None, max_examples=150)
def test_json_comes_back_as_it_was_written(value: Any) -> None:
    text = json.dumps(value)
    tree = parse(text)

    assert tree.value == value
    assert parse(text, positions=False).value == value
    assert len(tree.positions) == len([tree.positions[pointer] for pointer in tree.positions])


@given(
    st.text(alphabet="{}[]:,-? \n\t\"'&a*!|>%#<\\u0x1.e~\x00\x85\ufeff", max_size=40)
    | st.binary(max_size=20)
    | values.map(json.dumps).map(lambda text: text[: len(text) // 2])
)
@settings(deadline=None, max_examples=300)
def test_any_text_is_read_or_refused_with_a_place(data: bytes | str) -> None:
    outcome: Tree | DocumentError
    try:
        outcome = parse(data)
    except DocumentError as error:
        outcome = error

    if isinstance(outcome, DocumentError):
        assert outcome.code.startswith("AZM-D0")
        assert spot(outcome) > (0, 0)
    else:
        assert len(outcome.sha256) == 64


@pytest.mark.parametrize("text", ['{"a": NaN}', '{"a": 1e999}', "a: " + "1" * 5000])
def test_a_number_that_is_refused_may_be_quoted(text: str) -> None:
    with pytest.raises(DocumentError) as caught:
        parse(text)

    assert caught.value.next == "quote it if it is meant as text"
