"""Arithmetic as it is spoken, read by a parser of its own: exact decimals, nothing is evaluated as code."""

from __future__ import annotations

import re
from decimal import Context, Decimal, DivisionByZero, InvalidOperation, Overflow
from typing import Any, ClassVar

from ...errors import InvalidInput
from ...speech.grammar import Command, Phrase, tokens
from ...speech.quantities import number, words_at
from ..tools import Surroundings, Tool, ToolResult

DIGITS = Context(prec=40, Emax=400, Emin=-400)  # a larger result is not worth saying
LONGEST = 60  # tokens
SHOWN = 6  # digits after the point; more are rounded, and said to be
DEEPEST = 20  # brackets within brackets

SUMS = {"plus": "+", "add": "+", "added to": "+", "minus": "-", "less": "-", "subtract": "-", "take away": "-"}
PRODUCTS = {"times": "*", "multiplied by": "*", "multiply by": "*", "x": "*", "of": "*", "divided by": "/",
            "divide by": "/", "over": "/", "modulo": "%", "mod": "%"}
POWERS = ("to the power of", "raised to the power of", "raised to", "power")
FRACTIONS = {"half": "0.5", "a half": "0.5", "one half": "0.5", "a quarter": "0.25", "one quarter": "0.25",
             "three quarters": "0.75", "twice": "2", "double": "2", "pi": "3.14159265358979323846264338327950288"}
LEADS = ("what is", "what are", "how much is", "how much are", "calculate", "compute", "work out", "tell me", "solve",
         "what does")


class Arithmetic(Tool):
    name = "arithmetic"
    description = "Calculates: plus, minus, times, divided by, percent, powers, roots, brackets."
    parameters: ClassVar[dict[str, Any]] = {"type": "object", "required": ["expression"], "properties": {
        "expression": {"type": "string", "description": "such as '20 percent of 50' or '(3 + 4) * 2 ^ 5'"}}}
    phrases = (
        Phrase("arithmetic", (
            "[what is|how much is|calculate] <a:number> (<op:operator>) <b:number>",
            "[what is|how much is|calculate] <a:number> percent of <b:number>",
            "[what is|how much is|calculate] <a:number> (<op:square>)",
            "[what is|calculate] [the] square root of <b:number>"),
            lists={"operator": {**{words: words for words in ("plus", "minus", "times", "multiplied by", "divided by",
                                                              "to the power of")}},
                   "square": ("squared", "cubed")}),
        Phrase("arithmetic.free", ("<text>",)),
    )
    example = "what is twenty percent of fifty"

    def arguments(self, command: Command, around: Surroundings) -> dict[str, Any] | None:
        """Of words that are no calculation, None."""
        words = tokens(command.text)
        text = " ".join(words)
        for lead in LEADS:
            if text.startswith(lead + " "):
                text = text.removeprefix(lead + " ")
        for tail in (" equal", " equals", " please", " thanks", " make"):
            text = text.removesuffix(tail)
        try:
            value, operations = read(text)
        except InvalidInput as error:  # 3 divided by 0 is a calculation, too
            return {"expression": text} if error.field == "value" else None
        return {"expression": text} if operations and value is not None else None

    def changes(self, arguments: dict[str, Any]) -> bool:
        return False

    async def run(self, arguments: dict[str, Any], around: Surroundings) -> ToolResult:
        expression = str(arguments.get("expression", ""))[:500]
        value, _ = read(expression)
        return ToolResult(f"That is {spoken(value)}.", data={"value": format(value.normalize(DIGITS), "f")[:60]
                                                             if abs(value) < Decimal(10) ** 50 else str(value)})


def read(expression: str) -> tuple[Decimal, int]:
    """The value, and how many operations it took. Raises `InvalidInput`: field "value" where it has none."""
    prepared = re.sub(r"\*\*|\^", " power ", expression)
    prepared = prepared.replace("(", " bracketopen ").replace(")", " bracketclose ")
    said = tokens(prepared)
    if not said or len(said) > LONGEST:
        raise InvalidInput("I can't calculate that.", field="expression")
    reader = _Reader(said)
    try:
        value = reader.sum(0)
    except DivisionByZero:
        raise InvalidInput("Nothing can be divided by zero.", field="value") from None
    except (InvalidOperation, Overflow):
        raise InvalidInput("That is too large, or has no value.", field="value") from None
    if reader.at != len(said):
        raise InvalidInput("I can't calculate that.", field="expression")
    return value, reader.operations


