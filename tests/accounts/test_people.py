"""Users: how they come, sign in, change and go."""

from __future__ import annotations

from pathlib import Path

import pytest

from aimass_stream.accounts import csrf_of
from aimass_stream.accounts.people import TRIES
from aimass_stream.errors import Busy, Conflict, Forbidden, InvalidInput, NotFound, Unauthorized
from aimass_stream.ports import ROLES, Caller
from tests.support.accounts import OWNER, PASSWORD, Clock, opened, person

pytestmark = pytest.mark.anyio

HERE = "203.0.113.9"
HOSTILE = ["Robert'); DROP TABLE users;--", "<script>alert(1)</script>", "' OR '1'='1", "%_\\", "${jndi:x}", "名前 🦄"]


async def test_who_signs_up_signs_in_and_is_known_by_the_cookie(tmp_path: Path) -> None:
    async with opened(tmp_path) as accounts:
        people = accounts.parts.people
        user = await people.sign_up("Ada", PASSWORD, "Ada Lovelace", address=HERE)
        assert (user.name, user.role, user.state) == ("ada", "user", "active")
        done = await people.sign_in(" ADA ", PASSWORD, address=HERE, agent="a browser")
        cookie = f"theme=dark; aimass_session={done.cookie}"
        caller = accounts.authorize(None, address=HERE, cookie=cookie, reads=True)
        assert (caller.user, caller.id, caller.scopes) == (user.id, done.sign_in.id, ROLES["user"])
        await people.sign_out(caller, caller.id)
        assert people.sign_ins(user.id) == []
        # on this machine's own address, who shows nothing that is good is its owner
        assert accounts.authorize(None, cookie=cookie, reads=True).name == "anyone"


async def test_a_cookie_alone_changes_nothing(tmp_path: Path) -> None:
    async with opened(tmp_path) as accounts:
        await accounts.parts.people.sign_up("ada", PASSWORD, address=HERE)
        done = await accounts.parts.people.sign_in("ada", PASSWORD, address=HERE)
        cookie = f"aimass_session={done.cookie}"
        for stolen in (None, "", "x" * 64, csrf_of("ase_another"), "\udc80"):
            with pytest.raises(Forbidden, match="X-CSRF-Token"):
                accounts.authorize(None, cookie=cookie, csrf=stolen)
        assert accounts.authorize(None, cookie=cookie, csrf=csrf_of(done.cookie)).name == "ada"
        assert accounts.authorize(None, cookie=cookie, reads=True).name == "ada"


async def test_a_wrong_name_or_password_says_the_same_and_not_for_ever(tmp_path: Path) -> None:
    async with opened(tmp_path) as accounts:
        people = accounts.parts.people
        await people.sign_up("ada", PASSWORD, address=HERE)
        said = set()
        for name, password in (("ada", "wrong"), ("nobody", PASSWORD), ("' OR 1=1 --", PASSWORD), ("ada", "\ud800")):
            with pytest.raises(Unauthorized) as refused:
                await people.sign_in(name, password, address=HERE)
            said.add(refused.value.detail)
        assert said == {"the name or the password is wrong"}
        for _ in range(TRIES.amount - 2):  # two there were
            with pytest.raises(Unauthorized):
                await people.sign_in("ada", "wrong", address=HERE)
        with pytest.raises(Busy) as busy:  # the right one has to wait as well
            await people.sign_in("ada", PASSWORD, address=HERE)
        assert 0 < busy.value.retry_after <= 300
        await people.sign_in("ada", PASSWORD, address="198.51.100.7")  # and the person is not locked out elsewhere


async def test_tries_are_forgiven_when_it_was_the_right_one(tmp_path: Path) -> None:
    async with opened(tmp_path) as accounts:
        await accounts.parts.people.sign_up("ada", PASSWORD, address=HERE)
        for _ in range(24):
            await accounts.parts.people.sign_in("ada", PASSWORD, address=HERE)


async def test_the_first_admin_comes_by_a_link_that_is_good_once(tmp_path: Path) -> None:
    async with opened(tmp_path, accounts=True) as accounts:
        people, token = accounts.parts.people, accounts.first
        assert token is not None
        for wrong in ("", "adm_x", "\ud800", token[:-1]):
            with pytest.raises(Unauthorized):
                await people.begin(wrong, "eve", PASSWORD, address=HERE)
        with pytest.raises(InvalidInput):  # what was wrong with the form does not use it up
            await people.begin(token, "root", "short", address=HERE)
        user = await people.begin(token, "root", PASSWORD, address=HERE)
        assert user.role == "admin"
        with pytest.raises(Unauthorized):
            await people.begin(token, "eve", PASSWORD, address=HERE)
    async with opened(tmp_path, accounts=True) as accounts:  # there is one: none is offered at the next start
        assert accounts.first is None
    async with opened(tmp_path) as accounts:
        assert accounts.first is None


async def test_who_is_invited_sets_a_password_by_a_link_that_is_good_once(tmp_path: Path) -> None:
    clock = Clock()
    async with opened(tmp_path, clock=clock) as accounts:
        people = accounts.parts.people
        user, link = await people.invite(OWNER, "grace", "developer")
        with pytest.raises(Unauthorized):  # nobody can sign in yet
            await people.sign_in("grace", "", address=HERE)
        again = await people.link(OWNER, user.id)
        with pytest.raises(Unauthorized):  # a newer link takes the older one's place
            await people.accept(link, PASSWORD, address=HERE)
        assert (await people.accept(again, PASSWORD, address=HERE)).state == "active"
        with pytest.raises(Unauthorized):
            await people.accept(again, PASSWORD, address=HERE)
        late = await people.link(OWNER, user.id)
        clock.ahead += 8 * 86400
        with pytest.raises(Unauthorized):
            await people.accept(late, PASSWORD, address=HERE)


