"""The bench of polling: how much of a machine it takes to read, decide and keep many points."""
