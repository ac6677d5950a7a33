from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from aimass_stream.conversation.skills.arithmetic import read, spoken
from aimass_stream.conversation.skills.clock import zone
from aimass_stream.conversation.skills.timers import next_hour, spoken_span
from aimass_stream.conversation.skills.units import MEASURES, SCALES, converted
from aimass_stream.conversation.tools import use
from aimass_stream.errors import InvalidInput
from aimass_stream.speech.quantities import UNITS, Clock
from tests.support.waiting import until

from .around import TOOLBOX, Around, ask

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(("text", "answer"), [
    ("what time is it", "It is 2:05 PM UTC."),
    ("what day is it today", "Today is Saturday, November 21st, 2026."),
    ("what was the date yesterday", "Yesterday was Friday, November 20th, 2026."),
    ("what month is it", "It is November 2026."),
    ("two plus two", "That is 4."),
    ("what is twenty percent of fifty", "That is 10."),
    ("what is 3 divided by zero", "Nothing can be divided by zero."),
    ("five miles in kilometers", "5 miles are about 8.05 kilometers."),
    ("what is minus forty celsius in fahrenheit", "minus 40 degrees Celsius are minus 40 degrees Fahrenheit."),
    ("convert two gigabytes to megabytes", "2 gigabytes are 2000 megabytes."),
    ("how many inches are in a foot", "1 foot is 12 inches."),
    ("five miles in hours", "miles can't be converted to hours."),
    ("spell cat", "Cat is spelled: C, A, T."),
    ("thank you", "You're welcome."),
    ("say that again", "I haven't said anything yet."),
])
async def test_questions_have_speakable_answers(text: str, answer: str) -> None:
    assert (await ask(text, Around()))[0] == answer


@pytest.mark.parametrize(("expression", "value"), [
    ("two plus three times four", "14"), ("(2 + 3) * 4", "20"), ("2 ^ 3 ^ 2", "512"), ("10 - 2 - 3", "5"),
    ("minus three squared", "-9"), ("three point one four times two", "6.28"), ("half of nine", "4.5"),
    ("fifty plus ten percent", "55"), ("200 minus 25 percent", "150"), ("the square root of 144", "12"),
    ("two to the power of ten", "1024"), ("ten to the power of minus two", "0.01"), ("double 21", "42"),
    ("17 modulo 5", "2"), ("0.1 plus 0.2", "0.3"), ("one million times one million", "1000000000000"),
])
def test_arithmetic(expression: str, value: str) -> None:
    assert read(expression)[0] == Decimal(value)


@pytest.mark.parametrize("expression", [
    "", "two plus", "plus", "(1 + 2", "1 / 0", "the square root of minus four", "9 ^ 999 ^ 999", "__import__('os')",
    "1 plus " * 50, "(" * 500, "ten to the power of one million", "five apples times two",
])
def test_what_is_no_arithmetic_is_refused_at_once(expression: str) -> None:
    with pytest.raises(InvalidInput):
        read(expression)


def test_results_are_rounded_and_said_to_be() -> None:
    assert [spoken(Decimal(text)) for text in ("0.3333333333", "-2.50", "-0.0000001", "1267650600228229401496703205376",
                                               "-0")] == [
        "about 0.333333", "minus 2.5", "about minus 1 times 10 to the -7", "about 1.268 times 10 to the 30", "0"]


def test_every_unit_that_can_be_said_can_be_converted() -> None:
    measured = {unit for factors in MEASURES.values() for unit in factors} | set(SCALES)
    assert measured == set(UNITS)
    for factors in MEASURES.values():
        first = next(iter(factors))
        for unit in factors:
            assert converted(converted(3, first, unit), unit, first) == pytest.approx(3)
    with pytest.raises(InvalidInput):
        converted(-300, "celsius", "kelvin")


# timers -------------------------------------------------------------------------------------------------


async def run(around: Around, tool: str, **arguments: Any) -> str:
    found = TOOLBOX.get(tool)
    assert found is not None
    return (await use(found, arguments, around)).text


