"""Who may do what: the server's own key, nobody's, and a caller with less."""

from __future__ import annotations

import itertools

import pytest

from aimass_stream.api.keys import ApiKey
from aimass_stream.errors import Forbidden, Unauthorized
from aimass_stream.ports import ROLES, SCOPES, Caller


@pytest.mark.parametrize(("key", "header"), [(None, None), ("secret-key", "Bearer secret-key")])
def test_whoever_runs_the_server_may_do_all(key: str | None, header: str | None) -> None:
    caller = ApiKey(key).authorize(header)
    for scope in SCOPES:
        caller.need(scope)


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer wrong-key", "Basic secret-key", "secret-key"])
def test_nobody_else_comes_in(header: str | None) -> None:
    with pytest.raises(Unauthorized):
        ApiKey("secret-key").authorize(header)


def test_a_caller_may_do_what_their_scopes_name() -> None:
    caller = Caller("ada")
    caller.need("media")
    with pytest.raises(Forbidden, match="'models:write', which ada does not have"):
        caller.need("models:write")


def test_each_role_may_do_all_that_the_one_before_may() -> None:
    scopes = list(ROLES.values())
    assert all(less < more for less, more in itertools.pairwise(scopes))
    assert scopes[-1] == SCOPES
