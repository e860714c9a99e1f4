"""Alarms in the manner of ISA-18.2: conditions, the life of one alarm, and a station's table.

Rule: everything here is pure; an alarm sees the plant only through the facts of one frozen scan.
"""
