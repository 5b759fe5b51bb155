"""Overlays: what is read, what is merged how, where merged nodes stand, and how fast hostile ones are given up."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import process_time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from machine.document.findings import Finding
from machine.document.load import parse
from machine.document.overlay import (
    MAX_ACTIONS,
    MAX_FINDINGS,
    MAX_OVERLAY_BYTES,
    MAX_TARGET,
    Overlay,
    apply_overlay,
    merged_bytes,
    read_overlay,
)
from machine.document.positions import Tree
from machine.document.read import build_document
from machine.errors import DocumentError
from machine.values import MISSING

DOCUMENTS = Path(__file__).resolve().parent.parent / "documents"
HEAD = "overlay: 1.0.0\ninfo: {title: A test, version: '1'}\n"


def overlay_of(*actions: Mapping[str, Any], uri: str = "o.yaml") -> Overlay:
    text = {"overlay": "1.0.0", "info": {"title": "A test", "version": "1"}, "actions": actions}
    return read_overlay(json.dumps(text), uri=uri)


def merge(value: Any, *actions: Mapping[str, Any]) -> Any:
    tree, findings = apply_overlay(parse(json.dumps(value), uri="d.json"), overlay_of(*actions))

    assert findings == ()

    return tree.value


def refusal(data: bytes | str) -> DocumentError:
    with pytest.raises(DocumentError) as caught:
        read_overlay(data, uri="o.yaml")
    return caught.value


def conflict(value: Any, *actions: Mapping[str, Any]) -> DocumentError:
    overlay = overlay_of(*actions)
    with pytest.raises(DocumentError) as caught:
        apply_overlay(parse(json.dumps(value), uri="d.json"), overlay)
    return caught.value


def spots(findings: Sequence[Finding]) -> list[tuple[str, str, int, int]]:
    return [(one.code, one.severity, one.place.line, one.place.column) for one in findings]


def test_an_overlay_is_read_with_its_actions_in_order() -> None:
    overlay = read_overlay((DOCUMENTS / "deploy.overlay.yaml").read_bytes(), uri="o.yaml")

    assert (overlay.title, overlay.version, overlay.extends) == ("What may be paid for", "1.0.0", "deploy.arazzo.yaml")
    assert [action.pointer for action in overlay.actions] == ["/actions/0", "/actions/1", "/actions/2"]
    assert overlay.actions[2].update == {"x-machine": {"unmatched": "fail"}}
    assert overlay.findings == ()


def test_an_update_of_null_is_not_the_absence_of_one() -> None:
    overlay = overlay_of({"target": "$", "update": None}, {"target": "$", "remove": True})

    assert [action.update for action in overlay.actions] == [None, MISSING]


def test_a_shared_document_is_annotated_and_still_an_arazzo_description() -> None:
    base = parse((DOCUMENTS / "deploy.arazzo.yaml").read_bytes(), uri="deploy.arazzo.yaml")
    overlay = read_overlay((DOCUMENTS / "deploy.overlay.yaml").read_bytes(), uri="deploy.overlay.yaml")

    tree, findings = apply_overlay(base, overlay)
    document, more = build_document(tree)
    plain, before = build_document(base)
    workflow = document.workflows[0]

    assert findings == ()
    assert workflow.steps[0].extension["effect"]["kind"] == "create"
    assert workflow.steps[1].extension == {"poll": {"interval": "5s", "max": "30s"}}
    assert workflow.extension == {"unmatched": "fail"}
    assert document.sha256 == tree.sha256 != base.sha256
    assert [finding.place for finding in more] == [finding.place for finding in before]
    assert [step.place for step in workflow.steps] == [step.place for step in plain.workflows[0].steps]
    assert plain.workflows[0].extension == {}


@pytest.mark.parametrize(
    ("value", "action", "merged"),
    [
        pytest.param({"a": 1}, {"target": "$", "update": {"b": 2}}, {"a": 1, "b": 2}, id="new-member"),
        pytest.param({"a": 1}, {"target": "$", "update": {"a": "x"}}, {"a": "x"}, id="primitive-replaced"),
        pytest.param({"a": None}, {"target": "$", "update": {"a": 1}}, {"a": 1}, id="null-replaced"),
        pytest.param({"a": 1}, {"target": "$", "update": {"a": None}}, {"a": None}, id="replaced-by-null"),
        pytest.param({"a": {"b": 1}}, {"target": "$", "update": {"a": {"c": 2}}}, {"a": {"b": 1, "c": 2}}, id="deep"),
        pytest.param({"a": [1]}, {"target": "$", "update": {"a": [2, [3]]}}, {"a": [1, 2, [3]]}, id="lists-join"),
        pytest.param({"a": [1]}, {"target": "$.a", "update": {"b": 1}}, {"a": [1, {"b": 1}]}, id="append-object"),
        pytest.param({"a": [1]}, {"target": "$.a", "update": 2}, {"a": [1, 2]}, id="append-primitive"),
        pytest.param({"a": [1]}, {"target": "$.a", "update": None}, {"a": [1, None]}, id="append-null"),
        pytest.param([{}, {}], {"target": "$[*]", "update": {"b": 1}}, [{"b": 1}, {"b": 1}], id="every-node"),
        pytest.param([{"n": 1}, {"n": 2}], {"target": "$[?@.n==2]", "remove": True}, [{"n": 1}], id="remove-filtered"),
        pytest.param({"a": [], "b": 1}, {"target": "$.a", "remove": True}, {"b": 1}, id="remove-member"),
        pytest.param([[1], [2], [3], [4]], {"target": "$[0,2]", "remove": True}, [[2], [4]], id="remove-several"),
        pytest.param([[1], [2]], {"target": "$[-1]", "remove": True}, [[1]], id="remove-counted-from-the-end"),
        pytest.param([{"a": {"a": {}}}], {"target": "$..a", "remove": True}, [{}], id="remove-nested-in-removed"),
        pytest.param({"a": [[]]}, {"target": "$.a[0,0]", "update": 1}, {"a": [[1]]}, id="a-node-named-twice-is-one"),
        pytest.param({"a/b": {"~": {}}}, {"target": "$['a/b']['~']", "remove": True}, {"a/b": {}}, id="odd-names"),
        pytest.param({"0": {}}, {"target": "$['0']", "update": {"1": 1}}, {"0": {"1": 1}}, id="digits-as-names"),
        pytest.param({"0": {}, "1": {}}, {"target": "$['0']", "remove": True}, {"1": {}}, id="remove-digits-as-name"),
        pytest.param({"a": 1}, {"target": "$", "update": {}}, {"a": 1}, id="nothing-to-merge"),
    ],
)  # fmt: skip
def test_an_action_changes_what_it_selects(value: Any, action: Mapping[str, Any], merged: Any) -> None:
    assert merge(value, action) == merged


def test_each_action_sees_what_the_one_before_it_made() -> None:
    merged = merge(
        {"a": {"old": 1}},
        {"target": "$.a", "remove": True},
        {"target": "$", "update": {"a": {"list": []}}},
        {"target": "$.a.list", "update": {"n": 1}},
        {"target": "$.a.list[?@.n==1]", "update": {"m": 2}},
    )

    assert merged == {"a": {"list": [{"n": 1, "m": 2}]}}


def test_every_target_gets_a_copy_of_its_own() -> None:
    shared = "[&x {n: []}, *x]"
    overlay = overlay_of({"target": "$[*]", "update": {"m": {}}}, {"target": "$[0].m", "update": {"deep": 1}})
    tree, _ = apply_overlay(parse(shared, uri="d.yaml"), overlay)

    assert tree.value == [{"n": [], "m": {"deep": 1}}, {"n": [], "m": {}}]


def test_members_keep_their_order_and_new_ones_come_last() -> None:
    assert list(merge({"b": 1, "a": 2}, {"target": "$", "update": {"c": 3, "b": 4}})) == ["b", "a", "c"]


def test_neither_document_is_changed() -> None:
    base = parse('{"a": [{"b": []}], "c": {"d": 1}}', uri="d.json")
    overlay = overlay_of({"target": "$.a", "update": {"n": []}}, {"target": "$.a[*].n", "update": 1})
    before, actions, places = copy.deepcopy(base.value), copy.deepcopy(overlay.actions), dict(base.positions)

    first, _ = apply_overlay(base, overlay)
    second, _ = apply_overlay(base, overlay)

    assert base.value == before
    assert overlay.actions == actions
    assert dict(base.positions) == places
    assert first.value == second.value
    assert first.sha256 == second.sha256


def place(tree: Tree, pointer: str) -> tuple[str, int, int]:
    found = tree.place(pointer)

    assert found.pointer == pointer

    return found.document, found.line, found.column


BASE = """\
a:
  - one: {x: 1}
  - two: {x: 1}
