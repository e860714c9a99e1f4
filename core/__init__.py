"""The vocabulary that every other package speaks: time, points, images, records, commands.

Rule: standard library and annotated_types only, and no input or output of any kind.
"""
