"""A run told to people: its timeline, why it moved, what it would do next, and summaries other programs read.

Made from a plan, a history and a result; nothing here reads a store, sends anything or decides anything.
"""
