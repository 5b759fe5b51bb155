from __future__ import annotations

import os
import signal
import subprocess
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from machine.errors import BugError, CredentialError, InputError, RequestError, UsageError
from machine.runtime import secrets
from machine.runtime.clock import Interrupted
from machine.runtime.secrets import Reference, SecretBook, parse_reference
from machine.values import SecretRef, SecretText, encode

TEXT = "s3cret-text"


def ref(encoding: str = "") -> SecretText:
    return SecretText(("<", SecretRef("token", encoding), ">"))


# -- references --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["@env:TOKEN", "@file:/a b", "@cmd:pass show hf", "@prompt", "@env:a:b"])
def test_a_reference_says_where_a_value_comes_from(text: str) -> None:
    assert Reference(text).text == text
    assert parse_reference(text) == Reference(text)


@pytest.mark.parametrize("text", ["", "@", "@env", "@env:", "@file:", "@cmd:", "@prompt:x", "@ENV:X", "env:X", "@x:y"])
def test_anything_else_is_no_reference(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        Reference(text)

    assert "@env:NAME" in caught.value.next


@pytest.mark.parametrize(
    ("given", "meant"), [("plain", "plain"), ("", ""), ("@@plain", "@plain"), ("@@@", "@@"), ("a@b", "a@b")]
)
def test_a_value_that_is_no_reference_is_its_own_text(given: str, meant: str) -> None:
    assert parse_reference(given) == meant


@pytest.fixture
def places(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], str]:
    """A function that fills in the folder of the test; the variable and the file hold the secret."""
    monkeypatch.setenv("TEST_TOKEN", TEXT)
    monkeypatch.setenv("TEST_EMPTY", "")
    monkeypatch.delenv("TEST_NONE", raising=False)
    (tmp_path / "token").write_bytes(TEXT.encode() + b"\r\n\n")
    (tmp_path / "empty").write_bytes(b"\n")
    (tmp_path / "latin").write_bytes(TEXT.encode() + b"\xff")
    return lambda text: text.replace("DIR", str(tmp_path))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("@env:TEST_TOKEN", TEXT),
        ("@file:DIR/token", TEXT),
        ("@cmd:cat 'DIR/token'", TEXT),
        ("@prompt", "typed for token"),
    ],
)
def test_a_reference_gives_its_text_without_the_line_end(places: Callable[[str], str], text: str, found: str) -> None:
    assert Reference(places(text)).resolve("token", prompt=lambda name: f"typed for {name}") == found


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("@env:TEST_NONE", id="variable-not-set"),
        pytest.param("@env:TEST_EMPTY", id="variable-empty"),
        pytest.param("@file:DIR/none", id="no-file"),
        pytest.param("@file:DIR", id="folder"),
        pytest.param("@file:DIR/empty", id="file-empty"),
        pytest.param("@file:DIR/latin", id="file-not-utf-8"),
        pytest.param("@cmd:cat 'DIR/token'; exit 3", id="command-failed"),
        pytest.param("@cmd:true", id="command-silent"),
        pytest.param("@cmd:cat 'DIR/latin'", id="command-not-utf-8"),
        pytest.param("@cmd:cat 'DIR/token'; exec sleep 20", id="command-too-slow"),
        pytest.param("@cmd:cat 'DIR/token'; sleep 3; true", id="command-whose-child-is-too-slow"),
        pytest.param("@prompt", id="nobody-to-ask"),
    ],
)
def test_a_text_that_cannot_be_had_is_an_error_that_does_not_hold_it(
    places: Callable[[str], str], monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setattr(secrets, "_COMMAND_TIMEOUT", 0.2)
    began = time.monotonic()

    with pytest.raises(CredentialError) as caught:
        Reference(places(text)).resolve("token")

    error = caught.value
    assert time.monotonic() - began < 2.0
    assert (error.code, error.exit_code) == ("AZM-C020", 78)
    assert "token" in error.message
    assert error.__cause__ is error.__context__ is None
    assert TEXT not in "".join(traceback.format_exception(error))


@pytest.mark.parametrize(
    ("text", "flag", "why", "advice"),
    [
        ("@env:TEST_UNSET", "", "it is empty or not set", "-i token=@env:VARIABLE"),
        ("@env:TEST_UNSET", "--auth api.key=", "it is empty or not set", "--auth api.key=@env:VARIABLE"),
        ("@file:DIR/none", "", "no such file or directory", "-i token=@env:VARIABLE"),
        ("@file:DIR/latin", "", "it is no text in UTF-8", "-i token=@env:VARIABLE"),
        ("@cmd:exit 3", "--proxy ", "the command failed", "--proxy @env:VARIABLE"),
        ("@prompt", "", "there is nobody to ask", "-i token=@env:VARIABLE"),
    ],
)
def test_a_text_that_cannot_be_had_is_told_with_why_and_where_to_give_it(
    places: Callable[[str], str], text: str, flag: str, why: str, advice: str
) -> None:
    with pytest.raises(CredentialError) as caught:
        Reference(places(text)).resolve("token", flag=flag)

    assert caught.value.message.endswith(f": {why}")
    assert caught.value.next.endswith(f"another reference: {advice}")


def test_a_reference_to_a_command_is_known_by_how_it_begins() -> None:
    assert Reference(f"{secrets.COMMAND}printf called").resolve("token") == "called"


def test_a_command_that_takes_too_long_is_said_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "_COMMAND_TIMEOUT", 0.05)
    with pytest.raises(CredentialError, match="the command took too long"):
        Reference("@cmd:exec sleep 20").resolve("token")


