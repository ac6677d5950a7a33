"""Events that are posted to other programs: to a real receiver on this machine, and to nobody else."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from prometheus_client import REGISTRY
from pydantic import ValidationError

from aimass_stream import webhooks
from aimass_stream.errors import InvalidInput
from aimass_stream.events import Event, WebhookFailed
from aimass_stream.webhooks import AT_ONCE, AT_ONCE_TO_HOST, MOST_OF_HOST, Webhooks, is_public, target_of

from .support.options import settings

pytestmark = pytest.mark.anyio

KEY = bytes(range(32))
SECRET = "whsec_" + base64.b64encode(KEY).decode()
FIRED = Event("rule.fired", 7, 12.5, "video-0", {"rule": "somebody at the door", "count": 1, "webhook": "https://x"})


class Receiver:
    """An HTTP server that keeps what it gets and answers as it is told."""

    def __init__(self, answers: Sequence[str | None]) -> None:
        self.answers = list(answers)  # status lines and headers, in order, the last for ever; None: it says nothing
        self.got: list[tuple[str, Mapping[str, str], bytes]] = []  # request line, headers, body
        self.port = 0
        self.hung, self.came = asyncio.Event(), asyncio.Event()

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in head[1:] if line)}
        self.got.append((head[0], headers, await reader.readexactly(int(headers["content-length"]))))
        self.came.set()
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer is None:
            await self.hung.wait()
            answer = "200 OK"
        writer.write(f"HTTP/1.1 {answer}\r\ncontent-length: 2\r\n\r\nok".encode())
        await writer.drain()
        writer.close()


@asynccontextmanager
async def receiving(*answers: str | None) -> AsyncIterator[Receiver]:
    receiver = Receiver(answers or ("204 No Content",))
    server = await asyncio.start_server(receiver.handle, "127.0.0.1", 0)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        receiver.hung.set()
        server.close()
        await server.wait_closed()


class Hooks:
    """Webhooks at work, and what they told."""

    def __init__(self, **options: Any) -> None:
        given: dict[str, Any] = {"webhook_secret": SECRET, "webhook_private": True}
        resolve = options.pop("resolve", webhooks.resolved)
        self.told: list[tuple[str, WebhookFailed]] = []
        self._news = asyncio.Event()
        self.hooks = Webhooks(settings(**(given | options)), self._tell, resolve=resolve, pauses=(0, 0))

    def _tell(self, session: str, news: WebhookFailed) -> None:
        self.told.append((session, news))
        self._news.set()

    async def failure(self) -> WebhookFailed:
        async with asyncio.timeout(30):
            while not self.told:
                self._news.clear()
                await self._news.wait()
        return self.told[-1][1]

    async def __aenter__(self) -> Hooks:
        await self.hooks.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.hooks.close()


def resolver(*addresses: str) -> Callable[[str, int], Any]:
    async def resolve(host: str, port: int) -> list[str]:
        return list(addresses)

    return resolve


def counted(result: str) -> float:
    return REGISTRY.get_sample_value("aimass_webhooks_total", {"result": result}) or 0.0


async def test_a_receiver_can_tell_who_sent_it_and_what_happened() -> None:
    async with receiving() as receiver:
        async with Hooks(resolve=resolver("127.0.0.1")) as hooks:
            hooks.hooks.send(f"http://hook.example:{receiver.port}/a?b=c", "s_1", FIRED)
        [(line, headers, body)] = receiver.got
    assert line == "POST /a?b=c HTTP/1.1"
    assert headers["host"] == f"hook.example:{receiver.port}"
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    wanted = base64.b64encode(hmac.new(KEY, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{wanted}"
    assert abs(int(headers["webhook-timestamp"]) - time.time()) < 10
    told = json.loads(body)
    assert told["type"] == "rule.fired"
    assert told["data"] == {"session": "s_1", "seq": 7, "pts": 12.5, "track": "video-0",
                            "rule": "somebody at the door", "count": 1}


async def test_what_fails_is_repeated_under_the_same_id_and_told_at_last() -> None:
    before = counted("delivered"), counted("repeated"), counted("failed")
    async with receiving("500 Oh", "503 No", "200 OK") as receiver, Hooks() as hooks:
        hooks.hooks.send(f"http://127.0.0.1:{receiver.port}/", "s_1", FIRED)
        await hooks.hooks.close()
        assert len(receiver.got) == 3
        assert len({headers["webhook-id"] for _, headers, _ in receiver.got}) == 1
        assert hooks.told == []
    async with receiving("500 Oh") as receiver, Hooks() as hooks:
        hooks.hooks.send(f"http://127.0.0.1:{receiver.port}/", "s_1", FIRED)
        failed = await hooks.failure()
        assert (failed.attempts, len(receiver.got)) == (3, 3)
        assert "answered 500" in failed.detail
    after = counted("delivered"), counted("repeated"), counted("failed")
    assert after == (before[0] + 1, before[1] + 4, before[2] + 1)


async def test_nobody_listens_or_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    async with receiving() as receiver:
        port = receiver.port
    async with Hooks() as hooks:
        hooks.hooks.send(f"http://127.0.0.1:{port}/", "s_1", FIRED)
        assert (await hooks.failure()).attempts == 3
    monkeypatch.setattr(webhooks, "TIMEOUT", 0.1)
    async with receiving(None) as receiver, Hooks() as hooks:
        hooks.hooks.send(f"http://127.0.0.1:{receiver.port}/", "s_1", FIRED)
        assert "has not answered for 0.1 s" in (await hooks.failure()).detail


async def test_a_host_that_does_not_answer_holds_up_no_other() -> None:
    async with receiving(None) as silent, receiving() as quick, Hooks(resolve=resolver("127.0.0.1")) as hooks:
        for _ in range(AT_ONCE + 4):
            hooks.hooks.send(f"http://silent.example:{silent.port}/", "s_1", FIRED)
        hooks.hooks.send(f"http://quick.example:{quick.port}/", "s_2", FIRED)
        async with asyncio.timeout(8):  # before who is silent is given up
            await quick.came.wait()
        assert len(silent.got) <= AT_ONCE_TO_HOST
        silent.hung.set()


@pytest.mark.parametrize("answer", ["302 Found\r\nlocation: http://127.0.0.1:1/", "307 Temporary\r\nlocation: /b",
                                    "410 Gone"])
async def test_redirects_are_not_followed_and_who_is_gone_is_not_asked_again(answer: str) -> None:
    async with receiving(answer) as receiver, Hooks() as hooks:
        hooks.hooks.send(f"http://127.0.0.1:{receiver.port}/", "s_1", FIRED)
        assert (await hooks.failure()).attempts == 1
        assert len(receiver.got) == 1


@pytest.mark.parametrize("addresses", [["127.0.0.1"], ["10.0.0.8"], ["93.184.216.34", "127.0.0.1"], ["::1"],
                                       ["::ffff:127.0.0.1"], ["169.254.169.254"]])
async def test_no_name_leads_into_a_private_network(addresses: list[str]) -> None:
    async with receiving() as receiver, Hooks(webhook_private=False, resolve=resolver(*addresses)) as hooks:
        hooks.hooks.send(f"https://hook.example:{receiver.port}/", "s_1", FIRED)
        failed = await hooks.failure()
        assert "hook.example is in a private network" in failed.detail
        assert failed.attempts == 1
        assert receiver.got == []


@pytest.mark.parametrize(("address", "public"), [
    ("93.184.216.34", True), ("2606:2800:220:1::1", True), ("127.0.0.1", False), ("0.0.0.0", False),
    ("10.1.2.3", False), ("172.16.0.1", False), ("192.168.1.1", False), ("100.64.0.1", False),
    ("169.254.169.254", False), ("224.0.0.1", False), ("255.255.255.255", False), ("240.0.0.1", False),
    ("::", False), ("::1", False), ("fe80::1%eth0", False), ("fc00::1", False), ("fec0::1", False), ("ff02::1", False),
    ("::ffff:10.0.0.1", False), ("2002:7f00:1::", False), ("2002:5db8:d822::", True), ("64:ff9b::7f00:1", False),
    ("2001:0:4136:e378:8000:63bf:3fff:fdd2", False), ("2001:db8::1", False),
])
def test_which_addresses_are_the_internets(address: str, public: bool) -> None:
    assert is_public(address) is public


@pytest.mark.parametrize("url", ["http://example.com/", "ftp://example.com/", "https://", "https://user:pw@example.com/",
                                 "example.com", "file:///etc/passwd", "https://[::1", ""])
def test_addresses_that_nothing_is_posted_to(url: str) -> None:
    with pytest.raises(InvalidInput):
        target_of(url, settings(webhook_secret=SECRET))


def test_without_a_secret_nothing_is_posted() -> None:
    with pytest.raises(InvalidInput, match="AIMASS_WEBHOOK_SECRET"):
        target_of("https://example.com/", settings())


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_c2hvcnQ=", "whsec_!", SECRET[:-1], "whsec_" + "A" * 100])
def test_a_secret_that_is_none(secret: str) -> None:
    with pytest.raises(ValidationError, match="24 to 64 random bytes"):
        settings(webhook_secret=secret)


async def test_they_are_bounded_and_what_the_servers_end_loses_is_counted_and_logged(
        monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(webhooks, "GRACE", 0.05)
    before = counted("dropped"), counted("lost")
    async with receiving(None) as receiver, Hooks() as hooks:
        for _ in range(MOST_OF_HOST + 5):
            hooks.hooks.send(f"http://127.0.0.1:{receiver.port}/", "s_1", FIRED)
        assert [news.detail for _, news in hooks.told] == ["too many are on their way"] * 5
        await hooks.hooks.close()
        assert (counted("dropped"), counted("lost")) == (before[0] + 5, before[1] + MOST_OF_HOST)
        assert len([line for line in caplog.messages if "the server stops before webhook" in line]) == MOST_OF_HOST
