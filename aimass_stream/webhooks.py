"""Events posted to other programs, signed as the Standard Webhooks specification says (version 1.0.0).

``webhook-id`` stays over repetitions, ``webhook-timestamp`` is the attempt's, and ``webhook-signature`` is ``v1,`` and
the base64 of the HMAC-SHA256 of ``id.timestamp.body``.

Whoever may open a session names the addresses, so this must be no way into the server's own network: every address
that a name has must be a public one, the connection goes to an address that was looked at, redirects are not followed,
no proxy is asked, and of an answer only the status is read.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import secrets
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from ipaddress import IPv6Address, ip_address
from socket import SOCK_STREAM, gaierror
from typing import Any, TypeAlias

import httpx

from . import metrics
from .errors import InvalidInput
from .events import Event, WebhookFailed
from .settings import Settings
from .signing import key_of, signature

log = logging.getLogger(__name__)

MOST, MOST_OF_HOST = 256, 64  # deliveries on their way, those that wait to be repeated among them; more are dropped
AT_ONCE, AT_ONCE_TO_HOST = 16, 2  # connections; a host that does not answer must not hold up the others
TIMEOUT = 10.0  # s, of an attempt
PAUSES = (1.0, 5.0, 25.0, 60.0)  # s before each repetition, and up to half as much again by chance
GRACE = 3.0  # s that the server's end waits for what is on its way

Resolve: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]
Tell: TypeAlias = Callable[[str, WebhookFailed], None]  # of which session
Ended: TypeAlias = Callable[[str, int], None]  # why it was not delivered, "" if it was; and the number of attempts


class Undeliverable(Exception):
    """No repetition would help."""


@dataclass(frozen=True, slots=True)
class Delivery:
    url: httpx.URL
    about: str  # which session, which job
    body: bytes
    ended: Ended
    id: str = field(default_factory=lambda: f"msg_{secrets.token_urlsafe(18)}")


def target_of(url: str, settings: Settings) -> httpx.URL:
    """Raises `InvalidInput` for one that nothing is posted to."""
    if settings.webhook_secret is None:
        raise InvalidInput("this server sends no webhooks: its operator has set no AIMASS_WEBHOOK_SECRET",
                           field="webhook")
    try:
        target = httpx.URL(url)
    except (httpx.InvalidURL, ValueError):
        target = httpx.URL()
    schemes = ("https", "http") if settings.webhook_private else ("https",)
    if target.scheme not in schemes or not target.host or target.userinfo:
        raise InvalidInput(f"a webhook is an address with {' or '.join(schemes)}, and without a password in it",
                           field="webhook")
    return target


def is_public(address: str) -> bool:
    """Whether an IP address is one of the internet's, and leads to none that is not."""
    ip = ip_address(address.partition("%")[0])
    if isinstance(ip, IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour
        if inner is not None:
            return is_public(str(inner))
        if ip.teredo is not None or ip.is_site_local:
            return False
    return ip.is_global and not (ip.is_multicast or ip.is_reserved)


async def resolved(host: str, port: int) -> Sequence[str]:
    """The addresses of a name, in the system's order."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def payload(session: str, event: Event) -> bytes:
    data: dict[str, Any] = {"session": session, "seq": event.seq, "pts": event.pts, "track": event.track}
    data |= {name: value for name, value in event.data.items() if name != "webhook"}
    moment = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return json.dumps({"type": event.type, "timestamp": moment, "data": data}, ensure_ascii=False).encode()


class Webhooks:
    """Of one server. `start` it before the first `send`; `close` counts and logs what it could not deliver.

    `tell` is called with what failed for good, `resolve` finds a name's addresses.
    """

    def __init__(self, settings: Settings, tell: Tell, *, resolve: Resolve = resolved,
                 pauses: Sequence[float] = PAUSES) -> None:
        self._settings, self._tell, self._resolve, self._pauses = settings, tell, resolve, pauses
        self._client: httpx.AsyncClient | None = None
        self._turn = asyncio.Semaphore(AT_ONCE)
        self._turns: dict[str, asyncio.Semaphore] = {}  # of hosts that something is on its way to
        self._tasks: dict[asyncio.Task[None], Delivery] = {}
        self._of_host: Counter[str] = Counter()

    async def start(self) -> None:
        if self._settings.webhook_secret is not None:
            certificates = await asyncio.to_thread(httpx.create_ssl_context)  # reads a file of some hundred
            # no connection is kept: one to an address must not serve another name
            self._client = httpx.AsyncClient(
                verify=certificates, follow_redirects=False, trust_env=False, timeout=TIMEOUT,
                limits=httpx.Limits(max_connections=AT_ONCE, max_keepalive_connections=0))

    async def close(self) -> None:
        """Give what is on its way a few seconds; the rest is lost, counted and logged."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=GRACE)
        lost = list(self._tasks.items())
        for task, delivery in lost:
            task.cancel()
            log.warning("the server stops before webhook %s of %s reached %s", delivery.id, delivery.about,
                        delivery.url.host)
        if lost:
            metrics.WEBHOOKS.labels("lost").inc(len(lost))
            await asyncio.wait([task for task, _ in lost])
        if self._client is not None:
            await self._client.aclose()

    def send(self, url: str, session: str, event: Event) -> None:
        """Post this event; never waits. What can't be posted is counted, logged and told."""
        def ended(detail: str, attempts: int) -> None:
            if detail:
                self._tell(session, WebhookFailed(url=url, detail=detail, attempts=attempts))

        self.post(url, f"session {session}", payload(session, event), ended)

    def post(self, url: str, about: str, body: bytes, ended: Ended, *, message_id: str | None = None) -> None:
        """Post this JSON; never waits. `ended` is called once, unless the server stops before; with 0 attempts where
        none could be made. The same message has the same id, so that it is known when it comes twice."""
        try:
            target = target_of(url, self._settings)
        except InvalidInput as error:
            return self._failed(about, ended, "dropped", error.detail, 0)
        if len(self._tasks) >= MOST or self._of_host[target.host] >= MOST_OF_HOST or self._client is None:
            return self._failed(about, ended, "dropped", "too many are on their way", 0)
        delivery = Delivery(target, about, body, ended, **({"id": message_id} if message_id else {}))
        task = asyncio.create_task(self._deliver(delivery), name=f"webhook {delivery.id}")
        self._tasks[task] = delivery
        self._of_host[target.host] += 1
        self._turns.setdefault(target.host, asyncio.Semaphore(AT_ONCE_TO_HOST))
        task.add_done_callback(self._done)
        return None

    def _done(self, task: asyncio.Task[None]) -> None:
        host = self._tasks.pop(task).url.host
        self._of_host[host] -= 1
        if not self._of_host[host]:
            del self._of_host[host], self._turns[host]

    def _failed(self, about: str, ended: Ended, result: str, detail: str, attempts: int) -> None:
        metrics.WEBHOOKS.labels(result).inc()
        log.warning("a webhook of %s was not delivered: %s", about, detail)
        ended(detail, attempts)

    async def _deliver(self, delivery: Delivery) -> None:
        detail = ""
        for number, pause in enumerate((0.0, *self._pauses)):
            if number:
                metrics.WEBHOOKS.labels("repeated").inc()
                await asyncio.sleep(pause * random.uniform(1, 1.5))
            try:
                async with self._turns[delivery.url.host], self._turn, asyncio.timeout(TIMEOUT):
                    await self._attempt(delivery, number)
            except Undeliverable as error:
                return self._failed(delivery.about, delivery.ended, "failed", str(error), number + 1)
            except TimeoutError:
                detail = f"{delivery.url.host} has not answered for {TIMEOUT:g} s"
            except (httpx.HTTPError, OSError) as error:
                detail = f"{delivery.url.host}: {error or type(error).__name__}"
            else:
                metrics.WEBHOOKS.labels("delivered").inc()
                return delivery.ended("", number + 1)
        return self._failed(delivery.about, delivery.ended, "failed", detail, len(self._pauses) + 1)

    async def _attempt(self, delivery: Delivery, number: int) -> None:
        """Raises `Undeliverable`, or what makes another attempt worth it."""
        assert self._client is not None
        assert self._settings.webhook_secret is not None
        url, stamp = delivery.url, int(time.time())
        address = await self._address(url, number)
        key = key_of(self._settings.webhook_secret)
        request = self._client.build_request(
            "POST", url.copy_with(host=address), content=delivery.body, extensions={"sni_hostname": url.host}, headers={
                "Host": url.netloc.decode("ascii"), "Content-Type": "application/json",
                "User-Agent": "aimass-stream", "webhook-id": delivery.id, "webhook-timestamp": str(stamp),
                "webhook-signature": signature(key, delivery.id, stamp, delivery.body)})
        response = await self._client.send(request, stream=True)
        await response.aclose()
        if response.has_redirect_location or response.status_code == httpx.codes.GONE:
            raise Undeliverable(f"{url.host} answered {response.status_code}; redirects are not followed")
        if not response.is_success:
            raise httpx.HTTPStatusError(f"it answered {response.status_code}", request=request, response=response)

    async def _address(self, url: httpx.URL, number: int) -> str:
        """One that may be connected to; another at each attempt, if there are several."""
        try:
            found = await self._resolve(url.host, url.port or (443 if url.scheme == "https" else 80))
        except gaierror as error:
            raise OSError(error.strerror or "it has no address") from None
        if not self._settings.webhook_private and not all(is_public(address) for address in found):
            raise Undeliverable(f"{url.host} is in a private network; see the setting webhook_private")
        if not found:
            raise OSError("it has no address")
        return found[number % len(found)]