async def test_a_timer_rings_once_when_it_is_due() -> None:
    around = Around()
    assert await run(around, "timer", action="set", seconds=0.05, label="tea") == "Tea timer set for 1 second."
    await run(around, "timer", action="set", seconds=3600)
    await until(lambda: around.said)
    assert around.said == ["Your tea timer is done."]
    assert (await ask("list my timers", around))[0] == "Your 1 hour timer rings in 1 hour."
    assert (await ask("cancel the timer", around))[0] == "The 1 hour timer is cancelled."
    assert (await ask("how much time is left", around))[0] == "There are no timers."
    assert (await ask("cancel the timer", around))[0] == "There is no timer to cancel."


async def test_a_cancelled_timer_does_not_ring() -> None:
    around = Around()
    await run(around, "timer", action="set", seconds=0.05)
    await run(around, "timer", action="cancel")
    await run(around, "timer", action="set", seconds=0.1, label="later")
    await until(lambda: around.said)
    assert around.said == ["Your later timer is done."]


async def test_an_alarm_is_the_next_of_that_time() -> None:
    around = Around()
    answer, _ = await ask("set an alarm for half past six", around)
    assert answer == "Alarm set for 6:30 PM, in 4 hours and 25 minutes."
    assert (await ask("when is my alarm", around))[0] == "Your alarm for 6:30 PM rings in 4 hours and 25 minutes."
    assert (await ask("turn off the alarm", around))[0] == "The alarm for 6:30 PM is cancelled."


async def test_timers_have_limits_and_say_so() -> None:
    around = Around()
    for wrong in (0, -5, 1e9, True, "ten", None):
        assert await run(around, "timer", action="set", seconds=wrong) == "A timer can be set for up to a week."
    for wrong in ("25:00", "noon", None, 7):
        assert await run(around, "timer", action="set", kind="alarm", time=wrong) == (
            "An alarm needs a time such as 07:30.")
    assert "not 'sing'" in await run(around, "timer", action="sing")
    for _ in range(20):
        await run(around, "timer", action="set", seconds=1000)
    assert (await run(around, "timer", action="set", seconds=1000)).startswith("There are 20 timers")
    await run(around, "timer", action="cancel")
    around.announce = None
    assert await run(around, "timer", action="set", seconds=5) == "I can't ring here, so I can't set timers."


def test_hours_and_spans_as_they_are_said() -> None:
    afternoon = datetime(2026, 1, 1, 14, 5, tzinfo=UTC)
    assert [next_hour(clock, afternoon) for clock in (
        Clock(7, 0), Clock(2, 0), Clock(3, 0), Clock(12, 0), Clock(7, 0, "am"), Clock(19, 0))] == [19, 2, 15, 0, 7, 19]
    assert [spoken_span(seconds) for seconds in (0.2, 1, 61, 3600, 90_061)] == [
        "1 second", "1 second", "1 minute and 1 second", "1 hour", "1 day and 1 hour"]


# notes --------------------------------------------------------------------------------------------------


async def test_notes_are_recalled_from_the_other_side() -> None:
    around = Around()
    assert (await ask("remember that my keys are in the blue drawer", around))[0] == (
        "I'll remember that your keys are in the blue drawer.")
    await ask("Take a note that Anna likes green tea", around)
    assert (await ask("where are my keys", around))[0] == "You told me that your keys are in the blue drawer."
    assert (await ask("what did I say about Anna", around))[0] == "You told me that Anna likes green tea."
    assert (await ask("what do you remember", around))[0].startswith("You have 2 notes. 1: your keys")
    assert (await ask("where is the cat", around))[1] == []  # no note, no command
    assert (await ask("forget my notes", around))[0] == "I have forgotten your notes."
    assert (await ask("what do you remember", around))[0] == "There are no notes."
    assert (await ask("where are my keys", around))[0] == "You didn't tell me anything about your keys."
    assert (await ask("where are my keys", Around()))[1] == []  # nobody has made notes: no command


