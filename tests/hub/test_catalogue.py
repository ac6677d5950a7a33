"""The catalogue: who sees what, names, search, and what changes at once."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from sqlalchemy import insert

from aimass_stream.errors import Conflict, Forbidden, InvalidInput, NotFound
from aimass_stream.hub.cards import rendered
from aimass_stream.hub.catalogue import Catalogue
from aimass_stream.hub.opinions import Opinions
from aimass_stream.hub.records import Change, File, Search, Sort
from aimass_stream.hub.tables import MODELS, TAGS
from aimass_stream.store import Database
from tests.support.model_hub import ADA, ADMIN, BOB, TEAM, opened

pytestmark = pytest.mark.anyio

PUBLIC = Change(visibility="public")
NASTY = "x'; DROP TABLE hub_models; -- <script>alert(1)</script> %_\\"


async def names(catalogue: Catalogue, caller: object = ADA, sort: Sort = "updated", **search: object) -> list[str]:
    found = await catalogue.find(caller, Search(sort=sort, **search), 100)  # type: ignore[arg-type]
    return [model.name for model in found]


async def test_a_model_and_who_sees_it(tmp_path: Path) -> None:
    async with Database(tmp_path / "a.db") as database:
        catalogue = Catalogue(database)
        await catalogue.create(ADA, "mine", Change(title="Mine"))
        await catalogue.create(TEAM, "ours", Change(visibility="team"))
        await catalogue.create(ADA, "all", PUBLIC)
        assert await names(catalogue) == ["all", "mine"]
        assert await names(catalogue, BOB) == ["all"]
        assert await names(catalogue, TEAM) == ["all", "ours"]
        assert await names(catalogue, ADMIN) == ["all", "ours", "mine"]
        for name in ("mine", "ours", "nothing"):
            with pytest.raises(NotFound):
                await catalogue.get(BOB, name)
        with pytest.raises(Conflict, match="taken"):
            await catalogue.create(BOB, "mine", Change())
        with pytest.raises(Forbidden):
            await catalogue.change(BOB, "all", Change(title="Bob's"))
        with pytest.raises(NotFound):
            await catalogue.delete(BOB, "mine")


@pytest.mark.parametrize("name", ["", "Fish", "a/b", "../a", "a@1", "auto", "a" * 49, "a b", ".a", "a..b", "fısh"])
async def test_names_that_are_none(tmp_path: Path, name: str) -> None:
    async with Database(tmp_path / "a.db") as database:
        with pytest.raises(InvalidInput):
            await Catalogue(database).create(ADA, name, Change())


async def test_a_change_that_knows_nothing_of_another_one_is_refused(tmp_path: Path) -> None:
    async with Database(tmp_path / "a.db") as database:
        catalogue = Catalogue(database)
        first = await catalogue.create(ADA, "fish", Change())
        second = await catalogue.change(ADA, "fish", Change(title="Fish", tags=("Water", "water")), first.revision)
        assert (second.title, second.tags, second.revision) == ("Fish", ("water",), 2)
        with pytest.raises(Conflict, match="changed meanwhile"):
            await catalogue.change(ADA, "fish", Change(title="Bird"), first.revision)
        assert await names(catalogue, tag="Water") == ["fish"]
        await catalogue.change(ADA, "fish", Change(tags=()))
        assert await names(catalogue, tag="water") == []


async def test_search_takes_words_as_they_are(tmp_path: Path) -> None:
    async with Database(tmp_path / "a.db") as database:
        catalogue = Catalogue(database)
        await catalogue.create(ADA, "one", Change(title="Fish of the sea", task="detection", card="swims *fast*"))
        await catalogue.create(ADA, "two", Change(title="Bird", tags=("sea",), licence="MIT", card=NASTY))
        for words, found in (("fish", ["one"]), ("SEA", ["two", "one"]), ("sea fish", ["one"]), ("swims", ["one"]),
                             ("%", ["two"]), ("_", ["two"]), ("drop table", ["two"]), ("' or 1=1 --", []),
                             ("\\", ["two"]), ("fi\x00sh", ["one"])):
            assert await names(catalogue, words=words) == found, words
        assert await names(catalogue, task="detection") == ["one"]
        assert await names(catalogue, licence="MIT") == ["two"]
        assert await names(catalogue, sort="name") == ["one", "two"]
        assert (await catalogue.get(ADA, "two")).card == NASTY


async def test_what_is_said_of_a_model_is_bounded(tmp_path: Path) -> None:
    async with Database(tmp_path / "a.db") as database:
        catalogue = Catalogue(database)
        for change in (Change(title="x" * 121), Change(title="a\nb"), Change(card="x" * 16385), Change(card="a\x00b"),
                       Change(tags=tuple(map(str, range(17)))), Change(tags=("",)), Change(title="a\u202eb")):
            with pytest.raises(InvalidInput):
                await catalogue.create(ADA, "fish", change)
        with pytest.raises(InvalidInput):
            await catalogue.create(ADA, "fish", Change(visibility="secret"))  # type: ignore[arg-type]


async def test_numbers_of_versions_are_given_once(tmp_path: Path) -> None:
    async with Database(tmp_path / "a.db") as database:
        catalogue = Catalogue(database)
        await catalogue.create(ADA, "fish", PUBLIC)
        files = [File("m.onnx", "0" * 64, 5)]
        assert [(await catalogue.add_version(ADA, "fish", {}, files)).number for _ in range(2)] == [1, 2]
        await catalogue.delete_version(ADA, "fish", 2)
        assert (await catalogue.add_version(ADA, "fish", {}, files)).number == 3
        assert [each.number for each in await catalogue.versions(BOB, "fish")] == [3, 1]
        with pytest.raises(Forbidden):
            await catalogue.add_version(BOB, "fish", {}, files)
        with pytest.raises(NotFound):
            await catalogue.number(BOB, "fish", "production")


async def test_ratings_and_comments(tmp_path: Path) -> None:
    async with Database(tmp_path / "a.db") as database:
        catalogue, opinions = Catalogue(database), Opinions(database)
        await catalogue.create(ADA, "fish", PUBLIC)
        await opinions.rate(ADA, "fish", 5)
        await opinions.rate(BOB, "fish", 1)
        assert (await opinions.rate(BOB, "fish", 2)).rating == 3.5
        model = await opinions.rate(BOB, "fish", 0)
        assert (model.rating, model.ratings) == (5, 1)
        said = [await opinions.comment(BOB, "fish", f"comment {number}\n{NASTY}") for number in range(3)]
        page = await opinions.comments(ADA, "fish", 2)
        assert [each.id for each in page] == [said[2].id, said[1].id]
        assert page[0].text.endswith(NASTY)
        rest = await opinions.comments(ADA, "fish", 2, (page[-1].at, page[-1].id))
        assert [each.id for each in rest] == [said[0].id]
        with pytest.raises(Forbidden):
            await opinions.delete(TEAM, "fish", said[0].id)
        await opinions.delete(ADA, "fish", said[0].id)  # beneath her own model
        await opinions.erase("usr_bob")
        assert await opinions.comments(ADA, "fish", 9) == []
        for stars in (-1, 6):
            with pytest.raises(InvalidInput):
                await opinions.rate(ADA, "fish", stars)
        with pytest.raises(InvalidInput):
            await opinions.comment(ADA, "fish", "  ")


async def test_what_is_built_in_is_in_the_catalogue(tmp_path: Path) -> None:
    models = Path(__file__).parents[2] / "models"
    async with opened(tmp_path, models=models) as hub:
        found = await hub.catalogue.find(BOB, Search(words="scream"), 10)
        assert [(model.name, model.built_in, model.owner) for model in found] == [("style-scream", True, "")]
        [version] = await hub.catalogue.versions(BOB, "style-scream")
        assert (version.state, version.number) == ("ready", 1)
        with pytest.raises(Conflict, match="built in"):
            await hub.catalogue.delete(ADMIN, "style-scream")
        with pytest.raises(Conflict, match="built in"):
            await hub.catalogue.add_version(ADMIN, "style-scream", {}, [File("m.onnx", "0" * 64, 5)])
        with pytest.raises(Conflict, match="taken"):
            await hub.catalogue.create(ADA, "style-scream", Change())
        await hub.catalogue.sync([])
        assert await hub.catalogue.find(BOB, Search(built_in=True), 10) == []


def test_cards_harm_nobody() -> None:
    html = rendered("# Fish\n\n**fast** [site](https://example.com) | a |\n\n<script>alert(1)</script>\n\n"
                    "[bad](javascript:alert(1)) ![track](https://example.com/x.png) <img src=x onerror=alert(1)>\n\n"
                    "| a | b |\n|---|---|\n| 1 | 2 |\n")
    assert "<h1>Fish</h1>" in html
    assert "<td>1</td>" in html
    assert 'rel="noopener noreferrer nofollow"' in html
    for bad in ("<script", "javascript:alert(1)\"", "<img", "onerror=alert(1)>"):
        assert bad not in html.replace("&lt;img src=x onerror=alert(1)&gt;", "")
    begun = time.process_time()
    rendered("> " * 8000 + "x")
    rendered("[" * 16_000)
    assert time.process_time() - begun < 2


async def test_ten_thousand_models_are_searched_in_time(tmp_path: Path) -> None:
    async with Database(tmp_path / "a.db") as database:
        rows = [{"id": f"mdl_{number:05}", "name": f"model-{number:05}", "owner": f"usr_{number % 50}",
                 "visibility": "public" if number % 3 else "private", "built_in": 0, "title": f"Model {number}",
                 "task": ("detection", "classification")[number % 2], "licence": "MIT", "tags": ["a"],
                 "card": "x" * 500,
                 "words": f"model-{number:05} model {number} word{number % 97} " + "lorem ipsum " * 40, "revision": 1,
                 "last": 0, "created": number, "updated": number, "downloads": number % 13, "stars": 0, "ratings": 0}
                for number in range(10_000)]
        async with database.begin() as connection:
            await connection.execute(insert(MODELS), rows)
            await connection.execute(insert(TAGS), [{"tag": f"t{number % 7}", "model": row["id"]}
                                                    for number, row in enumerate(rows)])
        catalogue = Catalogue(database)
        times = []
        for number in range(40):
            search = (Search(), Search(words=f"word{number} lorem"), Search(words="nobody has this"),
                      Search(task="detection", sort="downloads"), Search(tag="t3", sort="name"))[number % 5]
            begun = time.process_time()
            await catalogue.find(BOB, search, 50)
            times.append(time.process_time() - begun)
        assert sorted(times)[37] < 0.3  # s; measured where it is quiet: a sixth of that
