"""An event loop whose time jumps from one timer to the next, so that a night takes seconds.

Rule: nothing in it waits for the real world. Unmodified asyncio code runs on it, over the in-memory
network and with executor jobs inline; what needs a real socket, a process or TLS raises.
"""

import asyncio
import random
import selectors
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from contextvars import Context
from pathlib import Path
from types import CoroutineType
from typing import Any, NoReturn, TypeVar, TypeVarTuple

from hil_sim.virtual_net import ProtocolFactory, VirtualNet, VirtualServer
from hil_sim.virtual_stream import Address, VirtualStream

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

# So many turns at one moment are no work but a loop that never waits; it takes about a second.
_TURNS_MAX = 200_000
# Files (signals, in fact) are looked at once in so many jumps: the look is a system call.
_JUMPS_PER_LOOK = 64
_ASYNCIO = str(Path(asyncio.__file__).parent)


class DeadlockError(RuntimeError):
    """Every task waits and no timer is set: virtual time cannot go on."""


class LivelockError(RuntimeError):
    """Tasks go on and on without waiting: virtual time cannot go on."""


class CallbackError(RuntimeError):
    """Code that nobody awaits failed; the cause is the exception that it raised."""


class _JumpingSelector(selectors.DefaultSelector):
    """Turns a wait into a jump of `now_s`."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0
        self.failure: CallbackError | None = None
        self._looks_in = _JUMPS_PER_LOOK
        self._turns = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if self.failure is not None:
            failure, self.failure = self.failure, None
            raise failure
        if timeout is not None and timeout <= 0.0:
            self._turns += 1
            if self._turns == _TURNS_MAX:
                raise LivelockError(_report(self.now_s, "some of these tasks never wait"))
            return []
        self._turns = 0
        self._looks_in -= 1
        if timeout is None or self._looks_in == 0:
            self._looks_in = _JUMPS_PER_LOOK
            events = super().select(0.0)
            if events:
                return events
        if timeout is None:
            raise DeadlockError(_report(self.now_s, "no timer is set, and all of these tasks wait"))
        self.now_s += timeout
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop in virtual time, the same for the same seed.

    Use it as `asyncio.Runner(loop_factory=lambda: VirtualLoop(seed))`. Time starts at 0 s. An
    exception that nobody awaits (in a callback, a protocol, a lost task) ends the run with
    `CallbackError`, unless the program installs its own handler by `set_exception_handler`.

    Args:
        seed: Of the delays of the network and of the executor's jobs.
        net: The network; by default one made from the seed.
    """

    def __init__(self, seed: int = 0, net: VirtualNet | None = None) -> None:
        self._selector_of_time = _JumpingSelector()
        super().__init__(self._selector_of_time)
        self.net = net if net is not None else VirtualNet(random.Random(f"{seed} net"))
        # An executor's job completes so many seconds after it was handed over: shortest, longest.
        self.job_s = (0.0005, 0.005)
        self._rng = random.Random(f"{seed} jobs")
        self._busy_until_s: dict[Executor, float] = {}
        self._has_handler = False
        self._late_failure: CallbackError | None = None
        self._thread: int | None = None

    def time(self) -> float:
        """Return the virtual time, s."""
        return self._selector_of_time.now_s

    def run_forever(self) -> None:
        """Run until stopped.

        Raises:
            DeadlockError: Every task waits and no timer is set.
            LivelockError: A task goes on and on without waiting.
            CallbackError: Something that nobody awaits failed.
        """
        self._thread = threading.get_ident()
        try:
            super().run_forever()
        finally:
            self._thread = None
        failure, self._selector_of_time.failure = self._selector_of_time.failure, None
        if failure is not None:
            raise failure

    def close(self) -> None:
        """Close the loop.

        Raises:
            CallbackError: Something that nobody awaited failed while the last tasks ended.
        """
        super().close()
        failure, self._late_failure = self._late_failure, None
        if failure is not None:
            raise failure

    def set_exception_handler(
        self, handler: Callable[[asyncio.AbstractEventLoop, dict[str, Any]], object] | None
    ) -> None:
        """Let `handler` see what nobody awaits, instead of ending the run; None undoes it."""
        super().set_exception_handler(handler)
        self._has_handler = handler is not None

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Keep an unawaited exception as the end of this run, or hand it to the handler."""
        error = context.get("exception")
        if self._has_handler or error is None or self.is_closed():
            super().call_exception_handler(context)
            return
        failure = CallbackError(f"at {self.time():.3f} s: {context['message']}: {error!r}")
        failure.__cause__ = error
        if self._thread is None:
            self._late_failure = self._late_failure or failure
        else:
            self._selector_of_time.failure = self._selector_of_time.failure or failure

    def call_soon_threadsafe(
        self,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.Handle:
        """Call soon; in the loop's own thread without the system call that wakes a selector."""
        if self._thread == threading.get_ident():
            return self.call_soon(callback, *args, context=context)
        return super().call_soon_threadsafe(callback, *args, context=context)

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts
    ) -> "asyncio.Future[T]":
        """Run the job now and let it complete after a seeded delay within `job_s`.

        The jobs of one executor complete one after the other, as in a pool of one thread; those of
        the default executor each for themselves.
        """
        future: asyncio.Future[T] = self.create_future()
        start_s = self.time()
        done_s = start_s + self._rng.uniform(*self.job_s)
        if executor is not None:
            done_s += max(0.0, self._busy_until_s.get(executor, 0.0) - start_s)
            self._busy_until_s[executor] = done_s
        try:
            result = func(*args)
        except Exception as error:  # noqa: BLE001 - the job's error belongs to whoever awaits it
            self.call_at(done_s, _complete, future, future.set_exception, error)
        else:
            self.call_at(done_s, _complete, future, future.set_result, result)
        return future

    async def create_server(  # type: ignore[override] # the part of asyncio's many forms in use
        self,
        protocol_factory: ProtocolFactory,
        host: str | Iterable[str] | None = None,
        port: int | None = None,
        *,
        ssl: object = None,
        sock: object = None,
        start_serving: bool = True,
        **_socket_options: object,
    ) -> VirtualServer:
        """Return a server that listens on the in-memory network.

        Raises:
            OSError: EADDRINUSE.
            NotImplementedError: For `ssl` and `sock`.
        """
        _need_no_real_socket(ssl, sock)
        return await self.net.create_server(
            protocol_factory, host, port or 0, accepts=start_serving
        )

    async def create_connection(  # type: ignore[override] # the part of asyncio's forms in use
        self,
        protocol_factory: ProtocolFactory,
        host: str | None = None,
        port: int | None = None,
        *,
        ssl: object = None,
        sock: object = None,
        local_addr: Address | None = None,
        **_socket_options: object,
    ) -> tuple[VirtualStream, asyncio.BaseProtocol]:
        """Return transport and protocol of a connection over the in-memory network.

        Raises:
            ConnectionRefusedError: Nobody listens there.
            TimeoutError: No answer for 127 s.
            NotImplementedError: For `ssl` and `sock`.
        """
        _need_no_real_socket(ssl, sock)
        if host is None or port is None:
            raise ValueError("host and port must be given")
        return await self.net.create_connection(protocol_factory, host, port, local_addr)

    async def create_datagram_endpoint(self, *_: object, **__: object) -> NoReturn:
        """Raise: there is no UDP in virtual time."""
        _refuse("UDP")

    async def create_unix_connection(self, *_: object, **__: object) -> NoReturn:
        """Raise: there are no Unix sockets in virtual time."""
        _refuse("a Unix socket")

    async def create_unix_server(self, *_: object, **__: object) -> NoReturn:
        """Raise: there are no Unix sockets in virtual time."""
        _refuse("a Unix socket")


