"""What the PLC lets anyone write, and within which limits.

Rule: these are the writable points of config/examples/maps/station-plc-v1.yaml, and the contacts of
a valve without a positioner, no more.
"""

PULSES = frozenset(
    f"{pump}_{command}" for pump in ("XP1", "XP2", "BP1", "BP2") for command in ("start", "stop")
)
CONTACT_TIMES = {"CV1_raise": 1.0, "CV1_lower": -1.0}
"""Where a time in seconds closes a contact of the valve's motor, and which way that goes."""

WRITABLE: dict[str, tuple[float, float]] = {
    "CV1_SV": (0.0, 100.0),
    "XP_SV": (0.0, 50.0),
    "BP_SV": (0.0, 50.0),
    "T2g_SP": (0.0, 100.0),
    "B_Tset": (0.0, 100.0),
    "B_enable": (0.0, 1.0),
    "HB_SCADA": (0.0, 65_535.0),
}
WRITABLE.update({f"FB_x{n}": (-50.0, 50.0) for n in range(1, 9)})
WRITABLE.update({f"FB_y{n}": (0.0, 100.0) for n in range(1, 9)})

# Contacts that nothing in the plant moves; a drill may close them.
CONTACTS = (
    *(f"{pump}_fault" for pump in ("XP1", "XP2", "BP1", "BP2")),
    *("CV1_fault", "GAS", "DOOR", "SMOKE", "FLOOD"),
)
