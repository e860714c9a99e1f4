"""One process of a demo, started by it: a simulated station, or the daemon on the demo's clock.

Rule: `python -m hil_sim.demo_part FOLDER PART`; what it shall do stands in the folder's plan.
It ends when its standard input does, for the other end is the demo's.
"""

import asyncio
import signal
import sys
from contextlib import AsyncExitStack
from pathlib import Path

from controller.daemon import Options
from controller.live import serve
from controller.logs import configure
from hil_sim.demo_plan import DemoPlan, listen_near, on_port, read_plan, say_port
from hil_sim.doors import fault_door
from hil_sim.serve import make_station, open_bus, open_fault_door, scan_plc


def main(folder: Path, part: str) -> None:
    """Run one process of the demo until it is told to stop."""
    plan = read_plan(folder)
    configure(plan.clock())
    work = _daemon(folder, plan) if part == "daemon" else _station(folder, plan, part)
    with asyncio.Runner(loop_factory=plan.loop) as runner:
        runner.run(work)


def _end_with_the_demo() -> None:
    """End as if told to, when the demo has closed its end of the pipe or was killed."""
    loop = asyncio.get_running_loop()

    def gone() -> None:
        loop.remove_reader(sys.stdin)
        signal.raise_signal(signal.SIGTERM)

    loop.add_reader(sys.stdin, gone)


async def _daemon(folder: Path, plan: DemoPlan) -> None:
    _end_with_the_demo()
    # The second that a command waits for the disk is one of the machine's.
    options = Options(state_dir=folder, commit_s_max=plan.speed)
    await serve(plan.site(), plan.clock(), options, folder)


async def _station(folder: Path, plan: DemoPlan, name: str) -> None:
    station = next(s for s in plan.site().stations if s.station == name)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    _end_with_the_demo()
    made = make_station(
        station, weather=plan.weather(), seed=plan.seed, start_hour=plan.start_hour()
    )
    async with AsyncExitStack() as stack:

        async def listen(port: int) -> None:
            await open_bus(stack, on_port(station, port), made.plc, plan.clock())

        port = await listen_near(plan.ports[name], listen)
        await open_fault_door(stack, made, fault_door(name, folder))
        say_port(folder, name, port)
        scanning = asyncio.create_task(scan_plc(made.plc))
        await stop.wait()
        scanning.cancel()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
