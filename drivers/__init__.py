"""How heatd reaches the PLCs of a station: one library per protocol, made reliable in one place.

Rule: only `link` is called by a scan; a driver itself may fail, and says so with a `DriverError`.
"""