class _Reader:
    """Recursive descent: sum > product > power > atom."""

    def __init__(self, said: list[str]) -> None:
        self.said, self.at, self.operations = said, 0, 0
        self._percent = False  # the last operand was a bare percentage

    def sum(self, depth: int) -> Decimal:
        value = self.product(depth)
        while (sign := self._operator(SUMS)) is not None:
            right = self.product(depth)
            if self._percent:  # 50 plus 10 percent is 55
                right = DIGITS.multiply(value, right)
            value = DIGITS.add(value, right) if sign == "+" else DIGITS.subtract(value, right)
            self._percent = False
        return value

    def product(self, depth: int) -> Decimal:
        value = self.power(depth)
        while (sign := self._operator(PRODUCTS)) is not None:
            right = self.power(depth)
            self._percent = False
            if sign == "*":
                value = DIGITS.multiply(value, right)
            elif right == 0:
                raise DivisionByZero
            else:
                value = DIGITS.divide(value, right) if sign == "/" else DIGITS.remainder(value, right)
        return value

    def power(self, depth: int) -> Decimal:
        value = self.atom(depth)
        while True:
            if self._words("squared"):
                value = self._raised(value, Decimal(2))
            elif self._words("cubed"):
                value = self._raised(value, Decimal(3))
            elif any(self._words(words) for words in POWERS):
                return self._raised(value, self.power(depth + 1))
            elif self._words("percent"):
                self.operations += 1
                self._percent = True
                return DIGITS.divide(value, Decimal(100))
            else:
                return value

    def atom(self, depth: int) -> Decimal:
        self._percent = False
        if depth > DEEPEST:
            raise InvalidInput("That has too many brackets.", field="expression")
        if self._words("bracketopen"):
            value = self.sum(depth + 1)
            if not self._words("bracketclose"):
                raise InvalidInput("A bracket is not closed.", field="expression")
            return value
        for words in ("the square root of", "square root of", "sqrt"):
            if self._words(words):
                self.operations += 1
                return DIGITS.sqrt(self.power(depth + 1))
        if self._words("minus") or self._words("negative"):
            return -self.power(depth + 1)
        for words, value_text in FRACTIONS.items():
            if self._words(words):
                if words in ("twice", "double"):
                    self.operations += 1
                    return DIGITS.multiply(Decimal(value_text), self.power(depth + 1))
                return Decimal(value_text)
        return self._number()

    def _number(self) -> Decimal:
        readings = number(self.said, self.at)
        if not readings:
            raise InvalidInput("I can't calculate that.", field="expression")
        self.at, value = readings[0]
        return Decimal(str(value))

    def _raised(self, base: Decimal, exponent: Decimal) -> Decimal:
        self.operations += 1
        if abs(exponent) > 1000:
            raise Overflow
        return DIGITS.power(base, exponent)

    def _operator(self, table: dict[str, str]) -> str | None:
        for words, sign in table.items():
            if self._words(words):
                self.operations += 1
                return sign
        return None

    def _words(self, words: str) -> bool:
        end = words_at(self.said, self.at, words)
        if end > 0:
            self.at = end
        return end > 0


def spoken(value: Decimal) -> str:
    """"minus 3.5", "about 0.333333", "about 1.27 times 10 to the 30"."""
    sign, size = ("minus " if value < 0 else ""), abs(value)
    if size >= Decimal(10) ** 15 or (0 < size < Decimal(10) ** -SHOWN):
        exponent = size.adjusted()
        return f"about {sign}{round(size.scaleb(-exponent), 3).normalize():f} times 10 to the {exponent}"
    rounded = round(size, SHOWN)
    about = "" if rounded == size else "about "
    text = format(rounded.normalize(), "f")
    return f"{about}{sign if rounded else ''}{text}"
