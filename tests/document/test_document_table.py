"""The table holds together: every name in it is known, and every field can be filled."""

from __future__ import annotations

import pytest

from machine.document.table import OBJECTS, SELECTOR_VERSIONS, Field

CHOICES_OF_THE_CHECKER = {"", "Output", "Schema", "Value"}
FIELDS = [pytest.param(spec, id=f"{name}.{key}") for name, rule in OBJECTS.items() for key, spec in rule.fields.items()]


@pytest.mark.parametrize("spec", FIELDS)
def test_a_field_refers_to_a_row_of_the_table(spec: Field) -> None:
    assert spec.object in OBJECTS.keys() | CHOICES_OF_THE_CHECKER


@pytest.mark.parametrize("spec", FIELDS)
def test_a_list_whose_entries_are_told_apart_names_their_fields(spec: Field) -> None:
    if spec.identity and spec.identity != ("",):
        assert spec.types == ("array",)
        assert set(spec.identity) <= OBJECTS[spec.object].fields.keys()


@pytest.mark.parametrize("spec", FIELDS)
def test_a_field_exists_in_at_least_one_version(spec: Field) -> None:
    assert spec.since <= spec.until
    assert not spec.required or spec.since == "1.0"


def test_every_type_of_an_expression_has_versions() -> None:
    types = OBJECTS["SelectorType"].fields["type"].choices.keys() | OBJECTS["CriterionType"].fields["type"].choices

    assert types == SELECTOR_VERSIONS.keys()


def test_objects_nest_to_a_depth_the_table_decides() -> None:
    def depth(name: str, above: tuple[str, ...] = ()) -> int:
        assert name not in above

        inner = {spec.object for spec in OBJECTS[name].fields.values()} & OBJECTS.keys()
        return 1 + max((depth(one, (*above, name)) for one in inner), default=0)

    assert depth("Arazzo") < 10
