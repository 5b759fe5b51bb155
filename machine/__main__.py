"""``python -m machine`` is ``arazzo-machine``."""

from .cli.app import main

if __name__ == "__main__":
    main()
