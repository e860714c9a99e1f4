"""A node is written by its identifier, with the namespace's URI, or by the way there."""

import pytest

from drivers.node_address import NodeAddress

GUID = "09087e75-8e5e-499b-954f-f2a9603db28a"


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("T2g", NodeAddress("s", identifier="T2g")),
        ("station.T2g", NodeAddress("s", identifier="station.T2g")),
        ("s=a;b=c", NodeAddress("s", identifier="a;b=c")),
        ("i=1234", NodeAddress("i", identifier="1234")),
        (f"g={GUID.upper()}", NodeAddress("g", identifier=GUID)),
        ("ns=urn:plc:a;s=T2g", NodeAddress("s", "urn:plc:a", "T2g")),
        ("ns=http://x.cn/plc/;i=7", NodeAddress("i", "http://x.cn/plc/", "7")),
        ("|var|CODESYS.T2g", NodeAddress("s", identifier="|var|CODESYS.T2g")),
        ("/Objects/Station/T2g", NodeAddress("path", path=("Station", "T2g"))),
        ("/Objects/A&/B/一次供温&&", NodeAddress("path", path=("A/B", "一次供温&"))),
    ],
)
def test_what_an_engineer_writes_is_an_address(text, address):
    assert NodeAddress.from_text(text) == address


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ns=2;s=T2g", "write `ns=` and the URI"),
        ("i=T2g", "no number"),
        ("i=4294967296", "no number"),
        ("g=123", "no GUID"),
        ("/Objects", "written as in"),
        ("/Objects/", "written as in"),
        ("/Objects//T2g", "written as in"),
        ("/Objects/T2g/", "written as in"),
        ("/Objects/T2g&", "written as in"),
        ("/Station/T2g", "begins with"),
    ],
)
def test_what_cannot_be_an_address_is_told(text, said):
    with pytest.raises(ValueError, match=said):
        NodeAddress.from_text(text)
