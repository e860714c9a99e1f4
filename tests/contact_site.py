"""The example's station with a valve that is moved by a raise and a lower contact."""

import shutil
from pathlib import Path

EXAMPLES = Path(__file__).parents[1] / "config" / "examples"
_TIMES = "{at: holding %d, type: f32, unit: s, range: 0..10, write: pulse}"
CONTACTS = f"CV1_SV: null, CV1_raise: {_TIMES % 84}, CV1_lower: {_TIMES % 86}"
THREE_STEP = "{pulse_min: 0.5 s, backlash: 0.9 s}"


def write_site(folder: Path, *, points: str = CONTACTS, valve: str = "") -> Path:
    """Write the example's site with other points and another valve in st-01; return its folder.

    Args:
        folder: An empty folder.
        points: What the station lays over the points of its map.
        valve: What it lays over its valve; by default the contacts alone.
    """
    site = folder / "site"
    shutil.copytree(EXAMPLES, site)
    if "CV1_U: null" in points:
        template = site / "templates" / "one-circuit-v1.yaml"
        text = template.read_text(encoding="utf-8")
        template.write_text(text.replace(", CV1_U", ""), encoding="utf-8")
    file = site / "stations" / "st-01.yaml"
    text = file.read_text(encoding="utf-8")
    text = text.replace("    scan: 5 s\n", f"    scan: 5 s\n    points: {{{points}}}\n", 1)
    valve = valve or f"{{three_step: {THREE_STEP}}}"
    text = text.replace("    emitter: radiator ", f"    valve: {valve}\n    emitter: radiator ", 1)
    file.write_text(text, encoding="utf-8")
    return site
