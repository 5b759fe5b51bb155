"""XML: what an XPath selects becomes JSON, what is replaced is text, and hostile XML reaches nothing."""

from __future__ import annotations

from typing import Any

import pytest

from machine.expressions.question import Answer, Question
from machine.expressions.xml import answer_xpath
from machine.expressions.xpath import VERSIONS

XML = '<?xml version="1.0"?><r xmlns:p="urn:p"><p:a k="v">1<b>2</b>!</p:a><n>3</n><n>4</n><e/></r>'


def asked(expression: str, version: str = "xpath-31", **fields: Any) -> Answer:
    want = fields.pop("want", "value")
    subject = fields.pop("subject", XML)
    return answer_xpath(
        Question(language="xpath", want=want, expression=expression, subject=subject, version=version, **fields)
    )


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("/r/n[1]", "3"),
        ("/r/n", ["3", "4"]),
        ("/r/e", ""),
        ("/r/p:a/@k", "v"),
        ("/r/p:a/text()", ["1", "!"]),
        ("/r/p:a", '<p:a xmlns:p="urn:p" k="v">1<b>2</b>!</p:a>'),
        ("/r/none", []),
        ("count(/r/n)", 2),
        ("1 div 2", 0.5),
        ("/r/n = 3", True),
        ("string(/r/n[2])", "4"),
    ],
)
def test_what_is_selected_becomes_json(version: str, expression: str, value: Any) -> None:
    found = asked(expression, version)

    assert found == Answer(value=value)
    assert type(found.value) is type(value)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("expression", "replacement", "expected"),
    [
        ("/r/n[1]", "<&>", "<n>&lt;&amp;&gt;</n>"),
        ("/r/p:a", "x", '<p:a k="v">x</p:a>'),
        ("/r/p:a/@k", '"', "k='\"'"),
        ("/r/n[2]/text()", "9", "<n>9</n>"),
        ("/r/e", "", "<e></e>"),
    ],
)
def test_what_is_replaced_is_text(version: str, expression: str, replacement: str, expected: str) -> None:
    made = asked(expression, version, want="text", replacement=replacement).value
    target = asked(expression.removesuffix("/text()"), version, subject=made).value

    assert isinstance(made, str)
    assert target == replacement
    assert expected.strip("k='\"")[:2] in made


@pytest.mark.parametrize("version", ["xpath-31", "xpath-10"])
@pytest.mark.parametrize(
    ("expression", "problem"),
    [("/r/none", "selects nothing"), ("count(/r)", "no element, attribute or text"), ("/comment()", "selects nothing")],
)
def test_a_target_that_is_not_there_is_a_problem(version: str, expression: str, problem: str) -> None:
    assert problem in asked(expression, version, want="text", replacement="x").problem


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ("(1, 2)", "FORG0006"),
        ("1 idiv 0", "FOAR0001"),
        ("$undefined", "XPST0008"),
        ("q:r", "XPST0081"),
        ("doc('/etc/passwd')", "unknown function"),
        ("unparsed-text('file:///etc/passwd')", "unknown function"),
        ("json-doc('/etc/passwd')", "unknown function"),
    ],
)
def test_what_an_xpath_may_not_do_is_a_problem(expression: str, problem: str) -> None:
    assert problem in asked(expression, want="truth").problem


BOMB = (
    '<!DOCTYPE l [<!ENTITY a "'
    + "a" * 1000
    + '">'
    + "".join(f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(8))
    + "]><l>&i;</l>"
)


@pytest.mark.parametrize(
    "xml",
    [
        '<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]><r>&x;</r>',
        '<!DOCTYPE r SYSTEM "file:///etc/passwd"><r/>',
        '<!DOCTYPE r [<!ENTITY % x SYSTEM "http://127.0.0.1:1/x">%x;]><r/>',
        BOMB,
    ],
    ids=["entity", "external-subset", "parameter-entity", "bomb"],
)
def test_hostile_xml_reaches_nothing(xml: str) -> None:
    found = asked("string(/*)", subject=xml)

    assert found.value in (None, "", [])


@pytest.mark.parametrize("xml", ["", "<r", "plain", "<r/><r/>", "\x00"])
def test_what_is_no_xml_is_a_problem(xml: str) -> None:
    assert asked("/r", subject=xml).problem.startswith("the text is no XML")


def test_an_encoding_that_is_declared_is_about_bytes_that_are_decoded() -> None:
    assert asked("/r", subject='<?xml version="1.0" encoding="utf-16"?><r>é</r>').value == "é"


@pytest.mark.parametrize("name", ["doc", "doc-available", "unparsed-text", "environment-variable", "parse-xml"])
def test_what_looks_outside_the_xml_is_not_there_while_a_query_is_evaluated(name: str) -> None:
    looked_up = f"function-lookup(QName('http://www.w3.org/2005/xpath-functions', '{name}'), 1)"

    assert asked(f"count({looked_up})").value == 0
    assert "unknown function" in asked(f"{name}('/etc/passwd')").problem
