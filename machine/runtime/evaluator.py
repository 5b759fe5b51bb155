"""Question -> Answer, within bounds: what the pure core asks for is computed here, and can neither hang nor eat a host.

A pattern is matched in this process, by a library that stops at a time limit; ``expressions/pattern.py`` has bounded
its size. XPath and JSONPath with patterns in it have no such limit, so they are answered by a process of their own: one
that is started when it is first needed, may use only so much memory, is killed by the kernel once an answer has cost it
so much computing, and is replaced by the next question. What could not be answered is an Answer with a problem.

``python -m machine.runtime.evaluator`` is that process: a question a line on standard input, an answer a line on
standard output. It is given nothing else, and no secret is ever part of a question.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import weakref
from typing import IO, Any, Final

from ..expressions.pattern import search
from ..expressions.query import answer_jsonpath
from ..expressions.question import Answer, Question
from ..expressions.verdict import clip

__all__ = ["Evaluator"]

PATTERN_SECONDS: Final = 0.5
"""Of computing, for one pattern."""
QUERY_SECONDS: Final = 2.0
"""Of computing, for one query in a process of its own."""
PATIENCE: Final = 60.0
"""Seconds of any kind, its start included, after which that process is given up: a host may be busy with others."""
MEMORY: Final = 1 << 30
"""Bytes of address space of that process."""
LARGEST: Final = 4 << 20
"""Bytes of one answer."""

_ENVIRONMENT: Final = ("PATH", "PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "LANG", "LC_ALL")
"""What that process needs to start. Everything else stays here: a token is usually a variable too."""


class Evaluator:
    """Answers questions. Made freely: it holds a process only once one was needed, until it is closed or forgotten."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._end: weakref.finalize[Any, Any] | None = None

    def __call__(self, question: Question) -> Answer:
        if question.language == "regex":
            return _matched(question)
        return self._asked(question)

    def close(self) -> None:
        """End the process, if there is one. The next question starts another."""
        self._process = None
        if self._end is not None:
            self._end()

    def _asked(self, question: Question) -> Answer:
        line = json.dumps(question.to_json(), ensure_ascii=True).encode() + b"\n"
        try:
            process = self._started()
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(line)
            process.stdin.flush()
            reply = _line(process.stdout)
        except OSError as error:
            self.close()
            return Answer(problem=f"the process that answers cannot be used: {error.strerror or error}")
        if reply is None:
            ended = _code(process)
            self.close()
            if ended == -signal.SIGPROF:
                return Answer(problem=f"it took more than {QUERY_SECONDS:g} s of computing")
            return Answer(problem="it took too much time or memory")
        return Answer.from_json(json.loads(reply))

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self.close()
            # -P: nothing is imported from the folder a command happens to be typed in. A session of its own: an
            # interrupt from the keyboard is for the runner, which ends this process itself.
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", __name__],
                env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            self._end = weakref.finalize(self, _end, self._process)
        return self._process


def _matched(question: Question) -> Answer:
    try:
        return Answer(value=search(question.expression, question.version, question.subject, PATTERN_SECONDS))
    except TimeoutError:
        return Answer(problem=f"matching took more than {PATTERN_SECONDS:g} s")
    except ValueError as error:
        return Answer(problem=f"with its values it is no regular expression: {error}")


def _line(stream: IO[bytes]) -> bytes | None:
    """One line of an unread pipe; None when the process ended, took too long, or says too much."""
    waited = select.poll()
    waited.register(stream, select.POLLIN)
    read = b""
    while len(read) <= LARGEST and waited.poll(PATIENCE * 1000):
        piece: bytes = stream.read1(1 << 16)  # type: ignore[attr-defined]  # a pipe of Popen is buffered
        read += piece
        if read.endswith(b"\n"):
            return read
        if not piece:
            break
    return None


def _code(process: subprocess.Popen[bytes]) -> int | None:
    """How a process ended that has closed its output; None when it has not ended."""
    try:
        return process.wait(timeout=1.0)
    except subprocess.TimeoutExpired:
        return None


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with contextlib.suppress(OSError):  # what was never written is of no use to a process that is gone
                stream.close()
    process.wait()


def _answer(question: Question) -> Answer:
    """Answer without bounds; only the process of ``main`` does that."""
    if question.language == "jsonpath":
        return answer_jsonpath(question)
    try:
        from ..expressions.xml import answer_xpath

        return answer_xpath(question)
    except ImportError:
        return Answer(problem="XPath needs the extra arazzo-machine[xml], which is not installed")


def main() -> None:
    """Answer question after question, each within its computing time."""
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for line in sys.stdin.buffer:
        data = json.loads(line)
        question = Question(**{**data, "variables": tuple((name, value) for name, value in data["variables"])})
        # The kernel ends the process: no library in between can hold the signal up.
        signal.setitimer(signal.ITIMER_PROF, QUERY_SECONDS)
        try:
            answer = _answer(question)
        except (MemoryError, RecursionError) as error:
            answer = Answer(problem=f"it took too much: {type(error).__name__}")
        except Exception as error:  # a fault of a library over a hostile query is an answer too
            answer = Answer(problem=clip(f"{type(error).__name__}: {error}", 160))
        signal.setitimer(signal.ITIMER_PROF, 0)
        sys.stdout.write(json.dumps(answer.to_json()) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
