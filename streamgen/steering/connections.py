"""Who is connected to a channel's steering, found by client and by person without looking at everybody."""

import secrets
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from streamgen.protocol import Permission
from streamgen.steering.effects import Delivery
from streamgen.steering.outbox import Outbox
from streamgen.steering.thin import ThinPrompts


@dataclass(eq=False, slots=True)
class Connection:
    """One client that is connected now. Its ids are its own, or shared by all connections of the same `client`."""

    client: str
    can: frozenset[Permission]
    voter: str | None = None  # who it is to whoever counts people: a token's subject, a visitor or an address
    outbox: Outbox = field(default_factory=Outbox)
    thin: ThinPrompts = field(default_factory=lambda: ThinPrompts(lambda: secrets.token_hex(12)))


class Connections:
    """A set of connections with two indexes. A message to one client costs the same however many are connected."""

    def __init__(self) -> None:
        self._all: dict[Connection, None] = {}  # in the order in which they came
        self._of_client: dict[str, dict[Connection, None]] = {}
        self._of_voter: dict[str, dict[Connection, None]] = {}

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[Connection]:
        return iter(self._all)

    def add(self, connection: Connection) -> None:
        """It is connected now."""
        self._all[connection] = None
        self._of_client.setdefault(connection.client, {})[connection] = None
        if connection.voter is not None:
            self._of_voter.setdefault(connection.voter, {})[connection] = None

    def discard(self, connection: Connection) -> None:
        """It is gone. Idempotent."""
        self._all.pop(connection, None)
        _remove(self._of_client, connection.client, connection)
        if connection.voter is not None:
            _remove(self._of_voter, connection.voter, connection)

    def of(self, delivery: Delivery) -> Collection[Connection]:
        """Those for whom this message is."""
        if delivery.client is not None:
            return self._of_client.get(delivery.client, {})
        if delivery.voter is not None:
            return self._of_voter.get(delivery.voter, {})
        return self._all


def _remove(index: dict[str, dict[Connection, None]], key: str, connection: Connection) -> None:
    found = index.get(key)
    if found is not None:
        found.pop(connection, None)
        if not found:
            del index[key]
