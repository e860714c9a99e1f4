"""How a station is controlled: loops, limits, pumps, sources and interlocks as pure steps.

Rule: every function takes tuning, state, inputs and the time since the previous scan, and returns
a result and the next state; nothing here reads a clock, waits or remembers.
"""
