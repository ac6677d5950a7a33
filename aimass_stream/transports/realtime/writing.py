"""The output of one response: its items as they grow, told in the order of the protocol."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass, field
from math import ceil
from typing import Any, Protocol

from ...conversation.brain import BrainRequest, ToolCall
from ...conversation.record import Item
from ...conversation.reply import Sounding
from ...frames import Samples, now
from .items import Clause, Details, Items
from .line import Place, new_id
from .output_audio import Player
from .session import Configuration
from .sound import Encoder

CHUNK = 0.2  # s of sound in one event
CHARACTERS = 4  # of English that make about one token
TOKENS_HEARD, TOKENS_SAID = 10, 20  # that a second of sound is counted as


class Ordered(Protocol):
    """What is read here of `response.Order`."""

    config: Configuration
    aside: bool


@dataclass(slots=True)
class Message:
    """The message that is being written."""

    item_id: str
    index: int  # in the output
    spoken: bool
    details: Details = field(default_factory=Details)
    text: str = ""


class Writing:
    def __init__(self, place: Place, items: Items, player: Player | None, response: str, order: Ordered,
                 sounded: Callable[[float], None]) -> None:
        """`sounded` is told once, when the first sound leaves for the client (s, monotonic)."""
        self.output: list[dict[str, Any]] = []  # finished items
        self.text = ""  # all that the brain gave
        self.request: BrainRequest | None = None
        self.seconds = 0.0  # of sound
        self._place, self._items, self._player = place, items, player
        self._events, self._response, self._order = place.events, response, order
        self._message: Message | None = None
        self._sounded: Callable[[float], None] | None = sounded
        self._encoder = Encoder(order.config.audio.output.format)

    # messages --------------------------------------------------------------------------------------

    def write(self, text: str) -> None:
        """Further words of a reply that is only written."""
        message = self._open(spoken=False)
        message.text += text
        self._tell(message, "response.output_text.delta", delta=text)

    async def say(self, piece: Sounding, rate: int) -> None:
        """Further sound, and the words that begin in it. Waits for a client that is slow to take it."""
        message = self._open(spoken=True)
        length = len(piece.samples) / rate
        details = message.details
        if piece.text and piece.first:
            delta = f" {piece.text}" if message.text else piece.text
            message.text += delta
            details.clauses.append(Clause(piece.text, details.seconds, details.seconds))
            self._tell(message, "response.output_audio_transcript.delta", delta=delta)
        if details.clauses:
            last = details.clauses[-1]
            last.words = (*last.words, *piece.words)
            last.end = details.seconds + length
        step = max(1, int(CHUNK * rate))
        for begin in range(0, len(piece.samples), step):
            await self._send(message, piece.samples[begin : begin + step], rate,
                             piece.text if piece.first and not begin else "")

    async def _send(self, message: Message, samples: Samples, rate: int, text: str) -> None:
        if self._player is not None:
            await self._player.room()
            if self._sounded is not None:
                self._player.expect(self._response, self._sounded)
                self._sounded = None
            self._player.put(self._response, message.item_id, samples, rate, text)
        else:
            await self._place.events.line.room()
            data = self._encoder(samples, rate)
            if data:
                self._tell(message, "response.output_audio.delta", delta=base64.b64encode(data).decode())
                if self._sounded is not None:
                    self._sounded(now())
                    self._sounded = None
        message.details.seconds += len(samples) / rate
        self.seconds += len(samples) / rate
        if not self._order.aside:
            self._items.keep_sound(message.item_id, samples, rate)

    def _open(self, *, spoken: bool) -> Message:
        message = self._message
        if message is not None and message.spoken == spoken:
            return message
        if message is not None:
            self._close_message()
        message = self._message = Message(new_id("item"), len(self.output), spoken)
        self._add(Item(role="assistant", id=message.item_id, status="in_progress", spoken=spoken), message.index,
                  message.details)
        self._tell(message, "response.content_part.added", part=_part(message))
        return message

    def _add(self, item: Item, index: int, details: Details | None = None) -> None:
        """``response.output_item.added`` comes before all that is said of the item."""
        previous = self._items.add(item, details) if not self._order.aside else None
        shape = _shape(item)
        self._events.send("response.output_item.added", response_id=self._response, output_index=index, item=shape)
        if not self._order.aside:
            self._events.send("conversation.item.added", previous_item_id=previous, item=shape)

    def _finish(self, item: Item, index: int, details: Details | None = None) -> None:
        shape = _shape(item, details)
        if not self._order.aside and self._items.has(item.id):
            self._items.record.change(item)
            previous = self._items.previous(item.id)
            self._events.send("conversation.item.done", previous_item_id=previous, item=shape)
        self._events.send("response.output_item.done", response_id=self._response, output_index=index, item=shape)
        self.output.append(shape)

    def _close_message(self, *, whole: bool = True) -> None:
        message, self._message = self._message, None
        if message is None:
            return
        if message.spoken:
            self._tell(message, "response.output_audio.done")
            self._tell(message, "response.output_audio_transcript.done", transcript=message.text)
        else:
            self._tell(message, "response.output_text.done", text=message.text)
        self._tell(message, "response.content_part.done", part=_part(message))
        kind, name = ("output_audio", "transcript") if message.spoken else ("output_text", "text")
        message.details.content = [{"type": kind, name: message.text}]
        self._finish(Item(role="assistant", id=message.item_id, text=message.text, spoken=message.spoken,
                          status="completed" if whole else "incomplete"), message.index, message.details)
        if message.details.cut is not None and self._items.has(message.item_id):
            self._items.cut(message.item_id, message.details.cut)
        if self._player is not None and message.spoken:
            self._player.whole(message.item_id)

    def _tell(self, message: Message, kind: str, **fields: Any) -> None:
        self._events.send(kind, response_id=self._response, item_id=message.item_id, output_index=message.index,
                          content_index=0, **fields)

    # calls -----------------------------------------------------------------------------------------

    def call(self, call: ToolCall) -> None:
        """A function that the client runs."""
        self._close_message()
        index = len(self.output)
        item = Item("function_call", "assistant", id=new_id("item"), status="in_progress", name=call.name,
                    call_id=call.call_id)
        self._add(item, index)
        about = {"response_id": self._response, "item_id": item.id, "output_index": index, "call_id": call.call_id}
        self._events.send("response.function_call_arguments.delta", **about, delta=call.arguments)
        self._events.send("response.function_call_arguments.done", **about, name=call.name, arguments=call.arguments)
        self._finish(Item("function_call", "assistant", id=item.id, name=call.name, call_id=call.call_id,
                          arguments=call.arguments), index)

    # end -------------------------------------------------------------------------------------------

    def close(self, *, whole: bool) -> None:
        self._close_message(whole=whole)

    def usage(self) -> dict[str, Any]:
        """Estimated: a token is about four characters, a second of sound 10 (heard) or 20 (said)."""
        request = self.request
        items = request.items if request is not None else ()
        heard = ceil(sum(self._items.details(item.id).seconds for item in items
                         if item.spoken and item.role == "user" and self._items.has(item.id)) * TOKENS_HEARD)
        read = sum(item.size for item in items if not (item.spoken and item.role == "user"))
        read = ceil((read + len(request.instructions if request is not None else "")) / CHARACTERS)
        said, written = ceil(self.seconds * TOKENS_SAID), ceil(len(self.text) / CHARACTERS)
        return {
            "total_tokens": heard + read + said + written, "input_tokens": heard + read,
            "output_tokens": said + written,
            "input_token_details": {"text_tokens": read, "audio_tokens": heard, "image_tokens": 0, "cached_tokens": 0,
                                    "cached_tokens_details": {"text_tokens": 0, "audio_tokens": 0,
                                                              "image_tokens": 0}},
            "output_token_details": {"text_tokens": written, "audio_tokens": said},
        }


def _part(message: Message) -> dict[str, Any]:
    """The protocol names parts differently here than inside of items."""
    return {"type": "audio", "transcript": message.text} if message.spoken else {"type": "text", "text": message.text}



def _shape(item: Item, details: Details | None = None) -> dict[str, Any]:
    """The item as clients see it; what it says is in its events until it is done."""
    shape: dict[str, Any] = {"id": item.id, "object": "realtime.item", "type": item.kind, "status": item.status}
    if item.kind == "function_call":
        return shape | {"name": item.name, "call_id": item.call_id, "arguments": item.arguments}
    return shape | {"role": "assistant", "content": [dict(part) for part in details.content] if details else []}
