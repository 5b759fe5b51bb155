"""XPath: parsed without being evaluated, asked with variables for its values, and judged by the answer."""

from __future__ import annotations

import builtins
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from machine.errors import DocumentError, Place
from machine.expressions.evaluate import Context
from machine.expressions.question import Answer, Question
from machine.expressions.xml import answer_xpath
from machine.expressions.xpath import (
    VERSIONS,
    compile_xpath,
    compile_xpath_condition,
    parse,
    restore_xpath,
)
from machine.values import SecretRef, SecretText

PLACE = Place(document="flow.yaml", line=3, column=5)
XML = "<root><id>4711</id><name>Chocolate</name><price>12</price></root>"


def judged(text: str, root: Any = XML, version: str = "", minor: str = "1.0", **inputs: Any) -> Any:
    condition = compile_xpath_condition(text, version, minor=minor, place=PLACE)
    return condition.test(root, Context(inputs=inputs, ask=answer_xpath))


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("text", "truth"),
    [
        ("/root/id = 4711", True),
        ("4711 = /root/id", True),
        ("/root/price = 13", False),
        ("/root/name", True),
        ("/root/none", False),
        ("count(/root/*)", True),
        ("count(/root/none)", False),
        ("string(/root/name)", True),
        ("string(/root/none)", False),
        ("//token[text()]", False),
        ("number('x')", False),
    ],
)
def test_a_condition_passes_by_its_effective_boolean_value(version: str, text: str, truth: bool) -> None:
    assert judged(text, version=version).truth is truth


@pytest.mark.parametrize(
    ("text", "version", "problem"),
    [
        ("let $x := 1 return $x", "xpath-20", "XPath 2.0"),
        ("for $x in //a return $x", "xpath-10", "XPath 1.0"),
        ("map{'a': 1}", "xpath-30", "XPath 3.0"),
        ("//a[", "", "XPath 3.1"),
        ("'a", "xpath-10", "XPath 1.0"),
        ("(" * 2000 + "1" + ")" * 2000, "", "nested too deeply"),
    ],
    ids=["let", "for", "map", "bracket", "quote", "deep"],
)
def test_what_is_no_xpath_of_its_version_is_refused_in_1_0_and_always_fails_in_1_1(
    text: str, version: str, problem: str
) -> None:
    with pytest.raises(DocumentError) as refused:
        compile_xpath_condition(text, version, minor="1.0", place=PLACE)
    later = compile_xpath_condition(text, version, minor="1.1", place=PLACE)

    assert (refused.value.code, refused.value.place) == ("AZM-E310", PLACE)
    assert problem in refused.value.message
    assert "it always fails" in later.notes[0]
    assert "it never passes" in later.test(XML, Context()).why
    assert restore_xpath(text, version, reading=later.reading) == later


@pytest.mark.parametrize(("text", "version", "code"), [("1", "xpath-4", "AZM-E312"), ("a" * 5000, "", "AZM-E313")])
def test_an_unknown_version_and_an_endless_query_are_refused_in_any_document(
    text: str, version: str, code: str
) -> None:
    for minor in ("1.0", "1.1"):
        with pytest.raises(DocumentError) as refused:
            compile_xpath_condition(text, version, minor=minor, place=PLACE)

        assert refused.value.code == code


def test_compiling_evaluates_nothing_however_long_it_would_take() -> None:
    began = time.perf_counter()

    assert parse(f"matches('{'a' * 40}!', '^(a+)+$')", "xpath-31") == ""
    assert parse("count(for $x in 1 to 100000000 return $x)", "xpath-20") == ""
    assert time.perf_counter() - began < 5


def test_without_the_extra_the_error_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    found = builtins.__import__

    def missing(name: str, *rest: Any) -> Any:
        if name.partition(".")[0] in ("elementpath", "lxml"):
            raise ImportError(name)
        return found(name, *rest)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(DocumentError) as refused:
        compile_xpath("//a", "", minor="1.1", place=PLACE)

    assert refused.value.code == "AZM-E311"
    assert "arazzo-machine[xml]" in refused.value.next


