"""The family ``response``: one reply at a time in the conversation, others beside it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Protocol

from pydantic import Field, TypeAdapter, ValidationError

from ...conversation.brain import Brain, BrainRequest, Described, Function, TextDelta, ToolCall
from ...conversation.latency import told
from ...conversation.record import Item
from ...conversation.reply import Action, Call, Delta, Done, Reply, Sound
from ...conversation.tools import Surroundings, Toolbox
from ...errors import AimassError
from ...speaking.speaker import Speaker
from .errors import Refused, invalid, shown
from .input_audio import Asked
from .items import Items, read
from .line import Place, new_id
from .output_audio import Player
from .session import Configuration, merged_for_response
from .writing import Writing

log = logging.getLogger(__name__)

MAX_ASIDE = 4  # responses at once that don't belong to the conversation
MAX_INPUT = 512  # items of `input`

Reason = Literal["turn_detected", "client_cancelled"]
_METADATA: TypeAdapter[dict[str, str]] = TypeAdapter(Annotated[
    dict[Annotated[str, Field(max_length=64)], Annotated[str, Field(max_length=512)]], Field(max_length=16)])


@dataclass(frozen=True, slots=True)
class Mind:
    """Who answers in this conversation, and with what."""

    brain: Brain
    around: Surroundings
    toolbox: Toolbox
    offered: bool = True  # the brain is told of the toolbox's tools; else they are for when it fails


class Company(Protocol):
    """What a response needs of its conversation."""

    def mind(self) -> Mind: ...
    async def speaker(self, config: Configuration) -> Speaker: ...
    async def settled(self) -> None:
        """Returns when the words of all that was committed are there."""
        ...
    def begun(self) -> None:
        """A reply begins."""
        ...
    def answered(self, seconds: float) -> None:
        """A reply is over; its sound is so long."""
        ...


@dataclass(slots=True)
class Order:
    """What a response is made from."""

    config: Configuration
    metadata: dict[str, str] | None = None
    items: tuple[Item, ...] | None = None  # instead of the conversation's
    aside: bool = False  # not part of the conversation
    hint: str = ""  # further instructions
    say: str = ""  # just this, instead of asking the brain
    asked: Asked | None = None  # the turn that it answers, where the server began it


class Response:
    """One reply, from ``response.created`` to ``response.done``, which always comes."""

    def __init__(self, place: Place, items: Items, company: Company, player: Player | None, order: Order) -> None:
        self.id = new_id("resp")
        self.order = order
        self._place, self._items, self._company, self._player = place, items, company, player
        self._events = place.events
        self._reason: Reason | None = None
        self._reply: Reply | None = None
        self._task: asyncio.Task[None] | None = None
        self._writing = Writing(place, items, player if not order.aside else None, self.id, order,
                                sounded=self._sounded)
        self._status = "in_progress"
        self._details: dict[str, Any] | None = None
        self._told = False  # ``response.done`` was sent

    def start(self, over: Callable[[Response], None]) -> None:
        self._events.send("response.created", response=self.json())
        self._events.send("rate_limits.updated", rate_limits=[])
        self._task = self._place.session.spawn(self._run(over), f"response {self.id[-6:]}")

    def cancel(self, reason: Reason) -> None:
        """Stop at once; ``response.done`` has left when this returns. May be called again."""
        if self._status != "in_progress":
            return
        self._reason = reason
        if self._reply is not None:
            self._reply.cancel()
        self._finish()
        if self._task is not None:
            self._task.cancel()

    async def _run(self, over: Callable[[Response], None]) -> None:
        try:
            await self._answer()
        except asyncio.CancelledError:
            if self._reason is None:
                self._told = True  # the session ends: nobody is there any more
                raise
        except AimassError as error:
            self._fail(error.detail)
        except Exception:
            log.exception("session %s: a response failed", self._place.session.id)
            self._fail("something of ours went wrong; the server's log has more")
        finally:
            if self._reply is not None:
                self._reply.cancel()
            self._finish()
            over(self)

    def _sounded(self, moment: float) -> None:
        """The first sound has left for the client."""
        asked = self.order.asked
        if asked is not None and self._reply is not None:
            self._place.session.event(told(self.id, asked.heard, ended=asked.ended, moments=self._reply.moments,
                                           played=moment))

    def _fail(self, message: str) -> None:
        self._status = "failed"
        self._details = {"type": "failed", "reason": None,
                         "error": {"type": "server_error", "code": "server_error", "message": message}}

    async def _answer(self) -> None:
        await self._company.settled()
        order, mind = self.order, self._company.mind()
        speaks = order.config.output_modalities == ["audio"]
        speaker = await self._company.speaker(order.config) if speaks else None
        request = self._request(mind)
        self._writing.request = request
        brain: Brain = Saying(order.say) if order.say else mind.brain
        self._reply = Reply(brain, request, around=mind.around, toolbox=mind.toolbox, speaker=speaker)
        calls: list[ToolCall] = []
        async for event in self._reply.events():
            match event:
                case Delta(text):
                    self._writing.text += text
                    if not speaks:
                        self._writing.write(text)
                case Sound(piece):
                    assert speaker is not None
                    await self._writing.say(piece, speaker.rate)
                case Call(call):
                    calls.append(call)  # the client gets it when it has all that was said before it
                case Action(items=pair):
                    if not order.aside:
                        for item in pair:
                            self._items.add(item)
                case Done(status="failed", error=error):
                    self._fail(error)
                case _:
                    pass
        for call in calls:
            self._writing.call(call)

    def _request(self, mind: Mind) -> BrainRequest:
        config = self.order.config
        tools: list[Described] = [
            Function(tool.name, tool.description or "", tool.parameters or {"type": "object", "properties": {}})
            for tool in config.tools]
        names = {tool.name for tool in tools}
        if mind.offered:
            tools += [tool for tool in mind.toolbox.for_models() if tool.name not in names]
        items = self.order.items if self.order.items is not None else self._items.record.for_brain()
        instructions = "\n\n".join(filter(None, (config.instructions, self.order.hint)))
        heard = config.audio.input.transcription
        return BrainRequest(
            items, instructions=instructions, tools=tuple(tools), tool_choice=config.choice,
            max_tokens=None if config.max_output_tokens == "inf" else config.max_output_tokens,
            language=(heard.language if heard is not None else None) or "en", session=self._place.session.id)

    def _finish(self) -> None:
        if self._told:
            return
        self._told = True
        if self._reason is not None:
            self._status = "cancelled"
            self._details = {"type": "cancelled", "reason": self._reason, "error": None}
        elif self._status == "in_progress":
            self._status = "completed"
            self._details = {"type": "completed", "reason": None, "error": None}
        self._writing.close(whole=self._status == "completed")
        self._events.send("response.done", response=self.json())
        if not self.order.aside:
            self._company.answered(self._writing.seconds)

    def json(self) -> dict[str, Any]:
        config = self.order.config
        done = self._status != "in_progress"
        output = {"format": config.audio.output.format.model_dump(), "voice": config.audio.output.voice}
        return {
            "id": self.id, "object": "realtime.response", "status": self._status, "status_details": self._details,
            "output": self._writing.output if done else [],
            "conversation_id": None if self.order.aside else f"conv_{self._place.session.id}",
            "output_modalities": config.output_modalities, "max_output_tokens": config.max_output_tokens,
            "audio": {"output": output}, "metadata": self.order.metadata,
            "usage": self._writing.usage() if done else None,
        }


class Saying:
    """A brain that has one thing to say."""

    name = "announcement"

    def __init__(self, text: str) -> None:
        self._text = text

    async def reply(self, request: BrainRequest) -> AsyncIterator[TextDelta | ToolCall]:
        yield TextDelta(self._text)

    async def close(self) -> None:
        """Nothing is held."""


class Responses:
    """Begins and ends them."""

    def __init__(self, place: Place, items: Items, company: Company, player: Player | None) -> None:
        self._place, self._items, self._company, self._player = place, items, company, player
        self.active: Response | None = None  # in the conversation
        self._aside: dict[str, Response] = {}

    def begin(self, order: Order) -> Response:
        """Raises `Refused` when there is no room for another one."""
        if self._place.configuration.type != "realtime":
            raise Refused("A transcription session has no responses.", code="invalid_value", param="type")
        if order.aside:
            if len(self._aside) >= MAX_ASIDE:
                raise Refused(f"{MAX_ASIDE} responses are made beside the conversation already.",
                              code="rate_limit_exceeded")
        elif self.active is not None:
            raise Refused(
                f"Conversation already has an active response in progress: {self.active.id}. Wait until the response "
                "is finished before creating a new one.", code="conversation_already_has_active_response")
        response = Response(self._place, self._items, self._company, self._player, order)
        if order.aside:
            self._aside[response.id] = response
        else:
            self.active = response
            self._company.begun()
        response.start(self._over)
        return response

    def _over(self, response: Response) -> None:
        if self.active is response:
            self.active = None
        self._aside.pop(response.id, None)

    def interrupt(self, reason: Reason) -> None:
        """End the conversation's response, if there is one."""
        if self.active is not None:
            self.active.cancel(reason)
            self.active = None

    # client events ---------------------------------------------------------------------------------

    async def create(self, event: dict[str, Any]) -> None:
        """``response.create``."""
        given = event.get("response") or {}
        if not isinstance(given, dict):
            raise Refused("Invalid 'response': an object is needed.", code="invalid_type", param="response")
        conversation = given.get("conversation") or "auto"
        if conversation not in ("auto", "none"):
            raise Refused(f"Invalid 'response.conversation': 'auto' or 'none', not {shown(conversation)}.",
                          code="invalid_value", param="response.conversation")
        try:
            metadata = None if given.get("metadata") is None else _METADATA.validate_python(given["metadata"])
        except ValidationError as error:
            raise invalid(error, "response.metadata") from None
        self.begin(Order(merged_for_response(self._place.configuration, given), metadata,
                         self._input(given.get("input")), aside=conversation == "none"))

    def _input(self, given: object) -> tuple[Item, ...] | None:
        if given is None:
            return None
        if not isinstance(given, list) or len(given) > MAX_INPUT:
            raise Refused(f"Invalid 'response.input': a list of at most {MAX_INPUT} items is needed.",
                          code="invalid_type", param="response.input")
        items = []
        for index, value in enumerate(given):
            param = f"response.input[{index}]"
            if isinstance(value, dict) and value.get("type") == "item_reference":
                item_id = value.get("id")
                if not isinstance(item_id, str) or not self._items.has(item_id):
                    raise Refused(f"There is no item {shown(item_id)}.", code="item_not_found", param=f"{param}.id")
                items.append(self._items.record.get(item_id))
                continue
            item, _, sounds = read(value, param)
            if sounds:
                raise Refused("Sound in 'response.input' needs its transcript beside it.", code="invalid_value",
                              param=param)
            items.append(item)
        return tuple(items)

    async def cancel(self, event: dict[str, Any]) -> None:
        """``response.cancel``."""
        wanted = event.get("response_id")
        if wanted is not None and wanted in self._aside:
            self._aside[wanted].cancel("client_cancelled")
            return
        if self.active is None or (wanted is not None and wanted != self.active.id):
            raise Refused("Cancellation failed: no active response found", code="response_cancel_not_active",
                          param="response_id" if wanted is not None else None)
        self.interrupt("client_cancelled")
