"""Files that are fetched by URL: from a real server on this machine where that is allowed, and never by accident."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from aimass_stream import fetching
from aimass_stream.errors import InvalidInput, TooLarge
from aimass_stream.fetching import address_of, fetched
from aimass_stream.webhooks import Resolve

from .support.giving import giving
from .support.options import settings

pytestmark = pytest.mark.anyio

PRIVATE = settings(fetch_private=True)


def resolver(*addresses: str) -> Resolve:
    async def resolve(host: str, port: int) -> Sequence[str]:
        return addresses

    return resolve


async def test_a_file_is_fetched_and_redirects_are_followed() -> None:
    answers = {"/a": "200 OK", "/b": "302 Found\r\nlocation: /c", "/c": "301 Moved\r\nlocation: /a"}
    async with giving(answers) as (url, asked):
        async with fetched(f"{url}/a", PRIVATE, 100) as file:
            assert file.read() == b"a file"
        async with fetched(f"{url}/b", PRIVATE, 100) as file:
            assert file.read() == b"a file"
    assert [head.split()[1] for head in asked] == ["/a", "/b", "/c", "/a"]
    assert all(f"Host: {url.removeprefix('http://')}\r\n" in head for head in asked)
    assert not any("authorization" in head.lower() or "cookie" in head.lower() for head in asked)


@pytest.mark.parametrize("addresses", [
    ["127.0.0.1"], ["10.0.0.1"], ["169.254.169.254"], ["192.168.1.1"], ["::1"], ["::ffff:127.0.0.1"], ["fd00::1"],
    ["0.0.0.0"], ["93.184.216.34", "127.0.0.1"], ["64:ff9b::7f00:1"], []])
async def test_names_that_lead_inside_are_not_followed(addresses: list[str]) -> None:
    with pytest.raises(InvalidInput, match=r"private network|no address"):
        async with fetched("https://example.com/a", settings(), 100, resolve=resolver(*addresses)):
            pytest.fail("it was fetched")


@pytest.mark.parametrize("url", [
    "http://example.com/a", "file:///etc/passwd", "ftp://example.com", "https://", "https://user:secret@example.com/",
    "gopher://x", "", "//example.com", "https://[::1", "javascript:alert(1)"])
def test_what_is_no_address_of_a_file(url: str) -> None:
    with pytest.raises(InvalidInput) as told:
        address_of(url, settings())
    assert told.value.field == "url"
    assert "secret" not in told.value.detail


async def test_literal_addresses_of_this_machine_are_refused() -> None:
    for host in ("127.0.0.1", "[::1]", "2130706433", "0x7f000001", "localhost"):
        with pytest.raises(InvalidInput):
            async with fetched(f"https://{host}/a", settings(), 100):
                pytest.fail("it was fetched")


async def test_what_goes_wrong_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {"/large": "200 OK", "/none": "404 Not Found", "/loop": "302 Found\r\nlocation: /loop",
               "/file": "302 Found\r\nlocation: file:///etc/passwd", "/partial": "200 OK\r\ncontent-length: 10000"}
    async with giving(answers, b"x" * 1000) as (url, asked):
        with pytest.raises(TooLarge):
            async with fetched(f"{url}/large", PRIVATE, 999):
                pytest.fail("it was fetched")
        for path, said in (("none", "404"), ("loop", "redirects"), ("file", "address with"), ("partial", "localhost")):
            with pytest.raises(InvalidInput, match=said):
                async with fetched(f"{url}/{path}", PRIVATE, 1 << 20):
                    pytest.fail("it was fetched")
        assert len([head for head in asked if " /loop " in head]) == fetching.REDIRECTS + 1

    silent = asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await silent.wait()
        writer.close()

    monkeypatch.setattr(fetching, "TIMEOUT", 0.2)
    async with await asyncio.start_server(handle, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(InvalidInput, match="within"):
            async with fetched(f"http://localhost:{port}/", PRIVATE, 100):
                pytest.fail("it was fetched")
        silent.set()


async def test_a_public_name_that_redirects_inside_is_not_followed() -> None:
    """The first request is allowed to go to this machine, the second one is looked at anew."""
    looks = iter([True, False])

    answers = {"/a": "302 Found\r\nlocation: http://internal.example:PORT/secret", "/secret": "200 OK"}
    async with giving(answers) as (url, asked):
        async def resolve(host: str, port: int) -> Sequence[str]:
            return ["127.0.0.1"] if next(looks) else []

        with pytest.raises(InvalidInput, match=r"internal\.example has no address"):
            async with fetched(f"{url}/a", PRIVATE, 100, resolve=resolve):
                pytest.fail("it was fetched")
    assert len(asked) == 1