QUOTED = [
    ("/a[. = '{$inputs.x}']", "/a[. = concat('', $azm0)]"),
    ("/a[. = 'p{$inputs.x}s']", "/a[. = concat('', 'p', $azm0, 's')]"),
    ('/a[. = "it\'s {$inputs.x}"]', '/a[. = concat("", "it\'s ", $azm0)]'),
    ("/a[b > {$inputs.x}][c = {$inputs.y}]", "/a[b > $azm0][c = $azm1]"),
    ("/a[. = '{x}']", "/a[. = '{x}']"),
]


@pytest.mark.parametrize(("text", "query"), QUOTED)
def test_an_embedded_expression_becomes_a_variable(text: str, query: str) -> None:
    assert compile_xpath(text, "", minor="1.1", place=PLACE).query == query


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("text", "value", "truth"),
    [
        ("/root/price = {$inputs.v}", 12, True),
        ("/root/price > {$inputs.v}", "9", True),
        ("/root/price > {$inputs.v}", 100, False),
        ("/root/price > {$inputs.v}", 11.5, True),
        ("/root/name = '{$inputs.v}'", "Chocolate", True),
        ("/root/name = {$inputs.v}", "Chocolate", True),
        ("/root/id = '{$inputs.v}'", 4711, True),
        ("/root/name = '{$inputs.v}'", "x' or '1' = '1", False),
        ("/root/name = {$inputs.v}", "/root/name", False),
    ],
)
def test_a_value_is_compared_as_data_in_every_version(version: str, text: str, value: Any, truth: bool) -> None:
    assert judged(text, version=version, v=value).truth is truth


@given(st.text(max_size=12), st.sampled_from(["/root/name = '{$inputs.v}'", '/root/name = "{$inputs.v}"']))
def test_whatever_a_value_holds_it_is_never_syntax(value: str, text: str) -> None:
    seen: list[Question] = []

    def ask(question: Question) -> Answer:
        seen.append(question)
        return Answer(value=False)

    compile_xpath_condition(text, "", minor="1.1", place=PLACE).test(XML, Context(inputs={"v": value}, ask=ask))

    assert seen[0].expression == compile_xpath(text, "", minor="1.1", place=PLACE).query
    assert seen[0].variables == (("azm0", value),)


@pytest.mark.parametrize(
    ("root", "inputs", "why"),
    [
        ({"a": 1}, {}, "an object with 1 member is no XML text"),
        ("{not xml}", {"v": 1}, "the text is no XML"),
        (SecretText(("<a>", SecretRef("t"), "</a>")), {}, "holds a secret"),
        (XML, {}, "$inputs.v was absent"),
        (XML, {"v": None}, "was null"),
        (XML, {"v": SecretRef("t")}, "nothing but null"),
        ("<a>" + "x" * (1 << 20) + "</a>", {"v": 1}, "more than 1048576 characters"),
    ],
    ids=["json", "text", "secret", "absent", "null", "secret-value", "size"],
)
def test_what_cannot_be_decided_fails_and_says_why(root: Any, inputs: Any, why: str) -> None:
    verdict = judged("/a = {$inputs.v}", root, **inputs)

    assert not verdict.truth
    assert "cannot be decided: " in verdict.why
    assert why in verdict.why


def test_a_verdict_says_of_what_it_was_judged() -> None:
    assert judged("/root/id").why == "/root/id: was true of '<root><id>4711</id><name>Chocolate</name...'"


OUTWARD = [
    "doc('/etc/passwd')",
    "fn:doc('x')",
    "doc-available('/etc')",
    "collection()",
    "/a[uri-collection('/etc')]",
    "unparsed-text-available('/etc/passwd')",
    "Q{http://www.w3.org/2005/xpath-functions}unparsed-text('/etc/hostname')",
    "unparsed-text-lines#1",
    "environment-variable('HOME')",
    "'/etc' ! json-doc(.)",
    "parse-xml('<a/>')",
]


@pytest.mark.parametrize("minor", ["1.0", "1.1"])
@pytest.mark.parametrize("text", OUTWARD)
def test_a_query_that_looks_outside_its_xml_is_refused_by_name(text: str, minor: str) -> None:
    with pytest.raises(DocumentError) as refused:
        compile_xpath_condition(text, "", minor=minor, place=PLACE)

    assert (refused.value.code, refused.value.place) == ("AZM-E314", PLACE)


def test_an_element_may_have_the_name_of_what_is_refused() -> None:
    assert compile_xpath("/doc/collection[transform]", "", minor="1.0", place=PLACE).query
