"""Janus' own protocol over a websocket (subprotocol ``janus-protocol``): a session, its plugin handles, their events.

One message is one JSON object. A request carries a `transaction` of ours; what a plugin does later comes as an
``event`` with the same one, before or after the ``ack``. A Janus session lives while it is asked for something every
minute, and with it all handles and what they have in rooms: it ends when the websocket does.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidHandshake, InvalidStatus, WebSocketException
from websockets.typing import Subprotocol

from ...errors import AimassError, Busy, Conflict, Forbidden, InvalidInput, NotFound, Unavailable
from ..address import Target

log = logging.getLogger(__name__)

PROTOCOL = "janus-protocol"
MAX_MESSAGE = 1 << 20  # bytes: the list of a room with some hundred publishers
MAX_WAITING = 256  # requests without an answer
ANSWER_SECONDS = 10.0
KEEPALIVE_SECONDS = 20.0  # Janus forgets a session after 60 s
FAREWELL_SECONDS = 2.0

Happened = Callable[[dict[str, Any]], None]
"""Gets every message of a handle that is no answer, as Janus sent it."""

NO_SUCH_ROOM, MISSING = 426, 429
_BY_CODE: dict[int, type[AimassError]] = {  # of the core, and of the videoroom plugin
    403: Forbidden, NO_SUCH_ROOM: NotFound, 428: NotFound, MISSING: InvalidInput, 430: InvalidInput, 432: Busy,
    433: Forbidden, 436: Conflict}


def refusal(code: object, said: object) -> AimassError:
    """A refusal of Janus as one of ours."""
    if code == MISSING and "(pin)" in str(said):
        return InvalidInput("this room wants a pin", field="pin", janus_code=code)
    kind = _BY_CODE.get(code, Unavailable) if isinstance(code, int) else Unavailable
    return kind(f"Janus refused: {str(said)[:300]}", field="room" if code == NO_SUCH_ROOM else None,
                janus_code=code)


@asynccontextmanager
async def farewell() -> AsyncIterator[None]:
    """For what is asked last: a Janus that refuses it, is gone or does not answer holds nobody up."""
    with suppress(AimassError, TimeoutError):
        async with asyncio.timeout(FAREWELL_SECONDS):
            yield


class Handle:
    """What is attached to a plugin. `gone` is set when it is no longer there."""

    def __init__(self, janus: Janus, number: int, happened: Happened) -> None:
        self.number = number
        self.happened = happened
        self.gone = asyncio.Event()
        self._janus = janus

    async def ask(self, body: dict[str, Any], jsep: dict[str, Any] | None = None
                  ) -> tuple[dict[str, Any], dict[str, Any] | None]:
        """What the plugin answers, and the session description with it. Raises what it refused with."""
        message: dict[str, Any] = {"janus": "message", "body": body}
        if jsep is not None:
            message["jsep"] = jsep
        answer = await self._janus.request(message, self)
        plugin = answer.get("plugindata")
        data = plugin.get("data") if isinstance(plugin, dict) else None
        if not isinstance(data, dict):
            raise Unavailable("Janus answered without data")
        if "error_code" in data:
            raise refusal(data["error_code"], data.get("error", ""))
        offered = answer.get("jsep")
        return data, offered if isinstance(offered, dict) else None

    async def close(self) -> None:
        """Detach: what it had in the room goes. Nothing is raised; a session that is over has no handles."""
        if self.gone.is_set():
            return
        self.gone.set()
        async with farewell():
            await self._janus.request({"janus": "detach"}, self)
        self._janus.forget(self)


class Janus:
    """One Janus session. `gone` is set, with the `reason`, when it is over."""

    def __init__(self, socket: ClientConnection, secrets: dict[str, str]) -> None:
        self.gone = asyncio.Event()
        self.reason = "closed"
        self._socket = socket
        self._secrets = secrets  # "apisecret" and "token" of each request, where Janus asks for them
        self._numbers = itertools.count(1)
        self._waiting: dict[str, tuple[asyncio.Future[dict[str, Any]], bool]] = {}  # and whether an ack answers it
        self._handles: dict[int, Handle] = {}
        self._session = 0
        self._tasks: list[asyncio.Task[None]] = []

    @classmethod
    async def connect(cls, target: Target, *, api_secret: str = "", token: str = "") -> Janus:
        """Raises `Unavailable`, or `Forbidden` where the secret or the token is wrong."""
        try:
            socket = await connect(
                target.url, host=target.address, port=target.port, ssl=await target.tls(), proxy=None,
                subprotocols=[Subprotocol(PROTOCOL)], max_size=MAX_MESSAGE, max_queue=16, compression=None,
                open_timeout=ANSWER_SECONDS, close_timeout=FAREWELL_SECONDS)
        except (OSError, TimeoutError, WebSocketException) as error:
            raise Unavailable(f"no Janus answers at {target.url}: {_why(error)}", field="url") from error
        secrets = {key: value for key, value in (("apisecret", api_secret), ("token", token)) if value}
        janus = cls(socket, secrets)
        try:
            await janus._begin()
        except BaseException:
            await janus.close()
            raise
        return janus

    async def _begin(self) -> None:
        self._tasks.append(asyncio.create_task(self._read(), name="janus"))
        answer = await self.request({"janus": "create"})
        self._session = _number(answer)
        self._tasks.append(asyncio.create_task(self._stay_alive(), name="janus keepalive"))

    async def attach(self, plugin: str, happened: Happened) -> Handle:
        answer = await self.request({"janus": "attach", "plugin": plugin})
        handle = Handle(self, _number(answer), happened)
        self._handles[handle.number] = handle
        return handle

    def forget(self, handle: Handle) -> None:
        self._handles.pop(handle.number, None)

    # requests --------------------------------------------------------------------------------------

    async def request(self, message: dict[str, Any], handle: Handle | None = None) -> dict[str, Any]:
        """The answer, which of a plugin is its event. Raises `Unavailable` or the refusal."""
        if self.gone.is_set():
            raise Unavailable(f"Janus is gone: {self.reason}")
        if len(self._waiting) >= MAX_WAITING:
            raise Unavailable("Janus does not keep up with what it is asked")
        transaction = str(next(self._numbers))
        whole = message | self._secrets | {"transaction": transaction}
        if self._session:
            whole["session_id"] = self._session
        if handle is not None:
            whole["handle_id"] = handle.number
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting[transaction] = answer, message["janus"] == "keepalive"
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await self._socket.send(json.dumps(whole))
                return await answer
        except TimeoutError:
            raise Unavailable(f"Janus did not answer within {ANSWER_SECONDS:g} s") from None
        except WebSocketException as error:
            raise Unavailable(f"Janus is gone: {error}") from error
        finally:
            self._waiting.pop(transaction, None)
            if answer.done() and not answer.cancelled():
                answer.exception()  # looked at, also where the connection was cut while it was being asked

    async def _stay_alive(self) -> None:
        while True:
            await asyncio.sleep(KEEPALIVE_SECONDS)
            try:
                await self.request({"janus": "keepalive"})
            except AimassError as error:
                self._end(error.detail)
                return

    # what comes ------------------------------------------------------------------------------------

    async def _read(self) -> None:
        reason = "the connection to Janus was cut"
        try:
            async for text in self._socket:
                self._take(text)
        except WebSocketException as error:
            reason = f"{reason}: {error}"
        finally:
            self._end(reason)

    def _take(self, text: str | bytes) -> None:
        try:
            message = json.loads(text)
        except (ValueError, RecursionError):
            message = None
        if not isinstance(message, dict):
            log.info("Janus sent what is no JSON object")
            return
        kind, transaction = message.get("janus"), message.get("transaction")
        waiting = self._waiting.get(transaction) if isinstance(transaction, str) else None
        if waiting is not None:
            self._answer(*waiting, message)
        elif kind == "timeout" and "sender" not in message:
            self._end("Janus let the session time out")
        elif kind == "error" and transaction is None:
            self._refused(message)
        else:
            self._happened(kind, message)

    def _refused(self, message: dict[str, Any]) -> None:
        """It could not read what it was asked, not even its transaction."""
        log.warning("Janus refused something: %s", str(message.get("error"))[:300])
        if len(self._waiting) == 1:
            self._answer(*next(iter(self._waiting.values())), message)

    @staticmethod
    def _answer(waiting: asyncio.Future[dict[str, Any]], acked: bool, message: dict[str, Any]) -> None:
        if waiting.done() or (message.get("janus") == "ack" and not acked):
            return
        if message.get("janus") == "error":
            error = message.get("error")
            error = error if isinstance(error, dict) else {}
            waiting.set_exception(refusal(error.get("code"), error.get("reason", "")))
        else:
            waiting.set_result(message)

    def _happened(self, kind: object, message: dict[str, Any]) -> None:
        sender = message.get("sender")
        handle = self._handles.get(sender) if isinstance(sender, int) else None
        if handle is None:
            return
        if kind == "detached":
            self.forget(handle)
            handle.gone.set()
        try:
            handle.happened(message)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            log.warning("Janus sent what can't be understood: %r", error)

    def _end(self, reason: str) -> None:
        if self.gone.is_set():
            return
        self.reason = reason
        self.gone.set()
        for waiting, _ in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(Unavailable(f"Janus is gone: {reason}"))
        handles, self._handles = list(self._handles.values()), {}
        for handle in handles:
            handle.gone.set()
            handle.happened({"janus": "detached", "sender": handle.number})

    async def close(self) -> None:
        """Destroy the session, and with it all handles. May be called again."""
        if not self.gone.is_set() and self._session:
            async with farewell():
                await self.request({"janus": "destroy"})
        self._end("closed")
        for task in self._tasks[1:]:
            task.cancel()
        await self._socket.close()
        if self._tasks:
            await asyncio.wait(self._tasks)


def _why(error: Exception) -> str:
    """It can't be connected to, for whoever gave the address."""
    if isinstance(error, InvalidHandshake):
        what = (f"that is a web server (HTTP {error.response.status_code})" if isinstance(error, InvalidStatus) else
                "what is there speaks no websocket")
        return f"{what}. Give the address of Janus' websocket, such as ws://janus.example:8188 or wss://janus.example/ws"
    if isinstance(error, ssl.SSLError):
        return f"TLS fails there ({error.reason}), which ws:// in place of wss:// goes without"
    if isinstance(error, TimeoutError):
        return f"there was no answer within {ANSWER_SECONDS:g} s"
    if isinstance(error, ConnectionRefusedError):
        return "nothing listens there. Is it running, with its websocket transport?"
    return str(error) or type(error).__name__


def _number(answer: dict[str, Any]) -> int:
    data = answer.get("data")
    number = data.get("id") if isinstance(data, dict) else None
    if not isinstance(number, int):
        raise Unavailable("Janus answered without an id")
    return number
