"""What an engineer says about a broker that brings room temperatures: address, trust and topics.

Rule: no protocol library is imported here, so that a configuration is checked without one.
"""

from collections.abc import Mapping
from dataclasses import field
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le, MinLen

from core.parameters import parameters
from core.point import Unit
from core.rooms import FlatPosition
from drivers.credentials import KeyPair, Login

FLAT = "{flat}"


@parameters
class TopicReading:
    """How the messages of one topic pattern are read.

    Attributes:
        value: JSON pointer (RFC 6901) to the temperature; empty where the payload is the number.
        time: JSON pointer to the moment of the measurement: ISO 8601 with its zone, or seconds or
            milliseconds since 1970. Without one a value is never more than STALE.
        unit: Unit of the temperature.
        scale: What the number is multiplied by first, e.g. 0.1.
    """

    value: str = ""
    time: str | None = None
    unit: Literal["°C", "K", "°F"] = "°C"
    scale: Annotated[float, Gt(0)] = 1.0


@parameters
class BrokerTls:
    """A secure connection to a broker.

    Attributes:
        ca: Whole path of the certificates of the authorities that may have signed the broker's.
        own: Our certificate and key, where the broker asks for one.
    """

    ca: Annotated[str, MinLen(1)]
    own: KeyPair | None = None


@parameters
class MqttBroker:
    """A broker, and the topics at which the flats report.

    Attributes:
        tls: None: nothing is encrypted, for a broker on this machine.
        user: As whom we log in.
        client_id: The name by which the broker knows us; two with the same name throw each other
            out.
        keepalive_s: How often an idle connection is tried; a broker that hangs is found within two
            of these.
        topics: How messages are read, by topic pattern: `{flat}` stands for one level, the name of
            the flat or of its device; `+` for any level, `#` at the end for all further ones.
    """

    host: Annotated[str, MinLen(1)]
    port: Annotated[int, Ge(1), Le(65535)] = 1883
    tls: BrokerTls | None = None
    user: Login | None = None
    client_id: Annotated[str, MinLen(1)] = "heatd"
    keepalive_s: Annotated[float, Unit.SECOND, Ge(2), Le(10)] = 10.0
    topics: Mapping[str, TopicReading] = field(default_factory=dict)


@parameters
class FlatRow:
    """One measured flat.

    Attributes:
        circuit: Which circuit heats it; may be left out where there is one.
        position: Where it lies in its building.
        collector: Which collector of the site brings it; may be left out where there is one.
        device: Its name in the topics, where that is not the flat's own.
    """

    circuit: str = ""
    position: FlatPosition = "middle"
    collector: str = ""
    device: str = ""


def pattern_fault(pattern: str) -> str:
    """Return what is wrong with a topic pattern, in words; empty where nothing is."""
    levels = pattern.split("/")
    named = [level for level in levels if "{" in level or "}" in level]
    odd = [level for level in levels if level not in {"+", "#"} and ("+" in level or "#" in level)]
    rules = (
        (named != [FLAT], f"it needs {FLAT} as one whole level, and no other name"),
        ("#" in levels[:-1], "`#` stands at the end only"),
        (bool(odd), "`+` and `#` are whole levels"),
    )
    return next((text for is_broken, text in rules if is_broken), "")


def subscription(pattern: str) -> str:
    """Return the topic filter that a broker is asked for."""
    return pattern.replace(FLAT, "+")
