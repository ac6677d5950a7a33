from __future__ import annotations

import pytest

from aimass_stream.conversation.record import ROOT, Item, Record
from aimass_stream.errors import Conflict, InvalidInput, NotFound


def filled(*texts: str) -> Record:
    record = Record()
    for text in texts:
        record.add(Item(text=text, id=text))
    return record


def ids(record: Record) -> list[str]:
    return [item.id for item in record.items]


def test_items_are_put_at_the_end_after_another_or_in_front() -> None:
    record = filled("a", "b")
    assert record.add(Item(id="c")) == "b"
    assert record.add(Item(id="d"), after="a") == "a"
    assert record.add(Item(id="e"), after=ROOT) is None
    assert ids(record) == ["e", "a", "d", "b", "c"]
    assert record.before("e") is None
    assert record.before("d") == "a"


def test_what_is_not_there_and_what_is_there_already() -> None:
    record = filled("a")
    with pytest.raises(Conflict):
        record.add(Item(id="a"))
    for missing in (lambda: record.get("x"), lambda: record.delete("x"), lambda: record.before("x"),
                    lambda: record.add(Item(), after="x"), lambda: record.truncate("x", "")):
        with pytest.raises(NotFound):
            missing()
    assert ids(record) == ["a"]


def test_a_reply_is_cut_to_what_was_heard() -> None:
    record = filled("a")
    record.add(Item(role="assistant", text="One two three.", id="r"))
    assert record.truncate("r", "One two").status == "incomplete"
    assert record.get("r").text == "One two"
    with pytest.raises(InvalidInput):
        record.truncate("a", "")


def test_it_is_bounded_in_items_and_in_characters() -> None:
    record = Record(max_items=3, max_characters=100)
    for number in range(5):
        record.add(Item(text="x" * 20, id=str(number)))
    assert ids(record) == ["2", "3", "4"]
    record.add(Item(text="y" * 90, id="long"))
    assert ids(record) == ["long"]
    with pytest.raises(InvalidInput):
        record.add(Item(text="z" * 101))
    record.add(Item(text="y" * 30, id="front"), after=ROOT)
    assert ids(record) == ["front"]  # the newest stays wherever it was put


def test_a_brain_gets_whole_calls_and_no_empty_messages() -> None:
    record = filled("a")
    record.add(Item(role="assistant", text="", status="incomplete"))
    record.add(Item("function_call", name="f", call_id="1"))
    record.add(Item("function_call", name="f", call_id="2"))
    record.add(Item("function_call_output", text="out", call_id="1"))
    record.add(Item("function_call_output", text="lost", call_id="3"))
    assert [(item.kind, item.call_id) for item in record.for_brain()] == [
        ("message", ""), ("function_call", "1"), ("function_call_output", "1")]
