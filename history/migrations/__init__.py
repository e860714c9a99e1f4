"""How a journal of an older heatd becomes one of today, run by `history.journal.migrate`.

Rule: a revision that was released never changes again.
"""
