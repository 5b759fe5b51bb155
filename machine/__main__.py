"""``python -m machine`` is ``arazzo-machine``."""

from .cli.app import main

main()
