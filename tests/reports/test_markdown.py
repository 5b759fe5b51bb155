"""A summary shows what was said and does nothing: no markup, link or mention of a service's making."""

from __future__ import annotations

import re
from typing import Any

import pytest

from machine.reports.markdown import escaped, markdown
from machine.reports.stopping import Way

WAY = Way(
    step="createEndpoint", request="DELETE /endpoint/acme/x", operation="deleteEndpoint", command="arazzo-machine x"
)


def test_a_summary_says_how_it_ended_what_may_cost_and_what_to_type(failed: Any, result_of: Any) -> None:
    text = markdown(result_of(failed), failed.plan, failed.records, [WAY])
    lines = text.splitlines()

    assert lines[0] == "## deploy: failed"
    assert "| exit code | 11 |" in lines
    assert "| state | failed |" in lines
    assert "**What may be left on the other side, and billed**" in lines
    assert "- to stop it: arazzo-machine x  (DELETE /endpoint/acme/x)" in lines
    assert "**Next**: <code>arazzo-machine resume one</code>" in lines
    assert lines[-1].startswith("| 1970-01-01T00")
    assert {line.count("|") for line in lines if line.startswith("| ") and "T00" in line} == {6}


def test_a_ready_run_leaves_nothing_to_be_done(user_plan: Any, user_inputs: Any, drive: Any, result_of: Any) -> None:
    driven = drive(user_plan, user_inputs).endpoint("pending", 201).endpoint("running")
    text = markdown(result_of(driven), user_plan, driven.records, [WAY])

    assert "billed" not in text
    assert "Next" not in text


@pytest.mark.parametrize(
    "hostile",
    [
        "[x](javascript:alert(1))",
        "![x](http://example.com/x.png)",
        "<script>alert(1)</script>",
        "http://example.com",
        "www.example.com",
        "@somebody #1 :smile:",
        "`code` **bold** _it_ ~no~ | cell",
        "one\n\n# two\r\n---\x1b[31m\u202e",
        "&lt;b&gt;",
    ],
)
def test_no_word_of_a_service_is_markup(hostile: str) -> None:
    text = escaped(hostile)
    bare = re.sub("&#\\d+;", "", text)

    assert not set(bare) & set("[]<>`*_~|@#!&\\\n\r\x1b\u202e")
    assert "://" not in text
    assert "www." not in text
    assert ":smile" not in text
