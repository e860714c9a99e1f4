"""What fails beside the control is started again, and said."""

import asyncio

import pytest
from structlog.testing import capture_logs

from controller.supervise import AGAIN_S, keep_going
from hil_sim.virtual_loop import VirtualLoop


def in_virtual_time(work):
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(1)) as runner:
        return runner.run(work)


def failing(times: int, error: Exception):
    calls: list[float] = []

    async def run() -> None:
        calls.append(asyncio.get_running_loop().time())
        if len(calls) <= times:
            raise error

    return run, calls


def test_a_task_that_fails_is_said_and_started_again_after_a_pause():
    run, calls = failing(2, RuntimeError("a bug"))
    with capture_logs() as said:
        in_virtual_time(keep_going("door", run))
    assert calls == [0.0, AGAIN_S, 2 * AGAIN_S]
    assert [line["event"] for line in said] == ["task_failed", "task_failed"]


def test_what_no_second_try_can_mend_is_raised():
    run, calls = failing(9, FileExistsError("taken"))
    with pytest.raises(FileExistsError):
        in_virtual_time(keep_going("door", run, fatal=FileExistsError))
    assert len(calls) == 1


def test_a_task_that_ends_by_itself_has_ended():
    run, calls = failing(0, RuntimeError())
    in_virtual_time(keep_going("door", run))
    assert calls == [0.0]
