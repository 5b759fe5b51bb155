"""Where the command begins: ``arazzo-machine``, and ``python -m machine``.

Before anything else is loaded, which takes longer than all else that can happen before a command is read, it listens:
a signal that comes meanwhile is remembered, and answered as soon as there is somebody to answer it.
"""

import sys

try:
    import signal
except KeyboardInterrupt:
    sys.exit(130)

heard: list[int] = []
"""The signals that came before the command line was ready, in order."""


def _listen() -> None:
    for one in (signal.SIGINT, signal.SIGTERM):
        signal.signal(one, lambda signum, frame: heard.append(signum))


def main() -> None:
    """Run the command of this process, and exit with its code."""
    _listen()
    from .cli.app import main as run

    run(heard=heard)


if __name__ == "__main__":
    main()
