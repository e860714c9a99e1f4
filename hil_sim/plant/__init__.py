"""The physics of one heat-exchange station and its buildings.

Rule: a plant never decides; it moves only as its actuators, its weather and its network make it.
"""
