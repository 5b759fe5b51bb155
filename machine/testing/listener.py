"""HTTP/1.1 on a socket for one function from request to response, with the ways a connection can end badly.

Makes bytes on the wire from a Response: headers and body in one write, the connection kept open, cut or reset. It
prints nothing, whatever a client does, and its threads never keep a process alive.
"""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any, Final, TypeAlias

from .hugging_face import Response

__all__ = ["Answer", "Listener"]

Answer: TypeAlias = Callable[[str, str, Mapping[str, str], bytes], Response]
"""method, path with query, headers, body -> response; called from several threads at once."""

_LARGEST_BODY: Final = 1 << 20
_PATIENCE: Final = 1.0
_NO_LINGER: Final = struct.pack("ii", 1, 0)


class Listener(ThreadingHTTPServer):
    """Bound when made, OSError if the address is taken; ``serve_forever`` answers, ``close`` ends all connections."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], answer: Answer) -> None:
        self.answer = answer
        self.closing = threading.Event()
        self._open: dict[threading.Thread, socket.socket] = {}
        self._turn = threading.Lock()
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        # The base class asks the resolver for the name of the host; nobody needs it, and it can take seconds.
        TCPServer.server_bind(self)

    def process_request(self, request: Any, client_address: Any) -> None:
        """One thread per connection, remembered until the connection ends."""
        thread = threading.Thread(target=self.process_request_thread, args=(request, client_address), daemon=True)
        with self._turn:
            self._open[thread] = request
        thread.start()

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self._turn:
                self._open.pop(threading.current_thread(), None)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is not worth a word; the connection is closed by the caller."""

    def close(self) -> None:
        """Stop listening and end every connection, after the answer that is on its way, if any."""
        self.closing.set()
        self.shutdown()
        self.server_close()
        with self._turn:
            still_open = dict(self._open)
        for connection in still_open.values():
            try:
                connection.shutdown(socket.SHUT_RD)
            except OSError:
                continue
        for thread in still_open:
            thread.join(_PATIENCE)


class _Handler(BaseHTTPRequestHandler):
    server: Listener
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is printed."""

    def _exchange(self) -> None:
        body = self._body()
        if body is None:
            return
        # RFC 9110 section 5.3: fields of one name are one field, its values joined by commas.
        headers = {name: ", ".join(self.headers.get_all(name, ())) for name in self.headers}
        response = self.server.answer(self.command, self.path, headers, body)
        if response.delay:
            self.server.closing.wait(response.delay)
        if response.cut == "reset":
            self._reset()
        else:
            self._send(response)

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = _exchange

    def _body(self) -> bytes | None:
        """The request body; None after answering for a body that cannot be read."""
        length = self.headers.get("Content-Length", "0")
        if "Transfer-Encoding" in self.headers:
            refusal = HTTPStatus.LENGTH_REQUIRED
        elif not (length.isascii() and length.isdigit()):
            refusal = HTTPStatus.BAD_REQUEST
        elif len(length) > 9 or int(length) > _LARGEST_BODY:
            refusal = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        else:
            body = self.rfile.read(int(length))
            if len(body) == int(length):
                return body
            self.close_connection = True
            return None
        self.close_connection = True
        self._send(Response(status=refusal))
        return None

    def _send(self, response: Response) -> None:
        try:
            reason = HTTPStatus(response.status).phrase
        except ValueError:
            reason = ""
        # RFC 9110 section 6.4.1: these two statuses never come with content.
        body = b"" if response.status in {204, 304} else response.body
        if response.cut == "truncate":
            self.close_connection = True
        lines = [f"HTTP/1.1 {response.status} {reason}", *(f"{name}: {value}" for name, value in response.headers)]
        if response.status not in {204, 304}:
            lines.append(f"Content-Length: {len(body)}")
        if self.close_connection:
            lines.append("Connection: close")
        head = "\r\n".join([*lines, "", ""]).encode("latin-1")
        # One write: two small ones would wait for each other's acknowledgement.
        self.wfile.write(head + (body[: len(body) // 2] if response.cut == "truncate" else body))

    def _reset(self) -> None:
        """Close so that the other side gets a TCP reset: no lingering, and no one left who holds the socket."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        self.rfile.close()
        self.connection.close()
