"""Conversion of units: length, mass, volume, temperature, speed, time, data."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any, ClassVar

from ...errors import InvalidInput
from ...speech.grammar import Command, Phrase
from ...speech.quantities import UNITS
from ..tools import Surroundings, Tool, ToolResult
from .arithmetic import spoken

# by what is measured: how much of the SI unit (or of a byte) one is; inch, pound, gallon and mile as defined in the US
MEASURES: dict[str, dict[str, float]] = {
    "length": {"millimeter": 0.001, "centimeter": 0.01, "meter": 1, "kilometer": 1000, "inch": 0.0254, "foot": 0.3048,
               "yard": 0.9144, "mile": 1609.344},
    "mass": {"gram": 0.001, "kilogram": 1, "ton": 1000, "ounce": 0.028349523125, "pound": 0.45359237,
             "stone": 6.35029318},
    "volume": {"milliliter": 1e-6, "liter": 0.001, "teaspoon": 4.92892159375e-6, "tablespoon": 1.478676478125e-5,
               "cup": 2.365882365e-4, "pint": 4.73176473e-4, "quart": 9.46352946e-4, "gallon": 3.785411784e-3},
    "time": {"second": 1, "minute": 60, "hour": 3600, "day": 86_400, "week": 604_800, "year": 31_557_600},
    "speed": {"meter per second": 1, "kilometer per hour": 1 / 3.6, "mile per hour": 0.44704},
    "data": {"byte": 1, "kilobyte": 1e3, "megabyte": 1e6, "gigabyte": 1e9},
    "angle": {"degree": 1},
}
SCALES = ("celsius", "fahrenheit", "kelvin")


class Convert(Tool):
    name = "convert"
    description = "Converts units of length, mass, volume, temperature, speed, time and data."
    parameters: ClassVar[dict[str, Any]] = {"type": "object", "required": ["number", "from", "to"], "properties": {
        "number": {"type": "number"},
        "from": {"type": "string", "enum": sorted(UNITS)},
        "to": {"type": "string", "enum": sorted(UNITS)}}}
    phrases = (
        Phrase("convert", (
            "[what is|how much is|convert|how many is|tell me] <number> <from:unit> (to|in|into|as) <to:unit>",
            "how (many|much) <to:unit> (are|is|are there|is there) [in] <number> <from:unit>",
            "how many <to:unit> (in|make|does|do) <number> <from:unit> [have|make]",
            "what is <number> <from:unit> in <to:unit>",
            "convert <number> <from:unit> (to|into) <to:unit>")),
    )
    example = "how many kilometers are five miles"

    def arguments(self, command: Command, around: Surroundings) -> dict[str, Any] | None:
        number, source, target = (command.slots[name] for name in ("number", "from", "to"))
        # "20 degrees in fahrenheit" means the other scale
        if source == "degree" and target in SCALES:
            source = "fahrenheit" if target == "celsius" else "celsius"
        if target == "degree" and source in SCALES:
            target = "fahrenheit" if source == "celsius" else "celsius"
        return {"number": number, "from": source, "to": target}

    def changes(self, arguments: dict[str, Any]) -> bool:
        return False

    async def run(self, arguments: dict[str, Any], around: Surroundings) -> ToolResult:
        number, source, target = arguments.get("number"), arguments.get("from"), arguments.get("to")
        if isinstance(number, bool) or not isinstance(number, int | float) or abs(number) > 1e15:
            raise InvalidInput("I need a number to convert.", field="number")
        value = converted(float(number), str(source), str(target))
        asked = f"{spoken(Decimal(str(number)))} {_name(str(source), number)}"
        shown = Decimal(str(round(value, 2 if abs(value) >= 1 else 6)))
        about = "" if math.isclose(float(shown), value, rel_tol=1e-12) else "about "
        return ToolResult(f"{asked} {'is' if abs(number) == 1 else 'are'} {about}{spoken(shown)} "
                          f"{_name(str(target), float(shown))}.", data={"value": value})


def converted(number: float, source: str, target: str) -> float:
    """Raises `InvalidInput` where the two don't measure the same."""
    if source in SCALES and target in SCALES:
        kelvin = {"celsius": number + 273.15, "fahrenheit": (number + 459.67) * 5 / 9, "kelvin": number}[source]
        if kelvin < 0:
            raise InvalidInput("That is below absolute zero.", field="number")
        return {"celsius": kelvin - 273.15, "fahrenheit": kelvin * 9 / 5 - 459.67, "kelvin": kelvin}[target]
    for factors in MEASURES.values():
        if source in factors and target in factors:
            return number * factors[source] / factors[target]
    raise InvalidInput(f"{_name(source, 2)} can't be converted to {_name(target, 2)}.", field="to")


def _name(unit: str, count: float) -> str:
    if unit in SCALES:
        return "kelvin" if unit == "kelvin" else f"degrees {unit.capitalize()}"
    if abs(count) == 1:
        return unit
    first, space, rest = unit.partition(" ")
    plural = {"foot": "feet", "inch": "inches", "stone": "stone"}.get(first, first + "s")
    return plural + space + rest