def test_a_time_names_its_zone_where_it_has_one() -> None:
    moment = datetime(2026, 11, 21, 12)
    assert [zone(moment), zone(moment.replace(tzinfo=UTC))] == ["", " UTC"]
    assert zone(moment.replace(tzinfo=timezone(timedelta(hours=-3)))) == " UTC-03:00"
    assert zone(moment.replace(tzinfo=ZoneInfo("America/Sao_Paulo"))) == " UTC-03"


async def test_the_last_reply_is_repeated() -> None:
    around = Around()
    first, _ = await ask("what is six times seven", around)
    assert (await ask("say that again", around))[0] == first == "That is 42."


# steering -----------------------------------------------------------------------------------------------


async def test_the_pipeline_is_steered_by_voice() -> None:
    around = Around("assistant")
    assert (await ask("mirror the picture", around))[0] == "Mirror is on."
    assert (await ask("make it a cartoon", around))[0] == "Cartoon is on."
    assert (await ask("turn the captions on", around))[0] == "Captions are on."
    assert [stage["stage"] for stage in around.running] == ["assistant", "mirror", "cartoon", "captions"]
    assert (await ask("turn off the mirror", around))[0] == "Mirror is off."
    assert (await ask("turn off the mirror", around))[0] == "Mirror is not on."
    assert (await ask("no more effects", around))[0] == "The effects are off."
    assert [stage["stage"] for stage in around.running] == ["assistant", "captions"]
    assert (await ask("stop the effects", around))[0] == "There are no effects on."


async def test_a_session_without_pictures_says_so_and_stays_as_it_is() -> None:
    around = Around("assistant")
    around.kinds = lambda: frozenset({"audio"})
    for said in ("mirror the picture", "make it a cartoon", "turn the captions on"):
        answer, actions = await ask(said, around)
        assert answer == "There is no picture here."
        assert [(action.name, action.result.ok) for action in actions] == [("steer", False)]
    assert around.running == [{"stage": "assistant"}]
    listed = await run(around, "steer", action="list")
    assert listed.startswith("There is no picture here. For the sound: ")
    assert "gain" in listed.lower()
    assert "mirror" not in listed.lower()
    assert (await ask("louder", around))[0] == "Okay."
    around.running.append({"stage": "mirror"})  # from a time with pictures, or by hand
    assert (await ask("stop the effects", around))[0] == "The effects are off."


async def test_louder_is_after_the_assistant_and_stays_in_range() -> None:
    around = Around("gain", "assistant")
    for _ in range(9):
        assert (await ask("louder", around))[0] == "Okay."
    assert around.running == [{"stage": "gain"}, {"stage": "assistant"}, {"stage": "gain", "db": 40}]
    await ask("turn it down", around)
    assert around.running[2]["db"] == 34


async def test_what_a_session_refuses_is_said() -> None:
    around = Around("assistant")
    said = await run(around, "steer", action="on", stage="blur", parameters={"sigma": -5})
    assert said.startswith("That can't be done: blur.sigma")
    assert await run(around, "steer", action="on", stage="wings") == "There is no effect called wings."
    assert around.running == [{"stage": "assistant"}]
    around.steer = None
    assert await run(around, "steer", action="all_off") == "I can't change anything here."
    assert (await ask("mirror the picture", around))[1] == []  # nothing to steer, no command


async def test_a_tool_never_ends_the_conversation() -> None:
    """Whatever a model gives as arguments."""
    around = Around("assistant")
    wrong: tuple[dict[str, Any], ...] = (
        {}, {"action": 5}, {"action": "set", "seconds": [1]}, {"what": None}, {"word": "x" * 99}, {"expression": 7},
        {"number": "many", "from": "mile", "to": "foot"}, {"stage": {}})
    for tool in TOOLBOX.all():
        for arguments in wrong:
            result = await use(tool, arguments, around)
            assert result.text
    await asyncio.sleep(0)
