"""Timers and alarms that ring: the assistant speaks up when one is due."""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar, Literal

from ...errors import Conflict, InvalidInput, Unavailable
from ...frames import now
from ...speech.grammar import Command, Phrase
from ...speech.quantities import Clock
from ..tools import Surroundings, Tool, ToolResult
from .clock import spoken_time

MOST = 20  # at once
LONGEST = 7 * 86_400.0  # s


@dataclass(eq=False, slots=True)
class Timer:
    kind: Literal["timer", "alarm"]
    label: str
    seconds: float  # from its setting
    due: float  # s, monotonic
    moment: datetime
    task: asyncio.Task[None] | None = None

    @property
    def title(self) -> str:
        """"pasta timer", "10 minute timer", "alarm for 7 o'clock AM"."""
        if self.kind == "alarm":
            return f"{self.label} alarm" if self.label else f"alarm for {spoken_time(self.moment)}"
        return f"{self.label} timer" if self.label else f"{spoken_span(self.seconds, one=True)} timer"


class Timers(Tool):
    name = "timer"
    description = "Sets, lists and cancels timers and alarms. They ring by voice when they are due."
    parameters: ClassVar[dict[str, Any]] = {"type": "object", "required": ["action"], "properties": {
        "action": {"type": "string", "enum": ["set", "list", "cancel"]},
        "kind": {"type": "string", "enum": ["timer", "alarm"]},
        "seconds": {"type": "number", "description": "for a timer: from now"},
        "time": {"type": "string", "description": "for an alarm: HH:MM, 24 hours"},
        "label": {"type": "string", "description": "what it is called; cancel without one cancels all of the kind"}}}
    phrases = (
        Phrase("set.timer", ("(set|start|make|begin|create) [a|the|another] timer (for|of|to) <duration>",
                             "(set|start|make|begin|create) [a|an|the|another] <duration> timer",
                             "timer (for|of) <duration>", "<duration> timer", "time <duration>",
                             "remind me in <duration>", "wake me [up] in <duration>", "ring in <duration>")),
        Phrase("set.named", ("(set|start|make) [a|the|another] timer for <duration> (called|named|for) <text>",
                             "(set|start|make) [a|an|the] <duration> timer (called|named|for) <text>",
                             "(set|start|make) [a|an|the] <label:word> timer for <duration>",
                             "remind me in <duration> (to|about) <text>", "remind me to <text> in <duration>")),
        Phrase("set.alarm", ("(set|make|create) [a|an|the|another] alarm (for|at|to) <time>", "alarm (for|at) <time>",
                             "wake me [up] at <time>", "(ring|remind me) at <time>")),
        Phrase("list.timer", ("(list|show|tell me|what are|read) [all] [of] [my|the] timers",
                              "what timers (do i have|are there|are running|are set)",
                              "how (much time|long) is left [on (the|my) timer]", "how much longer",
                              "how (much time|long) do i have [left]", "how long until (the|my) timer [rings|ends]",
                              "(are there|do i have) any timers", "check [the|my] timer")),
        Phrase("list.alarm", ("(list|show|tell me|what are|read) [all] [of] [my|the] alarms",
                              "what alarms (do i have|are there|are set)", "when is (the|my) [next] alarm",
                              "(are there|do i have) any alarms")),
        Phrase("cancel.timer", ("(cancel|stop|delete|remove|clear|end) [all] [of] [the|my] (timer|timers)",
                                "turn off [all] [the|my] (timer|timers)")),
        Phrase("cancel.alarm", ("(cancel|stop|delete|remove|clear|end) [all] [of] [the|my] (alarm|alarms)",
                                "turn off [all] [the|my] (alarm|alarms)")),
        Phrase("cancel.named", ("(cancel|stop|delete|remove) [the|my] <label:word> timer",)),
    )
    example = "set a timer for ten minutes"

    def arguments(self, command: Command, around: Surroundings) -> dict[str, Any] | None:
        action, _, kind = command.name.partition(".")
        arguments: dict[str, Any] = {"action": action, "kind": "alarm" if kind == "alarm" else "timer"}
        if "duration" in command.slots:
            arguments["seconds"] = command.slots["duration"]
        clock = command.slots.get("time")
        if isinstance(clock, Clock):
            arguments["time"] = f"{next_hour(clock, around.clock()):02d}:{clock.minute:02d}"
        label = command.slots.get("label") or command.slots.get("text")
        return arguments | ({"label": str(label)} if label else {})

    def changes(self, arguments: dict[str, Any]) -> bool:
        return arguments.get("action") != "list"

    async def run(self, arguments: dict[str, Any], around: Surroundings) -> ToolResult:
        timers: list[Timer] = around.memory.setdefault("timer", [])
        kind = "alarm" if arguments.get("kind") == "alarm" or "time" in arguments else "timer"
        label = str(arguments.get("label") or "")[:60]
        match arguments.get("action"):
            case "set":
                return _set(timers, kind, label, arguments, around)
            case "cancel":
                return _cancel(timers, kind, label)
            case "list":
                return _list([timer for timer in timers if timer.kind == kind], kind)
            case other:
                raise InvalidInput(f"A timer can be set, listed or cancelled, not {other!r}.", field="action")


