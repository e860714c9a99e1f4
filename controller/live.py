"""A daemon with its face to the outside: signals, control socket, systemd's watchdog, calendar.

Rule: the sockets open after the stations run, and close before they stop; nothing here decides.
"""

import asyncio
import gc
import signal
from datetime import timedelta
from functools import partial
from pathlib import Path

import structlog

from config.load import load
from config.model import Site
from controller.build import build_collectors, build_forecast_watch
from controller.calendar import Calendar, Job, daily
from controller.commands import CommandDesk
from controller.daemon import Daemon, Options
from controller.listener import SocketInUseError
from controller.logs import configure
from controller.past import JournalPast
from controller.socket import ControlSocket
from controller.supervise import keep_going
from controller.watchdog import Systemd, Watchdog
from core.clock import Clock, SystemClock

log = structlog.get_logger(__name__)

SOCKET = "control.sock"
_GC_THRESHOLDS = (10_000, 50, 50)
_PRUNE_AT = "03:30"


async def run_daemon(
    config_dir: Path, state_dir: Path, runtime_dir: Path, *, read_only: bool
) -> None:
    """Run the daemon live until SIGTERM or SIGINT.

    Raises:
        config.problem.ConfigErrors: The configuration is refused.
        history.journal.JournalError: The journal cannot be opened.
        controller.listener.SocketInUseError: Another daemon answers on the control socket.
    """
    clock = SystemClock()
    configure(clock)
    options = Options(state_dir=state_dir, is_read_only=read_only)
    await serve(load(config_dir), clock, options, runtime_dir)


async def serve(site: Site, clock: Clock, options: Options, runtime_dir: Path) -> None:
    """Run a daemon and its doors on the running loop until it is told to stop."""
    asked, stop = asyncio.Event(), asyncio.Event()
    _listen_to_signals(asked)
    systemd = Systemd()
    daemon = Daemon(site, clock, options)
    settle_memory()
    periods_s = {name: shell.period_s for name, shell in daemon.stations.items()}
    daemon.watchdog = watchdog = Watchdog(
        clock, periods_s, systemd, lambda name: daemon.stations[name].is_faulty
    )
    # Tokens are held against the machine's clock, also where the stations' clock runs fast.
    desk = CommandDesk(daemon, SystemClock())
    ready = asyncio.Event()

    async def open_socket() -> None:
        past = JournalPast(daemon.reader)
        socket = ControlSocket(daemon, desk, runtime_dir / SOCKET, past, ready=ready)
        await socket.run()

    prune = Job(name="prune_samples", trigger=daily(_PRUNE_AT), work=partial(_prune, daemon))
    async with asyncio.TaskGroup() as group:
        running = group.create_task(daemon.run(stop), name="daemon")
        doors = [
            group.create_task(keep_going("control socket", open_socket, fatal=SocketInUseError)),
            group.create_task(keep_going("watchdog", watchdog.run)),
            group.create_task(keep_going("calendar", Calendar(clock, [prune]).run)),
            group.create_task(_say_ready(ready, systemd, len(site.stations))),
            *(
                group.create_task(keep_going(f"collector {name}", collector.run))
                for name, collector in build_collectors(
                    site, daemon.boards, daemon.forecast, clock
                ).items()
            ),
            *(
                group.create_task(keep_going("forecast", watch.run))
                for watch in build_forecast_watch(site, daemon.forecast, clock)
            ),
        ]
        await asked.wait()
        systemd.stopping()
        for task in doors:
            task.cancel()
        # A command that was answered must still reach its station: the doors are shut first.
        await asyncio.wait(doors)
        stop.set()
        await running


async def _say_ready(ready: asyncio.Event, systemd: Systemd, stations: int) -> None:
    await ready.wait()
    systemd.ready(f"{stations} stations")


async def _prune(daemon: Daemon) -> int:
    keep = timedelta(seconds=daemon.site.history.keep_samples_s)
    return await daemon.journal.prune(daemon.clock.now().utc - keep)


def _listen_to_signals(stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    # Without this a hang-up would end the process.
    loop.add_signal_handler(signal.SIGHUP, _say_no_reload)


def _say_no_reload() -> None:
    log.warning("reload_not_possible", remedy="restart the service to take a new configuration")


def settle_memory() -> None:
    """Take all that exists by now out of the garbage collector's rounds, and have rounds seldom.

    A configuration of 500 stations is half a million objects that live as long as the process, and
    what a scan makes is freed without the collector. Its rounds only make polls late: with Python's
    own thresholds by 30 ms at worst, with these by 5 ms.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)
