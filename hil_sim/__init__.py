"""The simulated world: plant, PLCs and network, in virtual time or on a faster clock."""
