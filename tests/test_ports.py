"""Callers: what they may do, and what is theirs."""

import itertools

import pytest

from aimass_stream.errors import Forbidden
from aimass_stream.ports import ROLES, SCOPES, Caller


def test_a_caller_may_do_what_their_scopes_name() -> None:
    caller = Caller("ada")
    caller.need("media")
    with pytest.raises(Forbidden, match="'models:write', which ada does not have"):
        caller.need("models:write")
    key = Caller("ada", id="key_1", user="usr_a", role="developer")  # who may, herself
    with pytest.raises(Forbidden, match="'models:write', which this key does not have"):
        key.need("models:write")


def test_each_role_may_do_all_that_the_one_before_may() -> None:
    scopes = list(ROLES.values())
    assert all(less < more for less, more in itertools.pairwise(scopes))
    assert scopes[-1] == SCOPES


@pytest.mark.parametrize(("caller", "owner", "theirs"), [
    (Caller("ada", user="usr_a"), "usr_a", True),
    (Caller("ada", user="usr_a"), "usr_b", False),
    (Caller("ada", user="usr_a"), "", False),  # the server's own
    (Caller("ada", user="usr_a", teams=frozenset({"team_x"})), "team_x", True),
    (Caller("@x", user="usr_a", team="team_x", teams=frozenset({"team_x", "team_y"})), "team_y", False),
    (Caller("@x", user="usr_a", team="team_x"), "usr_a", False),  # a team's key is not its maker's
    (Caller("@x", user="usr_a", team="team_x"), "team_x", True),
    (Caller("root", user="usr_r", role="admin", scopes=SCOPES), "usr_a", True),
    (Caller("root", user="usr_r", role="admin", scopes=frozenset({"media"})), "usr_a", False),  # a lesser key of theirs
    (Caller("nobody"), "", False),
])
def test_what_is_a_callers(caller: Caller, owner: str, theirs: bool) -> None:
    assert caller.owns(owner) is theirs
