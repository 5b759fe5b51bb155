"""A secret is found however a program wrote it, and nothing else is."""

from __future__ import annotations

import base64
import html
import json
import re
import time
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from machine.errors import BugError
from machine.runtime.concealing import SPELLINGS, Concealer, spell
from machine.values import SecretRef, SecretText

PLAIN = "hf_aBcDeFgHiJkLm"
ODD = 'it\'s "q"\\ 50%+<a>&b=\u00e9\u4e2d\U0001f600/~'
TEXTS = [pytest.param(PLAIN, id="plain"), pytest.param(ODD, id="odd"), pytest.param("a&b<cd", id="shortest")]


def bytes_of(text: str) -> bytes:
    return b"user:" + text.encode() + b"@host"


WRITERS = {
    "raw": lambda text: text,
    "json": json.dumps,
    "json-beyond-ascii": lambda text: json.dumps(text, ensure_ascii=False),
    "json-with-escaped-slashes": lambda text: json.dumps(text).replace("/", "\\/"),
    "json-for-html": lambda text: "".join(f"\\u{ord(one):04X}" if one in "<>&'" else one for one in json.dumps(text)),
    "json-in-json": lambda text: json.dumps(json.dumps(text)),
    "percent": lambda text: quote(text, safe=""),
    "percent-path": lambda text: quote(text, safe="/:@!$&'()*+,;="),
    "percent-lower-case": lambda text: re.sub("%..", lambda found: found[0].lower(), quote(text, safe="")),
    "percent-every-byte": lambda text: "".join(f"%{byte:02X}" for byte in text.encode()),
    "percent-twice": lambda text: quote(quote(text, safe=""), safe=""),
    "form": quote_plus,
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64-behind-another": lambda text: base64.b64encode(bytes_of(text)).decode(),
    "base64-behind-two": lambda text: base64.b64encode(b"x" + bytes_of(text)).decode(),
    "base64-behind-three": lambda text: base64.b64encode(b"xy" + bytes_of(text)).decode(),
    "base64url": lambda text: base64.urlsafe_b64encode(text.encode()).decode(),
    "base64url-behind-another": lambda text: base64.urlsafe_b64encode(bytes_of(text)).decode(),
    "base64url-behind-two": lambda text: base64.urlsafe_b64encode(b"x" + bytes_of(text)).decode(),
    "html": html.escape,
    "html-only-what-must": lambda text: html.escape(text, quote=False),
    "html-by-number": lambda text: "".join(f"&#{ord(one)};" for one in text),
    "html-by-hexadecimal-number": lambda text: "".join(f"&#x{ord(one):X};" for one in text),
    "html-by-name": lambda text: html.escape(text).replace("&#x27;", "&apos;").replace("\u00e9", "&eacute;"),
    "hex": lambda text: text.encode().hex(),
    "hex-upper-case": lambda text: text.encode().hex().upper(),
    "utf-8-read-as-latin-1": lambda text: text.encode().decode("latin-1"),
}
"""Written as other programs do it, without a look at how it is looked for."""


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("writer", WRITERS)
def test_a_secret_is_found_as_other_programs_write_it(writer: str, text: str) -> None:
    written = WRITERS[writer](text)
    shown = Concealer({"token": text}).scrub(f"before {written} after")

    assert shown.startswith("before ")
    assert shown.endswith(" after")
    assert "[secret token]" in shown
    # What is left of base64 are the characters that share their bits with what stood around.
    left = re.sub(r"\[secret token\]", "", shown)
    assert len(left) <= len("before  after") + (20 if "base64" in writer else 8)


@pytest.mark.parametrize("writer", WRITERS)
def test_it_is_found_in_a_reply_too(writer: str) -> None:
    """The quick look at the bytes of a reply never lets one through."""
    value = {"a": [WRITERS[writer](ODD)], "b": "plain"}
    concealer = Concealer({"token": ODD})

    for text in (json.dumps(value), json.dumps(value, ensure_ascii=False)):
        concealed = concealer.conceal_json(value, text.encode())
        assert isinstance(concealed["a"][0], SecretText)
        assert concealed["b"] == "plain"


