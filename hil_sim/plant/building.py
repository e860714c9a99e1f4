"""Rooms and walls that store heat, and the people in them who open windows.

Rule: rooms are groups of like flats (edge, usual, inner), each a 2R2C model stepped exactly.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Gt, Interval

from core.parameters import parameters
from core.point import Unit

EVENING_H = (18.0, 23.0)


@parameters
class BuildingParameters:
    """The housing stock of one station, per m² of heated floor.

    `loss_w_per_m2k` is the whole loss in steady state, `ventilation_share` of it by air exchange;
    heat capacities are of the air with furniture (`air_`) and of the walls (`mass_`).
    """

    area_m2: Annotated[float, Unit.SQUARE_METRE, Gt(0)] = 100_000.0
    loss_w_per_m2k: Annotated[float, Gt(0)] = 1.29
    ventilation_share: Annotated[float, Interval(ge=0, lt=1)] = 0.35
    air_j_per_m2k: Annotated[float, Gt(0)] = 60e3
    mass_j_per_m2k: Annotated[float, Gt(0)] = 300e3
    inner_resistance_m2k_per_w: Annotated[float, Gt(0)] = 1.0 / 15.0
    gains_w_per_m2: Annotated[float, Ge(0)] = 3.8
    evening_gains_w_per_m2: Annotated[float, Ge(0)] = 2.0
    sun_aperture_m2_per_m2: Annotated[float, Ge(0)] = 0.018
    # Edge and top flats lose more, inner ones less: how far they then lie from the mean room at
    # the design outdoor temperature, and their shares of the area. The rest makes the mean true.
    edge_k: Annotated[float, Unit.KELVIN] = -2.0
    edge_share: Annotated[float, Interval(ge=0, lt=0.5)] = 0.08
    inner_k: Annotated[float, Unit.KELVIN] = 1.5
    inner_share: Annotated[float, Interval(ge=0, lt=0.5)] = 0.30
    window_opens_c: Annotated[float, Unit.CELSIUS] = 24.5
    window_extra_loss: Annotated[float, Ge(0)] = 0.5


class TwoNodes:
    """The 2R2C room: air and mass, stepped exactly for inputs held over the step.

    C_a dTa/dt = q_a + (Tm - Ta)/R_im + H_v (To - Ta);
    C_m dTm/dt = q_m + (Ta - Tm)/R_im + H_m (To - Tm), all per m². The step is the closed form of
    the 2x2 system: x' = x_inf + exp(A dt)(x - x_inf).
    """

    __slots__ = ("_air", "_conductance", "_dt_s", "_exp", "_mass", "_solve", "h_mass", "h_vent")

    def __init__(self, parameters: BuildingParameters, *, loss_factor: float = 1.0) -> None:
        p = parameters
        whole = p.loss_w_per_m2k * loss_factor
        self.h_vent = whole * p.ventilation_share
        self._conductance = 1.0 / p.inner_resistance_m2k_per_w
        through_walls = whole - self.h_vent
        # The walls' loss passes the inner resistance first, so the outer one is what remains.
        self.h_mass = 1.0 / (1.0 / through_walls - p.inner_resistance_m2k_per_w)
        self._air, self._mass = p.air_j_per_m2k, p.mass_j_per_m2k
        g = self._conductance
        a, m = g + self.h_vent, g + self.h_mass
        determinant = a * m - g * g
        self._solve = (m / determinant, g / determinant, a / determinant)
        self._dt_s = -1.0
        self._exp = (1.0, 0.0, 0.0, 1.0)

    def steady(self, *, air_w: float, mass_w: float, outdoor_c: float) -> tuple[float, float]:
        """Return (air, mass) in °C that these inputs (W/m², °C) hold."""
        bb, gg, aa = self._solve
        u = air_w + self.h_vent * outdoor_c
        v = mass_w + self.h_mass * outdoor_c
        return bb * u + gg * v, gg * u + aa * v

    def mass_beside(self, air_c: float, *, mass_w: float, outdoor_c: float) -> float:
        """Return the mass temperature that stands still beside a given air temperature, °C."""
        g = self._conductance
        return (g * air_c + self.h_mass * outdoor_c + mass_w) / (g + self.h_mass)

    def step(
        self,
        dt_s: float,
        air_c: float,
        mass_c: float,
        *,
        air_w: float,
        mass_w: float,
        outdoor_c: float,
    ) -> tuple[float, float]:
        """Return (air, mass) in °C after `dt_s` with inputs held."""
        if dt_s != self._dt_s:
            self._exp = self._transition(dt_s)
            self._dt_s = dt_s
        air_end, mass_end = self.steady(air_w=air_w, mass_w=mass_w, outdoor_c=outdoor_c)
        e11, e12, e21, e22 = self._exp
        a, m = air_c - air_end, mass_c - mass_end
        return air_end + e11 * a + e12 * m, mass_end + e21 * a + e22 * m

    def modes_per_s(self) -> tuple[float, float]:
        """Return both eigenvalues (fast, slow), 1/s, negative."""
        a11, a12, a21, a22 = self._matrix()
        half_trace = (a11 + a22) / 2.0
        root = math.sqrt(half_trace * half_trace - (a11 * a22 - a12 * a21))
        return half_trace - root, half_trace + root

    def _matrix(self) -> tuple[float, float, float, float]:
        g = self._conductance
        return (
            -(g + self.h_vent) / self._air,
            g / self._air,
            g / self._mass,
            -(g + self.h_mass) / self._mass,
        )

    def _transition(self, dt_s: float) -> tuple[float, float, float, float]:
        # Sylvester's formula; the eigenvalues of an RC network are real and here distinct.
        a11, a12, a21, a22 = self._matrix()
        fast, slow = self.modes_per_s()
        f, s = math.exp(fast * dt_s), math.exp(slow * dt_s)
        c1 = (f - s) / (fast - slow)
        c0 = s - slow * c1
        return c0 + c1 * a11, c1 * a12, c1 * a21, c0 + c1 * a22


@dataclass(frozen=True, slots=True)
class Group:
    """Like flats: their share of the area, how much more they lose, their place at design."""

    share: float
    loss_factor: float
    design_offset_k: float


def groups(
    parameters: BuildingParameters,
    *,
    design_outdoor_c: float,
    design_room_c: float,
    water_excess_k: float,
    exponent: float,
) -> tuple[Group, ...]:
    """Return edge, usual and inner flats so that the mean room is `design_room_c` at design.

    A group's loss follows from its own balance: what radiators of mean excess `water_excess_k`
    over the mean room emit into it, plus gains, over its difference to the outdoor air.
    """
    p = parameters
    usual_share = 1.0 - p.edge_share - p.inner_share
    usual_k = -(p.edge_share * p.edge_k + p.inner_share * p.inner_k) / usual_share
    difference = design_room_c - design_outdoor_c
    demand = p.loss_w_per_m2k * difference - p.gains_w_per_m2
    made = []
    for share, offset in (
        (p.edge_share, p.edge_k),
        (usual_share, usual_k),
        (p.inner_share, p.inner_k),
    ):
        heat = demand * ((water_excess_k - offset) / water_excess_k) ** exponent + p.gains_w_per_m2
        factor = heat / (p.loss_w_per_m2k * (difference + offset))
        made.append(Group(share, factor, offset))
    return tuple(made)


class Rooms:
    """All flats of the circuit as groups; `air_c`, `mass_c` (°C) and `nodes` per group."""

    __slots__ = ("_parameters", "air_c", "groups", "mass_c", "nodes")

    def __init__(self, parameters: BuildingParameters, groups: Sequence[Group]) -> None:
        self._parameters = parameters
        self.groups = tuple(groups)
        self.nodes = tuple(TwoNodes(parameters, loss_factor=g.loss_factor) for g in groups)
        self.air_c = [21.0] * len(self.groups)
        self.mass_c = [21.0] * len(self.groups)

    @property
    def area_m2(self) -> float:
        """Heated floor, m²."""
        return self._parameters.area_m2

    @property
    def loss_w_per_m2k(self) -> float:
        """Loss of the mean flat, W/(m²K)."""
        return self._parameters.loss_w_per_m2k

    @property
    def stored_kj(self) -> float:
        """Heat in air and walls above 0 °C, kJ."""
        p = self._parameters
        stored = sum(
            g.share * (p.air_j_per_m2k * air + p.mass_j_per_m2k * mass)
            for g, air, mass in zip(self.groups, self.air_c, self.mass_c, strict=True)
        )
        return p.area_m2 * stored / 1000.0

    @property
    def mean_c(self) -> float:
        """Mean air temperature over the area, °C."""
        return sum(g.share * air for g, air in zip(self.groups, self.air_c, strict=True))

    def step(
        self,
        dt_s: float,
        heat_w_per_m2: Sequence[float],
        *,
        outdoor_c: float,
        sun_w_per_m2: float,
        hour: float,
        draught: float = 0.0,
    ) -> None:
        """Advance by `dt_s` with radiator heat per group held, W/m² of the group's own floor.

        `draught` is how much more air than usual the wind exchanges, as a share.
        """
        p = self._parameters
        gains = p.gains_w_per_m2
        if EVENING_H[0] <= hour < EVENING_H[1]:
            gains += p.evening_gains_w_per_m2
        sun = p.sun_aperture_m2_per_m2 * sun_w_per_m2
        for i, nodes in enumerate(self.nodes):
            air = self.air_c[i]
            # Half the flats of a group have their windows open half a kelvin above the threshold.
            open_share = min(max(air - p.window_opens_c + 0.5, 0.0), 1.0)
            open_w = open_share * p.window_extra_loss * p.loss_w_per_m2k
            loss = (open_w + draught * nodes.h_vent) * (air - outdoor_c)
            self.air_c[i], self.mass_c[i] = nodes.step(
                dt_s,
                air,
                self.mass_c[i],
                air_w=heat_w_per_m2[i] + gains - loss,
                mass_w=sun,
                outdoor_c=outdoor_c,
            )

    def settle(self, air_c: Sequence[float], *, outdoor_c: float) -> None:
        """Put the air where given and the walls where they stand still beside it."""
        self.air_c = list(air_c)
        self.mass_c = [
            nodes.mass_beside(air, mass_w=0.0, outdoor_c=outdoor_c)
            for nodes, air in zip(self.nodes, air_c, strict=True)
        ]

    def demand_w_per_m2(self, air_c: Sequence[float], *, outdoor_c: float) -> tuple[float, ...]:
        """Return the radiator heat that holds each group at `air_c`, W/m², without sun."""
        p = self._parameters
        return tuple(
            p.loss_w_per_m2k * g.loss_factor * (air - outdoor_c) - p.gains_w_per_m2
            for g, air in zip(self.groups, air_c, strict=True)
        )
