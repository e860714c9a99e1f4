"""What stands before the HTTP application: bounds in bytes and in seconds, for every request.

Rule: a body is read whole before anybody looks at it, and never more of it than the bound.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from functools import partial
from typing import Any

BODY_BYTES_MAX = 64 * 1024
BODY_S_MAX = 5.0
SEND_S_MAX = 30.0
"""A reader that takes nothing for so long is cut off."""

# The interface that the ASGI specification (version 3) gives applications and servers.
Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


class Doorkeeper:
    """An ASGI application that guards another one.

    The server must give `hang_up` in the state of the scope: it drops the connection at once.
    """

    def __init__(self, app: Application) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        send = partial(_send_in_time, send, scope["state"]["hang_up"])
        if scope["method"] in {"GET", "HEAD"}:
            await self._app(scope, receive, send)
            return
        try:
            async with asyncio.timeout(BODY_S_MAX):
                body = await _read_body(receive)
        except TimeoutError:
            await _refuse(send, 408, "The request took too long.", "Send it again.")
            return
        if body is None:
            await _refuse(send, 413, f"A request has at most {BODY_BYTES_MAX} bytes.", "Send less.")
            return
        messages: Iterator[Message] = iter(({"type": "http.request", "body": body},))

        async def receive_again() -> Message:
            return next(messages, None) or await receive()

        await self._app(scope, receive_again, send)


async def _read_body(receive: Receive) -> bytes | None:
    """Return the whole body, None where it is too long."""
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > BODY_BYTES_MAX:
            return None
        if not message.get("more_body", False):
            return bytes(body)


async def _send_in_time(send: Send, hang_up: Callable[[], None], message: Message) -> None:
    limit = asyncio.get_running_loop().call_later(SEND_S_MAX, hang_up)
    try:
        await send(message)
    finally:
        limit.cancel()


async def _refuse(send: Send, code: int, sentence: str, next_step: str) -> None:
    """Answer with a problem, and close: the rest of the request is not wanted."""
    problem = {"cause": str(code), "sentence": sentence, "next_step": next_step}
    headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": code, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(problem).encode()})
