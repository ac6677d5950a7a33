"""Numbers, lengths of time, times of day and units as people say or write them.

Each reader takes tokens (`grammar.tokens`) and a place and gives every reading that begins there, the longest
first: (place after it, value). The rules beside them say the same to a grammar in JSGF.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

Readings: TypeAlias = list[tuple[int, Any]]

ONES = {"zero": 0, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9}
TEENS = {"ten": 10, "eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15, "sixteen": 16,
         "seventeen": 17, "eighteen": 18, "nineteen": 19}
TENS = {"twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90}
# what a recogniser writes instead
ALIKE = {"oh": 0, "o": 0, "won": 1, "to": 2, "too": 2, "for": 4, "fore": 4, "ate": 8}
SCALES = {"thousand": 1_000, "million": 1_000_000, "billion": 1_000_000_000}

SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400, "week": 604_800}

# by the name that a skill gets, everything that people say for it
UNITS: dict[str, tuple[str, ...]] = {
    "millimeter": ("millimeter", "millimeters"), "centimeter": ("centimeter", "centimeters"),
    "meter": ("meter", "meters"), "kilometer": ("kilometer", "kilometers"),
    "inch": ("inch", "inches"), "foot": ("foot", "feet"), "yard": ("yard", "yards"), "mile": ("mile", "miles"),
    "gram": ("gram", "grams"), "kilogram": ("kilogram", "kilograms", "kilo", "kilos"),
    "ton": ("ton", "tons"), "ounce": ("ounce", "ounces"), "pound": ("pound", "pounds"), "stone": ("stone", "stones"),
    "milliliter": ("milliliter", "milliliters"), "liter": ("liter", "liters"),
    "teaspoon": ("teaspoon", "teaspoons"), "tablespoon": ("tablespoon", "tablespoons"), "cup": ("cup", "cups"),
    "pint": ("pint", "pints"), "quart": ("quart", "quarts"), "gallon": ("gallon", "gallons"),
    "celsius": ("celsius", "degrees celsius", "degree celsius", "centigrade"),
    "fahrenheit": ("fahrenheit", "degrees fahrenheit", "degree fahrenheit"), "kelvin": ("kelvin",),
    "second": ("second", "seconds"), "minute": ("minute", "minutes"), "hour": ("hour", "hours"),
    "day": ("day", "days"), "week": ("week", "weeks"), "year": ("year", "years"),
    "kilometer per hour": ("kilometers per hour", "kilometers an hour"),
    "mile per hour": ("miles per hour", "miles an hour"), "meter per second": ("meters per second",),
    "byte": ("byte", "bytes"), "kilobyte": ("kilobyte", "kilobytes"), "megabyte": ("megabyte", "megabytes"),
    "gigabyte": ("gigabyte", "gigabytes"), "degree": ("degree", "degrees"),
}
WRITTEN_UNITS: dict[str, str] = {
    "mm": "millimeter", "cm": "centimeter", "m": "meter", "km": "kilometer", "ft": "foot", "g": "gram",
    "kg": "kilogram", "oz": "ounce", "lb": "pound", "lbs": "pound", "ml": "milliliter", "l": "liter",
    "degrees c": "celsius", "degrees f": "fahrenheit", "kph": "kilometer per hour", "kmh": "kilometer per hour",
    "mph": "mile per hour", "kb": "kilobyte",
    "radian": "radian", "radians": "radian", "mb": "megabyte", "gb": "gigabyte"}
# what can be converted into each other, and how often it is; a grammar hears nothing else
MEASURES: dict[str, tuple[int, tuple[str, ...]]] = {
    "length": (4, ("millimeter", "centimeter", "meter", "kilometer", "inch", "foot", "yard", "mile")),
    "mass": (4, ("gram", "kilogram", "ton", "ounce", "pound", "stone")),
    "volume": (3, ("milliliter", "liter", "teaspoon", "tablespoon", "cup", "pint", "quart", "gallon")),
    "heat": (3, ("celsius", "fahrenheit", "kelvin", "degree")),
    "period": (3, ("second", "minute", "hour", "day", "week", "year")),
    "speed": (2, ("kilometer per hour", "mile per hour", "meter per second")),
    "data": (1, ("byte", "kilobyte", "megabyte", "gigabyte")),
}
_UNITS = {way: name for name, ways in UNITS.items() for way in ways} | WRITTEN_UNITS


@dataclass(frozen=True, slots=True)
class Clock:
    """A time of day as it was said; whoever sets an alarm settles what "seven" without a half of day means."""

    hour: int  # 0 to 23; 1 to 12 when the half is not known
    minute: int
    half: Literal["am", "pm", ""] = ""  # "": not said


def words_at(said: Sequence[str], at: int, words: str) -> int:
    """The place after these words if they stand there, else -1."""
    wanted = words.split()
    return at + len(wanted) if list(said[at : at + len(wanted)]) == wanted else -1


def longest_first(readings: Readings) -> Readings:
    return sorted(dict(readings).items(), key=lambda reading: -reading[0])


def number(said: Sequence[str], at: int) -> Readings:
    """"twenty five", "2.5", "minus three point one four", "two and a half", "five hundred and six"."""
    if at < len(said) and said[at] in ("minus", "negative"):
        return [(end, -value) for end, value in number(said, at + 1)]
    found: Readings = []
    for end, value in _integer(said, at):
        found.append((end, value))
        found += _decimals(said, end, value)
        half = words_at(said, end, "and a half")
        if half > 0:
            found.append((half, value + 0.5))
    for words, value in (("half a", 0.5), ("half an", 0.5), ("a half", 0.5), ("a", 1), ("an", 1)):
        end = words_at(said, at, words)
        if end > 0:
            found.append((end, value))
    return longest_first(found)


def _decimals(said: Sequence[str], at: int, whole: float) -> Readings:
    found: Readings = []
    if at < len(said) and said[at] == "point":
        digits, at = "", at + 1
        while at < len(said) and (said[at] in ONES or said[at] in ("oh", "o") or said[at].isdecimal()):
            digits += said[at] if said[at].isdecimal() else str(ONES.get(said[at], 0))
            at += 1
            found.append((at, float(f"{int(whole)}.{digits}")))
    return found


def _integer(said: Sequence[str], at: int) -> Readings:
    found: Readings = []
    for end, value in _hundreds(said, at):
        found.append((end, value))
        if end < len(said) and said[end] in SCALES:
            scaled = value * SCALES[said[end]]
            found.append((end + 1, scaled))
            rest = end + 2 if words_at(said, end + 1, "and") > 0 else end + 1
            found += [(last, scaled + more) for last, more in _integer(said, rest) if more < SCALES[said[end]]]
    return longest_first(found)


def _hundreds(said: Sequence[str], at: int) -> Readings:
    found = _below_hundred(said, at)
    if words_at(said, at, "a hundred") > 0:
        found = [*found, (at + 1, 1)]
    for end, value in list(found):
        if words_at(said, end, "hundred") > 0 and 1 <= value <= 99:
            found.append((end + 1, value * 100))
            rest = end + 2 if words_at(said, end + 1, "and") > 0 else end + 1
            found += [(last, value * 100 + more) for last, more in _below_hundred(said, rest) if more < 100]
    if words_at(said, at, "a hundred") > 0:
        found.remove((at + 1, 1))
    return found


def _below_hundred(said: Sequence[str], at: int) -> Readings:
    if at >= len(said):
        return []
    word = said[at]
    if word.replace(".", "", 1).isdecimal():
        return [(at + 1, float(word) if "." in word else int(word))]
    for table in (ONES, TEENS, ALIKE):
        if word in table:
            return [(at + 1, table[word])]
    if word not in TENS:
        return []
    found: Readings = [(at + 1, TENS[word])]
    if at + 1 < len(said) and ONES.get(said[at + 1], 0) > 0:
        found.append((at + 2, TENS[word] + ONES[said[at + 1]]))
    return found


def duration(said: Sequence[str], at: int) -> Readings:
    """In seconds: "five minutes", "an hour and a half", "2 hours and 30 minutes", "half an hour"."""
    found: Readings = []
    for end, value in number(said, at):
        unit = _time_unit(said, end)
        if unit == 0:
            continue
        end, seconds = end + 1, value * unit
        found.append((end, float(seconds)))
        half = words_at(said, end, "and a half")
        if half > 0:
            found.append((half, seconds + unit / 2))
        rest = end + 1 if words_at(said, end, "and") > 0 else end
        found += [(last, seconds + more) for last, more in duration(said, rest) if more < unit]
    return longest_first(found)


def _time_unit(said: Sequence[str], at: int) -> int:
    word = said[at] if at < len(said) else ""
    return SECONDS.get(word, SECONDS.get(word.removesuffix("s"), 0))


def time_of_day(said: Sequence[str], at: int) -> Readings:
    """A `Clock`: "seven thirty p m", "19:30", "half past six", "a quarter to eight", "noon"."""
    found: Readings = []
    for words, clock in (("noon", Clock(12, 0, "pm")), ("midnight", Clock(0, 0, "am"))):
        end = words_at(said, at, words)
        if end > 0:
            found.append((end, clock))
    for end, hour, minute in [*_clock_face(said, at), *_past_and_to(said, at)]:
        found += _with_half(said, end, hour, minute)
    return longest_first(found)


def _clock_face(said: Sequence[str], at: int) -> list[tuple[int, int, int]]:
    if at < len(said) and ":" in said[at]:
        hour, minute = said[at].split(":")
        return [(at + 1, int(hour), int(minute))] if int(hour) < 24 and int(minute) < 60 else []
    found: list[tuple[int, int, int]] = []
    for end, hour in _below_hundred(said, at):
        if not (isinstance(hour, int) and hour < 24):
            continue
        sharp = words_at(said, end, "o'clock")
        found.append((sharp if sharp > 0 else end, hour, 0))
        zero = end + 1 if end < len(said) and said[end] in ("oh", "o", "zero") else end
        found += [(last, hour, minute) for last, minute in _below_hundred(said, zero)
                  if isinstance(minute, int) and (10 <= minute < 60 if zero == end else 1 <= minute < 10)]
    return found


def _past_and_to(said: Sequence[str], at: int) -> list[tuple[int, int, int]]:
    begins: list[tuple[int, int]] = [(end, minute) for words, minute in (
        ("half", 30), ("quarter", 15), ("a quarter", 15)) if (end := words_at(said, at, words)) > 0]
    begins += [(end, minute) for end, minute in _below_hundred(said, at) if isinstance(minute, int) and minute < 60]
    found: list[tuple[int, int, int]] = []
    for end, minute in begins:
        end = max(end, words_at(said, end, "minutes"))
        for words, before in (("past", False), ("after", False), ("to", True), ("before", True)):
            place = words_at(said, end, words)
            if place > 0:
                found += [(last, ((hour - 2) % 12 + 1 if hour < 13 else hour - 1) if before else hour,
                           60 - minute if before else minute)
                          for last, hour in _below_hundred(said, place) if isinstance(hour, int) and 0 < hour < 24]
    return found


HALVES: dict[str, Literal["am", "pm"]] = {
    "am": "am", "a m": "am", "a.m": "am", "in the morning": "am", "pm": "pm", "p m": "pm", "p.m": "pm",
    "in the afternoon": "pm", "in the evening": "pm", "at night": "pm", "tonight": "pm"}


def _with_half(said: Sequence[str], at: int, hour: int, minute: int) -> Readings:
    found: Readings = [(at, Clock(hour, minute))]
    for words, half in HALVES.items():
        end = words_at(said, at, words)
        if end > 0 and 1 <= hour <= 12:
            found.append((end, Clock(hour % 12 + (12 if half == "pm" else 0), minute, half)))
    return found


def unit(said: Sequence[str], at: int) -> Readings:
    """The unit's name in `UNITS`."""
    return longest_first([(end, name) for way, name in _UNITS.items() if (end := words_at(said, at, way)) > 0])


