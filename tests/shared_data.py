"""Measurements and stations of others, which lie beside the repository and are not part of it."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def shared_data(name: str) -> Path:
    """Return a file of shared/data, or stand aside and say so where it is not at hand."""
    named = os.environ.get("HEATD_SHARED")
    places = [Path(named)] if named else [ROOT.parent / "shared", ROOT.parent.parent / "shared"]
    for place in places:
        if (path := place / "data" / name).is_file():
            return path
    pytest.skip(f"no shared/data/{name} beside the repository (or set HEATD_SHARED)")
