"""The fault catalogue on real sockets: a hostile PLC for each row, one daemon for all of them.

What each row does and what must hold in it stands in `hil_sim/fault_rows.py` and
`hil_sim/fault_house.py`; the long run is `./run heatd-sim faults --repeat 100`.
"""

from hil_sim.fault_rows import ROWS
from hil_sim.fault_run import play_rows


def test_every_row_of_the_catalogue_is_survived_and_nothing_is_left_over():
    result = play_rows(ROWS, repeat=2)

    assert {row.fault: row.why for row in result.rows if not row.survived} == {}
    assert len(result.rows) == len(ROWS)
    assert sum(row.duplicate_writes for row in result.rows) == 0
    assert max(row.recovery_s for row in result.rows) <= 5.0
    assert result.records_lost == 0
    first, last = result.held
    assert (first.fds, first.tasks) == (last.fds, last.tasks)
