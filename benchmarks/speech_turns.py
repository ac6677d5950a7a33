"""False cut-offs of the end-of-turn hook against plain silence of equal delay, on sentences with pauses.

    python -m benchmarks.speech_turns

Sentences pause once or twice at random places, for a random time. A pause as long as the silence that is waited for
is a false cut-off. The hook waits by the words before the pause; its mean wait after the whole sentence is its delay,
and plain silence is given exactly that delay for every sentence. Texts only, so that no recogniser's errors are in it.
"""

from __future__ import annotations

import csv
import random
import re
import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from aimass_stream.speech.turn import needed_silence

PROMPTS = Path(__file__).parents[2] / "shared" / "data" / "speech" / "kathleen" / "metadata.csv"
MEDIAN, SPREAD = 0.55, 0.45  # of a pause, s: log-normal, as pauses inside of turns are
SHORTEST, LONGEST = 0.2, 1.6  # s

PEOPLE = ["my sister", "the neighbour", "our teacher", "Maria", "the man from the bank", "your brother",
          "the new doctor"]
THINGS = ["the blue box", "a cup of tea", "two tickets", "the old guitar", "some fresh bread", "the letter",
          "the key to the garage", "a list of names"]
PLACES = ["in the kitchen", "at the station", "near the river", "on the second floor", "behind the school",
          "in Paris", "at the end of the street"]
TIMES = ["tomorrow", "on Friday", "at seven", "next week", "in the morning", "after lunch", "before it gets dark",
         "tonight"]
PATTERNS = (
    "What time does {person} arrive {place}?", "Could you put {thing} {place}?", "I would like {thing}, please.",
    "Remind me to bring {thing} {time}.", "Tell {person} that I will be there {time}.",
    "I think that {person} left {thing} {place}.", "Is {thing} still {place}?", "Turn on the lights {place}.",
    "When {person} comes home, we will look for {thing}.", "We could meet {place} {time}.",
    "{person} wanted to know if you have {thing}.", "How do I get from the hotel to the place {place}?",
    "I was going to ask {person} about {thing}, but nobody was {place}.", "Play something by {person}.",
    "Set a timer for twenty five minutes.", "My number is five five two, nine one seven four.",
    "What is thirty two times eighteen?", "Please make the picture a little brighter.",
    "It is important that {person} sees {thing} {time}.", "Nobody has seen {thing} since {person} was {place}.")


@dataclass(frozen=True, slots=True)
class Sentence:
    """What is said, and after how many of its words there is silence, for how many seconds."""

    words: tuple[str, ...]
    pauses: tuple[tuple[int, float], ...]

    @property
    def text(self) -> str:
        return " ".join(self.words)

    def before(self, count: int) -> str:
        return " ".join(self.words[:count])


@dataclass(frozen=True, slots=True)
class Result:
    sentences: int
    pauses: int
    delay: float  # s, mean, after whole sentences; of both
    hook: int  # false cut-offs
    plain: int
    early: float  # share of sentences after which the hook waits less than usual


def generated(count: int, seed: int = 1) -> list[str]:
    """Sentences as people say them to an assistant and to each other."""
    chance = random.Random(seed)
    said = []
    for _ in range(count):
        line = chance.choice(PATTERNS).format(person=chance.choice(PEOPLE), thing=chance.choice(THINGS),
                                              place=chance.choice(PLACES), time=chance.choice(TIMES))
        said.append(line[0].upper() + line[1:])
    return said


def prompts() -> list[str]:
    """Sentences from books that the hook's words were not chosen by; none where they are not there."""
    if not PROMPTS.is_file():
        return []
    with PROMPTS.open(encoding="utf-8", newline="") as file:
        rows = [row[1] for row in csv.reader(file, delimiter="|", quoting=csv.QUOTE_NONE) if len(row[1].split()) > 3]
    return rows[1::2]  # the other half was looked at when the hook's words were chosen


def paused(lines: Iterable[str], seed: int = 2) -> list[Sentence]:
    chance = random.Random(seed)
    sentences = []
    for line in lines:
        words = tuple(line.split())
        places = sorted(chance.sample(range(1, len(words)), min(len(words) - 1, chance.choice((1, 2)))))
        lengths = (min(LONGEST, max(SHORTEST, chance.lognormvariate(0, SPREAD) * MEDIAN)) for _ in places)
        sentences.append(Sentence(words, tuple(zip(places, lengths, strict=True))))
    return sentences


def bare(text: str) -> str:
    """As a recogniser without punctuation writes."""
    return re.sub(r"[^\w' ]", "", text.lower())


def stopped(text: str) -> str:
    """As a recogniser that ends everything with a full stop."""
    return text.rstrip(".,;:?!") + "."


def written(text: str) -> str:
    """As a recogniser that knows where sentences end."""
    return text


STYLES: dict[str, Callable[[str], str]] = {"bare words": bare, "a full stop at every end": stopped,
                                           "true punctuation": written}


def compared(sentences: list[Sentence], style: Callable[[str], str], usual: float = 0.5) -> Result:
    """The hook, whose silence is `usual` (s) where words say nothing, against plain silence of the same mean delay."""
    waits = [needed_silence(style(sentence.text), usual=usual) for sentence in sentences]
    delay = statistics.fmean(waits)
    pauses = [(sentence.before(place), length) for sentence in sentences for place, length in sentence.pauses]
    hook = sum(length >= needed_silence(style(text), usual=usual) for text, length in pauses)
    plain = sum(length >= delay for _, length in pauses)
    return Result(len(sentences), len(pauses), delay, hook, plain, sum(wait < usual for wait in waits) / len(waits))


def main() -> None:
    for name, lines in (("generated", generated(1000)), ("from books", prompts())):
        if not lines:
            print(f"{name}: not here")
            continue
        sentences = paused(lines)
        for style, write in STYLES.items():
            found = compared(sentences, write)
            print(f"{name}, {style}: {found.pauses} pauses in {found.sentences} sentences, delay {found.delay:.2f} s, "
                  f"false cut-offs {found.hook} against {found.plain} ({found.hook / found.plain:.0%}), "
                  f"{found.early:.0%} of the sentences end early")


if __name__ == "__main__":
    main()
