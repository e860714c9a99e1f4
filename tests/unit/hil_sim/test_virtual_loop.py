import asyncio
import logging
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from hil_sim.virtual_loop import CallbackError, DeadlockError, LivelockError, VirtualLoop


def run(main, seed=0):
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(seed)) as runner:
        return runner.run(main)


def now_s():
    return asyncio.get_running_loop().time()


def test_a_night_of_sleep_takes_no_time():
    async def night():
        for _ in range(7200):
            await asyncio.sleep(5.0)
        return now_s()

    began_s = time.process_time()

    assert run(night()) == pytest.approx(36_000.0)
    assert time.process_time() - began_s < 2.0


def test_timers_fire_in_the_order_of_their_times():
    async def sleepers():
        seen = []

        async def sleeper(delay_s):
            await asyncio.sleep(delay_s)
            seen.append((delay_s, now_s()))

        async with asyncio.TaskGroup() as group:
            for delay_s in (3.0, 1.0, 2.0):
                group.create_task(sleeper(delay_s))
        return seen

    assert run(sleepers()) == [(1.0, 1.0), (2.0, 2.0), (3.0, 3.0)]


def test_a_time_out_is_of_virtual_time():
    async def impatient():
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(30.0):
                await asyncio.sleep(60.0)
        return now_s()

    assert run(impatient()) == 30.0


def test_a_wait_for_ever_names_who_waits_and_where():
    async def stuck():
        await asyncio.get_running_loop().create_future()

    async def main():
        await asyncio.sleep(12.5)
        await asyncio.create_task(stuck(), name="pump XP1")

    with pytest.raises(DeadlockError) as caught:
        run(main())

    assert "virtual time stands at 12.500 s" in str(caught.value)
    assert "pump XP1 at " in str(caught.value)
    assert "test_virtual_loop.py" in str(caught.value)
    assert "stuck)" in str(caught.value)


def test_a_task_that_never_waits_is_named():
    async def restless():
        while True:
            due_s = now_s() - 1.0
            await asyncio.sleep(due_s - now_s())

    async def main():
        await asyncio.create_task(restless(), name="scan st-01")

    with pytest.raises(LivelockError, match=r"never wait: .*scan st-01 at .*restless"):
        run(main())


def test_an_exception_in_a_callback_ends_the_run():
    async def main():
        asyncio.get_running_loop().call_later(3.0, lambda: 1 / 0)
        await asyncio.sleep(10.0)

    with pytest.raises(CallbackError, match=r"at 3\.000 s: .*ZeroDivisionError") as caught:
        run(main())

    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_an_exception_in_the_very_last_callback_ends_the_run_too():
    async def main():
        asyncio.get_running_loop().call_soon(lambda: 1 / 0)

    with pytest.raises(CallbackError):
        run(main())


def test_an_exception_of_a_lost_task_ends_the_run():
    async def broken():
        raise ValueError("lost")

    async def main():
        task = asyncio.create_task(broken())
        await asyncio.sleep(1.0)
        del task
        await asyncio.sleep(1.0)

    with pytest.raises(CallbackError, match="lost"):
        run(main())


def test_an_exception_while_the_last_tasks_end_is_not_swallowed():
    async def stubborn():
        try:
            await asyncio.sleep(100.0)
        finally:
            raise ValueError("no way")

    async def main():
        task = asyncio.create_task(stubborn())
        await asyncio.sleep(1.0)
        return task

    with pytest.raises(CallbackError, match="no way"):
        run(main())


def test_a_program_may_look_at_failures_itself():
    async def main():
        seen = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: seen.append(context["exception"]))
        loop.call_later(1.0, lambda: 1 / 0)
        await asyncio.sleep(2.0)
        return seen

    assert [type(error) for error in run(main())] == [ZeroDivisionError]


def test_a_complaint_without_an_exception_is_only_logged(caplog):
    async def main():
        asyncio.get_running_loop().call_exception_handler({"message": "something odd"})
        await asyncio.sleep(1.0)

    with caplog.at_level(logging.ERROR):
        run(main())

    assert "something odd" in caplog.text


def test_a_job_of_an_executor_runs_at_once_and_completes_later():
    async def main():
        ran = []
        result = await asyncio.to_thread(lambda: ran.append(now_s()) or "done")
        return ran, result, now_s()

    ran, result, done_s = run(main())

    assert (ran, result) == ([0.0], "done")
    assert 0.0005 <= done_s <= 0.005


def test_the_error_of_a_job_reaches_whoever_awaits_it():
    async def main():
        with pytest.raises(ZeroDivisionError):
            await asyncio.to_thread(lambda: 1 / 0)

    run(main())


def test_the_jobs_of_one_executor_complete_in_their_order():
    async def main():
        loop = asyncio.get_running_loop()
        loop.job_s = (0.1, 2.0)
        order = []
        with ThreadPoolExecutor(1) as executor:
            jobs = [loop.run_in_executor(executor, int, i) for i in range(20)]
            for job in jobs:
                job.add_done_callback(lambda done: order.append(done.result()))
            await asyncio.gather(*jobs)
        return order, now_s()

    order, done_s = run(main())

    assert order == list(range(20))
    assert 20 * 0.1 < done_s < 20 * 2.0


def test_a_slow_disk_is_a_slow_executor():
    async def main():
        asyncio.get_running_loop().job_s = (2.0, 2.0)
        await asyncio.to_thread(int)
        return now_s()

    assert run(main()) == 2.0


def test_the_delays_follow_the_seed():
    async def main():
        for _ in range(5):
            await asyncio.to_thread(int)
        return now_s()

    assert run(main(), seed=7) == run(main(), seed=7)
    assert run(main(), seed=7) != run(main(), seed=8)


@pytest.mark.parametrize(
    "attempt",
    [
        lambda loop: loop.create_server(asyncio.Protocol, "h", 1, ssl=True),
        lambda loop: loop.create_server(asyncio.Protocol, sock=object()),
        lambda loop: loop.create_connection(asyncio.Protocol, "h", 1, ssl=True),
        lambda loop: loop.create_connection(asyncio.Protocol, sock=object()),
        lambda loop: loop.create_datagram_endpoint(asyncio.DatagramProtocol),
        lambda loop: loop.create_unix_connection(asyncio.Protocol, "path"),
        lambda loop: loop.create_unix_server(asyncio.Protocol, "path"),
    ],
)
def test_what_needs_the_real_world_raises(attempt):
    async def main():
        with pytest.raises(NotImplementedError, match="does not exist in virtual time"):
            await attempt(asyncio.get_running_loop())

    run(main())


def test_a_call_from_another_thread_is_heard():
    async def main():
        loop = asyncio.get_running_loop()
        heard = []
        with ThreadPoolExecutor(1) as executor:
            executor.submit(loop.call_soon_threadsafe, heard.append, "hello").result()
        for _ in range(200):
            await asyncio.sleep(1.0)
        return heard

    assert run(main()) == ["hello"]
