"""The contender `naive`: pymodbus and SQLAlchemy put together as their documentation shows.

Rule: it is frozen. It is no straw man either: registers are read in blocks, and each round of
samples is one bulk insert and one commit, as both libraries advise.

Run as a process of its own with a `Job` as JSON; it answers as `product` does.
"""

import asyncio
import sys
from datetime import UTC, datetime
from pathlib import Path

from pymodbus.client import AsyncModbusTcpClient
from sqlalchemy import create_engine, func, insert, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from hil_sim.bench_poll.figures import Figures, Mark, figures_of, new_loop, tell
from hil_sim.bench_poll.job import Job
from hil_sim.bench_poll.points import FLOAT_WORDS, StationLayout

_BLOCK_WORDS = 124
_WARM_S = 3.0
_TICK_S = 0.2


class Base(DeclarativeBase):
    """The declarative base, as the ORM quick start has it."""


class Sample(Base):
    """One value of one tag."""

    __tablename__ = "sample"

    id: Mapped[int] = mapped_column(primary_key=True)
    station: Mapped[str]
    tag: Mapped[str]
    at: Mapped[datetime]
    value: Mapped[float]


class Poller:
    """All stations, polled once a period, and what they brought since the last commit."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._names = list(StationLayout(job.tags).floats)
        self._waiting: list[dict[str, object]] = []
        self.engine = create_engine(f"sqlite:///{Path(job.state) / 'naive.sqlite'}")
        Base.metadata.create_all(self.engine)
        self.polled = 0
        self.late_s: list[float] = []

    async def poll(self, port: int, phase_s: float) -> None:
        """Poll one station for ever."""
        client = AsyncModbusTcpClient("127.0.0.1", port=port)
        await client.connect()
        loop = asyncio.get_running_loop()
        due_s = loop.time() + phase_s
        while True:
            await asyncio.sleep(due_s - loop.time())
            self.late_s.append(loop.time() - due_s)
            values = await self._read(client)
            at = datetime.now(UTC)  # noqa: TID251 - a program outside the product, as others write it
            self._waiting += [
                {"station": str(port), "tag": name, "at": at, "value": value}
                for name, value in zip(self._names, values, strict=True)
            ]
            self.polled += len(values)
            due_s = max(due_s + self._job.period_s, loop.time())

    async def _read(self, client: AsyncModbusTcpClient) -> list[float]:
        values: list[float] = []
        words = FLOAT_WORDS * self._job.tags
        for address in range(0, words, _BLOCK_WORDS):
            count = min(_BLOCK_WORDS, words - address)
            reply = await client.read_holding_registers(address, count=count, device_id=1)
            for i in range(0, count, FLOAT_WORDS):
                pair = reply.registers[i : i + FLOAT_WORDS]
                value = client.convert_from_registers(pair, client.DATATYPE.FLOAT32)
                values.append(float(value))  # type: ignore[arg-type] # a float for this data type
        return values

    async def store(self) -> None:
        """Commit once a second for ever."""
        while True:
            await asyncio.sleep(1.0)
            self.commit()

    def commit(self) -> None:
        """Store what waits."""
        rows, self._waiting = self._waiting, []
        if rows:
            with Session(self.engine) as session:
                session.execute(insert(Sample), rows)
                session.commit()

    def count(self) -> int:
        """Return how many samples are on the disk."""
        with Session(self.engine) as session:
            return session.scalar(select(func.count()).select_from(Sample)) or 0


async def measure(job: Job) -> Figures:
    """Return the figures of one run."""
    poller = Poller(job)
    spread_s = job.period_s / len(job.ports)
    tasks = [asyncio.create_task(poller.poll(p, i * spread_s)) for i, p in enumerate(job.ports)]
    tasks.append(asyncio.create_task(poller.store()))
    await asyncio.sleep(_WARM_S)
    poller.commit()
    polled, stored = poller.polled, poller.count()
    poller.late_s.clear()
    begin = Mark.now()
    for tick in range(round(job.seconds / _TICK_S)):
        await asyncio.sleep(_TICK_S)
        tell(share=tick * _TICK_S / job.seconds)
    polled, late_s = poller.polled - polled, list(poller.late_s)
    poller.commit()
    end = Mark.now()
    for task in tasks:
        task.cancel()
    return figures_of(
        job, (begin, end), polled=polled, stored=poller.count() - stored, late_s=late_s
    )


def main() -> None:
    """Run the job that the first argument describes."""
    job = Job.from_json(sys.argv[1])
    with asyncio.Runner(loop_factory=new_loop(job.loop)) as runner:
        found = runner.run(measure(job))
    tell(figures=found.to_dict())


if __name__ == "__main__":
    main()
