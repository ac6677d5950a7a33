"""What is said to measure command mode, and to fit it: other sentences for each."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from aimass_stream.conversation.tools import Surroundings, Toolbox
from aimass_stream.speech.grammar import OPEN, Choice, Lists, Node, Phrase, Row, Said, Slot, match, parse, slots_of
from aimass_stream.speech.quantities import MEASURES, ONES, TEENS, TENS, UNITS
from aimass_stream.stages import Registry

# measured by these ------------------------------------------------------------------------------------

COMMANDS = (
    "what time is it", "what is the time", "tell me the time please", "what is the date today", "what day is it",
    "set a timer for twenty five minutes", "start a timer for an hour and a half", "set a ten minute timer",
    "remind me in thirty seconds", "set a timer for two hours and fifteen minutes", "cancel the timer",
    "how long is left on the timer", "set an alarm for half past seven", "wake me up at six thirty in the morning",
    "set an alarm for nine p m", "what is twelve plus thirty", "what is seven times eight",
    "calculate ninety minus four", "how much is one hundred and twenty divided by six",
    "convert ten miles to kilometers", "what is seventy pounds in kilograms",
    "convert two hundred grams into ounces", "make it a cartoon", "make it black and white", "draw the outlines",
    "mirror the picture", "could you mirror the picture please", "flip the picture", "blur the picture",
    "rotate the picture ninety degrees", "stop the effects", "remove all effects please", "back to normal", "louder",
    "make it louder", "turn it up", "quieter please", "turn down the volume", "turn on the captions",
    "show me the edges", "stop", "never mind", "say that again", "what can you do", "how are you", "thank you")

OTHER = (
    "The harbour was quiet when the first boats came in.", "I think we should leave before it gets dark.",
    "She told him the time of the train, but he forgot it.", "What time did you arrive last night?",
    "My brother works for a company that makes chairs.", "It was a lovely day and nobody wanted to go home.",
    "He set the table for twenty five people.", "The alarm in the old building rang for an hour.",
    "Do you remember where we put the keys?", "The picture on the wall is a mirror of her own mind.",
    "Turn left at the next corner and walk to the bridge.", "I would like a cup of coffee with two sugars.",
    "They made it to the top of the hill in thirty minutes.",
    "The volume of traffic in the city has doubled since last year.",
    "Nobody could say what the effects of the storm would be.", "Yes, of course.", "No, I don't think so.",
    "Well, maybe tomorrow.", "That sounds good to me.", "I see what you mean.", "Really?", "Thanks to all of you.",
    "Let me think about it.", "Not yet.", "All right then.", "The bank opens at nine and closes at half past four.",
    "We flew about two hundred miles to the north.", "She bought ten pounds of apples and a bag of flour.",
    "Could you pass me the salt please?", "I have never been louder in my life.",
    "It's a cartoon that my children like to watch.", "The background of the story is rather complicated.",
    "Please tell your mother that I called.", "How much did you pay for that car?",
    "He is back to his normal self again.", "You can stop the car over there.", "Time is money, as they say.",
    "The doctor said that I should rest for a week.", "There are seven days in a week and twelve months in a year.",
    "I wonder what the date of the wedding is.", "Could you help me with the dishes?")

# fitted to these, and to commands made by chance --------------------------------------------------------

OTHER_FITTED = (
    "We walked along the river until the sun went down.", "He asked me what the weather would be like tomorrow.",
    "My sister has two cats and a very old dog.", "It took us three hours to find the hotel.",
    "I don't know what to say.", "Maybe we should ask somebody else.",
    "The music was so loud that we could not talk.", "She drew a picture of the house.",
    "They cleared the snow from the road in an hour.", "Could you tell me where the station is?",
    "I would rather stay at home.", "The clock on the tower has stopped again.",
    "He wants to be a painter when he grows up.", "Yes, that's right.", "No, thanks.", "Of course not.",
    "I'll be there soon.", "What a beautiful morning.", "How was your holiday?", "You look tired today.",
    "We have forty chairs and only ten tables.", "He turned the key and opened the door.",
    "The price went up by five percent.", "She set the glass down and looked at him.",
    "What did the teacher say about the test?", "Nothing is easier than that.",
    "The children were making too much noise.", "Call me when you get home.", "This soup needs more salt.",
    "Why not?", "The film starts at quarter past eight.", "I remember the first time I saw the sea.",
    "Show him the way to the garden.", "He is the best player on the team.",
    "Their flight was delayed by two hours.", "Give the dog some water.", "It's not my fault.",
    "They live on the third floor.", "Where have you been all day?", "Sure, why don't we go together?")


def declared() -> tuple[Phrase, ...]:
    """What the skills and stages of this package declare, as an assistant has it. A second's work the first time."""
    async def steer(pipeline: list[dict[str, Any]]) -> None:
        raise AssertionError("nothing is carried out here")

    registry = Registry([])
    return Toolbox([]).load().phrases(Surroundings(steer=steer, stages=registry.describe))


