from __future__ import annotations

import json

import pytest

from machine.chart.settings import Settings
from machine.errors import UsageError


def test_nothing_given_leaves_the_words_of_the_plan() -> None:
    plain = Settings()

    assert (plain.deadline, plain.poll_interval, plain.visits, plain.calls, plain.transitions) == (None,) * 5
    assert plain.call_timeout == 60.0


def test_settings_read_back_are_the_same() -> None:
    settings = Settings(deadline=5.0, poll_interval=0.0, visits=1, calls=2, transitions=3, call_timeout=4.0)

    assert Settings(**json.loads(json.dumps(settings.to_json()))) == settings


def test_changes_replace_what_they_name_and_nothing_else() -> None:
    before = Settings(deadline=5.0, calls=2)

    assert before.changed({"deadline": 9.0, "calls": None}) == Settings(deadline=9.0)
    assert before.changed({}) == before
    assert before == Settings(deadline=5.0, calls=2)


def test_a_setting_nobody_knows_is_refused_with_those_there_are() -> None:
    with pytest.raises(UsageError) as refused:
        Settings().changed({"zeal": 1, "haste": 2})

    assert refused.value.code == "AZM-U010"
    assert refused.value.message == "there is no setting 'haste'"
    assert refused.value.next == (
        "known settings: adopt_existing, call_timeout, calls, deadline, on_doubt, poll_interval, settle, transitions, "
        "visits"
    )
