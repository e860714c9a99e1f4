"""Where the simulator's processes meet: the folder of a running demo, and its fault sockets.

Rule: one demo a user at a time; its folder is readable by that user alone.
"""

import json
import os
import socket
import tempfile
from pathlib import Path
from typing import Any

_ANSWER_S = 5.0
_ANSWER_BYTES_MAX = 65536


class NoDemo(Exception):  # noqa: N818 - it reads as the claim it makes
    """No simulated station of that name runs; the text says which do and what to start."""


def runtime_dir() -> Path:
    """Return the folder where a running demo keeps its sockets; it need not exist."""
    base = os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()
    return Path(base) / f"heatd-demo-{os.getuid()}"


def fault_door(station: str, folder: Path | None = None) -> Path:
    """Return the path of a simulated station's fault socket."""
    return (folder or runtime_dir()) / f"sim-{station}.sock"


def ask(station: str, request: dict[str, Any]) -> dict[str, Any]:
    """Send a request to a simulated station and return its answer.

    Raises:
        NoDemo: Nobody answers.
    """
    path = fault_door(station)
    try:
        with socket.socket(socket.AF_UNIX) as door:
            door.settimeout(_ANSWER_S)
            door.connect(str(path))
            door.sendall((json.dumps(request) + "\n").encode())
            answer = door.makefile("rb").readline(_ANSWER_BYTES_MAX)
        found: dict[str, Any] = json.loads(answer)
    except (OSError, ValueError) as error:
        running = sorted(p.stem.removeprefix("sim-") for p in runtime_dir().glob("sim-*.sock"))
        listed = f"these run: {', '.join(running)}" if running else "start `./run demo` first"
        raise NoDemo(f"no simulated station {station} answers; {listed}") from error
    return found