async def test_titles_are_kept_as_they_are_and_names_are_plain(tmp_path: Path) -> None:
    async with opened(tmp_path) as accounts:
        for number, text in enumerate(HOSTILE):
            user = await accounts.parts.people.sign_up(f"ada{number}", PASSWORD, text, address=HERE)
            assert user.title == text
            with pytest.raises(InvalidInput) as refused:
                await accounts.parts.people.sign_up(text, PASSWORD, address=HERE)
            assert refused.value.field == "name"
        assert len(accounts.directory.users) == len(HOSTILE)


WRONG = [
    ("", PASSWORD, "", "name"), ("a" * 65, PASSWORD, "", "name"), ("anyone", PASSWORD, "", "name"),
    ("API-Key", PASSWORD, "", "name"), ("erased-usr_x", PASSWORD, "", "name"), ("a\0b", PASSWORD, "", "name"),
    ("\ud800", PASSWORD, "", "name"), ("@team", PASSWORD, "", "name"), ("ada", "short", "", "password"),
    ("ada", "x" * 257, "", "password"), ("ada", "aaaaaaaaaaaa", "", "password"), ("ada", "\ud800" * 12, "", "password"),
    ("adalovelace", "adalovelace", "", "password"), ("ada", PASSWORD, "x" * 201, "title"),
    ("ada", PASSWORD, "a\nb", "title"), ("ada", PASSWORD, "a\ud800", "title"),
]


async def test_what_makes_no_account_says_why(tmp_path: Path) -> None:
    async with opened(tmp_path) as accounts:
        for number, (name, password, title, field) in enumerate(WRONG):
            with pytest.raises(InvalidInput) as refused:
                await accounts.parts.people.sign_up(name, password, title, address=f"198.51.100.{number}")
            assert refused.value.field == field, (name, title)
        assert accounts.directory.users == {}


async def test_names_that_look_alike_are_one(tmp_path: Path) -> None:
    async with opened(tmp_path) as accounts:
        await accounts.parts.people.sign_up("straße", PASSWORD, address=HERE)
        for same in ("STRASSE", "Straße", "ｓｔｒａｓｓｅ"):
            with pytest.raises(Conflict):
                await accounts.parts.people.sign_up(same, PASSWORD, address=HERE)


async def test_a_new_password_ends_other_sessions_and_needs_the_old_one(tmp_path: Path) -> None:
    async with opened(tmp_path) as accounts:
        people, ended = accounts.parts.people, []
        accounts.end = lambda those, reason: ended.append(those)
        user = await people.sign_up("ada", PASSWORD, address=HERE)
        here, there = [await people.sign_in("ada", PASSWORD, address=HERE) for _ in range(2)]
        caller = accounts.authorize(None, address=HERE, cookie=f"aimass_session={here.cookie}", reads=True)
        with pytest.raises(Forbidden):
            await people.set_password(caller, "wrong", "another good one")
        await people.set_password(caller, PASSWORD, "another good one")
        assert [one.id for one in people.sign_ins(user.id)] == [here.sign_in.id]
        assert ended[-1](Caller("ada", "", there.sign_in.id, user.id))  # what was opened with it is closed
        assert not ended[-1](Caller("ada", "", here.sign_in.id, user.id))
        await people.sign_in("ada", "another good one", address=HERE)


async def test_who_is_disabled_comes_in_no_more(tmp_path: Path) -> None:
    async with opened(tmp_path, accounts=True) as accounts:
        people = accounts.parts.people
        user = await people.sign_up("ada", PASSWORD, address=HERE)
        done = await people.sign_in("ada", PASSWORD, address=HERE)
        caller = accounts.authorize(None, cookie=f"aimass_session={done.cookie}", reads=True)
        key, secret = await accounts.parts.keys.make(caller, "mine")
        await people.change(OWNER, user.id, state="disabled")
        with pytest.raises(Forbidden, match="disabled"):
            await people.sign_in("ada", PASSWORD, address=HERE)
        for shown in ({"cookie": f"aimass_session={done.cookie}"}, {"token": secret}):
            with pytest.raises(Unauthorized):
                accounts.authorize(None, reads=True, **shown)
        await people.change(OWNER, user.id, state="active")
        assert accounts.authorize(None, token=secret).id == key.id


async def test_there_is_always_an_admin(tmp_path: Path) -> None:
    async with opened(tmp_path) as accounts:
        root = await person(accounts, "root", "admin")
        user = accounts.directory.users[root.user]
        people = accounts.parts.people
        for less in (people.change(root, root.user, role="user"), people.change(root, root.user, state="disabled")):
            with pytest.raises(Conflict, match="last admin"):
                await less
        with pytest.raises(Conflict, match="last admin"):
            await accounts.parts.privacy.erase(root, user)
        assert accounts.directory.users[root.user].role == "admin"
        await person(accounts, "second", "admin")
        assert (await accounts.parts.people.change(root, root.user, role="user")).role == "user"


async def test_who_is_not_there_is_not_found(tmp_path: Path) -> None:
    async with opened(tmp_path) as accounts:
        with pytest.raises(NotFound):
            await accounts.parts.people.change(OWNER, "usr_' OR 1=1", role="admin")