def _set(timers: list[Timer], kind: str, label: str, arguments: dict[str, Any], around: Surroundings) -> ToolResult:
    if around.announce is None or around.spawn is None:
        raise Unavailable("I can't ring here, so I can't set timers.")
    if len(timers) >= MOST:
        raise Conflict(f"There are {MOST} timers already. Cancel one first.")
    moment = around.clock()
    seconds = _until(arguments.get("time"), moment) if kind == "alarm" else arguments.get("seconds")
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds <= LONGEST:
        raise InvalidInput("A timer can be set for up to a week.", field="seconds")
    timer = Timer("alarm" if kind == "alarm" else "timer", label, float(seconds), now() + seconds,
                  moment + timedelta(seconds=seconds))
    timers.append(timer)
    timer.task = around.spawn(_ring(timer, timers, around.announce), f"{kind} of {seconds:g} s")
    if kind == "alarm":
        return ToolResult(f"Alarm set for {spoken_time(timer.moment)}, in {spoken_span(seconds)}.",
                          data={"due": timer.moment.isoformat(timespec="seconds")})
    return ToolResult(f"{label.capitalize() + ' timer' if label else 'Timer'} set for {spoken_span(seconds)}.",
                      data={"due": timer.moment.isoformat(timespec="seconds")})


async def _ring(timer: Timer, timers: list[Timer], announce: Any) -> None:
    await asyncio.sleep(timer.due - now())
    if timer in timers:
        timers.remove(timer)
        announce(f"Your {timer.title} is due." if timer.kind == "alarm" else f"Your {timer.title} is done.")


def _cancel(timers: list[Timer], kind: str, label: str) -> ToolResult:
    gone = [timer for timer in timers if timer.kind == kind and label in ("", timer.label)]
    for timer in gone:
        timers.remove(timer)
        if timer.task is not None:
            timer.task.cancel()
    if not gone:
        return ToolResult(f"There is no {label + ' ' if label else ''}{kind} to cancel.", ok=False)
    return ToolResult(f"The {gone[0].title} is cancelled." if len(gone) == 1 else f"{len(gone)} {kind}s are cancelled.")


def _list(timers: list[Timer], kind: str) -> ToolResult:
    if not timers:
        return ToolResult(f"There are no {kind}s.")
    left = [(timer, max(1.0, timer.due - now())) for timer in sorted(timers, key=lambda timer: timer.due)]
    sentences = [f"Your {timer.title} rings in {spoken_span(seconds)}." for timer, seconds in left]
    return ToolResult(" ".join(sentences), data={"timers": [
        {"title": timer.title, "seconds_left": round(seconds)} for timer, seconds in left]})


def next_hour(clock: Clock, moment: datetime) -> int:
    """The hour of the day that "seven" means when nobody said which half: the next one to come."""
    if clock.half or clock.hour > 12 or clock.hour == 0:
        return clock.hour
    candidates = [clock.hour % 12, clock.hour % 12 + 12]
    minutes = moment.hour * 60 + moment.minute
    return min(candidates, key=lambda hour: (hour * 60 + clock.minute - minutes - 1) % 1440)


def _until(time: object, moment: datetime) -> float:
    """Seconds until this time of day comes next."""
    hour, colon, minute = str(time).partition(":")
    if not (colon and hour.isdecimal() and minute.isdecimal() and int(hour) < 24 and int(minute) < 60):
        raise InvalidInput("An alarm needs a time such as 07:30.", field="time")
    there = moment.replace(hour=int(hour), minute=int(minute), second=0, microsecond=0)
    if there <= moment:
        there += timedelta(days=1)
    return (there - moment).total_seconds()


def spoken_span(seconds: float, *, one: bool = False) -> str:
    """"1 hour and 5 minutes"; of a long one the two largest parts. `one`: as in "a 5 minute timer"."""
    rest = max(1, math.ceil(seconds - 0.5)) if seconds >= 1 else 1
    parts = []
    for name, size in (("day", 86_400), ("hour", 3600), ("minute", 60), ("second", 1)):
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count} {name}{'s' if count > 1 and not one else ''}")
    return " and ".join(parts[:2])
