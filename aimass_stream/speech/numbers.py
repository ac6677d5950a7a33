"""Numbers, money, dates, times and units as words, in English; in other languages the voices read them themselves.

`expanded` changes only what the voices misread and leaves plain numbers to them; `worded` leaves no digit, for voices
that know letters only.
"""

from __future__ import annotations

import re
from datetime import date

ONES = [
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"
]
TENS = ["-", "-", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
SCALES = ("", "thousand", "million", "billion", "trillion", "quadrillion")
ORDINALS = {"one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth", "nine": "ninth",
            "twelve": "twelfth"}
MONTHS = [
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December"
]
LARGEST = 10 ** (3 * len(SCALES))  # larger numbers are read digit by digit

# symbol: (one, many, one of a hundredth, many of them)
MONEY = {"$": ("dollar", "dollars", "cent", "cents"), "€": ("euro", "euros", "cent", "cents"),
         "£": ("pound", "pounds", "penny", "pence"), "¥": ("yen", "yen", "", ""), "₹": ("rupee", "rupees", "", "")}
UNITS = {
    "km/h": ("kilometre an hour", "kilometres an hour"), "mph": ("mile an hour", "miles an hour"),
    "m/s": ("metre a second", "metres a second"), "km": ("kilometre", "kilometres"),
    "cm": ("centimetre", "centimetres"),
    "mm": ("millimetre", "millimetres"), "kg": ("kilogram", "kilograms"), "mg": ("milligram", "milligrams"),
    "ml": ("millilitre", "millilitres"), "lb": ("pound", "pounds"), "lbs": ("pound", "pounds"),
    "oz": ("ounce", "ounces"),
    "ft": ("foot", "feet"), "ms": ("millisecond", "milliseconds"), "kHz": ("kilohertz", "kilohertz"),
    "MHz": ("megahertz", "megahertz"), "GHz": ("gigahertz", "gigahertz"), "Hz": ("hertz", "hertz"),
    "kB": ("kilobyte", "kilobytes"), "KB": ("kilobyte", "kilobytes"), "MB": ("megabyte", "megabytes"),
    "GB": ("gigabyte", "gigabytes"), "TB": ("terabyte", "terabytes"), "kW": ("kilowatt", "kilowatts"),
    "kWh": ("kilowatt hour", "kilowatt hours"), "°C": ("degree Celsius", "degrees Celsius"),
    "°F": ("degree Fahrenheit", "degrees Fahrenheit"), "°": ("degree", "degrees"),
}
LATIN = {"e.g.": "for example", "i.e.": "that is", "etc.": "et cetera", "vs.": "versus", "approx.": "approximately"}

AMOUNT = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?"
PRICE = re.compile(rf"([$€£¥₹])\s?({AMOUNT})(?:\s(hundred|thousand|million|billion|trillion)\b)?")
UNIT = "|".join(re.escape(unit) for unit in sorted(UNITS, key=len, reverse=True))
MEASURE = re.compile(rf"(?<![\w.])({AMOUNT})\s?({UNIT})(?!\w)")
ISO_DATE = re.compile(r"(?<![\w-])(\d{4})-(\d\d)-(\d\d)(?![\w-])")
CLOCK = re.compile(r"(?<![\w:])([01]?\d|2[0-3]):([0-5]\d)(?::[0-5]\d)?(?![\w:])")
RANGE = re.compile(r"(?<=\d)\s?–\s?(?=\d)")
ABOUT = re.compile(r"(?<!\w)[~≈](?=\d)")
ORDINAL = re.compile(r"(?<![\w.,])(\d{1,12})(?:st|nd|rd|th)\b")
PERCENT = re.compile(r"(?<=\d)\s?%")
NUMBER = re.compile(rf"(?<!\w)(-?)({AMOUNT})(?!\w)|\d")


def expanded(text: str, language: str = "en") -> str:
    """Money, units, dates, times and some abbreviations written out; digits stay."""
    if not language.lower().startswith("en"):
        return text
    for written, said in LATIN.items():
        if written in text:
            text = re.sub(rf"(?<![\w.]){re.escape(written)}", said, text)
    if not any(letter.isdigit() for letter in text):
        return text
    text = PRICE.sub(_price, text)
    text = MEASURE.sub(lambda match: f"{match[1]} {UNITS[match[2]][match[1] != '1']}", text)
    text = ISO_DATE.sub(_iso_date, text)
    text = CLOCK.sub(lambda match: clock(int(match[1]), int(match[2])), text)
    return ABOUT.sub("about ", RANGE.sub(" to ", text))


def worded(text: str) -> str:
    """English without a digit."""
    text = PERCENT.sub(" percent", expanded(text))
    text = ORDINAL.sub(lambda match: ordinal(int(match[1])), text)
    return NUMBER.sub(lambda match: f" {digits(match[0])}" if match[2] is None
                      else ("minus " if match[1] else "") + number(match[2]), text)


def number(written: str) -> str:
    """"1,234.5" as words."""
    whole, _, fraction = written.replace(",", "").partition(".")
    said = digits(whole) if len(whole) > 1 and whole.startswith("0") else cardinal(int(whole or "0"))
    return f"{said} point {digits(fraction)}" if fraction else said


def cardinal(value: int) -> str:
    if value < 0:
        return f"minus {cardinal(-value)}"
    if value >= LARGEST:
        return digits(str(value))
    if value == 0:
        return ONES[0]
    groups, place = [], 0
    while value:
        value, group = divmod(value, 1000)
        if group:
            groups.append(f"{_hundreds(group)} {SCALES[place]}".strip())
        place += 1
    return " ".join(reversed(groups))


def ordinal(value: int) -> str:
    words = cardinal(value)
    head, joint, tail = words.rpartition("-") if words.rfind("-") > words.rfind(" ") else words.rpartition(" ")
    return head + joint + (ORDINALS.get(tail) or (tail[:-1] + "ieth" if tail.endswith("y") else tail + "th"))


def year(value: int) -> str:
    """1999 is "nineteen ninety-nine"."""
    high, low = divmod(value, 100)
    if not 1000 <= value <= 9999 or (high % 10 == 0 and low < 10):
        return cardinal(value)
    if low == 0:
        return f"{cardinal(high)} hundred"
    return f"{cardinal(high)} {'oh ' if low < 10 else ''}{cardinal(low)}"


def digits(text: str) -> str:
    """Each digit by itself; nothing else is said."""
    return " ".join(ONES[int(letter)] for letter in text if letter in "0123456789")


def clock(hour: int, minute: int) -> str:
    """"10 oh 5", with the digits that voices read well; full hours as o'clock, midnight and noon as hours."""
    if minute == 0:
        return f"{hour} o'clock" if hour else "midnight"
    return f"{hour} oh {minute}" if minute < 10 else f"{hour} {minute}"


def day(value: date) -> str:
    """"May 6th, 2024"."""
    number = value.day
    suffix = "th" if 10 < number < 14 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{MONTHS[value.month - 1]} {number}{suffix}, {value.year}"


def _hundreds(value: int) -> str:
    hundreds, rest = divmod(value, 100)
    said = [f"{ONES[hundreds]} hundred"] if hundreds else []
    if rest >= 20:
        tens, ones = divmod(rest, 10)
        said.append(f"{TENS[tens]}-{ONES[ones]}" if ones else TENS[tens])
    elif rest:
        said.append(ONES[rest])
    return " ".join(said)


def _price(match: re.Match[str]) -> str:
    one, many, hundredth, hundredths = MONEY[match[1]]
    whole, _, fraction = match[2].partition(".")
    if match[3]:
        return f"{match[2]} {match[3]} {many}"
    if len(fraction) != 2 or not hundredth:
        return f"{match[2]} {one if match[2] == '1' else many}"
    parts = [f"{whole} {one if whole == '1' else many}"] if int(whole.replace(",", "")) else []
    if int(fraction):
        parts.append(f"{int(fraction)} {hundredth if int(fraction) == 1 else hundredths}")
    return " and ".join(parts) or f"0 {many}"


def _iso_date(match: re.Match[str]) -> str:
    try:
        return day(date(int(match[1]), int(match[2]), int(match[3])))
    except ValueError:
        return match[0]