b: {c: 1, d: [1]}
"""
ADDED = f"""\
{HEAD}actions:
- target: $.a[?@.one]
  remove: true
- target: $.a
  update:
    three: {{y: [1, 2]}}
- target: $
  update:
    b:
      c: 2
      d: [2]
      e: {{f: 1}}
"""


@pytest.mark.parametrize(
    ("pointer", "expected"),
    [
        pytest.param("", ("d.yaml", 1, 1), id="root"),
        pytest.param("/a", ("d.yaml", 1, 1), id="list-that-grew"),
        pytest.param("/a/0", ("d.yaml", 3, 5), id="moved-up-by-a-removal"),
        pytest.param("/a/0/two/x", ("d.yaml", 3, 11), id="inside-what-moved"),
        pytest.param("/a/1", ("o.yaml", 7, 3), id="appended-stands-at-update"),
        pytest.param("/a/1/three/y/1", ("o.yaml", 8, 20), id="inside-what-was-appended"),
        pytest.param("/a/1/three/z", ("o.yaml", 8, 5), id="absent-inside-what-was-appended"),
        pytest.param("/b", ("d.yaml", 4, 1), id="object-merged-into"),
        pytest.param("/b/c", ("o.yaml", 12, 7), id="replaced"),
        pytest.param("/b/d", ("d.yaml", 4, 11), id="list-joined"),
        pytest.param("/b/d/0", ("d.yaml", 4, 15), id="entry-that-was-there"),
        pytest.param("/b/d/1", ("o.yaml", 13, 11), id="entry-that-was-joined"),
        pytest.param("/b/e/f", ("o.yaml", 14, 11), id="inside-a-new-member"),
        pytest.param("/a/7", ("d.yaml", 1, 1), id="absent"),
    ],
)
def test_every_node_stands_in_the_document_it_is_from(pointer: str, expected: tuple[str, int, int]) -> None:
    tree, _ = apply_overlay(parse(BASE, uri="d.yaml"), read_overlay(ADDED, uri="o.yaml"))

    assert place(tree, pointer) == expected


def test_a_second_overlay_leaves_the_places_of_the_first() -> None:
    first, _ = apply_overlay(parse("a: {}", uri="d.yaml"), overlay_of({"target": "$.a", "update": {"b": {"c": 1}}}))
    second, _ = apply_overlay(first, overlay_of({"target": "$.a.b", "update": {"d": {"e": 1}}}, uri="p.yaml"))

    assert second.value == {"a": {"b": {"c": 1, "d": {"e": 1}}}}
    assert [place(second, pointer)[0] for pointer in ("/a", "/a/b", "/a/b/c", "/a/b/d", "/a/b/d/e")] == [
        "d.yaml",
        "o.yaml",
        "o.yaml",
        "p.yaml",
        "p.yaml",
    ]


def test_entries_of_an_alias_stand_where_the_alias_does() -> None:
    text = f"{HEAD}x-shared: &s {{n: {{m: 1}}}}\nactions:\n- target: $\n  update:\n    k: *s\n"
    tree, _ = apply_overlay(parse("a: &x {b: 1}\nc: *x\n", uri="d.yaml"), read_overlay(text, uri="o.yaml"))

    assert tree.value == {"a": {"b": 1}, "c": {"b": 1}, "k": {"n": {"m": 1}}}
    assert place(tree, "/c/b") == ("d.yaml", 2, 1)
    assert place(tree, "/k/n/m") == ("o.yaml", 7, 5)


def test_a_document_without_positions_still_has_its_name() -> None:
    overlay = overlay_of({"target": "$", "update": {"b": 1}})
    tree, _ = apply_overlay(parse("a: {c: 1}", uri="d.yaml", positions=False), overlay)

    assert place(tree, "/a/c") == ("d.yaml", 0, 0)
    assert place(tree, "/b")[0] == "o.yaml"


def test_the_digest_is_that_of_the_merged_text() -> None:
    base = parse("b: é\na: [1.5, null, {}]\n", uri="d.yaml")
    tree, _ = apply_overlay(base, overlay_of({"target": "$", "update": {"z": "\u2028"}}))
    again = parse(merged_bytes(tree))

    assert merged_bytes(tree) == '{"b":"é","a":[1.5,null,{}],"z":"\u2028"}'.encode()
    assert tree.sha256 == hashlib.sha256(merged_bytes(tree)).hexdigest() == again.sha256
    assert again.value == tree.value
    assert tree.uri == base.uri


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("[]", [("AZM-D301", "error", 1, 1)], id="a-list"),
        pytest.param("arazzo: 1.0.1", [("AZM-D301", "error", 1, 1)], id="the-document-itself"),
        pytest.param("{}", [("AZM-D302", "error", 1, 1)] * 3, id="empty"),
        pytest.param(
            "overlay: 1.1.0\ninfo: {title: a, version: 1.0}\nactions: []\nextend: x\nx-a: 1\n",
            [
                ("AZM-D304", "error", 4, 1),
                ("AZM-D305", "error", 1, 1),
                ("AZM-D303", "error", 2, 18),
                ("AZM-D306", "error", 3, 1),
            ],
            id="everything-at-once",
        ),
        pytest.param("overlay: 1.0\ninfo: []\nactions: {}\nextends: 1\n", [
            ("AZM-D303", "error", 1, 1),
            ("AZM-D303", "error", 2, 1),
            ("AZM-D303", "error", 3, 1),
            ("AZM-D303", "error", 4, 1),
        ], id="types"),
        pytest.param(f"{HEAD}actions:\n- 1\n", [("AZM-D301", "error", 4, 3)], id="action-is-no-object"),
        pytest.param(f"{HEAD}actions:\n- update: {{}}\n", [("AZM-D302", "error", 4, 3)], id="no-target"),
        pytest.param(
            f"{HEAD}actions:\n- {{target: 1, remove: 'yes', description: [], copy: x}}\n",
            [
                ("AZM-D303", "error", 4, 4),
                ("AZM-D303", "error", 4, 15),
                ("AZM-D303", "error", 4, 30),
                ("AZM-D304", "error", 4, 47),
            ],
            id="action-fields",
        ),
        pytest.param(f"{HEAD}actions:\n- target: $.a[\n  update: 1\n", [("AZM-D307", "error", 4, 3)], id="no-query"),
        pytest.param(f"{HEAD}actions:\n- target: ''\n  update: 1\n", [("AZM-D307", "error", 4, 3)], id="empty-query"),
        pytest.param(f"{HEAD}actions:\n- target: steps\n  update: 1\n", [("AZM-D307", "error", 4, 3)], id="no-root"),
    ],
)  # fmt: skip
def test_every_problem_is_told_with_its_place(text: str, expected: list[tuple[str, str, int, int]]) -> None:
    error = refusal(text)

    assert spots(error.findings) == expected
    assert error.code == expected[0][0]
    assert {finding.place.document for finding in error.findings} == {"o.yaml"}


def test_a_misspelt_field_is_guessed() -> None:
    error = refusal(f"{HEAD}actions:\n- target: $\n  updates: {{}}\n")

    assert error.next == "did you mean update?"


@pytest.mark.parametrize("version", ["1.0.0", "1.0.1", "1.0.99", "1.0.0-rc1"])
def test_the_patch_number_of_the_specification_does_not_matter(version: str) -> None:
    text = {"overlay": version, "info": {"title": "", "version": ""}, "actions": [{"target": "$", "update": {}}]}

    assert read_overlay(json.dumps(text), uri="").actions[0].target == "$"


def test_text_that_cannot_be_read_is_refused_as_any_document_is() -> None:
    error = refusal("overlay: 1.0.0\noverlay: 1.0.0\n")

    assert error.code == "AZM-D004"
    assert error.place is not None
    assert (error.place.document, error.place.line) == ("o.yaml", 2)


@pytest.mark.parametrize(
    ("action", "line"),
    [
        pytest.param("target: $\n  remove: true\n  update: {}", 6, id="update-beside-remove"),
        pytest.param("target: $.nowhere", 4, id="neither"),
        pytest.param("target: $.nowhere\n  remove: false", 4, id="remove-false"),
    ],
)
def test_an_action_with_a_part_that_has_no_effect_is_warned_of(action: str, line: int) -> None:
    overlay = read_overlay(f"{HEAD}actions:\n- {action}\n", uri="o.yaml")

    assert [(one.code, one.severity, one.place.line) for one in overlay.findings] == [("AZM-D308", "warning", line)]


def test_an_action_without_effect_changes_nothing_and_its_warning_is_passed_on() -> None:
    base, overlay = parse('{"a": [1]}', uri="d.json"), overlay_of({"target": "$.a[0]"})

    tree, findings = apply_overlay(base, overlay)

    assert tree.value == base.value
    assert findings == overlay.findings != ()


def test_a_target_that_selects_nothing_is_warned_of_because_it_may_be_a_typo() -> None:
    text = f"{HEAD}actions:\n- target: $.workflows[?@.workflowId=='typo']\n  update: {{}}\n"
    base = parse("workflows: []", uri="d.yaml")

    tree, findings = apply_overlay(base, read_overlay(text, uri="o.yaml"))

    assert spots(findings) == [("AZM-D309", "warning", 4, 3)]
    assert "typo" in findings[0].message
    assert tree.value == base.value


@pytest.mark.parametrize(
    ("extends", "told"),
    [
        pytest.param("https://example.com/x/d.yaml?v=1#top", False, id="same-name"),
        pytest.param("./other.yaml", True, id="other-name"),
        pytest.param("https://example.com/", False, id="no-name"),
    ],
)
def test_another_document_under_extends_is_told_and_no_more(extends: str, told: bool) -> None:
    text = f"{HEAD}extends: {extends}\nactions:\n- target: $\n  update: {{b: 1}}\n"

    tree, findings = apply_overlay(parse("a: 1", uri="folder/d.yaml"), read_overlay(text, uri="o.yaml"))

    assert spots(findings) == ([("AZM-D316", "info", 3, 1)] if told else [])
    assert tree.value == {"a": 1, "b": 1}


@pytest.mark.parametrize(
    ("value", "action", "code", "pointer"),
    [
        pytest.param({"a": 1}, {"target": "$.a", "update": 2}, "AZM-D310", "target", id="update-a-primitive"),
        pytest.param({"a": None}, {"target": "$.a", "remove": True}, "AZM-D310", "target", id="remove-null"),
        pytest.param([{}, 1], {"target": "$[*]", "update": {}}, "AZM-D310", "target", id="one-of-them-a-primitive"),
        pytest.param([{}, []], {"target": "$[*]", "update": {}}, "AZM-D311", "target", id="objects-and-lists"),
        pytest.param({}, {"target": "$", "update": [1]}, "AZM-D312", "update", id="a-list-into-an-object"),
        pytest.param({}, {"target": "$", "update": None}, "AZM-D312", "update", id="null-into-an-object"),
        pytest.param({"a": {}}, {"target": "$", "update": {"a": 1}}, "AZM-D313", "update/a", id="object-and-primitive"),
        pytest.param({"a": [1]}, {"target": "$", "update": {"a": {}}}, "AZM-D313", "update/a", id="list-and-object"),
        pytest.param(
            {"a": {"b/c": 1}}, {"target": "$", "update": {"a": {"b/c": []}}}, "AZM-D313", "update/a/b~1c", id="deep"
        ),
        pytest.param({}, {"target": "$", "remove": True}, "AZM-D314", "target", id="the-document-itself"),
    ],
)
def test_an_action_that_does_not_fit_is_refused(value: Any, action: Mapping[str, Any], code: str, pointer: str) -> None:
    error = conflict(value, action)

    assert error.code == code
    assert error.place is not None
    assert (error.place.document, error.place.pointer) == ("o.yaml", f"/actions/0/{pointer}")
    assert error.place.line == 1


def test_all_actions_that_do_not_fit_are_told_together() -> None:
    error = conflict(
        {"a": 1, "b": {}},
        {"target": "$.a", "remove": True},
        {"target": "$.nowhere", "remove": True},
        {"target": "$.b", "update": 1},
        {"target": "$.b", "update": {"fine": 1}},
    )

    assert [finding.code for finding in error.findings] == ["AZM-D310", "AZM-D309", "AZM-D312"]


def test_a_list_for_a_list_is_one_entry_and_warned_of() -> None:
    tree, findings = apply_overlay(parse("a: [1]"), overlay_of({"target": "$.a", "update": [2, 3]}))

    assert tree.value == {"a": [1, [2, 3]]}
    assert [(one.code, one.severity) for one in findings] == [("AZM-D312", "warning")]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
json_objects = st.dictionaries(st.sampled_from("abc"), json_values, max_size=3)


def merged_by_definition(target: Any, update: Any) -> Any:
    if isinstance(target, dict) and isinstance(update, dict):
        both = {key: merged_by_definition(target[key], update[key]) for key in target.keys() & update.keys()}
        return {**target, **update, **both}
    if isinstance(target, list) and isinstance(update, list):
        return target + update
    if isinstance(target, dict | list) or isinstance(update, dict | list):
        raise ValueError
    return update


@settings(max_examples=80)
@given(json_objects, json_objects)
def test_objects_merge_as_defined_and_every_node_has_a_place(value: Any, update: Any) -> None:
    base = parse(json.dumps(value, indent=1), uri="d.json")
    overlay = overlay_of({"target": "$", "update": update})
    try:
        expected = merged_by_definition(value, update)
    except ValueError:
        with pytest.raises(DocumentError, match="AZM-D313"):
            apply_overlay(base, overlay)
        return

    tree, findings = apply_overlay(base, overlay)

    assert tree.value == expected
    assert findings == ()
    assert parse(merged_bytes(tree)).value == expected
    assert set(tree.positions) == set(parse(merged_bytes(tree)).positions)
    assert all(tree.place(pointer).line > 0 for pointer in tree.positions)


ENDS = ["&&", "||", "==", "<=", "'a'", "1e400", "-1", "'\\ud800'", "length(", "count(", "match("]
QUERIES = st.lists(st.sampled_from([*"$@.*[]?()!:,01a", "..", *ENDS]), max_size=12).map("".join)


@settings(max_examples=150)
@given(st.sampled_from(["", "$", "$..", "$[?"]), QUERIES, st.sampled_from(["", "]", ")]"]))
def test_any_target_is_applied_or_refused_with_a_typed_error(head: str, body: str, tail: str) -> None:
    action = {"target": head + body + tail, "update": {"x": 1}}
    text = {"overlay": "1.0.0", "info": {"title": "", "version": ""}, "actions": [action]}
    base = parse('{"a": [{"a": {"b": 1}}, [], 1]}')

    assert outcome(base, json.dumps(text))[:6] in ("", "AZM-D3")


def outcome(base: Tree, text: str) -> str:
    """The code of the refusal, or nothing."""
    try:
        apply_overlay(base, read_overlay(text, uri="o.json"))
    except DocumentError as error:
        return error.code
    return ""


def nested(depth: int) -> Any:
    value: Any = {}
    for _ in range(depth - 1):
        value = {"a": value}
    return value


WIDE = {"a": [{"b": index, "c": {"d": "x"}} for index in range(5000)]}
DEEP = nested(100)
NEW = {"x-new": 1}
EQUAL = "x" * 1_000_000
GROWING = [{"target": "$..*", "update": {f"x{n}": {}}} for n in range(200)]


@pytest.mark.parametrize(
    ("value", "actions", "code"),
    [
        pytest.param(DEEP, [{"target": "$" + "..*" * 60, "update": NEW}], "AZM-D315", id="stars-in-depth"),
        pytest.param(WIDE, [{"target": "$..*..*..*", "update": NEW}], "AZM-D315", id="stars-in-width"),
        pytest.param(WIDE, [{"target": "$..[?@..[?@..[?@.b]]]", "update": NEW}], "AZM-D315", id="filters-in-filters"),
        pytest.param(WIDE, [{"target": "$.a[?$..b]", "update": NEW}], "AZM-D315", id="everything-for-everything"),
        pytest.param(WIDE, [{"target": "$.a[?$.a == $.a]", "update": NEW}], "AZM-D315", id="comparing-everything"),
        pytest.param(
            {"a": EQUAL, "b": EQUAL[1:] + "x", "l": [0] * 5000},
            [{"target": "$.l[?$.a == $.b]", "remove": True}],
            "AZM-D315",
            id="comparing-long-texts",
        ),
        pytest.param(
            {"a": [EQUAL], "b": [EQUAL[1:] + "x"], "l": [0] * 5000},
            [{"target": "$.l[?$.a == $.b]", "remove": True}],
            "AZM-D315",
            id="comparing-long-texts-in-lists",
        ),
        pytest.param(
            WIDE, [{"target": "$..[?" + "1==2||" * 45 + "@.b]", "update": NEW}], "AZM-D315", id="long-filter"
        ),
        pytest.param(WIDE, [{"target": "$..[?" + "!" * 280 + "@.b]", "update": NEW}], "AZM-D315", id="nots"),
        pytest.param(WIDE, [{"target": "$..[" + "9:1," * 60 + "0]", "update": NEW}], "AZM-D315", id="empty-slices"),
        pytest.param(WIDE, [{"target": "$..[?@" + ".a" * 140 + "]", "update": NEW}], "AZM-D315", id="long-path"),
        pytest.param(DEEP, [{"target": "$..*", "update": {"a": {"b": {}}}}], "AZM-D315", id="too-deep"),
        pytest.param({"a": []}, [{"target": "$.a", "update": DEEP}], "AZM-D008", id="overlay-too-deep"),
        pytest.param(
            {"a": [[]] * 9000}, [{"target": "$.a[*]", "update": 1}] * 9, "AZM-D315", id="too-many-appended"
        ),
        pytest.param({}, [{"target": "$..*", "update": {"x": {}, "y": {}}}] * 200, "", id="nothing-to-double"),
        pytest.param({"z": {}}, GROWING, "AZM-D315", id="doubling"),
        pytest.param({"a": [0] * 90_000}, [{"target": "$", "update": NEW}], "AZM-D315", id="large-document"),
        pytest.param({"a": [{}] * 20_000}, [{"target": "$.a[*]", "remove": True}], "", id="removing-many"),
        pytest.param({}, [{"target": "$", "update": NEW}] * (MAX_ACTIONS + 1), "AZM-D306", id="too-many-actions"),
        pytest.param({}, [{"target": "$" + ".a" * MAX_TARGET, "update": NEW}], "AZM-D307", id="long-target"),
        pytest.param({}, [{"target": "$[?@.a == 1e400]", "update": NEW}], "AZM-D307", id="infinite-number"),
        pytest.param({}, [{"target": f"$[{'9' * 200}]", "update": NEW}], "AZM-D307", id="large-index"),
        pytest.param({}, [{"target": "$[?match(@.a, '(a*)*b')]", "update": NEW}], "AZM-D307", id="a-pattern"),
        pytest.param({}, [{"target": "$", "update": "x" * MAX_OVERLAY_BYTES}], "AZM-D300", id="large-overlay"),
        pytest.param({}, [{f"k{n}": 1 for n in range(5000)}], "AZM-D304", id="unknown-fields"),
    ],
)  # fmt: skip
def test_a_hostile_overlay_is_given_up_soon(value: Any, actions: list[Any], code: str) -> None:
    base = parse(json.dumps(value), uri="d.json", positions=False)
    text = json.dumps({"overlay": "1.0.0", "info": {"title": "", "version": ""}, "actions": actions})
    begun = process_time()
    seen = outcome(base, text)
    took = process_time() - begun

    assert seen == code
    assert took < 2.0  # half a second on a machine that does nothing else


def test_an_alias_bomb_is_refused_in_either_document() -> None:
    bomb = "&a [" + "1," * 900 + "1]\nx-b: &b [" + "*a," * 900 + "1]\n"
    base = parse(f"x-a: {bomb}", uri="d.yaml")
    overlay = overlay_of({"target": "$", "update": {"c": 1}})

    assert refusal(f"{HEAD}x-a: {bomb}actions: [{{target: $, update: [*b, *b]}}]").code == "AZM-D009"
    with pytest.raises(DocumentError, match="AZM-D315"):
        apply_overlay(base, overlay)


def test_findings_are_bounded() -> None:
    fields = {f"k{n}": 1 for n in range(5000)}

    assert len(refusal(json.dumps({"overlay": "1.0.0", **fields})).findings) == MAX_FINDINGS
