"""Simulated services for trying a workflow without the real one: nothing here calls out or costs money."""
