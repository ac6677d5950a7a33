"""What the people of a room say: in turns that overlap a little, as a meeting goes, or all of them at once."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count, islice

import numpy as np

from aimass_stream.speech.words import HEARING_RATE, Waveform, Word

from ..speech import corpus
from ..speech.corpus import Stream

OVERLAP = 0.7  # s that the first word of a turn begins before the last one of the turn before it ends
PAUSE = 0.9  # s between two sentences of who goes on
AROUND = 0.25  # s of a sentence's sound before its first word and behind its last one
LONGEST = 8.0  # s: all sentences are shorter, and none begins so late that it could be cut
NOISE = 0.001  # of a microphone: nothing real is digitally silent
GOAL = 75.0  # s of sentences of each voice, which are said again and again

Sentences = Sequence[Stream]  # each with the one sentence


async def voices(people: int) -> list[Sentences]:
    """What each has to say: the first two read from LibriVox where that is here, the others are the bundled voices."""
    streams = await corpus.spoken(people, GOAL)
    told: list[Sentences] = [_sentences(stream) for stream in streams]
    real = corpus.librivox()
    if real is not None:
        read = _sentences(real)
        half = len(read) // 2
        told[:2] = [read, [*read[half:], *read[:half]]]  # the same reader, who says something else at a time
    return told


def in_turns(told: Sequence[Sentences], length: float) -> list[Stream]:
    """One after another for `length` s, each beginning a little before the one before has ended."""
    said: list[list[tuple[float, Stream]]] = [[] for _ in told]
    at = 0.0
    for turn in count():
        person, number = turn % len(told), turn // len(told)
        if at > length - LONGEST:
            break
        sentence = told[person][number % len(told[person])]
        said[person].append((at, sentence))
        at += sentence.ends[0] - OVERLAP - AROUND
    return [_laid(each, length, seed) for seed, each in enumerate(said)]


def at_once(told: Sequence[Sentences], length: float) -> list[Stream]:
    """Everybody all the time, with nothing but the pauses between a reader's sentences."""
    said: list[list[tuple[float, Stream]]] = []
    for person, sentences in enumerate(told):
        said.append([])
        at = PAUSE * person / len(told)
        for number in count():
            if at > length - LONGEST:
                break
            sentence = sentences[number % len(sentences)]
            said[-1].append((at, sentence))
            at += sentence.ends[0] + PAUSE
    return [_laid(each, length, seed) for seed, each in enumerate(said)]


def speaking(streams: Sequence[Stream]) -> tuple[float, float]:
    """How many speak at a time, on the average, and the share of the time in which two or more do."""
    length = min(len(stream.audio) for stream in streams) / HEARING_RATE
    moments = np.arange(0, length, 0.01)
    busy = np.zeros(len(moments), int)
    for stream in streams:
        for words in by_sentence(stream):
            busy += (moments >= words[0].start) & (moments < words[-1].end)
    several, any_one = int(np.count_nonzero(busy > 1)), int(np.count_nonzero(busy))
    return round(float(busy.mean()), 2), round(several / max(1, any_one), 2)


def by_sentence(stream: Stream) -> list[list[Word]]:
    """The words of each sentence."""
    words = iter(stream.words)
    return [list(islice(words, len(text.split()))) for text in stream.sentences]


def _sentences(stream: Stream) -> list[Stream]:
    found = []
    for words, text in zip(by_sentence(stream), stream.sentences, strict=True):
        begin = max(0.0, words[0].start - AROUND)
        end = words[-1].end + AROUND
        sound = stream.audio[int(begin * HEARING_RATE) : int(end * HEARING_RATE)]
        moved = tuple(word.moved(-begin) for word in words)
        found.append(Stream(sound, moved, (moved[-1].end,), (text,)))
    return found


def _laid(said: Sequence[tuple[float, Stream]], length: float, seed: int) -> Stream:
    """Sentences at their times, in s, with a microphone's noise around them."""
    noise = np.random.default_rng(seed).normal(0, NOISE, int(length * HEARING_RATE))
    audio: Waveform = noise.astype(np.float32)
    for at, sentence in said:
        first = int(at * HEARING_RATE)
        audio[first : first + len(sentence.audio)] += sentence.audio
    return Stream(audio, tuple(word.moved(at) for at, sentence in said for word in sentence.words),
                  tuple(at + sentence.ends[0] for at, sentence in said),
                  tuple(sentence.sentences[0] for _, sentence in said))
