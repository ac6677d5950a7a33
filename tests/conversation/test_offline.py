from __future__ import annotations

import json
from typing import Any

import pytest

from aimass_stream.conversation.brain import BrainRequest, Function
from aimass_stream.conversation.guess import guess_call
from aimass_stream.conversation.offline import GREETING, OfflineBrain, cannot, edits, nearest
from aimass_stream.conversation.record import Item

from .around import TOOLBOX, Around, ask, collected

pytestmark = pytest.mark.anyio


def understood(text: str) -> tuple[str, dict[str, Any]] | None:
    intent = OfflineBrain(TOOLBOX, Around("assistant", "mirror")).understand(text)
    return None if intent is None else (intent.tool.name, intent.arguments)


@pytest.mark.parametrize(("text", "tool", "arguments"), [
    ("What time is it?", "clock", {"what": "time"}),
    ("could you please tell me the time", "clock", {"what": "time"}),
    ("what is the date tomorrow", "clock", {"what": "date", "day": "tomorrow"}),
    ("Set a timer for ten minutes.", "timer", {"action": "set", "kind": "timer", "seconds": 600.0}),
    ("set a pasta timer for an hour and a half", "timer",
     {"action": "set", "kind": "timer", "seconds": 5400.0, "label": "pasta"}),
    ("wake me at seven thirty", "timer", {"action": "set", "kind": "alarm", "time": "19:30"}),
    ("wake me up at six am", "timer", {"action": "set", "kind": "alarm", "time": "06:00"}),
    ("cancel all my timers", "timer", {"action": "cancel", "kind": "timer"}),
    ("what is twenty percent of fifty", "arithmetic", {"expression": "twenty percent of fifty"}),
    ("how many feet are in a mile", "convert", {"number": 1, "from": "mile", "to": "foot"}),
    ("20 degrees in fahrenheit", "convert", {"number": 20, "from": "celsius", "to": "fahrenheit"}),
    ("how do you spell necessary", "spell", {"word": "necessary"}),
    ("remember that my keys are in the drawer", "notes",
     {"action": "remember", "text": "my keys are in the drawer"}),
    ("mirror the picture", "steer", {"action": "on", "stage": "mirror", "parameters": {"direction": "horizontal"}}),
    ("make it a cartoon", "steer", {"action": "on", "stage": "cartoon", "parameters": {}}),
    ("black and white please", "steer", {"action": "on", "stage": "gray", "parameters": {}}),
    ("turn the picture 45 degrees", "steer", {"action": "on", "stage": "rotate", "parameters": {"degrees": 45}}),
    ("turn captions on", "steer", {"action": "on", "stage": "captions"}),
    ("turn off the captions", "steer", {"action": "off", "stage": "captions"}),
    ("stop the effects", "steer", {"action": "all_off"}),
    ("louder", "steer", {"action": "on", "stage": "gain", "parameters": {"db": "+6"}}),
    ("a bit quieter please", "steer", {"action": "on", "stage": "gain", "parameters": {"db": "-6"}}),
    ("stop", "small_talk", {"what": "stop"}),
    ("never mind", "small_talk", {"what": "stop"}),
    ("what can you do", "small_talk", {"what": "help"}),
])
def test_what_is_said_becomes_a_call_of_a_tool(text: str, tool: str, arguments: dict[str, Any]) -> None:
    assert understood(text) == (tool, arguments)


@pytest.mark.parametrize(("heard", "meant"), [
    ("make it a carton", "make it a cartoon"),  # as recognisers mishear
    ("mirrer the picture", "mirror the picture"),
    ("um set a tymer for five minutes", "set a timer for five minutes"),
    ("uh what time is it", "what time is it"),
    ("stop the affects", "stop the effects"),
])
def test_a_word_or_two_may_be_misheard(heard: str, meant: str) -> None:
    assert understood(heard) == understood(meant) is not None


@pytest.mark.parametrize("text", [
    "", "...", "the quick brown fox jumps over the lazy dog", "I told him to stop the car in front of the house",
    "we should set the table for ten people", "what a beautiful morning", "she spells it with two letters",
    "where is the library", "two", "it was half past ten when the timer rang", "x" * 5000, "and then " * 500,
])
def test_what_is_no_command_as_a_whole_is_none(text: str) -> None:
    assert understood(text) is None


async def test_it_says_plainly_what_it_cannot_do() -> None:
    around = Around()
    said, calls = await ask("Who was Napoleon?", around)
    assert (said, calls) == (cannot("Who was Napoleon?"), [])
    assert said.startswith("Sorry, I can't help with that. I heard: Who was Napoleon. I'm the built-in assistant")
    assert await ask("and who was Caesar", around) == (
        "Sorry, I can't help with that either. I heard: and who was Caesar.", [])
    assert cannot("no " * 20).count(" no") == 12  # a long one is not said back whole
    assert (await ask("?!", around))[0].startswith("Sorry, I didn't catch that")


async def test_without_a_question_it_greets() -> None:
    brain = OfflineBrain(TOOLBOX, Around())
    assert await collected(brain, BrainRequest((), "Greet the user.")) == (GREETING, [])


async def test_what_a_tool_gave_is_spoken_once() -> None:
    """Also a client's, whose output may be JSON."""
    brain = OfflineBrain(TOOLBOX, Around())
    items = (Item(text="weather?"), Item("function_call", name="get_weather", call_id="1"),
             Item("function_call_output", text=json.dumps({"wind_speed": 3, "sky": "clear"}), call_id="1"))
    assert await collected(brain, BrainRequest(items)) == ("wind speed: 3; sky: clear.", [])


WEATHER = Function("get_weather", "", {"type": "object", "required": ["city"], "properties": {
    "city": {"type": "string"}, "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]}}})
LIGHTS = Function("set_lights", "", {"type": "object", "required": ["level"], "properties": {
    "level": {"type": "integer"}, "room": {"type": "string"}}})


@pytest.mark.parametrize(("text", "name", "arguments"), [
    ("What's the weather in Paris?", "get_weather", {"city": "Paris"}),
    ("what is the weather in New York in fahrenheit", "get_weather", {"city": "fahrenheit", "unit": "fahrenheit"}),
    ("set the lights to twenty five percent", "set_lights", {"level": 25, "room": "twenty five percent"}),
])
def test_a_clients_function_is_called_when_its_name_is_said(text: str, name: str, arguments: dict[str, Any]) -> None:
    call = guess_call(text, [WEATHER, LIGHTS])
    assert call is not None
    assert (call.name, json.loads(call.arguments)) == (name, arguments)


def test_a_clients_function_is_not_called_without_need() -> None:
    assert guess_call("hello there", [WEATHER, LIGHTS]) is None
    assert guess_call("turn the lights off", [LIGHTS]) is None  # no level was said
    assert guess_call("what is the weather", [WEATHER], "none") is None
    forced = guess_call("hello there", [LIGHTS, WEATHER], "get_weather")
    assert forced is not None
    assert forced.name == "get_weather"


def test_the_nearest_word_is_the_one_and_only() -> None:
    words = frozenset({"mirror", "minutes", "timer", "times", "effects"})
    assert [edits("kitten", other) for other in ("sitting", "kitten", "")] == [3, 0, 6]
    assert nearest("mirro", words) == "mirror"
    assert nearest("time", words) is None  # two are as near
    assert nearest("tim", words) is None  # too short to be sure
