from hypothesis import given
from hypothesis import strategies as st

from streamgen.access.roles import ALLOWS, PERMISSIONS, ROLES, Grant, Role, permissions
from streamgen.protocol import Permission


def test_each_role_allows_its_own_and_no_more() -> None:
    operators: set[Permission] = {"prompt", "config", "moderate", "panic", "schedule"}
    assert permissions(["watch"]) == {"watch"}
    assert permissions(["vote"]) == {"watch", "vote"}
    assert permissions(["propose"]) == {"watch", "propose"}
    assert permissions(["operate"]) == {"watch"} | operators
    assert permissions(["publish"]) == set()
    assert permissions(["admin"]) == PERMISSIONS
    assert permissions([]) == set()


def test_every_permission_is_somebodys_besides_the_admins() -> None:
    assert permissions([role for role in ROLES if role != "admin"]) == PERMISSIONS
    assert set(ALLOWS) == set(ROLES)


@given(st.frozensets(st.sampled_from(ROLES)), st.frozensets(st.sampled_from(ROLES)))
def test_roles_add_up(some: frozenset[Role], others: frozenset[Role]) -> None:
    assert permissions(some | others) == permissions(some) | permissions(others)


def test_only_publishers_and_admins_send_media_in() -> None:
    assert {role for role in ROLES if Grant(frozenset({role})).may_publish} == {"publish", "admin"}
