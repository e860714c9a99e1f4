"""What engineers write about their stations: read, checked and turned into the objects that run.

Rule: a configuration is taken whole or not at all, and every problem names file, line and column.
"""
