from __future__ import annotations

import re
from itertools import combinations

import pytest

from machine.chart.snapshot import Record
from machine.diagram import render
from machine.diagram.colours import CURRENT, FAINT, LOOKS, NIGHT, PAPER, RULE, TAKEN, WORDS, Look, night_style
from machine.plan.model import Plan

_LEGIBLE = 4.5
"""Contrast of text with what is behind it: WCAG 2.2, success criterion 1.4.3."""
_SEEN = 3.0
"""Contrast of lines with what they lie on: success criterion 1.4.11."""
_STEP = 20
"""Levels of grey, of 255, between the fills of two phases that have the same border."""


def channels(color: str) -> list[int]:
    return [int(color[at : at + 2], 16) for at in (1, 3, 5)]


def luminance(color: str) -> float:
    parts = [one / 255 for one in channels(color)]
    red, green, blue = [one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in parts]
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def grey(color: str) -> float:
    """What is left of it in a grey print, 0 to 255."""
    red, green, blue = channels(color)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def by_night(look: Look) -> Look:
    return Look(fill=NIGHT[look.fill], line=NIGHT[look.line], text=NIGHT[look.text])


EVERY = {
    **{f"{name} by day": look for name, look in LOOKS.items()},
    **{f"{name} by night": by_night(look) for name, look in LOOKS.items()},
    "not visited by day": FAINT,
    "not visited by night": by_night(FAINT),
}


@pytest.mark.parametrize("look", [pytest.param(look, id=name) for name, look in EVERY.items()])
def test_the_text_in_every_box_can_be_read(look: Look) -> None:
    assert contrast(look.text, look.fill) >= _LEGIBLE


@pytest.mark.parametrize("color", [WORDS, RULE, TAKEN, LOOKS["doubt"].line])
def test_what_stands_beside_an_arrow_can_be_read_by_day_and_by_night(color: str) -> None:
    assert contrast(color, PAPER) >= _LEGIBLE
    assert contrast(NIGHT[color], NIGHT[PAPER]) >= _LEGIBLE


@pytest.mark.parametrize("name", LOOKS)
def test_every_box_has_a_border_that_is_seen(name: str) -> None:
    assert contrast(LOOKS[name].line, PAPER) >= _SEEN
    assert contrast(NIGHT[LOOKS[name].line], NIGHT[PAPER]) >= _SEEN


def test_phases_are_told_apart_in_a_grey_print() -> None:
    # Doubt is told by its dashes.
    solid = {name: grey(look.fill) for name, look in LOOKS.items() if name != "doubt"}

    assert [pair for pair in combinations(solid, 2) if abs(solid[pair[0]] - solid[pair[1]]) < _STEP] == []


def test_the_border_of_where_a_run_is_stands_out_on_white_and_on_black() -> None:
    assert min(contrast(CURRENT, PAPER), contrast(CURRENT, NIGHT[PAPER])) >= _SEEN


def test_every_colour_of_a_picture_has_one_for_the_night(endpoint_plan: Plan, ready_run: tuple[Record, ...]) -> None:
    for dot in (render(endpoint_plan, format="dot"), render(endpoint_plan, format="dot", records=ready_run)):
        used = set(re.findall(r'(?:color|fillcolor|fontcolor)="([^"]*)"', dot))

        assert used - set(NIGHT) == set()


def test_an_svg_gets_a_rule_for_each_colour_it_is_painted_in() -> None:
    svg = f'<path fill="none" stroke="{WORDS}"/><text fill="{WORDS}">a</text><text fill="{WORDS}">b</text>'

    assert night_style(svg) == (
        "@media (prefers-color-scheme:dark)"
        f'{{[fill="{WORDS}"]{{fill:{NIGHT[WORDS]}}}[stroke="{WORDS}"]{{stroke:{NIGHT[WORDS]}}}}}'
    )


@pytest.mark.parametrize("svg", ["", '<text fill="#123456">ours it is not</text>', "<text>fill=#ffffff</text>"])
def test_an_svg_without_our_colours_gets_none(svg: str) -> None:
    assert night_style(svg) == ""


def test_text_that_looks_like_a_colour_adds_no_rule_of_its_own() -> None:
    # In an SVG a quote inside text is no quote of an attribute: whatever is matched, only our own rules are written.
    written = night_style('<text> fill="#ffffff" }}@import "http://x"; stroke="#abcdef"</text>')

    assert re.fullmatch(r"@media \(prefers-color-scheme:dark\)\{(?:\[\w+=\"#\w{6}\"\]\{\w+:#\w{6}\})*\}", written)
