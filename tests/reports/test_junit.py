"""A report of tests: a case for each state, the one that stopped the run failed, and XML whatever a service said."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

from machine.chart.events import Cancelled
from machine.reports.junit import junit
from machine.reports.stopping import Way

WAY = Way(step="createEndpoint", request="DELETE /endpoint/acme/x", operation="deleteEndpoint")


def test_the_state_that_stopped_a_run_is_the_case_that_failed(failed: Any, result_of: Any) -> None:
    root = ElementTree.fromstring(junit(result_of(failed), failed.plan, failed.records, [WAY]).partition("?>")[2])
    (suite,) = root
    cases = suite.findall("testcase")
    failure = cases[-1].find("failure")

    assert root.attrib == {"tests": "3", "failures": "1", "errors": "0", "skipped": "0", "time": "8.000"}
    assert [case.get("name") for case in cases] == ["1 createEndpoint", "2 created", "3 polling"]
    assert [case.find("failure") for case in cases[:-1]] == [None, None]
    assert failure is not None
    assert failure.get("type") == "unmatched"
    assert failure.text is not None
    assert failure.text.splitlines()[1].startswith("createEndpoint was applied (endpointName my-endpoint")
    assert failure.text.splitlines()[2:] == [
        "to stop it: DELETE /endpoint/acme/x",
        "resume: arazzo-machine resume one",
    ]


def test_a_ready_run_has_no_failure(user_plan: Any, user_inputs: Any, drive: Any, result_of: Any) -> None:
    driven = drive(user_plan, user_inputs).endpoint("pending", 201).endpoint("running")
    text = junit(result_of(driven), user_plan, driven.records)

    assert 'failures="0"' in text
    assert "<failure" not in text


def test_a_run_that_has_not_ended_or_was_cancelled_is_skipped(
    user_plan: Any, user_inputs: Any, drive: Any, result_of: Any
) -> None:
    driven = drive(user_plan, user_inputs).endpoint("pending", 201)
    running = junit(result_of(driven, held=True), user_plan, driven.records)
    driven.happen(Cancelled(at=driven.at, by="me"))

    assert '<skipped message="running: ' in running
    assert '<skipped message="cancelled: ' in junit(result_of(driven), user_plan, driven.records)


def test_it_is_xml_whatever_a_service_says(user_plan: Any, user_inputs: Any, drive: Any, result_of: Any) -> None:
    hostile = ']]><x/>\x00\x1b\ud800\uffff&<"'
    driven = drive(user_plan, user_inputs).endpoint(hostile, 201).endpoint(hostile)

    assert ElementTree.fromstring(junit(result_of(driven), user_plan, driven.records).partition("?>")[2]).tag
