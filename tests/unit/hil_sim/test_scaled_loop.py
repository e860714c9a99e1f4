import asyncio
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hil_sim.scaled_loop import ScaledLoop

ROOT = Path(__file__).parents[3]
SPEED = 30.0


def monotonic_s():
    return time.monotonic()  # noqa: TID251 - the test compares the loop with the machine's clock


def run(main, speed=SPEED, origin_s=None):
    origin_s = monotonic_s() if origin_s is None else origin_s
    with asyncio.Runner(loop_factory=lambda: ScaledLoop(speed, origin_s)) as runner:
        return runner.run(main)


def test_three_seconds_take_a_tenth_of_one():
    async def main():
        await asyncio.sleep(3.0)
        return asyncio.get_running_loop().time()

    began_s = monotonic_s()
    ended_s = run(main())
    took_s = monotonic_s() - began_s

    assert 3.0 <= ended_s <= SPEED * took_s
    assert 0.1 <= took_s < 1.0


def test_time_outs_are_scaled_and_work_in_time_is_not_hit_by_them():
    async def main():
        async with asyncio.timeout(60.0):
            await asyncio.sleep(0.5)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await asyncio.sleep(60.0)

    run(main())


def test_threads_still_wake_the_loop():
    async def main():
        return await asyncio.wait_for(asyncio.to_thread(lambda: "done"), timeout=60.0)

    assert run(main()) == "done"


def test_processes_that_share_the_origin_agree_on_the_time():
    origin_s = monotonic_s() - 100.0
    program = (
        "import asyncio, sys\n"
        "from hil_sim.scaled_loop import ScaledLoop\n"
        f"loop = ScaledLoop({SPEED}, {origin_s!r})\n"
        "print(loop.time())\n"
        "loop.close()\n"
    )

    async def main():
        loop = asyncio.get_running_loop()
        before_s = loop.time()
        out = subprocess.check_output(  # noqa: ASYNC221 - it may block: nothing else runs here
            [sys.executable, "-c", program], cwd=ROOT, text=True, timeout=30
        )
        return before_s, float(out), loop.time()

    before_s, theirs_s, after_s = run(main(), origin_s=origin_s)

    assert 3000.0 <= before_s <= theirs_s <= after_s


@pytest.mark.parametrize("speed", [0.0, 0.5, 61.0, -1.0])
def test_a_speed_out_of_range_is_refused(speed):
    with pytest.raises(ValueError, match=r"must be within 1\.\.60"):
        ScaledLoop(speed, 0.0)
