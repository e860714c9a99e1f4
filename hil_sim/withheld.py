"""How long the machine kept this process from running: not what heatd is to be blamed for.

Rule: a thread that blocks, sleeps or computes is not kept from running.
"""

import threading
import time
from pathlib import Path
from typing import Self

_TICK_S = 0.02
# To get the interpreter back from a busy thread takes 5 ms, and a timer is a little late always.
_LATE_S_MIN = 0.02


class Withheld:
    """Adds up the time for which the machine kept one thread from running.

    Two witnesses, and the one that saw more is believed: a second thread that wakes fifty times a
    second and looks how late it is (a stopped machine), and the kernel, which counts for how long
    the thread was ready and had no processor (a crowded one); where it does not, the first alone.
    """

    def __init__(self) -> None:
        self._late_s = 0.0
        self._is_over = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="withheld", daemon=True)
        self._waited_s = _waited_s()

    def __enter__(self) -> Self:
        self._watcher.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._watcher.join()

    def so_far_s(self) -> float:
        """Return the time since the beginning, s; asked by the thread that it is about."""
        return max(self._late_s, _waited_s() - self._waited_s)

    def _watch(self) -> None:
        before_s, used_s = time.perf_counter(), time.process_time()
        while not self._is_over.wait(_TICK_S):
            now_s, now_used_s = time.perf_counter(), time.process_time()
            # One call in C, a sort or a regular expression, keeps the interpreter from all threads:
            # what it used was given to this process.
            late_s = now_s - before_s - _TICK_S - (now_used_s - used_s)
            if late_s >= _LATE_S_MIN:
                self._late_s += late_s
            before_s, used_s = now_s, now_used_s


def _waited_s() -> float:
    """Return how long the calling thread was ready and had no processor since it began, s."""
    try:
        fields = Path("/proc/thread-self/schedstat").read_text(encoding="ascii").split()
    except OSError:
        return 0.0
    return int(fields[1]) * 1e-9
