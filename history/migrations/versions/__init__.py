"""The revisions, oldest first.

Rule: a revision spells its tables out and never imports `history.schema`, which moves on.
"""
