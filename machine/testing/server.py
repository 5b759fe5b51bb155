"""The simulated service on a loopback port, with a state file so that it outlives the process it runs in.

Makes a running HTTP server from a scenario's name. The state is on disk before an answer leaves, so a simulator that
was killed comes back knowing everything its clients know. Other processes look at it under ``/_simulator``:
GET ``requests`` and ``summary``, POST ``renew-token`` and ``shutdown``.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

from ..errors import UsageError
from .hugging_face import Response, Simulation
from .profiles import Profile, find_profile
from .scenarios import Scenario, find_scenario

if TYPE_CHECKING:
    from pathlib import Path

    from .listener import Listener

__all__ = ["Simulator"]

_FORMAT: Final = "arazzo-machine-simulator/1"
_ADMIN: Final = "/_simulator/"
_LISTENING: Final = 0.02


class Simulator:
    """A simulated Inference Endpoints service; ``with Simulator("happy") as simulator: ... simulator.url``.

    ``scenario`` and ``profile``: a shipped name or a value of one's own. ``port=0``: the port of the state file if it
    is free, else any. ``token``: the only Bearer token accepted; None accepts any. ``state_file``: where the state is
    kept after every request, and continued from if it exists. ``log_file``: one line of JSON is added per request.
    ``renewed``: the token counts as renewed from the start, see ``token-expired-401-mid-poll``.
    UsageError: unknown name (AZM-U701, AZM-U702), a state file of another scenario or profile (AZM-U703) or that is
    no state file (AZM-U704).
    """

    def __init__(
        self,
        scenario: str | Scenario = "happy",
        profile: str | Profile = "published",
        port: int = 0,
        token: str | None = None,
        state_file: Path | None = None,
        log_file: Path | None = None,
        host: str = "127.0.0.1",
        renewed: bool = False,
    ) -> None:
        self._simulation = Simulation(
            scenario=find_scenario(scenario) if isinstance(scenario, str) else scenario,
            profile=find_profile(profile) if isinstance(profile, str) else profile,
            token=token,
            renewed=renewed,
        )
        self._host, self._port, self._fixed = host, port, port != 0
        self._state_file, self._log_file = state_file, log_file
        self._turn = threading.Lock()
        self._life = threading.Lock()
        self._stopped = threading.Event()
        self._listener: Listener | None = None
        if state_file is not None and state_file.exists():
            self._load(state_file)

    def __enter__(self) -> Simulator:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> Simulator:
        """Listen, and answer in the background; after a stop, on the same port. UsageError (AZM-U705): port taken."""
        # Here, not at the top: to know the names of the scenarios must not cost the import of an HTTP server.
        from .listener import Listener

        with self._life:
            if self._listener is not None:
                return self
            try:
                listener = Listener((self._host, self._port), self._answer)
            except OSError as error:
                if self._fixed:
                    raise UsageError(
                        "cannot listen on that port",
                        code="AZM-U705",
                        seen=f"{self._host}:{self._port}: {error.strerror}",
                        next="choose another port, or 0 for any that is free",
                    ) from None
                listener = Listener((self._host, 0), self._answer)
            self._listener, self._port = listener, int(listener.server_address[1])
            self._simulation.base = self.origin
            self._stopped.clear()
            with self._turn:
                self._save()
            threading.Thread(target=listener.serve_forever, args=(_LISTENING,), daemon=True).start()
        return self

    def stop(self) -> None:
        """Stop listening and end all connections; what happened stays readable. Does nothing when not started."""
        with self._life:
            if self._listener is None:
                return
            self._listener.close()
            self._listener = None
            self._stopped.set()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait (in seconds, None: without end) until it is stopped, perhaps by another process; whether it is."""
        return self._stopped.wait(timeout)

    @property
    def origin(self) -> str:
        """Scheme, host and port, without a slash at the end. Only known once started."""
        return f"http://{self._host}:{self._port}"

    @property
    def url(self) -> str:
        """The server URL of the API, what a description's ``servers`` would name."""
        return f"{self.origin}/v2"

    @property
    def requests(self) -> list[dict[str, Any]]:
        """One entry per request, admin calls left out: n, method, path, status (None: reset), body, auth."""
        with self._turn:
            return list(self._simulation.requests)

    @property
    def creates(self) -> int:
        """How many POSTs created an endpoint: more than one per run is what must never happen."""
        with self._turn:
            return self._simulation.creates

    @property
    def create_requests(self) -> int:
        """How many create POSTs came, whatever became of them."""
        with self._turn:
            return self._simulation.create_requests

    def count(self, method: str, path_prefix: str = "") -> int:
        """How many requests of that method came for paths with that prefix (``/v2/...``, ``/health/...``)."""
        with self._turn:
            return self._simulation.count(method, path_prefix)

    def summary(self) -> dict[str, Any]:
        """``{creates, create_requests, polls, endpoints: {"namespace/name": state}}``."""
        with self._turn:
            return self._simulation.summary()

    def renew_token(self) -> None:
        """From now on the token counts as renewed."""
        with self._turn:
            self._simulation.renewed = True
            self._save()

    def _answer(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Response:
        if path.startswith(_ADMIN):
            return self._administer(method, path.removeprefix(_ADMIN))
        with self._turn:
            response = self._simulation.handle(method, path, headers, body)
            self._save()
            if self._log_file is not None:
                with self._log_file.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(self._simulation.requests[-1]) + "\n")
        return response

    def _administer(self, method: str, action: str) -> Response:
        result: Any = {}
        match method, action:
            case "GET", "requests":
                result = self.requests
            case "GET", "summary":
                result = self.summary()
            case "POST", "renew-token":
                self.renew_token()
            case "POST", "shutdown":
                # Stopping waits for the answers on their way, this one included.
                threading.Thread(target=self.stop, daemon=True).start()
            case _:
                return Response(status=404)
        return Response(status=200, headers=(("Content-Type", "application/json"),), body=json.dumps(result).encode())

    def _save(self) -> None:
        if self._state_file is None:
            return
        state = {"format": _FORMAT, "port": self._port, **self._simulation.to_json()}
        part = self._state_file.with_name(self._state_file.name + ".part")
        part.write_text(json.dumps(state), encoding="utf-8")
        os.replace(part, self._state_file)

    def _load(self, file: Path) -> None:
        try:
            state = json.loads(file.read_bytes())
            if state["format"] != _FORMAT:
                raise ValueError("another format")
            self._simulation.restore(state)
            self._port = self._port or int(state["port"])
        except (KeyError, TypeError, ValueError, RecursionError):
            raise UsageError(
                "that file is not the state of a simulator",
                code="AZM-U704",
                seen=str(file),
                next="name another file, or remove this one to start afresh",
            ) from None
