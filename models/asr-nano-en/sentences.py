"""Sentences to train on: commands and replies of an assistant, small talk, and English drawn from a trigram model.

The trigram model and the list of common words are those inside the pocketsphinx wheel (BSD-2-Clause).
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import lexicon as lex

ONES = lex.words("""zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen
sixteen seventeen
eighteen nineteen""")
TENS = ["ten", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
ORDINALS = lex.words("""first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth
fourteenth
fifteenth sixteenth seventeenth eighteenth nineteenth twentieth""")
CANDIDATES = 48  # words that the trigram model chooses one from
Random = random.Random
Maker = Callable[[Random], str]


def number(value: int) -> str:
    """0 to 999,999,999 in words, without hyphens."""
    for size, name in ((1_000_000, "million"), (1000, "thousand"), (100, "hundred")):
        if value >= size:
            rest = value % size
            return f"{number(value // size)} {name}{' ' + number(rest) if rest else ''}"
    if value < 20:
        return ONES[value]
    return TENS[value // 10 - 1] + (f" {ONES[value % 10]}" if value % 10 else "")


def some_number(rng: Random) -> str:
    top = rng.choice((10, 10, 12, 20, 60, 60, 100, 100, 1000, 10_000, 2_000_000))
    value = rng.randint(0, top)
    if rng.random() < 0.06:
        return f"{number(value % 100)} point {' '.join(rng.choice(ONES[:10]) for _ in range(rng.randint(1, 3)))}"
    if rng.random() < 0.04:
        return f"minus {number(value % 100)}"
    if rng.random() < 0.05:
        return f"{number(value % 20)} and a half"
    return number(value)


def ordinal(day: int) -> str:
    """1 to 31."""
    if day <= 20:
        return ORDINALS[day - 1]
    if day == 30:
        return "thirtieth"
    return f"{'twenty' if day < 30 else 'thirty'} {ORDINALS[day % 10 - 1]}"


def clock(rng: Random) -> str:
    hour, minute = rng.randint(1, 12), rng.randint(0, 59)
    told = [f"{number(hour)} o'clock", f"half past {number(hour)}", f"quarter past {number(hour)}",
            f"a quarter to {number(hour)}", f"{number(minute)} minutes past {number(hour)}",
            f"{number(hour)} {number(minute) if minute > 9 else 'oh ' + number(max(minute, 1))}",
            f"{number(rng.choice((5, 10, 20, 25)))} {rng.choice(('to', 'past'))} {number(hour)}"]
    return rng.choice(told) + rng.choice(("", "", "", " in the morning", " in the evening", " p m", " a m", " tonight"))


def date(rng: Random) -> str:
    month, day = rng.choice(lex.MONTHS), ordinal(rng.randint(1, 31))
    year = rng.choice((f"twenty {number(rng.randint(10, 40))}", f"nineteen {number(rng.randint(11, 99))}"))
    return rng.choice((f"{month} {day}", f"the {day} of {month}", f"{month} the {day}", f"{month} {day}, {year}",
                       f"{rng.choice(lex.DAYS)}, {month} {day}", f"{rng.choice(lex.DAYS)}, the {day} of {month}"))


def length(rng: Random) -> str:
    many = rng.randint(2, rng.choice((10, 60)))
    return rng.choice((f"{number(many)} minutes", f"{number(many)} minutes", f"{number(many)} seconds", "one minute",
                       f"{number(rng.randint(2, 12))} hours", "half an hour", "an hour", "a minute", "ten seconds",
                       f"{number(rng.randint(1, 9))} and a half minutes", "an hour and a half",
                       f"one hour and {number(many)} minutes", f"{number(many)} minutes and thirty seconds"))


def noun(rng: Random) -> str:
    return rng.choice(rng.choice((lex.THINGS, lex.THINGS, lex.THINGS, lex.PEOPLE, lex.ANIMALS)))


def plural(word: str) -> str:
    uneven = {"man": "men", "woman": "women", "child": "children", "mouse": "mice", "goose": "geese", "sheep": "sheep",
              "knife": "knives", "wife": "wives", "wolf": "wolves", "fish": "fish", "gentleman": "gentlemen"}
    if word in uneven:
        return uneven[word]
    if re.search(r"[^aeiou]y$", word):
        return word[:-1] + "ies"
    return word + ("es" if re.search(r"(s|x|ch|sh|o)$", word) else "s")


def thing(rng: Random) -> str:
    """A noun phrase."""
    word = noun(rng)
    adjective = rng.choice(lex.ADJECTIVES) if rng.random() < 0.5 else ""
    some = f"{adjective} {word}".strip()
    article = "an" if some[0] in "aeiou" and not some.startswith("uni") else "a"
    return rng.choice((
        f"the {some}", f"the {some}", f"the {some}", f"{article} {some}", f"{article} {some}",
        f"{rng.choice(('my', 'your', 'his', 'her', 'our', 'their', 'this', 'that', 'every', 'another', 'no'))} {some}",
        f"{rng.choice(('the', 'some', 'many', 'all', 'these', 'those', 'few', 'my', 'our'))} "
        f"{f'{adjective} {plural(word)}'.strip()}",
        f"{number(rng.randint(2, 30))} {f'{adjective} {plural(word)}'.strip()}"))


def somebody(rng: Random) -> str:
    if rng.random() < 0.4:
        return rng.choice(("I", "you", "he", "she", "we", "they", "somebody", "everyone", "nobody"))
    return rng.choice(lex.NAMES) if rng.random() < 0.5 else f"the {rng.choice(lex.PEOPLE)}"


def where(rng: Random) -> str:
    return f"{rng.choice(lex.PREPOSITIONS)} {rng.choice((thing(rng), thing(rng), rng.choice(lex.PLACES)))}"


def clause(rng: Random) -> str:
    """Something that happened, without a full stop."""
    who, what, pick = somebody(rng), thing(rng), rng.choice
    return pick((
        f"{who} {pick(lex.PASTS)} {what}", f"{who} {pick(lex.PASTS)} {what} {where(rng)}",
        f"{who} {pick(lex.WENT)} {where(rng)}",
        f"{what} {pick(('was', 'seemed', 'looked'))} {pick(('very ', 'too ', 'so ', '', ''))}{pick(lex.ADJECTIVES)}",
        f"{number(rng.randint(2, 99))} {plural(noun(rng))} {pick(lex.WENT)} {where(rng)}",
        f"{who} {pick(('will', 'can', 'must', 'should', 'could', 'might', 'would'))} {pick(lex.BASES)} {what}",
        f"there {pick(('was', 'is'))} {pick(('a', 'no', 'one'))} {noun(rng)} {where(rng)}",
        f"it is {pick(('very ', 'not ', '', 'always '))}{pick(lex.ADJECTIVES)} {where(rng)}",
        f"{who} {pick(('could not', 'did not', 'never', 'would not'))} {pick(lex.GO)} {where(rng)}",
        f"{who} {pick(lex.PASTS)} {pick(('him', 'her', 'it', 'them', 'us', 'me'))} {pick(lex.ADVERBS)}"))


def narrative(rng: Random) -> str:
    first, pick = clause(rng), rng.choice
    if rng.random() < 0.35:
        first += pick((", and", ", but", " because", " when", ", so", " and then", " while", ", or", " if",
                       ", for")) + " " + clause(rng)
    if rng.random() < 0.12:
        first = f"{pick(lex.OPENERS).replace('-', ' ')}, {first}"
    if rng.random() < 0.15:
        first += f" {pick(lex.ADVERBS)}"
    return _sentence(first, ".")


def question(rng: Random) -> str:
    pick, who, what = rng.choice, somebody(rng), thing(rng)
    return _sentence(pick((
        f"did {who} {pick(lex.BASES)} {what}", f"where is {what}", f"who {pick(lex.PASTS)} {what}",
        f"when will {who} {pick(lex.GO)} {where(rng)}",
        f"why did {who} {pick(lex.BASES)} {what}", f"how many {plural(noun(rng))} are there {where(rng)}",
        f"how {pick(lex.ADJECTIVES)} is {what}",
        f"what {pick(('happened', 'was', 'is'))} {where(rng)}", f"can {who} {pick(lex.GO)} {where(rng)}",
        f"do you {pick(lex.BASES)} {what}",
        f"have you ever been to {pick(lex.PLACES)}", f"what is {what}", f"which {noun(rng)} do you {pick(lex.BASES)}",
        f"would you like {what}", f"is {what} {pick(lex.ADJECTIVES)} or {pick(lex.ADJECTIVES)}",
        f"are you {pick(lex.ADJECTIVES)}")), "?")


def command(rng: Random) -> str:
    """What a person says to the assistant."""
    pick, a, b = rng.choice, some_number(rng), some_number(rng)
    from_unit, to_unit, spelled = pick(lex.UNITS), pick(lex.UNITS), pick(lex.SPELLED)
    effect = pick(lex.EFFECTS).replace("-", " ")
    said = pick((
        lambda: pick(("what time is it?", "what's the time?", "what is the time?", "tell me the time.",
                      "what time is it now?",
                      "what day is it?", "what day is it today?", "what's the date?", "what is the date today?",
                      f"what day is {date(rng)}?", "what year is it?", "what month is it?",
                      f"what time is it in {pick(lex.PLACES)}?")),
        lambda: pick((f"set a timer for {length(rng)}.", f"set a timer for {length(rng)}.", f"timer for {length(rng)}.",
                      f"start a {number(rng.randint(1, 60))} minute timer.", "cancel the timer.", "stop the timer.",
                      "cancel all timers.",
                      "how much time is left?", f"set an alarm for {clock(rng)}.", f"wake me up at {clock(rng)}.",
                      "cancel the alarm.",
                      f"remind me in {length(rng)}.", "how long is left on the timer?", "which timers are running?")),
        lambda: pick(("mirror the picture.", "make it a cartoon.", "stop the effects.", "mirror me.",
                      "flip the picture.", f"make it {effect}.",
                      f"turn on the {effect}.", f"turn off the {effect}.", f"show me as a {effect}.",
                      "no more effects.", "remove the effects.",
                      "blur the background.", "make the picture brighter.", "make it darker.", "rotate the picture.",
                      "show the captions.",
                      "hide the captions.", "captions on.", "captions off.", f"start the {effect} effect.",
                      "clear the effects.",
                      "make it look like a painting.", "take a picture.", "start recording.", "stop recording.",
                      f"add the {effect}.")),
        lambda: pick(("louder.", "quieter.", "turn it up.", "turn it down.", "mute.", "unmute.", "louder, please.",
                      "a bit louder.", "speak up.",
                      "make it louder.", "make it quieter.", "be quiet.",
                      f"set the volume to {number(rng.randint(0, 100))} percent.",
                      "volume up.", "volume down.", "speak slower.", "speak faster.", "speak more slowly, please.")),
        lambda: pick((f"what is {a} times {b}?", f"what is {a} plus {b}?", f"what is {a} minus {b}?",
                      f"what is {a} divided by {b}?",
                      f"what's {a} times {b}?", f"how much is {a} and {b}?", f"{a} plus {b}.",
                      f"calculate {a} times {b}.", f"add {a} and {b}.",
                      f"what is the square root of {a}?", f"what is {a} percent of {b}?", f"{a} divided by {b}.",
                      f"what is {a} squared?",
                      f"multiply {a} by {b}.", f"subtract {a} from {b}.", f"what is {a} to the power of {b}?",
                      f"what is half of {a}?")),
        lambda: pick((f"convert {a} {from_unit} to {to_unit}.", f"how many {from_unit} are in a {to_unit.rstrip('s')}?",
                      f"how many {from_unit} are in {a} {to_unit}?", f"what is {a} {from_unit} in {to_unit}?",
                      f"how many {from_unit} are {a} {to_unit}?", f"{a} {from_unit} in {to_unit}.",
                      f"how many {from_unit} in a {to_unit.rstrip('s')}?")),
        lambda: pick((f"spell {spelled}.", f"how do you spell {spelled}?", f"spell the word {noun(rng)}.",
                      f"spell {noun(rng)}.", f"how is {spelled} spelled?",
                      f"can you spell {noun(rng)}?")),
        lambda: pick((f"remember that {clause(rng)}.", f"remember that my {noun(rng)} is {pick(lex.ADJECTIVES)}.",
                      "what did I tell you to remember?",
                      f"remember {clause(rng)}.", "what do you remember?", "forget that.",
                      f"remember that the {noun(rng)} is {where(rng)}.",
                      "forget everything.", f"note that {clause(rng)}.", f"what did I say about the {noun(rng)}?",
                      "read my note.", "what was my note?",
                      f"remember that {pick(lex.NAMES)} comes on {pick(lex.DAYS)} at {clock(rng)}.")),
        lambda: pick(("never mind.", "stop.", "yes.", "no.", "thank you.", "mhm.", "uh huh.", "okay.", "yes, please.",
                      "no, thank you.", "thanks.",
                      "hello.", "hello there.", "hi.", "good morning.", "good night.", "goodbye.", "how are you?",
                      "wait.", "wait a moment.", "go on.",
                      "what?", "sorry?", "pardon?", "what can you do?", "help.", "say that again.", "repeat that.",
                      "please repeat.", "right.", "sure.",
                      "of course.", "I see.", "really?", "hold on.", "cancel.", "continue.", "not now.",
                      "that's right.", "that's wrong.", "who are you?",
                      "what is your name?", "can you hear me?", "are you there?", "um.", "uh.", "hmm.", "oh.", "ah.",
                      "yeah.", "yep.", "nope.", "all right.",
                      "thank you very much.", "that's all.", "no, wait.", "stop it.", "stop talking.", "quiet.",
                      "be quiet, please.", "enough.")),
    ))()
    if rng.random() < 0.12:
        said = f"{pick(_BEFORE)} {said}"
    if rng.random() < 0.05 and said[-1] == ".":
        said = said[:-1] + ", please."
    return _sentence(said[:-1], said[-1])


def reply(rng: Random) -> str:
    """What the assistant says."""
    pick, a, b, c = rng.choice, some_number(rng), some_number(rng), some_number(rng)
    effect, spelled = pick(lex.EFFECTS).replace("-", " "), pick((pick(lex.SPELLED), noun(rng)))
    said = pick((
        lambda: pick((f"it is {clock(rng)}.", f"it's {clock(rng)}.", f"today is {date(rng)}.", f"it is {date(rng)}.",
                      f"that was {pick(lex.DAYS)}.")),
        lambda: pick((f"the timer is set for {length(rng)}.", f"your {length(rng)} are over.",
                      f"there are {length(rng)} left.", "the timer is cancelled.",
                      "there is no timer running.", f"the alarm is set for {clock(rng)}.", "your timer is done.",
                      f"timer set for {length(rng)}.",
                      f"I will remind you in {length(rng)}.", "the alarm is off.", "your alarm is ringing.")),
        lambda: pick((f"{a} times {b} is {c}.", f"{a} plus {b} is {c}.", f"{a} minus {b} is {c}.",
                      f"{a} divided by {b} is {c}.", f"that is {a}.",
                      f"{a} percent of {b} is {c}.", f"the square root of {a} is {b}.", "I can't divide by zero.",
                      f"that makes {a}.")),
        lambda: pick((f"{a} {pick(lex.UNITS)} are {b} {pick(lex.UNITS)}.",
                      f"there are {a} {pick(lex.UNITS)} in a {pick(lex.UNITS).rstrip('s')}.",
                      f"that is about {a} {pick(lex.UNITS)}.", f"{a} {pick(lex.UNITS)} is {b} {pick(lex.UNITS)}.")),
        lambda: f"{spelled} is spelled {', '.join(spelled.upper())}.",
        lambda: pick((f"the picture is {pick(('mirrored', 'a cartoon', 'brighter', 'darker', 'back to normal'))} now.",
                      f"the {effect} is on.",
                      f"the {effect} is off.", "all effects are off.", f"here is the {effect}.",
                      "there are no effects to stop.", f"I turned on the {effect}.",
                      "okay, louder.", "okay, quieter.", "I am quiet now.",
                      f"the volume is at {number(rng.randint(0, 100))} percent.")),
        lambda: pick((f"I can't do that, but I can {pick(lex.BASES)} {thing(rng)}.",
                      "I can't do that, but I can set a timer, or change your picture.",
                      "I did not understand that.", "sorry, I can't do that.", f"I don't know {thing(rng)}.",
                      "I'm sorry, I did not hear you.",
                      "I can tell the time, set timers, calculate, convert units, spell words, and change pictures.",
                      "I can hear you.",
                      "I will remember that.", f"you told me that {clause(rng)}.",
                      "you have not told me anything yet.", "you're welcome.", "hello.",
                      "how can I help you?", "okay.", "all right.", "done.", "goodbye.", "I forgot it.",
                      f"you said that {clause(rng)}.",
                      "the model does not answer.", "please say that again.", "one moment, please.", "anything else?",
                      "that is not something I can do.")),
    ))()
    return _sentence(said[:-1], said[-1])


def _sentence(text: str, end: str) -> str:
    text = re.sub(r"\bi\b", "I", text.strip())
    return text[0].upper() + text[1:] + end


class Trigrams:
    """English drawn from pocketsphinx's trigram model, and its commonest words."""

    def __init__(self, words: int = 9000) -> None:
        import pocketsphinx

        root = Path(pocketsphinx.__file__).parent / "model" / "en-us"
        self.model = pocketsphinx.NGramModel(pocketsphinx.Config(), pocketsphinx.LogMath(1.0001),
                                             str(root / "en-us.lm.bin"))
        known = {line.split()[0] for line in (root / "cmudict-en-us.dict").read_text().splitlines()}
        fit = [word for word in known if re.fullmatch(r"[a-z]+('[a-z]+)?", word) and re.search("[aeiouy]", word)
               and (len(word) > 2 or word in _SHORT) and not any(part in word for part in lex.UNFIT)]
        ranked = sorted(((self.model.prob([word]), word) for word in fit), reverse=True)[:words]
        self.words = [word for _, word in ranked]
        self.logs = [log * math.log(1.0001) for log, _ in ranked]
        self.cumulative = _sums([math.exp(log) for log in self.logs])
        self.flatter = _sums([math.exp(0.45 * log) for log in self.logs])

    def sentence(self, rng: Random) -> str:
        """Words proposed by their frequency, one of them chosen by its trigram (sampling importance resampling)."""
        history, said = ["<s>", "<s>"], []
        for _ in range(rng.randint(3, 14)):
            proposals = rng.choices(range(len(self.words)), cum_weights=self.cumulative, k=CANDIDATES // 2)
            proposals += rng.choices(range(len(self.words)), cum_weights=self.flatter, k=CANDIDATES // 2)
            logs = [self.model.prob([self.words[index], history[-1],
                                     history[-2]]) * math.log(1.0001) - 0.8 * self.logs[index]
                    for index in proposals]
            top = max(logs)
            word = self.words[rng.choices(proposals, [math.exp(log - top) for log in logs])[0]]
            if word != history[-1]:
                said.append(word)
                history.append(word)
        return self.written(rng, said)

    def scatter(self, rng: Random) -> str:
        """Words in no order at all: teaches sounds."""
        return self.written(rng, rng.choices(self.words, cum_weights=self.flatter, k=rng.randint(2, 9)))

    def written(self, rng: Random, words: Sequence[str]) -> str:
        text = " ".join(lex.PROPER.get(word, word) for word in words)
        if len(words) > 6 and rng.random() < 0.3:
            cut = rng.randint(2, len(words) - 3)
            pieces = text.split()
            text = " ".join(pieces[: cut + 1]) + ", " + " ".join(pieces[cut + 1 :])
        text = re.sub(r"\bi('m|'ll|'ve|'d)?\b", lambda found: found[0].capitalize(), text)
        return _sentence(text, rng.choices(".?", (9, 1))[0])


_BEFORE = ("please", "can you", "could you", "computer,", "hey,", "okay,", "and", "well,", "um,", "so,", "now")
_SHORT = {*lex.words("""i a to of it is in be on so we he as if do at or me up no my by go an us am oh ok hi ma pa""")}


def _sums(weights: Sequence[float]) -> list[float]:
    total, sums = 0.0, []
    for weight in weights:
        total += weight
        sums.append(total)
    return sums


def makers(trigrams: Trigrams) -> tuple[list[Maker], list[float]]:
    """The kinds of sentence and how often each is wanted."""
    return ([command, reply, narrative, question, trigrams.sentence, trigrams.scatter],
            [0.2, 0.13, 0.17, 0.07, 0.28, 0.15])
