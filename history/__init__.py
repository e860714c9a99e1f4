"""The station's memory: a journal in SQLite that loses no event, and a reader that cannot hurt it.

Rule: only this package knows SQLAlchemy, and one process writes one journal.
"""