def _any(words: Sequence[str]) -> str:
    return " | ".join(words)


def _is_one(way: str, ways: Sequence[str]) -> bool:
    return f"{way}s" in ways or way in ("foot", "inch") or way.startswith("degree ")


def _several(names: Iterable[str]) -> str:
    """Of a grammar: how units are called after a number, and where they are asked for."""
    return _any([way for name in names for way in UNITS[name] if not _is_one(way, UNITS[name])])


def _one(names: Iterable[str]) -> str:
    ways = [way for name in names for way in UNITS[name] if _is_one(way, UNITS[name])]
    return f"(a | an | one) ({_any(ways or list(names))})"


# What each kind is in JSGF, with what people usually say made likelier. Text is read in more ways, see above.
# Each word of a rule costs time wherever the rule is used, so what begins alike is written once.
RULES: dict[str, str] = {
    "digit": _any(list(ONES)[1:]),
    "tens": f"({_any(list(TENS))}) (/3/ <NULL> | /2/ <digit>)",
    "below_hundred": f"/9/ <digit> | /8/ {' | /8/ '.join(TEENS)} | /50/ <tens> | /1/ zero",
    "below_thousand": "/5/ <below_hundred> | /3/ (<digit> | a) hundred [[and] <below_hundred>]",
    "number": "(/30/ <NULL> | /1/ minus) <below_thousand> (/40/ <NULL> | /3/ thousand [<digit> hundred] "
              "| /3/ point <digit> [<digit>] | /1/ and a half)",
    # "two ounce to ton" is what other sounds are heard as, not what people say
    "unit": _several(UNITS), "one_unit": _one(UNITS),
    **{f"unit_{measure}": _several(names) for measure, (_, names) in MEASURES.items()},
    **{f"one_unit_{measure}": _one(names) for measure, (_, names) in MEASURES.items()},
    "duration": "/20/ <below_hundred> <times> (/20/ <NULL> | /2/ and <below_hundred> <times>) "
                "| /4/ (a | an | one) (/4/ minute | /4/ hour | /1/ second | /1/ day) (/6/ <NULL> | /2/ and a half "
                "| /1/ and <below_hundred> <times>) | /2/ half (an hour | a minute) "
                "| /1/ <digit> and a half (hours | minutes)",
    "times": "/10/ minutes | /5/ seconds | /5/ hours | /1/ days",
    "long": "/10/ <below_hundred> (/10/ minute | /5/ second | /5/ hour) | /1/ half hour",
    "hour": f"{_any(list(ONES)[1:])} | ten | eleven | twelve",
    "minute": "/1/ oh <digit> | /3/ ten | /1/ eleven | /1/ twelve | /1/ thirteen | /1/ fourteen | /3/ fifteen "
              "| /1/ sixteen | /1/ seventeen | /1/ eighteen | /1/ nineteen "
              "| /8/ (twenty | thirty | forty | fifty) (/2/ <NULL> | /1/ <digit>)",
    "half_of_day": "a m | p m | in the (morning | afternoon | evening) | at night",
    "time": "/9/ (/5/ <hour> (/1/ <NULL> | /1/ <minute> | /1/ o'clock) "
            "| /3/ (/3/ half | /1/ quarter | /1/ a quarter | /1/ five | /1/ ten | /1/ twenty) (past | to) <hour>) "
            "(/2/ <NULL> | /1/ <half_of_day>) | /1/ (noon | midnight)",
}
BEFORE_A_WORD = {"duration": "long"}  # "ten minutes", but "a ten minute timer"