def test_a_file_is_read_whole_or_not_at_all(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_bytes(b"x" * (1 << 20))
    whole = Reference(f"@file:{file}").resolve("token")
    file.write_bytes(b"x" * ((1 << 20) + 1))

    with pytest.raises(CredentialError) as caught:
        Reference(f"@file:{file}").resolve("token")
    assert len(whole) == 1 << 20
    assert "it is larger than 1024 KiB" in caught.value.message


def test_what_is_no_control_character_is_a_secret() -> None:
    book = SecretBook({"token": " \x7e\u0080\ud7ff\ue000"})

    assert book.names == {"token"}
    assert book.join(ref()) == "< \x7e\u0080\ud7ff\ue000>"


def test_a_command_is_not_left_behind_by_a_signal_that_comes_while_it_is_started(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun: list[int] = []

    class Struck(subprocess.Popen[bytes]):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            begun.append(self.pid)
            signal.raise_signal(signal.SIGTERM)

    def stop(signum: int, frame: Any) -> None:
        raise Interrupted(signum)

    monkeypatch.setattr(subprocess, "Popen", Struck)
    before = signal.signal(signal.SIGTERM, stop)
    try:
        with pytest.raises(Interrupted):
            Reference("@cmd:exec sleep 20").resolve("token")

        assert signal.getsignal(signal.SIGTERM) is stop
    finally:
        signal.signal(signal.SIGTERM, before)

    with pytest.raises(ProcessLookupError):
        os.kill(begun[0], 0)


# -- joining -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value", "joined"),
    [
        pytest.param(TEXT, "plain", "plain", id="no-secret"),
        pytest.param(TEXT, ref(), f"<{TEXT}>", id="as-it-is"),
        pytest.param("a b/c?d%e\u00e9", ref("percent"), "<a%20b%2Fc%3Fd%25e%C3%A9>", id="in-a-url"),
        pytest.param("-._~", ref("percent"), "<-._~>", id="unreserved"),
        pytest.param("...", ref("percent"), "<...>", id="three-dots"),
    ],
)
def test_a_secret_is_joined_as_its_place_wants_it(text: str, value: Any, joined: str) -> None:
    assert SecretBook({"token": text}).join(value) == joined


@pytest.mark.parametrize("encoding", ["percent", "json percent"])
@pytest.mark.parametrize("text", [".", "..", "../up", "a/..", "a/./b", "a\\..\\b"])
def test_a_secret_that_would_step_through_a_path_is_refused(text: str, encoding: str) -> None:
    book = SecretBook({"token": text})

    with pytest.raises(RequestError) as caught:
        book.join(ref(encoding))

    assert text not in caught.value.message
    assert book.join(ref()) == f"<{text}>"


def test_every_secret_in_a_body_is_joined() -> None:
    book = SecretBook({"token": TEXT})
    body = {"a": [SecretRef("token"), ref(), 1, None, True], "b": {"c": "plain"}}

    assert book.join_all(body) == {"a": [TEXT, f"<{TEXT}>", 1, None, True], "b": {"c": "plain"}}


def test_a_secret_nobody_knows_is_a_fault_of_ours() -> None:
    with pytest.raises(BugError):
        SecretBook({}).join(ref())


@pytest.mark.parametrize("text", ["a\nb", "a\r", "\x00", "\x1f", "a\x7f", "a\udcffb", "a\ud800", "b\udfff"])
def test_a_secret_that_could_end_a_line_is_refused_and_not_shown(text: str) -> None:
    with pytest.raises(InputError) as caught:
        SecretBook({"good": TEXT, "token": text})

    assert caught.value.code == "AZM-C021"
    assert text not in str(caught.value)


# -- concealing --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "concealed"),
    [
        pytest.param("nothing", "nothing", id="none"),
        pytest.param(TEXT, SecretText((SecretRef("token"),)), id="whole"),
        pytest.param(f"a{TEXT}b", SecretText(("a", SecretRef("token"), "b")), id="inside"),
        pytest.param(f"{TEXT}{TEXT}", SecretText((SecretRef("token"), SecretRef("token"))), id="twice"),
        pytest.param([1, None, True, 2.5], [1, None, True, 2.5], id="no-texts"),
        pytest.param({TEXT: 1}, {"[secret token]": 1}, id="as-a-name"),
        pytest.param({"a": [[TEXT]]}, {"a": [[SecretText((SecretRef("token"),))]]}, id="deep"),
    ],
)
def test_what_is_concealed_names_the_secret_in_its_place(value: Any, concealed: Any) -> None:
    assert SecretBook({"token": TEXT}).conceal(value) == concealed


