"""The family ``conversation.item``: what was said so far, as the client sees and changes it."""

from __future__ import annotations

import asyncio
import base64
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Literal, TypeAlias

import numpy as np
from pydantic import Field, TypeAdapter, ValidationError

from ...conversation.record import ROOT, Item, Record
from ...errors import AimassError, NotFound
from ...frames import Samples
from ...speech.words import Word, joined
from .errors import Refused, invalid, shown
from .line import Place, new_id
from .session import MAX_TEXT, AudioFormat, Part
from .sound import Encoder

MAX_ID = 64  # characters
MAX_PARTS = 32
KEPT_SOUND = 8 * 1024 * 1024  # bytes of sound that can be retrieved; the oldest goes first
LONGEST_SOUND = 60.0  # s of one item that can be retrieved: from its begin
MAX_SOUND = 16 * 1024 * 1024  # characters of base64 in one part

ItemId: TypeAlias = Annotated[str, Field(min_length=1, max_length=MAX_ID)]


class InputText(Part):
    type: Literal["input_text"]
    text: str = Field(max_length=MAX_TEXT)


class InputAudio(Part):
    type: Literal["input_audio"]
    audio: str | None = Field(None, max_length=MAX_SOUND)
    transcript: str | None = Field(None, max_length=MAX_TEXT)


class OutputText(Part):
    type: Literal["output_text", "text"]
    text: str = Field(max_length=MAX_TEXT)


class OutputAudio(Part):
    type: Literal["output_audio", "audio"]
    transcript: str | None = Field(None, max_length=MAX_TEXT)


class _Entry(Part):
    id: ItemId | None = None
    status: Literal["completed", "incomplete", "in_progress"] | None = None


class UserMessage(_Entry):
    type: Literal["message"]
    role: Literal["user"]
    content: list[Annotated[InputText | InputAudio, Field(discriminator="type")]] = Field(max_length=MAX_PARTS)


class SystemMessage(_Entry):
    type: Literal["message"]
    role: Literal["system"]
    content: list[InputText] = Field(max_length=MAX_PARTS)


class AssistantMessage(_Entry):
    type: Literal["message"]
    role: Literal["assistant"]
    content: list[Annotated[OutputText | OutputAudio, Field(discriminator="type")]] = Field(max_length=MAX_PARTS)


class FunctionCall(_Entry):
    type: Literal["function_call"]
    name: str = Field(min_length=1, max_length=128)
    call_id: str | None = Field(None, max_length=MAX_ID)
    arguments: str = Field(max_length=MAX_TEXT)


class FunctionCallOutput(_Entry):
    type: Literal["function_call_output"]
    call_id: str = Field(min_length=1, max_length=MAX_ID)
    output: str = Field(max_length=MAX_TEXT)


Message: TypeAlias = Annotated[UserMessage | SystemMessage | AssistantMessage, Field(discriminator="role")]
Given: TypeAlias = UserMessage | SystemMessage | AssistantMessage | FunctionCall | FunctionCallOutput
_GIVEN: TypeAdapter[Given] = TypeAdapter(
    Annotated[Message | FunctionCall | FunctionCallOutput, Field(discriminator="type")])


@dataclass(slots=True)
class Clause:
    """A piece of a spoken reply and where in its sound it lies."""

    text: str
    start: float  # s from the begin of the item's sound
    end: float
    words: tuple[Word, ...] = ()  # timed like the clause

    def heard(self, until: float) -> str:
        """What of it had been said by then."""
        if until >= self.end:
            return self.text
        if self.words:
            return joined([word for word in self.words if word.end <= until])
        words = self.text.split()
        share = max(0.0, until - self.start) / max(self.end - self.start, 1e-6)
        return " ".join(words[: int(share * len(words))])


@dataclass(slots=True)
class Details:
    """What the protocol shows of an item beyond what a brain reads."""

    content: list[dict[str, Any]] = field(default_factory=list)  # parts as they are shown
    clauses: list[Clause] = field(default_factory=list)  # of a spoken reply
    seconds: float = 0.0  # of its sound
    cut: float | None = None  # s: heard until there, but more of it was still being made


@dataclass(slots=True)
class Kept:
    """Sound of an item, for whoever retrieves it."""

    rate: int  # Hz
    pieces: list[Samples] = field(default_factory=list)
    size: int = 0  # bytes


