"""What the machine withheld is told apart from what the process itself did with its time."""

import os
import re
import subprocess
import sys
import time

from hil_sim.withheld import Withheld


def test_a_stopped_process_had_no_time():
    with Withheld() as withheld:
        time.sleep(0.1)
        before_s, at_s = withheld.so_far_s(), time.perf_counter()
        stop = "import os, signal, sys, time; me = int(sys.argv[1]); os.kill(me, signal.SIGSTOP);"
        go_on = "time.sleep(0.6); os.kill(me, signal.SIGCONT)"
        subprocess.run([sys.executable, "-c", stop + go_on, str(os.getpid())], check=True)
        time.sleep(0.1)
        took_s = time.perf_counter() - at_s
        assert 0.5 <= withheld.so_far_s() - before_s <= took_s


def test_a_thread_that_blocks_had_its_time():
    with Withheld() as withheld:
        before_s = withheld.so_far_s()
        time.sleep(0.8)
        assert withheld.so_far_s() - before_s <= 0.3


def test_a_thread_that_computes_had_the_time_that_it_used():
    with Withheld() as withheld:
        before_s, at_s, used_s = withheld.so_far_s(), time.perf_counter(), time.thread_time()
        while time.thread_time() < used_s + 0.3:
            pass
        took_s = time.perf_counter() - at_s
        assert withheld.so_far_s() - before_s <= 1.1 * (took_s - 0.3) + 0.05


def test_one_call_that_keeps_the_interpreter_had_the_time_that_it_used():
    with Withheld() as withheld:
        time.sleep(0.1)
        before_s, at_s, used_s = withheld.so_far_s(), time.perf_counter(), time.thread_time()
        assert re.match(r"(a+)+$", "a" * 24 + "b") is None
        took_s, used_s = time.perf_counter() - at_s, time.thread_time() - used_s
        time.sleep(0.1)
        assert used_s > 0.1
        assert withheld.so_far_s() - before_s <= 1.1 * (took_s - used_s) + 0.1
