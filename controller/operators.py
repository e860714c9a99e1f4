"""Who gave a command: the name that the audit keeps.

Rule: the kernel says which account asks; only root may claim a name, and it is marked unverified.
"""

import re

from controller.preview import Cause, Refusal

_CLAIMED_NAME = re.compile(r"(?! )[\w.@ -]{1,32}(?<! )")


def name_operator(uid: int, account: str, claimed: str) -> str | Refusal:
    """Return the name under which a peer's commands are recorded.

    Args:
        uid: The peer's user id, as the kernel tells it.
        account: The account's name, empty where the machine knows none.
        claimed: The name that the peer gives itself (--as); only root may, and must.
    """
    if uid != 0:
        if claimed and claimed != account:
            return Refusal(
                Cause.FORBIDDEN,
                f"Only root may say --as; you are {account or f'uid {uid}'}.",
                "Leave --as out.",
            )
        return account or f"uid {uid}"
    if not claimed:
        return Refusal(
            Cause.FORBIDDEN,
            "root is nobody in particular: the audit needs a person's name.",
            "Say who you are with --as NAME, or use your own account.",
        )
    if _CLAIMED_NAME.fullmatch(claimed) is None:
        return Refusal(
            Cause.INVALID,
            "That is not a name.",
            "Give --as 1 to 32 letters, digits, dots, dashes, @, or blanks between them.",
        )
    return f"{claimed} (unverified, uid 0)"