def _complete(future: "asyncio.Future[T]", settle: Callable[[Any], None], outcome: object) -> None:
    if not future.done():
        settle(outcome)


def _need_no_real_socket(ssl: object, sock: object) -> None:
    if ssl:
        _refuse("ssl=")
    if sock is not None:
        _refuse("sock=")


def _refuse(what: str) -> NoReturn:
    raise NotImplementedError(
        f"{what} does not exist in virtual time; test it on real sockets in real time"
    )


def _report(now_s: float, why: str) -> str:
    tasks = asyncio.all_tasks(asyncio.get_running_loop())
    places = sorted(f"{task.get_name()} at {_where(task)}" for task in tasks)
    return f"virtual time stands at {now_s:.3f} s: {why}: {'; '.join(places) or 'none'}"


def _where(task: "asyncio.Task[Any]") -> str:
    """Return the line outside asyncio on which the innermost coroutine of `task` waits."""
    place = "an unknown place"
    inner: object = task.get_coro()
    while isinstance(inner, CoroutineType):
        frame = inner.cr_frame
        if frame is not None and not frame.f_code.co_filename.startswith(_ASYNCIO):
            place = f"{frame.f_code.co_filename}:{frame.f_lineno} ({inner.__qualname__})"
        inner = inner.cr_await
    return place