def test_a_secret_is_concealed_as_it_stands_in_a_url_too() -> None:
    book = SecretBook({"token": "a b+c/d"})

    assert book.conceal("?k=a%20b%2Bc%2Fd&") == SecretText(("?k=", SecretRef("token", "percent"), "&"))


def test_what_was_concealed_joins_to_what_it_was() -> None:
    book = SecretBook({"token": "a b+c/d", "other": "a b+c/d-and-more"})
    text = "a b+c/d a%20b%2Bc%2Fd a b+c/d-and-more"

    assert book.join(book.conceal(text)) == text


def test_of_two_secrets_the_longer_is_concealed_whole() -> None:
    book = SecretBook({"short": "s3cret", "long": "my-s3cret-text"})

    assert book.conceal("my-s3cret-text s3cret") == SecretText((SecretRef("long"), " ", SecretRef("short")))


def test_a_secret_in_another_spelling_flows_on_as_it_was_found() -> None:
    book = SecretBook({"token": "a b/c\u00e9d"})
    found = book.conceal('{"k": "a b/c\\u00e9d"}')
    in_url = SecretText(tuple(part.encoded("percent") for part in found.parts if isinstance(part, SecretRef)))

    assert in_url == SecretText((SecretRef("token", "json percent"),))
    assert book.join(in_url) == "a%20b%2Fc%5Cu00e9d"


def test_a_text_too_short_to_tell_is_not_looked_for() -> None:
    assert SecretBook({"token": "12345"}).conceal("12345") == "12345"
    assert encode(SecretBook({"token": "123456"}).conceal("123456")) == {"$text": [{"$secret": "token"}]}


def test_a_book_shows_names_only() -> None:
    book = SecretBook({"b": TEXT, "a": "another-s3cret"})

    assert repr(book) == str(book) == "SecretBook(a, b)"
