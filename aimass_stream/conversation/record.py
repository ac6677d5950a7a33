"""What was said so far: a bounded list of items, as a brain gets it and as protocols show it.

An item is a message, a call of a function, or what such a call gave (the three kinds that OpenAI's Realtime
protocol calls conversation items). What a user did not hear of a reply is cut off again (`truncate`), so that a
brain never believes it has said something that it has not.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from ..errors import Conflict, InvalidInput, NotFound

Role: TypeAlias = Literal["user", "assistant", "system"]
ItemKind: TypeAlias = Literal["message", "function_call", "function_call_output"]
ItemStatus: TypeAlias = Literal["in_progress", "completed", "incomplete"]

MAX_ITEMS = 512
MAX_CHARACTERS = 200_000  # of all items; the oldest are forgotten
ROOT = "root"  # for `after`: before everything else


def new_id(prefix: str = "item") -> str:
    return f"{prefix}_{secrets.token_hex(10)}"


@dataclass(frozen=True, slots=True)
class Item:
    """One entry of a conversation. Changed by `Record.change`, which puts another in its place."""

    kind: ItemKind = "message"
    role: Role = "user"
    text: str = ""  # what was said or written; the result of a function_call_output
    id: str = field(default_factory=new_id)
    status: ItemStatus = "completed"
    spoken: bool = False  # the text was heard or said, not written
    name: str = ""  # of a called function
    call_id: str = ""  # what ties a call to its output
    arguments: str = ""  # of a call: a JSON object as text
    internal: bool = False  # a tool that runs on this server: protocol clients are not told of it
    speaker: str = ""  # who said it, where several do: a name that somebody typed

    @property
    def size(self) -> int:
        """Characters."""
        return len(self.text) + len(self.arguments) + len(self.name) + len(self.speaker)


class Record:
    """The items of one conversation, the oldest first. All calls are made on one event loop."""

    def __init__(self, *, max_items: int = MAX_ITEMS, max_characters: int = MAX_CHARACTERS) -> None:
        self._items: list[Item] = []
        self._max_items, self._max_characters = max_items, max_characters

    def __len__(self) -> int:
        return len(self._items)

    @property
    def items(self) -> tuple[Item, ...]:
        return tuple(self._items)

    def add(self, item: Item, *, after: str | None = None) -> str | None:
        """Put an item in, at the end, or after the item of this id (`ROOT`: before all others).

        Answers the id of the item before it, None at the very begin. Raises `NotFound` for an `after` that is not
        there, `Conflict` for an id that is there already, `InvalidInput` for an item that is larger than a record.
        """
        if any(other.id == item.id for other in self._items):
            raise Conflict(f"there is an item {item.id[:64]!r} already", field="item.id")
        if item.size > self._max_characters:
            raise InvalidInput(f"an item has at most {self._max_characters} characters", field="item")
        place = len(self._items) if after is None else 0 if after == ROOT else self._place(after) + 1
        before = self._items[place - 1].id if place else None
        self._items.insert(place, item)
        self._forget(item)
        return before

    def get(self, item_id: str) -> Item:
        """Raises `NotFound`."""
        return self._items[self._place(item_id)]

    def last(self, role: Role | None = None) -> Item | None:
        """The newest message, or the newest one of this role."""
        return next((item for item in reversed(self._items)
                     if item.kind == "message" and role in (None, item.role)), None)

    def before(self, item_id: str) -> str | None:
        """The id of the item before this one. Raises `NotFound`."""
        place = self._place(item_id)
        return self._items[place - 1].id if place else None

    def change(self, item: Item) -> None:
        """Put this in place of the item of the same id. Raises `NotFound`."""
        self._items[self._place(item.id)] = item

    def delete(self, item_id: str) -> Item:
        """Raises `NotFound`."""
        return self._items.pop(self._place(item_id))

    def truncate(self, item_id: str, heard: str) -> Item:
        """Keep of a reply only what was heard. Raises `NotFound`, `InvalidInput` for anything but a reply.

        `heard` is what is kept; empty: the reply stays as an item without words, because protocols still name it.
        """
        item = self.get(item_id)
        if item.kind != "message" or item.role != "assistant":
            raise InvalidInput("only a message of the assistant can be truncated", field="item_id")
        shortened = replace(item, text=heard, status="incomplete")
        self.change(shortened)
        return shortened

    def for_brain(self) -> tuple[Item, ...]:
        """What a brain gets: no empty messages, and no half of a function call, which chat APIs refuse."""
        called = {item.call_id for item in self._items if item.kind == "function_call"}
        answered = {item.call_id for item in self._items if item.kind == "function_call_output"}
        whole = called & answered
        return tuple(item for item in self._items
                     if (item.call_id in whole if item.kind != "message" else item.text.strip()))

    def clear(self) -> None:
        self._items.clear()

    def _place(self, item_id: str) -> int:
        for place, item in enumerate(self._items):
            if item.id == item_id:
                return place
        raise NotFound(f"there is no item {item_id[:64]!r}", field="item_id")

    def _forget(self, newest: Item) -> None:
        size = sum(item.size for item in self._items)
        while len(self._items) > self._max_items or size > self._max_characters:
            oldest = next(item for item in self._items if item is not newest)
            self._items.remove(oldest)
            size -= oldest.size
