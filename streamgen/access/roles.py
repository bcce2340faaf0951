"""The roles that a token can carry, and what each allows."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, get_args

from streamgen.protocol import Permission

Role: TypeAlias = Literal["watch", "propose", "vote", "operate", "publish", "admin"]

ROLES: Final[tuple[Role, ...]] = get_args(Role)
PERMISSIONS: Final[frozenset[Permission]] = frozenset(get_args(Permission))

# Whoever takes part has to see what is going on, so all of these allow watching. Publishing is a device's work: its
# token allows to send media in, and nothing that can be said in the steering protocol.
ALLOWS: Final[Mapping[Role, frozenset[Permission]]] = {
    "watch": frozenset({"watch"}),
    "propose": frozenset({"watch", "propose"}),
    "vote": frozenset({"watch", "vote"}),
    "operate": frozenset({"watch", "prompt", "config", "moderate", "panic", "schedule"}),
    "publish": frozenset(),
    "admin": PERMISSIONS,
}


def permissions(roles: Iterable[Role]) -> frozenset[Permission]:
    """Everything that these roles allow together."""
    return frozenset[Permission]().union(*(ALLOWS[role] for role in roles))


@dataclass(frozen=True, slots=True)
class Grant:
    """What one client may do, as whom and for how long."""

    roles: frozenset[Role]
    subject: str | None = None  # of a signed token: whoever holds it; None for a client that nobody named
    expires_at: float | None = None  # Unix time, s; None: as long as the server runs

    @property
    def can(self) -> frozenset[Permission]:
        """What the roles allow in the steering protocol."""
        return permissions(self.roles)

    @property
    def may_publish(self) -> bool:
        """Whether this client may send media in."""
        return bool(self.roles & {"publish", "admin"})
