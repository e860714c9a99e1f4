"""The Unix socket on which the daemon listens: made by us, with its mode, before anybody serves it.

Rule: a socket somebody answers on is never taken away; one that a dead daemon left is.
"""

import grp
import os
import socket
import stat
from pathlib import Path

import structlog

log = structlog.get_logger(__name__)

OPERATORS_GROUP = "heatd-ops"

_MODE = 0o660
_BACKLOG = 32


class SocketInUseError(Exception):
    """Another process answers at the socket's path, or something else lies there."""


def bind_control_socket(path: Path) -> socket.socket:
    """Return a listening Unix socket at `path`, mode 0660, of the operators' group if there is one.

    Raises:
        SocketInUseError: Somebody answers there, it is no socket, or none can be made there.
    """
    _remove_stale(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _bind(listener, path)
        # Until it listens nobody can connect, so nobody slips in before the mode is right.
        path.chmod(_MODE)
        _give_to_operators(path)
        listener.listen(_BACKLOG)
        listener.setblocking(False)  # noqa: FBT003 - the library's signature
    except BaseException:
        listener.close()
        raise
    return listener


def _bind(listener: socket.socket, path: Path) -> None:
    try:
        listener.bind(str(path))
    except OSError as error:
        what = error.strerror or error
        raise SocketInUseError(f"{path}: {what}. Name another folder with --runtime.") from error


def _remove_stale(path: Path) -> None:
    if not path.exists():
        return
    if not stat.S_ISSOCK(path.stat().st_mode):
        raise SocketInUseError(f"{path} is not a socket; move it away, or name another folder")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
            return
        except OSError as error:
            raise SocketInUseError(f"{path} cannot be asked who owns it: {error}") from error
    raise SocketInUseError(f"another heatd answers at {path}; stop it first")


def _give_to_operators(path: Path) -> None:
    try:
        group = grp.getgrnam(OPERATORS_GROUP)
    except KeyError:
        return
    try:
        os.chown(path, -1, group.gr_gid)
    except PermissionError:
        log.warning("control_socket_keeps_its_group", wanted=OPERATORS_GROUP)
