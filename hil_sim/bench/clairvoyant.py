"""The physical limit: the least heat that keeps the mean room at its floor, with all known before.

Rule: a bound and no controller. Where the plant bends, the programme takes what is easier for it,
so whoever needs less heat than this at equal comfort proves the bound wrong.
"""

import math
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hil_sim.bench.weeks import Week
from hil_sim.plant.building import EVENING_H, Rooms
from hil_sim.plant.exchanger import CP_WATER_KJ_PER_KG_K, heat_per_kelvin
from hil_sim.plant.network import WATER_KJ_PER_M3K
from hil_sim.plant.primary import plan_c
from hil_sim.plant.station import StationParameters, StationPlant
from hil_sim.plant.steady import primary_flow_kg_s

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

FLOOR_C = 20.0
_RADIATOR_MAX_C, _SLAB_MAX_C = 85.0, 60.0
# The network's temperature wanders around its plan; the bound may have it warmer all the time.
_WANDER_SIGMAS = 2.0
# Falling under the floor costs so much that it happens only where the plant cannot help it.
_PENALTY_MWH_PER_KH = 10.0
_NODES = 2
_KW_PER_MW = 1000.0


class NoOptimizer(ImportError):  # noqa: N818 - it says what is missing
    """scipy is not installed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """The limit in one week, over the scored time.

    `heat_mwh` is stock-adjusted; `below_floor_kh` what even perfect knowledge cannot avoid; the
    rooms are the mean room, °C, by step.
    """

    heat_mwh: float
    below_floor_kh: float
    room_mean_c: tuple[float, ...]
    supply_kw: tuple[float, ...]


def clairvoyant(
    parameters: StationParameters,
    week: Week,
    *,
    start_c: float,
    step_s: float,
    floor_c: float = FLOOR_C,
) -> Bound:
    """Return the bound for a plant and a week.

    Args:
        parameters: The plant.
        week: The week, all of which is known.
        start_c: Mean room at the start, at rest, °C.
        step_s: Length of a step of the programme; heat is constant over one.
        floor_c: What the mean room may not fall under, °C.

    Raises:
        NoOptimizer: scipy is not there.
    """
    try:
        import scipy.optimize  # type: ignore[import-untyped] # noqa: PLC0415, F401 - an optional extra without types
    except ImportError as error:
        raise NoOptimizer(
            "the clairvoyant bound needs scipy: pip install 'heatd[optimize]'"
        ) from error
    made = _Programme(parameters, week, start_c=start_c, step_s=step_s, floor_c=floor_c)
    return made.solve()


class _Programme:
    """Variables of each step: air and mass of each group, water, heat in, heat out, shortfall.

    The building is the plant's own, linear in its temperatures; the split of the heat between the
    groups is linearised around the week's mean load. The radiators' law is convex, so its chord
    bounds it from above; the return is taken as cold as the mean water allows.
    """

    def __init__(
        self,
        parameters: StationParameters,
        week: Week,
        *,
        start_c: float,
        step_s: float,
        floor_c: float,
    ) -> None:
        self._p, self._week, self._step_s = parameters, week, step_s
        self._floor_c = floor_c
        self._plant = StationPlant(parameters, random.Random(0), weather=week.weather)
        outdoor_c = week.weather.at(0.0).outdoor_c
        self._plant.settle(
            supply_c=self._plant.balanced_supply_c(outdoor_c, start_c), room_c=start_c
        )
        self._steps = round(week.whole_s / step_s)
        self._groups = len(self._plant.circuit.rooms.groups)
        self._states = _NODES * self._groups
        self._width = self._states + 4

    def solve(self) -> Bound:
        import numpy as np  # noqa: PLC0415 - an optional extra
        from scipy.optimize import linprog  # noqa: PLC0415 - an optional extra

        equal, equal_to, at_most, at_most_to = self._constraints()
        bounds = [
            *[(None, None)] * self._states,
            (0.0, None),  # water
            (0.0, None),  # heat in
            (0.0, None),  # heat out
            (0.0, None),  # shortfall
        ] * self._steps
        found = linprog(
            self._costs(),
            A_ub=at_most,
            b_ub=at_most_to,
            A_eq=equal,
            b_eq=equal_to,
            bounds=bounds,
            method="highs-ipm",
        )
        if not found.success:
            raise RuntimeError(f"the bound of {self._week.name} has no solution: {found.message}")
        return self._bound(np.asarray(found.x).reshape(self._steps, self._width))

    def _bound(self, x: "Floats") -> Bound:
        first = round(self._week.burn_in_s / self._step_s)
        hours = self._step_s / 3600.0
        states = self._states
        rooms = x[:, : self._groups] @ self._shares()
        heat_mwh = float(x[first:, states + 1].sum()) * hours
        stored = x[:, : states + 1] @ self._stock_mwh_per_k()
        heat_mwh -= float(stored[-1] - stored[first - 1])
        return Bound(
            heat_mwh=heat_mwh,
            below_floor_kh=float(x[first:, states + 3].sum()) * hours,
            room_mean_c=tuple(float(c) for c in rooms[first:]),
            supply_kw=tuple(float(p) * _KW_PER_MW for p in x[first:, states + 1]),
        )

    def _costs(self) -> "Floats":
        import numpy as np  # noqa: PLC0415 - an optional extra

        hours = self._step_s / 3600.0
        cost = np.zeros((self._steps, self._width))
        cost[:, self._states + 1] = hours
        cost[:, self._states + 3] = _PENALTY_MWH_PER_KH * hours
        # What is stored at the end is not lost.
        cost[-1, : self._states + 1] = -self._stock_mwh_per_k()
        flat: Floats = cost.ravel()
        return flat

    def _constraints(self) -> "tuple[object, Floats, object, Floats]":
        import numpy as np  # noqa: PLC0415 - an optional extra
        from scipy.sparse import coo_matrix  # type: ignore[import-untyped] # noqa: PLC0415 - an optional extra without types

        equal, most = _Rows(), _Rows()
        before: Floats = np.array(self._initial())
        for k in range(self._steps):
            self._balances(equal, k, before)
            self._limits(most, k)
        size = self._steps * self._width

        def matrix(rows: _Rows) -> object:
            values = (rows.values, (rows.rows, rows.columns))
            return coo_matrix(values, shape=(len(rows.right), size)).tocsr()

        return matrix(equal), np.array(equal.right), matrix(most), np.array(most.right)

    def _initial(self) -> list[float]:
        circuit = self._plant.circuit
        return [*circuit.rooms.air_c, *circuit.rooms.mass_c, self._water_c()]

    def _balances(self, rows: "_Rows", k: int, initial: "Floats") -> None:
        """Add the equations of step `k`: each state from the states and heats before it."""
        states, base = self._states, k * self._width
        transition, by_heat, constant = self._transition(k)
        for i in range(states):
            entries = [(base + i, 1.0), (base + states + 2, -by_heat[i])]
            right = constant[i]
            if k == 0:
                right += float(transition[i] @ initial[:states])
            else:
                entries += [
                    (base - self._width + j, -float(transition[i, j])) for j in range(states)
                ]
            rows.add(entries, right)
        gives = self._step_s * _KW_PER_MW / self._water_kj_per_k()
        lost = 1.0 + self._p.emitter.loss_share
        entries = [
            (base + states, 1.0),
            (base + states + 1, -gives),
            (base + states + 2, lost * gives),
        ]
        if k:
            entries.append((base - self._width + states, -1.0))
        rows.add(entries, 0.0 if k else float(initial[states]))

    def _limits(self, rows: "_Rows", k: int) -> None:
        """Add the inequalities of step `k`: comfort, radiators, supply, exchanger."""
        states, base = self._states, k * self._width
        mean = [(base + g, share) for g, share in enumerate(self._shares())]
        water, heat_in, heat_out = base + states, base + states + 1, base + states + 2
        rows.add([*[(c, -s) for c, s in mean], (base + states + 3, -1.0)], -self._floor_c)
        flow = self._flow_kw_per_k()
        chord = self._chord_mw_per_k()
        rows.add([(heat_out, 1.0), (water, -chord), *[(c, chord * s) for c, s in mean]], 0.0)
        half_k = _KW_PER_MW / (2.0 * flow)
        rows.add([(water, 1.0), (heat_in, half_k)], self._supply_max_c())
        at_s = (k + 0.5) * self._step_s
        transfer = self._transfer_kw_per_k() / _KW_PER_MW
        rows.add(
            [(heat_in, 1.0 - transfer * half_k), (water, transfer)],
            transfer * self._primary_c(at_s),
        )

    def _transition(self, k: int) -> "tuple[Floats, Floats, Floats]":
        """Return how the rooms go on over step `k`: states, heat (per MW) and the rest."""
        import numpy as np  # noqa: PLC0415 - an optional extra
        from scipy.linalg import expm  # type: ignore[import-untyped] # noqa: PLC0415 - an optional extra without types

        p, rooms, n = self._p.building, self._plant.circuit.rooms, self._groups
        at_s = (k + 0.5) * self._step_s
        sky = self._week.weather.at(at_s)
        is_evening = EVENING_H[0] <= at_s / 3600.0 % 24.0 < EVENING_H[1]
        gains = p.gains_w_per_m2 + (p.evening_gains_w_per_m2 if is_evening else 0.0)
        inner = 1.0 / p.inner_resistance_m2k_per_w
        shares, split = self._shares(), self._split_w_per_m2k
        a = np.zeros((2 * n + 2, 2 * n + 2))
        for g, (h_vent, h_mass) in enumerate(_losses(rooms)):
            vent = h_vent * (1.0 + sky.draught)
            a[g, g] = -(inner + vent + split)
            a[g, :n] += split * shares
            a[g, n + g] = inner
            a[g, 2 * n] = _KW_PER_MW * 1000.0 / p.area_m2
            a[g, 2 * n + 1] = gains + vent * sky.outdoor_c
            a[n + g, g] = inner
            a[n + g, n + g] = -(inner + h_mass)
            sun_w = p.sun_aperture_m2_per_m2 * sky.sun_w_per_m2
            a[n + g, 2 * n + 1] = sun_w + h_mass * sky.outdoor_c
        a[:n] /= p.air_j_per_m2k
        a[n : 2 * n] /= p.mass_j_per_m2k
        whole = expm(a * self._step_s)
        return whole[: 2 * n, : 2 * n], whole[: 2 * n, 2 * n], whole[: 2 * n, 2 * n + 1]

    @property
    def _split_w_per_m2k(self) -> float:
        """How much more heat a group gets per kelvin that it is colder than the mean, W/m²K."""
        p, week = self._p, self._week
        hours = range(round(week.whole_s / 3600.0))
        mean_c = sum(week.weather.at(h * 3600.0).outdoor_c for h in hours) / len(hours)
        load_w = max(
            p.building.loss_w_per_m2k * (FLOOR_C - mean_c) - p.building.gains_w_per_m2, 1.0
        )
        nominal_w = 1000.0 * p.emitter.nominal_kw / p.building.area_m2
        excess_k = _nominal_excess_k(p) * math.pow(load_w / nominal_w, 1.0 / p.emitter.exponent)
        return p.emitter.exponent * load_w / excess_k

    def _shares(self) -> "Floats":
        import numpy as np  # noqa: PLC0415 - an optional extra

        return np.array([group.share for group in self._plant.circuit.rooms.groups])

    def _stock_mwh_per_k(self) -> "Floats":
        import numpy as np  # noqa: PLC0415 - an optional extra

        p, shares = self._p.building, self._shares()
        per_mwh = 3.6e9
        return np.concatenate(
            [
                shares * p.area_m2 * p.air_j_per_m2k / per_mwh,
                shares * p.area_m2 * p.mass_j_per_m2k / per_mwh,
                [self._water_kj_per_k() * 1000.0 / per_mwh],
            ]
        )

    def _water_kj_per_k(self) -> float:
        return self._p.circuit.water_m3 * WATER_KJ_PER_M3K + self._p.emitter.metal_kj_per_k

    def _water_c(self) -> float:
        return self._plant.circuit.emitters.mean_c

    def _flow_kw_per_k(self) -> float:
        return self._plant.circuit.flow_kw_per_k

    def _supply_max_c(self) -> float:
        is_floor = self._p.emitter.slab_kj_per_m2k > 0.0
        return _SLAB_MAX_C if is_floor else _RADIATOR_MAX_C

    def _chord_mw_per_k(self) -> float:
        """Return the heat out per kelvin of the water over the room, on the radiators' chord."""
        emitter, nominal_k = self._p.emitter, _nominal_excess_k(self._p)
        most_k = self._supply_max_c() - FLOOR_C
        most_kw = emitter.nominal_kw * math.pow(most_k / nominal_k, emitter.exponent)
        return most_kw / most_k / _KW_PER_MW

    def _transfer_kw_per_k(self) -> float:
        p = self._p
        flow_kg_s = primary_flow_kg_s(
            p.valve, p.primary, opening=1.0, pressure_kpa=p.primary.pressure_kpa
        )
        return heat_per_kelvin(p.exchanger, flow_kg_s * CP_WATER_KJ_PER_KG_K, self._flow_kw_per_k())

    def _primary_c(self, at_s: float) -> float:
        primary = self._p.primary
        # The plant damps the outdoor temperature; the bound may have the colder of both.
        now_c = self._week.weather.at(at_s).outdoor_c
        before_c = self._week.weather.at(max(at_s - primary.outdoor_damping_s, 0.0)).outdoor_c
        planned_c = plan_c(primary, min(now_c, before_c)) + self._week.drop_k(at_s)
        return planned_c + _WANDER_SIGMAS * primary.noise_k


class _Rows:
    """Rows of a sparse matrix with their right-hand sides."""

    def __init__(self) -> None:
        self.rows: list[int] = []
        self.columns: list[int] = []
        self.values: list[float] = []
        self.right: list[float] = []

    def add(self, entries: list[tuple[int, float]], right: float) -> None:
        """Add one row."""
        row = len(self.right)
        for column, value in entries:
            self.rows.append(row)
            self.columns.append(column)
            self.values.append(float(value))
        self.right.append(float(right))


def _losses(rooms: Rooms) -> list[tuple[float, float]]:
    return [(nodes.h_vent, nodes.h_mass) for nodes in rooms.nodes]


def _nominal_excess_k(p: StationParameters) -> float:
    emitter = p.emitter
    mean_c = 0.5 * (emitter.nominal_supply_c + emitter.nominal_return_c)
    return mean_c - emitter.nominal_room_c
