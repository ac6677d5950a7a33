"""The time and the date."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, ClassVar

from ...speech.grammar import Command, Phrase
from ..tools import Surroundings, Tool, ToolResult

DAYS = {"today": 0, "tomorrow": 1, "yesterday": -1}


class Clock(Tool):
    name = "clock"
    description = "Tells the server's local time, the date, or the day of the week."
    parameters: ClassVar[dict[str, Any]] = {"type": "object", "properties": {
        "what": {"type": "string", "enum": ["time", "date", "year"]},
        "day": {"type": "string", "enum": list(DAYS)}}}
    phrases = (
        Phrase("time", ("what time is it [now|right now]", "what is the time [now]", "[tell me] the time",
                        "(tell|give) me the time", "what time do we have", "do you (have|know) the time",
                        "what does the clock say", "[the] time")),
        Phrase("date", ("what (day|date) is it [today]", "what day is (today|tomorrow)",
                        "what (is|was) the date <day>", "what is the date", "what is today's date",
                        "[tell me] [today's] date", "tell me the date", "what day (is|was) [it] <day>"),
               lists={"day": tuple(DAYS)}),
        Phrase("year", ("what (year|month) is it", "which (year|month) is it")),
    )
    example = "what time is it"

    def arguments(self, command: Command, around: Surroundings) -> dict[str, Any] | None:
        words = command.text.split()
        day = next((word for word in words if word.strip("?.,!").lower() in DAYS), "today").strip("?.,!").lower()
        return {"what": command.name, **({"day": day} if command.name == "date" else {})}

    def changes(self, arguments: dict[str, Any]) -> bool:
        return False

    async def run(self, arguments: dict[str, Any], around: Surroundings) -> ToolResult:
        moment = around.clock()
        data = {"iso": moment.isoformat(timespec="seconds")}
        match arguments.get("what"):
            case "date":
                day = str(arguments.get("day", "today"))
                there = moment + timedelta(days=DAYS.get(day, 0))
                begin = {"today": "Today is", "tomorrow": "Tomorrow is", "yesterday": "Yesterday was"}
                return ToolResult(f"{begin.get(day, 'Today is')} {spoken_date(there)}.", data=data)
            case "year":
                return ToolResult(f"It is {moment:%B} {moment.year}.", data=data)
            case _:
                return ToolResult(f"It is {spoken_time(moment)}{zone(moment)}.", data=data)


def spoken_time(moment: datetime) -> str:
    """"2:05 PM", "noon", "9 o'clock AM"."""
    hour, half = (moment.hour - 1) % 12 + 1, "AM" if moment.hour < 12 else "PM"
    if moment.minute == 0:
        return {0: "midnight", 12: "noon"}.get(moment.hour, f"{hour} o'clock {half}")
    return f"{hour}:{moment.minute:02d} {half}"


def zone(moment: datetime) -> str:
    """The server's, which need not be the listener's."""
    name = moment.tzname() or ""
    return f" {name if name[:1].isalpha() else f'UTC{name}'}" if name else ""


def spoken_date(moment: datetime) -> str:
    """"Saturday, November 21st, 2026"."""
    ending = "th" if 10 <= moment.day % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(moment.day % 10, "th")
    return f"{moment:%A}, {moment:%B} {moment.day}{ending}, {moment.year}"
