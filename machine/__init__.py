"""arazzo-machine."""
