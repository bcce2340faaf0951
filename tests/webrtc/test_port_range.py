import pytest

from streamgen.webrtc.port_range import PortRange


@pytest.mark.parametrize(
    ("text", "first", "last", "ports"),
    [("40000-40100", 40_000, 40_100, 101), (" 1024 - 65535 ", 1024, 65_535, 64_512), ("5000-5000", 5000, 5000, 1)],
)
def test_both_ends_belong_to_a_range(text: str, first: int, last: int, ports: int) -> None:
    found = PortRange.read(text)
    assert (found.first, found.last, len(found)) == (first, last, ports)
    assert PortRange.read(str(found)) == found


@pytest.mark.parametrize("text", ["", "40000", "a-b", "40000-40100-40200", "-1-5", "4e4-5e4", "٤٠٠٠٠-٤٠١٠٠"])
def test_what_is_no_range_is_told_how_one_looks(text: str) -> None:
    with pytest.raises(ValueError, match="40000-40100"):
        PortRange.read(text)


@pytest.mark.parametrize("text", ["80-90", "40100-40000", "60000-70000", "0-0"])
def test_ports_that_cannot_be_used(text: str) -> None:
    with pytest.raises(ValueError, match="from 1024 to 65535"):
        PortRange.read(text)
