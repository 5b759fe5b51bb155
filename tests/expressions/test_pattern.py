"""Patterns: ECMA-262 as authors write it, searched and bounded; embedded values match themselves and nothing else."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from machine.errors import DocumentError, Place
from machine.expressions.evaluate import Context
from machine.expressions.pattern import compile_regex, restore_regex, search, translate, wrong_with
from machine.runtime.evaluator import Evaluator
from machine.values import SecretRef

PLACE = Place(document="flow.yaml", line=3, column=5)
ASK = Evaluator()


def judged(text: str, root: Any, minor: str = "1.0", **inputs: Any) -> Any:
    return compile_regex(text, minor=minor, place=PLACE).test(root, Context(inputs=inputs, ask=ASK))


@pytest.mark.parametrize(
    ("pattern", "subject", "truth"),
    [
        ("^a$", "a", True),
        ("^a$", "a\n", False),
        ("(a|b$)", "xb\n", False),
        ("b", "abc", True),
        (".", "\r", False),
        ("[^]", "\n", True),
        ("[]", "a", False),
        ("(?<n>a)\\k<n>", "aa", True),
        ("(?<=a)b", "ab", True),
        ("\\cJ", "\n", True),
        ("\\u0041\\u{1F600}", "A\U0001f600", True),
        ("\\p{L}\\d", "é3", True),
        ("\\p{L}[\\d\\w]", "é٣", False),
        ("\\P{L}\\W\\D", "---", True),
        ("\\d", "٣", False),
        ("a{e<=1}", "a{e<=1}", True),
        ("(?:foo){e<=1}", "fxo", False),
        ("x{", "x{", True),
        ("a{2,}", "aaa", True),
        ("[[&~|]", "&", True),
        ("^[A-Za-z0-9-_=]+$", "a-_", True),
        ("\\/a", "/a", True),
        ("(?i)ABC", "abc", True),
        ("(?m)^b$", "a\nb\nc", True),
        ("(?s)a.b", "a\nb", True),
    ],
)
def test_a_pattern_means_what_it_means_to_ecma_262(pattern: str, subject: str, truth: bool) -> None:
    assert search(pattern, "", subject, 1.0) is truth


@pytest.mark.parametrize(
    ("text", "root", "truth", "codes"),
    [
        ("/^ab$/i", "AB", True, ("C15",)),
        ("/^b$/m", "a\nb", True, ("C15",)),
        ("/a.b/s", "a\nb", True, ("C15",)),
        ("/pets/", "/pets/1", True, ("C15",)),
        ("/pets/1", "/pets/1", True, ()),
        ("^a", "A", False, ()),
    ],
)
def test_a_pattern_between_slashes_carries_flags(text: str, root: str, truth: bool, codes: tuple[str, ...]) -> None:
    assert judged(text, root).truth is truth
    assert compile_regex(text, minor="1.0", place=PLACE).tolerances == codes


@pytest.mark.parametrize(
    ("root", "text", "truth"),
    [
        (200, "^2\\d\\d$", True),
        (True, "^true$", True),
        (1.5, "^1\\.5$", True),
        (["a", 1], '^\\["a",1\\]$', True),
        ({"a": None}, '^\\{"a":null\\}$', True),
        ("", "^$", True),
    ],
)
def test_scalars_are_matched_as_they_read_and_containers_as_json(root: Any, text: str, truth: bool) -> None:
    assert judged(text, root).truth is truth


def test_a_verdict_names_what_it_was_judged_by() -> None:
    assert judged("^2", 200).why == "^2: matched 200"
    assert judged("^3", "x").why == "^3: did not match 'x'"


@pytest.mark.parametrize(
    ("text", "root", "inputs", "why"),
    [
        ("(a|aa)+$", "a" * 60 + "!", {}, "took more than 0.5 s"),
        ("a{$inputs.p}", "a", {}, "$inputs.p was absent"),
        ("a{$inputs.p}", "a", {"p": SecretRef("p")}, "nothing but null"),
        ("a", "a" * (1 << 20) + "a", {}, "more than 1048576 characters"),
        ("^[a-{$inputs.p}]", "a", {"p": "A"}, "with its values it is no regular expression"),
    ],
    ids=["time", "absent", "secret", "size", "range"],
)
def test_what_cannot_be_decided_fails_and_says_why(text: str, root: Any, inputs: Any, why: str) -> None:
    verdict = judged(text, root, **inputs)

    assert not verdict.truth
    assert "cannot be decided: " in verdict.why
    assert why in verdict.why


@pytest.mark.parametrize("root", [SecretRef("t"), {"a": SecretRef("t")}])
def test_a_secret_is_matched_with_nothing(root: Any) -> None:
    verdict = judged("secret", root)

    assert not verdict.truth
    assert "a secret is matched with nothing" in verdict.why


@pytest.mark.parametrize("text", ["(", "*a", "[a", "a{99999}{9}", "(a{1000}){1000}", "\\", "(?&x)", "\\L<x>"])
def test_what_is_no_regular_expression_is_refused_in_1_0_and_always_fails_in_1_1(text: str) -> None:
    with pytest.raises(DocumentError) as refused:
        compile_regex(text, minor="1.0", place=PLACE)
    later = compile_regex(text, minor="1.1", place=PLACE)

    assert (refused.value.code, refused.value.place) == ("AZM-E300", PLACE)
    assert "it always fails" in later.notes[0]
    assert not later.test("anything", Context()).truth
    assert restore_regex(text, reading=later.reading, tolerances=()) == later


def test_a_pattern_cannot_be_longer_than_a_page() -> None:
    with pytest.raises(DocumentError) as refused:
        compile_regex("a" * 5000, minor="1.1", place=PLACE)

    assert refused.value.code == "AZM-E301"


@pytest.mark.parametrize(
    "pattern",
    ["(a{1000}){1000}" * 100, "((((((((a{9}){9}){9}){9}){9}){9}){9}){9})", "(" * 2000 + ")" * 2000, "(ab){40000}"],
    ids=["many", "nested", "deep", "long"],
)
def test_no_pattern_takes_the_memory_of_the_host_to_compile(pattern: str) -> None:
    assert wrong_with(pattern)


def test_the_size_of_a_pattern_counts_what_is_repeated() -> None:
    assert wrong_with("(abc){1000}" * 10) == ""
    assert "too large" in wrong_with("(abc){1000}" * 20)
    assert translate("a(b|c){2,5}d$", "")[0] == r"a(b|c){2,5}d\Z"


@pytest.mark.parametrize("value", ["a", ".*", "a-z", "]", "^", "\\", "\\d", "\n", "(", "é", "\U0001f600", "1", ""])
@pytest.mark.parametrize("template", ["^{}$", "^[x{}]*$", "^(?:{})+$", "^(a)\\1{}$", "^(?x) {} # c\n$"])
def test_a_value_in_a_pattern_matches_only_itself(template: str, value: str) -> None:
    text = template.replace("{}", "{$inputs.v}")
    others = [one for one in ("zz", "b", "5", value + "!") if value and one != value]
    prefix = "aa" if "(a)" in template else ""

    assert judged(text, prefix + value, v=value).truth
    if "[" not in template:
        assert not any(judged(text, prefix + one, v=value).truth for one in others)


@given(st.text(max_size=6), st.text(max_size=6))
def test_whatever_a_value_holds_it_is_never_syntax(value: str, other: str) -> None:
    assert judged("^{$inputs.v}$", other, v=value).truth is (value == other)
    assert judged("^[{$inputs.v}]$", other, v="x" + value).truth is (len(other) == 1 and other in "x" + value)


@given(st.text("ab()[]{}^$.*+?|\\-,0123 <>=!:dwsbkpun", max_size=14), st.text("ab1 \n", max_size=8))
def test_no_pattern_crashes(pattern: str, subject: str) -> None:
    if not wrong_with(pattern):
        search(pattern, "", subject, 0.5)


def test_the_library_is_loaded_by_the_first_pattern_and_not_before() -> None:
    script = (
        "import sys, machine.plan.build, machine.chart.chart, machine.runtime.evaluator\n"
        "print([name for name in ('regex', 'lxml', 'elementpath', 'jsonpath_rfc9535') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "pattern", ["(?R)", "a(?R)?b", "(?0)", "(a)(?1)", "(?+1)(a)", "(a)(?-1)", "(?P<n>a)(?P>n)", "(?P<n>a)(?&n)"]
)
def test_a_pattern_inside_itself_is_refused(pattern: str) -> None:
    assert wrong_with(pattern) == "it stands inside itself"


@pytest.mark.parametrize("pattern", ["(?:a)", "(?=a)", "(?<n>a)", "(?-i:a)", "[(?R)]", "\\(?R"])
def test_what_only_looks_like_one_is_none(pattern: str) -> None:
    assert wrong_with(pattern) == ""
