"""The benchmark of the control: the same weeks, the same plant, several controllers, one bound."""
