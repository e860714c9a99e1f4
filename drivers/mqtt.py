"""A connection to an MQTT broker that is made anew after each failure, and hands on what comes.

Rule: this is the only home of aiomqtt; a client is used for one connection, and nothing is ever
published.
"""

import asyncio
import logging
import random
import ssl
from collections.abc import Callable, Mapping

import aiomqtt
import structlog

from core.clock import Clock, Instant
from drivers.collector import FlatBoard
from drivers.collector_settings import MqttBroker, subscription
from drivers.credentials import CredentialError, read_password

_BACKOFF_S_MIN = 0.5
_BACKOFF_S_MAX = 8.0
_JITTER = 0.2
_UNTRUSTED_S = 60.0
_TIMEOUT_S = 5.0
QUEUED_MAX = 1000
"""Messages that wait for us; what comes beyond them is lost, and the flat reports again."""
_QOS = 1
_REFUSALS = frozenset({4, 5, 134, 135})
"""Return codes of MQTT 3.1.1 and 5 for a wrong name, password or right."""

# A flood is counted by what comes through it, and not told line by line.
logging.getLogger("mqtt").setLevel(logging.CRITICAL)
_log = structlog.get_logger()


class MqttCollector:
    """Keeps a board up to date from one broker, for as long as it runs.

    Args:
        name: Name of the collector, for logs.
        settings: The broker.
        board: Where messages go.
        clock: When they came.
        rng: Spreads the attempts of many daemons.
        others: Who takes the messages of single topics that are no flat's.
    """

    def __init__(
        self,
        name: str,
        settings: MqttBroker,
        board: FlatBoard,
        *,
        clock: Clock,
        rng: random.Random,
        others: Mapping[str, Callable[[bytes, Instant], None]] | None = None,
    ) -> None:
        self._name = name
        self._settings = settings
        self._board = board
        self._clock = clock
        self._rng = rng
        self._others = others or {}
        self._lost_s: float | None = None
        self._backoff_s = _BACKOFF_S_MIN

    async def run(self) -> None:
        """Listen until cancelled."""
        try:
            while True:
                wait_s = await self._listen_once()
                await asyncio.sleep(wait_s * self._rng.uniform(1 - _JITTER, 1 + _JITTER))
        finally:
            self._board.is_up = False

    async def _listen_once(self) -> float:
        """Listen until the connection ends, and return how long to wait before the next one, s."""
        wait_s = 0.0
        try:
            async with self._client() as client:
                wanted = [subscription(pattern) for pattern in self._settings.topics]
                for topic in (*wanted, *self._others):
                    await client.subscribe(topic, qos=_QOS, timeout=_TIMEOUT_S)
                self._came_back()
                async for message in client.messages:
                    self._take(message)
            error = "the broker closed the connection"
        except CredentialError as refusal:
            error, wait_s = f"security rejected: {refusal}", _UNTRUSTED_S
        except (aiomqtt.MqttError, OSError) as failure:
            error = str(failure) or type(failure).__name__
            if _is_refusal(failure):
                error, wait_s = f"security rejected: {error}", _UNTRUSTED_S
        self._went(error)
        if wait_s == 0.0:
            wait_s, self._backoff_s = self._backoff_s, min(2 * self._backoff_s, _BACKOFF_S_MAX)
        return wait_s

    def _client(self) -> aiomqtt.Client:
        settings = self._settings
        user = settings.user
        return aiomqtt.Client(
            settings.host,
            settings.port,
            username=None if user is None else user.name,
            password=None if user is None else read_password(user),
            identifier=settings.client_id,
            clean_session=True,
            keepalive=round(settings.keepalive_s),
            timeout=_TIMEOUT_S,
            tls_context=_tls_context(settings),
            max_queued_incoming_messages=QUEUED_MAX,
        )

    def _take(self, message: aiomqtt.Message) -> None:
        payload = message.payload
        if isinstance(payload, str):
            payload = payload.encode()
        data = bytes(payload) if isinstance(payload, (bytes, bytearray)) else b""
        topic, now = str(message.topic), self._clock.now()
        if topic in self._others:
            self._others[topic](data, now)
        else:
            self._board.take(topic, data, is_retained=bool(message.retain), now=now)

    def _came_back(self) -> None:
        self._board.is_up = True
        self._backoff_s = _BACKOFF_S_MIN
        if self._lost_s is not None:
            outage_s = asyncio.get_running_loop().time() - self._lost_s
            _log.info("collector_back", collector=self._name, outage_s=round(outage_s, 3))
            self._lost_s = None

    def _went(self, error: str) -> None:
        self._board.is_up = False
        if self._lost_s is None:
            self._lost_s = asyncio.get_running_loop().time()
            _log.warning("collector_lost", collector=self._name, error=error)


def _tls_context(settings: MqttBroker) -> ssl.SSLContext | None:
    """Return what trusts the broker only by our authorities and by its name; None without TLS.

    Raises:
        CredentialError: A file is of no use.
    """
    tls = settings.tls
    if tls is None:
        return None
    try:
        context = ssl.create_default_context(cafile=tls.ca)
        if tls.own is not None:
            context.load_cert_chain(tls.own.certificate, tls.own.key)
    except OSError as error:
        what = f"the certificates cannot be read: {error.strerror or error}"
        raise CredentialError(what, "correct `tls` of the collector") from error
    return context


def _is_refusal(error: Exception) -> bool:
    """Return whether one side does not trust the other; the library hides the error of TLS."""
    if isinstance(error.__context__, ssl.SSLError):
        return True
    code = error.rc if isinstance(error, aiomqtt.MqttCodeError) else None
    return (code if isinstance(code, int) or code is None else code.value) in _REFUSALS
