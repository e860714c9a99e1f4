"""What the daemon says of itself: one JSON object a line, or words on a terminal.

Rule: times come from the daemon's clock, local variables never appear, secrets are starred out.
"""

import logging
import sys
from collections.abc import Mapping, MutableMapping
from contextlib import suppress
from typing import Any, TextIO

import structlog

from core.clock import Clock

_SECRETS = ("password", "passwd", "secret", "token", "authorization", "credential", "api_key")
_DEPTH_MAX = 6
# These libraries repeat every frame or every connection; what matters of it we say ourselves.
_QUIET = {
    "pymodbus": logging.CRITICAL,
    "asyncua": logging.WARNING,
    "apscheduler": logging.WARNING,
    "uvicorn": logging.WARNING,
    "alembic": logging.WARNING,
    "asyncio": logging.WARNING,
}


def configure(clock: Clock, stream: TextIO = sys.stdout, *, level: str = "INFO") -> None:
    """Send everything that this process says, our libraries included, to `stream`.

    Args:
        clock: Gives the time stamps.
        stream: Where to; a terminal gets words, anything else JSON.
        level: The least level that is said.
    """
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        _Stamp(clock),
        redact,
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        # A cached logger would keep the clock of the first daemon of this process.
        cache_logger_on_first_use=False,
    )
    out = logging.StreamHandler(stream)
    out.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_renderers(is_terminal=stream.isatty()),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [out]
    root.setLevel(level)
    for name, least in _QUIET.items():
        logging.getLogger(name).setLevel(least)


def redact(_logger: object, _name: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """Star out the values of keys that sound like secrets, however deep they lie."""
    for key, value in event.items():
        event[key] = _redacted(key, value, _DEPTH_MAX)
    return event


def _redacted(key: object, value: object, depth: int) -> object:
    if isinstance(key, str) and any(word in key.lower() for word in _SECRETS):
        return "***"
    if depth == 0:
        return value
    if isinstance(value, Mapping):
        return {name: _redacted(name, item, depth - 1) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_redacted("", item, depth - 1) for item in value]
    return value


class _Stamp:
    """Adds the clock's time; a thread without a loop gets the last time that the clock told."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last = ""

    def __call__(
        self, _logger: object, _name: str, event: MutableMapping[str, Any]
    ) -> Mapping[str, Any]:
        with suppress(RuntimeError):  # a clock that follows a loop, asked outside of it
            self._last = self._clock.now().utc.isoformat(timespec="milliseconds")
        event["timestamp"] = self._last
        return event


def _renderers(*, is_terminal: bool) -> list[structlog.typing.Processor]:
    if is_terminal:
        return [
            structlog.dev.ConsoleRenderer(
                colors=True, exception_formatter=structlog.dev.plain_traceback
            )
        ]
    # The default transformer prints local variables, and with them whatever they hold.
    transformer = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
    return [
        structlog.processors.ExceptionRenderer(transformer),
        structlog.processors.JSONRenderer(ensure_ascii=False, default=str),
    ]
