"""Two valves in sequence in a scan: the opening of both becomes what is written to each.

Rule: who holds the opening of both holds each of them; what the PLC is to hand over is written as
it stands.
"""

from control_loops.split_range import joined_pct, split_pct
from control_loops.valve import within_stroke_pct
from controller.arbiter import Claim
from controller.claims import Scan
from controller.movers import Pair
from core.image import ProcessImage
from core.point import Tag


def pair_claims(pair: Pair, both: Claim, scan: Scan) -> dict[Tag, Claim]:
    """Return who holds each valve of a pair, and at which opening.

    Args:
        pair: The two valves.
        both: What the arbiter left for the opening of both.
        scan: What all circuits of the station share.
    """
    if both.value is None:
        return dict.fromkeys(pair.outputs, both)
    # As long as the PLC has them they may stand in another sequence.
    wanted = split_pct(pair.sequence, both.value) if scan.is_ours else _stand(pair, scan.image)
    claims = (Claim(both.holder, round(pct, 2), both.why) for pct in wanted)
    return dict(zip(pair.outputs, claims, strict=True))


def pair_opening_pct(pair: Pair, image: ProcessImage) -> float:
    """Return the opening of both as they stand, in %; NaN where one of them is not known."""
    return joined_pct(pair.sequence, *_stand(pair, image))


def farthest_off_pct(pair: Pair, opening_pct: float, image: ProcessImage) -> float:
    """Return by how much the one that is farther off differs from what was written to it.

    The opening of both hardly shows a second valve that sticks near its seat. NaN where nobody
    knows.
    """
    wanted = split_pct(pair.sequence, opening_pct)
    stand = _stand(pair, image)
    return max(abs(one - other) for one, other in zip(wanted, stand, strict=True))


def _stand(pair: Pair, image: ProcessImage) -> tuple[float, float]:
    first, second = pair.positions
    return within_stroke_pct(image.value(first)), within_stroke_pct(image.value(second))