def test_a_reply_without_a_secret_is_given_back_as_it_is() -> None:
    value = {"a": ["nothing", 1, None]}

    assert Concealer({"token": ODD}).conceal_json(value, json.dumps(value).encode()) is value


@pytest.mark.parametrize("encoding", [name for name in SPELLINGS if name != "utf8"])
@pytest.mark.parametrize("text", TEXTS)
def test_what_is_concealed_can_be_written_again(encoding: str, text: str) -> None:
    written = spell(text, encoding)
    found = Concealer({"token": text}).conceal(f"<{written}>")

    assert isinstance(found, SecretText)
    (ref,) = [part for part in found.parts if isinstance(part, SecretRef)]
    assert "".join(part if isinstance(part, str) else spell(text, part.encoding) for part in found.parts) == (
        f"<{written}>"
    )
    assert ref.name == "token"


@given(st.text(st.characters(codec="utf-8", min_codepoint=32), min_size=6, max_size=12), st.integers(0, 5), st.data())
def test_no_alignment_of_base64_hides_a_secret(text: str, before: int, data: st.DataObject) -> None:
    behind = data.draw(st.binary(max_size=4))
    encoded = base64.b64encode(b"#" * before + text.encode() + behind).decode()

    assert "[secret t]" in Concealer({"t": text}).scrub(encoded)


@given(st.text(max_size=40))
def test_a_text_that_holds_no_secret_is_not_touched(text: str) -> None:
    assert Concealer({"token": "\u2603snowman\u2603"}).scrub(text) == text


def test_of_two_names_of_one_text_the_first_is_shown() -> None:
    concealer = Concealer({"first": PLAIN, "second": PLAIN})

    assert concealer.scrub(PLAIN) == "[secret first]"
    assert concealer.scrub(quote(PLAIN)) == "[secret first]"


def test_a_secret_that_contains_another_is_taken_out_whole_in_every_spelling() -> None:
    concealer = Concealer({"short": "a&bcde", "long": "xx-a&bcde-yy"})

    for write in (str, html.escape, quote_plus, json.dumps):
        assert concealer.scrub(write("xx-a&bcde-yy")).strip('"') == "[secret long]"
        assert concealer.scrub(write("a&bcde")).strip('"') == "[secret short]"


def test_one_that_is_learnt_later_is_found_from_then_on() -> None:
    concealer = Concealer()
    before = concealer.scrub(PLAIN)
    concealer.learn("token", PLAIN)

    assert (before, concealer.scrub(PLAIN)) == (PLAIN, "[secret token]")
    assert repr(concealer) == "Concealer(token)"


def test_what_was_concealed_before_is_looked_through_once_more() -> None:
    value = SecretText(("a", SecretRef("old"), f"b{PLAIN}"))

    assert Concealer({"new": PLAIN}).conceal([value]) == [SecretText(("a", SecretRef("old"), "b", SecretRef("new")))]


def test_a_hostile_text_is_looked_through_in_time() -> None:
    concealer = Concealer({"token": "\\\\\\\\&&&&%%%%" * 20})
    began = time.monotonic()
    for text in ("\\" * 400_000, "&" * 400_000, "%5c" * 100_000, "\\u005c" * 60_000, "&#92;" * 80_000):
        concealer.scrub(text)

    assert time.monotonic() - began < 5.0


def test_a_very_long_secret_is_looked_for_as_encoders_usually_write_it() -> None:
    text = "a b/" * 5000
    concealer = Concealer({"token": text})

    for write in (str, quote_plus, lambda one: quote(one, safe="")):
        assert concealer.scrub(write(text)) == "[secret token]"


def test_a_spelling_nobody_knows_is_a_fault_of_ours() -> None:
    with pytest.raises(BugError):
        spell(PLAIN, "rot13")


STORED = [
    *("", "percent", "form", "json", "html", "hex", "utf8"),
    *("base64.0", "base64.1", "base64.2", "base64url.0", "base64url.1", "base64url.2"),
]


def test_the_names_of_spellings_are_those_that_journals_hold() -> None:
    assert list(SPELLINGS) == STORED


