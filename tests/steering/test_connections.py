from streamgen.protocol import Pong
from streamgen.steering.connections import Connection, Connections
from streamgen.steering.effects import Delivery

PONG = Pong(id="p", t=0.0, server_media_time=0.0)


def test_they_are_found_by_client_and_by_person() -> None:
    everybody = Connections()
    phone, laptop = Connection("a", frozenset(), "ann"), Connection("b", frozenset(), "ann")
    again, nobody = Connection("a", frozenset(), "bob"), Connection("c", frozenset())
    for each in (phone, laptop, again, nobody):
        everybody.add(each)
    assert list(everybody.of(Delivery("a", PONG))) == [phone, again]
    assert list(everybody.of(Delivery(None, PONG, "ann"))) == [phone, laptop]
    assert list(everybody.of(Delivery(None, PONG))) == [phone, laptop, again, nobody] == list(everybody)
    assert not everybody.of(Delivery("x", PONG))
    for each in (phone, phone, nobody):
        everybody.discard(each)
    assert list(everybody.of(Delivery("a", PONG))) == [again]
    assert list(everybody.of(Delivery(None, PONG, "ann"))) == [laptop]
    assert len(everybody) == 2


def test_nothing_of_who_has_left_is_kept() -> None:
    everybody = Connections()
    for number in range(100):
        connection = Connection(f"c{number}", frozenset(), f"v{number}")
        everybody.add(connection)
        everybody.discard(connection)
    assert (len(everybody), everybody._of_client, everybody._of_voter) == (0, {}, {})
