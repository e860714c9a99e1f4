"""The explanation of a station's loops on its way into the journal and back.

Rule: what is kept is what was shown. Nothing is worked out again later, when configuration and
program may be others.
"""

import json
from dataclasses import fields
from datetime import timedelta
from operator import attrgetter
from typing import Any

from control_loops.monitor import LoopFigures
from controller.decide import Decision
from controller.snapshot import ChainStep, LoopView

EVERY_S = 60.0
"""An explanation is kept at least so often, and whenever somebody or something else rules."""
APART_S = 10.0
"""But not more often than this: what changes hands in every scan would fill the disk."""
REACH = timedelta(minutes=5)
"""For a question about the past the newest explanation counts, if it is not older than this."""

# An autotune leaves records of its own.
_NOT_KEPT = frozenset({"chain", "has_no_register", "can_tune", "tune"})
_LOOP = tuple(field.name for field in fields(LoopView) if field.name not in _NOT_KEPT)
_STEP = tuple(field.name for field in fields(ChainStep))
_fields_of, _fields_of_step = attrgetter(*_LOOP), attrgetter(*_STEP)
_encode = json.JSONEncoder(ensure_ascii=False).encode


def reasons(decision: Decision) -> tuple[object, ...]:
    """Return who and what rules; a change of it is worth a record of its own."""
    rulings = [
        (
            found.chain.rules,
            found.chain.outdoor.source,
            found.state.override.ruling,
            found.state.override.is_lowest,
        )
        for found in decision.circuits
    ]
    return (
        *[claim.holder for claim in decision.held.values()],
        *rulings,
        decision.source.name,
        decision.state.authority.holds,
        *decision.state.operator.manual,
    )


def written(loops: tuple[LoopView, ...]) -> str:
    """Return the loops as JSON, NaN and infinities in Python's own spelling of them."""
    return _encode(
        [
            {**dict(zip(_LOOP, _fields_of(loop), strict=True)), "chain": _steps(loop.chain)}
            for loop in loops
        ]
    )


def read(text: str) -> tuple[LoopView, ...]:
    """Return the loops that `written` made text of; what an older version lacked is empty."""
    return tuple(_loop(kept) for kept in json.loads(text))


def _steps(chain: tuple[ChainStep, ...]) -> list[tuple[object, ...]]:
    return [_fields_of_step(step) for step in chain]


def _loop(kept: dict[str, Any]) -> LoopView:
    chain = tuple(ChainStep(*step[: len(_STEP)]) for step in kept["chain"])
    known = {name: kept[name] for name in _LOOP if name in kept}
    if known.get("figures"):
        known["figures"] = LoopFigures(*known["figures"])
    return LoopView(**known, chain=chain)