class Items:
    """A `Record` and the details of its items. `hear` gets sound that a client put into an item."""

    def __init__(self, place: Place, hear: Callable[[str, bytes], Awaitable[None]]) -> None:
        self.record = Record()
        self._place = place
        self._events = place.events
        self._hear = hear
        self._details: dict[str, Details] = {}
        self._sound: OrderedDict[str, Kept] = OrderedDict()
        self.sound_size = 0  # bytes

    # for the other families ------------------------------------------------------------------------

    def add(self, item: Item, details: Details | None = None, *, after: str | None = None) -> str | None:
        """Put it in; answers the id of the one before. Raises `Refused`."""
        try:
            self.record.add(item, after=after)
        except NotFound:
            raise Refused(f"There is no item {shown(after)} to put this one after.", code="item_not_found",
                          param="previous_item_id") from None
        except AimassError as error:
            raise Refused(f"{error.detail[:1].upper()}{error.detail[1:]}.", code="invalid_value",
                          param=error.field) from None
        self._details[item.id] = details or Details()
        self._prune()
        return self.previous(item.id)

    def announce(self, item_id: str, previous: str | None, *, done: bool = True) -> None:
        """``conversation.item.added`` and, where it is all there, ``conversation.item.done``."""
        shape = self.json(item_id)
        self._events.send("conversation.item.added", previous_item_id=previous, item=shape)
        if done:
            self._events.send("conversation.item.done", previous_item_id=previous, item=shape)

    def details(self, item_id: str) -> Details:
        return self._details.setdefault(item_id, Details())

    def has(self, item_id: str) -> bool:
        return item_id in self._details

    def change(self, item_id: str, **changes: Any) -> None:
        """Nothing happens to an item that was deleted meanwhile."""
        if self.has(item_id):
            self.record.change(replace(self.record.get(item_id), **changes))

    def previous(self, item_id: str) -> str | None:
        """The item before this one, of those that the client knows."""
        before: str | None = None
        for item in self.record.items:
            if item.id == item_id:
                return before
            before = before if item.internal else item.id
        return None

    @property
    def last(self) -> str | None:
        return next((item.id for item in reversed(self.record.items) if not item.internal), None)

    def keep_sound(self, item_id: str, samples: Samples, rate: int) -> None:
        """Further sound of this item, (n, 1) int16 at `rate` Hz. What is past LONGEST_SOUND is not kept."""
        kept = self._sound.setdefault(item_id, Kept(rate))
        samples = samples[: max(0, int(LONGEST_SOUND * kept.rate) - kept.size // 2)].copy()  # of it alone
        if not len(samples):
            return
        kept.pieces.append(samples)
        kept.size += samples.nbytes
        self.sound_size += samples.nbytes
        while self.sound_size > KEPT_SOUND and len(self._sound) > 1:
            self.sound_size -= self._sound.popitem(last=False)[1].size

    def cut(self, item_id: str, seconds: float) -> None:
        """Keep of a spoken reply what was heard until then."""
        details = self.details(item_id)
        heard = " ".join(filter(None, (clause.heard(seconds) for clause in details.clauses if clause.start < seconds)))
        self.record.truncate(item_id, heard)
        details.clauses = [Clause(heard, 0.0, seconds)] if heard else []
        details.seconds = seconds
        details.content = [{"type": "output_audio", "transcript": heard}]
        kept = self._sound.pop(item_id, None)
        if kept is not None and kept.pieces:
            self.sound_size -= kept.size
            self.keep_sound(item_id, np.concatenate(kept.pieces)[: round(seconds * kept.rate)], kept.rate)

    def json(self, item_id: str) -> dict[str, Any]:
        """The item as clients see it. Raises `NotFound`."""
        item = self.record.get(item_id)
        shape: dict[str, Any] = {"id": item.id, "object": "realtime.item", "type": item.kind, "status": item.status}
        if item.kind == "function_call":
            return shape | {"name": item.name, "call_id": item.call_id, "arguments": item.arguments}
        if item.kind == "function_call_output":
            return shape | {"call_id": item.call_id, "output": item.text}
        return shape | {"role": item.role, "content": [dict(part) for part in self.details(item_id).content]}

    def _prune(self) -> None:
        """The record forgets the oldest; so do we."""
        if len(self._details) > len(self.record):
            there = {item.id for item in self.record.items}
            for item_id in [name for name in self._details if name not in there]:
                self._drop(item_id)

    def _drop(self, item_id: str) -> None:
        self._details.pop(item_id, None)
        kept = self._sound.pop(item_id, None)
        self.sound_size -= kept.size if kept is not None else 0

    # client events ---------------------------------------------------------------------------------

    async def create(self, event: dict[str, Any]) -> None:
        """``conversation.item.create``."""
        item, details, sounds = read(event.get("item"))
        after = event.get("previous_item_id")
        if after is not None and not isinstance(after, str):
            raise Refused("Invalid 'previous_item_id': a text is needed.", code="invalid_type",
                          param="previous_item_id")
        if item.kind == "function_call_output" and not any(
                other.kind == "function_call" and other.call_id == item.call_id for other in self.record.items):
            raise Refused(f"There is no function call with the call_id {shown(item.call_id)}.",
                          code="invalid_tool_call_id", param="item.call_id")
        previous = self.add(item, details, after=ROOT if after == "root" else after)
        self.announce(item.id, previous)
        for sound in sounds:
            await self._hear(item.id, sound)

    async def retrieve(self, event: dict[str, Any]) -> None:
        """``conversation.item.retrieve``."""
        item_id = self._known(event, "item_retrieve_invalid_item_id", "retrieve")
        shape, kept = self.json(item_id), self._sound.get(item_id)
        by_message = not self._place.microphone  # a data channel is no place for minutes of sound
        if kept is not None and kept.pieces and shape.get("content") and by_message:
            audio = self._place.configuration.audio
            form = audio.input.format if shape["role"] == "user" else audio.output.format
            shape["content"][0]["audio"] = await asyncio.to_thread(_base64, list(kept.pieces), kept.rate, form)
        self._events.send("conversation.item.retrieved", item=shape)

    async def delete(self, event: dict[str, Any]) -> None:
        """``conversation.item.delete``."""
        item_id = self._known(event, "item_delete_invalid_item_id", "delete")
        self.record.delete(item_id)
        self._drop(item_id)
        self._events.send("conversation.item.deleted", item_id=item_id)

    async def truncate(self, event: dict[str, Any]) -> None:
        """``conversation.item.truncate``: the reply was not heard to its end."""
        item_id = self._known(event, "item_truncate_invalid_item_id", "truncate")
        index, end = event.get("content_index"), event.get("audio_end_ms")
        if not isinstance(end, int) or isinstance(end, bool) or end < 0:
            raise Refused("Invalid 'audio_end_ms': a number of milliseconds from 0 is needed.", code="invalid_type",
                          param="audio_end_ms")
        item, details = self.record.get(item_id), self.details(item_id)
        if item.kind != "message" or item.role != "assistant":
            raise Refused("Only a message of the assistant can be truncated.", code="invalid_value", param="item_id")
        if index != 0 or not item.spoken:
            raise Refused("There is no sound in this part of the item.", code="invalid_value", param="content_index")
        if end > details.seconds * 1000 + 1:  # clients round
            raise Refused(f"Audio content of {details.seconds * 1000:.0f}ms is already shorter than {end}ms.",
                          code="invalid_value", param="audio_end_ms")
        if item.status == "in_progress":
            details.cut = end / 1000
        else:
            self.cut(item_id, end / 1000)
        self._events.send("conversation.item.truncated", item_id=item_id, content_index=0, audio_end_ms=end)

    def _known(self, event: dict[str, Any], code: str, what: str) -> str:
        item_id = event.get("item_id")
        if isinstance(item_id, str) and self.has(item_id) and not self.record.get(item_id).internal:
            return item_id
        if not isinstance(item_id, str):
            raise Refused("Missing required parameter: 'item_id'.", code="missing_required_parameter",
                          param="item_id")
        raise Refused(f"There is no item {shown(item_id)} to {what}.", code=code, param="item_id")


def read(value: object, prefix: str = "item") -> tuple[Item, Details, list[bytes]]:
    """An item as a client gives it, and the sound in it that has to be heard first. Raises `Refused`."""
    try:
        given = _GIVEN.validate_python(value)
    except ValidationError as error:
        raise invalid(error, prefix) from None
    item_id = given.id or new_id("item")
    if isinstance(given, FunctionCall):
        return Item("function_call", "assistant", id=item_id, name=given.name, arguments=given.arguments,
                    call_id=given.call_id or new_id("call")), Details(), []
    if isinstance(given, FunctionCallOutput):
        return Item("function_call_output", "user", given.output, id=item_id, call_id=given.call_id), Details(), []
    texts: list[str] = []
    content: list[dict[str, Any]] = []
    sounds: list[bytes] = []
    for index, part in enumerate(given.content):
        said = part.transcript if isinstance(part, InputAudio | OutputAudio) else part.text
        if isinstance(part, InputAudio) and part.audio:
            sound = decoded(part.audio, f"{prefix}.content[{index}].audio")
            sounds += [] if said else [sound]
        texts.append(said or "")
        kind: str = {"text": "output_text", "audio": "output_audio"}.get(part.type, part.type)
        content.append({"type": kind, "transcript" if "audio" in kind else "text": said})
    spoken = any("audio" in part["type"] for part in content)
    return Item("message", given.role, " ".join(filter(None, texts)), item_id, spoken=spoken), Details(content), sounds


def decoded(text: object, param: str) -> bytes:
    """Base64 as bytes. Raises `Refused`."""
    if not isinstance(text, str):
        raise Refused(f"Invalid {param!r}: base64 text is needed.", code="invalid_type", param=param)
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise Refused(f"Invalid {param!r}: this is not base64.", code="invalid_value", param=param) from None


def _base64(pieces: list[Samples], rate: int, form: AudioFormat) -> str:
    """In a thread: a minute of sound takes some milliseconds."""
    return base64.b64encode(Encoder(form)(np.concatenate(pieces), rate)).decode()
