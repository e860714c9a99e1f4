"""How heatd proves to a device or a broker who it is.

Rule: a configuration names where a secret is kept; the secret itself never stands in it, in a log
or in an error.
"""

import os
import stat
from pathlib import Path
from typing import Annotated

from annotated_types import MinLen

from core.parameters import parameters


@parameters
class Login:
    """A user name and the place of its password: a file or an environment variable, not both.

    Attributes:
        name: User name.
        password_file: Whole path of a file that holds the password and nothing else.
        password_env: Name of the environment variable that holds it.
    """

    name: Annotated[str, MinLen(1)]
    password_file: Annotated[str, MinLen(1)] | None = None
    password_env: Annotated[str, MinLen(1)] | None = None


@parameters
class KeyPair:
    """A certificate and its private key: whole paths of files."""

    certificate: Annotated[str, MinLen(1)]
    key: Annotated[str, MinLen(1)]


class CredentialError(Exception):
    """A password, certificate or key is of no use.

    Args:
        what: What is wrong, and never the secret itself.
        remedy: What a person can do about it.
    """

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(f"{what}; {remedy}")
        self.what = what
        self.remedy = remedy


def read_password(login: Login) -> str:
    """Return the password of a login.

    Raises:
        CredentialError: There is none, or everybody on this machine may read it.
    """
    if login.password_file is None:
        name = login.password_env or ""
        found = os.environ.get(name, "")
        if not found:
            raise CredentialError(f"the environment has no {name}", "give it to the service")
        return found
    text = read_credential(login.password_file, is_secret=True).decode(errors="replace")
    password = text.strip("\r\n")
    if not password:
        raise CredentialError(f"{login.password_file} is empty", "write the password into it")
    return password


def read_credential(path: str, *, is_secret: bool) -> bytes:
    """Return the content of a small file.

    Args:
        path: The file.
        is_secret: Refuse one that everybody on this machine may read.

    Raises:
        CredentialError: It cannot be read, or is open to all.
    """
    try:
        with Path(path).open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            if is_secret and mode & stat.S_IROTH:
                raise CredentialError(f"everybody may read {path}", f"chmod 640 {path}")
            return file.read()
    except OSError as error:
        what = f"{path} cannot be read: {error.strerror}"
        raise CredentialError(what, "correct its path or its rights") from error