def some(phrases: Sequence[Phrase], chance: random.Random, count: int) -> list[str]:
    """Different commands out of these phrases; two in five have a number, a length of time or a time of day."""
    heard = [(phrase, [pattern for pattern in phrase.patterns
                       if not any(slot.kind in OPEN for slot in slots_of(parse(pattern)))]) for phrase in phrases]
    heard = [(phrase, patterns) for phrase, patterns in heard if patterns]
    counting = [(phrase, patterns) for phrase, patterns in heard
                if any(slot.kind in SAID for pattern in patterns for slot in slots_of(parse(pattern)))]
    found: dict[str, None] = {}
    while len(found) < count:
        phrase, patterns = chance.choice(counting if chance.random() < 0.4 else heard)
        measure = chance.choice(list(MEASURES))
        text = _said(parse(chance.choice(patterns)), phrase.lists, chance, MEASURES[measure][1])
        text = chance.choice([text] * 8 + [f"please {text}", f"{text} please"])
        if match(text, phrases) is not None:
            found[text] = None
    return list(found)


def _said(node: Node, lists: Lists, chance: random.Random, units: tuple[str, ...]) -> str:
    match node:
        case Said(word):
            return word
        case Slot(_, kind) if kind in lists:
            return chance.choice(list(lists[kind]))
        case Slot(_, "unit"):
            return UNITS[chance.choice(units)][-1]
        case Slot(_, kind):
            return SAID[kind](chance)
        case Choice(ways, needed):
            return _said(chance.choice(ways), lists, chance, units) if needed or chance.random() < 0.5 else ""
        case Row(parts):
            words = []
            for part, following in zip(parts, [*parts[1:], None], strict=True):
                before = isinstance(part, Slot) and part.kind == "duration" and isinstance(following, Said)
                words.append(_long(chance) if before else _said(part, lists, chance, units))
            return " ".join(filter(None, words))


def _words(value: int) -> str:
    small = {number: word for table in (ONES, TEENS, TENS) for word, number in table.items()}
    if value in small:
        return small[value]
    if value < 100:
        return f"{small[value // 10 * 10]} {small[value % 10]}"
    rest, unit, name = (value % 100, value // 100, "hundred and") if value < 1000 else (0, value // 1000, "thousand")
    return f"{small[unit]} {name} {_words(rest)}" if rest else f"{small[unit]} {name.split()[0]}"


def _number(chance: random.Random) -> str:
    kind = chance.random()
    if kind < 0.1:
        return f"{_words(chance.randint(2, 40))} {chance.choice(['and a half', 'point five', 'point two'])}"
    if kind < 0.45:
        return _words(chance.randint(2, 19))
    if kind < 0.8:
        return _words(chance.randint(20, 99))
    return _words(chance.choice([chance.randint(1, 9) * 100, chance.randint(101, 999), chance.randint(1, 9) * 1000]))


def _duration(chance: random.Random) -> str:
    some = chance.choice(["an hour", "half an hour", "an hour and a half", "a minute", "two hours and ten minutes", "",
                          "", "", "", "", "", ""])
    count = _words(chance.choice([2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 45, 50, 90]))
    return some or f"{count} {chance.choice(['minutes', 'minutes', 'seconds', 'hours'])}"


def _long(chance: random.Random) -> str:
    return f"{_words(chance.choice([2, 3, 5, 10, 12, 15, 20, 30, 45]))} {chance.choice(['minute', 'second', 'hour'])}"


def _time(chance: random.Random) -> str:
    hour = _words(chance.randint(1, 12))
    return chance.choice([
        f"{hour} {chance.choice(['a m', 'p m', 'in the morning'])}", f"{hour} {_words(chance.randint(10, 59))}",
        f"{hour} thirty {chance.choice(['a m', 'p m'])}", f"{hour} o'clock",
        f"{chance.choice(['half past', 'quarter past', 'a quarter to', 'ten past', 'twenty to'])} {hour}"])


SAID = {"number": _number, "duration": _duration, "time": _time}
