"""Runtime expressions: what is read, what is repaired, what is refused and where."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from machine.errors import DocumentError, Place
from machine.expressions.grammar import Expression, is_expression, misspelt_roots, parse_expression, split_path

PLACE = Place(document="flow.yaml", pointer="/workflows/0", line=3, column=5)


def parse(text: str) -> Expression:
    return parse_expression(text, place=PLACE)


READ = [
    ("$url", Expression(root="url")),
    ("$method", Expression(root="method")),
    ("$statusCode", Expression(root="statusCode")),
    ("$self", Expression(root="self")),
    ("$request.header.X-Id", Expression(root="request", part="header", name="X-Id")),
    ("$request.query.page[size]", Expression(root="request", part="query", name="page[size]")),
    ("$request.path.id", Expression(root="request", part="path", name="id")),
    ("$request.body", Expression(root="request", part="body")),
    ("$response.body#", Expression(root="response", part="body")),
    ("$response.body#/", Expression(root="response", part="body", pointer=("",))),
    ("$response.body#/status/state", Expression(root="response", part="body", pointer=("status", "state"))),
    ("$response.body#/a~1b/~01", Expression(root="response", part="body", pointer=("a/b", "~1"))),
    ("$inputs.hfToken", Expression(root="inputs", name="hfToken")),
    ("$inputs.endDate.day", Expression(root="inputs", name="endDate.day")),
    ("$inputs.a#/b/0", Expression(root="inputs", name="a", pointer=("b", "0"))),
    ("$outputs.x", Expression(root="outputs", name="x")),
    ("$steps.make.outputs.name", Expression(root="steps", owner="make", part="outputs", name="name")),
    ("$steps.Make it.outputs.a.b", Expression(root="steps", owner="Make it", part="outputs", name="a.b")),
    ("$steps.s.outputs.x.outputs.y", Expression(root="steps", owner="s", part="outputs", name="x.outputs.y")),
    ("$workflows.w.inputs.x", Expression(root="workflows", owner="w", part="inputs", name="x")),
    ("$workflows.w.outputs.x#/y", Expression(root="workflows", owner="w", part="outputs", name="x", pointer=("y",))),
    ("$sourceDescriptions.api.url", Expression(root="sourceDescriptions", owner="api", name="url")),
    ("$sourceDescriptions.api.pets.list", Expression(root="sourceDescriptions", owner="api", name="pets.list")),
    ("$components.parameters.page", Expression(root="components", part="parameters", name="page")),
]


@pytest.mark.parametrize(("text", "expected"), READ, ids=[text for text, _ in READ])
def test_an_expression_of_the_grammar_is_read_without_tolerance(text: str, expected: Expression) -> None:
    found = parse(text)

    assert found == expected
    assert found.tolerances == ()


REPAIRED = [
    ("$response.body.items[0].id", "$response.body.items[0].id"),
    ("$response.body[0].id", "$response.body[0].id"),
    ("$response.body#access_token", "$response.body#/access_token"),
    ("$response.body#/arr[0].x", "$response.body#/arr/0/x"),
    ("$response.body#/a~1b[1][2]/c", "$response.body#/a~1b/1/2/c"),
    ("$inputs.list#[0]", "$inputs.list#/0"),
    ("$response.headers.Location", "$response.header.Location"),
    ("$steps.login.token", "$steps.login.outputs.token"),
    ("$steps.login.token#a", "$steps.login.outputs.token#/a"),
    ("$steps.login.outputs", "$steps.login.outputs"),
    ("$inputs", "$inputs"),
]


@pytest.mark.parametrize(("text", "canonical"), REPAIRED, ids=[text for text, _ in REPAIRED])
def test_a_form_with_one_meaning_is_read_and_flagged(text: str, canonical: str) -> None:
    found = parse(text)

    assert found.tolerances == ("C5",)
    assert str(found) == canonical
    assert parse(canonical) == found


REFUSED = [
    ("hello", "AZM-E001", "character 0"),
    ("$.items", "AZM-E001", "character 0"),
    ("$url.x", "AZM-E002", "character 4"),
    ("$response", "AZM-E002", "character 9"),
    ("$response.cookies.x", "AZM-E002", "character 9"),
    ("$response.bodyx", "AZM-E002", "character 9"),
    ("$response.header.", "AZM-E003", "character 17"),
    ("$response.header.a b", "AZM-E003", "character 17"),
    ("$response.body.", "AZM-E003", "character 14"),
    ("$response.body[*].id", "AZM-E003", "character 14"),
    ("$response.body#/a~2", "AZM-E004", "character 17"),
    ("$inputs.", "AZM-E003", "character 8"),
    ("$steps", "AZM-E002", "character 6"),
    ("$steps.a", "AZM-E002", "character 6"),
    ("$steps.outputs", "AZM-E002", "character 6"),
    ("$steps..outputs.x", "AZM-E002", "character 6"),
    ("$steps.a.response.body", "AZM-E002", "character 8"),
    ("$workflows.w.x", "AZM-E002", "character 10"),
    ("$sourceDescriptions.api", "AZM-E002", "character 19"),
    ("$components.steps.x", "AZM-E002", "character 11"),
    ("$message.payload", "AZM-E005", "not compiled"),
    ("$inputs." + "x" * 5000, "AZM-E006", "character 4096"),
]


@pytest.mark.parametrize(("text", "code", "where"), REFUSED, ids=[text[:30] for text, _, _ in REFUSED])
def test_a_malformed_expression_is_refused_with_its_character(text: str, code: str, where: str) -> None:
    with pytest.raises(DocumentError) as caught:
        parse(text)

    assert caught.value.code == code
    assert where in caught.value.message
    assert caught.value.place == PLACE
    assert len(caught.value.seen) < 100


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$statusCode", True),
        ("$inputs.x", True),
        ("$inputs", True),
        ("$response", True),
        ("$statusCode == 200", False),
        ("$.items[*]", False),
        ("$100", False),
        ("$util.now()", False),
        ("$inputsx.y", False),
        (" $inputs.x", False),
        ("{$inputs.x}", False),
        ("", False),
    ],
)
def test_only_a_dollar_and_a_known_root_make_an_expression(text: str, expected: bool) -> None:
    assert is_expression(text) is expected


@pytest.mark.parametrize(
    ("path", "tokens"),
    [
        ("a.b[0]['c d'][\"e\"]", ("a", "b", "0", "c d", "e")),
        ("[0].id", ("0", "id")),
        ("", ()),
        ("a[*]", None),
        ("a..b", None),
        ("a]b", None),
        ("a[0]b", None),
    ],
)
def test_a_path_is_split_or_refused(path: str, tokens: tuple[str, ...] | None) -> None:
    assert split_path(path) == tokens


_NAMES = st.text(st.characters(codec="utf-8", exclude_characters="#"), min_size=1, max_size=12)
_OWNERS = st.text(st.characters(codec="utf-8", exclude_characters="#."), min_size=1, max_size=8)
# A bracket in a pointer is read as the way on.
_POINTERS = st.lists(st.text(st.characters(codec="utf-8", exclude_characters="["), max_size=6), max_size=3).map(tuple)

_EXPRESSIONS = st.one_of(
    st.builds(Expression, root=st.sampled_from(["inputs", "outputs"]), name=_NAMES, pointer=_POINTERS),
    st.builds(
        Expression, root=st.just("steps"), owner=_OWNERS, part=st.just("outputs"), name=_NAMES, pointer=_POINTERS
    ),
    st.builds(Expression, root=st.just("response"), part=st.just("body"), name=st.just(""), pointer=_POINTERS),
    st.builds(Expression, root=st.just("sourceDescriptions"), owner=_OWNERS, name=_NAMES),
)


@given(_EXPRESSIONS)
def test_the_canonical_text_of_an_expression_parses_to_an_equal_one(expression: Expression) -> None:
    assert parse(str(expression)) == expression


@given(
    st.builds(
        "{}{}".format,
        st.sampled_from(["$steps.", "$workflows.", "$response.body", "$inputs", "$request.header.", "$components."]),
        st.text("ab.#/~[]01'", max_size=14).map(lambda text: text.replace("b", "outputs")),
    )
)
def test_whatever_is_accepted_has_a_canonical_text(text: str) -> None:
    try:
        found = parse(text)
    except DocumentError:
        return

    assert parse(str(found)) == found


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("$inputs.a b", "character 9"),
        ("$inputs.a{b}", "character 9"),
        ("$inputs.a#/b}", "character 12"),
        ("$steps.a.b.outputs.c", "character 7"),
        ("$steps.a b.outputs.c", "character 7"),
        ("$workflows.w/x.outputs.c", "character 11"),
        ("$sourceDescriptions.a b.url", "character 20"),
        ("$components.parameters.a/b", "character 24"),
        ("$request.query.a{b", "character 16"),
        ("$outputs.é", "character 9"),
    ],
)
def test_names_that_1_0_allows_and_1_1_does_not_are_refused_there(text: str, place: str) -> None:
    assert parse_expression(text, place=PLACE)
    with pytest.raises(DocumentError) as refused:
        parse_expression(text, place=PLACE, minor="1.1")

    assert refused.value.code == "AZM-E003"
    assert place in refused.value.message


@pytest.mark.parametrize(
    "text",
    [
        "$inputs.a.b-c_d",
        "$inputs.a.b#/x/0",
        "$inputs.a[0]['x y']",
        "$steps.a-b_c.outputs.d.e",
        "$workflows.w.inputs.a.b",
        "$sourceDescriptions.api.any op/id!",
        "$components.parameters.a.b",
        "$request.query.a[]",
        "$request.header.X-Token",
        "$response.body#/a~1b/c d",
        "$self",
        "$inputs",
    ],
)
def test_a_name_of_1_1_means_the_same_in_both_versions(text: str) -> None:
    assert parse_expression(text, place=PLACE, minor="1.1") == parse_expression(text, place=PLACE)


@pytest.mark.parametrize(
    ("text", "codes"),
    [("$response.body.a[0]", ()), ("$response.body#a", ("C5",)), ("$steps.a.x", ("C5",)), ("$inputs", ("C5",))],
)
def test_a_condition_may_lead_into_a_value_by_its_own_operators(text: str, codes: tuple[str, ...]) -> None:
    assert parse_expression(text, place=PLACE, navigable=True).tolerances == codes


LOOKALIKES: list[tuple[str, dict[str, str]]] = [
    ("$input.id", {"input": "inputs"}),
    ("$respnse.body#/id", {"respnse": "response"}),
    ("$statuscode", {"statuscode": "statusCode"}),
    ("{$step.t.outputs.x} {$Workflows.w} {$step.u}", {"step": "steps", "Workflows": "workflows"}),
    ("$inputs.a {$steps.b.outputs.c} {$url}", {}),
    ("about $input.id", {}),
    ("query($input: Create)", {}),
    ("$price.total", {}),
    ("${input.x} {$.input.x} $12.50 $", {}),
]


@pytest.mark.parametrize(("text", "expected"), LOOKALIKES)
def test_what_looks_like_a_root_is_known_with_the_root_it_is_close_to(text: str, expected: dict[str, str]) -> None:
    assert misspelt_roots(text) == expected


REPAIRED = [
    ("$steps.s.b", "$steps.s.outputs.b"),
    ("$response.body.list[0].x", "$response.body#/list/0/x"),
    ("$response.body#list", "$response.body#/list"),
    ("$response.body#/list[0].x", "$response.body#/list/0/x"),
    ("$response.headers.X-K", "$response.header.X-K"),
    ("$inputs", "an object of all inputs"),
    ("$steps.s.outputs", "an object of all outputs"),
]


@pytest.mark.parametrize(("text", "reading"), REPAIRED)
def test_what_is_repaired_is_told_as_it_was_written_and_as_it_is_read(text: str, reading: str) -> None:
    expression = parse(text)

    assert expression.repaired == f"{text}: the reference is not written as the grammar has it; read as {reading}"
    assert parse("$inputs.a").repaired == ""
    if "#" in reading or "outputs." in reading:
        assert parse(reading).repaired == ""