@pytest.mark.parametrize("encoding", [*STORED, "percent percent", "json json"])
def test_a_spelling_is_stored_under_its_name(encoding: str) -> None:
    concealer = Concealer()
    concealer.learn("token", '<>\u00ff\u00fe" \\')

    assert concealer.conceal(spell('<>\u00ff\u00fe" \\', encoding)) == SecretText((SecretRef("token", encoding),))


@pytest.mark.parametrize(
    ("written", "encoding"),
    [
        pytest.param("C3BF20676865696D", "hex", id="upper-case"),
        pytest.param("\\u00FF gheim", "json", id="another-case-of-json"),
        pytest.param("%c3%bf%20gheim", "percent", id="lower-case"),
        pytest.param("%c3%bf+gheim", "percent", id="a-plus-for-a-blank"),
        pytest.param("&#255; gheim", "html", id="by-number"),
    ],
)
def test_a_variant_is_stored_as_what_it_is_a_variant_of(written: str, encoding: str) -> None:
    concealer = Concealer()
    concealer.learn("token", "\u00ff gheim")

    assert concealer.conceal(f"<{written}>") == SecretText(("<", SecretRef("token", encoding), ">"))


@pytest.mark.parametrize(
    ("secret", "written"),
    [
        pytest.param('a"bc\\def', 'a\\"bc\\def', id="half-escaped-json"),
        pytest.param("a%bc/def", "a%bc%2fdef", id="half-escaped-url"),
        pytest.param("a&bc<def", "a&bc&lt;def", id="half-escaped-html"),
        pytest.param("abcdef123", "%61bcdef123", id="a-letter-nobody-escapes"),
        pytest.param("/" * 4097, "%2f" * 4097, id="a-variant-of-a-very-long-one"),
    ],
)
def test_what_no_program_writes_is_not_looked_for(secret: str, written: str) -> None:
    concealer = Concealer()
    concealer.learn("token", secret)

    assert concealer.conceal(written) == written


def test_up_to_4096_characters_every_variant_is_looked_for() -> None:
    concealer = Concealer()
    concealer.learn("token", "/" * 4096)

    assert concealer.conceal("%2f" * 4096) == SecretText((SecretRef("token", "percent"),))


def test_the_variants_of_every_secret_are_looked_for() -> None:
    concealer = Concealer()
    concealer.learn("one", "a/b cdef")
    concealer.learn("two", "x/y zuvw")

    assert concealer.scrub("a%2fb%20cdef x%2fy%20zuvw x\\/y zuvw") == "[secret one] [secret two] [secret two]"


@pytest.mark.parametrize("size", [6, 7, 8])
@pytest.mark.parametrize("offset", [0, 1, 2])
def test_of_base64_all_that_no_neighbour_has_a_share_in_is_looked_for(offset: int, size: int) -> None:
    text = "s3cret-t"[:size]
    around = [(before * offset, after) for before in (b"\x00", b"\xff") for after in (b"\x00" * 3, b"\xff" * 3)]
    written = [base64.b64encode(before + text.encode() + after).decode().rstrip("=") for before, after in around]
    alike = [at for at, column in enumerate(zip(*written, strict=True)) if len(set(column)) == 1]

    assert spell(text, f"base64.{offset}") == "".join(written[0][at] for at in alike)
    assert alike == list(range(alike[0], alike[-1] + 1))


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b"a%2", False),
        (b"\\ & %", False),
        (b"\x00\xffa b%c/def\x00", True),
        (b"a%20b%25c%2Fdef", True),
        (base64.b64encode(b"a b%c/def"), True),
        (b"", False),
    ],
)
def test_whether_a_secret_stands_in_bytes_is_told(body: bytes, found: bool) -> None:
    concealer = Concealer()
    concealer.learn("token", "a b%c/def")

    assert concealer.stands_in(body) is found


def test_a_secret_in_a_name_of_an_object_is_concealed_too() -> None:
    concealed = Concealer({"token": PLAIN}).conceal({f"of {PLAIN}": [{PLAIN: 1}], "other": 2})

    assert concealed == {"of [secret token]": [{"[secret token]": 1}], "other": 2}
