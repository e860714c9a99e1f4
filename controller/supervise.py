"""Keeps what stands beside the control going: a task that fails says so and starts again.

Rule: a bug in a door, in the calendar or in the journal's writer never stops a station.
"""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

log = structlog.get_logger(__name__)

AGAIN_S = 5.0


async def keep_going(
    name: str, run: Callable[[], Awaitable[None]], *, fatal: type[Exception] | None = None
) -> None:
    """Await `run` until it ends by itself; after an exception start it again.

    Args:
        name: What it is, for the log.
        run: Starts it; called again after each failure.
        fatal: What no second try can mend; it is raised.
    """
    while True:
        try:
            await run()
        except Exception as error:
            if fatal is not None and isinstance(error, fatal):
                raise
            log.exception("task_failed", task=name, again_s=AGAIN_S)
            await asyncio.sleep(AGAIN_S)
        else:
            return
