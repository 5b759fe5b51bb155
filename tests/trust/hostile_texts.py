"""Texts that some program somewhere would run, follow, obey or choke on: what hostile documents are made of."""

from __future__ import annotations

from typing import Final

__all__ = ["CODE", "NAMES", "PATTERNS", "URLS"]

CODE: Final = (
    "__import__('os').system('touch PWNED')",
    "eval(\"open('PWNED','w')\")",
    "exec('import os')",
    "().__class__.__bases__[0].__subclasses__()",
    "$response.body.__class__.__mro__",
    "{{7*7}}",
    "${7*7}",
    "#{7*7}",
    "<%= 7*7 %>",
    "{%for x in y%}",
    "'; DROP TABLE runs; --",
    "$(touch PWNED)",
    "`touch PWNED`",
    "| touch PWNED",
    "; touch PWNED #",
    "!!python/object/apply:os.system ['touch PWNED']",
    "lambda: open('PWNED', 'w')",
    "[x for x in ().__class__.__bases__]",
    "f'{open(\"PWNED\")}'",
    "getattr(object, '__subclasses__')",
    "globals()['__builtins__']",
    "this.constructor.constructor('return process')()",
    "require('child_process').exec('touch PWNED')",
    "process.mainModule.require('fs')",
    "$where: function() { return true }",
    "@import url(file:///etc/passwd)",
    "%s%s%s%n",
    "{0.__class__}",
    "{response.__init__.__globals__}",
    "\\u0065val('1')",
    "true; open('PWNED')",
    "$statusCode == 200 or __import__('os')",
    "$statusCode == 200 && open('PWNED', 'w')",
    "$.a[?(@.b.__class__)]",
    "$..[?(@.a == eval('1'))]",
    "$[?@.a == __import__('os')]",
    "$[(@.length-1)]",
    "$.a[?search(@.b, '(a+)+$')]",
    "<!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><x>&e;</x>",
    "document('file:///etc/passwd')",
    "(?{ system('touch PWNED') })",
    "(?P<x>(a+)+)$",
    "xp_cmdshell('dir')",
    "\x00\x1b]0;owned\x07",
    "../../../../etc/passwd",
    "file:///etc/passwd",
    "http://169.254.169.254/latest/meta-data/",
    "pickle.loads(b'')",
    "yaml.load('!!python/object')",
    "sys.exit(0)",
)
"""Fifty texts that some program somewhere would run, follow or obey."""

SPOTS: Final = ("simple", "jsonpath", "payload", "output")
"""Where each of them is put."""

PATTERNS: Final = (
    *("^(a+)+$", "^(a|aa)+$", "^(a|a?)+$", "(.*a){30}", "^(\\w+\\s?)*$", "^([a-z]+)*$", "(a*)*b", "(a+){10}c"),
    *("^(([a-z])+.)+[A-Z]([a-z])+$", "(?=(a+))\\1*b", "(a?){30}a{30}", "(x+x+)+y", "^(?:a|b|ab)*c", "(a|b|ab)*?c$"),
    *(
        "(" * 5000,
        "[" * 5000,
        "(?<=a{9999})",
        "a{99999}",
        "(a{1000}){1000}",
        "(?#" * 999,
        "\\" * 4001,
        "(?R)",
        "(?P<a>a)" * 99,
    ),
)
"""Patterns that cost some library an eternity, or make it fall over."""

NAMES: Final = (
    *(
        "send",
        "states",
        "model",
        "__init__",
        "__class__",
        "configuration",
        "current_state",
        "name",
        "id",
        "add_listener",
    ),
    *(
        "class",
        "def",
        "None",
        "True",
        "self",
        "e_replied",
        "s_0",
        "Chart",
        "type",
        "\u202e",
        "a b",
        "a\nb",
        "",
        " ",
        "\x00",
    ),
    *(
        "../..",
        "$steps",
        "$inputs.x",
        "{x}",
        "x" * 5000,
        "\U0001f600",
        "\ud7ff",
        "'",
        '"',
        "\\",
        "%s",
        "<b>",
        "in_doubt",
    ),
    *("failed", "ready", "completed", "polling", "starting", "created", "[*]", "end", "note", "subgraph", "digraph"),
)
"""Names of steps that mean something to Python, to a state machine library, or to what draws."""

URLS: Final = (
    *("file:///etc/passwd", "/etc/passwd", "../../../../../../etc/passwd", "..%2f..%2fetc%2fpasswd", "/dev/zero"),
    *(
        "file:/etc/passwd",
        "file://localhost/etc/passwd",
        "FILE:///etc/passwd",
        "file:///proc/self/environ",
        "/dev/stdin",
    ),
    *(
        "/proc/self/environ",
        "./../../secret.yaml",
        "a/../../../secret.yaml",
        "../../secret.yaml/.",
        "link.yaml",
        "pipe",
        "folder",
    ),
    *("http://127.0.0.1/a.yaml", "http://localhost/a.yaml", "http://169.254.169.254/latest/", "http://[::1]/a.yaml"),
    *(
        "http://2130706433/",
        "http://0x7f000001/",
        "http://0177.0.0.1/",
        "http://127.1/",
        "http://0/",
        "http://0.0.0.0/",
    ),
    *("http://[::ffff:127.0.0.1]/", "http://[::ffff:7f00:1]/", "http://user@127.0.0.1/", "http://a.com@127.0.0.1/"),
    *("http://127.0.0.1:22/", "http://127.0.0.1#a.com/", "http://a.com\\@127.0.0.1/", "http://127.0.0.1%00.a.com/"),
    *("http://10.0.0.1/", "http://192.168.0.1/", "http://172.16.0.1/", "http://100.64.0.1/", "http://[fe80::1]/"),
    *(
        "http://metadata.google.internal/",
        "http://localtest.me/",
        "http://127.0.0.1.nip.io/",
        "http://[fd00:ec2::254]/",
    ),
    *(
        "https://example.com/a.yaml",
        "//example.com/a.yaml",
        "ftp://example.com/a",
        "gopher://127.0.0.1:25/",
        "dict://a",
    ),
    *(
        "data:text/yaml,openapi: 3.1.0",
        "javascript:alert(1)",
        "jar:file:///a!/b",
        "\\\\host\\share\\a.yaml",
        "C:\\a.yaml",
    ),
    *("http://127.0.0.1\r\nX: y/", "", " ", "\x00", "a\x00.yaml", "~/.netrc", "${HOME}/a", "$(id)", "`id`"),
)
"""More than sixty addresses of a source description that lead out of the document's folder, or nowhere."""
