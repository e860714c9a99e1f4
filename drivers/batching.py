"""Pure planner: from points to the fewest requests that read or write them.

Rule: a request never mixes areas or the fast and slow group, never exceeds what one Modbus message
holds, and a write never touches an address for which it has no value.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from drivers.settings import AddressRange, Area, Register

READ_WORDS_MAX = 125
READ_BITS_MAX = 2000
WRITE_WORDS_MAX = 123
WRITE_BITS_MAX = 1968
_WORD_BITS = 16


@dataclass(frozen=True, slots=True)
class ReadRequest:
    """One request: `count` registers (or bits) from `address`, and the points that lie there.

    `is_slow` and `is_once` say in which group they are polled.
    """

    area: Area
    address: int
    count: int
    is_slow: bool
    registers: tuple[Register, ...]
    is_once: bool = False

    @property
    def end(self) -> int:
        """The address after its last one."""
        return self.address + self.count

    @property
    def where(self) -> str:
        """Its addresses, for people."""
        return f"{self.area} {self.address}" + (f"..{self.end - 1}" if self.count > 1 else "")


@dataclass(frozen=True, slots=True)
class WriteRequest:
    """One request that writes `registers`, which lie side by side from `address`."""

    area: Area
    address: int
    registers: tuple[Register, ...]


def plan_reads(
    registers: Iterable[Register],
    *,
    max_block: int = READ_WORDS_MAX,
    gap: int = 8,
    forbidden: Sequence[AddressRange] = (),
) -> tuple[ReadRequest, ...]:
    """Return the fewest requests that read each register once, the fast ones first.

    Runs of the points in address order are taken as long as they can be; since every part of a
    possible run is possible too, no other division needs fewer requests.

    Args:
        registers: Readable registers; none lies in a forbidden range.
        max_block: Most registers in one request, 4..125; 16 times as many bits.
        gap: Most unwanted registers between two points of one request; 16 times as many bits.
        forbidden: Addresses that no request may touch.
    """

    def group(register: Register) -> tuple[bool, bool, Area]:
        return register.is_once, register.is_slow, register.area

    requests: list[ReadRequest] = []
    for (is_once, is_slow, area), members in groupby(
        sorted(registers, key=lambda r: (group(r), r.address, r.bit or 0)), group
    ):
        per_word = _WORD_BITS if area in {"coil", "discrete"} else 1
        barred = sorted(r.first for r in forbidden if r.area == area)
        runs = _runs(tuple(members), barred, size_max=max_block * per_word, gap_max=gap * per_word)
        for run in runs:
            end = max(r.address + r.words for r in run)
            start = run[0].address
            requests.append(
                ReadRequest(area, start, end - start, is_slow, tuple(run), is_once=is_once)
            )
    return tuple(requests)


def halves(request: ReadRequest) -> tuple[ReadRequest, ReadRequest] | None:
    """Return two requests that together read the points of one; None where that cannot be.

    It is cut at its widest gap, which neither half reads, and else near its middle.
    """
    registers = request.registers
    middle = request.address + request.count / 2
    ends: list[int] = []
    for register in registers:
        ends.append(max([register.address + register.words, *ends[-1:]]))
    cuts = [i for i in range(1, len(registers)) if registers[i].address >= ends[i - 1]]
    if not cuts:
        return None
    cut = max(
        cuts, key=lambda i: (registers[i].address - ends[i - 1], -abs(ends[i - 1] - middle), -i)
    )
    first, second = registers[:cut], registers[cut:]
    return (
        replace(request, count=ends[cut - 1] - request.address, registers=first),
        replace(
            request,
            address=second[0].address,
            count=ends[-1] - second[0].address,
            registers=second,
        ),
    )


def _runs(
    registers: Sequence[Register], barred: Sequence[int], *, size_max: int, gap_max: int
) -> list[list[Register]]:
    """Return runs of registers; none goes over an address where a forbidden range begins."""
    runs: list[list[Register]] = []
    end = 0
    for register in registers:
        register_end = register.address + register.words
        if (
            runs
            and register.address - end <= gap_max
            and register_end - runs[-1][0].address <= size_max
            and not any(end <= first < register.address for first in barred)
        ):
            runs[-1].append(register)
            end = max(end, register_end)
        else:
            runs.append([register])
            end = register_end
    return runs


def plan_writes(
    due: Iterable[Register], alongside: Iterable[Register] = ()
) -> tuple[WriteRequest, ...]:
    """Return the requests that write each register of `due` once, neighbours together.

    Args:
        due: Registers that must be written; none overlap.
        alongside: Registers that may be written too where they lie between two of `due`, so that
            both go in one request.
    """
    wanted = {(r.area, r.address): r for r in due}
    others = (r for r in alongside if (r.area, r.address) not in wanted)
    runs: list[list[Register]] = []
    between: list[Register] = []
    for register in sorted((*wanted.values(), *others), key=lambda r: (r.area, r.address)):
        is_due = (register.area, register.address) in wanted
        last = between[-1] if between else runs[-1][-1] if runs else None
        follows = last is not None and _is_next(last, register)
        if not is_due:
            between = [*between, register] if follows else []
        elif follows and _fits(runs[-1], register):
            runs[-1] += [*between, register]
            between = []
        else:
            runs.append([register])
            between = []
    return tuple(WriteRequest(run[0].area, run[0].address, tuple(run)) for run in runs)


def _is_next(register: Register, follower: Register) -> bool:
    return follower.area == register.area and follower.address == register.address + register.words


def _fits(run: Sequence[Register], register: Register) -> bool:
    size_max = WRITE_BITS_MAX if register.is_bit_area else WRITE_WORDS_MAX
    return register.address + register.words - run[0].address <= size_max
